"""Data for the lessons and labs, from real pictures inside installed packages, so nothing is downloaded.
Your own pictures come from a folder, your own texts from a table. Two well-known sets are downloaded only by
`download=True`; the set-up fetched the reviews.

Each set to train on is a LightningDataModule; a class says shapes, value range, classes, source and license.

    Photos   ten color and gray photographs with their ImageNet answers
    Digits   1,797 handwritten digits, 8x8
    Faces    200 crops with and without a face, 25x25
    Scenes   generated shapes on photographs, with class, box and mask for every object
    Folder   your own pictures, of any sizes, with masks, or boxes in COCO's JSON, or both

    Reviews    13,037 sentences of film and product reviews, rated by people
    Sentences  made by a grammar, so that the order of words decides what is positive
    Tags       made-up news with the names of people, places and organizations, and dates
    Dates      6,500 dates in two of 19 languages
    Emoji      names of 3,972 emoji in English and one of 13 languages
    Names      9,413 family names of eight languages
    Words      2,213 rated words in one graph, joined by letters or by meaning
    TextFile   your own texts and labels, from a TSV or CSV

    OxfordIIITPet   7,349 photographs of 37 breeds of cats and dogs, with breed and mask
    PennFudanPed    170 photographs of pedestrians, with a box and a mask for each
"""

from importlib import import_module
from typing import Any

# A set's file is read when the set is asked for: only who trains waits for Lightning.
_FILES = {
    "DataFolderError": "folder",
    "Dates": "dates",
    "Digits": "digits",
    "Emoji": "emoji",
    "Faces": "faces",
    "Folder": "folder",
    "Names": "names",
    "OxfordIIITPet": "folder",
    "PennFudanPed": "folder",
    "Photos": "photos",
    "Reviews": "reviews",
    "Scenes": "scenes",
    "Sentences": "sentences",
    "Tags": "tags",
    "TextFile": "textfile",
    "TextFileError": "textfile",
    "Vocabulary": "vocabulary",
    "Words": "words",
    "nearest_neighbors": "words",
}
__all__ = list(_FILES)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FILES[name]}", __name__), name)
