"""What the learner's side is told ahead, to ask less often: nothing that an answer does comes out differently.

Each answer here runs in one process and on two sides, on the same objects, and must end the same way.
"""

import contextlib
import io
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from grading.isolation import sandbox
from grading.isolation.examiner import Examiner
from grading.isolation.wire import Lost, Wire

GIVEN = """
import collections
from typing import NamedTuple
import torch
from torch import nn

class Candidate(NamedTuple):
    name: str
    top1: float
    count: int  # hides a method of tuple
    strides: tuple
    model: object

class Loud(Candidate):  # notes who reads it
    seen = []

    @property
    def top1(self):
        Loud.seen.append(self.name)
        return len(Loud.seen)

class Vague(Candidate):  # gives what it does not hold
    def __getattribute__(self, name):
        return 1 if name == "top1" else super().__getattribute__(name)

class ByNumber(dict):  # as `Features` is
    def __missing__(self, key):
        return f"no {key}"

class Watched(dict):  # notes who looks at it
    def __init__(self, *args):
        super().__init__(*args)
        self.seen = []

    def __getitem__(self, key):
        self.seen.append(key)
        return super().__getitem__(key)

class Layers(nn.Module):  # an attribute changes what is in its list
    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList(nn.Linear(1, size) for size in range(1, 8))

    @property
    def shrink(self):
        del self.inner[-1]
        return len(self.inner)

class Backwards(dict):  # gives an iterator that a test holds
    held = iter(["told", "later", "secret"])

    def __reversed__(self):
        return Backwards.held

state = collections.OrderedDict((f"layer{number}", torch.full((number,), 1.0)) for number in range(90))
numbers = ByNumber({number: number * number for number in range(40)})
ordered = collections.OrderedDict(numbers)
layers = nn.ModuleList(nn.Linear(1, size) for size in range(1, 12))
owner = Layers()
candidates = [Candidate(f"net{n}", n / 2, n, (4, 8), nn.Linear(1, n + 1)) for n in range(30)]
loud, vague = Loud("loud", 2.0, 3, (), None), Vague("vague", 2.0, 3, (), None)
watched = Watched({str(number): number for number in range(9)})

def take(iterator, count):
    return [next(iterator) for _ in range(count)]

def rest(iterator):
    return list(iterator)

def grow(mapping, key, value):
    mapping[key] = value

def shrink(mapping, key):
    del mapping[key]

def swap(module, name, layer):
    setattr(module, name, layer)

def hide(module, name):
    vars(module)[name] = "hidden"

def empty(module):
    module._modules = {}

def same(*things):
    return len({id(one) for one in things}) == 1
"""


def given() -> dict[str, Any]:
    """What a lab gives, made anew."""
    variables = {"__name__": "__main__"}
    exec(GIVEN, variables)
    return variables


OWN = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(1, 2), nn.Linear(2, 3)

    def during(self, change):
        seen = [self.size(name) for name in "abc"]
        change()
        return seen, [self.size(name) for name in "abc"]

    def size(self, name):
        try:
            return getattr(getattr(self, name), "out_features", "no layer")
        except AttributeError:
            return "nothing"

    def forward(self, x):
        return x, self.a.out_features, self.b.out_features, self.a.in_features, self.b is self.a

net = Net()
"""
ANSWERS = {
    "all of it": "return [(name, tuple(value.shape)) for name, value in state.items()]",
    "keys, values": "return list(numbers), [v for v in state.values()][5].shape, list(numbers.keys())[3]",
    "layers": "return [layer.out_features for layer in layers]",
    "layers that work": "x = torch.ones(1, 1); return [tuple(layer(x).shape) for layer in layers]",
    "two dictionaries": """
        old, new = state, numbers
        return [key for key in new if key > 2 and old[f"layer{key}"].shape[0] > 30]
    """,
    "early end, then another loop": """
        names = iter(state)
        for name in names:
            if name == "layer7":
                break
        return name, next(names), [one for one in names][-1], list(names)
    """,
    "one iterator twice": "values = iter(numbers.values()); return list(zip(values, values))",
    "two iterators at a time": "return [(a, b) for a in iter(numbers) if a < 9 for b in iter(state) if b == 'layer8']",
    "it ends and stays at its end": """
        names, ends = iter(numbers), 0
        for name in names:
            pass
        for _ in range(3):
            try:
                next(names)
            except StopIteration:
                ends += 1
        grow(numbers, 100, 1)
        return ends, next(names, "over")
    """,
    "its end is the other side's end": "names = iter(numbers); list(names); return rest(names)",
    "the other side goes on": """
        names = iter(state)
        first = [next(names) for _ in range(3)]
        return first, take(names, 4), next(names), take(names, 1), len(rest(names)), list(names)
    """,
    "grows in a loop": """
        seen = []
        try:
            for name in state:
                seen.append(name)
                if name == "layer20":
                    grow(state, "new", 1)
        except RuntimeError as error:
            return seen, str(error)
        return seen
    """,
    "grows by the answer itself": """
        seen = []
        try:
            for name in numbers:
                seen.append(name)
                if name == 6:
                    numbers[1000] = 0
        except RuntimeError as error:
            return seen, str(error)
        return seen
    """,
    "values change in a loop": """
        seen = []
        for key, value in numbers.items():
            seen.append((key, value))
            grow(numbers, key + 1, 7) if key == 20 else None
        return seen
    """,
    "shrinks by an attribute": """
        seen = []
        try:
            for layer in owner.inner:
                seen.append(layer.out_features)
                owner.shrink
        except RuntimeError as error:
            return seen, str(error)
        return seen
    """,
    "layers are added in a loop": """
        seen = []
        try:
            for layer in layers:
                seen.append(layer.out_features)
                if len(seen) == 3:
                    layers.append(nn.Linear(1, 99))
        except RuntimeError as error:
            return seen, str(error)
        return seen
    """,
    "a value changes between looks": """
        it = ordered  # who looks the variable up anew is told nothing ahead
        seen = [it[key] for key in (1, 2, 3, 4, 5)]
        grow(it, 4, "new")
        seen += [it[key] for key in (1, 2, 3, 4, 5)]
        it[5] = "own"
        return seen + [it[key] for key in (1, 2, 3, 4, 5)]
    """,
    "a value goes between looks": """
        it = ordered  # who looks the variable up anew is told nothing ahead
        seen = [it[key] for key in (1, 2, 3, 4, 5)]
        shrink(it, 3)
        return seen + [it[key] for key in (1, 2, 3, 4, 5)]
    """,
    "keys that are missing, true and 1.0": """
        it, named = numbers, state
        found = [it[key] for key in (1, 2, 3, 1.0, True, 77)]
        try:
            [named[name] for name in ("layer1", "layer2", "layer3", "layer4", "nothing")]
        except KeyError as error:
            return found, str(error)
    """,
    "the same object each time": """
        named = state
        by_key = [named[f"layer{number}"] for number in (1, 1, 1, 1)]
        by_loop = [value for name, value in named.items() if name == "layer1"]
        return same(*by_key, *by_loop), by_key[0] is by_key[3] is by_loop[0]
    """,
    "each look is noted": "it = watched; [it[key] for key in '1234567']; return list(it.seen)",
    "fields of named tuples": """
        best = max(candidates, key=lambda one: one.top1)
        return best.name, best.count, best[2], best.strides, best.model.out_features, [one.name for one in candidates]
    """,
    "named tuples are tuples": """
        one = candidates[3]
        name, *rest = one
        return name, len(one), rest[:3], one == candidates[3]
    """,
    "named tuples stay as they are": """
        one = candidates[3]
        try:
            one.top1 = 100.0
        except AttributeError:
            return one.top1, one._replace(top1=100.0).top1, one.top1
    """,
    "a field that is code": "return loud.top1, loud.top1, list(loud.seen), loud.name, vague.top1, vague[1]",
    "own modules": OWN
    + "return net(1), net(2), [name for name, _ in net.named_children()], same(net.a, net.a)",
    "own modules in own modules": OWN
    + """
        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.other = net, Net()

            def forward(self, x):
                return self.one(x), self.other.b.out_features, same(self.one.a, net.a), self.one is net

        outer = Outer()
        first = outer(1)
        outer.one.a = nn.Linear(1, 70)
        return first, outer(2), net.a.out_features
    """,
    "own modules that are swapped by somebody else": OWN
    + """
        seen = []
        for change in (lambda: swap(net, "a", nn.Linear(1, 7)), lambda: setattr(net, "b", nn.Linear(1, 8)),
                       lambda: swap(net, "c", nn.Linear(1, 9)), lambda: delattr(net, "a")):
            seen.append(net.during(change))
        return seen, hasattr(net, "a"), net.c.out_features
    """,
    "own modules that are hidden or gone": OWN
    + """
        return net.during(lambda: hide(net, "a")), net.during(lambda: empty(net))
    """,
    "own modules and an own __getattr__": """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(1, 2)

            def __getattr__(self, name):
                return f"no {name}" if name.startswith("z") else super().__getattr__(name)

            def forward(self, x):
                return self.a.out_features, self.zed, self.a.out_features

        return Net()(1)
    """,
    "an enumeration in the middle": "return [n for n, (k, v) in enumerate(state.items()) if v.numel() == 50]",
}


@pytest.fixture(scope="module")
def examiner() -> Iterator[Examiner]:
    process, connection = sandbox.start(
        lambda number: sandbox.learner_command(None, number, sandbox.Limits())
    )
    connection.settimeout(100)
    yield Examiner(Wire(connection), {})
    process.kill()
    process.wait()


def outcome(answer: Any) -> Any:
    """What an answer gives or raises, plain."""
    try:
        return answer()
    except Exception as error:
        return type(error).__name__, str(error)


def answer_of(body: str) -> str:
    """A function with this body; what stands in it before `OWN` ends is not indented."""
    start, rest = (OWN, body[len(OWN) :]) if body.startswith(OWN) else ("", body)
    return "def answer():\n" + textwrap.indent(start + textwrap.dedent(rest).strip(), "    ")


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_ends_as_it_does_in_one_process(examiner: Examiner, body: str) -> None:
    here = given()
    exec(answer_of(body), here)
    expected = outcome(here["answer"])
    examiner.variables.clear()
    examiner.variables.update(given())
    assert examiner.run(answer_of(body), "answer")[1] is None
    assert outcome(examiner.fetch("answer")) == expected


def messages(examiner: Examiner, body: str) -> int:
    """How many questions the learner's side asks."""
    examiner.variables.clear()
    examiner.variables.update(given())
    assert examiner.run(answer_of(body), "answer")[1] is None
    answer, real, count = examiner.fetch("answer"), examiner.serve, 0

    def serve(*message: Any) -> None:
        nonlocal count
        count += 1
        real(*message)

    examiner.serve = serve
    try:
        answer()
    finally:
        del examiner.serve
    return count


def test_loops_ask_seldom(examiner: Examiner) -> None:
    assert messages(examiner, ANSWERS["all of it"]) < 15
    assert messages(examiner, ANSWERS["two dictionaries"]) < 20
    calls = OWN + "calls = [net.size('a') for _ in range(50)]; before = len(calls)"
    assert messages(examiner, calls) < 70, "each asks for out_features, none for the layer"
    assert messages(examiner, ANSWERS["fields of named tuples"]) < 12
    assert messages(examiner, "for _ in range(50): torch, nn, torch.Tensor\nreturn 1") < 6


def test_a_module_or_class_of_the_lab_that_changes_is_seen(examiner: Examiner) -> None:
    examiner.variables.update(kind=nn.Linear, tools=torch)
    examiner.run(answer_of("return kind.__name__, tools.__name__"), "answer")
    answer = examiner.fetch("answer")
    assert answer() == ("Linear", "torch")
    examiner.variables.update(kind=nn.Conv2d, tools=nn)
    assert answer() == ("Conv2d", "torch.nn")
    del examiner.variables["kind"]
    with pytest.raises(NameError):
        answer()
    examiner.variables["kind"] = nn.Linear
    assert answer()[0] == "Linear"


# What a learner's side might try that speaks for itself ------------------------------------------------------

ASK = """
import __main__
def number_of(thing):
    return thing._id
def ask(*question):
    return __main__.side.ask(*question)
def say_moved(number, times):
    __main__.side.moved[number] = times
    return __main__.side.ask("hash", number)
"""


@contextlib.contextmanager
def asking(**variables: Any) -> Iterator[Examiner]:
    """A learner's side that sends what it likes."""
    process, connection = sandbox.start(
        lambda number: sandbox.learner_command(None, number, sandbox.Limits())
    )
    connection.settimeout(100)
    examiner = Examiner(Wire(connection), variables)
    try:
        assert examiner.run(ASK, "answer")[1] is None
        yield examiner
    finally:
        process.kill()
        process.wait()


def test_nobody_looks_ahead_into_an_iterator_of_a_test() -> None:
    secret = iter(["told", "later", "secret"])
    with asking(secret=secret) as examiner:
        trouble = examiner.run("ask('ahead', number_of(secret), 3)", "try")[1]
        assert trouble is not None
        assert "no look ahead" in trouble[1]
        assert examiner.run("first = next(secret)", "try")[1] is None
    assert list(secret) == ["later", "secret"]


def test_nobody_looks_ahead_into_an_iterator_that_a_method_of_a_test_hands_out() -> None:
    backwards = given()["Backwards"]()
    with asking(backwards=backwards) as examiner:
        said, trouble, _ = examiner.run("it = backwards.__reversed__(); print(next(it))", "try")
        assert (said.strip(), trouble) == ("told", None)
        assert "no look ahead" in examiner.run("ask('ahead', number_of(it), 3)", "try")[1][1]
    assert list(type(backwards).held) == ["later", "secret"]


@pytest.mark.parametrize(
    "times", ["10**18", "-1", "0", "'3'", "[3]", "None", "1e9"], ids=lambda times: times.strip("'")
)
def test_nobody_moves_an_iterator_by_nonsense(times: str) -> None:
    with asking(state=given()["state"]) as examiner:
        assert examiner.run("names = iter(state); next(names)", "try")[1] is None
        with pytest.raises(Lost):
            examiner.run(f"say_moved(number_of(names), {times})", "try")


def test_nobody_moves_an_iterator_of_a_test() -> None:
    secret = iter(["told", "later", "secret"])
    with asking(secret=secret) as examiner, pytest.raises(Lost):
        examiner.run("say_moved(number_of(secret), 1)", "try")
    assert list(secret) == ["told", "later", "secret"]


def test_what_the_gate_refuses_is_in_no_contents() -> None:
    mapping = given()["numbers"]
    mapping.clear()
    mapping.update({1: 1, 2: io.StringIO(), 3: [1], 4: torch.ones(1), (5,): 5})
    with asking(mapping=mapping) as examiner:
        said = examiner.run("it = mapping; print(sorted(dict(ask('contents', number_of(it)))))", "try")
        assert said[0].strip() == "[1, 4]"
        for looks in ("[it[key] for key in (1, 4, 1, 4, 2)]", "[value for value in it.values()]"):
            assert "not available" in examiner.run(looks, "try")[1][1]
        said = examiner.run(
            """
values = iter(it.values())
first = next(values)
try:
    next(values)
except AttributeError:
    print(first, next(values), next(values).shape[0], next(values), next(values, "over"))
""",
            "try",
        )
        assert said[0].strip() == "1 [1] 1 5 over"


def test_a_dictionary_that_watches_is_not_read_past() -> None:
    watched = given()["watched"]
    with asking(watched=watched, plain=5) as examiner:
        assert examiner.run("it = watched; print(ask('contents', number_of(it)))", "try")[0].strip() == "()"
        assert "KeyError" in examiner.run("ask('contents', 10**6)", "try")[1][0]
    assert watched.seen == []


def test_a_large_dictionary_goes_over_one_by_one() -> None:
    numbers = given()["numbers"]
    numbers.update({number: number for number in range(1000)})
    with asking(numbers=numbers) as examiner:
        assert examiner.run("it = numbers; print(ask('contents', number_of(it)))", "try")[0].strip() == "()"
        assert examiner.run("print(sum(numbers[key] for key in range(9)))", "try")[0].strip() == "36"
        assert (
            examiner.run("names = iter(numbers)\nprint(len(ask('ahead', number_of(names), 64)[0]))", "t")[
                0
            ].strip()
            == "64"
        )
