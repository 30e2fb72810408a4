"""Runs a module once and writes down, operation by operation, where it ran and what it cost.

A forward pass is a sequence of torch operations. Costs that are sums over operations add up, however they are
grouped: nothing counts twice, nothing is left out. `cost.py` groups them by part and stage.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..backbone import Backbone
from .receptive import Following, ReceptiveField, seen, start, tensors

ELSEWHERE = "elsewhere"  # the part of what runs in none of the parts


class Step(NamedTuple):
    """One torch operation: the part it ran in, and what it cost."""

    part: str
    parameters: int  # of those that no operation before it used
    multiply_adds: int
    live_bytes: int  # input and intermediate results that exist right after it


class Meter(TorchDispatchMode):
    """While this is active, every torch operation is written down. See `run`.

    Attributes:
        steps: the operations, in order.
        saved: for each memory that autograd would keep: the step that made it (0 for the input), bytes.
        sees: what the result of each part sees.
        maps: for parts that return a dictionary of feature maps: for each the last step that wrote it, its
            key, and what it sees; in the order of the steps.
        unused: id -> size, of the parameters that no operation used.
    """

    def __init__(self, module: nn.Module, inputs: Any, parts: dict[str, nn.Module], flops: FlopCounterMode):
        super().__init__()
        self.flops = flops
        self.running: list[str] = []  # the parts we are inside of, innermost last
        self.steps: list[Step] = []
        self.saved: list[tuple[int, int]] = []
        self.sees: dict[str, ReceptiveField | None] = {}
        self.maps: dict[str, list[tuple[int, Any, ReceptiveField | None]]] = {}
        self.unused = {id(parameter): parameter.numel() for parameter in module.parameters()}
        self.made: dict[int, int] = {}  # memory -> the last step that wrote it
        fixed = [*module.parameters(), *module.buffers()]
        self.kept = {memory_of(one): StorageWeakRef(one.untyped_storage()) for one in fixed}
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        for one in tensors(inputs):
            self._occupy(one)
        self.hooks = [
            one.register_forward_pre_hook(self._enter_backbone)
            for one in module.modules()
            if isinstance(one, Backbone)
        ]
        for name, part in parts.items():
            self.hooks.append(part.register_forward_pre_hook(lambda *_, name=name: self.running.append(name)))
            self.hooks.append(
                part.register_forward_hook(lambda _, __, out, name=name: self._leave(name, out))
            )

    def _enter_backbone(self, _: nn.Module, inputs: tuple) -> None:
        """What comes before a backbone, such as resizing images into a batch, may have lost the trail."""
        follow_image(inputs)

    def _leave(self, name: str, result: Any) -> None:
        self.running.pop()
        self.note(name, result)

    def note(self, name: str, result: Any) -> None:
        """Write down what matters of a part's result. Keeping the result itself would spoil the peak."""
        self.sees[name] = seen(result)
        if isinstance(result, dict):
            maps = [(self.made.get(memory_of(one), 0), key, seen(one)) for key, one in result.items()]
            self.maps[name] = sorted(maps, key=lambda entry: entry[:2])

    def _occupy(self, one: Tensor) -> None:
        storage = one.untyped_storage()
        if storage._cdata not in self.kept:
            self.live.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        before = self.flops.get_total_flops()
        result = func(*args, **(kwargs or {}))
        work = (self.flops.get_total_flops() - before) // 2
        parameters = sum(self.unused.pop(id(one), 0) for one in tree_leaves((args, kwargs)))
        self.live = {key: entry for key, entry in self.live.items() if not entry[0].expired()}
        for one in tensors(result):
            self._occupy(one)
            if not func.is_view:
                self.made[memory_of(one)] = len(self.steps)
        live = sum(size for _, size in self.live.values())
        part = self.running[-1] if self.running else ELSEWHERE
        self.steps.append(Step(part, parameters, work, live))
        return result

    def pack(self, one: Tensor) -> None:
        """autograd calls this for each tensor that it would keep for the backward pass."""
        memory = memory_of(one)
        if memory not in self.kept:
            # The weak reference lets the memory go but not its address, which would else be taken for known.
            self.kept[memory] = StorageWeakRef(one.untyped_storage())
            self.saved.append((self.made.get(memory, 0), one.untyped_storage().nbytes()))


def run(module: nn.Module, inputs: tuple, parts: dict[str, nn.Module], training: bool) -> Meter:
    """One forward pass in eval mode, metered. `training`: with gradients, so that `saved` is filled; but then
    `live_bytes` means little, since hardly anything is let go."""
    inputs = copied(inputs)
    follow_image(inputs)
    flops = FlopCounterMode(display=False)
    meter = Meter(module, inputs, parts, flops)
    keep = saved_tensors_hooks(meter.pack, lambda packed: packed)  # never unpacked: nobody calls backward
    try:
        with evaluating(module), torch.set_grad_enabled(training), flops, Following(), keep, meter:
            meter.note(ELSEWHERE, module(*inputs))
    finally:
        for hook in meter.hooks:
            hook.remove()
    return meter


def memory_of(one: Tensor) -> int:
    """What tells memories apart: views share it."""
    return one.untyped_storage()._cdata


def copied(value: Any) -> Any:
    """The same structure with copies of its tensors, so that nothing done in place reaches the caller's."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return type(value)((key, copied(one)) for key, one in value.items())
    if isinstance(value, tuple | list):
        parts = [copied(one) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def follow_image(inputs: Any) -> bool:
    """Follow the one map among the inputs, if there is exactly one; between several no pixel is common."""
    maps = [one for one in tensors(inputs) if one.ndim >= 3 and one.is_floating_point()]
    if len(maps) == 1:
        start(maps[0])
    return len(maps) == 1


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode; afterwards every part has its own mode back."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
