"""Which pixels a feature sees: receptive field and stride, followed through whatever a module computes.

A kernel adds (taps - 1) * dilation * (stride of its input) to what a position sees, and its own stride
multiplies the stride; where paths meet, the larger field counts. Araujo, Norris, Sim, Computing Receptive
Fields of Convolutional Neural Networks, Distill (2019). What is not known to keep positions apart sees all.
"""

import math
import re
from typing import Any, NamedTuple

import torch
from torch import Tensor


class ReceptiveField(NamedTuple):
    """What one position of a feature map sees of the image.

    Attributes:
        size: side of the square it sees, in pixels; the longer side if it is a rectangle. Pixels beyond the
            border count, as if the image went on. `math.inf`: the whole image, however large.
        stride: pixels from what one position sees to what the next one sees; None if there are no positions,
            as after global average pooling.
    """

    size: float
    stride: float | None


class _Axis(NamedTuple):
    """The positions of a map along one direction. None in its place: none are left; all is seen."""

    dim: int  # which dimension of the tensor, counted from its last: -1 for columns in (B, C, H, W)
    stride: float = 1
    start: float = 1  # what a position sees of the image, without `reach`
    reach: float = 0  # what kernels added since the map was last enlarged
    grain: float = 1  # the stride before that: neighbors repeat each other, so that `reach` adds whole grains

    @property
    def size(self) -> float:
        return self.start + math.ceil(self.reach / self.grain) * self.grain

    def window(self, steps: float, stride: int = 1) -> "_Axis":
        """Behind a kernel whose last tap is `steps` positions behind its first."""
        return self._replace(reach=self.reach + steps * self.stride, stride=self.stride * stride)

    def resized(self, steps: float, ratio: float) -> "_Axis":
        """Behind interpolation of neighbors, the last `steps` behind the first. Ratio: before / after."""
        start, grain = self.size + steps * self.stride, max(self.grain, self.stride)
        return _Axis(self.dim, self.stride * ratio, start, 0, grain)


class _Sees(NamedTuple):
    axes: list[_Axis | None]  # for each direction of the image
    folded: tuple = ()  # (B, H, W), where (B, H, W, C) became (rows, C), as torch does for linear layers


# What treats each position for itself, beside the operations that torch tags as pointwise.
_EACH = re.compile(
    "_prelu_kernel|_to_copy|alias|cat|celu|(native_)?channel_shuffle|chunk|clone|copy|detach|expand|glu|hardsigmoid"
    "|hardswish|lift_fresh|log_sigmoid_forward|masked_fill|mish|native_dropout|rrelu_with_noise|split(_with_sizes)?"
    "|threshold"
)
_VIEWS = re.compile("(_unsafe_)?view|reshape|_reshape_alias|squeeze|unsqueeze")
_ALONG = re.compile("_(log_|safe_)?softmax|cumsum|flip|roll|sort")
_REDUCTIONS = re.compile("amax|amin|linalg_vector_norm|logsumexp|mean|select|std|sum|var|var_mean")


def tensors(value: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists and dictionaries (of any class), in order."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors(part)]


def is_map(tensor: Tensor) -> bool:
    """Whether it has the form of a map, (B, C, length) or (B, C, H, W)."""
    return tensor.ndim >= 3 and tensor.is_floating_point()


def follow(inputs: Any) -> None:
    """Let each position of the map among the inputs see itself. Several maps have no pixel in common."""
    maps = [tensor for tensor in tensors(inputs) if is_map(tensor)]
    if len(maps) == 1:
        maps[0]._sees = _Sees([_Axis(dim) for dim in range(2 - maps[0].ndim, 0)])


def seen(result: Any) -> ReceptiveField | None:
    """What the tensor, or of several the one that sees most, sees; None if none comes from the image."""
    fields = []
    for axes, folded in (tensor._sees for tensor in tensors(result) if hasattr(tensor, "_sees")):
        fields.append(ReceptiveField(math.inf, None))
        if None not in axes and not folded:
            stride = max(axis.stride for axis in axes)
            stride = stride if stride % 1 else int(stride)
            fields[-1] = ReceptiveField(max(axis.size for axis in axes), stride)
    return max(fields, key=lambda field: (field.size, field.stride or math.inf), default=None)


def behind(
    func: Any, named: dict[str, Any], sources: list[tuple[tuple, _Sees]], after: tuple
) -> _Sees | None:
    """What the result of an operation sees; None for a new tensor that only has the form of another.

    Args:
        func: the operation.
        named: its arguments.
        sources: shape and sight of those that saw something before it.
        after: shape of the result.
    """
    name = func._schema.name.removeprefix("aten::").removesuffix("_" if func._schema.is_mutable else "")
    if name.startswith("new_") or name.endswith("_like"):
        return None
    each = torch.Tag.pointwise in func.tags or bool(_EACH.fullmatch(name))
    view = _VIEWS.fullmatch(name)
    before, (axes, folded) = sources[0]
    if folded and view and after[:-1] == folded:
        return _Sees(axes)
    if folded:
        kept = after[:1] == before[:1] and (each or name in ("mm", "addmm"))
        return _Sees(axes, folded) if kept else _Sees([None] * len(axes))
    if view and len(after) == 2 < len(before) and after[-1] == before[-1]:
        return _Sees(axes, before[:-1])
    if not each:
        return _Sees([axis and _moved(axis, name, named, before, after) for axis in axes])
    joined = named.get("dim", 0) % len(after) - len(after) if name == "cat" else 0
    met = []
    for path in zip(*(axes for _, (axes, _) in sources), strict=False):
        ends = zip(path, sources, strict=True)
        maps = [axis for axis, (shape, _) in ends if axis and shape[axis.dim] == after[axis.dim]]
        apart = len({axis.dim for axis in maps}) == 1 and maps[0].dim != joined
        met.append(max(maps, key=lambda axis: axis.size) if apart else None)
        if apart and len(maps) < len(path):  # one that sees the whole image is spread over the others
            met[-1] = met[-1]._replace(start=math.inf)
    return _Sees(met)


def _moved(axis: _Axis, name: str, named: dict[str, Any], before: tuple, after: tuple) -> _Axis | None:
    """One direction behind an operation that moves, gathers or mixes positions."""
    rank, place = len(before), axis.dim + len(before)

    def along(key: str, default: int) -> int:
        values = named.get(key) or default
        return values if isinstance(values, int) else values[0 if len(values) == 1 else axis.dim]

    dims = named.get("dim", named.get("dims"))
    dims = [dim % rank - rank for dim in ([dims] if isinstance(dims, int) else dims or [])]
    if name == "convolution" or name.startswith(("max_pool", "avg_pool")):
        kernel = named["weight"].shape[axis.dim] if "weight" in named else along("kernel_size", 1)
        steps, stride = (kernel - 1) * along("dilation", 1), along("stride", kernel)
        if named.get("transposed"):  # it reads only the taps that fall on a position of its input
            return axis.resized(steps // stride, 1 / stride)
        return axis.window(steps, stride)
    if "upsample" in name:
        ratio = before[axis.dim] / after[axis.dim]
        taps = 1 if "nearest" in name else 4 if "bicubic" in name else 2
        return axis.resized(taps * (max(ratio, 1) if name.endswith("_aa") else 1) - 1, ratio)
    if name == "slice":
        return axis.window(0, named.get("step", 1)) if axis.dim == (dims or [-rank])[0] else axis
    if name == "permute":
        return axis._replace(dim=dims.index(axis.dim) - rank)
    if name == "transpose":
        swapped = [named["dim0"] % rank - rank, named["dim1"] % rank - rank]
        return axis._replace(dim=swapped[swapped[0] == axis.dim]) if axis.dim in swapped else axis
    if _VIEWS.fullmatch(name):  # is its place the same, counted from the back or from the front?
        if before[axis.dim :] == after[axis.dim :]:
            return axis
        return axis._replace(dim=place - len(after)) if before[: place + 1] == after[: place + 1] else None
    if _REDUCTIONS.fullmatch(name):
        dims = dims or ([-rank] if name == "select" else range(-rank, 0))
        behind = sum(dim > axis.dim for dim in dims) if len(after) < rank else 0
        return None if axis.dim in dims else axis._replace(dim=axis.dim + behind)
    norm_apart = "normalized_shape" in named and -axis.dim > len(named["normalized_shape"])
    running = "batch_norm" in name and not named.get("training", name.endswith("with_update"))
    if "_pad" in name or norm_apart or running or (_ALONG.fullmatch(name) and dims and axis.dim not in dims):
        return axis
    # All else mixes positions. There may be as many as before.
    same = len(after) == rank and after[axis.dim] == before[axis.dim]
    return axis._replace(start=math.inf) if same else None
