"""Heads: what turns features into an answer."""

import timm
from torch import Tensor, nn

from .backbone import ByStride
from .weights import imagenet_weights


class ClassificationHead(nn.Module):
    """Global average pooling over the deepest map, then one linear layer.

    Average pooling: Lin, Chen, Yan, Network in Network (2013), section 3.2.
    """

    def __init__(self, channels: ByStride, num_classes: int):
        """Args: channels, the backbone's `.channels`; num_classes, how many answers there are."""
        super().__init__()
        self.stride = max(channels)
        self.classifier = nn.Linear(channels[self.stride], num_classes)

    def forward(self, features: ByStride) -> Tensor:
        """Args: features, {stride: (B, C, H, W)}. Returns: logits (B, num_classes)."""
        pooled = features[self.stride].mean(dim=(2, 3))  # (B, C, H, W) => (B, C)
        return self.classifier(pooled)


class ImageNetHead(nn.Module):
    """The head that EfficientNet-Lite was trained with on ImageNet: 1000 answers.

    A 1x1 convolution widens the deepest map (`expand`), pooling averages it over all positions, and a linear
    layer (`classifier`) gives one score a class. Source: Tan, Le, EfficientNet (2019), table 1, stage 9.
    """

    def __init__(self, name: str):
        """Args: name, "tf_efficientnet_lite0", "..._lite1" or "..._lite2". Raises: see `imagenet_weights`."""
        super().__init__()
        whole = timm.create_model(name)
        whole.load_state_dict(imagenet_weights(name))
        self.expand = nn.Sequential(whole.conv_head, whole.bn2)  # timm's bn2 contains the ReLU6
        self.classifier = whole.classifier

    def forward(self, features: ByStride) -> Tensor:
        """Args: features, {..., deepest stride: (B, C, H, W)}. Returns: logits (B, 1000)."""
        maps = self.expand(features[max(features)])  # (B, C, H, W) => (B, 1280, H, W)
        return self.classifier(maps.mean(dim=(2, 3)))  # => (B, 1280) => (B, 1000)
