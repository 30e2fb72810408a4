"""Image backbones: timm's models, cut before their head, under the contract of `backbone.py`."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import (
    Backbone,
    BackboneError,
    BatchError,
    ByStride,
    Features,
    UnknownBackboneError,
    map_faults,
    register,
)
from .trial import OutputStrideError, ShapesOnly, by_stride, plan, takes, working_sizes
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

__all__ = ["ImageBackbone", "ImageError", "ImageNetHead", "OutputStrideError", "pad_together"]

WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".bin")


class ImageError(BackboneError, TypeError):
    """What was given is not a batch of normalized images."""


class ImageBackbone(Backbone):
    """A model of timm without its head: images in, one feature map for each stride out.

    With output stride 16 or 8 the last stages keep their resolution and are dilated, with equal parameters.
    Every second position of the finer map is then the coarser map (the course's "atrous identity"): exactly
    and at any size for resnet, resnext, resnetv2, regnetx, convnext, xception, mobilenetv2, mnasnet and
    efficientnet_lite (positions [1::2] where TensorFlow's padding meets even sizes: tf_...). Where shortcuts
    average (resnet26d and other "d" variants, nf_resnet) only at multiples of the stride. Not with
    squeeze-and-excitation, which averages over all positions (seresnet, regnety, mobilenetv3,
    efficientnet_b0), nor for resnest and gernet.

    Attributes:
        channels: stride -> number of channels. A stride of 16 says that one position of the map stands for a
            16x16 square of the image.
        output_stride: the largest stride.
        image_size: (H, W) that timm trained it on.
        mean, std: three numbers each, for images in [0, 1]; `normalize` applies them.
    """

    def __init__(self, name: str, weights: str | Path | None = None, output_stride: int = 32, tag: str = ""):
        """See `create_backbone`.

        Args:
            name: timm's.
            weights: a file holds either this object's `state_dict()` or that of timm's whole classifier.
            output_stride: 32, 16 or 8, as far as the model can.
            tag: of timm's weights: mean and std are theirs.
        Raises:
            OutputStrideError: this model cannot keep that much resolution.
            WeightsMissingError, WeightsDamagedError, WeightsMismatchError: see `weights.py`.
            BackboneError: timm cannot cut this model into maps that lie at their strides.
        """
        super().__init__()
        self.name = name
        arguments, channels, self.image_size = plan(name, output_stride)
        state = read_weights(weights) if _is_file(weights) else None
        saved_here = state is not None and all(key.startswith("body.") for key in state)
        pretrained = {} if saved_here else _pretrained(name, weights, state, tag)
        self.body = _build(name, _known_tag(name, tag), **arguments, **pretrained)
        self.channels = ByStride(channels)
        self.output_stride = max(self.channels)
        config = self.body.pretrained_cfg
        config.pop("state_dict", None)  # timm keeps what it was loaded from: all weights a second time
        self.mean: tuple[float, ...] = tuple(config["mean"])
        self.std: tuple[float, ...] = tuple(config["std"])
        if saved_here:
            check_fit(state, {key: value.shape for key, value in self.state_dict().items()}, name)
            self.load_state_dict(state)

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights, which images must have as well."""
        floats = (weight.dtype for weight in self.body.parameters() if weight.is_floating_point())
        return next(floats, torch.get_default_dtype())

    def normalize(self, images: Tensor) -> Tensor:
        """Shift and scale images to what this backbone was trained on.

        Args:
            images: (..., 3, H, W), uint8 in 0..255 or float of any precision in [0, 1].
        Returns:
            As precise as the weights, same shape.
        Raises:
            ImageError: for other types, for float images far outside [0, 1], for other than 3 channels.
        """
        _expect_three_channels(images)
        if images.dtype == torch.uint8:
            images = images.to(self.dtype) / 255
        elif not images.is_floating_point():
            raise ImageError(f"these images are {images.dtype}: pass uint8 in 0..255 or float in [0, 1].")
        elif images.numel():
            low, high = images.aminmax()
            if low < -0.5 or high > 1.5:  # resizing may overshoot a little; this is something else
                raise ImageError(
                    f"these float images range from {low:.1f} to {high:.1f}, not from 0 to 1: divide 0..255 "
                    "by 255 first or pass them as uint8, and do not normalize twice."
                )
        images = images.to(self.dtype)
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images - mean) / std

    def forward(self, images: Tensor | Sequence[Tensor]) -> Features:
        """Compute all feature maps.

        Args:
            images: (B, 3, H, W), normalized, as precise as the weights; H and W need not be multiples of the
                stride. Or a list of (3, H, W) of any sizes, see `pad_together`.
        Returns:
            {stride: (B, channels[stride], ~H/stride, ~W/stride)}, rounded up or down as the model pads.
        Raises:
            ImageError: for anything else, and for a size that this model cannot take, with some that it can.
            BatchError: in training, for one image that is too small.
        """
        mask = None
        if isinstance(images, list | tuple):
            images, mask = pad_together(images, self.output_stride)
        self._expect_batch(images)
        try:
            maps = by_stride(self.body, self.body(images))
        except (AssertionError, RuntimeError, ValueError, TypeError, IndexError) as error:
            if BatchError.is_meant_by(error):
                raise BatchError from error
            if len(images) == 0:
                raise ImageError("there is no image in this batch: pass one or more.") from error
            if takes(self.name, self.output_stride, *images.shape[-2:]):
                raise  # it is not the size
            raise self._size_error(*images.shape[-2:]) from error
        if not (torch.jit.is_tracing() or torch.compiler.is_compiling()):
            size = images.shape[-2:]
            if any(map_faults(stride, x, self.channels[stride], size) for stride, x in maps.items()):
                raise self._size_error(*size)
        if _is_traced_alone(self):  # torch.jit.trace takes no other dictionary for a result
            return {str(stride): features for stride, features in maps.items()}
        return Features(maps, images.shape[-2:], mask)

    def _size_error(self, height: int, width: int) -> ImageError:
        sizes = [f"{h}x{w}" for h, w in working_sizes(self.name, self.output_stride, height, width)]
        advice = f"resize or pad them to {' or '.join(sizes)}" if sizes else "choose another backbone"
        return ImageError(f"{self.name!r} cannot take images of {height}x{width} pixels: {advice}.")

    def _expect_batch(self, images: Tensor) -> None:
        """Raise ImageError, with the likely remedy, unless images are a batch of normalized ones."""
        if isinstance(images, Tensor):
            if images.dtype == torch.uint8:
                raise ImageError(
                    "these images are uint8 (0..255): pass them through backbone.normalize(images) first."
                )
            if not images.is_floating_point():
                raise ImageError(
                    f"images must be float and normalized, these are {images.dtype}: if they go from 0 to "
                    "255, backbone.normalize(images.to(torch.uint8)) makes them so."
                )
            if images.ndim != 4:
                raise ImageError(
                    f"expected a batch of images (B, 3, H, W), got shape {tuple(images.shape)}"
                    + ("; add the batch dimension with images[None]." if images.ndim == 3 else ".")
                )
        _expect_three_channels(images)
        if 0 in images.shape[-2:]:
            raise ImageError(f"there are no pixels in images of shape {tuple(images.shape)}.")
        kind = images.device.type
        if images.dtype != self.dtype and not (kind != "meta" and torch.is_autocast_enabled(kind)):
            raise ImageError(
                f"these images are {images.dtype}, the weights {self.dtype}: use images.to(backbone.dtype)."
            )


class ImageNetHead(nn.Module):
    """The head that EfficientNet-Lite was trained with on ImageNet: 1000 answers.

    A 1x1 convolution widens the deepest map (`expand`), pooling averages it over all positions, and a linear
    layer (`classifier`) gives one score a class. Source: Tan, Le, EfficientNet (2019), table 1, stage 9.
    """

    def __init__(self, name: str):
        """
        Args:
            name: "tf_efficientnet_lite0", "tf_efficientnet_lite1" or "tf_efficientnet_lite2".
        Raises:
            WeightsMissingError, WeightsDamagedError: see `imagenet_weights`.
        """
        super().__init__()
        whole = timm.create_model(name)
        whole.load_state_dict(imagenet_weights(name))
        self.expand = nn.Sequential(whole.conv_head, whole.bn2)  # timm's bn2 contains the ReLU6
        self.classifier = whole.classifier

    def forward(self, features: Features) -> Tensor:
        """Answer once for each image.

        Args:
            features: {..., deepest stride: (B, C, H, W)}.
        Returns:
            logits (B, 1000).
        """
        maps = self.expand(features[max(features)])  # (B, C, H, W) => (B, 1280, H, W)
        return self.classifier(maps.mean(dim=(2, 3)))  # => (B, 1280) => (B, 1000)


def pad_together(images: Sequence[Tensor], multiple: int = 1) -> tuple[Tensor, Tensor]:
    """One batch of images of any sizes, filled up with zeros at the right and at the bottom.

    Args:
        images: (3, H, W) each, normalized.
        multiple: of which both sides of the batch are made; with the output stride each map is exact.
    Returns:
        The batch (B, 3, largest H, largest W), and bool (B, largest H, largest W): where the images are.
    Raises:
        ImageError: for anything else in the list, and for an empty one.
    """
    if not images or not all(isinstance(image, Tensor) and image.ndim == 3 for image in images):
        found = ", ".join(str(tuple(x.shape)) if isinstance(x, Tensor) else type(x).__name__ for x in images)
        raise ImageError(f"expected a list of image tensors (3, H, W), got {found or 'an empty list'}.")
    if len({image.shape[0] for image in images}) > 1:
        raise ImageError(f"these images have different channels: {[tuple(image.shape) for image in images]}.")
    largest = (max(image.shape[axis] for image in images) for axis in (1, 2))
    height, width = (-(-side // multiple) * multiple for side in largest)
    fill = [(0, width - image.shape[2], 0, height - image.shape[1]) for image in images]
    batch = torch.stack([F.pad(image, sides) for image, sides in zip(images, fill, strict=True)])
    real = [torch.ones(image.shape[1:], dtype=torch.bool, device=image.device) for image in images]
    return batch, torch.stack([F.pad(mask, sides) for mask, sides in zip(real, fill, strict=True)])


def _expect_three_channels(images: Tensor) -> None:
    """Raise ImageError, with the likely remedy, unless images are a tensor (..., 3, H, W)."""
    if not isinstance(images, Tensor):
        kind = f"{type(images).__module__}.{type(images).__name__}"
        if kind.startswith("numpy."):
            remedy = "torch.from_numpy(array) makes a tensor of it"
        elif kind.startswith("PIL."):
            remedy = "torchvision.transforms.v2.functional.pil_to_tensor(image) makes a tensor of it"
        else:
            remedy = "pass a tensor (B, 3, H, W)"
        raise ImageError(f"expected images as a tensor, got {kind.removeprefix('builtins.')}: {remedy}.")
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


def _is_traced_alone(backbone: nn.Module) -> bool:
    """Whether torch.jit.trace was called for this very module and not for a network around it."""
    return torch.jit.is_tracing() and torch.jit._trace._trace_module_map.get("__module") is backbone


def _is_file(weights: Any) -> bool:
    return isinstance(weights, Path) or (isinstance(weights, str) and Path(weights).suffix in WEIGHT_FILES)


def _known_tag(name: str, tag: str) -> str:
    """The tag, if timm has such weights for this model. Raises UnknownBackboneError, listing those it has."""
    known = [entry.partition(".")[2] for entry in timm.list_pretrained(f"{name}.*")] if tag else []
    if tag and tag not in known:
        there_are = f"there are {', '.join(known)}" if known else "it has none"
        raise UnknownBackboneError(f"timm has no weights {tag!r} of {name!r}; {there_are}.")
    return tag


def _pretrained(name: str, weights: Any, state: dict[str, Tensor] | None, tag: str) -> dict[str, Any]:
    """The arguments that make timm.create_model load the weights that were asked for."""
    if weights is None:
        return {}
    if weights == "imagenet":
        state = imagenet_weights(name)
    if state is not None:
        check_fit(state, classifier_shapes(name), name)
        return {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": state}}
    source, _, other = str(weights).partition(":")
    if source != "timm":
        raise WeightsMissingError(
            f"weights={weights!r} is not understood: use None, 'imagenet', the path of a file that ends in "
            f"{', '.join(WEIGHT_FILES)}, or, with a network, 'timm' or 'timm:TAG'."
        )
    return {"pretrained": True, "download_tag": other or tag}


def _build(name: str, tag: str = "", download_tag: str | None = None, **arguments: Any) -> nn.Module:
    """timm's feature extractor `name`; with `download_tag` its weights are fetched."""
    if download_tag is not None:
        tag = download_tag
    build = partial(timm.create_model, f"{name}.{tag}" if tag else name, features_only=True, **arguments)
    with ShapesOnly():  # on the meta device; on others it changes nothing
        return build() if download_tag is None else download(build)


for _name in timm.list_models():
    register(_name, partial(ImageBackbone, _name))
