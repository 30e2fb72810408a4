"""Which pixels a feature sees: receptive field and stride, followed through whatever a module computes.

Every operation that moves or gathers positions answers one question: which positions of its input does each
position of its output read? A 3x3 convolution with stride 2 and padding 1 reads 2i-1, 2i, 2i+1. Carried along
from the image, the lowest and the highest pixel that each position sees give the receptive field, through
branches too: where two paths meet, the wider one counts. The algorithm for chains and graphs: Araujo, Norris,
Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill (2019).
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


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


class _Grid(NamedTuple):
    """The positions of a map along one direction, and the lowest and highest pixel that each sees."""

    dim: int  # which dimension of the tensor, counted from its last: -1 for columns in (B, C, H, W)
    low: np.ndarray
    high: np.ndarray
    stride: float

    def read(self, positions: np.ndarray, stride: float) -> "_Grid":
        """The grid of an output whose position i reads `positions[i]`: (outputs, taps), -1 and so on allowed.

        Beyond the border the map is continued at its stride. Taps that are nan read nothing.
        """
        known = np.nan_to_num(positions, nan=0).astype(int)
        inside = known.clip(0, len(self.low) - 1)
        beyond = (known - inside) * self.stride + np.where(np.isnan(positions), np.nan, 0.0)
        low = np.fmin.reduce(self.low[inside] + beyond, axis=1)
        high = np.fmax.reduce(self.high[inside] + beyond, axis=1)
        return _Grid(self.dim, low, high, stride)

    def widest(self) -> float:
        """Pixels that a position sees at most. After interpolation neighbors differ, and what continues such
        a map beyond its border is a guess: so only the middle half of the positions counts."""
        count = len(self.low)
        middle = slice(count // 4, count - count // 4)
        return np.nanmax(self.high[middle] - self.low[middle]) + 1


# For each spatial direction its grid, or None once every number of the tensor sees the whole image.
_Grids = list[_Grid | None]


class _Rows(list):
    """The grids of (..., channels) that was folded into (rows, channels), as torch does for linear layers. No
    dimension is spatial any more, but unfolding brings them back."""

    def __init__(self, grids: _Grids, folded: tuple):
        super().__init__([None] * len(grids))
        self.grids, self.folded = grids, folded


# Operations that treat all positions alike and each for itself, beside those that torch tags as pointwise.
_EACH_POSITION = {
    *("_native_batch_norm_legit_no_training", "native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"),
    *("_batch_norm_no_update", "_batch_norm_with_update", "_native_batch_norm_legit", "native_dropout"),
    *("alias", "clone", "contiguous", "detach", "_to_copy", "lift_fresh", "expand", "_prelu_kernel"),
    *("split", "split_with_sizes", "chunk", "native_channel_shuffle", "channel_shuffle", "glu"),
}
_VIEWS = {"view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze"}
_REDUCTIONS = {"mean", "sum", "amax", "amin", "var", "var_mean", "linalg_vector_norm"}


class Following(TorchDispatchMode):
    """While this is active, tensors that are computed from a `start`ed image remember what they see."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::").removesuffix("_" if func._schema.is_mutable else "")
        named = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        # Collected before the call: an operation in place gives its input a new memory.
        sources = [one for one in tensors(list(named.values())) if hasattr(one, "_sees")]
        before = [(tuple(one.shape), one._sees) for one in sources]
        result = func(*args, **kwargs)
        if before:
            pointwise = torch.Tag.pointwise in func.tags
            for one in tensors(result):
                one._sees = _rule(name, pointwise, named, before, tuple(one.shape))
        return result


def start(image: Tensor) -> None:
    """Let every position of this tensor, (B, C, length) or (B, C, H, W), see itself."""
    image._sees = [
        _Grid(dim, np.arange(image.shape[dim], dtype=float), np.arange(image.shape[dim], dtype=float), 1)
        for dim in range(2 - image.ndim, 0)
    ]


def seen(result: Any) -> ReceptiveField | None:
    """What the tensor, or of several the one that sees most, sees; None if none comes from the image."""
    fields = [_seen(one._sees) for one in tensors(result) if hasattr(one, "_sees")]
    return max(fields, key=lambda field: (field.size, field.stride or math.inf), default=None)


def _seen(grids: _Grids) -> ReceptiveField:
    size = max(math.inf if grid is None else grid.widest() for grid in grids)
    stride = None if None in grids else max(grid.stride for grid in grids)
    return ReceptiveField(_plain(size), stride if stride is None else _plain(stride))


def _plain(number: float) -> float:
    return int(number) if float(number).is_integer() else float(number)


def tensors(value: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists and dictionaries (of any class), in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [one for part in value for one in tensors(part)] if isinstance(value, tuple | list) else []


def _rule(
    name: str, pointwise: bool, named: dict, inputs: list[tuple[tuple, _Grids]], shape: tuple
) -> _Grids:
    """What each position of an output of this shape sees. What is not known to keep positions apart, such as
    attention or flattening, is taken to mix them all."""
    in_shape, grids = inputs[0]
    rank = len(in_shape)
    if any(len(one) != len(grids) for _, one in inputs):  # images and sequences in one operation
        return [None] * len(grids)
    if name == "convolution" or name.startswith(("max_pool", "avg_pool")):
        return [grid and _window(grid, named, shape) for grid in grids]
    if name in ("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad2d"):
        pad = named.get("pad", named.get("padding"))
        before = {-1 - number: amount for number, amount in enumerate(pad[::2])}
        return [grid and _shift(grid, shape, -before.get(grid.dim, 0), 1) for grid in grids]
    if name == "slice":
        dim, first = named.get("dim", 0) % rank - rank, named.get("start") or 0
        step = named.get("step", 1)
        first += in_shape[dim] if first < 0 else 0
        return [_shift(g, shape, first, step) if g and g.dim == dim else g for g in grids]
    if name.startswith(("upsample", "_upsample")):
        return [grid and _resize(grid, shape, name, named.get("align_corners", False)) for grid in grids]
    if name in ("permute", "transpose"):
        order = list(range(rank))
        if name == "permute":
            order = [dim % rank for dim in named["dims"]]
        else:
            a, b = named["dim0"] % rank, named["dim1"] % rank
            order[a], order[b] = b, a
        return [grid and grid._replace(dim=order.index(grid.dim + rank) - rank) for grid in grids]
    if isinstance(grids, _Rows):
        if name in ("mm", "addmm") and shape[0] == in_shape[0]:
            return grids
        return grids.grids if name in _VIEWS and shape[:-1] == grids.folded else list(grids)
    if name in _VIEWS and len(shape) == 2 < rank and shape[-1] == in_shape[-1]:
        return _Rows(grids, in_shape[:-1])
    if name in _VIEWS:
        return [grid and _after_view(grid, in_shape, shape) for grid in grids]
    if name in _REDUCTIONS:
        dims = named.get("dim")
        gone = {dim % rank - rank for dim in (dims if isinstance(dims, list | tuple) else [dims or 0])}
        if dims is None or len(dims) == 0:
            gone = set(range(-rank, 0))
        shift = 0 if len(shape) == rank else 1
        return [
            None
            if grid is None or grid.dim in gone
            else grid._replace(dim=grid.dim + shift * sum(dim > grid.dim for dim in gone))
            for grid in grids
        ]
    if name == "native_layer_norm":
        return [None if grid and -grid.dim <= len(named["normalized_shape"]) else grid for grid in grids]
    if name == "cat" and any(g and g.dim == named.get("dim", 0) % rank - rank for g in grids):
        return [None] * len(grids)
    if pointwise or name in _EACH_POSITION or name == "cat":
        return [_meet([one[number] for _, one in inputs], shape) for number in range(len(grids))]
    return [None] * len(grids)


def _window(grid: _Grid, named: dict, shape: tuple) -> _Grid:
    """Convolution and pooling: kernel positions `dilation` apart, moved by `stride`."""

    def along(key: str, default: Any) -> int:
        values = named.get(key)
        values = default if values is None or values == [] else values
        return values if isinstance(values, int) else values[0 if len(values) == 1 else grid.dim]

    kernel = named["weight"].shape[grid.dim] if "weight" in named else along("kernel_size", None)
    stride = along("stride", kernel)
    padding, dilation = along("padding", 0), along("dilation", 1)
    outputs = np.arange(shape[grid.dim], dtype=float)[:, None]
    taps = np.arange(kernel) * dilation
    if named.get("transposed"):  # output o takes input i through tap t where o = i * stride - padding + t
        positions = (outputs + padding - taps) / stride
        positions[positions % 1 != 0] = np.nan
        return grid.read(positions, grid.stride / stride)
    return grid.read(outputs * stride - padding + taps, grid.stride * stride)


def _shift(grid: _Grid, shape: tuple, first: int, step: int) -> _Grid:
    """Padding (negative `first`) and slicing."""
    positions = np.arange(shape[grid.dim], dtype=float)[:, None] * step + first
    return grid.read(positions, grid.stride * step)


def _resize(grid: _Grid, shape: tuple, name: str, align_corners: bool) -> _Grid:
    """Interpolation: the nearest position, or two or four neighbors."""
    before, after = len(grid.low), shape[grid.dim]
    ratio = before / after
    outputs = np.arange(after)[:, None]
    if "nearest" in name:
        positions = np.floor((outputs + (0.5 if "exact" in name else 0)) * ratio)
    elif align_corners:
        positions = np.floor(outputs * (before - 1) / max(after - 1, 1))
    else:
        positions = np.floor(((outputs + 0.5) * ratio - 0.5).clip(0))
    taps = np.arange(1) if "nearest" in name else np.arange(-1, 3) if "bicubic" in name else np.arange(2)
    return grid.read((positions + taps).clip(0, before - 1), grid.stride * ratio)


def _after_view(grid: _Grid, before: tuple, after: tuple) -> _Grid | None:
    """A view keeps a dimension whose place from the front or from the back is clear."""
    if before[grid.dim :] == after[grid.dim :]:
        return grid
    front = grid.dim + len(before)
    if before[: front + 1] == after[: front + 1]:
        return grid._replace(dim=front - len(after))
    return None


def _meet(grids: _Grids, shape: tuple) -> _Grid | None:
    """Paths meet position by position: the lowest low and the highest high. A single position, or one that
    sees the whole image, is spread over all others."""
    maps = [grid for grid in grids if grid and grid.dim >= -len(shape) and len(grid.low) == shape[grid.dim]]
    if not maps or len({grid.dim for grid in maps}) > 1:
        return None
    low = np.minimum.reduce([grid.low for grid in maps])
    high = np.maximum.reduce([grid.high for grid in maps])
    if len(maps) < len(grids):
        low, high = low - math.inf, high + math.inf
    return _Grid(maps[0].dim, low, high, max(grid.stride for grid in maps))
