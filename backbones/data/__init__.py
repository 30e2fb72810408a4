"""Data for the lessons and labs, from real pictures inside installed packages, so nothing is downloaded.

Each data set is a LightningDataModule; its class says shapes, value range, classes, source and licence.

    Photos   ten color and gray photographs with their ImageNet answers
    Digits   1,797 handwritten digits, 8x8
    Faces    200 crops with and without a face, 25x25
    Scenes   generated shapes on photographs, with class, box and mask for every object
"""

from .digits import Digits
from .faces import Faces
from .photos import Photos
from .scenes import Scenes

__all__ = ["Digits", "Faces", "Photos", "Scenes"]
