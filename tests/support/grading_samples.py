"""A course with one tiny lab, and what students hand in, for the tests of grading/ and authoring/."""

import copy
import json
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.utils import is_solution

from grading.repair import grade_id

ROOT = Path(__file__).resolve().parents[2]

DOUBLE = """\
def double(x):
    # Exercise 1: one line.
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""
TEST_DOUBLE = """\
assert double(2) == 4, f"expected 4, got {double(2)}"
### BEGIN HIDDEN TESTS
assert double(-3) == -6
### END HIDDEN TESTS"""
HALVE = DOUBLE.replace("double", "halve").replace("Exercise 1", "Exercise 2").replace("2 * x", "x / 2")
TEST_HALVE = TEST_DOUBLE.replace("double(2) == 4", "halve(4) == 2").replace(
    "double(-3) == -6", "halve(1) == 0.5"
)
TEST_HALVE = TEST_HALVE.replace("4, got {double(2)}", "2, got {halve(4)}")


def nbgrader_cell(cell: NotebookNode, grade_id: str, points: float | None = None, answer: bool = False):
    """Mark `cell` as nbgrader's: a test or free text when it has points, an answer, or else read-only."""
    cell.id = grade_id
    cell.metadata["nbgrader"] = {
        "grade_id": grade_id,
        "grade": points is not None,
        "solution": answer,
        "locked": not answer,
        "task": False,
        "schema_version": 3,
        **({} if points is None else {"points": points}),
    }
    return cell


def tiny_lab() -> NotebookNode:
    """Two exercises of 3 and 5 points and a free-text question of 2; it imports nothing and runs fast."""
    notebook = new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        cells=[
            nbgrader_cell(new_markdown_cell("# Tiny lab"), "intro"),
            nbgrader_cell(new_code_cell(DOUBLE), "double", answer=True),
            nbgrader_cell(new_code_cell(TEST_DOUBLE), "test_double", 3),
            nbgrader_cell(new_code_cell(HALVE), "halve", answer=True),
            nbgrader_cell(new_code_cell(TEST_HALVE), "test_halve", 5),
            nbgrader_cell(new_markdown_cell("Because."), "why", 2, answer=True),
        ],
    )
    return notebook


def tiny_course(root: Path) -> Path:
    """Write a course with the tiny lab, `lab77_tiny`, and this course's nbgrader settings to `root`."""
    source = root / "solutions" / "lab77_tiny" / "lab77.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(tiny_lab(), source)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return root


def cell_of(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    """The one cell with this nbgrader id."""
    (found,) = [
        cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id
    ]
    return found


def with_answers(stubs: NotebookNode, source: NotebookNode) -> NotebookNode:
    """A student's notebook: the learner's version with the answers from the lab's source."""
    answered = copy.deepcopy(stubs)
    for cell in answered.cells:
        if is_solution(cell):
            cell.source = cell_of(source, grade_id(cell)).source + "\n"
    return answered


def hand_in(path: Path, notebook: NotebookNode | str) -> Path:
    """Write a notebook, or a text that should have been one, where a learning management system would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook if isinstance(notebook, str) else json.dumps(notebook), encoding="utf-8")
    return path
