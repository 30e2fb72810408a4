"""Heads: what turns features into an answer.

    pooled.py       one answer for the whole input    ClassificationHead(backbone.channels, 6)
    positions.py    one answer at every position      SegmentationHead(backbone.channels, 7)
    detection.py    boxes with classes                Detector(backbone, 7)

The same backbone object can stand in all three. ImageNet's own head lies beside the backbones it was trained
with, in `vision.py`.
"""

from ..vision import ImageNetHead
from .detection import Detector, FeaturePyramid, check_targets
from .pooled import ClassificationHead
from .positions import SegmentationHead, SegmentationNetwork, enlarge

__all__ = [
    "ClassificationHead",
    "Detector",
    "FeaturePyramid",
    "ImageNetHead",
    "SegmentationHead",
    "SegmentationNetwork",
    "check_targets",
    "enlarge",
]
