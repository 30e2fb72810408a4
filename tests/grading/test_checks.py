"""Partial credit: a test cell's checks one by one."""

import copy
import csv
import queue
from pathlib import Path
from typing import Any

import nbformat
import pytest
from grading_samples import cell_of, hand_in, tiny_course
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbgrader.utils import determine_grade

from grading.__main__ import main
from grading.isolation import checks
from grading.isolation.notebook import filling
from grading.isolation.tests_side import Notebook

CELL = """
out = double(3)
assert out == 6, "3 doubled is 6"
assert isinstance(double, object)
helper = 1


def hidden():
    assert double(-1) == -2, "also below zero"


hidden()
for number in (4, 5):
    assert double(number) == 2 * number, f"{number} doubled"
print("done")
"""
LOST = "AssertionError: "


def run(answer: str, cell: str = CELL, **variables: Any) -> dict:
    """The outcome of a test cell for an answer that is here on the same side."""
    notebook = Notebook(queue.Queue(), [], 60, 60)  # type: ignore[arg-type]
    notebook.variables |= variables
    exec(answer, notebook.variables)
    outcome = notebook.run_ours({"source": cell, "hidden": True, "partial": True}, "<cell 1>")
    outcome["variables"] = notebook.variables
    return outcome


def test_what_is_a_check() -> None:
    assert [one.is_check for one in checks.statements(CELL, "x")] == [0, 1, 1, 0, 0, 1, 1, 0]
    assert checks.count(CELL) == 4
    assert checks.count("def f():\n    assert False\n\n\nclass A:\n    def g(self): assert 0\n") == 0
    assert checks.count("with a:\n    f()\n\n\ndef f(): pass") == 1


def test_a_right_answer_passes_all() -> None:
    outcome = run("def double(x): return 2 * x")
    assert outcome["error"] is None
    assert outcome["checks"] == [[True, ""]] * 4


def test_after_a_check_that_fails_the_others_run() -> None:
    outcome = run("def double(x): return 2 * abs(x)")
    assert [ok for ok, _ in outcome["checks"]] == [True, True, False, True]
    assert outcome["checks"][2][1] == LOST + "also below zero"
    assert outcome["error"][:2] == ["AssertionError", "also below zero"]
    assert outcome["printed"] == "done\n"


def test_what_a_failed_statement_would_have_set_is_not_taken_from_before() -> None:
    outcome = run("def double(x): raise NotImplementedError('exercise 1')", out=6)
    assert [ok for ok, _ in outcome["checks"]] == [False, True, False, False]
    assert outcome["checks"][0][1] == "NotImplementedError: exercise 1"  # and not "out is not defined"
    assert outcome["variables"]["out"] == 6  # as without partial credit


def test_what_a_failed_import_or_definition_would_have_set_is_not_taken_from_before() -> None:
    cell = (
        "import nowhere as thing\n"
        "@double(1)\ndef helper(): return 2\n"
        "with double(1) as handle: pass\n"
        "assert thing\nassert helper() == 2\nassert handle"
    )
    outcome = run("def double(x): raise ValueError('no')", cell, thing=1, helper=lambda: 2, handle=1)
    assert [ok for ok, _ in outcome["checks"]] == [False, False, False]
    assert outcome["variables"]["thing"] == outcome["variables"]["handle"] == 1  # as without partial credit


def test_a_check_that_does_not_end_costs_the_rest() -> None:
    notebook = Notebook(queue.Queue(), [], 1, 60)  # type: ignore[arg-type]
    cell = {"source": "assert True\nwhile True: pass\nassert True", "hidden": True, "partial": True}
    outcome = notebook.run_ours(cell, "<cell 1>")
    assert outcome["error"][0] == "TimeoutError"
    assert outcome["checks"] == [[True, ""]]
    assert checks.share(outcome["checks"], 2, set()) == 0.5


@pytest.mark.parametrize(
    ("passed", "free", "expected"),
    [([1, 1, 1, 1], set(), 1), ([1, 0, 1, 0], set(), 0.5), ([1, 0, 1, 0], {0}, 1 / 3), ([1, 1], {1}, 1 / 3),
     ([], set(), 0), ([1, 1, 1, 1], {0, 1, 2, 3}, 0)],
)  # fmt: skip
def test_the_share(passed: list[int], free: set[int], expected: float) -> None:
    assert checks.share([[bool(one), ""] for one in passed], 4, free) == pytest.approx(expected)


def graded(outcome: dict, free: set[int]) -> tuple[NotebookNode, float]:
    """The cell as nbgrader sees it, and the points that nbgrader gives for it, of 3."""
    cell = new_code_cell(CELL)
    cell.metadata["nbgrader"] = {"grade": True, "grade_id": "double", "points": 3, "solution": False,
                                 "schema_version": 3, "locked": True, "task": False}  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[cell])
    filling([outcome], free={"double": free})(notebook, {})
    return cell, determine_grade(cell)[0]


def test_nbgrader_gives_the_share_and_the_learner_reads_why() -> None:
    outcome = run("def double(x): return 2 * abs(x)")
    cell, points = graded(outcome, {1})
    assert points == 2  # two of the three that count: every answer is an object
    text = cell.outputs[-2].text
    assert "2 of 3 checks pass" in text
    assert "- AssertionError: also below zero" in text


def test_no_check_that_counts_no_points() -> None:
    cell, points = graded(run("def double(x): raise NotImplementedError"), {1})
    assert points == 0
    assert cell.outputs[-1].output_type == "error"


def test_all_points_need_the_whole_cell() -> None:
    assert graded(run("def double(x): return 2 * x"), {1})[1] == 3
    outcome = run("def double(x): return 2 * x", CELL + "\nraise RuntimeError('no check, but wrong')")
    assert graded(outcome, {1})[1] == 2


@pytest.mark.slow
def test_the_command_gives_partial_credit(tmp_path: Path) -> None:
    """Four checks a test cell; the last passes without any answer, and so counts nothing."""
    course = tiny_course(tmp_path / "course")
    source = course / "solutions" / "lab77_tiny" / "lab77.ipynb"
    lab = nbformat.read(source, as_version=4)
    cell_of(lab, "test_double").source = (
        "assert double(2) == 4\nassert double(0) == 0\nassert 1 == 1\n### BEGIN HIDDEN TESTS\n\n\n"
        'def hidden():\n    assert double(-3) == -6, "below zero"\n\n\nhidden()\n### END HIDDEN TESTS'
    )
    nbformat.write(lab, source)
    answers = {
        "right": "return 2 * x",
        "partly": "return 2 * abs(x)",
        "zero": "return 0",
        "wrong": "return 1",
    }
    for name, line in answers.items():
        notebook = copy.deepcopy(lab)
        cell_of(notebook, "double").source = f"def double(x):\n    {line}"
        hand_in(tmp_path / "in" / f"{name}.ipynb", notebook)

    def points(*options: str) -> dict[str, float]:
        out = tmp_path / "graded"
        command = ["grade", "lab77", tmp_path / "in", "--course", course, "--out", out, *options]
        assert main([str(part) for part in command]) == 0
        with (out / "lab77.csv").open(encoding="utf-8-sig", newline="") as file:
            return {row["name"]: float(row["test_double"]) for row in csv.DictReader(file)}

    shares = {"right": 3, "partly": 2, "zero": 1, "wrong": 0}
    assert points("--partial") == shares
    assert points("--partial")["partly"] == 2  # nothing is run again
    page = (tmp_path / "graded" / "feedback" / "partly" / "lab77_tiny" / "lab77.html").read_text()
    assert "2 of 3 checks pass" in page
    assert "AssertionError: below zero" in page
    assert "double(-3)" not in page  # the hidden check's code
    assert points() == {"right": 3, "partly": 0, "zero": 0, "wrong": 0}
