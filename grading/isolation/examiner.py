"""The tests' side: holds the real objects, runs what the lab gives and its tests, and asks the learner's side.

A name that an answer defines is here a stand-in: a function that asks, or a class derived from a real one
whose methods ask. So test cells stay ordinary cells, and compare real tensors by real functions.
"""

import collections
import contextlib
import copy
import functools
import importlib
import itertools
import keyword
import operator
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from grading.isolation import gate
from grading.isolation.gate import Refused
from grading.isolation.wire import AHEAD, PLAIN, Lost, Peer, Wire


class Examiner(Peer):
    """Asks one learner's side.

    Args:
        wire: to the learner's side.
        variables: of the lab; what the lab gives is looked up here by the learner's side.
    """

    not_by_value = (
        collections.OrderedDict,
    )  # a module's hooks are in one: whoever clears it must clear that very one

    def __init__(self, wire: Wire, variables: dict[str, Any]) -> None:
        super().__init__(wire, first=2)
        self.variables = variables
        self.objects: dict[int, Any] = {}
        self.number_of: dict[int, int] = {}
        self.next_number = 1
        self.stand_ins: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.their_number: dict[int, int] = {}  # id of a stand-in -> the learner's side's number
        self.iterators: set[int] = set()  # made for the learner's side, which may ask for elements ahead
        self.told: dict[str, Any] = {}  # modules and classes of the lab that the learner's side knows by name
        # Objects of which it knows shape, contents or parts without asking, and whether these still are so:
        self.known: dict[int, Callable[[], bool]] = {}
        self.only_looked = False  # since they were last found to be so
        self.within = False  # an object of which the parts go over, too
        self.depth = 0  # of calls into the learner's side
        self.borrowed: list[tuple[Any, str, Any]] = []  # module, method, what stood in its place
        self.lent: list[Any] = []  # handles of hooks on every module

    # What tests ask -----------------------------------------------------------------------------------------

    def run(self, source: str, title: str) -> tuple[str, list | None, list[str]]:
        """Run a cell of the learner's; what it printed, its error, the names that it set."""
        try:
            said = self.ask("run", source, title)
        finally:
            self.give_back()
        if not (isinstance(said, list) and len(said) == 3 and isinstance(said[0], str) and is_trouble(said[1])
                and isinstance(said[2], list)):  # fmt: skip
            raise Lost("it sent something that is no message")
        return said[0], said[1], [name for name in said[2] if isinstance(name, str)]

    def fetch(self, name: str) -> Any:
        """A variable of the learner's: plain data, or a stand-in."""
        return self.ask("value", name)

    def call(self, number: int, args: tuple, kwargs: dict) -> Any:
        """Call a function or method of the learner's."""
        names = {name: self.encode(value, pair=True) for name, value in kwargs.items()}
        form = self.encode(args, pair=True)
        self.depth += 1
        try:
            with modes_kept():
                return self.ask("call", number, form, names)
        finally:
            self.depth -= 1
            if not self.depth:
                self.give_back()

    def give_back(self) -> None:
        """Put back what an answer changed for as long as it works: methods of the tests' modules, hooks on all."""
        while self.lent:
            self.lent.pop().remove()
        while self.borrowed:
            thing, name, before = self.borrowed.pop()
            if before is None:
                vars(thing).pop(name, None)
            else:
                vars(thing)[name] = before

    # What the learner's side asks ---------------------------------------------------------------------------

    def on_import(self, name: str) -> None:
        if not gate.module_allowed(name):
            raise ImportError(f"{name!r} cannot be imported in the grading")
        importlib.import_module(name)

    def on_module(self, name: str, attribute: str) -> Any:
        module = self.module(name)
        gate.check_module_name(module, attribute)
        return self.encode(getattr(module, attribute))

    def on_global(self, name: str) -> Any:
        found, value = self.shown(name)
        lasting = isinstance(value, types.ModuleType | type)
        form = self.encode((found, value, lasting), pair=True)
        if lasting:
            self.told[name] = value
        return form

    def shown(self, name: str) -> tuple[bool, Any]:
        """Whether the lab has a variable that the learner's side may see, and what it is."""
        return name in self.variables, self.variables.get(name)

    def on_get(self, number: int, name: str) -> Any:
        thing = self.objects[number]
        if name == "__dict__" and isinstance(thing, gate.torch_module()):
            attributes = Attributes(self, thing)
            self.number(attributes)  # of this file, which the gate does not know
            return self.encode(attributes)
        gate.check_attribute(thing, name)
        return self.encode(getattr(thing, name), pair=True)

    def on_set(self, number: int, name: str, form: Any) -> None:
        self.put(self.objects[number], name, self.decode(form))

    def put(self, thing: Any, name: str, value: Any) -> None:
        """Set an attribute for the learner's side."""
        gate.check_set(thing, name)
        if name == "forward" and not gate.of_learner(thing):
            self.borrowed.append((thing, name, vars(thing).get(name)))
        setattr(thing, name, value)

    def on_delete(self, number: int, name: str) -> None:
        thing = self.objects[number]
        gate.check_set(thing, name)
        delattr(thing, name)

    def on_call(self, number: int, args: Any, kwargs: dict) -> Any:
        gate.check_options(kwargs)
        return self.encode(self.do(self.objects[number], self.decode(args), self.decode_names(kwargs)))

    def do(self, function: Any, args: tuple, kwargs: dict) -> Any:
        """Call a function for the learner's side."""
        result = function(*args, **kwargs)
        if getattr(function, "__name__", "") in gate.LENT:
            self.lent.append(result)
        return result

    def on_method(self, owner: int, name: str, thing: Any, args: Any, kwargs: dict) -> Any:
        gate.check_options(kwargs)
        kind, thing = self.objects[owner], self.decode(thing)
        args, kwargs = self.decode(args), self.decode_names(kwargs)
        if not isinstance(thing, kind):
            raise TypeError(f"{name!r} of {kind.__name__} needs an object of this class")
        if name.startswith("_") and name not in gate.MAY_CALL | gate.PRIVATE:
            raise Refused(f"{kind.__name__!r} object has no attribute {name!r} in the grading")
        gate.check_attribute(thing, name) if not name.startswith("__") else None
        if name == "__call__" and isinstance(thing, gate.FUNCTIONS):
            return self.encode(self.do(thing, args, kwargs))
        method = getattr(kind, name)
        result = method(thing, *args, **kwargs)
        form = self.encode(result)
        if name in ITERATES and result is not thing and gate.is_new_iterator(method, result):
            number = self.number_of[id(result)]
            self.iterators.add(number)
            form.append({"ahead": self.next_of(number, AT_FIRST)})
        return form

    def on_ahead(self, number: int, count: int) -> Any:
        """Elements that an iterator will give, which stays where it is, and whether these are all.

        Raises:
            Refused: for an iterator that was not made for the learner's side.
        """
        if number not in self.iterators:
            raise Refused("no look ahead")
        if type(count) is not int or not 0 < count <= AHEAD:
            raise Refused("no such number of elements")
        forms, ends = self.next_of(number, count)
        return ["tuple", [["tuple", forms], ends]]

    def next_of(self, number: int, count: int) -> tuple[list, bool]:
        """The next `count` elements of an iterator, and whether these are all that there are."""
        items = list(itertools.islice(copy.copy(self.objects[number]), count + 1))
        forms: list[Any] = []
        for item in items[:count]:
            try:
                forms.append(self.encode(item))
            except Exception:  # the learner's side shall hear of it when it comes there
                break
        return forms, len(forms) == len(items)

    def moved(self, number: int, times: int) -> None:
        """The learner's side took elements that it had been told ahead, or heard that there are no more."""
        if number not in self.iterators or type(times) is not int or not 0 < times <= AHEAD + 1:
            raise ValueError("no such iterator")
        with contextlib.suppress(StopIteration, RuntimeError):  # changed meanwhile: it says so in its turn
            for _ in range(times):
                next(self.objects[number])

    def on_contents(self, number: int) -> Any:
        """The elements of a dictionary that are no containers, by keys that are strings or integers.

        Nothing for a dictionary that is not one of Python's, or large.
        """
        thing = self.objects[number]
        if not gate.is_dictionary(type(thing)) or len(thing) > 4 * AHEAD:
            return ["tuple", []]
        return ["tuple", [["tuple", pair] for pair in self.contents_of(thing, number)]]

    def contents_of(self, thing: dict, number: int) -> list[list]:
        """[key, element] of each element of a dictionary that can be told, see `on_contents`."""
        self.known[number] = functools.partial(holds_the_same, thing, dict(dict.items(thing)), {})
        pairs = []
        for key, value in dict.items(thing):
            if type(key) not in (str, int) or type(value) in (tuple, list, dict, set, frozenset):
                continue
            with contextlib.suppress(Refused):
                form = self.encode(value)
                if not isinstance(form, list) or form[0] == "object":
                    pairs.append([key, form])
        return pairs

    def updates(self) -> tuple[list, list[int]]:
        updates, unused = super().updates()
        if self.told:
            for name, value in list(self.told.items()):
                found, now = self.shown(name)
                if not found or now is not value:
                    del self.told[name]
                    updates.append(["changed", name])
        if not self.only_looked:
            for number in [number for number, holds in self.known.items() if not holds()]:
                del self.known[number]
                updates.append(["changed", number])
        self.only_looked = False
        return updates, unused

    def serve(self, what: str, arguments: list) -> None:
        """Answer one question."""
        self.only_looked = what in LOOKS or (
            what == "get" and gate.is_still(type(self.objects.get(arguments[0])))
        )
        super().serve(what, arguments)

    def on_new(self, number: int) -> Any:
        kind = self.objects[number]
        if not (isinstance(kind, type) and derivable(kind)):
            raise Refused(f"{getattr(kind, '__name__', kind)}.__new__ is not available in the grading")
        return self.encode(kind.__new__(kind))

    def on_bytes(self, number: int) -> Any:
        return self.encode(memoryview(self.objects[number]).tobytes())

    def on_hash(self, number: int) -> int:
        return hash(self.objects[number])

    def on_identity(self, number: int) -> int:
        return hash((id(self.objects[number]), id(self)))  # no address, and the same each time

    def on_dir(self, number: int) -> Any:
        return self.encode([name for name in dir(self.objects[number]) if not name.startswith("_")])

    def on_exit(self, number: int, form: Any) -> Any:
        error = None if form is None else self.decode_error(form)
        return self.encode(self.objects[number].__exit__(error and type(error), error, None))

    def on_copy(self, number: int) -> Any:
        return self.encode(copy.copy(self.objects[number]))

    def on_new_memo(self) -> Any:
        memo = Memo()
        self.number(memo)
        return self.encode(memo)

    def on_deepcopy(self, number: int, memo: int) -> Any:
        return self.encode(copy.deepcopy(self.objects[number], self.objects[memo].seen))

    def on_is_instance(self, number: int, names: list[str]) -> bool:
        return any(
            kind.__name__ in names for kind in type(self.objects[number]).__mro__ if kind is not object
        )

    def on_describe(self, number: int) -> Any:
        kind = self.objects[number]
        # Of the standard library (tuple, MutableMapping): no classes of the learner's side, but methods of this one.
        standard = [one for one in kind.__mro__[-2::-1] if gate.is_standard(one)]
        members = {name: value for one in (*standard, kind) for name, value in vars(one).items()}
        methods = [name for name, value in members.items() if callable(value) and gate.is_method(name, value)]
        bases = [base for base in kind.__bases__ if base is not object and gate.class_allowed(base)]
        traits = gate.traits(kind)
        return self.encode((kind.__name__, tuple(bases), methods, issubclass(kind, BaseException), traits))

    def on_subclass(self, name: str, bases: list, members: list) -> int:
        bases = tuple(self.decode(base) for base in bases)
        for base in bases:
            if not isinstance(base, type) or not derivable(base):
                raise Refused(
                    f"no class can be derived from {getattr(base, '__name__', base)} in the grading"
                )
        body: dict[str, Any] = {"__module__": "__main__", "of_learner": True}
        for member, how, form in members:
            if member.startswith("__") and member.endswith("__") and member not in gate.MAY_DEFINE:
                continue
            if member == "__getattr__":
                body[member] = getattr_of_learner(self.decode(form))
            elif how == "property":
                body[member] = property(*(part and self.decode(part) for part in form))
            else:
                body[member] = WRAPPERS[how](self.decode(form))
        made = types.new_class(name, bases, exec_body=lambda members: members.update(body))
        return self.number(made)

    # Values -------------------------------------------------------------------------------------------------

    def number(self, value: Any) -> int:
        """The number that the learner's side knows an object by."""
        number = self.number_of.get(id(value))
        if number is None:
            number = self.next_number
            self.next_number += 1
            self.objects[number], self.number_of[id(value)] = value, number
        return number

    def forget(self, number: int) -> None:
        value = self.objects.pop(number, None)
        self.number_of.pop(id(value), None)
        self.iterators.discard(number)
        self.known.pop(number, None)

    def module(self, name: str) -> types.ModuleType:
        if not gate.module_allowed(name) or name not in sys.modules:
            raise Refused(f"module {name!r} is not available in the grading")
        return sys.modules[name]

    def encode_object(self, value: Any, pair: bool) -> list:
        if id(value) in self.their_number:
            return ["yours", self.their_number[id(value)]]
        if isinstance(value, ALIASES):  # annotations mean nothing to the learner's side
            return ["standard", "typing", "Any"]
        if id(value) not in self.number_of:
            gate.check_value(value)
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__]
        if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            if gate.is_standard(value):
                return ["standard", value.__module__, value.__name__]
            if isinstance(value, type):
                return ["class", self.number(value)]
        if type(value).__name__ == "Size" and isinstance(value, tuple):
            return ["size", list(value)]
        if isinstance(value, BaseException):
            return ["exception", self.encode_error(value)]
        number = self.number(value)
        self.sent[number] += 1
        form = ["object", number, self.number(type(value))]
        if has_plain_shape(value):
            self.known[number] = functools.partial(has_shape, value, value.shape)
            form.append({"shape": list(value.shape)})
        elif not self.within and number not in self.known and (more := self.parts_of(value, number)):
            form.append(more)
        return form

    def parts_of(self, value: Any, number: int) -> dict[str, Any]:
        """What an answer need not ask for: {"parts": attributes by name} or {"contents": of a small dictionary}.

        The parts are the fields of a named tuple that are numbers, words or tuples of these, and the modules
        in a module that is none of torch's. What changes, `updates` tells.
        """
        self.within = True  # of a part no parts
        try:
            if gate.is_dictionary(type(value)) and len(value) <= SMALL:
                return {"contents": self.contents_of(value, number)}
            if gate.is_named_tuple(type(value)):
                fields = zip(type(value)._fields, tuple.__iter__(value), strict=False)
                parts = {name: part for name, part in fields if stays(part)}
            elif parts := gate.parts_by_name(value):
                modules = vars(value)["_modules"]
                self.known[number] = functools.partial(holds_the_same, modules, dict(modules), vars(value))
            found = {}
            for name, part in parts.items():
                with contextlib.suppress(Refused):
                    gate.check_attribute(value, name)
                    found[name] = self.encode(part)
            return {"parts": found} if found else {}
        finally:
            self.within = False

    def decode_object(self, form: list) -> Any:
        kind, number = form[0], form[1]
        if kind == "yours":
            return self.objects[number]
        if kind == "moved":
            return self.moved(number, form[2])
        if kind == "builtin":
            return gate.builtin(number)
        if kind == "module":
            return self.module(number)
        if kind == "namedtuple":
            return named(number, *form[2])(*(self.decode(item) for item in form[3]))
        found = self.stand_ins.get(number)
        if found is None:
            found = self.stand_in(*form[1:])
            self.stand_ins[number], self.their_number[id(found)] = found, number
            weakref.finalize(found, self.drop_stand_in, id(found), number).atexit = False
        self.received[number] += 1
        return found

    def drop_stand_in(self, identity: int, number: int) -> None:
        """A stand-in is gone: the learner's side need not keep what it stood for."""
        self.their_number.pop(identity, None)
        self.drop(number)

    def stand_in(self, number: int, kind: str, name: str, can_be_called: bool, names: list) -> Any:
        """What stands on this side for an object of the learner's."""
        if kind != "function":
            return STAND_INS.get((kind == "iterator", bool(can_be_called)), Answer)(self, number, name)

        def answer(*args: Any, **kwargs: Any) -> Any:
            return self.call(number, args, kwargs)

        answer.__name__ = answer.__qualname__ = str(name)
        answer.__module__ = "__main__"
        return answer

    def decode_names(self, kwargs: dict) -> dict:
        return {name: self.decode(form) for name, form in kwargs.items()}

    # Errors -------------------------------------------------------------------------------------------------

    def encode_error(self, error: BaseException) -> Any:
        kind = type(error)
        while not gate.class_allowed(kind):
            kind = kind.__bases__[0]
        args = [arg if isinstance(arg, str | int | float | None) else str(arg) for arg in error.args]
        return [self.number(error), self.encode_object(kind, pair=False), args]

    def decode_error(self, form: Any) -> BaseException:
        if form[0] == "yours":
            error = self.objects[form[1]]
            return error if isinstance(error, Exception) else Refused("no error")
        _, name, kind, args, text = form
        kind = self.decode(kind)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            kind = RuntimeError
        if not issubclass(kind, Exception):  # SystemExit, KeyboardInterrupt: an answer ends only itself
            return RuntimeError(f"{name}: {text}")
        if kind.__name__ != name:
            kind = type(str(name), (kind,), {"__module__": "__main__"})
        try:
            error = kind(*args)
            if str(error) == text:
                return error
        except Exception:
            pass
        error = kind.__new__(kind)
        error.args = (text,)
        return error


def is_trouble(value: Any) -> bool:
    """Whether this is None, or an error in words as a learner's side tells it."""
    if value is None:
        return True
    return isinstance(value, list) and len(value) == 3 and all(isinstance(part, str) for part in value)


@functools.lru_cache(maxsize=100)
def named(name: str, *fields: str) -> type:
    """The class of a named tuple of the learner's: its fields, and no methods."""
    name = name if name.isidentifier() and not keyword.iskeyword(name) else "Answer"
    return collections.namedtuple(name, fields, rename=True, module="__main__")


ALIASES = (types.GenericAlias, types.UnionType, type(typing.List[int]), type(typing.Any))  # noqa: UP006


class Attributes(MutableMapping):
    """`__dict__` of a module for the learner's side, under the rules for setting attributes."""

    def __init__(self, side: Examiner, thing: Any) -> None:
        self.__side, self.__thing = side, thing

    def __getitem__(self, name: str) -> Any:
        if name not in vars(self.__thing):
            raise KeyError(name)
        gate.check_attribute(self.__thing, name)
        return vars(self.__thing)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.__side.put(self.__thing, name, value)

    def __delitem__(self, name: str) -> None:
        gate.check_set(self.__thing, name)
        del vars(self.__thing)[name]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in vars(self.__thing) if not name.startswith("__")])

    def __len__(self) -> int:
        return len(vars(self.__thing))


@contextlib.contextmanager
def modes_kept() -> Iterator[None]:
    """Leave what an answer entered and did not leave: a device for all new tensors, half precision for all layers.

    A test must not compute what it expects in fewer digits. Grad mode and the default type stay as the answer
    leaves them: tests look at these.
    """
    import torch

    depth, half = torch._C._len_torch_function_stack(), torch.is_autocast_enabled("cpu")
    try:
        yield
    finally:
        while torch._C._len_torch_function_stack() > depth:
            torch._C._pop_torch_function_stack()
        torch.set_autocast_enabled("cpu", half)


def holds_the_same(now: dict, before: dict, hiding: dict) -> bool:
    """Whether a dictionary holds the very same objects as before, and no attribute hides one of them."""
    return (
        len(now) == len(before)
        and all(map(operator.is_, dict.keys(now), before))
        and all(map(operator.is_, dict.values(now), before.values()))
        and hiding.keys().isdisjoint(before)
    )


def stays(value: Any) -> bool:
    """Whether this is a number, a word, or a tuple of these, which nothing can change."""
    return type(value) in PLAIN or (type(value) is tuple and all(map(stays, value)))


def has_plain_shape(value: Any) -> bool:
    """Whether this is a tensor and to read its shape runs no code of a test."""
    torch = sys.modules.get("torch")
    if torch is None or type(value) not in (torch.Tensor, torch.nn.Parameter):
        return False
    return not torch._C._len_torch_function_stack() and not value.is_nested


def has_shape(tensor: Any, shape: Any) -> bool:
    """Whether a tensor has this shape, and no code of a test wants to see who reads it."""
    return has_plain_shape(tensor) and tensor.shape == shape


# Questions that run no code but this file's.
LOOKS = {"contents", "ahead", "describe", "global", "module", "identity", "is_instance"}
ITERATES = ("__iter__", "__reversed__")
AT_FIRST, SMALL = 4, 8  # elements that go over with a new iterator, and with a dictionary


class Memo:
    """What `copy.deepcopy` of several objects has copied so far."""

    def __init__(self) -> None:
        self.seen: dict = {}


class Answer:
    """Stands for an object of the learner's that is neither plain data nor a function."""

    def __init__(self, side: Examiner, number: int, name: str) -> None:
        self.__dict__["_Answer"] = side, number, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        side, number, _ = self.__dict__["_Answer"]
        return side.ask("attribute", number, name)

    def __repr__(self) -> str:
        side, number, _ = self.__dict__["_Answer"]
        return str(side.ask("operation", number, "repr", side.encode(())))

    def __len__(self) -> int:
        side, number, _ = self.__dict__["_Answer"]
        return side.ask("operation", number, "len", side.encode(()))

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Any:
        side, number, _ = self.__dict__["_Answer"]
        return side.ask("operation", number, "iter", side.encode(()))

    def __getitem__(self, key: Any) -> Any:
        side, number, _ = self.__dict__["_Answer"]
        return side.ask("operation", number, "getitem", side.encode((key,)))

    def __contains__(self, item: Any) -> bool:  # by what is in it, not by what it says of itself
        return any(one is item or one == item for one in self)

    def __enter__(self) -> Any:
        side, number, _ = self.__dict__["_Answer"]
        return side.ask("operation", number, "enter", side.encode(()))

    def __exit__(self, *error: object) -> None:
        side, number, _ = self.__dict__["_Answer"]
        side.ask("operation", number, "exit", side.encode(()))


class CallableAnswer(Answer):
    """An object of the learner's that can be called: a partial, an object with `__call__`, a class."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        side, number, _ = self.__dict__["_Answer"]
        return side.call(number, args, kwargs)


class IteratorAnswer(Answer):
    """An iterator or generator of the learner's."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        side, number, _ = self.__dict__["_Answer"]
        return side.ask("operation", number, "next", side.encode(()))


def getattr_of_learner(function: Any) -> Any:
    """A `__getattr__` of the learner's: asked for plain names only, and not once more by itself.

    Numpy and torch ask any object for `__array_interface__`, `__torch_function__` and the like. An answer to
    these could be an address in this process's memory.
    """
    active: set[tuple[int, str]] = set()

    def __getattr__(self: Any, name: str) -> Any:
        key = id(self), name
        if name.startswith("__") or key in active:
            for base in type(self).__mro__:
                found = vars(base).get("__getattr__")
                if found is not None and getattr(found, "__name__", "") != "getattr_of_learner":
                    return found(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        active.add(key)
        try:
            return function(self, name)
        finally:
            active.discard(key)

    __getattr__.__name__ = "getattr_of_learner"
    return __getattr__


STAND_INS = {(False, True): CallableAnswer, (True, False): IteratorAnswer, (True, True): IteratorAnswer}
WRAPPERS = {"value": lambda value: value, "staticmethod": staticmethod, "classmethod": classmethod}


def derivable(base: type) -> bool:
    """Whether the learner may derive a class from this one: not where the class decides what a test sees.

    A tensor or an array with methods of the learner's could answer every comparison.
    """
    if not gate.class_allowed(base):
        return False
    return not any(one.__name__ in ("Tensor", "TensorBase", "ndarray", "generic", "Size", "dtype", "Generator")
                   or hasattr(one, "__torch_function__") or hasattr(one, "__torch_dispatch__")
                   or hasattr(one, "__array__") for one in base.__mro__)  # fmt: skip
