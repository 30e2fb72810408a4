"""A small lab, and submissions to it that cheat, break, or are right in unusual ways, each with its points.

For tests/grading/test_corpus.py. In the text of a submission WATCHED is a folder of the host and PORT a port
of the host where somebody listens.
"""

from dataclasses import dataclass, field

from grading_samples import nbgrader_cell
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

GIVEN = """\
import numpy as np
import torch
from torch import Tensor, nn

EPSILON = 1e-12"""

STANDARDIZE = """\
def standardize(x):
    \"\"\"(N, D) -> (N, D): each column with mean 0 and deviation 1\"\"\"
    ### BEGIN SOLUTION
    return (x - x.mean(0)) / x.std(0, correction=0)
    ### END SOLUTION"""
TEST_STANDARDIZE = """\
from grading.kinds import close

visible_input = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 10.0]])
visible_answer = torch.tensor([[-1.2247449, -1.2247449], [0, 0], [1.2247449, 1.2247449]])
got = standardize(visible_input)
assert tuple(got.shape) == (3, 2), got
assert close(got, visible_answer), got
### BEGIN HIDDEN TESTS
from grading.kinds import leaves_no_trace, other_layouts, other_types

torch.manual_seed(1)
hidden_input = torch.randn(6, 3)
hidden_answer = (hidden_input - hidden_input.mean(0)) / hidden_input.std(0, correction=0)
with leaves_no_trace(hidden_input):
    got = standardize(hidden_input)
assert close(got, hidden_answer), "other numbers"
for twin in other_layouts(hidden_input):
    assert close(standardize(twin), hidden_answer), "stored differently"
for twin in other_types(hidden_input):
    assert close(standardize(twin), hidden_answer), "another type"
### END HIDDEN TESTS"""

RESIDUAL = """\
class Residual(nn.Module):
    \"\"\"Adds its input to what `inner` makes of it, times a learned `scale` that starts at 0.5.\"\"\"
    ### BEGIN SOLUTION
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return x + self.scale * self.inner(x)
    ### END SOLUTION"""
TEST_RESIDUAL = """\
block = Residual(nn.Identity())
assert isinstance(block, nn.Module)
assert torch.allclose(block(torch.ones(2, 3)), torch.full((2, 3), 1.5)), block(torch.ones(2, 3))
### BEGIN HIDDEN TESTS
from grading.kinds import close, leaves_no_trace

torch.manual_seed(2)
hidden_inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
hidden_input = torch.randn(4, 3)
hidden_answer = (hidden_input + 0.5 * hidden_inner(hidden_input)).detach()
block = Residual(hidden_inner)
with leaves_no_trace(hidden_input, hidden_inner):
    got = block(hidden_input)
assert close(got, hidden_answer), "other numbers"
assert len(list(block.parameters())) == 3, "the parameters of inner and one more"
got.sum().backward()
assert all(parameter.grad is not None for parameter in block.parameters()), "gradients"
### END HIDDEN TESTS"""

RECORD = """\
def record(network, inputs, watch):
    \"\"\"Run the children of `network` one after the other; call watch(name, output) for each; return the last output\"\"\"
    ### BEGIN SOLUTION
    for name, child in network.named_children():
        inputs = child(inputs)
        watch(name, inputs)
    return inputs
    ### END SOLUTION"""
TEST_RECORD = """\
seen = []
got = record(nn.Sequential(nn.Flatten(), nn.ReLU()), torch.tensor([[[-1.0, 2.0]]]), lambda *told: seen.append(told))
assert [name for name, _ in seen] == ["0", "1"], seen
assert torch.equal(got, torch.tensor([[0.0, 2.0]])), got
### BEGIN HIDDEN TESTS
from grading.kinds import close, leaves_no_trace

torch.manual_seed(3)
hidden_network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
hidden_input, hidden_outputs = torch.randn(5, 3), []
for layer in hidden_network:
    hidden_outputs.append(layer(hidden_outputs[-1] if hidden_outputs else hidden_input).detach())
told = {}
with leaves_no_trace(hidden_network, hidden_input):
    got = record(hidden_network, hidden_input, lambda name, output: told.update({name: output.detach().clone()}))
assert list(told) == ["0", "1", "2"], "each child, in order"
assert all(close(one, other) for one, other in zip(told.values(), hidden_outputs)), "the outputs"
assert close(got, hidden_outputs[-1]), "the last output"
### END HIDDEN TESTS"""

SUMMARY = """\
def summary(numbers, key=None):
    \"\"\"An object with `mean`, `largest` and `ordered`: a list sorted by `key`. ValueError: no numbers.\"\"\"
    ### BEGIN SOLUTION
    from types import SimpleNamespace

    if not numbers:
        raise ValueError("there are no numbers")
    ordered = sorted(numbers, key=key)
    return SimpleNamespace(mean=sum(numbers) / len(numbers), largest=max(numbers), ordered=ordered)
    ### END SOLUTION"""
TEST_SUMMARY = """\
result = summary([3, 1, 2])
assert result.mean == 2 and result.largest == 3, result
assert result.ordered == [1, 2, 3], result.ordered
### BEGIN HIDDEN TESTS
from grading.kinds import leaves_no_trace, refuses

hidden_numbers = [4, -7, 0.5, 9]
with leaves_no_trace(hidden_numbers):
    result = summary(hidden_numbers, key=abs)
assert abs(result.mean - 1.625) < 1e-9 and result.largest == 9
assert len(result.ordered) == 4 and list(result.ordered) == [0.5, 4, -7, 9]
assert summary((5,), key=lambda number: -number).ordered == [5]
refuses(ValueError, summary, [])
### END HIDDEN TESTS"""

EXERCISES = {  # name -> the lab's cell, its test, points
    "standardize": (STANDARDIZE, TEST_STANDARDIZE, 3),
    "Residual": (RESIDUAL, TEST_RESIDUAL, 4),
    "record": (RECORD, TEST_RECORD, 5),
    "summary": (SUMMARY, TEST_SUMMARY, 2),
}


def corpus_lab() -> NotebookNode:
    """The lab with its solutions: a function of tensors, a module, a function with a callback, plain numbers."""
    cells = [nbgrader_cell(new_markdown_cell("# Lab"), "intro"), nbgrader_cell(new_code_cell(GIVEN), "given")]
    for name, (answer, test, points) in EXERCISES.items():
        cells.append(nbgrader_cell(new_code_cell(answer), name, answer=True))
        cells.append(nbgrader_cell(new_code_cell(test), f"test_{name}", points))
    return new_notebook(
        cells=cells,
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


@dataclass
class Submission:
    """What a student hands in.

    Args:
        name: what it tries.
        answers: exercise -> the text of its cell; the others are the lab's solutions.
        loses: exercises that deserve no points.
        first: a cell of the student's own in front of all others.
        slow: it runs into a time limit, and takes as long.
        order: exercises in the order in which their cells stand.
    """

    name: str
    answers: dict[str, str] = field(default_factory=dict)
    loses: tuple[str, ...] = ()
    first: str = ""
    slow: bool = False
    order: tuple[str, ...] = tuple(EXERCISES)

    def points(self) -> dict[str, float]:
        """The points that it deserves."""
        return {name: 0 if name in self.loses else points for name, (_, _, points) in EXERCISES.items()}

    def notebook(self) -> NotebookNode:
        """The notebook, in the lab's cells."""
        lab = corpus_lab()
        cells = {cell.id: cell for cell in lab.cells}
        for name, text in self.answers.items():
            cells[name].source = text
        own = [new_code_cell(self.first)] if self.first else []
        lab.cells = lab.cells[:2] + own + [cells[f"{t}{name}"] for name in self.order for t in ("", "test_")]
        return lab


def cheat(exercise: str, name: str, text: str, also: tuple[str, ...] = (), **options) -> Submission:
    """One answer that deserves nothing; the others are right, but for those that it spoils itself."""
    return Submission(name, {exercise: text}, loses=(exercise, *also), **options)


def tries(name: str, text: str, loses: tuple[str, ...] = ("standardize",), **options) -> Submission:
    """A cell of its own that tries something in front of a wrong answer to `standardize` and right ones."""
    lines = "\n".join(f"    {line}" for line in text.splitlines())
    code = f"try:\n{lines}\nexcept BaseException as error:\n    print(repr(error))"
    return Submission(name, {"standardize": "def standardize(x):\n    return x"}, loses, code, **options)


def honest(exercise: str, name: str, text: str, **options) -> Submission:
    """One answer that is right in an unusual way."""
    return Submission(name, {exercise: text}, **options)
