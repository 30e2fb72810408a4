"""Which of a lab's own cells run while grading: what a check mentions, and nothing else."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from grading.isolation.needed import skip_unneeded, touched
from grading.isolation.syntax import parse


def given(source: str) -> dict:
    return {"side": "tests", "source": source, "names": [], "hidden": False}


def check(source: str) -> dict:
    return {"side": "tests", "source": source, "names": [], "hidden": True}


def answer(source: str) -> dict:
    return {"side": "learner", "source": source, "names": ["double"], "hidden": False}


def sides(*cells: dict) -> str:
    letters = {"tests": "t", "learner": "l", "none": "-"}
    return "".join(letters[cell["side"]] for cell in skip_unneeded(list(cells), {"double"}))


ANSWER, CHECK = answer("def double(x):\n    return 2 * x"), check("assert double(values[0]) == 2 * values[0]")


@pytest.mark.parametrize(
    "source",
    [
        "values = [1, 2]",
        "values: list = [1, 2]",
        "values, other = [1], 2",
        "for values in ([1], [2]):\n    pass",
        "if True:\n    values = [1]",
        "with open('x') as values:\n    pass",
        "import values",
        "from somewhere import thing as values",
        "def values():\n    pass",
        "class values:\n    pass",
        "(values := [1])",
        "values.append(1)",
        "values[0] = 3",
        "values[0].weight += 3",
        "values[0].weight.zero_()",
        "values.inner.name = 3",
        "train(values)",
        "train(model=[values[0]])",
        "seen = [train(one) for one in values]\ntrain(values)",
        "del values",
    ],
)
def test_a_cell_runs_that_makes_or_may_change_what_a_check_mentions(source: str) -> None:
    assert sides(given("values = [1]"), given(source), ANSWER, CHECK) == "ttlt"


@pytest.mark.parametrize(
    "source",
    [
        "print('hello')",
        "other = [1, 2]",
        "other = values + [3]",
        "draw(other)",
        "other.append(values)[0]",
        "1 + 1",
    ],
)
def test_a_cell_does_not_run_that_touches_nothing_a_check_mentions(source: str) -> None:
    expected = "ttlt" if "append(values)" in source else "t-lt"
    assert sides(given("values = [1]"), given(source), ANSWER, CHECK) == expected


def test_what_a_needed_cell_mentions_is_needed_too() -> None:
    chain = given("start = 1"), given("values = [start]"), given("unused = start")
    assert sides(*chain, ANSWER, CHECK) == "tt-lt"
    assert sides(*chain, answer("def double(x):\n    return 2 * x * unused"), CHECK) == "tttlt"


def test_a_name_in_a_text_counts() -> None:
    assert sides(given("values = [1]"), ANSWER, check("eval('values')")) == "tlt"


def test_after_the_last_check_nothing_runs() -> None:
    assert sides(given("values = [1]"), ANSWER, CHECK, given("values = 3"), answer("double(7)")) == "tlt--"
    assert sides(ANSWER, given("values = [1]")) == "--"


def test_functions_classes_and_modules_are_not_changed_by_a_call() -> None:
    cells = given("import torch\ndef draw(x):\n    pass"), given("torch.rand(3)\ndraw(double)\nprint(draw)")
    assert sides(cells[0], ANSWER, cells[1], check("draw(torch, double)")) == "tl-t"


def test_what_a_cell_touches() -> None:
    source = "import a.b as c, d.e\nx = f(y)\nz.w[3].v = lambda q: r\nm.n(o.p)"
    assert touched(source) == {"c", "d", "x", "y", "z", "m", "o"}
    assert touched(source, {"y", "m"}) == {"c", "d", "x", "z", "o"}


def test_several_threads_may_parse_at_a_time() -> None:
    """Python 3.11 by itself says "AST constructor recursion depth mismatch" now and then."""
    nested = "x = " + "(" * 40 + "1" + ",)" * 40
    sources = [f"{nested}\ny = [i for i in range({number})]\n" * 30 for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(parse, sources * 2))
    assert all(len(tree.body) == 60 for tree in trees)
    assert trees[0] is trees[200]  # the same cell of another student
