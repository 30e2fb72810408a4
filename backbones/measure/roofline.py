"""What this machine can do at most, and how near to it the stages of a backbone come: the roofline.

    machine = measure_machine()                # bytes and multiply-adds per second
    for stage in stages(backbone, images):     # seconds, multiply-adds and bytes of each stage
        print(stage.name, stage.rate / machine.attainable(stage.intensity))

Source: Williams, Waterman, Patterson, Roofline (2009): attainable = min(rate, bandwidth * intensity).
"""

import statistics
import time
from collections.abc import Collection
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..backbone import Backbone
from . import cost
from .receptive import tensors


class Machine(NamedTuple):
    """The two limits of a processor, per second: `bandwidth` in bytes, `rate` in multiply-adds."""

    bandwidth: float
    rate: float

    def attainable(self, intensity: float) -> float:
        """Multiply-adds per second at most, for work of `intensity` multiply-adds per byte."""
        return min(self.rate, self.bandwidth * intensity)


class Stage(NamedTuple):
    """One stage of a backbone: what runs after one feature map until the next is there.

    Attributes:
        name: the backbone's stride there, such as "stride 4".
        seconds: median of several forward passes.
        multiply_adds: of the whole batch, as `cost.ledger` counts them.
        bytes: what its operations read and write, each on its own, as if nothing stayed in a cache.
        intensity, rate: multiply-adds per byte, and per second.
    """

    name: str
    seconds: float
    multiply_adds: int
    bytes: int
    intensity = property(lambda stage: stage.multiply_adds / stage.bytes)
    rate = property(lambda stage: stage.multiply_adds / stage.seconds)


def measure_machine(device: str = "cpu") -> Machine:
    """The limits of this machine, with `torch.get_num_threads()` threads: the best of seven tries each.

    64 MiB, more than most caches hold, are read and written; two float32 matrices, 1024x1024, multiplied.
    """
    source, matrix = torch.ones(16 * 2**20, device=device), torch.ones(1024, 1024, device=device)
    target, best = torch.empty_like(source), []
    for work in (lambda: target.copy_(source), lambda: matrix @ matrix):
        times = [_clock(device)] + [_clock(device, work()) for _ in range(7)]
        best.append(min(after - before for before, after in pairwise(times)))
    return Machine(2 * source.nbytes / best[0], 1024**3 / best[1])


@torch.no_grad()
def stages(backbone: Backbone, *inputs: Any, repeats: int = 7) -> list[Stage]:
    """Time, arithmetic and memory traffic of each stage in one forward pass, without gradients.

    Args:
        backbone: in eval mode, as `cost.ledger` counts it.
        inputs: as the backbone takes them, on its device.
        repeats: passes that are timed, after one that is not.
    Returns:
        A row for each of its maps, in the order in which they are made.
    Raises:
        CostError: for a backbone in training mode.
    """
    if backbone.training:
        raise cost.CostError("call backbone.eval() first: these are the stages of inference.")
    with _Steps() as steps:
        maps = backbone(*inputs)
    ends = {steps.made[x.untyped_storage()._cdata]: stride for stride, x in maps.items()}
    passes = []
    for _ in range(repeats):
        with _Steps(ends) as timed:
            backbone(*inputs)
        passes.append([after - before for before, after in pairwise(timed.times)])
    work = {row.stride: row.multiply_adds for row in cost.ledger(backbone, *inputs)}
    medians = map(statistics.median, zip(*passes, strict=True))
    moved = [sum(steps.bytes[start:end]) for start, end in pairwise([0, *sorted(ends)])]
    strides = [ends[end] for end in sorted(ends)]
    return [Stage(f"stride {s:g}", t, work[s], m) for s, t, m in zip(strides, medians, moved, strict=True)]


class _Steps(TorchDispatchMode):
    """Sees each operation of torch; views, which move nothing, are passed over.

    Attributes:
        bytes: read and written by each operation.
        made: memory -> how many operations had run when it was last written.
        times: when it began, and when those operations were done after which `ends` had run.
    """

    def __init__(self, ends: Collection[int] = ()):
        super().__init__()
        self.ends, self.bytes, self.made, self.times = ends, [], {}, [time.perf_counter()]

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            written = tensors(result)
            self.bytes.append(sum(tensor.nbytes for tensor in [*tensors((args, kwargs)), *written]))
            self.made |= {tensor.untyped_storage()._cdata: len(self.bytes) for tensor in written}
            if len(self.bytes) in self.ends:
                self.times.append(_clock(written[0].device))
        return result


def _clock(device: torch.device | str, done: Any = None) -> float:
    """The time in seconds, when the device has done all that it was given."""
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter()
