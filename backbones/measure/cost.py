"""What a module costs: parameters, multiply-adds, memory, time, and what it buys: stride and receptive field.

    print(cost.table(cost.ledger(network, images)))  # one row for each stage of the backbone, neck and head
    cost.measure(network, images).multiply_adds      # the whole
    cost.latency(network, images)                    # milliseconds, here and now

All but `latency` come from shapes alone: a network and images made `with torch.device("meta"):` are measured
in a moment, at any size. Modules come back as they were: mode, weights, running means, gradients.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..backbone import Backbone
from .meter import Meter, copied, evaluating, follow_image, run
from .receptive import Following, ReceptiveField, seen, tensors


class CostError(ValueError):
    """This cannot be measured; the message says what to change."""


class Cost(NamedTuple):
    """What a module, a part or a stage costs.

    Attributes:
        part: its name. Stages of one backbone share it.
        stride: pixels between neighboring positions of its result; None without positions (logits).
        receptive_field: side in pixels of the square that one position of its result sees, of what the
            backbone, or without one the network, was given; `math.inf` is the whole image; None if the
            result does not come from one single map.
        parameters: numbers that training adjusts. What two parts share counts in the first that uses it.
        multiply_adds: see `multiply_adds`.
        activation_bytes: activation memory of training: what a forward pass keeps for the backward pass, each
            memory counted once and without parameters. Frozen parts keep less. Counted in eval mode: the
            masks of dropout are not in it.
        peak_bytes: peak memory of inference: the most that input and intermediate results occupy at one
            moment while this part runs, without parameters and without the scratch space of kernels.
    """

    part: str
    stride: float | None
    receptive_field: float | None
    parameters: int
    multiply_adds: int
    activation_bytes: int
    peak_bytes: int


def count_parameters(module: nn.Module) -> int:
    """How many numbers training adjusts. Buffers, such as batch norm's running mean, do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(module: nn.Module, *inputs: Any) -> int:
    """How many multiply-then-add steps one forward pass takes in convolutions and matrix products.

    One multiply-add is two floating-point operations. Batch norm, activations and pooling are left out, as is
    usual in papers. The module is run once in eval mode and gets its mode back.
    """
    _expect_inputs(module, inputs)
    with evaluating(module), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops() // 2


def latency(module: nn.Module, *inputs: Any, repeats: int = 20, warmup: int = 3) -> float:
    """Median time of one forward pass in milliseconds, in eval mode and without gradients.

    The first passes are slower (memory is fetched, algorithms are chosen): `warmup` of them are not timed.
    The median is not moved by the few passes during which the machine did something else. It holds for this
    machine, batch size and `torch.get_num_threads()`.
    """
    _expect_inputs(module, inputs)
    if repeats < 1 or warmup < 0:
        raise CostError(f"repeats={repeats}, warmup={warmup}: time at least one pass, warm up zero or more.")
    device = tensors(inputs)[0].device.type
    if device == "meta":
        raise CostError("on the meta device nothing is computed: build module and input on a real device.")
    times = []
    # Not inference_mode: what a module computes once and keeps could then never be trained with.
    with evaluating(module), torch.no_grad():
        for _ in range(warmup + repeats):
            began = time.perf_counter()
            module(*inputs)
            if device != "cpu":
                torch.accelerator.synchronize()  # the call returns before an accelerator is done
            times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times[warmup:])


def receptive_field(module: nn.Module, *inputs: Any) -> ReceptiveField | dict | list:
    """What one position of the module's result sees of its input: (size, stride) in input positions.

    Args: inputs, with exactly one map (B, C, H, W) or (B, C, length). Their size does not matter for `size`,
        except that interpolation to a fixed size has a stride that depends on it. What is not known to keep
        positions apart (attention, flattening, rolling) is taken to see the whole image.
    Returns: for a module that returns a dictionary, such as a backbone, or a list: the same for each entry.
    Raises: CostError if there is no such map.
    """
    _expect_inputs(module, inputs)
    inputs = copied(inputs)
    if not follow_image(inputs):
        shapes = [tuple(one.shape) for one in tensors(inputs)]
        raise CostError(f"a receptive field needs one map (B, C, H, W) as input, got shapes {shapes}.")
    with evaluating(module), torch.no_grad(), Following():
        result = module(*inputs)
    if isinstance(result, dict):
        return {key: seen(one) for key, one in result.items()}
    return [seen(one) for one in result] if isinstance(result, list | tuple) else seen(result)


def measure(module: nn.Module, *inputs: Any) -> Cost:
    """All costs of one forward pass, in one row. See `Cost`."""
    rows = _rows(module, inputs, {type(module).__name__: module}, by_stage=False)
    return total(rows)._replace(stride=rows[0].stride, receptive_field=rows[0].receptive_field)


def ledger(network: nn.Module, *inputs: Any, parts: Sequence[str] | None = None) -> list[Cost]:
    """The costs of one forward pass, part by part; together they are exactly those of the whole (`total`).

    Args:
        network: its parts are its children, for instance backbone and head. A `Backbone` gets one row for
            each stage: all that runs after one feature map until the next one is there.
        inputs: as the network takes them. Multiply-adds and bytes are those of this batch.
        parts: other submodules, by dotted name: `("backbone", "head.neck", "head")` separates a neck. Of
            nested ones the innermost counts.
    Returns: rows in the order in which they begin; among them "elsewhere" for what runs in no part, and last
        "unused" for parameters that this forward pass does not use.
    Raises: CostError for a part that is not there, without inputs, and for inputs on another device.
    """
    if isinstance(network, Backbone) and parts is None:
        chosen = {"backbone": network}
    elif parts is None:
        chosen = dict(network.named_children()) or {type(network).__name__: network}
    else:
        known = dict(network.named_modules())
        for name in parts:
            if name not in known:
                children = ", ".join(name for name, _ in network.named_children())
                raise CostError(f"this network has no part {name!r}; its children: {children or 'none'}.")
        chosen = {name: known[name] for name in parts}
    return _rows(network, inputs, chosen, by_stage=True)


def total(rows: Sequence[Cost], part: str = "total") -> Cost:
    """One row for several: sums, and the highest peak. Stride and receptive field are the last result's."""
    results = [row for row in rows if row.receptive_field is not None] or [rows[-1]]
    return Cost(
        part,
        results[-1].stride,
        results[-1].receptive_field,
        sum(row.parameters for row in rows),
        sum(row.multiply_adds for row in rows),
        sum(row.activation_bytes for row in rows),
        max(row.peak_bytes for row in rows),
    )


def table(rows: Sequence[Cost]) -> str:
    """The rows as text with a total below: parameters and multiply-adds in millions, memory in 10^6 bytes."""
    lines = [f"{'part':16} stride   sees  params M  mult-adds M  keeps MB  peak MB"]
    for row in [*rows, total(rows)]:
        stride = "-" if row.stride is None else f"{row.stride:g}"
        field = {None: "-", float("inf"): "all"}.get(row.receptive_field, row.receptive_field)
        figures = [row.parameters, row.multiply_adds, row.activation_bytes, row.peak_bytes]
        params, work, keeps, peak = (figure / 1e6 for figure in figures)
        lines.append(
            f"{row.part:16} {stride:>6} {field:>6} {params:9.3f} {work:12,.1f} {keeps:9.2f} {peak:8.2f}"
        )
    return "\n".join(lines)


def _rows(module: nn.Module, inputs: tuple, parts: dict[str, nn.Module], by_stage: bool) -> list[Cost]:
    _expect_inputs(module, inputs)
    stages = {name for name, part in parts.items() if by_stage and isinstance(part, Backbone)}
    rows: dict[tuple[str, Any], list[int]] = {}  # (part, stage) -> parameters, multiply-adds, kept, peak

    forward = run(module, inputs, parts, training=False)
    for number, step in enumerate(forward.steps):
        row = rows.setdefault(_row(forward, number, stages), [0, 0, 0, 0])
        row[:] = [row[0] + step.parameters, row[1] + step.multiply_adds, 0, max(row[3], step.live_bytes)]
    training = run(module, inputs, parts, training=True)
    for number, size in training.saved:
        rows.setdefault(_row(training, number, stages), [0, 0, 0, 0])[2] += size

    for name in parts.keys() - {part for part, _ in rows}:  # it computes nothing, or is not called
        rows[name, None] = [0, 0, 0, 0]

    costs = []
    for (part, stage), figures in rows.items():
        fields = {key: field for _, key, field in forward.maps.get(part, [])}
        field = (forward.sees.get(part) if stage is None else fields[stage]) or ReceptiveField(None, None)
        costs.append(Cost(part, field.stride, field.size, *figures))
    if forward.unused:
        costs.append(Cost("unused", None, None, sum(forward.unused.values()), 0, 0, 0))
    return costs


def _row(meter: Meter, number: int, stages: set[str]) -> tuple[str, Any]:
    """The part, and in a backbone also the key of the feature map, that this step works for."""
    part = meter.steps[number].part
    maps = meter.maps.get(part) if part in stages else None
    if not maps:
        return part, None
    # What runs after the last feature map (views of it, say) belongs to the last stage.
    return part, next((key for end, key, _ in maps if number <= end), maps[-1][1])


def _expect_inputs(module: nn.Module, inputs: tuple) -> None:
    """Raise CostError without an input or with one on another device than the module."""
    if not tensors(inputs):
        raise CostError("a forward pass needs an input: pass a batch after the module.")
    ours = {one.device for one in [*module.parameters(), *module.buffers()]}
    theirs = {one.device for one in tensors(inputs)}
    if ours and ours != theirs:
        names = [" and ".join(sorted(map(str, devices))) for devices in (ours, theirs)]
        raise CostError(f"the module is on {names[0]}, its input on {names[1]}: move one with .to(device).")
