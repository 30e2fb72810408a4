"""Every lab, and answers to it that we know, get on isolated sides the points that they deserve.

The learner's side is a process of its own, as when a class is graded; only bubblewrap's walls are left out.
`BACKBONES_ISOLATE=all make test ARGS="tests/labs"` tries all answers, here and in one process.
"""

import functools

import lab_runner
import pytest
import torch
from isolated_runner import IsolatedLab
from lab_runner import Answer
from test_labs import EVERYTHING, LABS, answers_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # an answer in loops asks a thousand times


@functools.cache
def lab_of(name: str) -> IsolatedLab:
    torch.set_num_threads(1)
    return IsolatedLab(LABS[name])


def each_answer() -> list:
    return [
        pytest.param(name, place, answer, id=f"{name}-{answer.replaces}-{answer.value.__name__}")
        for name in LABS
        for place, answer in enumerate(answers_of(name))
        if EVERYTHING or lab_runner.isolated(answer)
    ]


@pytest.mark.parametrize("name", LABS)
def test_solution_gets_full_points(name: str) -> None:
    lab = lab_of(name)
    tests = [cell.metadata.nbgrader for cell in lab.cells if lab_runner.is_test(cell)]
    assert lab.solution_points == {nbgrader.grade_id: nbgrader.points for nbgrader in tests}


@pytest.mark.parametrize(("name", "place", "answer"), each_answer())
def test_answer_gets_what_it_deserves(name: str, place: int, answer: Answer) -> None:
    lab = lab_of(name)
    exercise = next(e for e in lab.exercises.values() if answer.replaces in e.names)
    points = lab.points(answer, place)
    if answer.right:
        assert points == exercise.points, f"points lost by a right answer: {answer.why}"
    else:
        assert points < exercise.points, f"full points, although {answer.why}"
