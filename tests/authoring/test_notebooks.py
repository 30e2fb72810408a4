"""Lessons and solutions can be committed as they are, and the check that says so finds what it should."""

from pathlib import Path

import pytest
import toys
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from authoring import check, notebooks

NOTEBOOKS = notebooks.every_notebook()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebook_can_be_committed(path: Path) -> None:
    problems = check.check(path)
    assert not problems, "\n".join(problems)


def test_the_lessons_are_there() -> None:
    """The test above would pass if it found no notebook."""
    lessons = [path for path in NOTEBOOKS if path.parent.name == "notebooks"]
    numbers = [path.name[:2] for path in lessons]
    assert numbers == [f"{number:02}" for number in range(len(lessons))]
    assert len(lessons) >= 2
    assert len(NOTEBOOKS) > len(lessons)


def test_a_good_notebook_has_no_problems(tmp_path: Path) -> None:
    assert check.check(toys.write(toys.lesson(), tmp_path / "toy.ipynb"), lesson=True) == []


def stream(text: str, name: str = "stdout") -> list:
    return [new_output("stream", name=name, text=text)]


def error(name: str = "ValueError") -> list:
    return [new_output("error", ename=name, evalue="bad", traceback=[name])]


def result(text: str, **data: str) -> list:
    return [new_output("display_data", data={"text/plain": text, **data})]


def compute_too_late(toy) -> None:
    """A lab's answer and its test, which computes what it expects from what the answer left."""
    answer = {"nbgrader": {"solution": True, "grade": False, "grade_id": "answer"}}
    test = {"nbgrader": {"solution": False, "grade": True, "grade_id": "test", "points": 1}}
    toy.cells.append(new_code_cell("def double(x):\n    return 2 * x", id="answer", metadata=answer))
    toy.cells.append(new_code_cell("x = [3]\nassert double(x) == 2 * x", id="test", metadata=test))


def rename(toy, old: str, new: str) -> None:
    for cell in toy.cells:
        cell.source = cell.source.replace(old, new)


# What is broken in the good toy, and words of the sentence that says so. cells[1] is a code cell without
# outputs, cells[3] prints, cells[4] shows a figure.
BROKEN = {
    "never executed": (
        lambda toy: [toy.cells[i].update(execution_count=None) for i in (1, 3, 4)],
        "never executed: run",
    ),
    "a cell not executed": (
        lambda toy: toy.cells[1].update(execution_count=None),
        "cell toy-1 ('x = 1'): execution count None, expected 1",
    ),
    "executed out of order": (
        lambda toy: toy.cells[1].update(execution_count=7),
        "execution count 7, expected 1",
    ),
    "duplicate id": (lambda toy: toy.cells[1].update(id="toy-0"), "cell id toy-0 is used 2 times"),
    "no id": (lambda toy: toy.cells[1].pop("id"), "'id' is a required property"),
    "bad id": (lambda toy: toy.cells[1].update(id="a b"), "'a b' does not match"),
    "old format": (lambda toy: toy.update(nbformat_minor=4), "format 4.4 has no cell ids"),
    "invalid cell": (lambda toy: toy.cells[1].update(prompt=1), "not a valid notebook"),
    "editor's metadata": (lambda toy: toy.metadata.language_info.update(version="3.11.2"), "plain ones"),
    "widget state": (lambda toy: toy.metadata.update(widgets={}), "plain ones"),
    "timing": (
        lambda toy: toy.cells[1].metadata.update(execution={}),
        "cell toy-1 ('x = 1'): metadata execution",
    ),
    "output metadata": (
        lambda toy: toy.cells[4].outputs[0].metadata.update(t=1),
        "an output carries metadata t",
    ),
    "error": (lambda toy: toy.cells[1].update(outputs=error()), "ends in ValueError"),
    "announced, not raised": (
        lambda toy: toy.cells[1].metadata.update(tags=["raises-exception"]),
        "nothing is",
    ),
    "stderr": (lambda toy: toy.cells[1].update(outputs=stream("Warning!", "stderr")), "stderr: 'Warning!'"),
    "widget id": (
        lambda toy: toy.cells[1].update(
            outputs=result("Explorer.", **{"application/vnd.jupyter.widget-view+json": {"model_id": "0a"}})
        ),
        "random id",
    ),
    "widget repr": (
        lambda toy: toy.cells[1].update(outputs=result("VBox(children=(IntSlider(")),
        "'VBox(children=",
    ),
    "path printed": (
        lambda toy: toy.cells[1].update(outputs=stream("in /home/ada/x.py")),
        "'/home/ada/x.py'",
    ),
    "path in a result": (
        lambda toy: toy.cells[1].update(outputs=result(r"C:\Users\ada")),
        r"'C:\\Users\\ada'",
    ),
    "path in a traceback": (
        lambda toy: toy.cells[1].update(
            outputs=error("File /tmp/ipykernel_7/1.py"), metadata={"tags": ["raises-exception"]}
        ),
        "'/tmp/ipykernel_7/1.py'",
    ),
    "path in html": (
        lambda toy: toy.cells[1].update(outputs=result("x", **{"text/html": "<b>/Users/ada</b>"})),
        "'/Users/ada",
    ),
    "path in code": (lambda toy: toy.cells[1].update(source="open('/home/ada/data')"), "'/home/ada/data'"),
    "path in text": (
        lambda toy: toy.cells[0].update(source=toy.cells[0].source + " `/Users/ada/x`"),
        "'/Users/ada/x'",
    ),
    "shell": (lambda toy: toy.cells[1].update(source="!ls"), "'!ls' needs a shell"),
    "install": (lambda toy: toy.cells[1].update(source="%pip install torch"), "'%pip install torch' needs"),
    "fetch": (lambda toy: toy.cells[1].update(source="urllib.request.urlopen(u)"), "'urlopen' reaches"),
    "download": (
        lambda toy: toy.cells[1].update(source="MNIST('.', download=True)"),
        "'download=True' reaches",
    ),
    "timm's weights": (
        lambda toy: toy.cells[1].update(source="create_backbone('vgg16', weights='timm')"),
        "timm",
    ),
    "not compared": (
        lambda toy: toy.cells[1].metadata.update(tags=["nbval-skip"]),
        "compares 2 of 3 code cells",
    ),
    "not compared by comment": (
        lambda toy: toy.cells[1].update(source="# NBVAL_IGNORE_OUTPUT\nx"),
        "compares 2 of 3 code cells",
    ),
    "figure without alt": (
        lambda toy: toy.cells[4].outputs[0].update(metadata={}),
        "picture has no alt text",
    ),
    "figure without text": (
        lambda toy: toy.cells[4].outputs[0].data.update({"text/plain": "<Figure size"}),
        "begin",
    ),
    "markdown picture": (lambda toy: toy.cells[0].update(source="![](a.png)"), "no alt text in '![](a.png)'"),
    "html picture": (lambda toy: toy.cells[0].update(source='<img src="a" alt="">'), "no alt text in '<img"),
    "html output": (
        lambda toy: toy.cells[1].update(outputs=result("x", **{"text/html": "<img src='a'>"})),
        "no alt text in its output",
    ),
    "long cell": (lambda toy: toy.cells[1].update(source="x\n" * 21), "21 lines, expected at most 20"),
    "long cells": (
        lambda toy: [toy.cells[i].update(source="x\n" * 13) for i in (1, 3)],
        "half of the code cells have 13 lines or more",
    ),
    "nothing for who opens it alone": (
        lambda toy: toy.cells[1].update(source="import torch\nfrom backbones import cost"),
        "first line of the first code cell has to be '# Opened alone?",
    ),
    "a file beside the notebook": (
        lambda toy: (
            toy.cells[1].update(source=f"{notebooks.ALONE}\nfrom backbones import cost"),
            toy.cells[3].update(source='open(f"measured/tasks/{table}.csv")'),
        ),
        'FILES / "measured/tasks/{table}.csv"',
    ),
    "no title": (lambda toy: rename(toy, "# Toy", "Toy"), "lacks a title"),
    "no goals": (lambda toy: rename(toy, "Goals", "Aims"), "lacks Goals"),
    "no prerequisites": (lambda toy: rename(toy, "Prerequisites", "Before"), "lacks Prerequisites"),
    "no minutes": (lambda toy: rename(toy, "Minutes", "Long"), "lacks Minutes"),
    "no question": (lambda toy: rename(toy, "Question", "Hm"), "lacks the question"),
    "opening too late": (lambda toy: toy.cells.insert(0, toy.cells.pop(1)), "lacks Goals"),
    "no prediction": (lambda toy: rename(toy, "Predict", "Look"), "**Predict**"),
    "prediction too late": (lambda toy: toy.cells.append(toy.cells.pop(2)), "**Predict**"),
    "no self-check": (lambda toy: rename(toy, "## Self-check", "Quiz"), "'Self check'"),
    "no takeaways": (lambda toy: rename(toy, "Takeaways", "End"), "'Takeaways'"),
    "no references": (lambda toy: rename(toy, "References", "Read"), "'References'"),
    "a lab without a link above": (
        lambda toy: rename(toy, "**Minutes.** 1", "| **Time** | 1 minute, then lab01. |"),
        "lab01 without a link",
    ),
    "a lab without a link below": (
        lambda toy: rename(
            toy, "It was.", "It was.\n\n**Next:** [lab01](../labs/lab01_x/lab01.ipynb), lab02"
        ),
        "lab02 without a link",
    ),
    "no year": (lambda toy: rename(toy, "1950", "long ago"), "name no year or no link"),
    "an answer before what is expected": (compute_too_late, "computes with x after the answer had it"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_mistake_is_found_and_named(name: str, tmp_path: Path) -> None:
    damage, words = BROKEN[name]
    toy = toys.lesson()
    damage(toy)
    problems = check.check(toys.write(toy, tmp_path / "toy.ipynb"), lesson=True)
    assert any(words in problem for problem in problems), problems
    assert all(problem.startswith("toy.ipynb: ") for problem in problems)


def test_every_check_has_a_broken_notebook(tmp_path: Path) -> None:
    """A check added without a toy that it condemns could be one that never says a word."""
    silent = {find.__name__ for find in (*check.EVERY_NOTEBOOK, check.lesson_problems)}
    for damage, _words in BROKEN.values():
        toy = toys.lesson()
        damage(toy)
        silent -= {name for name in silent if list(getattr(check, name)(toy))}
    assert not silent


def test_too_large(tmp_path: Path) -> None:
    toy = toys.lesson()
    toy.cells.append(new_markdown_cell("x" * 1_600_000, id="large"))
    (problem,) = check.check(toys.write(toy, tmp_path / "toy.ipynb"), lesson=True)
    assert "1.6 MB, expected at most 1.5" in problem


@pytest.mark.parametrize(
    "harmless",
    [
        "see https://example.org/home/x and ../data/x.png, or a/tmp",
        "a half/work/life balance; 3/4; //home of the brave",
        "notebooks/00.ipynb, ~/.cache",
        "ratio C: 3",
    ],
)
def test_what_only_looks_like_a_path_passes(harmless: str) -> None:
    assert not check.MACHINE_PATH.search(harmless)


def test_lab_checks_may_be_long_but_exercises_may_not() -> None:
    toy = toys.notebook(new_code_cell("x\n" * 40), new_code_cell("x"), new_code_cell("x"))
    toy.cells[0].metadata.nbgrader = {"grade": True, "solution": False}
    assert not list(check.length_problems(toy))
    toy.cells[0].metadata.nbgrader = {"grade": True, "solution": True}  # a task graded by hand
    assert len(list(check.length_problems(toy))) == 1


def test_solutions_need_no_lesson_parts(tmp_path: Path) -> None:
    toy = toys.notebook(new_code_cell("x = 1", execution_count=1))
    assert check.check(toys.write(toy, tmp_path / "solutions" / "toy.ipynb")) == []
    assert check.check(toys.write(toy, tmp_path / "notebooks" / "toy.ipynb"))


def test_command_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = toys.write(toys.lesson(), tmp_path / "good.ipynb")
    bad = toys.write(toys.code("x"), tmp_path / "bad.ipynb")
    assert check.main([str(good)]) == 0
    assert check.main([str(good), str(bad)]) == 1
    assert "bad.ipynb: never executed" in capsys.readouterr().out


def test_a_notebook_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check.main(["99"])
    assert "no notebooks begin with '99'" in capsys.readouterr().err
