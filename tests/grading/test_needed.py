"""Which of a lab's own cells run while grading: what a check mentions, and nothing else."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from grading.isolation.needed import lasting, skip_unneeded, touched
from grading.isolation.notebook import defined
from grading.isolation.syntax import bound, parse


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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = values", "tlt"),
        ("values += [2]", "tlt"),
        ("del values", "tlt"),
        ("def inner():\n    return [one for one in values]", "tlt"),
        ("f'{values}'", "tlt"),
        ("# the values", "-lt"),
        ("values = 3", "-lt"),
        ("[values for values in range(3)]", "-lt"),
        ("[values for x in range(3)]", "tlt"),
        ("lambda values: values", "-lt"),
        ("lambda x=values: x", "tlt"),
        ("class Other:\n    values = values", "tlt"),
        ("def other():\n    global values\n    values = values + [1]", "tlt"),
        ("def other():\n    values = 1\n    return values", "-lt"),
        ("def other():\n    'The values.'", "-lt"),
        ("def other():\n    eval('values')", "tlt"),
        ("del values[0]", "tlt"),
        ("globals()['values']", "tlt"),
        ("run = exec\nrun('print(values)')", "tlt"),
        ("assert True, 'the values are wrong'", "-lt"),
        ("for values in range(3): pass", "-lt"),
        ("x.values = dict(values=3)", "-lt"),
    ],
)
def test_what_counts_as_mentioned(source: str, expected: str) -> None:
    assert sides(given("values = [1]"), ANSWER, check(source)) == expected


def test_of_an_answer_that_is_no_python_every_word_counts() -> None:
    assert sides(given("values = [1]"), answer("values 3"), check("double(1)")) == "tlt"


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


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a = b.c = d[0] = [e for e in f]", "a"),
        ("(a, [b, *c]), d = e", "abcd"),
        ("a: int = 1\nb += 1", "ab"),
        ("import a.b, c.d as e\nfrom f import g as h, i", "aehi"),
        ("@a\nclass b(c):\n    d = 1\n\n\nasync def e(f=1):\n    g = 1", "be"),
        ("for a, b in c:\n    d = 1\nelse:\n    e = 1", "abde"),
        ("with a as b, c as (d, e):\n    f = 1", "bdef"),
        ("try:\n    a = 1\nexcept b as c:\n    d = 1\nfinally:\n    e = 1", "acde"),
        ("if (a := b) and [(c := d) for e in f]:\n    pass", "ac"),
        ("x = lambda y: (z := y)", "x"),
        ("match a:\n    case [b, *c]:\n        pass\n    case {'d': e, **f}:\n        pass\n    case g:\n        h = 1",
         "bcefgh"),
        ("a.b = 1\na[0] = 1\ndel c\nd()", ""),
    ],
)  # fmt: skip
def test_the_variables_that_a_cell_sets(source: str, names: str) -> None:
    assert {name for name, _ in bound(parse(source))} == set(names)


def test_an_answer_is_not_asked_for_what_it_imports() -> None:
    source = "import torch\nfor i in range(3):\n    x = [j for j in i]\n\n\ndef f(): pass\n\n\nclass A: pass"
    assert defined(source) == {"i", "x", "f", "A"}
    assert lasting([source, "try:\n    import a\nexcept ImportError:\n    b = 1"]) == {"torch", "f", "A", "a"}


def test_several_threads_may_parse_at_a_time() -> None:
    """Python 3.11 by itself says "AST constructor recursion depth mismatch" now and then."""
    nested = "x = " + "(" * 40 + "1" + ",)" * 40
    sources = [f"{nested}\ny = [i for i in range({number})]\n" * 30 for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(parse, sources * 2))
    assert all(len(tree.body) == 60 for tree in trees)
    assert trees[0] is trees[200]  # the same cell of another student
