"""Answers that are alike: a copy in disguise is found, a class that thinks for itself is not. No kernels."""

import csv
import json
import random
import time
from pathlib import Path

import pytest
from grading_samples import tiny_lab

from grading import similar
from grading.labs import Lab
from grading.report import Result
from grading.similar import (
    NO_PROOF,
    SHINGLE,
    WINDOW,
    Given,
    compare,
    fingerprints,
    names_given,
    report_similar,
    shingles,
    tokens,
    winnow,
)

LAB = Lab(Path("solutions/lab77_tiny"), "lab77")
ANSWER = '''\
def extract(model, images, layers):
    """Features of some layers."""
    found, handles = {}, []
    modules = dict(model.named_modules())
    for name in layers:
        def keep(module, inputs, output, name=name):
            found[name] = output.detach().clone()
        handles.append(modules[name].register_forward_hook(keep))
    try:
        with torch.no_grad():
            model(images * 0.5)
    finally:
        for handle in handles:
            handle.remove()
    return found
'''
DISGUISED = """\
# all my own work!
def extract(net, pics, wanted):
    out , hooks = {} , [ ]   # "comment"

    mods = dict(
        net.named_modules()
    )
    for key in wanted:
        'remember it'
        def save(m, i, o, key=key):
            out[key] = o.detach() . clone()
        hooks.append(mods[key].register_forward_hook(save))
    try:
        with torch.no_grad():
            net(pics * 5e-1)
    finally:
        for h in hooks:
            h.remove()
    return out
"""
KNOWN = frozenset({"torch", "extract"})


def draw_answer(draw: random.Random, lines: int = 8) -> str:
    """An answer that nobody else has."""
    names, calls = list("abcdefgh"), ["mean", "sum", "view", "relu", "permute", "flatten", "topk", "cat"]
    body = [
        f"    {draw.choice(names)} = {draw.choice(names)}.{draw.choice(calls)}({draw.randrange(9)}, "
        f"{draw.choice(['dim', 'keep', 'out'])}={draw.randrange(4)}) {draw.choice('+-*/@')} {draw.choice(names)}"
        for _ in range(lines)
    ]
    return "\n".join(["def f(x):", *body])


def works(*students: dict[str, str]) -> dict[str, dict[str, frozenset[int]]]:
    return {
        f"s{number}": {place: fingerprints(code, True, KNOWN) for place, code in one.items()}
        for number, one in enumerate(students)
    }


def strangers(number: int, seed: int = 0) -> list[dict[str, str]]:
    draw = random.Random(seed)
    return [{"a": draw_answer(draw), "b": draw_answer(draw)} for _ in range(number)]


# Tokens -------------------------------------------------------------------------------------------------------


def test_disguise_changes_no_fingerprint():
    assert shingles(tokens(ANSWER, KNOWN)) == shingles(tokens(DISGUISED, KNOWN))
    other = ANSWER.replace("clone()", "cpu()")
    assert shingles(tokens(ANSWER, KNOWN)) != shingles(tokens(other, KNOWN))


def test_what_others_named_keeps_its_name():
    code = "y = torch.mean(x, dim=1) + len(x)"
    kept = ["torch", ".", "mean", "(", " x", ",", "dim", "="]
    assert tokens(code, KNOWN) == [" y", "=", *kept, "1.0", ")", "+", "len", "(", " x", ")"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1e-3", "x=.001"),
        ("x = 0x10", "x = 16.0"),
        ("x = 1_000", "x = 1000"),
        ("x = 'a # b'", 'x = f"""b\n"""  # c'),
        ('def f():\n    """One."""\n    pass', "def f():\n    pass"),
        ("x = (1 +\n  2)", "x = 1 + 2".replace("1 + 2", "(1 + 2)")),
        ("x = 1 + \\\n  2", "x = 1 + 2"),
        ('"""only this"""', ""),
        ("f(\n  'a',\n  'b'\n)", "f('c', 'd')"),  # a line of its own, but no docstring
    ],
)
def test_format_does_not_count(one, other):
    assert tokens(one) == tokens(other)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "def f(:\n  return (",
        "'''never closed",
        "x = 'half\ny = 3 $ ? ! \\",
        "\x00\ud800\u202e",
        "9" * 50_000,
        "(" * 50_000,
        '"""' * 16_000 + "\\",
        "f'{" * 16_000,
        "Привет = 'мир'; 名 = 小 + 1",
        "0x 1e 1_ 0b2 1e999",
    ],
)
def test_broken_code_raises_nothing_and_is_fast(code):
    start = time.process_time()
    tokens(code)
    fingerprints(code, True, frozenset())
    fingerprints(code, False, frozenset())
    assert time.process_time() - start < 2


def test_broken_code_is_compared_too():
    broken = f"{ANSWER}\n    return ((\n"
    a, b = fingerprints(ANSWER, True, KNOWN), fingerprints(broken, True, KNOWN)
    assert len(a & b) >= 0.9 * len(a)


def test_winnowing_keeps_its_promise():
    """Two rows that share SHINGLE + WINDOW - 1 tokens share a fingerprint, and few of the hashes are kept."""
    draw = random.Random(0)
    row = [str(draw.random()) for _ in range(2000)]
    kept = winnow(shingles(row))
    assert len(kept) / len(shingles(row)) == pytest.approx(2 / (WINDOW + 1), rel=0.1)
    for start in range(0, 1000, 7):
        common = row[start : start + SHINGLE + WINDOW - 1]
        other = [str(draw.random()) for _ in range(30)]
        assert kept & winnow(shingles([*other, *common, *other]))
    assert winnow([]) == frozenset()
    assert winnow([5]) == {5}


def test_fingerprints_are_the_same_in_every_run():
    assert shingles(list("abcdefgh")) == [1904385160304282397]


# Pairs --------------------------------------------------------------------------------------------------------


def test_a_disguised_copy_is_found_and_strangers_are_not():
    others = strangers(30)
    assert compare(works(*others)) == []
    pairs = compare(works({"a": ANSWER, "b": draw_answer(random.Random(5))}, *others, {"a": DISGUISED}))
    assert [(one.first, one.second) for one in pairs] == [("s0", "s31")]
    assert pairs[0].exercises == {"a": 1.0}
    assert pairs[0].share == 1.0  # of the shorter work


def test_lines_put_in_between_do_not_hide_a_copy():
    lines = ANSWER.splitlines()
    padded = "\n".join(
        [*lines[:2], "    started = 17", *lines[2:7], "        count = len(found)", *lines[7:]]
    )
    pairs = compare(works({"a": ANSWER}, *strangers(20), {"a": padded}))
    assert [(one.first, one.second) for one in pairs] == [("s0", "s21")]
    assert 0.6 < pairs[0].share < 1


def test_what_most_of_the_class_writes_does_not_count():
    same = [{**one, "a": ANSWER} for one in strangers(30)]
    assert compare(works(*same)) == []
    assert len(compare(works(*same[:3], *strangers(30, seed=1)))) == 3  # three friends are three pairs


def test_a_short_answer_says_nothing():
    short = {"a": "def f(x):\n    return torch.relu(x @ w.T + b)"}
    assert compare(works(short, short, *strangers(20))) == []


def made_up(*parts: range) -> frozenset[int]:
    return frozenset(number for part in parts for number in part)


def pairs_of(first: dict, second: dict, *others: dict) -> list:
    """The first two students' pair, in a class with `others` and ten who share nothing."""
    alone = [{"a": made_up(range(9000 + 50 * number, 9050 + 50 * number))} for number in range(10)]
    class_ = enumerate([first, second, *others, *alone])
    found = compare({f"s{number}": one for number, one in class_})
    return [one for one in found if (one.first, one.second) == ("s0", "s1")]


def test_what_few_have_counts_more():
    """Two share 30 of 40 fingerprints: much when nobody else has the 30, little when six have them."""
    one, other = made_up(range(30), range(100, 110)), made_up(range(30), range(200, 210))
    (rare,) = pairs_of({"a": one}, {"a": other})
    common = [{"a": made_up(range(30), range(start, start + 10))} for start in range(300, 700, 100)]
    assert rare.exercises["a"] == pytest.approx(0.69, abs=0.01)
    assert pairs_of({"a": one}, {"a": other}, *common) == []


def test_from_where_on_a_pair_is_listed():
    few, some, many = (made_up(range(number)) for number in (similar.FEW - 1, similar.FEW, similar.LONG))
    alone = {"c": made_up(range(100, 150))}, {"c": made_up(range(200, 250))}
    assert pairs_of({"a": few}, {"a": few}) == []
    assert len(pairs_of({"a": some}, {"a": some})) == 1
    assert pairs_of({"a": some, **alone[0]}, {"a": some, **alone[1]}) == []  # one of many answers, and short
    assert len(pairs_of({"a": many, **alone[0]}, {"a": many, **alone[1]})) == 1
    little = {key: made_up(range(4)) for key in "abcdefgh"}
    assert pairs_of(little, little) == []
    assert pairs_of({**little, "i": some}, {**little, "i": some})[0].exercises.keys() == {"i"}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_small_classes(number):
    pairs = compare(works(*[{"a": ANSWER, "b": DISGUISED}] * number))
    assert len(pairs) == (number == 2)
    assert compare(works(*[{}] * number)) == []


@pytest.mark.slow
def test_a_thousand_students_take_seconds():
    """Everybody's answers differ, so that nothing is remembered from one to the next."""
    draw = random.Random(0)
    class_ = [{key: draw_answer(draw) for key in "abc"} for _ in range(998)]
    start = time.process_time()
    pairs = compare(works({"a": ANSWER}, *class_, {"a": DISGUISED}))
    assert [(one.first, one.second) for one in pairs] == [("s0", "s999")]
    assert time.process_time() - start < 20


# From notebooks -----------------------------------------------------------------------------------------------


def hand_back(out: Path, student: str, cells: list[tuple[str, str, str]]) -> Result:
    """A graded notebook of (type, grade id, text), and the student's result."""
    write_notebook(out / "autograded" / student / LAB.folder.name / "lab77.ipynb", cells)
    return Result(student, f"=name {student}", graded=True)


def write_notebook(path: Path, cells: list[tuple[str, str, str]]) -> Path:
    made = [
        {"cell_type": kind, "source": text, "metadata": {"nbgrader": {"grade_id": key}} if key else {}}
        for kind, key, text in cells
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": made}))
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_names_pairs_exercises_and_that_it_is_no_proof(tmp_path):
    text = "The backbone stays because its features serve every head, and only the last layer is new here. "
    draw = random.Random(1)
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    results = [
        hand_back(tmp_path, "ada", [("code", "double", ANSWER), ("markdown", "why", text * 3)]),
        *(
            hand_back(
                tmp_path,
                f"x{number}",
                [
                    ("code", "double", draw_answer(draw)),
                    ("markdown", "why", " ".join(draw.choices(words, k=30))),
                ],
            )
            for number in range(8)
        ),
        hand_back(tmp_path, "bo", [("code", "double", DISGUISED), ("markdown", "why", text.upper() * 3)]),
        Result("gone", "Gone", notes=["the file is empty."]),
    ]
    said = report_similar(LAB, tmp_path, results, tiny_lab().cells)
    assert said[0].startswith("Alike: 1 pairs of students")
    assert NO_PROOF in said[1]
    (row,) = rows(tmp_path / "lab77.similar.csv")
    assert (row["student_1"], row["student_2"], row["name_1"]) == ("ada", "bo", "'=name ada")
    assert row["exercises"] == "double 100 %; why 100 %"
    assert row["note"] == NO_PROOF


def test_what_the_lab_gave_does_not_count(tmp_path):
    given = tiny_lab().cells
    long = "def double(x):\n" + "".join(f"    part_{i} = helper(x, {i}) + {i * i}\n" for i in range(40))
    next(one for one in given if one.metadata.nbgrader.grade_id == "double").source = long
    test = next(one for one in given if one.metadata.nbgrader.grade_id == "test_double").source
    cells = [("code", "double", long), ("code", "test_double", test * 9), ("code", "", test * 9)]
    results = [hand_back(tmp_path, name, cells) for name in ("ada", "bo")]
    assert report_similar(LAB, tmp_path, results, given) == []
    assert rows(tmp_path / "lab77.similar.csv") == []
    assert Given(given).read(tmp_path / "autograded/ada/lab77_tiny/lab77.ipynb")["double"] == frozenset()


def test_cells_of_ones_own_count_up_to_a_limit(tmp_path):
    many = [("code", "", f"{ANSWER}\n" * 20)] * 400
    results = [hand_back(tmp_path, name, many) for name in ("ada", "bo")]
    start = time.process_time()
    report_similar(LAB, tmp_path, results, tiny_lab().cells)
    assert time.process_time() - start < 5
    assert rows(tmp_path / "lab77.similar.csv")[0]["exercises"] == f"{similar.OWN} 100 %"
    late = [("code", "", "#" * similar.LETTERS), ("code", "", ANSWER)]
    assert Given([]).read(write_notebook(tmp_path / "late.ipynb", late)) == {similar.OWN: frozenset()}


def test_damaged_and_missing_notebooks_are_passed_over(tmp_path):
    results = [hand_back(tmp_path, name, [("code", "double", ANSWER)]) for name in ("ada", "bo")]
    path = tmp_path / "autograded/ada/lab77_tiny/lab77.ipynb"
    path.write_text('{"cells": [{"metadata": {"nbgrader": {"grade_id": "double"}}, "source": {"a": 1}}, 3]}')
    results.append(Result("cy", "Cy", graded=True))
    assert report_similar(LAB, tmp_path, results, tiny_lab().cells) == []


def test_names_of_the_lab():
    codes = ["import torch.nn.functional as F\nfrom torch import nn", "def f(x): ...", "a broken (", "y = 3"]
    assert names_given(codes) == {"F", "nn", "f"}
