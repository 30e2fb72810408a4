"""Heads with one answer for the whole input: average over all positions, then a linear layer."""

from torch import Tensor, nn

from ..backbone import ByStride


class ClassificationHead(nn.Module):
    """Global average pooling over the deepest map, then dropout and one linear layer.

    Average pooling: Lin, Chen, Yan, Network in Network (2013), section 3.2.
    """

    def __init__(self, channels: ByStride, num_classes: int, dropout: float = 0.0):
        """Args: channels, the backbone's `.channels`; num_classes, how many answers there are; dropout, the
        share of pooled features that training sets to zero, 0 <= dropout < 1."""
        super().__init__()
        self.stride = max(channels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[self.stride], num_classes)

    def forward(self, features: ByStride) -> Tensor:
        """Args: features, {stride: (B, C, H, W)}. Returns: logits (B, num_classes)."""
        pooled = features[self.stride].mean(dim=(2, 3))  # (B, C, H, W) => (B, C)
        return self.classifier(self.dropout(pooled))
