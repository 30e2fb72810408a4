"""Heads with one answer at every position: of each pixel, each token, each node.

The classification head without its pooling. What a position is, the backbone decides: channels are dimension
1 of every map, so the same head serves (B, C, H, W), (B, C, T) and (N, C).
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..backbone import ByStride, Features, expect_features


class PositionClassifier(nn.Linear):
    """One linear layer, the same at every position; on pixels it is the 1x1 convolution of the papers."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, in_features, *positions) => (B, out_features, *positions); nodes (N, in) => (N, out)."""
        convolve = {2: F.linear, 3: F.conv1d, 4: F.conv2d}[maps.ndim]
        kernel = self.weight.reshape(*self.weight.shape, *[1] * (maps.ndim - 2))
        return convolve(maps, kernel, self.bias)


class PositionHead(nn.Module):
    """A linear classifier at every position of the input.

    With several strides each map is scored by itself; the scores of a coarser map are enlarged and added to
    those of the next finer one, which knows better where things end. (32,), (32, 16) and (32, 16, 8) are
    FCN-32s, FCN-16s and FCN-8s of Long, Shelhamer, Darrell, Fully Convolutional Networks (2015), section 4.2.
    """

    def __init__(self, channels: ByStride, num_classes: int, strides: Sequence[int] = ()):
        """
        Args:
            channels: the backbone's `.channels`.
            num_classes: how many answers there are, in segmentation the background included.
            strides: the maps to score, by default only the deepest.
        Raises:
            StrideError: for a stride that the backbone does not have.
        """
        super().__init__()
        self.strides = tuple(sorted(strides or [max(channels)], reverse=True))
        self.classifiers = nn.ModuleDict(
            {str(stride): PositionClassifier(channels[stride], num_classes) for stride in self.strides}
        )

    def forward(self, features: Features) -> Tensor:
        """Answer at every position of the input.

        Args:
            features: {stride: (B, C, *size / stride)} or, for nodes, {1: (N, C)}.
        Returns:
            logits (B, num_classes, *size) or (N, num_classes).
        """
        logits = None
        for stride in self.strides:
            scores = self.classifiers[str(stride)](features[stride])
            logits = scores if logits is None else scores + enlarge(logits, scores.shape[2:])
        return at_input_size(logits, features)


SegmentationHead = PositionHead  # what it is called where positions are pixels


def at_input_size(maps: Tensor, features: Features) -> Tensor:
    """Enlarge what a head says of a coarse map to the size of the input, which features know.

    The size may be odd: 513 pixels at stride 16 become 33 positions, and 33 * 16 is not 513.

    Args:
        maps: (B, C, *positions), or of nodes (N, C).
        features: the backbone's.
    Returns:
        (B, C, *features.size), or (N, C).
    Raises:
        BackboneError: for features without a size.
    """
    expect_features(features)
    return maps if maps.ndim == 2 else enlarge(maps, features.size)


def enlarge(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Linear interpolation in each direction: (B, C, T) => (B, C, *size), (B, C, h, w) => (B, C, *size)."""
    mode = {3: "linear", 4: "bilinear"}[maps.ndim]
    return F.interpolate(maps, size=tuple(size), mode=mode, align_corners=False)
