"""Heads: what turns features into an answer.

    pooled.py       one answer for the whole input    ClassificationHead(backbone.channels, 6)
    positions.py    one answer at every position      PositionHead(backbone.channels, 7)
    detection.py    boxes with classes                DetectionHead(backbone.channels, 7)
    generation.py   one token after the other         AttentionDecoder(backbone.channels, 5000)

The same backbone object can stand in all three: `Network(backbone, head)`. ImageNet's own head lies beside
the backbones that it was trained with, in `vision.py`.
"""

from ..vision import ImageNetHead
from .detection import DetectionHead, Detector, FeaturePyramid, check_targets
from .generation import AttentionDecoder, Translator, generate
from .pooled import ClassificationHead
from .positions import PositionHead, SegmentationHead, at_input_size, enlarge

__all__ = [
    "AttentionDecoder",
    "ClassificationHead",
    "DetectionHead",
    "Detector",
    "FeaturePyramid",
    "ImageNetHead",
    "PositionHead",
    "SegmentationHead",
    "Translator",
    "at_input_size",
    "check_targets",
    "enlarge",
    "generate",
]
