"""A learner who has nbgrader: `nbgrader validate` in a folder that holds nothing but the notebook."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from grading_samples import ROOT, cell_of, hand_in, with_answers
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution

from grading.labs import find_lab

pytestmark = pytest.mark.slow  # it starts a kernel


def validate(folder: Path, notebook: NotebookNode) -> str:
    """What the command prints."""
    path = hand_in(folder / "lab.ipynb", notebook)
    before = path.read_bytes()
    command = [sys.executable, "-m", "nbgrader", "validate", path.name]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=500)
    assert path.read_bytes() == before, "the notebook was changed"
    assert [one.name for one in folder.iterdir()] == [path.name], "files were left behind"
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_right_answers_pass_and_a_wrong_one_is_named(tiny: dict, tmp_path: Path) -> None:
    assert "Success! Your notebook passes all the tests." in validate(tmp_path, tiny["right"])
    wrong = copy.deepcopy(tiny["right"])
    cell_of(wrong, "halve").source = "def halve(x):\n    return x"
    said = validate(tmp_path, wrong)
    assert "VALIDATION FAILED ON 1 CELL(S)!" in said
    assert "expected 2, got 4" in said
    said = validate(tmp_path, tiny["stubs"])
    assert "VALIDATION FAILED ON 3 CELL(S)!" in said, "two exercises and the free text"
    assert said.count("You did not provide a response.") == 1


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["lab01", "lab06"])
def test_a_real_lab(name: str, tmp_path: Path) -> None:
    """As it is handed out, with the answers of the solution; then one of them gives nothing back."""
    lab = find_lab(ROOT, name)
    stubs = nbformat.read(ROOT / "labs" / lab.folder.name / lab.source.name, as_version=4)
    assert "HIDDEN TESTS" not in json.dumps(stubs)
    right = with_answers(stubs, nbformat.read(lab.source, as_version=4))
    assert "Success! Your notebook passes all the tests." in validate(tmp_path, right)
    tests = [cell for cell in right.cells if is_grade(cell) and not is_solution(cell)]
    place = right.cells.index(tests[-1])
    answer = [cell for cell in right.cells[:place] if is_solution(cell)][-1]
    answer.source = answer.source.partition("### BEGIN SOLUTION")[0] + "pass\n"
    assert "VALIDATION FAILED ON" in validate(tmp_path, right)
