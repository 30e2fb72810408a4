"""Heads with one answer at every position: the classification head without its pooling."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..backbone import ByStride, Network


class SegmentationHead(nn.Module):
    """A linear classifier at every position: the classification head without its pooling.

    With several strides each map is scored by itself; the scores of a coarser map are enlarged and added to
    those of the next finer one, which knows better where things end. (32,), (32, 16) and (32, 16, 8) are
    FCN-32s, FCN-16s and FCN-8s of Long, Shelhamer, Darrell, Fully Convolutional Networks (2015), section 4.2.
    """

    def __init__(self, channels: ByStride, num_classes: int, strides: Sequence[int] = ()):
        """Args: channels, the backbone's `.channels`; num_classes, how many answers there are, the background
        included; strides, the maps to score, by default only the deepest.
        Raises: StrideError for a stride that the backbone does not have."""
        super().__init__()
        self.strides = tuple(sorted(strides or [max(channels)], reverse=True))
        self.classifiers = nn.ModuleDict(
            {str(stride): nn.Conv2d(channels[stride], num_classes, kernel_size=1) for stride in self.strides}
        )

    def forward(self, features: ByStride) -> Tensor:
        """Args: features, {stride: (B, C, H/stride, W/stride)}.
        Returns: logits (B, num_classes, H/finest, W/finest), for the finest of `.strides`."""
        logits = None
        for stride in self.strides:
            scores = self.classifiers[str(stride)](features[stride])
            logits = scores if logits is None else scores + enlarge(logits, scores.shape[-2:])
        return logits


class SegmentationNetwork(Network):
    """A backbone and a head that scores the positions of a map, enlarged to the size of the image.

    That step stands here, where the size is known, which may be odd: 513 pixels at stride 16 become 33
    positions, and 33 * 16 is not 513.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Args: images (B, 3, H, W), normalized. Returns: logits (B, num_classes, H, W)."""
        return enlarge(super().forward(images), images.shape[-2:])


def enlarge(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation, (B, C, h, w) => (B, C, *size)."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
