"""Right answers that are unusual; all deserve all points."""

from corpus import EXERCISES, RECORD, RESIDUAL, STANDARDIZE, SUMMARY, Submission, honest

HONEST = [
    Submission("the lab's solutions"),
    honest("standardize", "numpy", """\
import numpy as np
def standardize(x):
    a = np.asarray(x.detach().numpy(), dtype=np.float64)
    return (a - a.mean(axis=0)) / a.std(axis=0)"""),
    honest("standardize", "loops over single numbers", """\
import math
def standardize(x):
    rows, columns = x.shape
    out = torch.empty(rows, columns, dtype=torch.float64)
    for j in range(columns):
        column = [x[i, j].item() for i in range(rows)]
        mean = math.fsum(column) / rows
        deviation = math.sqrt(sum((value - mean) ** 2 for value in column) / rows)
        for i in range(rows):
            out[i, j] = (column[i] - mean) / deviation
    return out.to(x.dtype)"""),
    honest("standardize", "in place on its own copy, float64", """\
def standardize(x):
    y = x.clone().double()
    y -= y.mean(dim=0, keepdim=True)
    y.div_((y ** 2).mean(0, keepdim=True).sqrt_())
    return y"""),
    honest("standardize", "helpers of other names, closures, lambdas", """\
def make(of_what):
    def inner(t):
        return of_what(t)
    return inner
center = make(lambda t: t - t.mean(0))
deviation = make(lambda t: ((t - t.mean(0)) ** 2).mean(0) ** 0.5)
standardize = lambda x: center(x) / deviation(x)"""),
    honest("standardize", "warnings and prints", """\
import sys, warnings
def standardize(x):
    warnings.warn("this is an honest warning")
    print("shape", tuple(x.shape), f"{x.mean().item():.3f}", file=sys.stderr)
    print(x, x.dtype, f"{float(x.sum()):>10.2e}")
    return (x - x.mean(0)) / x.std(0, unbiased=False)"""),
    honest("standardize", "star arguments, type hints as strings, walrus, decorator", """\
import functools
def checked(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)
    return call
@checked
def standardize(*args: "Tensor", **kwargs: "str") -> "Tensor":
    if (count := len(args)) != 1:
        raise TypeError(f"{count=}")
    x, = args
    return torch.stack([(c - c.mean()) / ((c - c.mean()).square().mean()).sqrt() for c in x.unbind(1)], dim=1)"""),
    honest("standardize", "functools.partial of an own function", """\
from functools import partial, reduce
def general(x, *, dim, correction):
    return (x - x.mean(dim)) / x.std(dim, correction=correction)
standardize = partial(general, dim=0, correction=0)"""),
    honest("standardize", "torch's own layer norm on the transposed", """\
import torch.nn.functional as F
def standardize(x):
    with torch.no_grad():
        return F.layer_norm(x.T, (x.shape[0],), eps=0.0).T"""),
    honest("standardize", "sklearn", """\
def standardize(x):
    from sklearn.preprocessing import StandardScaler
    return torch.from_numpy(StandardScaler().fit_transform(x.double().numpy()))"""),
    honest("standardize", "np.vectorize, meshgrid and random numbers with a seed", """\
import random
def standardize(x):
    random.seed(0)
    order = list(range(x.shape[1]))
    random.shuffle(order)
    out = torch.zeros_like(x)
    for j in order:
        out[:, j] = (x[:, j] - x[:, j].mean()) / x[:, j].std(correction=0)
    return out"""),
    honest("Residual", "a subclass of a subclass, with buffers, hooks and properties", """\
class Base(nn.Module):
    kind = "base"
    def __init__(self, inner, start=0.5):
        super().__init__()
        self.inner = inner
        self._start = start
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
    @property
    def start(self):
        return self._start
    @classmethod
    def named(cls, inner):
        return cls(inner)
    @staticmethod
    def combine(a, b):
        return a + b
class Middle(Base):
    def __init__(self, inner, *args, **kwargs):
        super().__init__(inner, *args, **kwargs)
        self.scale = nn.Parameter(torch.full((), self.start))
    def extra_repr(self):
        return f"start={self.start}"
class Residual(Middle):
    def forward(self, x):
        self.calls += 1
        handle = self.inner.register_forward_hook(lambda module, given, out: None)
        out = self.combine(x, self.scale * self.inner(x))
        handle.remove()
        return out"""),
    honest("Residual", "a module with __getattr__ that delegates", """\
class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.ones(()) / 2)
    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)
    def forward(self, x):
        return torch.add(x, self.inner(x) * self.scale)"""),
    honest("Residual", "context managers, contextlib and deep copies", """\
import contextlib, copy
@contextlib.contextmanager
def counted(log):
    log.append("in")
    try:
        yield log
    finally:
        log.append("out")
class Residual(nn.Module):
    def __init__(self, inner):
        super(Residual, self).__init__()
        spare = copy.deepcopy(inner)
        assert spare is not inner
        self.inner = inner
        self.scale = nn.Parameter(torch.tensor([0.5]))
        self.log = []
    def forward(self, x):
        with counted(self.log), torch.enable_grad():
            return x + self.inner(x) * self.scale"""),
    honest("Residual", "ModuleDict, ParameterDict, dictionaries of tensors", """\
class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.parts = nn.ModuleDict({"inner": inner})
        self.numbers = nn.ParameterDict({"scale": nn.Parameter(torch.tensor(0.5))})
    def forward(self, x):
        outs = {name: part(x) for name, part in self.parts.items()}
        outs = {name: out * self.numbers["scale"] for name, out in outs.items()}
        return sum(outs.values(), start=x)"""),
    honest("Residual", "an OrderedDict of layers, grad_fn, a custom autograd function", """\
from collections import OrderedDict
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return a * 2
    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2
class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.layers = nn.Sequential(OrderedDict(inner=inner, same=nn.Identity()))
        self.scale = nn.Parameter(torch.tensor(0.25))
    def forward(self, x):
        out = x + Double.apply(self.scale) * self.layers(x)
        assert out.grad_fn is not None
        return out"""),
    honest("record", "a DataLoader with workers in between", """\
from torch.utils.data import DataLoader, TensorDataset
def record(network, inputs, watch):
    loader = DataLoader(TensorDataset(inputs), batch_size=2, num_workers=2)
    inputs = torch.cat([part for part, in loader])
    for name, child in network.named_children():
        inputs = child(inputs)
        watch(name, inputs)
    return inputs"""),
    honest("record", "forward hooks", """\
def record(network, inputs, watch):
    handles = []
    for name, child in network.named_children():
        def hook(module, given, output, name=name):
            watch(name, output)
        handles.append(child.register_forward_hook(hook))
    try:
        return network(inputs)
    finally:
        for handle in handles:
            handle.remove()"""),
    honest("record", "recursion", """\
def record(network, inputs, watch):
    def go(children, value):
        match children:
            case []:
                return value
            case [(name, child), *rest]:
                value = child(value)
                watch(name, value)
                return go(rest, value)
    return go(list(network.named_children()), inputs)"""),
    honest("record", "a generator and functools.reduce", """\
from functools import reduce
def steps(network, value):
    for name, child in network._modules.items():
        value = child(value)
        yield name, value
def record(network, inputs, watch):
    last = inputs
    for last_name, last in steps(network, inputs):
        watch(last_name, last)
    return last"""),
    honest("record", "a callback called with a callable object between", """\
class Teller:
    def __init__(self, watch):
        self.watch, self.count = watch, 0
    def __call__(self, name, value):
        self.count += 1
        self.watch(str(name), value)
        return value
def record(network, inputs, watch):
    tell = Teller(watch)
    for place in range(len(network)):
        inputs = tell(place, network[place](inputs))
    return inputs"""),
    honest("summary", "a namedtuple", """\
from collections import namedtuple
Summary = namedtuple("Summary", "mean largest ordered")
def summary(numbers, key=None):
    if len(numbers) == 0:
        raise ValueError("empty")
    return Summary(sum(numbers) / len(numbers), max(numbers), sorted(numbers, key=key))"""),
    honest("summary", "typing.NamedTuple with a method", """\
from typing import NamedTuple
import statistics
class Summary(NamedTuple):
    mean: "float"
    largest: "float"
    ordered: "list"
def summary(numbers, key=None):
    if not numbers:
        raise ValueError("empty")
    return Summary(mean=statistics.fmean(numbers), largest=max(numbers), ordered=sorted(list(numbers), key=key))"""),
    honest("summary", "a dataclass, and an error of its own", """\
from dataclasses import dataclass, field
class NoNumbers(ValueError):
    def __init__(self, what):
        super().__init__(f"no numbers in {what!r}")
        self.what = what
@dataclass(frozen=True)
class Summary:
    mean: float
    largest: float
    ordered: list = field(default_factory=list)
def summary(numbers, key=None):
    if not numbers:
        raise NoNumbers(numbers)
    return Summary(sum(numbers) / len(numbers), max(numbers), sorted(numbers, key=key))"""),
    honest("summary", "a class with properties, class methods and slots", """\
class Summary:
    __slots__ = ("numbers", "key")
    @classmethod
    def of(cls, numbers, key):
        self = cls()
        self.numbers, self.key = tuple(numbers), key
        return self
    @property
    def mean(self):
        return sum(self.numbers) / len(self.numbers)
    @property
    def largest(self):
        return sorted(self.numbers)[-1]
    @property
    def ordered(self):
        return sorted(self.numbers, key=self.key)
def summary(numbers, key=None):
    if not list(numbers):
        raise ValueError(numbers)
    return Summary.of(numbers, key)"""),
    honest("summary", "lru_cache, Fraction, itertools, re, string and json", """\
import collections, fractions, functools, itertools, json, re, string, types
@functools.lru_cache(maxsize=None)
def total(numbers):
    return float(sum(map(fractions.Fraction, numbers)))
def summary(numbers, key=None):
    if not numbers:
        raise ValueError(string.Template("$what").substitute(what="empty"))
    numbers = json.loads(json.dumps(list(numbers)))
    assert re.match(r"\\[", str(numbers))
    *_, largest = itertools.accumulate(numbers, max)
    counts = collections.Counter(numbers)
    ordered = list(itertools.chain.from_iterable([n] * counts[n] for n in sorted(counts, key=key)))
    return types.SimpleNamespace(mean=total(tuple(numbers)) / len(numbers), largest=largest, ordered=ordered)"""),
    honest("summary", "numbers of numpy, a merge sort of its own", """\
import numpy as np
from types import SimpleNamespace
def merge(a, b, key):
    out = []
    while a and b:
        out.append((a if key(a[0]) <= key(b[0]) else b).pop(0))
    return out + a + b
def sort(items, key):
    if len(items) < 2:
        return items
    half = len(items) // 2
    return merge(sort(items[:half], key), sort(items[half:], key), key)
def summary(numbers, key=None):
    if not numbers:
        raise ValueError()
    return SimpleNamespace(mean=np.mean(numbers), largest=np.max(numbers), ordered=sort(list(numbers), key or float))"""),
    Submission("magics, help and extra cells", first="%matplotlib inline\n%time 1\n!ls\nlen?\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nspare = [EPSILON] * 3"),
    Submission("cells in another order", order=("summary", "record", "Residual", "standardize")),
    Submission("all in the first cell", {name: f"# {name} is above" for name in EXERCISES},
               first="import torch\nfrom torch import nn\n" + "\n".join([STANDARDIZE, RESIDUAL, RECORD, SUMMARY])),
]  # fmt: skip
