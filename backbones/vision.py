"""Image backbones: timm's models, cut before their head, under the contract of `backbone.py`."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from .backbone import Backbone, BackboneError, ByStride, register
from .weights import (
    WeightsMissingError,
    check_fit,
    classifier_shapes,
    download,
    imagenet_weights,
    read_weights,
)

# It warns when a classifier's weights go into a model without the classifier, which is what a backbone is.
logging.getLogger("timm.models._builder").setLevel(logging.ERROR)

WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".bin")


class OutputStrideError(BackboneError):
    """This backbone cannot be built with the output stride that was asked for."""


class ImageError(BackboneError, TypeError):
    """What was given is not a batch of normalized images."""


class ImageBackbone(Backbone):
    """A model of timm without its head: images in, one feature map for each stride out.

    Attributes:
        channels: stride -> number of channels. A stride of 16 says that one position of the map stands for a
            16x16 square of the image.
        output_stride: the largest stride.
        mean, std: three numbers each, for images in [0, 1]; `normalize` applies them.
    """

    def __init__(self, name: str, weights: str | Path | None = None, output_stride: int = 32):
        """See `create_backbone`; `name` is timm's. A weight file holds either this object's `state_dict()` or
        that of timm's whole classifier of the same name.

        Raises:
            OutputStrideError: this model cannot keep that much resolution.
            WeightsMissingError, WeightsDamagedError, WeightsMismatchError: see `weights.py`.
        """
        super().__init__()
        self.name = name
        state = read_weights(weights) if _is_file(weights) else None
        saved_here = state is not None and all(key.startswith("body.") for key in state)
        if saved_here:
            self.body = _build(name, output_stride)
        else:
            self.body = _build(name, output_stride, **_pretrained(name, weights, state))
        # With dilation several stages share a stride: the dictionary keeps the last of them, the deepest.
        self.channels = ByStride(self._by_stride(self.body.feature_info.channels()))
        self.output_stride = max(self.channels)
        config = self.body.pretrained_cfg
        config.pop("state_dict", None)  # timm keeps what it was loaded from: all weights a second time
        self.mean: tuple[float, ...] = tuple(config["mean"])
        self.std: tuple[float, ...] = tuple(config["std"])
        if saved_here:
            check_fit(state, {key: value.shape for key, value in self.state_dict().items()}, name)
            self.load_state_dict(state)

    def _by_stride(self, values: list) -> dict:
        return dict(zip(self.body.feature_info.reduction(), values, strict=True))

    def normalize(self, images: Tensor) -> Tensor:
        """Shift and scale images to what this backbone was trained on.

        Args: images (..., 3, H, W), uint8 in 0..255 or float in [0, 1].
        Returns: float, same shape.
        Raises: ImageError for other types, for float images far outside [0, 1], for other than 3 channels.
        """
        _expect_three_channels(images)
        if images.dtype == torch.uint8:
            images = images / 255
        elif not images.is_floating_point():
            raise ImageError(f"these images are {images.dtype}: pass uint8 in 0..255 or float in [0, 1].")
        elif images.numel():
            low, high = images.aminmax()
            if low < -0.5 or high > 1.5:  # resizing may overshoot a little; this is something else
                raise ImageError(
                    f"these float images range from {low:.1f} to {high:.1f}, not from 0 to 1: divide 0..255 "
                    "by 255 first or pass them as uint8, and do not normalize twice."
                )
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images - mean) / std

    def forward(self, images: Tensor) -> ByStride:
        """Compute all feature maps.

        Args: images (B, 3, H, W), float, normalized. H and W need not be multiples of the stride.
        Returns: {stride: (B, channels[stride], ~H/stride, ~W/stride)}, rounded up or down as the model pads.
        Raises: ImageError for anything else.
        """
        if images.dtype == torch.uint8:
            raise ImageError(
                "these images are uint8 (0..255): pass them through backbone.normalize(images) first."
            )
        if not images.is_floating_point():
            raise ImageError(
                f"images must be float and normalized, these are {images.dtype}: use backbone.normalize."
            )
        if images.ndim != 4:
            raise ImageError(
                f"expected a batch of images (B, 3, H, W), got shape {tuple(images.shape)}"
                + ("; add the batch dimension with images[None]." if images.ndim == 3 else ".")
            )
        _expect_three_channels(images)
        maps = self.body(images)
        if getattr(self.body, "output_fmt", None) == "NHWC":  # timm's Swin family keeps channels last
            maps = [one.permute(0, 3, 1, 2) for one in maps]
        return ByStride(self._by_stride(maps))


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


def _expect_three_channels(images: Tensor) -> None:
    """Raise ImageError, with the likely remedy, unless images are (..., 3, H, W)."""
    shape = tuple(images.shape)
    if len(shape) >= 3 and shape[-3] == 3:
        return
    hint = ""
    if len(shape) >= 3 and shape[-1] == 3:
        hint = " The channels come last here: images.movedim(-1, -3) moves them."
    elif len(shape) >= 3 and shape[-3] == 1:
        repeated = "images.expand(3, -1, -1)" if len(shape) == 3 else "images.expand(-1, 3, -1, -1)"
        hint = f" For gray images repeat the channel: {repeated}."
    raise ImageError(f"expected 3 channels (B, 3, H, W), got shape {shape}.{hint}")


def _is_file(weights: str | Path | None) -> bool:
    return isinstance(weights, Path) or (weights is not None and Path(weights).suffix in WEIGHT_FILES)


def _pretrained(name: str, weights: str | Path | None, state: dict[str, Tensor] | None) -> dict[str, Any]:
    """The arguments that make timm.create_model load the weights that were asked for."""
    if weights is None:
        return {}
    if weights == "imagenet":
        state = imagenet_weights(name)
    if state is not None:
        check_fit(state, classifier_shapes(name), name)
        return {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": state}}
    source, _, tag = str(weights).partition(":")
    if source != "timm":
        raise WeightsMissingError(
            f"weights={weights!r} is not understood: use None, 'imagenet', the path of a file that ends in "
            f"{', '.join(WEIGHT_FILES)}, or, with a network, 'timm' or 'timm:TAG'."
        )
    return {"pretrained": True, "tag": tag}


def _build(name: str, output_stride: int, tag: str | None = None, **pretrained: Any) -> nn.Module:
    """timm's feature extractor `name` with exactly this output stride."""
    arguments = _stride_argument(name, output_stride) | pretrained
    if tag is None:
        return timm.create_model(name, features_only=True, **arguments)
    return download(
        partial(timm.create_model, f"{name}.{tag}" if tag else name, features_only=True, **arguments)
    )


def _stride_argument(name: str, output_stride: int) -> dict[str, int]:
    """What to tell timm so that `name` gets this output stride; tried out on shapes, without numbers."""

    def deepest(**arguments: int) -> int:
        with torch.device("meta"):
            return max(timm.create_model(name, features_only=True, **arguments).feature_info.reduction())

    # Each of timm's families refuses in its own way (assertion, type error, ...), hence the broad excepts.
    try:
        native = deepest()
    except Exception as error:
        raise BackboneError(
            f"timm cannot cut {name!r} into feature maps ({error}); choose another model."
        ) from error
    if output_stride == native:
        return {}
    if output_stride in (8, 16, 32):
        try:
            if deepest(output_stride=output_stride) == output_stride:
                return {"output_stride": output_stride}
        except Exception:
            pass
        reason = f"{name!r} can only be built with output_stride={native}: its layers cannot be dilated."
    else:
        reason = f"output_stride={output_stride!r} is not possible: choose 32, 16 or 8."
    raise OutputStrideError(reason)


for _name in timm.list_models():
    register(_name, partial(ImageBackbone, _name))
