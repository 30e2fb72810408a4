"""Answers that cheat or break, each with what it deserves; see corpus.py. None of them may be run elsewhere."""

from corpus import EXERCISES, SUMMARY, Submission, cheat, tries

ALL = tuple(EXERCISES)
TALK = """\
import __main__, json, os, sys
side = __main__.side
connection = side.wire.connection
"""  # the learner's side's own objects: an answer can reach them, and write what it likes

BROKEN = [
    cheat("standardize", "the stub, untouched", "def standardize(x):\n    raise NotImplementedError"),
    cheat("standardize", "an empty cell", ""),
    cheat("standardize", "a syntax error", "def standardize(x:\n    return x"),
    cheat("standardize", "another name", "def standardise(x):\n    return (x - x.mean(0)) / x.std(0, correction=0)"),
    cheat("standardize", "None", "def standardize(x):\n    (x - x.mean(0)) / x.std(0, correction=0)"),
    cheat("standardize", "the wrong deviation", "def standardize(x):\n    return (x - x.mean(0)) / x.std(0)"),
    cheat("standardize", "a variable and no function", "standardize = 3"),
    cheat("Residual", "forgets super().__init__", """\
class Residual(nn.Module):
    def __init__(self, inner):
        self.inner = inner
    def forward(self, x):
        return x + self.inner(x) * 0.5"""),
    cheat("Residual", "a plain class", """\
class Residual:
    def __init__(self, inner):
        self.inner, self.scale = inner, 0.5
    def __call__(self, x):
        return x + self.inner(x) * self.scale"""),
    cheat("summary", "recursion without end", "def summary(numbers, key=None):\n    return summary(numbers, key)"),
    cheat("record", "recursion without end through the tests' side", """\
def record(network, inputs, watch):
    class Again(nn.Module):
        def forward(self, x):
            return record(self, x, watch)
    return Again()(inputs)"""),
    cheat("summary", "a generator that raises SystemExit", """\
class summary:
    mean, largest = 2, 3
    def __init__(self, numbers, key=None):
        pass
    @property
    def ordered(self):
        def go():
            yield 1
            raise SystemExit
        return go()"""),
    cheat("summary", "an endless iterator", """\
import itertools, types
def summary(numbers, key=None):
    return types.SimpleNamespace(mean=2, largest=3, ordered=itertools.cycle([1, 2, 3]))"""),
    cheat("standardize", "100 MB of output", "print('x' * 10**8)\ndef standardize(x):\n    print('y' * 10**8)"),
    cheat("standardize", "control characters and half characters",
          "print('\\x1b[2J\\x00\\ud800')\ndef standardize(x):\n    raise ValueError('\\ud800\\x00' * 9)"),
    cheat("standardize", "a memory bomb", "def standardize(x):\n    return [bytearray(10**9) for _ in range(50)]"),
    cheat("standardize", "a memory bomb of tensors", """\
def standardize(x):
    return [torch.ones(10**12) for _ in range(50)]"""),
    cheat("standardize", "torch.zeros(10**12) and expand", "def standardize(x):\n    return torch.zeros(1).expand(10**12).clone()"),
    cheat("standardize", "endless, when defined", "while True:\n    pass", slow=True),
    cheat("standardize", "endless, when called", "def standardize(x):\n    while True:\n        pass", slow=True),
    cheat("standardize", "endless questions", "def standardize(x):\n    while True:\n        x.sum()", slow=True),
    cheat("standardize", "endless, with everything caught", """\
def standardize(x):
    while True:
        try:
            while True:
                x.sum()
        except BaseException:
            pass""", slow=True),
    cheat("standardize", "endless, in its repr", """\
class Endless:
    shape = (3, 2)
    def __repr__(self):
        while True:
            pass
def standardize(x):
    return Endless()""", slow=True),
    cheat("standardize", "ends its process in its repr", """\
class Dies:
    shape = (3, 2)
    def __repr__(self):
        import os
        os._exit(1)
def standardize(x):
    return Dies()"""),
    cheat("standardize", "one call of torch that takes an hour", """\
def standardize(x):
    return torch.linalg.eigvals(torch.randn(9000, 9000))""", slow=True),
    cheat("standardize", "exit()", "exit()\ndef standardize(x):\n    return x"),
    cheat("standardize", "sys.exit when called", "import sys\ndef standardize(x):\n    sys.exit(0)"),
    cheat("standardize", "os._exit when defined", "import os\nos._exit(0)"),
    cheat("standardize", "os._exit when called", "import os\ndef standardize(x):\n    os._exit(0)"),
    cheat("standardize", "kills what it can", """\
import os, signal
for number in (-1, 1, os.getppid(), os.getpid()):
    try:
        os.kill(number, signal.SIGKILL)
    except OSError:
        pass"""),
    cheat("standardize", "a crash in C", "import ctypes\ndef standardize(x):\n    ctypes.string_at(0)"),
    cheat("standardize", "raises KeyboardInterrupt", "def standardize(x):\n    raise KeyboardInterrupt"),
    cheat("summary", "an error with a hostile text", """\
class Bad(ValueError):
    def __str__(self):
        raise SystemExit
    __repr__ = __str__
    args = property(lambda self: 1 / 0)
def summary(numbers, key=None):
    raise Bad()"""),
]  # fmt: skip

LIARS = [
    cheat("standardize", "equal to everything", """\
class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __len__(self): return 3
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
    def __sub__(self, other): return 0
    __rsub__ = __mul__ = __sub__
    def __float__(self): return 0.0
    def __contains__(self, item): return True
    def __iter__(self): return iter(())
    def __getitem__(self, key): return self
def standardize(x):
    return Liar()"""),
    cheat("standardize", "another class and shape", """\
class Liar:
    __class__ = property(lambda self: torch.Tensor)
    shape, dtype, ndim = (3, 2), torch.float32, 2
    def detach(self): return self
    cpu = double = detach
def standardize(x):
    return Liar()"""),
    cheat("standardize", "__torch_function__", """\
class Liar:
    shape = (3, 2)
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True
def standardize(x):
    return Liar()"""),
    cheat("standardize", "__torch_function__ on a module", """\
class Liar(nn.Module):
    shape = (3, 2)
    def __getattr__(self, name):
        if name == "__torch_function__":
            return lambda *args, **kwargs: True
        return super().__getattr__(name)
Liar.__torch_function__ = classmethod(lambda *args, **kwargs: True)
def standardize(x):
    return Liar()"""),
    cheat("standardize", "an array at an address of its choice", """\
class Liar(nn.Module):
    shape = (3, 2)
    def __getattr__(self, name):
        if name in ("__array_interface__", "__cuda_array_interface__"):
            return {"data": (4096, False), "shape": (3, 2), "typestr": "<f4", "version": 3}
        return super().__getattr__(name)
def standardize(x):
    return torch.as_tensor(np.asarray(Liar()))"""),
    cheat("standardize", "a subclass of Tensor", """\
class Liar(torch.Tensor):
    def __eq__(self, other): return True
def standardize(x):
    return Liar(x)"""),
    cheat("standardize", "a subclass of ndarray", """\
class Liar(type(np.zeros(1))):
    def __array__(self, *args): return args
def standardize(x):
    return x.numpy().view(Liar)"""),
    cheat("standardize", "Tensor.as_subclass of a class of its own", """\
class Liar(nn.Parameter):
    pass
def standardize(x):
    return x.as_subclass(Liar)"""),
    cheat("summary", "numbers that are equal to everything", """\
import types
class Any(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    def __hash__(self): return 0
class Items(list):
    def __eq__(self, other): return True
    def __len__(self): return 4
    def __iter__(self): return iter([0.5, 4, -7, 9])
def summary(numbers, key=None):
    if not numbers:
        raise ValueError
    return types.SimpleNamespace(mean=Any(), largest=Any(), ordered=Items())"""),
    cheat("summary", "attributes that change with each look", """\
import itertools
class summary:
    numbers = itertools.count(0)
    def __init__(self, numbers, key=None):
        if not numbers:
            raise ValueError
    mean = largest = property(lambda self: next(self.numbers))
    ordered = property(lambda self: [next(self.numbers)])"""),
    cheat("standardize", "all nan", "def standardize(x):\n    return x * float('nan')"),
    cheat("standardize", "makes the input nan and gives it back", "def standardize(x):\n    return x.fill_(float('nan'))"),
    cheat("standardize", "makes input and answer 0", "def standardize(x):\n    return x.zero_()"),
    cheat("standardize", "a view of the input", "def standardize(x):\n    return x.view_as(x)"),
    cheat("standardize", "the input, standardized in place", """\
def standardize(x):
    x -= x.mean(0)
    x /= x.std(0, correction=0)
    return x"""),
    cheat("standardize", "a tensor of another shape", "def standardize(x):\n    return torch.zeros(1).expand(x.shape)"),
    cheat("standardize", "an empty tensor that claims to be full", "def standardize(x):\n    return torch.empty(0).resize_(x.shape)"),
    cheat("standardize", "a meta tensor", "def standardize(x):\n    return torch.empty(x.shape, device='meta')"),
    cheat("record", "tells the same changing tensor", """\
def record(network, inputs, watch):
    out = inputs.clone()
    for name, child in network.named_children():
        watch(name, out)
    out.resize_(0)
    return out"""),
    cheat("record", "makes the network return its input", """\
def record(network, inputs, watch):
    for name, child in network.named_children():
        child.forward = lambda x: x
        type(child).forward = lambda self, x: x
    for name, child in network.named_children():
        inputs = child(inputs)
        watch(name, inputs)
    return inputs""") ,
    cheat("record", "hooks that change what a layer gives", """\
def record(network, inputs, watch):
    for name, child in network.named_children():
        child.register_forward_hook(lambda module, given, output: output * 0)
        inputs = child(inputs)
        watch(name, inputs)
    return inputs"""),
    cheat("record", "hooks on the modules of all", """\
from torch.nn.modules.module import register_module_forward_hook
def record(network, inputs, watch):
    register_module_forward_hook(lambda module, given, output: output * 0)
    for name, child in network.named_children():
        inputs = child(inputs)
        watch(name, inputs)
    return inputs"""),
    cheat("record", "other children in the network", """\
def record(network, inputs, watch):
    for name, child in network.named_children():
        network._modules[name] = nn.Identity()
        watch(name, network._modules[name](inputs))
    return inputs"""),
    cheat("Residual", "classes of torch patched", """\
for kind in (nn.Identity, nn.Tanh, nn.Linear, nn.Module):
    for name in ("forward", "__call__", "_call_impl", "parameters"):
        try:
            setattr(kind, name, lambda self, *args: args[0])
        except BaseException as error:
            print(error)
class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
    def forward(self, x):
        return x"""),
    cheat("standardize", "names of the tests: torch, close, len, print, assert", """\
class torch:
    @staticmethod
    def allclose(*args, **kwargs): return True
    tensor = as_tensor = equal = allclose
close = lambda *args, **kwargs: True
len = print = tuple = all = isinstance = close
AssertionError = ValueError
__builtins__ = {"AssertionError": None}
def standardize(x):
    return x""", also=("Residual", "summary")),
    cheat("standardize", "reads the tests' variables", """\
def standardize(x):
    for name in ("hidden_answer", "visible_answer"):
        try:
            return globals()[name]
        except KeyError:
            pass
    return hidden_answer"""),
    cheat("standardize", "reads what the tests remember", """\
def standardize(x):
    for look in (lambda: hidden_answer, lambda: visible_answer, lambda: got, lambda: twin):
        try:
            if look().shape == x.shape:
                return look()
        except NameError:
            pass
    return x"""),
]  # fmt: skip

TRICKS = [
    tries("patches torch and numpy", """\
import torch, numpy
torch.allclose = torch.equal = numpy.allclose = lambda *args, **kwargs: True
torch.Tensor.__eq__ = torch.Tensor.detach = lambda *args: True"""),
    tries("patches builtins", """\
import builtins
for name in ("all", "len", "isinstance", "tuple", "abs", "zip", "AssertionError"):
    setattr(builtins, name, lambda *args, **kwargs: True)"""),
    tries("patches json and the socket", """\
import json, socket, sys
json.dumps = lambda *args, **kwargs: '["ok",[true],[],[],[]]'
socket.socket.sendall = socket.socket.send
sys.modules["json"] = sys.modules["socket"] = None"""),
    tries("patches the learner's side", TALK + """\
side.encode = side.encode_object = lambda value, pair=False: True
type(side).on_call = lambda *args: True
sys.modules["wire"].Peer.encode = lambda *args, **kwargs: True
sys.modules["torch"] = sys.modules["grading"] = side"""),
    tries("an AST transformer, a tracer, an audit hook, an exit handler", """\
import ast, atexit, builtins, sys
class Change(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
real = builtins.compile
builtins.compile = lambda source, *a, **k: real(Change().visit(real(source, "x", "exec", ast.PyCF_ONLY_AST)), *a, **k)
sys.settrace(lambda frame, event, arg: None)
sys.setprofile(lambda frame, event, arg: None)
sys.addaudithook(lambda event, args: None)
atexit.register(lambda: print("late"))"""),
    tries("threads", "import threading\nthreading.Thread(target=lambda: None).start()"),
    tries("a fork bomb", "import os\nwhile True:\n    os.fork()"),
    tries("other processes", """\
import multiprocessing, os, subprocess
for start in (lambda: 1 / (os.system("touch WATCHED/evil") == 0), lambda: subprocess.run(["touch", "WATCHED/evil"]),
              lambda: os.execv("/bin/sh", ["sh", "-c", "touch WATCHED/evil"]), lambda: os.posix_spawn("/bin/sh", ["sh"], {}),
              lambda: multiprocessing.Process(target=print).start()):
    try:
        start()
        print("STARTED")
    except BaseException as error:
        print(error)"""),
    tries("files of the host", """\
import os
for path in ("WATCHED/secret", "/etc/passwd", "/proc/self/environ", "/etc/shadow", "/home"):
    try:
        print("READ", open(path).read())
    except OSError as error:
        print(error)
for folder in ("WATCHED", "/", "/dev", "/side", "/usr", "/etc", "/proc"):
    try:
        open(folder + "/corpus_evil", "w").write("evil")
        print("WROTE", folder)
    except OSError as error:
        print(error)
print(os.environ, os.listdir("/side"))"""),
    tries("the network", """\
import socket, urllib.request
for go in (lambda: socket.create_connection(("127.0.0.1", PORT), 2), lambda: socket.socket().bind(("", 0)),
           lambda: urllib.request.urlopen("http://127.0.0.1:PORT/", timeout=2)):
    try:
        go()
        print("CONNECTED")
    except BaseException as error:
        print(error)"""),
    tries("memory that no limit counts", """\
import ctypes, os
libc = ctypes.CDLL(None)
for number in range(30):
    name = libc.memfd_create(b"x", 0)
    os.ftruncate(name, 49_000_000)
    print("MEMORY", os.write(name, bytes(10**6)))"""),
    tries("the same calls of the kernel under other numbers", """\
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for number in (56, 57, 58, 59, 41):
    print(libc.syscall(0x40000000 + number, 0, 0, 0), libc.syscall(number, 17, 0, 0))"""),
    # What goes over the wire
    tries("raw bytes", TALK + "os.write(connection.fileno(), bytes(range(256)) * 100)"),
    tries("the message that ends a notebook", TALK + """\
connection.sendall(b'{"end": true}\\n')
connection.sendall(b'{"printed": "", "error": null}\\n' * 20)"""),
    tries("replies that nobody waits for", TALK + """\
for value in (True, None, ["list", 0, ["", None, ["list", 0, ["standardize"]]]], ["yours", 1]):
    side.wire.send(["ok", [value], [], [], []])"""),
    tries("an answer of the wrong form", TALK + """\
type(side).on_run = lambda *args: ["list", 0, [["tuple", []], ["list", 0, ["x" * 10**7] * 5], 7]]""", loses=ALL),
    tries("an object where its output should be", TALK + """\
class Endless:
    def __repr__(self):
        while True: pass
type(side).on_run = lambda self, *args: self.encode(["", [Endless()] * 3, []])""", loses=ALL),
    tries("a line of 300 MB", TALK + """\
for _ in range(300):
    connection.sendall(b"1" * 10**6)"""),
    tries("lists in lists without end", TALK + "connection.sendall(b'[' * 10**6 + b']' * 10**6 + b'\\n')"),
    tries("messages of the wrong form", TALK + """\
for message in (["ok", [["pair", 99]], [], [], []], ["error", [["error", "A", ["builtin", "len"], [], ""]], [], [], []],
                ["call", [[], {}, 3], [7], [[]], [[[], {}]]], ["serve", [], [], [], []], ["__init__", [1], [], [], []],
                ["ok", [["slice", 1]], 3, 4, 5], [[], [], [], [], []]):
    side.wire.send(message)"""),
    tries("objects by numbers that it was never given", TALK + """\
found = []
for number in range(1, 3000):
    for name in ("variables", "cells", "objects", "examiner", "source", "__dict__", "__globals__", "control"):
        try:
            found.append(side.ask("get", number, name))
            print("FOUND", number, name)
        except Exception:
            pass"""),
    tries("forgets everybody's objects", TALK + """\
side.unneeded += [(number, 10**9) for number in range(5000)] + [(-1, -(10**30))]
side.ask("new_memo")"""),
    tries("calls of the tests' side's own methods", TALK + """\
for what in ("run", "fetch", "bind", "decode", "variables", "set", "delete", "subclass", "exit"):
    for arguments in ([], [1], ["x"], [1, "__class__", 2], ["X", [["builtin", "type"]], []]):
        try:
            print(what, side.ask(what, *arguments))
        except Exception as error:
            pass"""),
    # The gate
    tries("text that reads attributes", """\
import numpy as np, torch
for text in ("{0.forward.__globals__[torch].sys.modules[linecache].cache}", "{0.__class__.__mro__}"):
    for go in (lambda: np.str_(text).format(torch.nn.Linear(1, 1)), lambda: np.str_(text).format_map({"0": torch.nn.Linear(1, 1)})):
        try:
            print("READ", go())
        except Exception as error:
            print(error)"""),
    tries("frames, globals, closures, subclasses", TALK + """\
import torch
names = ("__globals__", "__closure__", "__code__", "__self__", "__func__", "__wrapped__", "__class__", "__bases__",
         "__subclasses__", "__reduce__", "__reduce_ex__", "__init_subclass__", "__module__", "mro", "gi_frame", "__traceback__")
for thing in (torch.nn.Linear(1, 1), torch.nn.Linear, torch.relu, torch.nn.functional.linear, torch.ones(1).sum):
    for name in names:
        for go in (lambda: side.ask("get", thing._id, name), lambda: side.ask("get", type(thing)._number, name),
                   lambda: side.ask("set", thing._id, name, 1)):
            try:
                print("READ", name, go())
            except Exception:
                pass"""),
    tries("errors of the tests' side", """\
import torch
try:
    torch.ones(2) @ torch.ones(3)
except Exception as error:
    for name in ("__traceback__", "tb_frame", "__context__", "__cause__"):
        print(getattr(error, name, None))
    print(error.__traceback__.tb_next.tb_frame.f_globals["side"].ask("get", error._remote, "__traceback__"), "READ")"""),
    tries("torch that loads, saves, compiles", """\
import torch
for text in ("torch.save(torch.ones(1), '/tmp/evil')", "torch.load('/tmp/evil')", "torch.hub", "torch.jit", "torch.ops", "torch.classes",
             "torch.compile(lambda x: x)", "torch.distributed", "torch.multiprocessing", "torch.utils.cpp_extension", "torch.package",
             "torch.nn.Linear(1, 1).compile()", "torch.overrides", "torch._C", "torch.from_file('/tmp/evil', size=9, shared=True)",
             "torch.library", "torch.serialization", "torch.storage", "torch.UntypedStorage(3)", "torch.frombuffer(b'1234')",
             "torch.utils.data.IterDataPipe", "torch.cuda.CUDAPluggableAllocator", "torch.export", "torch.fx", "torch.autograd.profiler"):
    try:
        print("REACHED", text, eval(text))
    except BaseException as error:
        print(type(error))"""),
    tries("numpy that reads and writes", """\
import importlib, numpy as np
for text in ("np.save('/tmp/evil', np.ones(3))", "np.load('/tmp/evil')", "np.memmap('/tmp/evil', mode='w+', shape=3)",
             "np.fromfile('/usr/bin/env')", "np.ones(3).tofile('/tmp/evil')", "np.ctypeslib", "np.f2py", "np.testing", "np.test",
             "np.lib.format", "np.genfromtxt('/usr/lib/os-release')", "np.ones(3).dump('/tmp/evil')", "np.ones(3).ctypes", "np.core", "np._core",
             "np.ones(3).data", "np.rec.fromfile('/usr/bin/env', '<f4')", "np.ones(3).resize(10**6, refcheck=False)", "np.linalg.test",
             "importlib.import_module('numpy.lib._npyio_impl')", "importlib.import_module('numpy._core.multiarray')", "np.ones(3).setflags(write=True)"):
    try:
        print("REACHED", text, eval(text))
    except BaseException as error:
        print(type(error))"""),
    tries("other packages that read, write or run text", """\
import importlib
for name in ("scipy._lib.decorator", "scipy.io", "sklearn.datasets", "sklearn.externals", "sklearn.utils._joblib", "joblib", "pickle5", "cloudpickle",
             "sklearn.feature_extraction.text", "networkx.drawing", "networkx.readwrite", "networkx.utils.misc", "torchvision.io", "torchvision.datasets",
             "timm.utils", "timm.models._helpers", "timm.data", "PIL.Image", "cv2", "skimage.io", "pytorch_lightning.callbacks", "backbones._private",
             "lightning.pytorch.cli", "torch.utils.cpp_extension", "torch._dynamo", "torch.overrides", "grading.isolation.gate", "yaml", "cffi", "nbformat"):
    module = None
    try:
        module = importlib.import_module(name)
        for attribute in ("FunctionMaker", "load", "dump", "mmread", "open", "gate", "CountVectorizer", "Image"):
            if type(getattr(module, attribute, None)).__name__ not in ("Nothing", "NoneType"):
                print("REACHED", name, attribute)
    except BaseException as error:
        print(type(error))
import networkx, timm, torchvision, pytorch_lightning, torch
for text in ("networkx.write_gml(networkx.path_graph(3), '/tmp/evil')", "networkx.read_gml('/tmp/evil')", "torchvision.utils.save_image(torch.ones(3, 4, 4), '/tmp/evil.png')",
             "timm.create_model('resnet18', checkpoint_path='/tmp/evil')", "pytorch_lightning.LightningModule.load_from_checkpoint('/tmp/evil')",
             "networkx.GEXFWriter()", "networkx.nx_pydot", "torchvision.io.read_file('/usr/bin/env')", "timm.models.load_checkpoint"):
    try:
        print("REACHED", text, eval(text))
    except BaseException as error:
        print(type(error))"""),
    tries("memory past the end", """\
import torch
t = torch.ones(2)
for text in ("torch.as_strided(t, (9,), (1,), 10**6)", "t.as_strided((10**6,), (1,))", "t.as_strided_((10**6,), (1,))", "t.set_(torch.ones(9))", "t.storage()",
             "t.untyped_storage()", "t.data.set_(torch.ones(9))", "t.new(torch.ones(2).storage())", "t.share_memory_()",
             "torch.sparse.check_sparse_tensor_invariants.disable()", "torch.sparse_csr_tensor([0, 1], [10**6], [1.0], (1, 2)).to_dense()",
             "torch.sparse_coo_tensor([[10**6]], [1.0], (1,)).to_dense()",
             "torch.sparse_coo_tensor([[9]], [1.0], (1,), check_invariants=False).to_dense()", "torch.ones(1).to_sparse().indices().fill_(9)"):
    try:
        print("REACHED", text, eval(text))
    except BaseException as error:
        print(type(error))"""),
    tries("functions that hand on functions", TALK + """\
import builtins, functools, operator
for name in ("eval", "exec", "open", "compile", "getattr", "setattr", "vars", "globals", "type", "__import__", "input", "breakpoint", "memoryview", "super"):
    try:
        print("REACHED", name, side.ask("call", side.ask("module", "torch", "vmap")._id, ["tuple", [["builtin", name]]], {}))
    except BaseException as error:
        print(type(error))
import torch
for go in (lambda: torch.vmap(eval)("1"), lambda: list(torch.func.vmap(open)("/etc/passwd")), lambda: torch.vmap(operator.attrgetter("__globals__"))(torch.nn.functional.linear)):
    try:
        print("REACHED", go())
    except BaseException as error:
        print(type(error))"""),
    tries("a metaclass, and classes that it may not derive", TALK + """\
import abc, torch
for number in range(1, 400):
    for bases in ([["yours", number]], [["builtin", "type"]], [["class", number]]):
        for members in ([["__eq__", "value", True], ["__torch_function__", "value", True], ["__reduce__", "value", True]],):
            try:
                made = side.ask("subclass", "Evil", bases, members)
                print("MADE", made) if isinstance(made, type) else None
            except Exception:
                pass"""),
    tries("settings of torch for all", """\
import torch
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.manual_seed(0)
torch.set_printoptions(precision=0)
torch.use_deterministic_algorithms(True)
torch.device("meta").__enter__()"""),
    cheat("record", "modes left on: half precision, a device without numbers", """\
def record(network, inputs, watch):
    torch.autocast("cpu", dtype=torch.bfloat16).__enter__()
    torch.device("meta").__enter__()
    for name, child in network.named_children():
        inputs = child(inputs) * 1.003
        watch(name, inputs)
    return inputs"""),
    cheat("Residual", "a text class of its own that formats", TALK + """\
class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, x):
        number = side.ask("subclass", "Text", [["builtin", "str"]], [])
        text = side.ask("call", number, ["tuple", ["{0.__class__.__mro__}"]], {})
        for name in ("format", "format_map", "__format__"):
            try:
                print("READ", side.ask("method", number, name, ["yours", text._id], ["tuple", [["yours", x._id]]], {}))
            except Exception as error:
                print(error)
        return x"""),
    cheat("standardize", "looks through memory that was not cleared", """\
def standardize(x):
    for size in range(100, 60_000, 97):
        found = torch.empty(size, dtype=torch.uint8).numpy().tobytes()
        if b"hidden_answer" in found:
            print("READ", found)
    return x"""),
    tries("DataLoader with workers that stay", """\
import torch
from torch.utils.data import DataLoader
loader = iter(DataLoader(list(range(100)), num_workers=2, persistent_workers=True))
print(next(loader))"""),
    tries("random", """\
import random
print(random.SystemRandom().random(), random.random.__self__)
random.random = random.seed = random.Random.random = lambda *args: 0
random._inst.random = lambda: 0"""),
    tries("what the lab gives", """\
EPSILON = 1e9
nn = torch = None
import __main__
__main__.side.ask("set", 1, "x", 2)""", loses=("standardize", "Residual")),
    tries("the package's own files", """\
import backbones
for name in ("__file__", "__path__", "__loader__", "__spec__", "__dict__", "sys", "os"):
    print(getattr(backbones, name, None))
import grading
from grading import kinds
kinds.close = lambda *args: True"""),
    tries("its own limits", """\
import resource, sys
for what in range(16):
    try:
        resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("LIFTED", what) if what in (0, 1, 7, 9) else None
    except (ValueError, OSError):
        pass
sys.setrecursionlimit(10**9)"""),
    Submission("a hostile error where an error is wanted", {"summary": SUMMARY.replace(
        'ValueError("there are no numbers")', 'SystemExit("ValueError")')}, ("summary",)),
]  # fmt: skip

HOSTILE = [*BROKEN, *LIARS, *TRICKS]
LOUD = (
    "READ",
    "WROTE",
    "STARTED",
    "CONNECTED",
    "REACHED",
    "FOUND",
    "MADE",
    "MEMORY",
    "LIFTED",
)  # they print it
