"""The contract: a backbone turns raw input into features, a head turns features into an answer.

    backbone = create_backbone("resnet101", output_stride=16)
    backbone.channels            # {2: 64, 4: 256, 8: 512, 16: 2048}      stride -> channels
    features = backbone(images)  # {2: (B, 64, H/2, W/2), ..., 16: (B, 2048, H/16, W/16)}
    network = Network(backbone, head)
    network.backbone, network.head

Swap the backbone and the task stays, swap the head and the task changes. Image backbones live in
`vision.py`; backbones for text and graphs join the same registry with the lessons that need them.
"""

import difflib
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class BackboneError(ValueError):
    """Something about a backbone, its weights or its input is wrong; the message says what to do."""


class UnknownBackboneError(BackboneError):
    """No backbone of this name is registered."""


class StrideError(BackboneError, KeyError):
    """The backbone has no feature map at the stride that was asked for."""

    __str__ = Exception.__str__  # KeyError would print the sentence in quotes


class ByStride(dict[int, Any]):
    """A dictionary from stride to feature map (or to channels) that explains a missing stride."""

    def __missing__(self, stride: int) -> Any:
        raise StrideError(
            f"no feature map at stride {stride}: this backbone was built with output_stride={max(self)} and "
            f"has strides {', '.join(map(str, sorted(self)))}; see create_backbone(..., output_stride=...)"
        )


class Backbone(nn.Module):
    """What every backbone promises: a name, the width of its features, and `forward(raw input) -> features`.

    Attributes:
        name: the name it was created by; timm's name where timm has the model.
        channels: how many numbers describe one position, by stride: {2: 64, 4: 256, ...}.
    """

    name: str
    channels: ByStride


class Network(nn.Module):
    """A backbone with a head on it. `forward(x)` is `head(backbone(x))` and nothing else.

    Both parts stay reachable under their names, so that either can be frozen, costed or swapped alone.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, *inputs: Tensor) -> Any:
        return self.head(self.backbone(*inputs))


_builders: dict[str, Callable[..., Backbone]] = {}


def register(name: str, build: Callable[..., Backbone]) -> None:
    """Make `create_backbone(name, ...)` call `build(...)`: this is how you bring your own backbone."""
    _builders[name] = build


def backbone_names() -> list[str]:
    """All names that `create_backbone` knows, sorted."""
    return sorted(_builders)


def create_backbone(name: str, weights: str | None = None, **options: Any) -> Backbone:
    """Build a backbone by name.

    Args:
        name: for images any of timm's names, such as "resnet50", "xception65", "mobilenetv2_100",
            "tf_efficientnet_lite0".
        weights: None for random weights; "imagenet" for ImageNet weights that came with the course; the path
            of a file; or, with a network, "timm" or "timm:TAG" to download timm's (see `weights.py`).
        options: passed on. Image backbones take `output_stride`: 32 (default), 16 or 8. With 16 or 8 the last
            stages keep their resolution and are dilated instead, with the same parameters.
    Raises:
        UnknownBackboneError: listing the nearest known names.
        BackboneError: its subclasses say what else was wrong: output stride, weights, weight file.
    """
    if name not in _builders:
        bare = name.lower().partition(".")[0]  # timm also writes "resnet50.a1_in1k": a model and its weights
        near = difflib.get_close_matches(bare, _builders, n=4, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "backbones.backbone_names() lists all names."
        raise UnknownBackboneError(f"there is no backbone called {name!r}; {hint}")
    return _builders[name](weights=weights, **options)
