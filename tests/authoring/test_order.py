"""A lab's tests compute what they expect before an answer can change what they compute it from."""

import pytest
from grading_samples import DOUBLE, nbgrader_cell
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from authoring import check
from authoring.order import order_problems


def lab(*lines: str) -> NotebookNode:
    """A lab that asks for `double` and for a class `Net`, and a test of these lines."""
    net = nbgrader_cell(new_code_cell("class Net:\n    pass"), "net", answer=True)
    test = nbgrader_cell(new_code_cell("\n".join(lines)), "test", 3)
    return new_notebook(cells=[nbgrader_cell(new_code_cell(DOUBLE), "double", answer=True), net, test])


@pytest.mark.parametrize(
    "line",
    [
        "assert close(double(x), 2 * x), 'why'",
        "assert close(double(x), F.double(x))",
        "assert close(double(numbers=x), by_hand(x))",
        "assert double(*x) == by_hand(*x)",
        "assert torch.equal(double(x[0]), x)",
        "assert close(double(x.view(-1)), by_hand(x))",
        "assert close(double([1, x]), by_hand(x))",
        "out, expected = double(x), by_hand(x)",
        "out, expected = double(x), x + x",
        "def hidden():\n    for x in several:\n        with context:\n            assert close(double(x), by_hand(x))",
        "net = Net()\nassert close(net(x), by_hand(x))",
        "assert close(double(x).sum(), x.sum())",
    ],
)
def test_a_test_that_computes_too_late_is_named(line: str) -> None:
    (problem,) = order_problems(lab(line))
    assert problem.startswith("cell test: ")
    assert "computes with x after the answer had it" in problem
    assert order_problems in check.EVERY_NOTEBOOK


@pytest.mark.parametrize(
    "line",
    [
        "expected = 2 * x\nassert close(double(x), expected)",
        "expected, out = by_hand(x), double(x)",
        "assert close(by_hand(x), double(x))",
        "assert close(double(x.clone()), by_hand(x))",
        "assert close(double(2 * x), by_hand(x))",
        "assert close(other(x), by_hand(x))",
        "assert close(double(x), expected), f'{x} is {by_hand(x)}'",
        "assert double(double(x)) == 4",
        "assert callable(lambda: close(double(x), by_hand(x)))",
    ],
)
def test_a_test_in_good_order_is_not(line: str) -> None:
    assert list(order_problems(lab(line))) == []
