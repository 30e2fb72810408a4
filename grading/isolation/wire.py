"""How the two sides of a grading talk: messages of JSON over a socket, and what of Python crosses in them.

Both sides import this file, and the learner's side has nothing but the standard library, so nor does it.
There is no pickle anywhere: whoever writes a message cannot make its reader run anything.

Numbers, strings, bytes, slices and containers of these cross by value. Everything else stays where it was
made; the other side gets a number for it (`Peer.encode_object`). Lists, dictionaries and sets are mutable, so
that a copy is not enough: one that both sides may keep becomes a *pair*, an object on each side which every
message brings up to date. Without that a learner who sorts the list that a test gave would not be found out.
"""

import base64
import json
import socket
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

PLAIN = (str, int, bool, float, type(None))
AS_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode  # made once
AHEAD = 64  # elements that go over at once, at most
MEGABYTES = 256  # a message, at most
NONSENSE = (
    TypeError,
    KeyError,
    ValueError,
    IndexError,
    OverflowError,
    RecursionError,
)  # of reading a message


class Lost(BaseException):
    """The other side is gone or silent. Not an Exception: no `except Exception` of a test may swallow it."""


class Wire:
    """Messages over a connected socket.

    Args:
        connection: a stream socket; a time limit set on it holds for each message.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.rest = bytearray()

    def send(self, message: list) -> None:
        """Raises: Lost, when the other side is gone."""
        try:
            self.connection.sendall(AS_JSON(message).encode() + b"\n")
        except OSError as error:
            raise Lost("it is gone") from error

    def receive(self) -> list:
        """Raises: Lost, when nothing comes in time, or something other than messages."""
        searched = 0
        while (end := self.rest.find(b"\n", searched)) < 0:
            searched = len(self.rest)
            if searched > MEGABYTES * 1_000_000:
                raise Lost(f"it sent more than {MEGABYTES} MB at once")
            try:
                more = self.connection.recv(1 << 20)
            except TimeoutError as error:
                raise Lost("it did not answer in time") from error
            except OSError as error:
                raise Lost("it is gone") from error
            if not more:
                raise Lost("it is gone")
            self.rest += more
        line = bytes(self.rest[:end])
        del self.rest[: end + 1]
        try:
            message = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            raise Lost("it sent something that is no message") from error
        if not isinstance(message, list) or len(message) != 5:
            raise Lost("it sent something that is no message")
        return message


class Peer:
    """One side: asks the other, and answers its questions while it waits.

    A message is [what, arguments, updates of pairs, pairs that are pairs no more, objects of the other side that
    are not needed any more, each with how often it was received]. What is asked is the name of a method `on_...`
    of the other side; the reply is "ok" or "error".

    Args:
        wire: to the other side.
        first: 1 or 2, so that the two sides number their pairs differently.
    """

    not_by_value: tuple[type, ...] = ()

    def __init__(self, wire: Wire, first: int) -> None:
        self.wire = wire
        self.next_pair = first
        self.pairs: dict[int, list] = {}  # number -> [object, what it held when the sides last agreed]
        self.pair_of: dict[int, int] = {}  # id of the object -> number
        self.kept: list[Any] = []  # what the next message speaks of must live until it is sent
        self.sent: Counter[int] = Counter()  # how often each object of this side went over
        self.received: Counter[int] = Counter()  # and of the other side
        self.unneeded: list[tuple[int, int]] = []  # of the other side, to be told with the next message

    # Questions and replies ----------------------------------------------------------------------------------

    def ask(self, what: str, *arguments: Any) -> Any:
        """Ask, serve what the other side asks meanwhile, and return its reply or raise its error."""
        self.send(what, arguments)
        while True:
            reply, arguments = self.receive()
            if reply == "ok":
                try:
                    return self.decode(arguments[0])
                except NONSENSE as error:
                    raise Lost("it sent something that is no message") from error
            if reply == "error":
                raise self.decode_error(arguments[0])
            self.serve(reply, arguments)

    def serve(self, what: str, arguments: list) -> None:
        """Answer one question."""
        try:
            handler = getattr(self, f"on_{what}")
            reply = "ok", [handler(*arguments)]
        except Exception as error:
            reply = "error", [self.encode_error(error)]
        self.send(*reply)

    def send(self, what: str, arguments: Any) -> None:
        updates, forgotten = self.updates()
        unneeded, self.unneeded = self.unneeded, []
        self.wire.send([what, list(arguments), updates, forgotten, unneeded])
        self.kept.clear()

    def receive(self) -> tuple[str, list]:
        what, arguments, updates, forgotten, unneeded = self.wire.receive()
        try:
            for update in updates:
                self.decode(update)
            for number in forgotten:
                self.forget_pair(number)
            for number, times in unneeded:
                self.sent[number] -= times
                if self.sent[number] <= 0:  # not where it is on its way over once more
                    del self.sent[number]
                    self.forget(number)
            return str(what), list(arguments)
        except NONSENSE as error:
            raise Lost("it sent something that is no message") from error

    def drop(self, number: int) -> None:
        """Nothing on this side needs an object of the other side any more."""
        self.unneeded.append((number, self.received.pop(number, 0)))

    def forget(self, number: int) -> None:
        """The other side does not need this side's object any more."""
        raise NotImplementedError

    # Values -------------------------------------------------------------------------------------------------

    def encode(self, value: Any, pair: bool = False) -> Any:
        """A value as JSON: plain ones as they are, all else as [kind, ...].

        Args:
            value: any.
            pair: make lists, dictionaries and sets to pairs. Otherwise only those that are pairs stay pairs.
        """
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is tuple:
            return ["tuple", [self.encode(item, pair) for item in value]]
        if kind in (list, dict, set):
            return self.encode_mutable(value, pair)
        if kind in VALUES and kind not in self.not_by_value:
            return [kind.__name__, *(self.encode(part, pair) for part in VALUES[kind](value))]
        if value is Ellipsis or value is NotImplemented:
            return [repr(value)]
        self.kept.append(value)
        return self.encode_object(value, pair)

    def encode_mutable(self, value: Any, pair: bool) -> list:
        self.kept.append(value)
        number = self.pair_of.get(id(value), 0)
        if pair and not number:
            number = self.next_pair
            self.next_pair += 2
            self.pairs[number], self.pair_of[id(value)] = [value, None], number
        if number:
            if self.pairs[number][1] is ENCODING:
                return ["pair", number]
            self.pairs[number][1] = ENCODING
        parts = [item for entry in value.items() for item in entry] if type(value) is dict else list(value)
        items = [self.encode(item, pair) for item in parts]
        if number:
            self.pairs[number][1] = contents(value)
        return [type(value).__name__, number, items]

    def decode(self, form: Any) -> Any:
        """What `encode` of the other side meant."""
        if not isinstance(form, list):
            return form
        kind = form[0]
        if kind in MUTABLE:
            return self.decode_mutable(MUTABLE[kind], *form[1:])
        if kind in FORMS:
            return FORMS[kind](*(self.decode(part) for part in form[1:]))
        if kind == "tuple":
            return tuple(self.decode(item) for item in form[1])
        if kind == "pair":
            return self.pairs[form[1]][0]
        return self.decode_object(form)

    def decode_mutable(self, kind: type, number: int, forms: list) -> Any:
        value = self.pairs[number][0] if number in self.pairs else kind()
        if number:
            self.pairs[number], self.pair_of[id(value)] = [value, None], number
        items = [self.decode(form) for form in forms]
        value.clear()
        if kind is dict:
            value.update(zip(items[::2], items[1::2], strict=True))
        elif kind is list:
            value.extend(items)
        else:
            value.update(items)
        if number:
            self.pairs[number][1] = contents(value)
        return value

    def encode_object(self, value: Any, pair: bool) -> list:
        raise NotImplementedError

    def decode_object(self, form: list) -> Any:
        raise NotImplementedError

    def encode_error(self, error: BaseException) -> Any:
        raise NotImplementedError

    def decode_error(self, form: Any) -> BaseException:
        raise NotImplementedError

    # Pairs --------------------------------------------------------------------------------------------------

    def updates(self) -> tuple[list, list[int]]:
        """What changed in this side's halves of pairs, and the pairs whose half only this table still holds."""
        if not self.pairs:
            return [], []
        changed = [value for value, before in list(self.pairs.values()) if differs(value, before)]
        updates = [self.encode(value, pair=True) for value in changed]
        del changed
        unused = []
        for number, entry in list(self.pairs.items()):
            if sys.getrefcount(entry[0]) == 2:  # the entry, and the argument of getrefcount
                unused.append(number)
                self.forget_pair(number)
        return updates, unused

    def forget_pair(self, number: int) -> None:
        entry = self.pairs.pop(number, None)
        if entry is not None:
            self.pair_of.pop(id(entry[0]), None)


ENCODING = object()  # stands in a pair's entry while its contents are being encoded: a list that holds itself
VALUES: dict[type, Callable] = {
    bytes: lambda value: [base64.b64encode(value).decode()],
    slice: lambda value: [value.start, value.stop, value.step],
    range: lambda value: [value.start, value.stop, value.step],
    complex: lambda value: [value.real, value.imag],
    frozenset: lambda value: [tuple(value)],
    OrderedDict: lambda value: [tuple(value.items())],
}
FORMS: dict[str, Callable] = {
    "bytes": base64.b64decode,
    "slice": slice,
    "range": range,
    "complex": complex,
    "frozenset": frozenset,
    "OrderedDict": OrderedDict,
    "Ellipsis": lambda: Ellipsis,
    "NotImplemented": lambda: NotImplemented,
}
MUTABLE = {"list": list, "dict": dict, "set": set}


def contents(value: Any) -> list:
    """The parts of a list, dictionary or set, to compare with later."""
    return [*value.keys(), *value.values()] if type(value) is dict else list(value)


def differs(value: Any, before: Any) -> bool:
    """Whether a list, dictionary or set holds other objects than before, or in another order."""
    if before is None or before is ENCODING:  # it is just on its way
        return False
    now = contents(value)
    return len(now) != len(before) or any(one is not other for one, other in zip(now, before, strict=True))
