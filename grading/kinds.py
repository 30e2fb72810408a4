"""What hidden checks of labs ask for besides right numbers: one helper for each kind of slip.

Independent answers to labs 01-05 slipped through in kinds, not in cases. So every hidden check uses these:

    memory layout       for twin in other_layouts(x): assert close(f(twin), expected), "..."
    number types        for twin in other_types(x): ...
    leaves no trace     with leaves_no_trace(x, network): f(x, network)
    errors              refuses(ValueError, f, -1, mentions=["-1"])     a subclass is welcome
    forgiving numbers   assert close(f(x), [1.0, -torch.inf]), "..."    any type of number, same shape
    which one, all      look_alikes(): a network in which names, modes and owners of parameters differ
    edges               numbers_at_the_edge(), masks_at_the_edge()

The sentence beside an `assert` says what a learner did wrong; what a helper finds out itself, it says.
Only hidden checks import this module (learners' versions do without), and only it needs torch in `grading`.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FLOATS = (torch.float64, torch.float32)
WHOLE = (torch.int64, torch.int32, torch.uint8)

# Memory layout and number types -----------------------------------------------------------------------------


def other_layouts(*tensors: Tensor) -> Iterator[Any]:
    """The same numbers, stored differently: transposed, with gaps, as a part of a larger tensor, expanded.

    What lies between and around the numbers is nan, or 99. A twin keeps `requires_grad`.

    Args:
        tensors: of any shapes and types.

    Yields:
        A twin of the tensor; of several tensors a tuple, all of them stored in the same manner.
    """
    for layout in (*map(_ordered, ORDERS), _gaps, _inside, _expanded):
        twins = [layout(tensor.detach()).requires_grad_(tensor.requires_grad) for tensor in tensors]
        if any(twin.storage_offset() or not twin.is_contiguous() for twin in twins):
            yield twins[0] if len(twins) == 1 else tuple(twins)


ORDERS: tuple[Callable[[list[int]], list[int]], ...] = (  # of dimensions in memory, the slowest first
    lambda dims: dims[::-1],
    lambda dims: dims[:2][::-1] + dims[2:],
    lambda dims: dims[:-2] + dims[-2:][::-1],
    lambda dims: [0, 2, 3, 1] if len(dims) == 4 else dims,  # channels_last
)


def _ordered(order: Callable[[list[int]], list[int]]) -> Callable[[Tensor], Tensor]:
    def layout(tensor: Tensor) -> Tensor:
        dims = order(list(range(tensor.ndim)))
        back = [dims.index(dim) for dim in range(tensor.ndim)]
        return tensor.permute(dims).clone(memory_format=torch.contiguous_format).permute(back)

    return layout


def _around(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    return tensor.new_full(shape, torch.nan if tensor.is_floating_point() else 99)


def _gaps(tensor: Tensor) -> Tensor:
    twin = _around(tensor, [*tensor.shape, 3])[..., 1]
    return twin.copy_(tensor)


def _inside(tensor: Tensor) -> Tensor:
    twin = _around(tensor, [size + 2 for size in tensor.shape])[(slice(1, -1),) * tensor.ndim]
    return twin.copy_(tensor)


def _expanded(tensor: Tensor) -> Tensor:
    """One number for a whole dimension, wherever all numbers along it are equal."""
    twin = tensor.clone(memory_format=torch.contiguous_format)
    for dim, size in enumerate(tensor.shape):
        if size > 1 and twin.numel() and bool((twin == twin.narrow(dim, 0, 1)).all()):
            twin = twin.narrow(dim, 0, 1)
    return twin.expand(tensor.shape)


def other_types(
    *values: Tensor | int,
    floats: Sequence[torch.dtype] = FLOATS,
    whole: Sequence[torch.dtype] = WHOLE,
    arrays: bool = False,
) -> Iterator[Any]:
    """The same numbers in other types: floating ones in `floats`, whole ones in `whole`, int as numpy's.

    Args:
        values: tensors and Python integers; bool and what holds neither stays as it is.
        floats: add torch.float16 or bfloat16 where the exercise allows them; mind the tolerance.
        whole: a type that cannot hold the numbers is left out.
        arrays: numpy arrays as well.

    Yields:
        A twin of the value; of several values a tuple in which all floating or all whole ones changed.
    """
    for dtype in (*floats, *whole):
        twins = [_in_type(value, dtype) for value in values]
        if any(twin is not value for twin, value in zip(twins, values, strict=True)):
            yield twins[0] if len(twins) == 1 else tuple(twins)
    if arrays:
        twins = [value.detach().numpy().copy() if isinstance(value, Tensor) else value for value in values]
        yield twins[0] if len(twins) == 1 else tuple(twins)


def _in_type(value: Any, dtype: torch.dtype) -> Any:
    if type(value) is int and dtype in (torch.int64, torch.int32):
        return np.int64(value) if dtype == torch.int64 else np.int32(value)
    if not isinstance(value, Tensor) or value.dtype in (dtype, torch.bool):
        return value
    if value.is_floating_point() != dtype.is_floating_point:
        return value
    twin = value.detach().to(dtype)
    if not dtype.is_floating_point:
        return twin if torch.equal(twin.to(value.dtype), value) else value
    return twin.requires_grad_(value.requires_grad)


# Leaves no trace --------------------------------------------------------------------------------------------


@contextmanager
def leaves_no_trace(*things: Any, rng: bool = False, **named: Any) -> Iterator[None]:
    """Fail if the code inside changes one of `things`, or torch's grad mode or default type.

    Args:
        things: tensors (numbers, shape, requires_grad, grad), modules (parameters, buffers, modes, hooks and
            plain attributes of every part), arrays, torch or numpy generators, lists, tuples, sets and
            dictionaries of these, and whatever compares by ==.
        rng: the global random states of torch, numpy and Python as well.
        named: things with the name that the learner knows them by.

    Raises:
        AssertionError: says what was changed, and where in it.
    """
    all_things = {f"input {place}": thing for place, thing in enumerate(things, 1)} | named
    before = {name: _state(thing, copy=True) for name, thing in all_things.items()} | _of_torch(rng)
    yield
    after = {name: _state(thing, copy=False) for name, thing in all_things.items()} | _of_torch(rng)
    for name, state in before.items():
        changed = [part for part in {**state, **after[name]} if not _same(state, after[name], part)]
        assert not changed, (
            f"{name} is not as it was before the call: {', '.join(changed[:4])}"
            f"{' and more' if len(changed) > 4 else ''} changed; work on a copy, or put it back"
        )


def _of_torch(rng: bool) -> dict[str, dict[str, Any]]:
    state: dict[str, Any] = {"grad mode": torch.is_grad_enabled(), "default type": torch.get_default_dtype()}
    if rng:
        state["global random numbers of torch"] = torch.get_rng_state()
        state["global random numbers of numpy"] = repr(np.random.get_state())  # noqa: NPY002  (the global one)
        state["global random numbers of Python"] = random.getstate()
    return {"torch": state}


def _state(thing: Any, copy: bool) -> dict[str, Any]:
    """Every part of a thing by a name to tell a learner.

    Args:
        thing: see `leaves_no_trace`.
        copy: copy the numbers, for what is compared later; what is compared at once need not be copied.
    """
    state: dict[str, Any] = {}
    _note(state, thing, "", copy)
    return state


def _note(state: dict[str, Any], thing: Any, where: str, copy: bool) -> None:
    """Add the parts of a thing, which stands at `where`, to `state`."""
    at = f" of {where}" if where else ""
    kind = type(thing)
    if kind in PLAIN:  # what most attributes of modules are
        state[f"value{at}"] = thing
    elif isinstance(thing, Tensor):
        numbers, grad = thing.detach(), thing.grad if thing.is_leaf else None
        state[f"numbers{at}"] = numbers.clone() if copy else numbers
        state[f"requires_grad{at}"] = thing.requires_grad
        state[f"grad{at}"] = grad.clone() if copy and grad is not None else grad
    elif isinstance(thing, nn.Module):
        for name, part in thing.named_modules(remove_duplicate=False):
            _note_module(state, part, f"{where}.{name}".strip(".") or "the module", copy)
    elif isinstance(thing, list | tuple):
        state[f"length{at}"] = len(thing)
        for place, value in enumerate(thing):
            _note(state, value, f"item {place}{at}", copy)
    elif isinstance(thing, dict):
        state[f"keys{at}"] = list(thing)
        for key, value in thing.items():
            _note(state, value, f"{key!r}{at}", copy)
    elif isinstance(thing, torch.Generator):
        state[f"random state{at}"] = thing.get_state()
    elif isinstance(thing, np.random.Generator):
        state[f"random state{at}"] = repr(thing.bit_generator.state)
    else:
        state[f"value{at}"] = thing.copy() if isinstance(thing, np.ndarray | set) else thing


def _note_module(state: dict[str, Any], part: nn.Module, inner: str, copy: bool) -> None:
    """Add what stands in a module itself, not in its children."""
    own = vars(part)
    for key in CHILDREN:
        for child, tensor in own.get(key, {}).items():
            label = child if inner == "the module" else f"{inner}.{child}"
            state[f"object {label}"] = tensor and id(tensor) if key == "_modules" else id(tensor)
            if isinstance(tensor, Tensor):
                _note(state, tensor, label, copy)
    state[f"hooks of {inner}"] = [hook for key in HOOKS if own.get(key) for hook in own[key]]
    state[f"mode (train or eval) of {inner}"] = part.training
    for key in [key for key in own if key not in EVERY]:
        value = own[key]
        if key.startswith("_") and not isinstance(value, NOTED):
            continue
        if type(value) in PLAIN:
            state[f"value of {inner}.{key}"] = value
        else:
            _note(state, value, f"{inner}.{key}", copy)


PLAIN = frozenset({int, float, str, bool, type(None)})
CHILDREN = "_parameters", "_buffers", "_modules"
EVERY = frozenset(vars(nn.Module()))  # what stands in every module
HOOKS = tuple(key for key in vars(nn.Module()) if "hooks" in key)
NOTED = (int, str, Tensor, dict, list)  # private attributes of a module that count


def _same(before: dict[str, Any], after: dict[str, Any], part: str) -> bool:
    if part not in before or part not in after:
        return False
    old, new = before[part], after[part]
    if old is new:
        return True
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        if old.dtype != new.dtype:
            return False
        alike = old.layout == new.layout == torch.strided and old.device == new.device
        # The second says the same of nan, and of other layouts, and takes ten times as long.
        return (alike and torch.equal(old, new)) or close(new, old, tolerance=0)
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        return old.dtype == new.dtype and np.array_equal(old, new)
    return bool(old == new)


# Errors and numbers -----------------------------------------------------------------------------------------


def refuses(
    error: type[Exception],
    function: Callable,
    /,
    *args: Any,
    mentions: str | int | Sequence[str | int] = (),
    **kwargs: Any,
) -> Exception:
    """Check that a call raises `error` or a subclass of it, and that the message says what it should.

    Args:
        error: the type that the exercise's text names.
        function: called with `args` and `kwargs`.
        mentions: what the message must contain, upper or lower case; a number must stand alone.

    Returns:
        The error, so that `assert refuses(...)` works too.

    Raises:
        AssertionError: says what happened instead.
    """
    shown = [_short(value) for value in args] + [f"{name}={_short(value)}" for name, value in kwargs.items()]
    call = f"{getattr(function, '__name__', 'the function')}({', '.join(shown)})"
    try:
        got = function(*args, **kwargs)
    except Exception as caught:
        raised = caught
    else:
        raise AssertionError(f"{call}: expected {error.__name__}, but it was accepted and gave {_short(got)}")
    said = f"{type(raised).__name__}: {raised}"
    assert isinstance(raised, error), f"{call}: expected {error.__name__}, got {said}"
    for word in map(str, [mentions] if isinstance(mentions, str | int) else mentions):
        alone = rf"(?<![\w.-]){word}(?!\w|\.\d)"  # 1 is neither in 11 nor in -1 nor in 1.5
        pattern = alone if word.lstrip("-").isdigit() else re.escape(word)
        assert re.search(pattern, str(raised), re.IGNORECASE), (
            f"{call}: should mention {word}, but says {said}"
        )
    return raised


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_short, value))}]"
    text = repr(value)
    return text if len(text) < 60 else f"{text[:50]}... ({type(value).__name__})"


def close(got: Any, expected: Any, tolerance: float = 1e-5, absolute: float | None = None) -> bool:
    """Whether two results are the same numbers in the same shape; any type of number, numpy, sparse.

    nan equals nan, and an infinity only itself.

    Args:
        got: a tensor, an array, a number, or a tuple or list of these.
        expected: the same.
        tolerance: relative; in half precision at least what rounding costs there.
        absolute: for numbers near 0; None: the tolerance. Give 0 where all numbers are tiny.
    """
    if any(isinstance(value, Tensor) and value.ndim for pair in (got, expected)
           if isinstance(pair, tuple | list) for value in pair):  # fmt: skip
        return (
            isinstance(got, tuple | list)
            and isinstance(expected, tuple | list)
            and len(got) == len(expected)
            and all(close(one, other, tolerance, absolute) for one, other in zip(got, expected, strict=True))
        )
    try:
        got, expected = (torch.as_tensor(value).detach().cpu() for value in (got, expected))
    except (TypeError, ValueError, RuntimeError):  # None, a string, rows of different lengths
        return False
    if got.shape != expected.shape:
        return False
    if tolerance:
        coarse = [value.dtype for value in (got, expected) if value.is_floating_point()]
        tolerance = max([tolerance, *(4 * torch.finfo(dtype).eps for dtype in coarse if dtype.itemsize == 2)])
    got, expected = (
        value.to_dense() if value.layout != torch.strided else value for value in (got, expected)
    )
    absolute = tolerance if absolute is None else absolute
    return torch.allclose(got.double(), expected.double(), tolerance, absolute, equal_nan=True)


# Which one, all of it, edges --------------------------------------------------------------------------------


class LookAlikes(nn.Module):
    """(B, 4) -> (B, 4): a small network with everything that answers forget. See `look_alikes`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), 2.0))  # its own, beside its children's
        self.layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(12)))  # "1" and "11"
        self.norm = nn.BatchNorm1d(4)
        self.norm1 = nn.Sequential(nn.LayerNorm(4), nn.Dropout(0.5))
        self.encoder, self.decoder = nn.Linear(4, 4), nn.Linear(4, 4)
        self.decoder.weight = self.encoder.weight  # tied: one tensor, two names
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("positions", torch.arange(4.0), persistent=False)  # not in the state dict

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, 4) -> (B, 4)"""
        features = self.norm1(self.norm(self.layers(inputs - self.mean)))
        return self.decoder(self.encoder(features)) * self.scale + self.positions


def look_alikes(seed: int = 0) -> LookAlikes:
    """A network that an answer for "the usual network" gets wrong.

    Names resemble each other ("1" and "11"), one weight is tied, one frozen, one parameter is the network's
    own, one buffer is not saved; all of it is in training, but `norm` and `norm1.1` are in evaluation.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LookAlikes().train()
    network.layers[3].weight.requires_grad_(False)
    network.norm.eval()
    network.norm1[1].eval()
    return network


def numbers_at_the_edge(count: int = 6) -> dict[str, Tensor]:
    """Rows (count,) of float32 by what is special about them; `one` (1,) and `none` (0,) are shorter."""
    steps = torch.arange(float(count))
    return {
        "constant": torch.full((count,), 3.0),
        "nearly constant": 3 + 1e-4 * steps,  # its deviation is not 0
        "zero": torch.zeros(count),
        "large": 1e4 * (steps - 1),  # its exp overflows
        "very negative": -1000 - steps,  # below the -1000 that some take for minus infinity
        "huge": 1e15 * (steps - 1),  # its squares still fit
        "tiny": 1e-15 * (steps + 1),
        "one": torch.tensor([2.0]),
        "none": torch.zeros(0),
    }


def masks_at_the_edge(length: int = 5) -> Tensor:
    """(5, length) bool: all real, the first only, the last only, a hole inside, none at all; length >= 3."""
    mask = torch.ones(5, length, dtype=torch.bool)
    mask[1, 1:], mask[2, :-1], mask[3, 1], mask[4] = False, False, False, False
    return mask
