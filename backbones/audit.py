"""Does a backbone keep the contract? `check_backbone` tries it and says in sentences what it found.

    check_backbone(mine)                   # an image backbone, tried at two sizes
    check_backbone(mine, tokens, lengths)  # any other, with inputs of its own
    check_backbone("mine")                 # a registered name, or what builds one: other output strides too

Nothing said, nothing wrong. Copies of the backbone run; itself it is left alone.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .backbone import BackboneError, ByStride, Features, create_backbone, map_faults
from .measure.cost import ledger

OUTPUT_STRIDES = 32, 16, 8
_MANY = 3  # names that a sentence lists; more are counted
_ENOUGH = 8  # rows of a map; fewer tell nothing of how they came about
_ROUNDING = 1e-4  # of the largest singular value: what float32 leaves of an exact zero is far below


def check_backbone(backbone: nn.Module | str | Callable[..., nn.Module], *inputs: Any) -> list[str]:
    """Say in sentences where a backbone does not keep the contract; nothing said, nothing wrong.

    Tried are, in this order, and the next group only where the one before is in order: what it declares;
    strides, channels and sizes of its maps; whether its features depend on earlier calls, on other images of
    the batch or on padding, whether a map is a coarser one enlarged (images only), layers that torch does not
    find, gradients; what is saved and loaded, double precision, costs and `torch.export` (images only). With
    a name or a builder also whether each output stride keeps the same parameters.

    Args:
        backbone: any module, a registered name, or a function like those `register` takes.
        inputs: what its `forward` takes: first images (B, 3, H, W), tokens (B, T) or nodes (N, F). Without:
            images of the size that it says it is for (`image_size`) or else of 128 x 128 pixels, and some of
            a size that is no multiple of anything, which it may refuse by a BackboneError.
    Returns:
        One sentence for each fault.
    Raises:
        UnknownBackboneError: for a name that is not registered.
    """
    if isinstance(backbone, nn.Module):
        return _faults(backbone, inputs)
    build = partial(create_backbone, backbone) if isinstance(backbone, str) else backbone
    first = build()
    return _faults(first, inputs) or [*_second_faults(first, build(), inputs), *_stride_faults(build, first)]


def _faults(backbone: nn.Module, inputs: tuple) -> list[str]:
    """What is wrong with this module."""
    if faults := list(_promise_faults(backbone)):
        return faults
    twin = copy.deepcopy(backbone).eval()
    tried = inputs or _images(backbone)
    faults = list(_feature_faults(twin, tried))
    if not inputs:
        odd = tried[0].new_empty(1, 3, 97, 131).uniform_()
        faults += _feature_faults(twin, (odd,), may_refuse=True)
    if faults or tried[0].device.type == "meta":  # without numbers the rest cannot be seen
        return faults
    faults = [*_independence_faults(twin, tried), *_detail_faults(twin, tried), *_hidden_faults(twin)]
    faults += _gradient_faults(backbone, tried)
    return faults or [*_use_faults(backbone, twin, tried)]


def _images(backbone: nn.Module) -> tuple[Tensor]:
    """Two images, where and as precise as the weights are."""
    like = next((weight for weight in backbone.parameters() if weight.is_floating_point()), torch.empty(0))
    height, width = getattr(backbone, "image_size", (128, 128))
    return (like.new_empty(2, 3, height, width).uniform_(),)


def _promise_faults(backbone: nn.Module) -> Iterator[str]:
    """What is wrong before anything runs."""
    if not isinstance(getattr(backbone, "name", None), str):
        yield "it has no .name: set self.name to a text"
    channels = getattr(backbone, "channels", None)
    if not isinstance(channels, Mapping) or not channels:
        yield "it has no .channels: set self.channels = ByStride({stride: number of channels, ...})"
        return
    for stride, width in channels.items():
        if not (isinstance(stride, int) and isinstance(width, int) and stride > 0 and width > 0):
            yield f".channels says {stride!r}: {width!r}; both have to be whole numbers above 0"
    if not isinstance(channels, ByStride):
        yield ".channels is a plain dictionary: make it a ByStride, which explains a missing stride"


def _feature_faults(backbone: nn.Module, inputs: tuple, may_refuse: bool = False) -> Iterator[str]:
    """What is wrong with the features of these inputs."""
    first = inputs[0]
    given = f"for an input of shape {tuple(first.shape)}"
    before = first.clone()
    try:
        features = _run(backbone, inputs)
    except BackboneError as error:
        if not may_refuse:
            yield f"it refuses an input of shape {tuple(first.shape)}: {error}"
        return
    except Exception as error:
        yield f"{given} it raises {_said(error)}; refuse by a BackboneError that says why"
        return
    if first.device.type != "meta" and not torch.equal(before, first):
        yield f"{given} it changes the input in place: compute with a copy"
    if not isinstance(features, Features):
        yield f"{given} it returns {type(features).__name__}: return Features(maps, size=...)"
        return
    size = _size(first)
    if features.size != size:
        yield f"{given} features.size is {features.size}, but the input's is {size}"
        return
    if set(features) != set(backbone.channels):
        yield f"{given} it returns strides {sorted(features)}, but .channels says {sorted(backbone.channels)}"
        return
    for stride, maps in features.items():
        channels = backbone.channels[stride]
        yield from (f"{given} {fault}" for fault in map_faults(stride, maps, channels, features.size))
        if maps.device.type != "meta" and not maps.isfinite().all():
            yield f"{given} the map at stride {stride} holds numbers that are not finite"


def _independence_faults(backbone: nn.Module, inputs: tuple) -> Iterator[str]:
    """Whether features depend on what they must not know. The backbone is in eval mode."""
    first, features = inputs[0], _run(backbone, inputs)
    _run(backbone, [x.flip(0) if x.layout == torch.strided else x for x in inputs])
    if not _same(features, _run(backbone, inputs)):
        yield (
            "the same input gives other features the second time: keep nothing from call to call, draw no "
            "random numbers in eval mode (nn.Dropout keeps quiet there by itself)"
        )
    elif not _is_graph(first):
        alone = _run(backbone, [x[:1] for x in inputs])
        if not _same(alone, {stride: maps[:1] for stride, maps in features.items()}):
            yield "features of one input depend on the others in its batch: mix nothing over dimension 0"
    if len(inputs) > 1 and not first.is_floating_point() and features.mask is not None:
        tokens = first.where(features.mask, first.max())  # other padding
        with_other = _run(backbone, (tokens, *inputs[1:]))
        if not _same(_real(features), _real(with_other)):
            yield "the features of real tokens depend on the padding behind them: leave it out by the mask"


def _detail_faults(backbone: nn.Module, inputs: tuple) -> Iterator[str]:
    """Whether a fine map of an image is a coarser one enlarged. The backbone is in eval mode.

    Noise differs at every pixel, and so does what a true map says of two images of noise. In one enlarged
    by repeating or interpolating, all rows are weighted sums of the few that the coarse one had, and
    all columns are. What is convolved after enlarging says more than that, and passes.
    """
    first, *others = inputs
    if first.ndim != 4 or not first.is_floating_point():
        return
    one, two = (_run(backbone, (torch.rand_like(first), *others)) for _ in range(2))
    for stride, maps in one.items():
        change = (maps[0] - two[stride][0]).double()  # (C, H, W); what padding and biases do is gone
        if _half_is_enough(change.movedim(1, 0)) and _half_is_enough(change.movedim(2, 0)):
            yield (
                f"the map at stride {stride} is a coarser one enlarged: give what is computed at this "
                "stride, or declare the coarser one alone; heads enlarge by themselves"
            )


def _half_is_enough(lines: Tensor) -> bool:
    """Whether all rows (or columns) of a map are weighted sums of half of them, (H, ...)."""
    lines = lines.flatten(1)
    lines = lines[lines.any(dim=1)]  # not those of zeros, which a ReLU may leave
    few = (len(lines) + 1) // 2
    return len(lines) >= _ENOUGH and int(torch.linalg.matrix_rank(lines, rtol=_ROUNDING)) <= few


def _hidden_faults(backbone: nn.Module) -> Iterator[str]:
    """What torch does not know to be part of the backbone: not trained, not saved, not moved to a GPU."""
    for name, module in backbone.named_modules():
        known = {id(part) for part in [*module.modules(), *module.parameters(), *module.buffers()]}
        for key, value in vars(module).items():
            where = f"self.{key}" + (f" of {name}" if name else "")
            if isinstance(value, Tensor):
                yield f"{where} is a plain tensor, which is not saved: use nn.Parameter or register_buffer"
            values = value.values() if isinstance(value, dict) else value
            if isinstance(value, list | tuple | dict) and any(
                isinstance(part, nn.Module | nn.Parameter) and id(part) not in known for part in values
            ):
                yield (
                    f"{where} holds layers or weights in a plain {type(value).__name__}, where torch cannot "
                    "find them: use nn.ModuleList, nn.ModuleDict or nn.ParameterList"
                )


def _gradient_faults(backbone: nn.Module, inputs: tuple) -> Iterator[str]:
    """Whether training reaches every parameter, and what lies before the backbone."""
    twin = copy.deepcopy(backbone).train().requires_grad_()  # frozen or not
    inputs = [x.detach().clone().requires_grad_() if _is_input_map(x) else x for x in inputs]
    try:
        with torch.enable_grad():
            features = twin(*inputs)
            maps = [*features.values(), *([] if features.summary is None else [features.summary])]
            sum(x.square().sum() for x in maps).backward()
    except Exception as error:
        yield f"training it raises {_said(error)}"
        return
    missing = [name for name, p in twin.named_parameters() if p.grad is None]
    if missing:
        more = f" and {len(missing) - _MANY} more" if len(missing) > _MANY else ""
        yield (
            f"no gradient reaches {', '.join(missing[:_MANY])}{more}: use every layer in forward, and cut "
            "nothing off by .detach(), .data or torch.no_grad()"
        )
    if inputs[0].requires_grad and inputs[0].grad is None and not missing:
        yield "no gradient reaches the input: cut nothing off by .detach(), .data or torch.no_grad()"


def _use_faults(untried: nn.Module, backbone: nn.Module, inputs: tuple) -> Iterator[str]:
    """Whether it can be saved and loaded, made more precise, exported and costed."""
    features = _run(backbone, inputs)
    other = copy.deepcopy(untried).eval()
    for value in other.state_dict().values():
        if value.is_floating_point():
            value.add_(1)
    _run(other, inputs)  # what it computes ahead of time, it does now, from wrong weights
    try:
        other.load_state_dict(backbone.state_dict())
        loaded = _same(features, _run(other, inputs))
    except Exception as error:
        yield f"its own state_dict() cannot be loaded: {_said(error)}"
        return
    if not loaded:
        yield "with its state_dict() loaded it gives other features: compute nothing ahead of time"
    uses = {
        "in double precision (.double())": lambda: _run(
            copy.deepcopy(backbone).double(), [x.double() if x.is_floating_point() else x for x in inputs]
        ),
        "counting its costs (cost.ledger)": lambda: ledger(backbone, *inputs),
    }
    if inputs[0].ndim == 4:
        uses["in torch.export"] = lambda: torch.export.export(backbone, tuple(inputs))
    for use, run in uses.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run()
        except Exception as error:
            yield f"{use} it raises {_said(error)}"


def _second_faults(first: nn.Module, second: nn.Module, inputs: tuple) -> Iterator[str]:
    """Whether the weights of one are all that another of its kind needs."""
    inputs = inputs or _images(first)
    try:
        second.load_state_dict(first.state_dict())
        same = _same(_run(first.eval(), inputs), _run(second.eval(), inputs))
    except Exception as error:
        yield f"the state_dict() of one cannot be loaded into another: {_said(error)}"
        return
    if not same:
        yield "another one with the same state_dict() gives other features: save there all that it needs"


def _stride_faults(build: Callable[..., nn.Module], first: nn.Module) -> Iterator[str]:
    """Whether output strides that it does not refuse are kept, with the parameters of the first."""
    expected = {name: value.shape for name, value in first.state_dict().items()}
    for stride in OUTPUT_STRIDES if len(first.channels) > 1 else ():
        try:
            other = build(output_stride=stride)
        except (BackboneError, TypeError) as error:
            if isinstance(error, BackboneError) or "output_stride" in str(error):
                continue  # refusing is allowed
            raise
        if max(other.channels) != stride:
            yield f"built with output_stride={stride} its largest stride is {max(other.channels)}"
        elif {name: value.shape for name, value in other.state_dict().items()} != expected:
            yield f"with output_stride={stride} it has other parameters: dilate, and leave the layers alone"
        else:
            yield from (f"with output_stride={stride}: {fault}" for fault in _faults(other, ()))


def _run(backbone: nn.Module, inputs: Any) -> Any:
    with torch.no_grad():
        return backbone(*inputs)


def _same(some: Mapping[int, Tensor], others: Mapping[int, Tensor]) -> bool:
    """Whether all maps are equal, but for rounding."""
    return all(
        maps.shape == others[stride].shape and torch.allclose(maps, others[stride], rtol=1e-3, atol=1e-4)
        for stride, maps in some.items()
    )


def _real(features: Features) -> dict[int, Tensor]:
    """The maps of texts, with zeros where there is padding."""
    return {stride: maps * features.mask[:, None] for stride, maps in features.items()}


def _size(first: Tensor) -> tuple[int, ...]:
    """Of an input, without batch and channels."""
    if _is_graph(first):
        return tuple(first.shape[:1])
    return tuple(first.shape[1:] if first.ndim == 2 else first.shape[2:])


def _is_graph(first: Tensor) -> bool:
    return first.ndim == 2 and first.is_floating_point()  # nodes (N, F); tokens (B, T) are whole numbers


def _is_input_map(x: Tensor) -> bool:
    return x.is_floating_point() and x.layout == torch.strided


def _said(error: Exception) -> str:
    return f"{type(error).__name__} ({' '.join(str(error).split())[:100]})"
