"""Heads with one answer for the whole input: one vector for all of it, then a linear layer."""

from torch import Tensor, nn

from ..backbone import ByStride, Features


class ClassificationHead(nn.Module):
    """The backbone's summary or, without one, the mean of the deepest map; dropout; one linear layer.

    Average pooling: Lin, Chen, Yan, Network in Network (2013), section 3.2.
    """

    def __init__(self, channels: ByStride, num_classes: int, dropout: float = 0.0):
        """
        Args:
            channels: the backbone's `.channels`.
            num_classes: how many answers there are.
            dropout: the share of pooled features that training sets to zero, 0 <= dropout < 1.
        """
        super().__init__()
        self.stride = max(channels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[self.stride], num_classes)

    def forward(self, features: Features) -> Tensor:
        """Answer once for each input.

        Args:
            features: {stride: (B, C, *positions)}.
        Returns:
            logits (B, num_classes).
        """
        summary = getattr(features, "summary", None)
        if summary is None:
            summary = average(features, self.stride)
        return self.classifier(self.dropout(summary))


def average(features: Features, stride: int) -> Tensor:
    """The mean over all positions that are real, of the map at this stride: (B, C, *positions) => (B, C)."""
    maps = features[stride]
    positions = tuple(range(2, maps.ndim))
    if getattr(features, "mask", None) is None:
        return maps.mean(dim=positions)
    real = features.mask_at(stride)[:, None]  # => (B, 1, *positions)
    return maps.where(real, 0).sum(dim=positions) / real.sum(dim=positions)
