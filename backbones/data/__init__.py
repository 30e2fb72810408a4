"""Data for the lessons and labs, from real pictures inside installed packages, so nothing is downloaded.
Your own pictures come from a folder. Two well-known sets are downloaded only by `download=True`.

Each set to train on is a LightningDataModule; a class says shapes, value range, classes, source and licence.

    Photos   ten color and gray photographs with their ImageNet answers
    Digits   1,797 handwritten digits, 8x8
    Faces    200 crops with and without a face, 25x25
    Scenes   generated shapes on photographs, with class, box and mask for every object
    Folder   your own pictures, of any sizes, with masks, or boxes in COCO's JSON, or both

    OxfordIIITPet   7,349 photographs of 37 breeds of cats and dogs, with breed and mask
    PennFudanPed    170 photographs of pedestrians, with a box and a mask for each
"""

from .digits import Digits
from .faces import Faces
from .folder import DataFolderError, Folder, OxfordIIITPet, PennFudanPed
from .photos import Photos
from .scenes import Scenes

__all__ = [
    "DataFolderError",
    "Digits",
    "Faces",
    "Folder",
    "OxfordIIITPet",
    "PennFudanPed",
    "Photos",
    "Scenes",
]
