"""The learner's side knows the shapes of tensors without asking, and never an old one."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from grading.isolation import sandbox
from grading.isolation.examiner import Examiner
from grading.isolation.wire import Wire

WATCHED = """
import torch
from torch.overrides import TorchFunctionMode

seen = []


class Watched(torch.Tensor):
    @property
    def shape(self):
        seen.append("a property")
        return super().shape


class Mode(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function == torch.Tensor.shape.__get__:
            seen.append("a mode")
        return function(*args, **(kwargs or {}))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def examiner() -> Iterator[Examiner]:
    process, connection = sandbox.start(
        lambda number: sandbox.learner_command(None, number, sandbox.Limits())
    )
    connection.settimeout(100)
    yield Examiner(Wire(connection), {"__name__": "__main__"})
    connection.close()
    process.kill()
    process.wait()


def answer(examiner: Examiner, source: str) -> Any:
    _, trouble, _ = examiner.run("import torch\n" + source, "answer")
    assert trouble is None, trouble
    return examiner.fetch("answer")


@pytest.mark.parametrize(
    "change",
    [
        "x.t_()",
        "x.squeeze_().unsqueeze_(1)",
        "x.resize_(3, 2)",
        "x.data = torch.zeros(3, 2)",
        "setattr(x, 'data', torch.zeros(3, 2))",
        "torch.Tensor.t_(x)",
        "y = x\ny.t_()",
        "change(x)",
    ],
)
def test_what_changes_a_shape_is_seen_at_once(change: str, examiner: Examiner) -> None:
    exec("def change(x):\n    x.t_()", examiner.variables)  # of the lab
    body = f"before = x.shape\n{change}\nreturn [before, x.shape, x.shape[0]]"
    function = answer(examiner, "def answer(x):\n" + "".join(f"    {line}\n" for line in body.splitlines()))
    x = torch.zeros(2, 3)
    before, after, first = function(x)
    assert tuple(before) == (2, 3)
    assert tuple(after) == tuple(x.shape)
    assert first == x.shape[0]
    x.unsqueeze_(0)  # by the test, between two calls
    assert tuple(answer(examiner, "answer = lambda x: x.shape")(x)) == tuple(x.shape)


def test_a_shape_is_still_a_size(examiner: Examiner) -> None:
    function = answer(
        examiner, "def answer(x):\n    size = x.shape\n    return size.numel(), type(size).__name__, size[1:]"
    )
    count, kind, rest = function(torch.zeros(2, 3))
    assert (count, kind, tuple(rest)) == (6, "Size", (3,))


def test_shapes_are_not_asked_for(examiner: Examiner) -> None:
    asked = []
    serve = examiner.serve
    examiner.serve = lambda what, arguments: asked.append((what, *arguments)) or serve(what, arguments)  # type: ignore[method-assign]
    function = answer(examiner, "def answer(x, y):\n    return [x.shape, y.shape, (x @ y).shape]")
    asked.clear()
    shapes = function(torch.zeros(2, 3), torch.nn.Parameter(torch.zeros(3, 4)))
    assert [tuple(shape) for shape in shapes] == [(2, 3), (3, 4), (2, 4)]
    assert [what for what in asked if what[0] == "get"] == []


def test_a_mode_or_a_subclass_of_a_test_sees_who_reads_a_shape(examiner: Examiner) -> None:
    lab = examiner.variables
    exec(WATCHED, lab)
    function = answer(examiner, "def answer(x):\n    return x.shape")
    function(torch.zeros(2, 3).as_subclass(lab["Watched"]))
    assert lab["seen"] == ["a property"]
    with lab["Mode"]():
        function(torch.zeros(2, 3))
    assert lab["seen"] == ["a property", "a mode"]
