"""The contract: a backbone turns raw input into features, a head turns features into an answer.

    backbone = create_backbone("resnet101", output_stride=16)
    backbone.channels            # {2: 64, 4: 256, 8: 512, 16: 2048}      stride -> channels
    features = backbone(images)  # {2: (B, 64, H/2, W/2), ..., 16: (B, 2048, H/16, W/16)}
    features.size                # (H, W), of the images
    network = Network(backbone, head)
    network(images)              # head(backbone(images)), to the letter, for every network of the course

Swap the backbone and the task stays, swap the head and the task changes. Channels are dimension 1 everywhere:
pixels (B, C, H, W), tokens (B, C, T), nodes (N, C); tokens and nodes stand at stride 1. So one head gives an
answer at every position of any of them (`heads/positions.py`).

Image backbones live in `vision.py`, those of texts in `text.py`. Your own joins them by `register`;
`check_backbone` (`audit.py`) says whether it keeps the contract.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree


class BackboneError(ValueError):
    """Something about a backbone, its weights or its input is wrong; the message says what to do."""


class UnknownBackboneError(BackboneError):
    """No backbone of this name is registered."""


class StrideError(BackboneError, KeyError):
    """The backbone has no feature map at the stride that was asked for."""

    __str__ = Exception.__str__  # KeyError would print the sentence in quotes


class BatchError(BackboneError):
    """Too few numbers for batch norm to learn from."""

    def __init__(self) -> None:
        super().__init__(
            "one position of one image is too little for batch norm. Use more images per batch (a last "
            "one alone is left out by DataLoader(drop_last=True)), larger images, or freeze_backbone=True in "
            "a task (.eval() elsewhere), which trains no batch norm"
        )

    @staticmethod
    def is_meant_by(error: ValueError) -> bool:
        """Whether this is how torch's batch norm refuses."""
        return "more than 1 value per channel" in str(error)


class ByStride(dict[int, Any]):
    """A dictionary from stride to feature map (or to channels) that explains a missing stride."""

    def __missing__(self, stride: int) -> Any:
        if not self:
            raise StrideError(f"no feature map at stride {stride}: there are no feature maps at all")
        raise StrideError(
            f"no feature map at stride {stride}: this backbone was built with output_stride={max(self)} and "
            f"has strides {', '.join(map(str, sorted(self)))}; choose one of these, or where the model can "
            "be dilated another create_backbone(..., output_stride=...)"
        )


class Features(ByStride):
    """What a backbone gives: feature maps by stride, and what a head may need to know of their input.

    Attributes:
        size: of the input without batch and channels: (H, W) of images, (T,) of tokens, (N,) of nodes.
        mask: bool (B, *size), which positions of the input are real and not padding; None: all of them.
        summary: (B, C), one vector for the whole input, where the backbone makes one, as those of texts do.
    """

    def __init__(
        self,
        maps: Mapping[int, Tensor],
        size: Sequence[int] | None = None,
        mask: Tensor | None = None,
        summary: Tensor | None = None,
    ):
        """
        Args:
            maps: stride -> (B, C, *size / stride).
            size: see above; `images.shape[-2:]` for images. Every backbone gives it. (None is for libraries
                that rebuild dictionaries, such as Lightning after `predict`; heads refuse it.)
            mask: see above.
            summary: see above.
        """
        super().__init__(maps)
        self.size = None if size is None else tuple(size)
        self.mask, self.summary = mask, summary

    def mask_at(self, stride: int) -> Tensor | None:
        """Which positions of the map at this stride are real.

        Args:
            stride: of a map that is there.
        Returns:
            bool (B, *size of the map), or None if all are.
        """
        if self.mask is None:
            return None
        shape = self[stride].shape[2:]
        return F.interpolate(self.mask[:, None].float(), size=shape, mode="nearest")[:, 0] > 0


def expect_features(features: Any) -> None:
    """Raise BackboneError, with the remedy, where a head is given what knows nothing of its input."""
    if not isinstance(features, Features) or features.size is None:
        raise BackboneError(
            f"a head was given a {type(features).__name__} that does not say how large the input was: let the "
            "backbone return Features(maps, size=images.shape[-2:])"
        )


# torch.export and torch.compile take results apart and put them together again: this tells them how.
def _flatten(features: Features) -> tuple[list, tuple]:
    return [*features.values(), features.mask, features.summary, features.size], tuple(features)


def _flatten_with_keys(features: Features) -> tuple[list, tuple]:
    values, strides = _flatten(features)
    keys = [*map(pytree.MappingKey, strides), *map(pytree.GetAttrKey, ("mask", "summary", "size"))]
    return list(zip(keys, values, strict=True)), strides


def _unflatten(values: Any, strides: tuple) -> Features:
    *maps, mask, summary, size = values
    return Features(dict(zip(strides, maps, strict=True)), size, mask, summary)


pytree.register_pytree_node(
    Features,
    _flatten,
    _unflatten,
    serialized_type_name="backbones.Features",
    flatten_with_keys_fn=_flatten_with_keys,
)


class Backbone(nn.Module):
    """What every backbone promises: a name, the width of its features, and `forward(raw input) -> Features`.

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
        """
        Args:
            backbone: gives `Features`.
            head: takes them.
        """
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, *inputs: Any) -> Any:
        """What the head says of the backbone's features of these inputs."""
        try:
            return self.head(self.backbone(*inputs))
        except ValueError as error:
            if BatchError.is_meant_by(error):
                raise BatchError from error
            raise


_builders: dict[str, Callable[..., Backbone]] = {}


def register(name: str, build: Callable[..., Backbone]) -> None:
    """Make `create_backbone(name, ...)` call `build(...)`: this is how you bring your own backbone.

    Args:
        name: what learners will call it.
        build: takes `weights` and other keyword arguments, returns the backbone.
    """
    _builders[name] = build


def backbone_names() -> list[str]:
    """All names that `create_backbone` knows, sorted."""
    return sorted(_builders)


def create_backbone(name: str, weights: Any = None, **options: Any) -> Backbone:
    """Build a backbone by name.

    Args:
        name: for images any of timm's names, such as "resnet50", "xception65", "mobilenetv2_100",
            "tf_efficientnet_lite0"; also with the tag of timm's weights, "resnet50.a1_in1k". For texts "rnn",
            "lstm", "gru", "transformer", "minilm", "bag"; for graphs "gcn".
        weights: None for random weights; "imagenet" for ImageNet weights that came with the course; the path
            of a file; or, with a network, "timm" or "timm:TAG" to download timm's (see `weights.py`).
        options: passed on. Image backbones take `output_stride`: 32 (default), 16 or 8. With 16 or 8 the last
            stages keep their resolution and are dilated instead, with the same parameters. Texts: `text.py`,
            graphs: `graphs.py`.
    Returns:
        The backbone, in training mode as every new module of torch.
    Raises:
        UnknownBackboneError: listing the nearest known names.
        BackboneError: its subclasses say what else was wrong: output stride, weights, weight file.
    """
    if not isinstance(name, str):
        raise UnknownBackboneError(
            f'a backbone is called by its name, a text such as "resnet50", not {name!r}'
        )
    bare, _, tag = name.partition(".")  # timm also writes "resnet50.a1_in1k": a model and its weights
    if name in _builders:
        return _call(name, weights=weights, **options)
    if bare not in _builders:
        near = difflib.get_close_matches(bare.lower(), _builders, n=4, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "backbones.backbone_names() lists all names."
        raise UnknownBackboneError(f"there is no backbone called {name!r}; {hint}")
    return _call(bare, weights=weights, tag=tag, **options)


def _call(name: str, **options: Any) -> Backbone:
    """Build, or say in a sentence which option is missing or unknown."""
    try:
        return _builders[name](**options)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        given = "".join(f", {key}=..." for key in options if key not in ("weights", "tag"))
        raise BackboneError(f"create_backbone({name!r}{given}) cannot be built: {error}") from error


def map_faults(stride: int, maps: Tensor, channels: int, size: tuple[int, ...]) -> list[str]:
    """Whether a feature map has as many channels and positions as its stride says.

    Args:
        stride: pixels (tokens, nodes) for each position.
        maps: (B, channels, *positions), or nodes (N, channels).
        channels: how many there should be.
        size: of the input, without batch and channels.
    Returns:
        Parts of sentences, none for a sound map. Positions may be rounded up or down.
    """
    positions = tuple(maps.shape[2:]) if maps.ndim > 2 else tuple(maps.shape[:1])
    faults = []
    if maps.shape[1] != channels:
        faults.append(f"the map at stride {stride} has {maps.shape[1]} channels, but {channels} are declared")
    if len(positions) != len(size) or any(
        not side // stride <= there <= -(-side // stride) for there, side in zip(positions, size, strict=True)
    ):
        says = " x ".join(f"{side / stride:g}" for side in size)
        faults.append(
            f"the map at stride {stride} has {' x '.join(map(str, positions))} positions, "
            f"its stride says {says}"
        )
    return faults
