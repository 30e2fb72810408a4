"""labs/ from solutions/: what learners get, what they must not get, and mistakes in a lab's source."""

from pathlib import Path

import pytest
from grading_samples import ROOT, cell_of, hand_in, tiny_course, tiny_lab
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from authoring import release


def test_nothing_of_solutions_and_hidden_tests_reaches_learners(tiny):
    """(What stands in labs/ is tested in tests/labs/.)"""
    text = "\n".join(cell.source for cell in tiny["stubs"].cells)
    for secret in ("SOLUTION", "HIDDEN", "return 2 * x", "double(-3)", "halve(1)", "Because."):
        assert secret not in text
    assert "# Exercise 1: one line.\n    raise NotImplementedError(" in text


def test_the_committed_labs_are_those_of_the_solutions(capsys):
    """To the letter, and there is no file besides."""
    assert release.main(["--check", "--course", str(ROOT)]) == 0, capsys.readouterr().err


def test_release_is_the_same_again_and_tells_drift(tmp_path, capsys):
    root = tiny_course(tmp_path / "course")
    lab = root / "labs" / "lab77_tiny" / "lab77.ipynb"
    check = ["--check", "--course", str(root)]
    assert release.main(check) == 1
    assert "labs/lab77_tiny/lab77.ipynb is missing" in capsys.readouterr().err
    assert release.main(["--course", str(root)]) == 0
    first = lab.read_bytes()
    assert release.main(["lab77", "--course", str(root)]) == 0
    assert lab.read_bytes() == first
    assert release.main(check) == 0
    assert not (root / "graded").exists()
    assert not (root / "gradebook.db").exists()
    lab.write_bytes(first + b"\n")
    hand_in(lab.parent / "extra.txt", "")
    capsys.readouterr()
    assert release.main(check) == 1
    errors = capsys.readouterr().err
    assert "labs/lab77_tiny/lab77.ipynb differs from its solution" in errors
    assert "labs/lab77_tiny/extra.txt comes from no solution" in errors
    assert release.main(["lab99", "--course", str(root)]) == 2


def break_double(old: str, new: str):
    """A way to spoil the tiny lab: replace text in the cell `double`."""

    def spoil(notebook: NotebookNode) -> None:
        cell = cell_of(notebook, "double")
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return spoil


def same_grade_id(notebook: NotebookNode) -> None:
    cell_of(notebook, "test_halve").metadata["nbgrader"]["grade_id"] = "test_double"


def same_cell_id(notebook: NotebookNode) -> None:
    cell_of(notebook, "test_halve").id = "test_double"


def hidden_in_the_open(notebook: NotebookNode) -> None:
    notebook.cells.append(new_code_cell("### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS"))


def unpaired_hidden(notebook: NotebookNode) -> None:
    cell = cell_of(notebook, "test_double")
    cell.source = cell.source.replace("    ### END HIDDEN TESTS", "").replace("### END HIDDEN TESTS", "")


def no_points(notebook: NotebookNode) -> None:
    del cell_of(notebook, "test_double").metadata["nbgrader"]["points"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            break_double("### END SOLUTION", ""),
            "cell double: ### BEGIN SOLUTION and ### END SOLUTION do not pair up",
        ),
        (
            break_double("### BEGIN SOLUTION", ""),
            "cell double: ### BEGIN SOLUTION and ### END SOLUTION do not pair up",
        ),
        (break_double("SOLUTION", "ANSWER"), "cell double: put the answer between"),
        (same_grade_id, "2 cells have the grade_id 'test_double'"),
        (same_cell_id, "is not a sound notebook"),
        (hidden_in_the_open, "make it a test cell"),
        (unpaired_hidden, "### BEGIN HIDDEN TESTS and ### END HIDDEN TESTS do not pair up"),
        (no_points, "nbgrader refuses it"),
    ],
)
def test_mistakes_in_a_lab_are_sentences_and_leave_labs_alone(tmp_path, capsys, spoil, sentence):
    root = tiny_course(tmp_path / "course")
    kept = hand_in(root / "labs" / "lab77_tiny" / "lab77.ipynb", "as it was")
    notebook = tiny_lab()
    spoil(notebook)
    hand_in(root / "solutions" / "lab77_tiny" / "lab77.ipynb", notebook)
    assert release.main(["--course", str(root)]) == 1
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.startswith(str(Path("solutions", "lab77_tiny", "lab77.ipynb")))
    assert kept.read_text() == "as it was"
