"""The learner's side: runs the learner's cells in a process that has the standard library and nothing else.

Torch, numpy and the course's own package stay on the tests' side. What a cell here imports as `torch` is a
`RemoteModule`, a tensor is a `Remote`, and each operation on one is a question to the tests' side, which asks
the gate and then does it with the real object. So there is nothing here that a learner could patch to be
called right, and nothing of the tests to be read.

Run as a script, see `main`; sandbox.py has the command.
"""

import builtins
import collections
import contextlib
import importlib.abc
import importlib.util
import io
import itertools
import linecache
import os
import resource
import socket
import sys
import traceback
import types
import weakref
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from kernel import MEMORY, NOBODY, give_up
from wire import AHEAD, PLAIN, Lost, Peer, Wire

# Drawing and displaying decides no points: a learner's own cells may do it, and nothing happens.
ABSENT = ("matplotlib", "IPython", "ipywidgets", "seaborn", "plotly", "tqdm", "pandas", "grading")
BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
    "divmod",
]
DUNDERS = {
    *(f"__{prefix}{name}__" for name in BINARY for prefix in ("", "r", "i")),
    *(f"__{name}__" for name in ["lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert", "round"]),
    *(
        f"__{name}__"
        for name in ["getitem", "setitem", "delitem", "contains", "len", "iter", "next", "reversed"]
    ),
    *(f"__{name}__" for name in ["bool", "int", "float", "index", "complex", "str", "repr", "format"]),
    *(f"__{name}__" for name in ["init", "call", "enter"]),
}

# Questions, and methods, that change no container.
LOOKS = {"global", "module", "describe", "identity", "is_instance", "ahead", "contents"}
LOOKING = {"__getitem__", "__iter__", "__next__", "__len__", "__contains__", "__eq__", "__bool__", "items",
           "keys", "values", "dim", "size", "numel"}  # fmt: skip
LOOKED_UP = 1  # elements of a dictionary that are asked for one by one

side: "Learner"  # made at the bottom; there is one in a process


class RemoteMeta(type):
    """Of the classes of the tests' side. A class that the learner derives from one exists on both sides."""

    def __new__(mcs, name: str, bases: tuple, members: dict, number: int | None = None) -> type:
        members.setdefault("__slots__", ())  # whatever an object holds is on the tests' side
        made = super().__new__(mcs, name, bases, members)
        if number is None:
            number = side.ask("subclass", name, *side.describe(bases, members))
            side.classes[number] = made
        type.__setattr__(made, "_number", number)
        return made

    def __init__(cls, name: str, bases: tuple, members: dict, number: int | None = None) -> None:
        super().__init__(name, bases, members)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return side.call_remote(cls._number, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return side.ask("get", cls._number, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        side.ask("set", cls._number, name, side.encode(value, pair=True))
        if isinstance(value, types.FunctionType | property):
            type.__setattr__(cls, name, value)


class Remote(metaclass=RemoteMeta, number=0):
    """An object of the tests' side."""

    __slots__ = ("__weakref__", "_id")

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return side.ask("new", cls._number)  # without __init__; `cls(...)` does not come here

    @property
    def __dict__(self) -> dict:
        return side.ask("get", self._id, "__dict__")

    def __getattr__(self, name: str) -> Any:
        number = object.__getattribute__(self, "_id")
        if name == "shape" and number in side.shapes:
            return Size(side.shapes[number])
        if name in side.parts.get(number, ()):
            return side.parts[number][name]
        return side.ask("get", number, name)

    def __setattr__(self, name: str, value: Any) -> None:
        found = getattr(type(self), name, None) if name in vars_of(type(self)) else None
        if isinstance(found, property):
            found.__set__(self, value)
        else:
            side.ask("set", self._id, name, side.encode(value, pair=True))
            if name in vars_of(type(self)):
                side.hiding.add((self._id, name))

    def __delattr__(self, name: str) -> None:
        side.ask("delete", self._id, name)
        side.hiding.discard((self._id, name))

    def __del__(self) -> None:
        side.drop(self._id)

    def __hash__(self) -> int:
        return side.ask("hash", self._id)

    def __bytes__(self) -> bytes:
        return side.ask("bytes", self._id)

    def __dir__(self) -> list:
        return side.ask("dir", self._id)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        return side.ask("exit", self._id, None if error is None else side.encode_error(error))

    def __copy__(self) -> Any:
        return side.ask("copy", self._id)

    def __deepcopy__(self, memo: dict) -> Any:
        if "tests' side" not in memo:
            memo["tests' side"] = side.ask("new_memo")
        return side.ask("deepcopy", self._id, memo["tests' side"]._id)


def vars_of(kind: type) -> set:
    """Names that a class and its bases on this side define."""
    return {name for one in kind.__mro__ for name in vars(one)}


def remote_method(owner: int, name: str) -> Any:
    """The method `name` of the class with this number, as a function of this side."""

    def method(self: Remote, *args: Any, **kwargs: Any) -> Any:
        return side.ask(
            "method", owner, name, side.encode(self), side.encode(args, pair=True), side.encode_names(kwargs)
        )

    method.__name__ = name
    return method if name.startswith("__") else RemoteMethod(method)


def next_ahead(one: Any) -> Any:
    """`__next__` for iterators over containers: several elements come at once, see `Learner.next_of`.

    Args:
        one: the method that asks for each.
    """

    def __next__(self: Remote) -> Any:
        return side.next_of(self, one)

    return __next__


def getitem_ahead(one: Any) -> Any:
    """`__getitem__` for dictionaries: who looks several elements up gets all at once, see `Learner.item_of`.

    Args:
        one: the method that asks for each.
    """

    def __getitem__(self: Remote, key: Any) -> Any:
        return side.item_of(self, key, one)

    return __getitem__


class RemoteMethod:
    """A method that an attribute of the object itself may hide, as `module.forward = ...` does."""

    def __init__(self, function: types.FunctionType) -> None:
        self.function = function

    def __get__(self, thing: Remote | None, kind: type) -> Any:
        if thing is None:
            return self.function
        if side.hiding and (thing._id, self.function.__name__) in side.hiding:
            return side.ask("get", thing._id, self.function.__name__)
        return types.MethodType(self.function, thing)


class RemoteModule(types.ModuleType):
    """A module of the tests' side."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = side.ask("module", self.__name__, name)
        if not isinstance(value, PLAIN):
            self.__dict__[name] = value
        return value


class Nothing:
    """What stands for a package that draws: any use of it gives nothing again."""

    def __getattr__(self, name: str) -> "Nothing":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if args and hasattr(args[0], "__iter__") and not isinstance(args[0], str) else self

    def __iter__(self) -> Any:
        return itertools.repeat(self)

    def __getitem__(self, key: Any) -> "Nothing":
        return self

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *error: object) -> None:
        pass


class AbsentModule(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports what is not in the standard library from the tests' side."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        root = name.partition(".")[0]
        if root in sys.stdlib_module_names and root not in REMOTE_ANYWAY:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        if spec.name.partition(".")[0] in ABSENT:
            return AbsentModule(spec.name)
        side.ask("import", spec.name)
        return RemoteModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


REMOTE_ANYWAY = (
    "random",  # its hidden state is the tests' side's, so that a test sees who moves it
    "hashlib",  # it takes the memory of arrays, which is there
)


class Builtins(dict):
    """Where Python looks for a name last. What the lab gives is on the tests' side and looked up there."""

    def __missing__(self, name: str) -> Any:
        if name in side.globals:
            return side.globals[name]
        found, value, lasting = side.ask("global", name)
        if not found:
            raise KeyError(name)
        if lasting:
            side.globals[name] = value
        return value


class Printed(io.TextIOBase):
    """Takes what a cell prints, up to a limit."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length, self.limit = 0, 100_000

    def write(self, text: str) -> int:
        room = self.limit - self.length
        if room > 0:
            self.parts.append(text[:room] + ("\n[cut here]" if len(text) > room else ""))
        self.length += len(text)
        return len(text)

    def take(self) -> str:
        text = "".join(self.parts)
        self.parts, self.length = [], 0
        return text


class Learner(Peer):
    """Answers the tests' side, and asks it for everything that is not of the standard library."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire, first=1)
        self.classes: dict[int, type] = {}
        self.remotes: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.mine: dict[int, Any] = {}
        self.number_of: dict[int, int] = {}
        self.next_number = 1
        self.hiding: set[tuple[int, str]] = set()  # attributes of objects that hide methods of their classes
        # Until the tests' side says that they changed:
        self.shapes: dict[int, list[int]] = {}  # of tensors
        self.parts: dict[int, dict[str, Any]] = {}  # attributes of named tuples and modules
        self.contents: dict[int, dict] = {}  # dictionary -> what is in it
        self.looked_up: dict[int, int] = {}  # dictionary -> how often
        self.globals: dict[str, Any] = {}  # modules and classes of the lab; the tests' side says what changed
        # As long as nothing can have changed a container:
        self.ahead: dict[int, list] = {}  # iterator -> [elements to come, the next one last; ends after them]
        # Classes, and their numbers: to look at their objects changes nothing.
        self.still: set[int | type] = {Remote}
        self.sizes: dict[int, int] = {}  # iterator -> elements to ask for; 0: one by one
        self.moved: dict[int, int] = {}  # iterator -> elements taken here, to be told with the next message
        self.variables = {"__name__": "__main__", "__builtins__": Builtins(vars(builtins))}
        self.printed = Printed()

    def ask(self, what: str, *arguments: Any) -> Any:
        """Ask; what iterators will give is forgotten, unless the question only looks."""
        if self.ahead and not self.is_still(what, arguments):
            self.look_again()
        return super().ask(what, *arguments)

    def is_still(self, what: str, arguments: tuple) -> bool:
        """Whether a question only looks, and runs no code but torch's and Python's: a property may do anything."""
        if what == "method":
            return arguments[1] in LOOKING and arguments[0] in self.still
        if what == "get":
            return type(self.remotes.get(arguments[0])) in self.still
        return what in LOOKS

    def look_again(self) -> None:
        """Forget what iterators will give. Who asked in vain gets one element at a time from now on."""
        if self.ahead:
            self.sizes.update((number, 0) for number, (items, _) in self.ahead.items() if items)
            self.ahead.clear()

    def next_of(self, iterator: Remote, one: Any) -> Any:
        """The next element of an iterator over a container of the tests' side.

        Its real iterator stands still meanwhile. How far it was read goes over with the next message, whatever
        that is, so that the tests' side never acts on an iterator that stands elsewhere.

        Args:
            iterator: the object.
            one: asks for one element.
        """
        number = iterator._id
        known = self.ahead.get(number)
        if known is None:
            size = self.sizes.get(number, AHEAD)
            try:
                items, ends = self.ask("ahead", number, size) if size else ((), False)
            except Exception:  # what is wrong, the real iterator says in its turn
                items, ends, self.sizes[number] = (), False, 0
            if not items and not ends:
                return one(iterator)
            known = self.ahead[number] = [list(items[::-1]), ends]
        items, ends = known
        if items:
            self.moved[number] = self.moved.get(number, 0) + 1
            if len(items) == 1 and not ends:
                del self.ahead[number]
            return items.pop()
        if ends is True:
            self.moved[number] = self.moved.get(number, 0) + 1
            known[1] = "told"  # a list's iterator that came to its end does not go on when the list grows
        raise StopIteration

    def item_of(self, mapping: Remote, key: Any, one: Any) -> Any:
        """An element of a dictionary of the tests' side.

        Args:
            mapping: the object.
            key: of the element.
            one: asks for one element.
        """
        number = mapping._id
        if type(key) is str or type(key) is int:
            known = self.contents.get(number)
            if known is None:
                times = self.looked_up[number] = self.looked_up.get(number, 0) + 1
                if times > LOOKED_UP:
                    known = self.contents[number] = self.contents_of(number)
            if known and key in known:
                return known[key]
        return one(mapping, key)

    def contents_of(self, number: int) -> dict:
        try:
            return dict(self.ask("contents", number))
        except Exception:  # what is wrong with an element, asking for it alone says
            return {}

    def updates(self) -> tuple[list, list[int]]:
        updates, unused = super().updates()
        if self.moved:
            updates += [["moved", number, times] for number, times in self.moved.items()]
            self.moved.clear()
        return updates, unused

    def drop(self, number: int) -> None:
        self.sizes.pop(number, None)
        self.ahead.pop(number, None)
        self.changed(number)
        super().drop(number)

    def changed(self, number: int) -> None:
        """What is known of an object may be no more so."""
        for known in (self.shapes, self.parts, self.contents, self.looked_up):
            known.pop(number, None)

    def serve(self, what: str, arguments: list) -> None:
        """Answer; the tests' side may have changed a container before."""
        self.look_again()
        super().serve(what, arguments)

    # What the tests' side asks ------------------------------------------------------------------------------

    def on_run(self, source: str, title: str) -> Any:
        """Run a cell; [what it printed, the error in words or None, names that it set]."""
        before = dict(self.variables)
        linecache.cache[title] = len(source), None, source.splitlines(keepends=True), title
        sys.stdout = sys.stderr = self.printed
        trouble = None
        try:
            exec(compile(source, title, "exec"), self.variables)
        except BaseException as error:
            kept = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == title]
            lines = traceback.format_list(kept) + traceback.format_exception_only(error)
            trouble = [type(error).__name__, str(error)[:1000], "".join(lines)[-4000:]]
        names = [
            name for name, value in self.variables.items()
            if name not in before or before[name] is not value
        ]  # fmt: skip
        return self.encode([self.printed.take(), trouble, names])

    def on_value(self, name: str) -> Any:
        return self.encode(self.variables[name], pair=True)

    def on_call(self, number: int, args: Any, kwargs: Any) -> Any:
        args, kwargs = self.decode(args), self.decode_names(kwargs)
        return self.encode(self.mine[number](*args, **kwargs), pair=True)

    def on_attribute(self, number: int, name: str) -> Any:
        return self.encode(getattr(self.mine[number], name), pair=True)

    def on_operation(self, number: int, name: str, args: Any) -> Any:
        """`name` is a function of one object that Python has a sign for: len, iter, next, str, getitem."""
        return self.encode(OPERATIONS[name](self.mine[number], *self.decode(args)), pair=True)

    # Values -------------------------------------------------------------------------------------------------

    def encode_object(self, value: Any, pair: bool) -> list:
        if REAL_ISINSTANCE(value, RemoteMeta):
            return ["yours", value._number]
        if REAL_ISINSTANCE(value, Remote):
            return ["yours", value._id]
        if isinstance(value, RemoteModule):
            return ["module", value.__name__]
        if isinstance(value, type) and value.__module__ == "builtins":
            return ["builtin", value.__name__]
        if isinstance(value, type) and issubclass(value, BaseException) and "_number" in vars(value):
            return ["yours", value._number]
        if type(value) is collections.OrderedDict:  # nn.Sequential takes its layers' names from one
            return ["OrderedDict", self.encode(tuple(value.items()), pair)]
        if isinstance(value, tuple) and isinstance(getattr(value, "_fields", None), tuple):
            items = [self.encode(item, pair) for item in PLAINLY[tuple](value)]
            return ["namedtuple", type(value).__name__, list(map(str, value._fields)), items]
        for base in (bool, int, float, str, tuple, list, set, dict):  # subclasses: by their plain value
            if isinstance(value, base):
                return self.encode(PLAINLY[base](value), pair)
        number = self.number_of.get(REAL_ID(value))
        if number is None:
            number = self.next_number
            self.next_number += 1
            self.mine[number], self.number_of[REAL_ID(value)] = value, number
        self.sent[number] += 1
        if isinstance(value, type):
            kind = "class"
        elif isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            kind = "function"
        elif hasattr(value, "__next__"):
            kind = "iterator"
        else:
            kind = "object"
        return [
            "mine",
            number,
            kind,
            str(getattr(value, "__name__", type(value).__name__)),
            *self.signs(value),
        ]

    def signs(self, value: Any) -> list:
        """What the stand-in on the tests' side shows of it: its documentation and its parameters."""
        if not isinstance(value, types.FunctionType):
            return [callable(value), []]
        code = value.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        return [True, [str(name) for name in names]]

    def decode_object(self, form: list) -> Any:
        kind, number = form[0], form[1]
        if kind == "yours":
            return self.mine[number]
        if kind == "changed":
            return self.globals.pop(number, None) if isinstance(number, str) else self.changed(number)
        if kind == "builtin":
            return getattr(builtins, number)
        if kind == "module":
            return importlib.import_module(number)
        if kind == "class":
            return self.classes.get(number) or self.facade(number)
        if kind == "size":
            return Size(number)
        if kind == "exception":
            return self.decode_error(number)
        if kind == "standard":
            return getattr(importlib.import_module(number), form[2])
        self.received[number] += 1
        found = self.remotes.get(number)
        if found is None:
            facade = self.classes.get(form[2]) or self.facade(form[2])
            found = object.__new__(facade)
            object.__setattr__(found, "_id", number)
            self.remotes[number] = found
        if len(form) > 3:
            self.note(number, **form[3])
        return found

    def note(
        self, number: int, shape: Any = None, parts: Any = None, contents: Any = None, ahead: Any = None
    ) -> None:
        """Keep what came with an object."""
        if shape is not None:
            self.shapes[number] = shape
        if parts is not None:
            self.parts[number] = {name: self.decode(form) for name, form in parts.items()}
        if contents is not None:
            self.contents[number] = {key: self.decode(form) for key, form in contents}
        if ahead is not None:
            self.ahead[number] = [[self.decode(form) for form in ahead[0][::-1]], ahead[1]]

    def facade(self, number: int) -> type:
        """The class on this side for one of the tests' side: same name, same bases, methods that ask."""
        name, bases, methods, is_error, traits = self.ask("describe", number)
        bases = tuple(dict.fromkeys(base for base in bases if base is not object)) or (Remote,)
        if is_error:
            made = type(name, tuple(base for base in bases if issubclass(base, BaseException)), {})
            made._number = number
        else:
            bases = tuple(base for base in bases if issubclass(base, Remote)) or (Remote,)
            members = {method: remote_method(number, method) for method in methods}
            for method, trait, ahead in (
                ("__next__", "ahead", next_ahead),
                ("__getitem__", "contents", getitem_ahead),
            ):
                if trait in traits and method in members:
                    members[method] = ahead(members[method])
            if "__eq__" in members:
                members["__hash__"] = Remote.__hash__
            members["__slots__"] = ()
            made = RemoteMeta(name, bases, members, number=number)
            if "still" in traits:
                self.still |= {number, made}
        self.classes[number] = made
        return made

    def describe(self, bases: tuple, members: dict) -> list:
        """A class that the learner derives from one of the tests' side, for that side."""
        described = []
        for name, value in members.items():
            if name in ("__module__", "__qualname__", "__classcell__", "__slots__", "__firstlineno__",
                        "__static_attributes__", "__annotations__", "__doc__", "__dict__", "__weakref__"):  # fmt: skip
                continue
            if isinstance(value, staticmethod | classmethod):
                described.append([name, type(value).__name__, self.encode(value.__func__)])
            elif isinstance(value, property):
                parts = [part and self.encode(part) for part in (value.fget, value.fset)]
                described.append([name, "property", parts])
            else:
                described.append([name, "value", self.encode(value, pair=True)])
        return [[self.encode(base) for base in bases], described]

    def call_remote(self, number: int, args: tuple, kwargs: dict) -> Any:
        return self.ask("call", number, self.encode(args, pair=True), self.encode_names(kwargs))

    def encode_names(self, kwargs: dict) -> dict:
        return {name: self.encode(value, pair=True) for name, value in kwargs.items()}

    def decode_names(self, kwargs: dict) -> dict:
        return {name: self.decode(form) for name, form in kwargs.items()}

    def forget(self, number: int) -> None:
        value = self.mine.pop(number, None)
        self.number_of.pop(REAL_ID(value), None)

    # Errors -------------------------------------------------------------------------------------------------

    def encode_error(self, error: BaseException) -> Any:
        if "_remote" in getattr(error, "__dict__", {}):
            return ["yours", error._remote]
        kind = type(error)
        bases = [base for base in kind.__mro__ if "_number" in vars(base) or base.__module__ == "builtins"]
        args = [arg if isinstance(arg, PLAIN) else str(arg) for arg in error.args]
        return ["error", kind.__name__, self.encode(bases[0]), args, str(error)]

    def decode_error(self, form: Any) -> BaseException:
        number, kind, args = form
        error = self.decode(kind).__new__(self.decode(kind))
        error.args = tuple(args)
        error._remote = number
        return error

    def serve_for_ever(self) -> None:
        while True:
            self.serve(*self.receive())


class Size(tuple):
    """torch.Size: a tuple that counts its elements."""

    __slots__ = ()

    def numel(self) -> int:
        """How many elements a tensor of this shape has."""
        count = 1
        for side_length in self:
            count *= side_length
        return count


OPERATIONS = {
    "len": len,
    "iter": iter,
    "next": next,
    "str": str,
    "repr": repr,
    "getitem": lambda value, key: value[key],
    "contains": lambda value, item: item in value,
    "bool": bool,
    "int": int,
    "float": float,
    "enter": lambda value: value.__enter__(),
    "exit": lambda value: value.__exit__(None, None, None),
}
PLAINLY = {
    bool: bool,
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    tuple: lambda value: tuple(tuple.__iter__(value)),
    list: lambda value: list(list.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
}


def is_instance(value: Any, kinds: Any) -> bool:
    """`isinstance`, to which an object of the tests' side is what it is there."""
    if REAL_ISINSTANCE(value, kinds):
        return True
    if not REAL_ISINSTANCE(value, Remote):
        return False
    foreign = [kind.__name__ for kind in flat(kinds) if not REAL_ISINSTANCE(kind, RemoteMeta)]
    return bool(foreign) and side.ask("is_instance", value._id, foreign)


def identity(value: Any) -> int:
    """`id`, which for an object of the tests' side is the same each time that it is met."""
    return side.ask("identity", value._id) if REAL_ISINSTANCE(value, Remote) else REAL_ID(value)


def memory_of(value: Any) -> memoryview:
    """`memoryview`, of a copy for an array of the tests' side."""
    return REAL_VIEW(bytes(value) if REAL_ISINSTANCE(value, Remote) else value)


def flat(kinds: Any) -> list[type]:
    """The classes in a class, a union, or a tuple of these."""
    parts = kinds if REAL_ISINSTANCE(kinds, tuple) else getattr(kinds, "__args__", None)
    return [kinds] if parts is None else [one for part in parts for one in flat(part)]


REAL_ISINSTANCE, REAL_ID, REAL_VIEW = isinstance, id, memoryview


def confine(megabytes: int, seconds: int) -> None:
    """Limits that this process cannot take back, and no new process, thread, program or socket.

    Where the system knows no such filter (not Linux, or another processor), bubblewrap's walls stand alone.
    """
    for what, most in (
        (resource.RLIMIT_AS, megabytes * 1_000_000),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 50_000_000),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
    give_up(NOBODY, MEMORY, threads=False)


def main() -> None:
    """Serve the tests' side until it closes the socket.

    Arguments: the file descriptor of the socket, megabytes, CPU-seconds, characters that a cell may print.
    """
    global side
    number, megabytes, seconds, characters = (int(text) for text in sys.argv[1:5])
    confine(megabytes, seconds)
    builtins.isinstance, builtins.id, builtins.memoryview = is_instance, identity, memory_of
    builtins.display = builtins.get_ipython = Nothing()
    builtins.exit = builtins.quit = sys.exit
    side = Learner(Wire(socket.socket(fileno=number)))
    side.classes[0] = Remote
    side.printed.limit = characters
    sys.meta_path.insert(0, Finder())
    for name in REMOTE_ANYWAY:
        sys.modules.pop(name, None)
    sys.setrecursionlimit(3000)
    with contextlib.suppress(Lost):  # the tests' side has ended
        side.serve_for_ever()


if __name__ == "__main__":
    main()
