"""Runs labs inside this process and counts points as nbgrader would: what the tests of the labs stand on.

A kernel takes seconds to start and to import torch, and a lab has a hundred answers to try. So its solution
runs once; what the notebook's variables were before each exercise is kept, and every answer starts there.
"""

import ast
import contextlib
import copy
import functools
import io
import re
import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import torch
from nbformat import NotebookNode

HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", re.DOTALL)
SOLUTION = re.compile(r"### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL)


@dataclass
class Answer:
    """An answer that a learner could have written, and whether it deserves the points."""

    replaces: str  # the name of the function or class that the exercise asks for
    why: str  # what is wrong with it; for a right answer, in which style it was written
    right: bool
    value: Any  # the function or class itself


class Answers(list[Answer]):
    """The answers to one lab, collected by decorators.

    answers = Answers()

    @answers.wrong("moving_average", "pads with zeros")
    def pads_with_zeros(signal, window): ...
    """

    def wrong(self, replaces: str, why: str) -> Callable[[Any], Any]:
        """The function or class below loses points in the exercise that asks for `replaces`."""
        return functools.partial(self._add, replaces, why, False)

    def right(self, replaces: str, style: str) -> Callable[[Any], Any]:
        """The function or class below keeps all points in the exercise that asks for `replaces`."""
        return functools.partial(self._add, replaces, style, True)

    def _add(self, replaces: str, why: str, right: bool, value: Any) -> Any:
        self.append(Answer(replaces, why, right, value))
        return value


def isolated(answer: Answer) -> bool:
    """Whether `make test` tries this answer on isolated sides: half of the right ones, a quarter of the wrong.

    The others run in one process, as in a learner's kernel. With BACKBONES_ISOLATE=all every answer runs both
    ways, which takes half an hour.
    """
    number = zlib.crc32(f"{answer.replaces} {answer.value.__name__}".encode())
    return number % (2 if answer.right else 4) == 0


@dataclass
class Exercise:
    """A cell to be filled in and the test cells that follow it."""

    answer: NotebookNode
    tests: list[NotebookNode] = field(default_factory=list)
    start: dict[str, Any] | None = None  # the notebook's variables before the exercise

    @functools.cached_property
    def names(self) -> list[str]:
        """The functions and classes that the exercise asks for."""
        kinds = ast.FunctionDef | ast.ClassDef
        return [node.name for node in ast.parse(self.answer.source).body if isinstance(node, kinds)]

    @property
    def points(self) -> float:
        """What the exercise is worth."""
        return sum(cell.metadata.nbgrader.points for cell in self.tests)


class Lab:
    """A lab's solution notebook, ready to try other answers in it.

    Attributes:
        name: "lab01".
        cells: all of the notebook's cells.
        exercises: by the first name that the exercise asks for, in the notebook's order.
    """

    def __init__(self, path: Path):
        self.name = path.stem
        self.cells = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells
        self.exercises: dict[str, Exercise] = {}
        self._variables: dict[str, Any] = {}
        for cell in self.cells:
            if is_answer(cell):
                exercise = Exercise(cell)
                self.exercises[exercise.names[0]] = exercise
            elif is_test(cell):
                exercise.tests.append(cell)  # a test cell before the first exercise is an error here

    @functools.cached_property
    def solution_points(self) -> dict[str, float]:
        """grade_id -> points of the unchanged solution; runs the notebook up to its last test cell."""
        points = {}
        last = max(number for number, cell in enumerate(self.cells) if is_test(cell))
        for cell in self.cells[: last + 1]:
            if is_answer(cell):
                next(e for e in self.exercises.values() if e.answer is cell).start = self._copy()
                self.run_answer(cell)
            elif is_test(cell):
                points[cell.metadata.nbgrader.grade_id] = self._test(cell.source, cell)
            elif cell.cell_type == "code":
                run(cell.source, self._variables)
        return points

    def run_answer(self, cell: NotebookNode) -> None:
        """Run the solution's answer to an exercise."""
        run(cell.source, self._variables)

    def points(self, answer: Answer, change_test: Callable[[str], str] = str) -> float:
        """The points that an answer gets in its exercise.

        Args:
            answer: takes the solution's place.
            change_test: what to make of a test cell's source first.
        """
        exercise = next(e for e in self.exercises.values() if answer.replaces in e.names)
        assert self.solution_points  # has run, so that the exercise has a start
        self._variables.clear()  # the same dictionary all the time: the notebook's functions look into it
        self._variables.update(self._copy(exercise.start))
        default_type = torch.get_default_dtype()
        try:
            with torch.enable_grad():  # puts back what an answer may switch off
                self.run_answer(exercise.answer)
                self._variables[answer.replaces] = answer.value
                return sum(self._test(change_test(cell.source), cell) for cell in exercise.tests)
        finally:
            torch.set_default_dtype(default_type)

    def _test(self, source: str, cell: NotebookNode) -> float:
        try:
            run(source, self._variables)
        except Exception:
            return 0
        return cell.metadata.nbgrader.points

    def _copy(self, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The variables; tensors and networks as copies, which an answer cannot spoil for the next one."""
        variables = self._variables if variables is None else variables
        kinds = (torch.Tensor, torch.nn.Module)
        mutable = {name: value for name, value in variables.items() if isinstance(value, kinds)}
        return {**variables, **copy.deepcopy(mutable)}


def is_answer(cell: NotebookNode) -> bool:
    """Whether the learner writes code into this cell."""
    return cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution", False)


def is_test(cell: NotebookNode) -> bool:
    """Whether nbgrader gives points by running this cell."""
    nbgrader = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and nbgrader.get("grade", False) and not nbgrader.get("solution", False)


def without_hidden_tests(source: str) -> str:
    """What the learner sees of a test cell."""
    return HIDDEN.sub("", source)


def run(source: str, variables: dict[str, Any]) -> None:
    """Execute a cell, always with the same random numbers; what it prints is lost, figures are not shown."""
    matplotlib.use("agg")
    torch.manual_seed(0)
    variables.setdefault("__name__", "__main__")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(compiled(source), variables)


@functools.cache
def compiled(source: str) -> types.CodeType:
    """A cell as Python runs it: each answer to an exercise meets the same test cells."""
    return compile(source, "<cell>", "exec")
