"""What a model of timm can do as a backbone, tried out on shapes without numbers.

timm declares strides, channels and sizes, but not always right, and each of its families refuses in words of
its own. So nothing is believed: a twin on torch's meta device, which takes no memory and computes nothing but
shapes, is built and run, and what comes out is what counts.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .backbone import BackboneError, map_faults

OUTPUT_STRIDES = (32, 16, 8)


class OutputStrideError(BackboneError):
    """This backbone cannot be built with the output stride that was asked for."""


class Plan(NamedTuple):
    """How timm is told to build a model with some output stride, and what comes out.

    Attributes:
        arguments: for timm.create_model.
        channels: stride -> channels, counted in the maps.
        image_size: (H, W) at which the maps lie at their strides: what it was trained on, if that works.
    """

    arguments: dict[str, int]
    channels: dict[int, int]
    image_size: tuple[int, int]


class ShapesOnly(TorchFunctionMode):
    """Leaves out what changes numbers only: random starts and batch norm, four fifths of a trial's seconds.

    On the meta device torch works them out in Python, one layer after the other, for numbers that are not there.
    """

    LEFT_OUT = frozenset(
        {Tensor.normal_, Tensor.uniform_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_, F.batch_norm}
    )

    def __torch_function__(
        self, function: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in self.LEFT_OUT:
            tensor = args[0] if args else kwargs["tensor"]  # so torch.nn.init hands it on
            if tensor.is_meta:
                return tensor
        return function(*args, **kwargs)


@lru_cache(maxsize=256)
def plan(name: str, output_stride: int) -> Plan:
    """How to build timm's model `name` with this output stride.

    Raises:
        OutputStrideError: it cannot, or its parameters would be others; the message says what is possible.
        BackboneError: timm cannot cut this model into maps, or they do not lie at their strides.
    """
    # timm refuses by assertions, type errors, run-time errors, ...: hence the broad excepts.
    try:
        native = _twin(name)
    except Exception as error:
        raise BackboneError(
            f"timm cannot cut {name!r} into feature maps ({error}); choose another model."
        ) from error
    native_stride = max(native.feature_info.reduction())
    if output_stride == native_stride:
        return _plan_of(name, native, {})
    if output_stride not in OUTPUT_STRIDES:
        raise OutputStrideError(f"output_stride={output_stride!r} is not possible: choose 32, 16 or 8.")
    _plan_of(name, native, {})  # raises where the model is of no use at all
    only = f"{name!r} can only be built with output_stride={native_stride}"
    try:
        dilated = _twin(name, output_stride)
        reached = max(dilated.feature_info.reduction()) == output_stride
    except Exception:
        reached = False
    if not reached:
        raise OutputStrideError(f"{only}: its layers cannot be dilated.")
    shapes, expected = ({key: x.shape for key, x in twin.state_dict().items()} for twin in (dilated, native))
    if shapes != expected:
        raise OutputStrideError(f"{only}: with {output_stride} it would have other parameters.")
    return _plan_of(name, dilated, {"output_stride": output_stride})


def output_strides(name: str) -> list[int]:
    """Which of 32, 16 and 8 timm's model `name` can be built with."""
    possible = []
    for stride in OUTPUT_STRIDES:
        try:
            plan(name, stride)
            possible.append(stride)
        except BackboneError:
            continue
    return possible


@lru_cache(maxsize=1024)
def takes(name: str, output_stride: int, height: int, width: int) -> bool:
    """Whether the maps of an image of this size lie at their strides."""
    arguments, channels, _ = plan(name, output_stride)
    try:
        maps = _maps(_twin(name, **arguments), height, width)
    except Exception:
        return False
    return not any(map_faults(stride, x, channels[stride], (height, width)) for stride, x in maps.items())


def working_sizes(name: str, output_stride: int, height: int, width: int) -> list[tuple[int, int]]:
    """Up to three sizes that this model takes, the nearest first; none if none is found."""
    sides = height, width
    near = [tuple(max(step, round(side / step) * step) for side in sides) for step in (32, 64, 14, 28, 56)]
    near += [tuple(-(-side // step) * step for side in sides) for step in (32, 64, 128)]
    near += [(side, side) for side in (224, 256, 384, 448, 512)] + [plan(name, output_stride).image_size]
    near = sorted(dict.fromkeys(near), key=lambda size: abs(size[0] - height) + abs(size[1] - width))
    working: list[tuple[int, int]] = []
    for size in near:
        if len(working) < 3 and takes(name, output_stride, *size):
            working.append(size)
    return working


def by_stride(body: nn.Module, maps: Sequence[Tensor]) -> dict[int, Tensor]:
    """timm's list of maps as {stride: (B, C, h, w)}; of several that share a stride the deepest is kept."""
    if getattr(body, "output_fmt", None) == "NHWC":  # timm's Swin family keeps channels last
        maps = [features.permute(0, 3, 1, 2) for features in maps]
    return dict(zip(body.feature_info.reduction(), maps, strict=True))


@lru_cache(maxsize=4)
def _twin(name: str, output_stride: int | None = None) -> nn.Module:
    """timm's feature extractor without numbers."""
    arguments = {} if output_stride is None else {"output_stride": output_stride}
    with torch.device("meta"), ShapesOnly():
        return timm.create_model(name, features_only=True, **arguments).eval()


def _maps(twin: nn.Module, height: int, width: int) -> dict[int, Tensor]:
    with torch.no_grad(), ShapesOnly():
        return by_stride(twin, twin(torch.empty(1, 3, height, width, device="meta")))


def _plan_of(name: str, twin: nn.Module, arguments: dict[str, int]) -> Plan:
    """Try the size it was trained on, and two more. Raises BackboneError."""
    _, *trained_on = twin.pretrained_cfg.get("input_size", (3, 224, 224))
    first_fault = ""
    for size in (tuple(trained_on), (256, 256), (384, 384)):
        try:
            maps = _maps(twin, *size)
        except Exception as error:
            first_fault = first_fault or str(error)
            continue
        # timm's own count of channels is not always right (vitamin): the maps' is.
        channels = {stride: features.shape[1] for stride, features in maps.items()}
        faults = [fault for s in maps for fault in map_faults(s, maps[s], channels[s], size)]
        if not faults:
            return Plan(arguments, channels, size)
        first_fault = first_fault or f"for images of {size[0]}x{size[1]} {faults[0]}"
    raise BackboneError(
        f"{name!r} cannot serve as a backbone, its maps do not lie at their strides: {first_fault}; choose "
        "another model."
    )
