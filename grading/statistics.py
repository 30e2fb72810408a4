"""How a class did, exercise by exercise: which one was hard, which one tells who knows the subject, what went wrong.

Discrimination is the correlation of what students have in one exercise with their points in all others. For an
exercise with all points or none this is the point-biserial correlation of an item with the rest of the test
(S. Henrysson, Correction of item-total correlations in item analysis, Psychometrika 28, 1963, 211-218). An
exercise is left out of the sum that it is compared with, else it would be compared with itself.
"""

import csv
import html
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grading.labs import Lab
from grading.report import Result, safe_cell

ALL, SOME, INK = (
    "#0072B2",
    "#E69F00",
    "#333333",
)  # backbones/show/palette.py; grading does without the package
READ, SAME, SHOWN = 3000, 200, 300  # letters of a message: kept, compared once normalized, shown
IN_TABLE, ON_PAGE = 3, 8  # messages of one exercise
SILENT = "(no message)"


@dataclass(frozen=True)
class Mistake:
    """Errors of one test cell that say the same. `example`: what one student got; `count`: students."""

    message: str
    example: str
    count: int


@dataclass(frozen=True)
class Item:
    """One graded cell and the class.

    Attributes:
        name: its grade id.
        most: its points.
        students: whose points count here; a free text that nobody has read yet does not.
        full: how many got all points.
        some: how many got a part.
        share: the mean share of the points, from 0 to 1; None without students.
        discrimination: from -1 to 1; None where it cannot be told (all alike, fewer than three students).
        unread: free texts still to be read.
        mistakes: the commonest first.
    """

    name: str
    most: float
    students: int = 0
    full: int = 0
    some: int = 0
    share: float | None = None
    discrimination: float | None = None
    unread: int = 0
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def none(self) -> int:
        return self.students - self.full - self.some


def graded_cells(path: Path) -> Iterator[tuple[str, dict]]:
    """The cells of a notebook that nbgrader wrote, each with its grade id ("" without one). None of a broken file."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8", errors="replace"))["cells"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return
    for cell in cells if isinstance(cells, list) else []:
        try:
            key = cell["metadata"]["nbgrader"]["grade_id"]
        except (TypeError, KeyError):
            key = ""
        if isinstance(cell, dict):
            yield key if isinstance(key, str) else "", cell


def read_errors(path: Path) -> dict[str, str]:
    """What went wrong in a notebook that ran: by grade id, "AssertionError: expected ..."."""
    errors = {}
    for key, cell in graded_cells(path):
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else []:
            if key and isinstance(output, dict) and output.get("output_type") == "error":
                errors.setdefault(key, clean(f"{output.get('ename')}: {output.get('evalue')}", READ))
    return errors


def read_by_hand(cells: Iterable[dict]) -> frozenset[str]:
    """The grade ids of a lab's cells that are answer and graded in one: a person gives their points."""
    marks = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    return frozenset(mark["grade_id"] for mark in marks if mark.get("grade") and mark.get("solution"))


def clean(text: str, most: int = SHOWN) -> str:
    """One line of `text`, fit for every file and terminal: a stranger wrote it. Cut after `most` letters."""
    text = " ".join(text[:READ].split())
    text = "".join(
        letter if letter.isprintable() else "�" for letter in text
    )  # escape codes, lone surrogates
    return text if len(text) <= most else f"{text[: most - 1]}…"


QUOTED = re.compile(r"""(?<!\w)(?:'[^']*'|"[^"]*"|`[^`]*`)(?!\w)""")  # not the mark in "model's"
OBJECT = re.compile(r"<[^<>]*>")  # <function f at 0x7f5c>
NUMBER = re.compile(r"(?<![\w.])-?\.?\d[\d_]*(?:\.\d*)?(?:e[-+]?\d+)?|\d+")
REPEATED = re.compile(r"([NX])(?:, ?\1)+,?|(?<=\()([NX]),(?=\))")  # shapes of any length


def normalized(message: str) -> str:
    """`message` without what differs between students who made the same mistake: names in quotes and numbers."""
    message = OBJECT.sub("X", QUOTED.sub("X", message))
    return REPEATED.sub(r"\1\2", NUMBER.sub("N", message))[:SAME]


def group(messages: list[str]) -> list[Mistake]:
    """Messages that say the same together, the commonest first."""
    groups: dict[str, list[str]] = {}
    for message in messages:
        groups.setdefault(normalized(message), []).append(message)
    found = [Mistake(key, clean(some[0]), len(some)) for key, some in groups.items()]
    return sorted(found, key=lambda one: (-one.count, one.message))


def correlation(xs: list[float], ys: list[float]) -> float | None:
    """Pearson's correlation; None where one side does not vary, or with fewer than three pairs (always 1 or -1)."""
    if len(xs) < 3:
        return None
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    left, right = [x - mean_x for x in xs], [y - mean_y for y in ys]
    spread = math.sqrt(math.fsum(x * x for x in left) * math.fsum(y * y for y in right))
    if spread <= 1e-9:  # rounding alone
        return None
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(left, right, strict=True)) / spread))


def by_chance(students: int) -> float | None:
    """The correlation that chance reaches once in twenty times where there is none (Fisher's z; above three students).

    R. A. Fisher, On the probable error of a coefficient of correlation, Metron 1, 1921: atanh(r) has a standard
    deviation of 1 / sqrt(n - 3).
    """
    return math.tanh(1.96 / math.sqrt(students - 3)) if students > 3 else None


def analyze(
    results: list[Result],
    max_points: dict[str, float],
    errors: dict[str, dict[str, str]],
    by_hand: frozenset[str] = frozenset(),
) -> list[Item]:
    """How the class did in each graded cell. Whoever was not graded does not count.

    Args:
        results: of the students.
        max_points: by graded cell in the lab's order.
        errors: by student, what `read_errors` found.
        by_hand: graded cells that a person reads.
    """
    graded = [one for one in results if one.graded]
    waiting = any(one.needs_manual for one in graded)
    items = []
    for name, most in max_points.items():
        # The gradebook says whether anything of a student is unread, not what: all free texts of theirs wait.
        read = [one for one in graded if not (name in by_hand and one.needs_manual)]
        points = [one.exercises.get(name, 0.0) for one in read]
        others = [key for key in max_points if key != name and not (waiting and key in by_hand)]
        rest = [math.fsum(one.exercises.get(key, 0.0) for key in others) for one in read]
        lost = [one for one, got in zip(read, points, strict=True) if got < most - 1e-9]
        said = [errors.get(one.student, {}).get(name, "") or SILENT for one in lost]
        full = len(read) - len(lost)
        items.append(
            Item(
                name=name,
                most=most,
                students=len(read),
                full=full,
                some=sum(got > 1e-9 for got in points) - full if most > 0 else 0,
                share=math.fsum(points) / (most * len(read)) if read and most > 0 else None,
                discrimination=correlation(points, rest),
                unread=len(graded) - len(read),
                mistakes=[] if name in by_hand else group(said),
            )
        )
    return items


def write_items(path: Path, items: list[Item]) -> None:
    """A line for each graded cell, with the commonest messages."""
    numbers = range(1, IN_TABLE + 1)
    titles = [title for number in numbers for title in (f"count_{number}", f"message_{number}")]
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # the mark is for Excel, as in report.py
        writer = csv.writer(file)
        head = ["exercise", "max", "students", "all_points", "some_points", "no_points", "mean_share"]
        writer.writerow([*head, "discrimination", "unread", *titles])
        for one in items:
            texts = [
                text for some in one.mistakes[:IN_TABLE] for text in (some.count, safe_cell(some.example))
            ]
            texts += [""] * (len(titles) - len(texts))
            counts = [safe_cell(one.name), one.most, one.students, one.full, one.some, one.none]
            writer.writerow([*counts, rounded(one.share), rounded(one.discrimination), one.unread, *texts])


def rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def bar_chart(items: list[Item]) -> str:
    """A bar for each graded cell: who got all points, a part, none. An SVG element.

    Grey print tells the three apart (dark, light, white with an edge), and the numbers stand beside the bars.
    """
    line, bar, wide = 26, 16, 420
    left = 12 + 8 * max((len(one.name) for one in items), default=0)
    spoken = "; ".join(
        f"{one.name}: {one.full} all points, {one.some} a part, {one.none} none" for one in items
    )
    parts = []
    for row, one in enumerate(items):
        top, x = row * line + 4, float(left)
        name = html.escape(one.name)
        parts.append(f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{name}</text>')
        for count, color, what in (
            (one.full, ALL, "all points"),
            (one.some, SOME, "a part of the points"),
            (one.none, "#FFFFFF", "no points"),
        ):
            if not count:
                continue
            width = wide * count / one.students
            parts.append(
                f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{bar}" fill="{color}" stroke="{INK}">'
                f"<title>{name}: {count} of {one.students} {what}</title></rect>"
            )
            x += width
        parts.append(f'<text x="{left + wide + 8}" y="{top + 13}">{one.full} of {one.students}</text>')
    width, height = left + wide + 110, max(len(items) * line + 8, 20)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="chart-title chart-text" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="13" fill="{INK}">'
        '<title id="chart-title">Students with all, a part and none of the points, by exercise</title>'
        f'<desc id="chart-text">{html.escape(spoken)}</desc>{"".join(parts)}</svg>'
    )


STYLE = f"""
body {{ font-family: sans-serif; color: {INK}; max-width: 62em; margin: 2em auto; padding: 0 1em }}
svg {{ max-width: 100%; height: auto }}
table {{ border-collapse: collapse }}
th, td {{ padding: .2em .8em; text-align: right; border-bottom: 1px solid #BBBBBB }}
th:first-child, td:first-child {{ text-align: left }}
code {{ overflow-wrap: anywhere }}
.key {{ display: inline-block; width: 1em; height: 1em; border: 1px solid {INK}; vertical-align: text-bottom }}
"""


def write_page(path: Path, title: str, items: list[Item], results: list[Result]) -> None:
    """The page for the instructor: the chart, the numbers, the commonest messages, who could not be graded.

    Args:
        path: of the HTML file.
        title: the lab.
        items: from `analyze`.
        results: of the students.
    """
    left_out = [one for one in results if not one.graded]
    graded = len(results) - len(left_out)
    chance = by_chance(graded)
    trust = (
        f"With {graded} students, chance alone exceeds {chance:.2f} once in twenty times."
        if chance is not None
        else f"With {graded} graded it says nothing: it takes at least four, and many more to be trusted."
    )
    title = html.escape(clean(title))
    rows = "".join(
        f"<tr><td>{html.escape(one.name)}</td><td>{one.most:g}</td><td>{one.students}</td><td>{one.full}</td>"
        f"<td>{one.some}</td><td>{one.none}</td><td>{percent(one.share)}</td>"
        f"<td>{rounded(one.discrimination)}</td><td>{one.unread or ''}</td></tr>"
        for one in items
    )
    messages = "".join(messages_of(one) for one in items if one.mistakes)
    people = "".join(
        f"<li>{html.escape(clean(one.name))}: {html.escape(clean(' '.join([*one.notes, *one.doubts]) or SILENT))}</li>"
        for one in left_out
    )
    key = "".join(
        f'<span class="key" style="background: {color}"></span> {text} &nbsp; '
        for color, text in ((ALL, "all points"), (SOME, "a part"), ("#FFFFFF", "none"))
    )
    path.write_text(
        f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}: the exercises</title><style>{STYLE}</style></head>
<body>
<h1>{title}: the exercises</h1>
<p>{graded} students graded, {len(left_out)} not. {key}</p>
{bar_chart(items)}
<h2>Numbers</h2>
<table>
<tr><th>exercise</th><th>points</th><th>students</th><th>all</th><th>a part</th><th>none</th>
<th>mean share</th><th>discrimination</th><th>unread</th></tr>
{rows}
</table>
<p>Discrimination: the correlation of the points in one exercise with the points in all others. Near 0, the
exercise does not tell who knows the subject; below 0, those who know it lose the points: look for a fault in the
task or its checks. It is empty where all students have the
same, and for fewer than three. {trust}</p>
<h2>Commonest messages</h2>
<p>What a check said to those without all points; messages that differ only in numbers and in names in quotes are
counted together, with one of them as an example.</p>
{messages or "<p>None.</p>"}
<h2>Not graded</h2>
{f"<ul>{people}</ul>" if people else "<p>Nobody.</p>"}
</body>
</html>
""",
        encoding="utf-8",
        errors="replace",
    )


def messages_of(item: Item) -> str:
    """A heading and a list for one exercise."""
    shown = "".join(
        f"<li>{one.count}: <code>{html.escape(one.example)}</code></li>" for one in item.mistakes[:ON_PAGE]
    )
    others = sum(one.count for one in item.mistakes[ON_PAGE:])
    more = f"<li>{others}: others</li>" if others else ""
    return f"<h3>{html.escape(item.name)}</h3><ul>{shown}{more}</ul>"


def lines(items: list[Item]) -> list[str]:
    """What stands out, for the terminal."""
    told = [one for one in items if one.share is not None]
    said = []
    # A free text of which some are unread is not compared: who wrote nothing has 0 points at once.
    hardest = sorted((one for one in told if one.share < 1 and not one.unread), key=lambda one: one.share)[:3]
    if hardest:
        shares = ", ".join(f"{one.name} ({percent(one.share)} of the points)" for one in hardest)
        said.append(f"hardest: {shares}")
    common = [
        (some.count, one.name, some.example) for one in items for some in one.mistakes if some.count > 1
    ]
    if common:
        count, name, example = max(common, key=lambda one: one[0])
        said.append(f"commonest message: {name}, {count} students: {example}")
    chance = by_chance(min((one.students for one in told), default=0))
    # Only what chance seldom does: else every small class has a suspicious exercise.
    odd = [one.name for one in told if chance and (one.discrimination or 0) < -chance]
    if odd:
        said.append(f"points for those who lose them elsewhere (a fault in the task?): {', '.join(odd)}")
    return said


def report_items(
    lab: Lab, out: Path, results: list[Result], max_points: dict[str, float], by_hand: frozenset[str]
) -> list[str]:
    """Write labNN.items.csv and labNN.items.html into `out`.

    Args:
        lab: the lab.
        out: the folder of results.
        results: of the students.
        max_points: by graded cell in the lab's order.
        by_hand: graded cells that a person reads.

    Returns:
        Lines for the terminal.
    """
    names = [one.student for one in results if one.graded]
    folder = out / "autograded"
    errors = {name: read_errors(folder / name / lab.folder.name / f"{lab.notebook}.ipynb") for name in names}
    items = analyze(results, max_points, errors, by_hand)
    write_items(out / f"{lab.notebook}.items.csv", items)
    page = out / f"{lab.notebook}.items.html"
    write_page(page, lab.notebook, items, results)
    return ["The exercises:", *(f"  {line}" for line in lines(items)), f"  more in {page}"]
