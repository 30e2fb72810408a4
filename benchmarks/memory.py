"""Peak memory: the most that the input and intermediate results occupy at one moment."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Live(TorchDispatchMode):
    """After each operation, adds up the memories that exist."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.fixed = {one.untyped_storage()._cdata for one in [*module.parameters(), *module.buffers()]}
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def occupy(self, values: Any) -> None:
        """Count what is new, forget what is gone."""
        self.live = {key: entry for key, entry in self.live.items() if not entry[0].expired()}
        for value in tree_leaves(values):
            if isinstance(value, Tensor) and value.untyped_storage()._cdata not in self.fixed:
                storage = value.untyped_storage()
                self.live.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.occupy(result)
        return result


def peak_bytes(module: nn.Module, *inputs: Tensor, backward: bool = False) -> int:
    """Without parameters and without the scratch space of kernels.

    Args:
        module: is run once as it is; put it in eval mode.
        inputs: of the module; what is done in place does not reach them.
        backward: go back as well, from the sum of its one result; gradients count, and those that the
            parameters had are gone.

    Returns:
        Bytes.
    """
    inputs = tuple(tensor.clone() for tensor in inputs)
    live = _Live(module)
    live.occupy(inputs)
    with torch.set_grad_enabled(backward), live:
        result = module(*inputs)
        if backward:
            module.zero_grad()
            result.sum().backward()
    return live.peak
