"""What a module costs: parameters, multiply-adds, memory, time, and what it buys: stride and receptive field.

    print(cost.table(cost.ledger(network, images)))  # one row for each stage of the backbone, neck and head
    cost.measure(network, images).multiply_adds      # the whole
    cost.latency(network, images)                    # milliseconds, here and now

All but `latency` run a copy in eval mode: one without numbers (on torch's device "meta"), which is quick at
any size, or, where the module decides by numbers, one with them. torch's FlopCounterMode has the formulas.
"""

import copy
import re
import statistics
import time
import warnings
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
import torchvision  # noqa: F401  registers its deform_conv2d
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parameter import UninitializedBuffer, is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ..backbone import Backbone
from .receptive import ReceptiveField, behind, follow, is_map, seen, tensors


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
            memory counted once and without parameters. Frozen parts keep less. Without the masks of dropout.
        uncounted: names of operations that may have products, which are not in `multiply_adds`.
    """

    part: str
    stride: float | None = None
    receptive_field: float | None = None
    parameters: int = 0
    multiply_adds: int = 0
    activation_bytes: int = 0
    uncounted: tuple[str, ...] = ()


class Count(int):
    """Multiply-adds. `uncounted` names the operations that are not among them; printing shows them."""

    uncounted: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return " + ".join([int.__repr__(self), *(f"{name} (not counted)" for name in self.uncounted)])


def count_parameters(module: nn.Module) -> int:
    """How many numbers training adjusts. Buffers, such as batch norm's running mean, do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(module: nn.Module, *inputs: Any) -> Count:
    """How many multiply-then-add steps one forward pass takes in convolutions and matrix products.

    One multiply-add is two floating-point operations. Batch norm, activations and pooling are left out, as is
    usual in papers. A sparse matrix takes one for each number that it stores and each column of the other.
    """
    whole = total(_rows(module, inputs, [""], keep=False))
    count = Count(whole.multiply_adds)
    count.uncounted = whole.uncounted
    if count.uncounted:
        warnings.warn(f"not in these multiply-adds: {', '.join(count.uncounted)}", stacklevel=2)
    return count


def latency(module: nn.Module, *inputs: Any, repeats: int = 20, warmup: int = 3) -> float:
    """Median time of one forward pass in milliseconds, in eval mode and without gradients.

    It holds for this machine, batch size and `torch.get_num_threads()`.

    Args:
        module: gets its mode back.
        inputs: as the module takes them, on its device.
        repeats: passes that are timed. A few in which the machine did something else do not move the median.
        warmup: passes before them. The first are slower: memory is fetched, algorithms are chosen.
    """
    if repeats < 1 or warmup < 0:
        raise CostError(f"repeats={repeats}, warmup={warmup}: time at least one pass, warm up zero or more.")
    device = _expect_inputs(inputs)[0].device.type
    if device == "meta":
        raise CostError("on the meta device nothing is computed: build module and input on a real device.")
    times = []
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        # Not inference_mode: what a module computes once and keeps could then never be trained with.
        with torch.no_grad():
            for _ in range(warmup + repeats):
                began = time.perf_counter()
                module(*inputs)
                if device != "cpu":
                    torch.accelerator.synchronize()  # the call returns before an accelerator is done
                times.append(time.perf_counter() - began)
    finally:
        for part, training in modes.items():
            part.training = training
    return 1000 * statistics.median(times[warmup:])


def receptive_field(module: nn.Module, *inputs: Any) -> ReceptiveField | dict | list:
    """What one position of the module's result sees of its input: (size, stride) in input positions.

    Args:
        module: what in it is not known to keep positions apart (attention, flattening) sees the whole image.
        inputs: with exactly one map (B, C, H, W) or (B, C, length). Its size does not matter, except for the
            stride behind interpolation to a fixed size.

    Returns:
        For a module that returns a dictionary, such as a backbone, or a list: the same for each entry.

    Raises:
        CostError: there is no such map.
    """
    if sum(map(is_map, _expect_inputs(inputs))) != 1:
        shapes = [tuple(tensor.shape) for tensor in tensors(inputs)]
        raise CostError(f"a receptive field needs one map (B, C, H, W) as input, got shapes {shapes}.")
    result = _run(module, inputs, [], keep=False).result
    if isinstance(result, dict):
        return {key: seen(value) for key, value in result.items()}
    return [seen(value) for value in result] if isinstance(result, list | tuple) else seen(result)


def measure(module: nn.Module, *inputs: Any) -> Cost:
    """All costs of one forward pass, in one row. See `Cost`."""
    return total(_rows(module, inputs, [""]))


def ledger(network: nn.Module, *inputs: Any, parts: Sequence[str] | None = None) -> list[Cost]:
    """The costs of one forward pass, part by part; together they are exactly those of the whole (`total`).

    Args:
        network: its parts are its children, for instance backbone and head. A `Backbone` gets one row for
            each stage: all that runs after one feature map until the next one is there.
        inputs: as the network takes them. Multiply-adds and bytes are those of this batch.
        parts: other submodules, by dotted name: `("backbone", "head.neck", "head")` separates a neck. Of
            nested ones the innermost counts.

    Returns:
        Rows in the order in which they begin; among them "elsewhere" for what runs in no part, and last
        "unused" for parameters that this forward pass does not use.

    Raises:
        CostError: for a part that is not there, and without inputs.
    """
    children = [name for name, _ in network.named_children()]
    for name in set(parts or ()) - {name for name, _ in network.named_modules()}:
        raise CostError(f"this network has no part {name!r}; its children: {', '.join(children) or 'none'}.")
    if parts is None:
        parts = [""] if isinstance(network, Backbone) or not children else children
    return _rows(network, inputs, parts)


def total(rows: Sequence[Cost], part: str = "total") -> Cost:
    """One row for several: their sums. Stride and receptive field are the last result's."""
    last = ([row for row in rows if row.receptive_field is not None] or rows)[-1]
    sums = (sum(figures) for figures in zip(*(row[3:6] for row in rows), strict=True))
    names = tuple(dict.fromkeys(name for row in rows for name in row.uncounted))
    return Cost(part, last.stride, last.receptive_field, *sums, names)


def table(rows: Sequence[Cost]) -> str:
    """The rows as text with a total below: parameters and multiply-adds in millions, memory in 10^6 bytes."""
    lines = [f"{'part':16} stride   sees  params M  mult-adds M  keeps MB"]
    for row in [*rows, total(rows)]:
        stride = "-" if row.stride is None else f"{row.stride:g}"
        field = {None: "-", float("inf"): "all"}.get(row.receptive_field, row.receptive_field)
        params, work, keeps = (figure / 1e6 for figure in row[3:6])
        lines.append(f"{row.part:16} {stride:>6} {field:>6} {params:9.3f} {work:12,.1f} {keeps:9.2f}")
    return "\n".join(lines + [f"not counted: {', '.join(row.uncounted)}"] * bool(row.uncounted))


# How it is counted ----------------------------------------------------------------------------------------

# Words in the names of torch's operations that have products. Without a formula they are named.
_PRODUCTS = re.compile(
    "(?<![a-z])([a-z]*(mm|mv|matmul|dot|dist|solve|inverse)|addr|attention|cholesky|conv(olution)?([1-3]d)?"
    "|corrcoef|cov|einsum|fft|geqrf|gru|inner|kron|linalg(?!_vector_norm)|(bi|tri)?linear|lstm|matrix"
    "|orgqr|ormqr|outer|rnn|svd|transformer)(?![a-z0-9])"
)


def _product(*args: Any, out_val: Any, **options: Any) -> int | None:
    """Floating-point operations of the product of the last two tensors; a sparse one has what it stores."""
    left, right = [tensor for tensor in args if isinstance(tensor, Tensor)][-2:]
    if right.layout is torch.strided:
        return 2 * _stored(left).numel() * (right.shape[-1] if right.ndim > 1 else 1)
    if left.layout is torch.strided:
        return 2 * _stored(right).numel() * (left.numel() // left.shape[-1])
    return None  # of two sparse ones: it depends on where the numbers stand


_product._get_raw = True  # tells torch to give it tensors; the others get shapes
_PAIRS = ["mm", "addmm", "mv", "addmv", "dot", "vdot", "bmm", "baddbmm", "addbmm", "_sparse_addmm"]
_MORE = {getattr(torch.ops.aten, name): _product for name in _PAIRS} | {
    torch.ops.aten.mkldnn_rnn_layer: lambda x, w, v, *_, **__: 2 * prod(x[:2]) * (prod(w) + prod(v)),
    # Each query with each key, and each of these with a value. torch 2.9 has no formula for it yet.
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda q, k, v, *_, **__: 2 * prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
    ),
    torch.ops.torchvision.deform_conv2d: lambda x, w, *_, out_shape: 2 * prod(out_shape) * prod(w[1:]),
}
# Operation -> formula of its floating-point operations: torch's, and those that torch leaves out.
_FORMULAS = FlopCounterMode(display=False, custom_mapping=_MORE).flop_registry


class _CopyTo(TorchFunctionMode):
    """While this is active, `copy.deepcopy` moves the tensors that it copies to torch's default device."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func not in (Tensor.__deepcopy__, Tensor.clone):  # parameters clone themselves
            return func(*args, **(kwargs or {}))
        if is_lazy(args[0]):  # torch cannot copy lazy buffers
            return UninitializedBuffer(dtype=args[0].dtype)
        twin = args[0].detach().to(torch.get_default_device(), copy=True)
        return args[1].setdefault(id(args[0]), twin) if func is Tensor.__deepcopy__ else twin


class _Trace(TorchDispatchMode):
    """Writes down, operation by operation, in which part it runs, what it uses and what its result sees.

    Attributes:
        steps: costs of each operation, without its activation memory.
        stages: part -> for each of its results, in order: the step that made it, its stride, what it sees.
        unused: id -> parameter that no step has used.
        made: memory -> the last step that wrote it.
        saved: memory that autograd keeps -> the step that made it (0 for the input), the memory itself.
        result: what the module returned.
    """

    def __init__(self, module: nn.Module, parts: Sequence[str]):
        super().__init__()
        self.steps, self.running, self.stages, self.made, self.saved = [], ["elsewhere"], {}, {}, {}
        self.unused = {id(parameter): parameter for parameter in module.parameters()}
        for name in parts:
            part = module.get_submodule(name)
            name = name or ("backbone" if isinstance(part, Backbone) else type(part).__name__)
            self.stages[name] = [(0, None, None)]
            part.register_forward_pre_hook(lambda *_, name=name: self.running.append(name), prepend=True)
            part.register_forward_hook(lambda part, _, result, name=name: self.leave(name, part, result))
        for part in module.modules():
            if isinstance(part, Backbone):  # what comes before it may lose the trail: resizing into a batch
                part.register_forward_pre_hook(lambda _, inputs: follow(inputs))

    def leave(self, name: str, part: nn.Module, result: Any) -> None:
        stages = []
        maps = result if isinstance(part, Backbone) and isinstance(result, dict) else {None: result}
        for key, value in maps.items():
            size, stride = seen(value) or (None, None)
            made = max((self.made.get(_memory(tensor), 0) for tensor in tensors(value)), default=0)
            stages.append((made, key if isinstance(key, int | float) else stride, size))
        self.stages[name] = sorted(stages, key=lambda stage: stage[0])
        self.running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs, formula = kwargs or {}, _FORMULAS.get(func._overloadpacket)
        space, name = func._schema.name.split("::")
        known = space in ("aten", "prim", "torchvision") and not _PRODUCTS.search(name)
        unknown = formula is None and not known
        if unknown:  # perhaps it consists of known ones
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        named = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        given = tensors(list(named.values()))
        sources = [(tuple(tensor.shape), tensor._sees) for tensor in given if hasattr(tensor, "_sees")]
        result = func(*args, **kwargs)
        for tensor in tensors(result):
            if sources and (sight := behind(func, named, sources, tuple(tensor.shape))):
                tensor._sees = sight
            if not func.is_view:
                self.made[_memory(tensor)] = len(self.steps)
        flops = formula(*args, **kwargs, out_val=result) if formula else None if unknown else 0
        used = self.unused.keys() & {id(tensor) for tensor in given if not is_lazy(tensor)}
        parameters = sum(self.unused.pop(key).numel() for key in used)
        uncounted = (f"{space}.{name}",) if flops is None else ()
        self.steps.append(Cost(self.running[-1], None, None, parameters, (flops or 0) // 2, 0, uncounted))
        return result

    def keep(self, tensor: Tensor) -> None:
        """autograd calls this for each tensor that it would keep for the backward pass."""
        memory = _memory(tensor)
        self.saved.setdefault(memory, (self.made.get(memory, 0), _stored(tensor).untyped_storage()))


def _stored(tensor: Tensor) -> Tensor:
    """Its numbers; of a sparse one those that it stores."""
    if tensor.layout is torch.strided:
        return tensor
    return tensor._values() if tensor.layout is torch.sparse_coo else tensor.values()


def _memory(tensor: Tensor) -> int:
    """What tells memories apart: views share it."""
    return _stored(tensor).untyped_storage()._cdata


def _expect_inputs(inputs: tuple) -> list[Tensor]:
    if found := tensors(inputs):
        return found
    raise CostError("a forward pass needs an input: pass a batch after the module.")


def _run(module: nn.Module, inputs: tuple, parts: Sequence[str], keep: bool, device: str = "meta") -> _Trace:
    """Run a copy once, in eval mode: without numbers, or if that fails, as where they decide, on the CPU.

    `keep`: find out what training keeps. Some modules only run without gradients.
    """
    abstract = any(tensor.is_meta for tensor in [*_expect_inputs(inputs), *module.parameters()])
    with torch.device(device), torch.set_grad_enabled(keep):
        try:
            with _CopyTo():
                copied, arguments = copy.deepcopy((module, inputs))
            trace = _Trace(copied.to(device).eval(), parts)
            follow(arguments)
            # What is kept is never unpacked: nobody calls backward.
            with saved_tensors_hooks(trace.keep, lambda kept: kept), trace:
                trace.result = copied(*arguments)
            trace.leave("elsewhere", copied, trace.result)
            for tensor in [*copied.parameters(), *copied.buffers()]:
                trace.saved.pop(_memory(tensor), None)
            return trace
        except Exception as error:
            if abstract and "meta" in str(error).lower():
                message = f"this module needs numbers: build it and its input on the CPU. ({error})"
                raise CostError(message) from error
            if abstract or device == "cpu":
                raise
    return _run(module, inputs, parts, keep, "cpu")


def _rows(module: nn.Module, inputs: tuple, parts: Sequence[str], keep: bool = True) -> list[Cost]:
    """One row for each part or, if it is a backbone, for each of its maps; see `ledger`."""
    trace = _run(module, inputs, parts, keep)
    for number, storage in trace.saved.values():
        kept = trace.steps[number].activation_bytes + storage.nbytes()
        trace.steps[number] = trace.steps[number]._replace(activation_bytes=kept)
    rows: dict[tuple, list[Cost]] = {}
    # A part that computes nothing, or is not called, has a row too. Last among the parts is "elsewhere".
    for number, step in enumerate([*trace.steps, *map(Cost, list(trace.stages)[:-1])]):
        # What runs after the last map (views of it, say) belongs to the last stage.
        stages = trace.stages[step.part]
        _, stride, size = next((stage for stage in stages if number <= stage[0]), stages[-1])
        rows.setdefault((step.part, stride, size), []).append(step)
    costs = [total(steps, part)._replace(stride=s, receptive_field=f) for (part, s, f), steps in rows.items()]
    unused = sum(parameter.numel() for parameter in trace.unused.values())
    return costs + [Cost("unused", parameters=unused)] * bool(unused)
