"""How a class did, exercise by exercise, from made-up results. No kernels, no nbgrader."""

import ast
import csv
import itertools
import json
import random
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from grading_samples import ROOT, tiny_lab

from grading import __main__ as command
from grading import statistics as ours
from grading.__main__ import about_the_class
from grading.labs import Lab
from grading.report import Result
from grading.statistics import (
    Item,
    analyze,
    bar_chart,
    by_chance,
    clean,
    correlation,
    group,
    lines,
    normalized,
    read_by_hand,
    read_errors,
    report_items,
    write_page,
)

LAB = Lab(Path("solutions/lab77_tiny"), "lab77")
MAX = {"a": 2.0, "b": 4.0}
HOSTILE = "</code><script>alert('x')</script>\x1b[2J\ud800 =cmd|' /C calc'!A0"


def student(number: int, a: float, b: float, **more: object) -> Result:
    return Result(f"s{number}", f"Ÿğitçan 小{number}", a + b, {"a": a, "b": b}, graded=True, **more)


def notebook(path: Path, errors: dict[str, tuple[str, str]]) -> Path:
    """A graded notebook as nbgrader leaves it, with these errors by grade id."""
    cells = [
        {
            "cell_type": "code",
            "metadata": {"nbgrader": {"grade_id": key, "grade": True}},
            "source": "assert False",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "x"},
                {"output_type": "error", "ename": name, "evalue": text, "traceback": []},
            ],
        }
        for key, (name, text) in errors.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def place(out: Path, student: str) -> Path:
    return out / "autograded" / student / LAB.folder.name / "lab77.ipynb"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


class Tags(HTMLParser):
    """The names of a page's elements, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


# Numbers ----------------------------------------------------------------------------------------------------


def test_who_got_what_and_the_correlation_with_the_rest():
    points = [(2, 4), (2, 2), (0, 0), (2, 0), (0, 4)]
    first, second = analyze([student(i, *one) for i, one in enumerate(points)], MAX, {})
    assert (first.students, first.full, first.some, first.none) == (5, 3, 0, 2)
    assert (second.students, second.full, second.some, second.none) == (5, 2, 1, 2)
    assert (first.share, second.share) == pytest.approx((0.6, 0.5))
    expected = statistics.correlation(*zip(*points, strict=True))  # two exercises: the rest is the other one
    assert first.discrimination == pytest.approx(expected) == second.discrimination


def test_discrimination_of_right_or_wrong_is_the_point_biserial_correlation():
    draw = random.Random(0)
    names = {key: 1.0 for key in "abcdef"}
    results = []
    for number in range(40):
        got = {key: float(draw.random() < 0.3 + 0.01 * number) for key in names}
        results.append(Result(f"s{number}", "", exercises=got, graded=True))
    item = analyze(results, names, {})[0]
    rest = [sum(one.exercises.values()) - one.exercises["a"] for one in results]
    right = [total for one, total in zip(results, rest, strict=True) if one.exercises["a"]]
    wrong = [total for one, total in zip(results, rest, strict=True) if not one.exercises["a"]]
    share = len(right) / len(rest)
    distance = statistics.mean(right) - statistics.mean(wrong)
    formula = distance / statistics.pstdev(rest) * (share * (1 - share)) ** 0.5
    assert item.discrimination == pytest.approx(formula)


def test_what_chance_reaches_agrees_with_a_simulation():
    draw = random.Random(0)
    drawn = [
        abs(correlation([draw.gauss(0, 1) for _ in range(20)], [draw.gauss(0, 1) for _ in range(20)]))
        for _ in range(3000)
    ]
    assert sum(one > by_chance(20) for one in drawn) / len(drawn) == pytest.approx(0.05, abs=0.012)
    assert by_chance(3) is None


def test_rounding_is_no_difference_between_students():
    assert sum([0.1] * 3) / 3 != 0.1
    assert correlation([0.1] * 3, [1.0, 2.0, 3.0]) is None
    assert correlation([1e-3, 2e-3, 3e-3], [1.0, 2.0, 3.0]) == pytest.approx(1)


@pytest.mark.parametrize(
    "points", [[], [(2, 4)], [(2, 4), (0, 0)], [(2, 4)] * 30, [(0, 0)] * 30, [(0.1 + 0.2, 0.3)] * 7]
)
def test_nobody_one_and_all_equal_have_no_discrimination(points, tmp_path):
    results = [student(i, *one) for i, one in enumerate(points)]
    items = analyze(results, MAX, {})
    assert [one.discrimination for one in items] == [None, None]
    assert [one.students for one in items] == [len(points)] * 2
    assert (items[0].share is None) == (not points)
    said = report_items(LAB, tmp_path, results, MAX, frozenset())
    assert "nan" not in " ".join(said)
    assert [row["discrimination"] for row in rows(tmp_path / "lab77.items.csv")] == ["", ""]
    assert "nan" not in (tmp_path / "lab77.items.html").read_text(encoding="utf-8")


def test_a_lab_without_exercises_or_points(tmp_path):
    assert report_items(LAB, tmp_path, [], {}, frozenset())
    item = analyze([student(1, 0, 0)], {"a": 0.0}, {})[0]
    assert (item.share, item.full, item.some, item.none) == (None, 1, 0, 0)


def test_whoever_was_not_graded_does_not_count_and_is_named(tmp_path):
    results = [student(1, 2, 4), Result("s2", "Bo <b>", notes=["the file is empty."])]
    assert [one.students for one in analyze(results, MAX, {})] == [1, 1]
    report_items(LAB, tmp_path, results, MAX, frozenset())
    page = Tags((tmp_path / "lab77.items.html").read_text(encoding="utf-8"))
    assert "Bo <b>: the file is empty." in page.text
    assert "b" not in page.names


def test_a_free_text_nobody_has_read_is_no_zero():
    results = [student(1, 2, 0, needs_manual=True), student(2, 0, 4), student(3, 1, 2), student(4, 2, 4)]
    test, text = analyze(results, MAX, {}, frozenset({"b"}))
    assert (text.students, text.unread, text.none, text.mistakes) == (3, 1, 0, [])
    assert (test.students, test.unread) == (4, 0)
    assert test.discrimination is None  # all that is left to compare with is read for some only
    assert text.discrimination is not None
    assert read_by_hand(tiny_lab().cells) == {"why"}


# Messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("got 3 of 10", "got 12 of 7"),
        ("expected 0.5, got -1.25e-3", "expected 0.1, got 7"),
        ("name 'foo' is not defined", "name 'bär_2' is not defined"),
        ("expected (2, 3), got (2, 3, 1)", "expected (4, 3), got (7,)"),
        ("got ['a', 'b']", "got ['c']"),
        ("<function f at 0x7f00aa> stayed", "<function g at 0x7f11> stayed"),
        ("got float32", "got float64"),
        ('got "a"', "got 'b'"),
    ],
)
def test_messages_that_say_the_same(one, other):
    assert normalized(one) == normalized(other)


def test_messages_that_say_other_things_stay_apart():
    several = [
        "expected a tensor",
        "expected a list",
        "the model's own error",
        "the model's own layer",
        "got nan",
    ]
    assert len({normalized(one) for one in several}) == len(several)


def test_groups_have_a_count_and_an_example_the_commonest_first():
    found = group(["A: got 1", "B: x", "A: got 22", "A: got 3"])
    assert [(one.example, one.count) for one in found] == [("A: got 1", 3), ("B: x", 1)]
    ending = "e" * 5000  # cut only after it was normalized
    assert [one.count for one in group([f"'{'x' * n}' {ending}" for n in (1, 50, 400)])] == [3]


def test_every_lost_point_has_a_message(tmp_path):
    results = [student(i, 0, 4) for i in range(4)] + [student(9, 1, 4)]
    errors = {f"s{i}": {"a": f"AssertionError: got {i}"} for i in range(3)}
    item = analyze(results, MAX, errors)[0]
    assert sum(one.count for one in item.mistakes) == item.some + item.none == 5
    assert {one.message: one.count for one in item.mistakes} == {
        "AssertionError: got N": 3,
        ours.SILENT: 2,
    }


def test_errors_are_read_from_the_graded_notebook(tmp_path):
    path = notebook(tmp_path / "x.ipynb", {"a": ("AssertionError", "expected\n  4"), "b": ("Evil", HOSTILE)})
    errors = read_errors(path)
    assert errors["a"] == "AssertionError: expected 4"
    assert errors["b"].isprintable()
    errors["b"].encode("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"cells": 3}',
        '{"cells": [3, null, {}, {"metadata": 1}, {"metadata": {"nbgrader": {"grade_id": [1]}}, "outputs": 4}]}',
        '{"cells": [{"metadata": {"nbgrader": {"grade_id": "a"}}, "outputs": [1, {"output_type": "x"}]}]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_notebook_says_nothing(text, tmp_path):
    (tmp_path / "x.ipynb").write_text(text)
    assert read_errors(tmp_path / "x.ipynb") == {}
    assert read_errors(tmp_path / "none.ipynb") == {}


def test_hostile_messages_are_text_and_no_formula(tmp_path, capsys):
    results = [student(1, 0, 4), student(2, 0, 4)]
    for one in results:
        notebook(place(tmp_path, one.student), {"a": ("=1+1", HOSTILE)})
    said = "\n".join(report_items(LAB, tmp_path, results, MAX, frozenset()))
    assert "\x1b" not in said
    assert "a, 2 students: =1+1" in said
    text = (tmp_path / "lab77.items.html").read_text(encoding="utf-8")
    assert "script" not in Tags(text).names
    assert "<script>alert('x')</script>" in Tags(text).text
    row = rows(tmp_path / "lab77.items.csv")[0]
    assert (row["count_1"], row["message_1"][:5]) == ("2", "'=1+1")


# The page and the terminal ------------------------------------------------------------------------------------


def test_the_chart_shows_the_counts_and_says_them():
    items = [Item("a<&>", 2, 10, 5, 3, 0.6), Item("ü", 2, 4, 4, 0, 1.0), Item("unread", 2)]
    root = ElementTree.fromstring(bar_chart(items))  # well formed
    space = {"s": "http://www.w3.org/2000/svg"}
    assert root.get("role") == "img"
    labels = {one.get("id"): one.text for one in root if one.get("id")}
    assert set(root.get("aria-labelledby").split()) == set(labels)
    assert "a<&>: 5 all points, 3 a part, 2 none" in labels["chart-text"]
    bars = root.findall("s:rect", space)
    widths = [float(one.get("width")) for one in bars]
    assert widths == pytest.approx([210, 126, 84, 420])
    assert [one.find("s:title", space).text for one in bars][:2] == [
        "a<&>: 5 of 10 all points",
        "a<&>: 3 of 10 a part of the points",
    ]
    wide = float(root.get("width"))
    assert all(float(one.get("x")) + float(one.get("width")) < wide for one in bars)


def test_grey_print_tells_the_colors_apart_and_they_are_the_courses():
    def grey(color: str) -> float:
        red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    tones = sorted(grey(color) for color in (ours.ALL, ours.SOME, "#FFFFFF"))
    assert min(b - a for a, b in itertools.pairwise(tones)) > 0.2
    tree = ast.parse((ROOT / "backbones" / "show" / "palette.py").read_text(encoding="utf-8"))
    palette = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert (palette["STAYS"], palette["SWAPPED"], palette["INK"]) == (ours.ALL, ours.SOME, ours.INK)


def test_the_page_is_complete(tmp_path):
    many = [f"E: {letter}" for letter in "abcdefghijkl"]
    items = analyze([student(i, 0, 4) for i in range(12)], MAX, {f"s{i}": {"a": many[i]} for i in range(12)})
    write_page(tmp_path / "x.html", "lab77 <i>", items, [student(i, 0, 4) for i in range(12)])
    page = Tags((tmp_path / "x.html").read_text(encoding="utf-8"))
    assert page.names.count("svg") == page.names.count("h1") == page.names.count("table") == 1
    assert "i" not in page.names
    assert f"{12 - ours.ON_PAGE}: others" in page.text
    assert "With 12 students, chance alone exceeds 0.57" in " ".join(page.text.split())
    assert "Nobody." in page.text


def test_the_terminal_hears_what_stands_out():
    hard, easy, odd = (
        Item("hard", 2, 50, 5, 0, 0.1, 0.4),
        Item("easy", 2, 50, 50, 0, 1.0),
        Item("odd", 2, 50, 25, 0, 0.5, -0.5),
    )
    said = lines([easy, hard, odd])
    assert said[0] == "hardest: hard (10 % of the points), odd (50 % of the points)"
    assert said[1].endswith("(a fault in the task?): odd")
    few = [Item("odd", 2, 6, 3, 0, 0.5, -0.5)]
    assert len(lines(few)) == 1  # with six students that is chance
    assert lines([]) == lines([easy]) == lines([Item("text", 2, 3, 0, 0, 0.0, None, unread=5)]) == []


def test_clean_leaves_letters_of_all_scripts():
    assert clean("Straße 小 é 😀\n\tx") == "Straße 小 é 😀 x"
    assert len(clean("x" * 10_000)) == ours.SHOWN


# In the run ---------------------------------------------------------------------------------------------------


def test_an_error_here_becomes_a_sentence(tmp_path, monkeypatch):
    def fails(*_: object) -> list[str]:
        raise RuntimeError("no luck")

    grader = SimpleNamespace(max_points=MAX, release=tiny_lab())
    results = [student(1, 2, 4)]
    monkeypatch.setattr(command, "report_items", fails)
    said = about_the_class(tmp_path, LAB, grader, results)
    assert len(said) == 1
    assert "No item analysis this time (RuntimeError('no luck'))" in said[0]
    assert (tmp_path / "lab77.similar.csv").exists()
    monkeypatch.setattr(command, "report_similar", fails)
    assert len(about_the_class(tmp_path, LAB, grader, results)) == 2
    assert len(about_the_class(tmp_path, LAB, SimpleNamespace(max_points=MAX), results)) == 2
    monkeypatch.undo()
    blocked = tmp_path / "lab77.items.csv"
    blocked.unlink(missing_ok=True)
    blocked.mkdir()  # as a file that a spreadsheet holds open
    assert "No item analysis" in "\n".join(about_the_class(tmp_path, LAB, grader, results))


def test_it_needs_no_heavy_import():
    heavy = ("torch", "nbgrader", "nbformat", "numpy", "backbones")
    code = f"import sys, grading.statistics, grading.similar; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
