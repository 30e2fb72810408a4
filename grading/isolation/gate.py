"""What the learner's side may ask of the tests' side.

A learner's code holds numbers in place of tensors, modules and functions, and asks for operations on them. It
may do to them what an answer needs: call, read and set public attributes, derive classes. It may not reach
files, memory, other modules, code, stack frames, or what makes a comparison come out right.

The rule is a list of what is allowed: packages by name, objects by the package of their class. Inside these
packages the few things that read or write files, or memory past the end of an array, are denied by name.
"""

import builtins
import collections
import functools
import inspect
import sys
import types
from typing import Any

ROOTS = {
    "torch", "numpy", "backbones", "torchvision", "timm", "sklearn", "scipy", "networkx", "torchmetrics",
    "random", "hashlib", "_hashlib", "_sha2", "_md5", "_sha1", "_sha3", "_blake2", "pytorch_lightning", "lightning",
    "lightning_fabric",
    "__main__",
}  # fmt: skip
TORCH = {  # of torch's own modules only these; the others load, save, compile, distribute or patch
    "", "nn", "nn.functional", "nn.init", "nn.modules", "nn.utils", "nn.utils.rnn", "nn.parameter", "linalg",
    "nn.utils.parametrizations", "nn.utils.stateless", "special", "fft", "random", "optim", "optim.lr_scheduler",
    "autograd", "autograd.functional", "func", "utils", "utils.data", "utils.checkpoint", "sparse",
    "distributions", "cuda", "types", "return_types", "version", "masked", "nested", "nn.attention", "backends",
    "backends.mkldnn", "backends.cudnn", "utils.flop_counter", "amp",
}  # fmt: skip
PARTS = {  # of the other packages these modules, with what is inside them where a dot stands at the end
    "numpy": {"lib", "lib.stride_tricks", "linalg", "random", "fft", "ma", "polynomial", "char", "strings", "typing",
              "exceptions", "dtypes"},
    "scipy": {"special", "stats", "linalg", "signal", "ndimage", "spatial", "spatial.distance", "optimize",
              "fft", "interpolate", "integrate", "cluster", "cluster.vq", "cluster.hierarchy"},
    "networkx": {"algorithms.", "generators."},
    "sklearn": {"linear_model", "preprocessing", "neighbors", "metrics", "metrics.pairwise", "cluster", "decomposition",
                "svm", "tree", "ensemble", "pipeline", "model_selection", "manifold", "naive_bayes", "base", "utils",
                "discriminant_analysis", "neural_network", "mixture", "dummy", "multiclass", "covariance"},
    "torchvision": {"ops.", "models.", "transforms.", "tv_tensors", "utils"},
    "timm": {"models.", "layers.", "loss", "optim", "scheduler"},
    "torchmetrics": {"functional.", "classification.", "regression.", "clustering.", "image.", "text."},
    "pytorch_lightning": set(), "lightning_fabric": set(), "lightning": {"pytorch"}, "random": set(),
}  # fmt: skip
PRIVATE_MODULES = (
    "timm.models._efficientnet",
    "torchvision.models._utils",
)  # with blocks that answers may use
# In any package: these parts of a module's name, and module-level names that begin or end like this.
DENIED_PARTS = {
    "io", "datasets", "testing", "f2py", "distutils", "ctypeslib", "memmap", "archives", "progress", "hub",
    "externals", "drawing", "format", "npyio", "introspect", "readwrite",
    "misc", "cython_blas", "weave", "loggers", "callbacks", "cli",
}  # fmt: skip
DENIED_STARTS = ("load", "save", "read_", "write_", "fetch_", "from_file", "open", "exec", "eval", "compile",
                 "memmap", "DataSource", "genfromtxt", "fromfile", "fromregex", "as_strided_unsafe",
                 "register_", "resume_", "test", "Repository", "to_file", "to_pickle")  # fmt: skip
DENIED_HERE = {
    "torch": {"UntypedStorage", "TypedStorage", "frombuffer", "jit", "ops", "classes", "library", "hub", "package",
              "set_default_device", "import_ir_module", "set_default_tensor_type", "storage", "export", "overrides",
              "IterDataPipe", "MapDataPipe", "DFIterDataPipe", "DataChunk", "functional_datapipe", "compiler",
              "CUDAPluggableAllocator", "change_current_allocator", "MemPool", "check_sparse_tensor_invariants",
              "swap_tensors", "set_module", "set_num_threads", "set_num_interop_threads", "init_num_threads"},
    "numpy": {"core", "info", "show_config", "get_include", "loadtxt", "ndarray", "as_strided", "bmat", "rec"},
}  # fmt: skip
DENIED_ATTRIBUTES = {
    "tofile", "dump", "dumps", "ctypes", "storage", "untyped_storage", "set_", "share_memory_", "share_memory",
    "to_mkldnn", "module_load", "setflags", "savefig", "gi_frame", "gi_code", "f_globals", "tb_frame", "cr_frame",
    "mro", "func_globals", "compile", "load_from_checkpoint", "to_torchscript", "to_onnx",
    "format", "format_map",  # of numpy's strings: "{0.__globals__}" reads anything
    "resize",  # of arrays: frees memory that a tensor may share
}  # fmt: skip
DENIED_FUNCTIONS = DENIED_ATTRIBUTES - {"resize"}  # as functions numpy's and torchvision's make a new one
PRIVATE = {"_modules", "_parameters", "_buffers", "_replace", "_asdict", "_fields", "_make", "_forward_hooks",
           "_forward_pre_hooks", "_load_from_state_dict", "_non_persistent_buffers_set", "_version"}  # fmt: skip
NAMES = {"__name__", "__doc__", "__qualname__"}  # what may be read with two underscores
# Standard classes whose objects an answer may hold.
HARMLESS = {
    "collections", "collections.abc", "functools", "itertools", "fractions", "decimal", "enum", "numbers", "typing",
    "operator", "contextlib", "weakref", "math", "dataclasses", "abc", "re", "string", "statistics", "_random",
}  # fmt: skip
HARMLESS_BUILTINS = {
    "function", "builtin_function_or_method", "method", "method-wrapper", "wrapper_descriptor", "generator",
    "method_descriptor", "classmethod_descriptor", "getset_descriptor", "member_descriptor", "object", "type",
    "list_iterator", "tuple_iterator", "dict_keys", "dict_values", "dict_items", "dict_keyiterator", "staticmethod",
    "dict_valueiterator", "dict_itemiterator", "range_iterator", "set_iterator", "zip", "map", "enumerate", "filter",
    "reversed", "list_reverseiterator", "odict_iterator", "callable_iterator", "iterator", "list", "tuple", "dict",
    "set", "int", "float", "str", "bool", "bytes", "mappingproxy", "odict_keys", "odict_values", "odict_items",
    "bytearray", "complex", "property", "types.UnionType", "UnionType", "GenericAlias", "frozenset",
}  # fmt: skip
SAFE_BUILTINS = {
    "int", "float", "str", "bool", "bytes", "list", "tuple", "dict", "set", "frozenset", "complex", "range",
    "slice", "object", "len", "sum", "max", "min", "abs", "sorted", "any", "all", "zip", "map", "enumerate",
    "filter", "reversed", "round", "divmod", "pow", "repr", "isinstance", "issubclass", "iter", "next", "property",
    "id", "callable", "staticmethod", "classmethod", "print", "hash",
}  # fmt: skip
MAY_DEFINE = {  # methods with two underscores that a learner's class may have
    "__init__", "__call__", "__len__", "__getitem__", "__iter__", "__next__", "__contains__", "__repr__", "__str__",
    "__enter__", "__exit__", "__getattr__",
}  # fmt: skip
TWO_SIDED = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift divmod"
ONE_SIDED = (
    "lt le gt ge eq ne neg pos abs invert round setitem delitem reversed bool int float index complex format"
)
MAY_CALL = MAY_DEFINE - {"__getattr__"} | {f"__{name}__" for name in ONE_SIDED.split()}
MAY_CALL |= {f"__{prefix}{name}__" for prefix in ("", "r", "i") for name in TWO_SIDED.split()}


INDICES = {"indices", "crow_indices", "col_indices", "ccol_indices", "row_indices"}  # of sparse tensors
UNCHECKED = {"check_invariants", "refcheck"}  # options that let torch and numpy leave an array's memory


class Refused(AttributeError):
    """The learner's side asked for something that an answer does not need."""


def module_allowed(name: str) -> bool:
    """Whether a module, by its full name, may be imported."""
    root, _, rest = name.partition(".")
    if root == "torch":
        return rest in TORCH or rest.startswith("nn.modules.")
    if root not in ROOTS or root == "__main__" or DENIED_PARTS & set(rest.split(".")):
        return False
    if "._" in name and not name.startswith(PRIVATE_MODULES):
        return False
    if not rest or root == "backbones":
        return True
    return any(
        rest == part.rstrip(".") or (part[-1] == "." and rest.startswith(part)) for part in PARTS[root]
    )


def check_module_name(module: types.ModuleType, name: str) -> None:
    """Raises: Refused, for an attribute of a module that may not be read."""
    root = module.__name__.partition(".")[0]
    open_here = name.startswith("_foreach_") or module.__name__.startswith(PRIVATE_MODULES)
    if name.startswith("__") or (name.startswith("_") and not open_here):
        raise Refused(f"module {module.__name__!r} has no attribute {name!r} in the grading")
    if module.__name__ == "numpy.lib" and name != "stride_tricks":
        raise Refused(f"numpy.lib.{name} is not available in the grading")
    if name not in LENT and (name.startswith(DENIED_STARTS) or name in DENIED_HERE.get(root, ())):
        raise Refused(f"{module.__name__}.{name} is not available in the grading: it reads or writes files")


def check_attribute(thing: Any, name: str) -> None:
    """Raises: Refused, for an attribute of an object or class that may not be read, set or deleted."""
    if name in DENIED_ATTRIBUTES or (name.startswith("_") and name not in PRIVATE | NAMES):
        if (
            name.startswith("_")
            and not name.startswith("__")
            and of_learner(thing)
            and not isinstance(thing, type)
        ):
            return
        raise Refused(f"{type(thing).__name__!r} object has no attribute {name!r} in the grading")
    if name in INDICES and any(one.__name__ == "TensorBase" for one in type(thing).__mro__):
        raise Refused(f"{name!r} of a sparse tensor is not available in the grading: use to_dense()")
    if isinstance(thing, FUNCTIONS) and name not in NAMES:
        raise Refused(f"'function' object has no attribute {name!r} in the grading")


NOT_METHODS = (type, staticmethod, classmethod, types.ClassMethodDescriptorType)


def is_method(name: str, value: Any) -> bool:
    """Whether what stands in a class is a method that the learner's side may call."""
    if isinstance(value, NOT_METHODS) or name in DENIED_ATTRIBUTES | {
        "__getattr__",
        "__exit__",
    }:
        return False
    return name in MAY_CALL | PRIVATE or not name.startswith("_")


@functools.cache
def torch_module() -> type:
    """torch.nn.Module; torch takes seconds to import."""
    from torch import nn

    return nn.Module


def check_options(names: dict) -> None:
    """Raises: Refused, for options of a call that switch off the checks of what may be read and written."""
    for name in UNCHECKED & set(names):
        raise Refused(f"the option {name!r} is not available in the grading")


def of_learner(thing: Any) -> bool:
    """Whether the class of an object, or the class itself, was written by the learner."""
    kind = thing if isinstance(thing, type) else type(thing)
    return "of_learner" in vars(kind)


def check_set(thing: Any, name: str) -> None:
    """Raises: Refused, where setting an attribute would change what a test relies on."""
    check_attribute(thing, name)
    if isinstance(thing, (types.ModuleType, *FUNCTIONS)) or (
        isinstance(thing, type) and not of_learner(thing)
    ):
        raise Refused(f"{name!r} cannot be set in the grading: it is not yours")
    # forward: see Examiner.put; train and eval decide no numbers
    if name in ("forward", "train", "eval") and isinstance(thing, torch_module()):
        return
    if not of_learner(thing) and callable(getattr(type(thing), name, None)):
        raise Refused(f"{name!r} is a method of {type(thing).__name__} and cannot be replaced in the grading")


FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType,
             types.WrapperDescriptorType, types.MethodDescriptorType)  # fmt: skip


def check_value(value: Any) -> None:
    """Raises: Refused, for an object that may not go to the learner's side at all."""
    if is_standard(value):  # the learner's side takes its own
        return
    if isinstance(value, types.ModuleType):
        if not module_allowed(value.__name__):
            raise Refused(f"module {value.__name__!r} is not available in the grading")
    elif isinstance(value, type):
        if not class_allowed(value):
            raise Refused(f"class {value.__name__!r} is not available in the grading")
    elif isinstance(value, FUNCTIONS) or type(value).__name__ == "cython_function_or_method":
        if not function_allowed(value):
            raise Refused(f"function {getattr(value, '__name__', '?')!r} is not available in the grading")
    elif not class_allowed(type(value)):
        raise Refused(f"objects of class {type(value).__name__!r} are not available in the grading")


NOT_STANDARD = {
    "random",
    "_random",
    "hashlib",
    "_hashlib",
    "_sha2",
    "_md5",
    "__main__",
}  # the tests' side's only


def is_standard(value: Any) -> bool:
    """Whether a module, class or function is the standard library's: the learner's side has it itself."""
    if isinstance(value, types.ModuleType):
        name = value.__name__
        return (
            name.partition(".")[0] in sys.stdlib_module_names - {"random", "hashlib", "__main__"}
            and name in sys.modules
        )
    if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return False
    module, name = getattr(value, "__module__", None) or "", getattr(value, "__name__", "")
    if module.partition(".")[0] not in sys.stdlib_module_names - NOT_STANDARD:
        return False
    return getattr(sys.modules.get(module), name, None) is value


def class_allowed(kind: type) -> bool:
    """Whether objects of this class, and the class itself, may be held by the learner's side."""
    module = kind.__module__ or ""
    if issubclass(kind, type) and kind is not type:  # it makes classes, past what `on_subclass` checks
        return False
    if module == "builtins":
        if kind.__name__.rstrip("0123456789").endswith(("Backward", "AccumulateGrad")):  # tensor.grad_fn
            return True
        return kind.__name__ in HARMLESS_BUILTINS or issubclass(kind, BaseException)
    if module in HARMLESS or module.startswith("collections"):
        return True
    if module == "grading.kinds":
        return kind.__name__ == "LookAlikes"
    root, _, rest = module.partition(".")
    if root == "torch":
        return not rest.startswith(("jit", "package", "hub", "serialization", "multiprocessing", "distributed",
                                    "storage", "fx", "export", "_dynamo", "_inductor", "onnx", "profiler",
                                    "utils.data.datapipes", "cuda.memory", "autograd.profiler", "_ops",
                                    "_library", "utils.cpp", "overrides", "ao", "testing"))  # fmt: skip
    if root in ("numpy", "scipy", "sklearn", "networkx"):
        return not DENIED_PARTS & set(rest.split("."))
    return root in ROOTS


# Iterators over containers: a copy of one goes on from the same place and moves nothing.
COPIED = frozenset(
    type(iter(one))
    for one in ([], (), {}, {}.values(), {}.items(), set(), range(0), collections.OrderedDict(), reversed([]))
)
# What a class derived from dict may redefine to see who looks at it.
LOOKING = {"__getattribute__", "__getitem__", "__iter__", "__len__", "__contains__", "__eq__", "get", "keys", "values",
           "items"}  # fmt: skip
STILL = ("torch.nn.modules.", "torch.nn.parameter", "torch._tensor")


def is_new_iterator(method: Any, iterator: Any) -> bool:
    """Whether `__iter__` or `__reversed__` made this iterator just now, so that a test holds no other end of it.

    Args:
        method: of Python's or torch's containers, or another one, of which this is not known.
        iterator: what it gave, not the object itself.
    """
    if type(iterator) not in COPIED:
        return False
    built_in = isinstance(method, types.WrapperDescriptorType | types.MethodDescriptorType)
    return built_in or (getattr(method, "__module__", None) or "").startswith("torch.nn.modules.")


def is_dictionary(kind: type) -> bool:
    """Whether objects of a class are read as a dictionary of Python's is."""
    own = kind.__mro__[: -len(dict.__mro__)] if issubclass(kind, dict) else ()
    return issubclass(kind, dict) and not any(
        LOOKING & vars(one).keys() for one in own if one is not collections.OrderedDict
    )


def is_named_tuple(kind: type) -> bool:
    """Whether to read a field of this class's objects runs no code but Python's."""
    if not issubclass(kind, tuple) or kind.__getattribute__ is not tuple.__getattribute__:
        return False
    names = getattr(kind, "_fields", ())
    return bool(names) and all(type(inspect.getattr_static(kind, name, None)) is GETTER for name in names)


GETTER = type(inspect.getattr_static(collections.namedtuple("Pair", "left right"), "left"))


def parts_by_name(thing: Any) -> dict[str, Any]:
    """The modules in a module that answers read as attributes; nothing of torch's own and where it runs code."""
    kind = type(thing)
    if not issubclass(kind, torch_module()) or kind.__module__.startswith("torch."):
        return {}
    if (kind.__getattribute__, kind.__getattr__) != (object.__getattribute__, torch_module().__getattr__):
        return {}
    found = vars(thing).get("_modules", {})
    return {name: part for name, part in found.items() if name not in vars(thing) and not hasattr(kind, name)}


@functools.cache
def is_still(kind: type) -> bool:
    """Whether reading an object of this class runs no code but Python's and torch's, and changes no container."""
    modules = {one.__module__ for one in kind.__mro__}
    return all(
        name in ("builtins", "collections", "torch", "torch._C") or name.startswith(STILL) for name in modules
    )


def traits(kind: type) -> tuple[str, ...]:
    """What the learner's side may do with objects of a class to ask less often, see learner.py."""
    found = {"ahead": kind in COPIED, "contents": is_dictionary(kind), "still": is_still(kind)}
    return tuple(name for name, holds in found.items() if holds)


HARMLESS_FUNCTIONS = {"math", "operator", "itertools", "functools", "copy", "contextlib", "random"}
# Hooks on every module, the tests' own too: they end with the call of the answer that asked for them.
LENT = {
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
}


def function_allowed(function: Any) -> bool:
    """Whether a function may be called by the learner's side, by the module that it stands in."""
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        return class_allowed(owner if isinstance(owner, type) else type(owner)) or (
            isinstance(owner, type) and owner.__module__ == "torch._C"
        )
    if isinstance(function, types.WrapperDescriptorType | types.MethodDescriptorType):
        return class_allowed(function.__objclass__)
    module = getattr(function, "__module__", None) or getattr(owner, "__name__", "") or ""
    root = module.partition(".")[0]
    if root == "builtins":
        return name in SAFE_BUILTINS
    denied = name.startswith(DENIED_STARTS) or name in DENIED_HERE.get(root, ()) or name in DENIED_FUNCTIONS
    # Wherever it was found, by the name that it was made with. (hashlib's are called openssl_...)
    if denied and name not in LENT and root in ROOTS - {"backbones", "__main__", "hashlib", "_hashlib"}:
        return False
    return root in ROOTS or root in HARMLESS_FUNCTIONS


def builtin(name: str) -> Any:
    """A built-in type, error or harmless function by its name.

    Raises:
        Refused: for another.
    """
    found = getattr(builtins, name, None)
    if name in SAFE_BUILTINS or (isinstance(found, type) and issubclass(found, BaseException)):
        return found
    raise Refused(f"{name!r} is not available in the grading")
