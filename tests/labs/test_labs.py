"""The labs grade as they should: every wrong answer loses points, every right one keeps them all.

A lab without answers to try, an exercise without points, a learner's version that gives an answer away: each
fails here. A new lab needs no change in this file; its answers go into tests/labs/mutants/labNN.py.
"""

import ast
import functools
import itertools
import os
import re
from importlib import import_module

import lab_runner
import nbformat
import pytest
import torch
from lab_runner import Answer, Answers, Lab

from authoring.notebooks import ROOT, solutions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # an answer that hangs ends here

SOLUTIONS = solutions()
LABS = {path.stem: path for path in SOLUTIONS}
EVERYTHING = os.environ.get("BACKBONES_ISOLATE") == "all"


@functools.cache
def lab_of(name: str) -> Lab:
    """The lab, read once for all tests; its solution runs when the first test needs it."""
    torch.set_num_threads(1)  # the labs' networks are tiny: more threads wait for each other
    return Lab(LABS[name])


def answers_of(name: str) -> Answers:
    return import_module(f"mutants.{name}").answers


def each_answer(right: bool) -> list:
    """Answers that run in one process, as in a learner's kernel; test_isolated.py has the others."""
    return [
        pytest.param(name, answer, id=f"{name}-{answer.replaces}-{answer.value.__name__}")
        for name in LABS
        for answer in answers_of(name)
        if answer.right == right and (EVERYTHING or not lab_runner.isolated(answer))
    ]


each_lab = pytest.mark.parametrize("name", LABS)


def test_labs_are_found() -> None:
    """The tests below would pass if they found no lab."""
    assert "lab01" in LABS


@each_lab
def test_solution_gets_full_points(name: str) -> None:
    lab = lab_of(name)
    tests = [cell.metadata.nbgrader for cell in lab.cells if lab_runner.is_test(cell)]
    assert lab.solution_points == {nbgrader.grade_id: nbgrader.points for nbgrader in tests}


@pytest.mark.parametrize(("name", "answer"), each_answer(right=False))
def test_wrong_answer_loses_points(name: str, answer: Answer) -> None:
    lab = lab_of(name)
    exercise = next(e for e in lab.exercises.values() if answer.replaces in e.names)
    assert lab.points(answer) < exercise.points, f"full points, although {answer.why}"


@pytest.mark.parametrize(("name", "answer"), each_answer(right=True))
def test_right_answer_keeps_all_points(name: str, answer: Answer) -> None:
    lab = lab_of(name)
    exercise = next(e for e in lab.exercises.values() if answer.replaces in e.names)
    assert lab.points(answer) == exercise.points, f"points lost by a right answer: {answer.why}"


@each_lab
def test_every_exercise_has_points_and_answers_enough(name: str) -> None:
    lab, answers = lab_of(name), answers_of(name)
    assert 4 <= len(lab.exercises) <= 8
    for exercise in lab.exercises.values():
        assert exercise.points > 0, f"{exercise.names}: no points"
        mine = [answer for answer in answers if answer.replaces in exercise.names]
        right = sum(answer.right for answer in mine)
        assert right >= 3, f"{exercise.names}: {right} right answers, three at least"
        assert len(mine) - right >= 5, f"{exercise.names}: {len(mine) - right} wrong answers, five at least"
    asked_for = [asked for exercise in lab.exercises.values() for asked in exercise.names]
    assert {answer.replaces for answer in answers} <= set(asked_for)


@each_lab
def test_one_question_is_read_by_a_person(name: str) -> None:
    written = [cell for cell in lab_of(name).cells if is_written_answer(cell)]
    assert [cell.metadata.nbgrader.points > 0 for cell in written] == [True]


@each_lab
def test_no_test_cell_ends_in_an_expression(name: str) -> None:
    """nbgrader would read its value as partial points. Calls whose value is None are what is meant."""
    for cell in lab_of(name).cells:
        if lab_runner.is_test(cell):
            last = ast.parse(cell.source).body[-1]
            assert not isinstance(last, ast.Expr) or isinstance(last.value, ast.Call), cell.id


HIDDEN_TESTS = re.compile("### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS\n?", re.DOTALL)


@each_lab
def test_every_visible_check_that_passes_is_kept(name: str) -> None:
    """By a line above the hidden tests, which learners have too, and under a name of its own."""
    kept = []
    for cell in lab_of(name).cells:
        if lab_runner.is_test(cell):
            hidden = "".join(HIDDEN_TESTS.findall(cell.source))
            visible = HIDDEN_TESTS.sub("", cell.source)
            kept += re.findall(r'^passed\("(\w+)", "(Exercise \d+(?:, [\w ]+)?)"\)$', visible, re.M)
            assert len(kept) == len(set(kept)), f"{cell.id}: {kept[-1]} is another cell's"
            assert hidden
            assert "passed(" not in hidden
    tests = [cell for cell in lab_of(name).cells if lab_runner.is_test(cell)]
    assert len(kept) == len(tests), (
        "a test cell without passed(lab, exercise) at the end of its visible checks"
    )
    assert {where for where, _ in kept} == {name}


@each_lab
def test_keeping_what_is_passed_changes_no_points(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where nothing can be written, nor where a learner has called something else `passed`."""
    monkeypatch.setenv("BACKBONES_PROGRESS", str(ROOT / "README.md" / "no folder"))
    lab = lab_of(name)
    first = next(iter(lab.exercises.values()))
    answer = next(a for a in answers_of(name) if a.right and a.replaces in first.names)
    assert lab.points(answer, lambda source: f"passed = print = 17\n{source}") == first.points


# Can this harness fail? -------------------------------------------------------------------------------------


@each_lab
def test_visible_checks_alone_let_wrong_answers_through(name: str) -> None:
    """Without the hidden tests some wrong answer gets full points: it is they that decide."""
    lab = lab_of(name)
    assert any(
        lab.points(answer, lab_runner.without_hidden_tests)
        == next(e for e in lab.exercises.values() if answer.replaces in e.names).points
        for answer in answers_of(name)
        if not answer.right
    )


@each_lab
def test_emptied_checks_let_a_wrong_answer_through(name: str) -> None:
    """So the points come from running the test cells, and from nothing else."""
    lab = lab_of(name)
    for exercise in lab.exercises.values():
        wrong = next(a for a in answers_of(name) if a.replaces in exercise.names and not a.right)
        assert lab.points(wrong, lambda source: "") == exercise.points


@each_lab
def test_an_answer_leaves_no_trace_for_the_next(name: str) -> None:
    """After all the others, the solution's own functions still get full points."""
    lab = lab_of(name)
    for exercise in lab.exercises.values():
        variables: dict = {}
        for cell in itertools.takewhile(lambda cell: not lab_runner.is_answer(cell), lab.cells):
            if cell.cell_type == "code":  # imports, before the first exercise
                lab_runner.run(cell.source, variables)
        lab_runner.run(exercise.answer.source, variables)
        own = Answer(exercise.names[0], "the solution", True, variables[exercise.names[0]])
        assert lab.points(own) == exercise.points, exercise.names


# The learner's version --------------------------------------------------------------------------------------


def learners_cells(name: str) -> list[nbformat.NotebookNode]:
    path = ROOT / "labs" / LABS[name].relative_to(ROOT / "solutions")
    return nbformat.read(path, as_version=nbformat.NO_CONVERT).cells


def is_written_answer(cell: nbformat.NotebookNode) -> bool:
    nbgrader = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "markdown" and nbgrader.get("solution", False)


@each_lab
def test_stubs_raise_not_implemented_and_nothing_else(name: str) -> None:
    """Whatever cell a learner runs first, in order: it works, or it says what is still to be written."""
    variables: dict = {}
    for cell in learners_cells(name):
        if cell.cell_type != "code":
            continue
        try:
            lab_runner.run(cell.source, variables)
        except NotImplementedError:
            assert not lab_runner.is_answer(cell), f"{cell.id}: defining a stub must not fail"
        else:
            assert not lab_runner.is_test(cell), f"{cell.id}: passes although nothing has been written"


@each_lab
def test_every_stub_gives_a_hint(name: str) -> None:
    """The comment above the stub, which a traceback shows: "# Exercise 3: one line. ..."."""
    for cell in learners_cells(name):
        if lab_runner.is_answer(cell):
            lines = [line.strip() for line in cell.source.splitlines()]
            stubs = [
                number for number, line in enumerate(lines) if line.startswith("raise NotImplementedError")
            ]
            assert stubs, cell.id
            assert all(lines[number - 1].startswith("# Exercise ") for number in stubs), cell.id


@each_lab
def test_learners_version_gives_nothing_away(name: str) -> None:
    """No line that stands only in a solution, in hidden tests or in a model answer reaches the learner."""
    secret, public = set(), set()
    for cell in lab_of(name).cells:
        regions = [cell.source] if is_written_answer(cell) else []
        regions += lab_runner.SOLUTION.findall(cell.source) + lab_runner.HIDDEN.findall(cell.source)
        rest = cell.source
        for region in regions:
            rest = rest.replace(region, "")
            secret |= {line.strip() for line in region.splitlines()}
        public |= {line.strip() for line in rest.splitlines()}
    assert len(secret - public) > 50
    learners = {line.strip() for cell in learners_cells(name) for line in cell.source.splitlines()}
    assert not learners & (secret - public)
    assert not any(cell.get("outputs") for cell in learners_cells(name))
