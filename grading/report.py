"""What comes out: the CSV, a page for a student whose notebook could not be graded, the summary."""

import csv
import html
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from grading.labs import Lab


@dataclass
class Result:
    """One student's result: points in all and by graded cell; notes say what the student should put right."""

    student: str
    name: str
    points: float = 0.0
    exercises: dict[str, float] = field(default_factory=dict)
    needs_manual: bool = False
    notes: list[str] = field(default_factory=list)
    graded: bool = False  # nbgrader ran it; notes can be there all the same
    marks: list[str] = field(default_factory=list)  # how it was graded, where that was not the usual way
    doubts: list[str] = field(default_factory=list)  # for the instructor only

    @property
    def status(self) -> str:
        """For the CSV: graded; problem, where a note says which; not graded, where that is not the student's fault."""
        if not self.graded and not self.notes:
            return "not graded"
        return "problem" if self.notes or self.doubts else "graded"


FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "＝",
    "＋",
    "－",
    "＠",
)  # the wide ones count in Japanese spreadsheets


def safe_cell(text: str) -> str:
    """`text` such that no spreadsheet runs it as a formula; a number stays one."""
    is_number = re.fullmatch(r"[+-]?\d*[.,]?\d+", text)
    return f"'{text}" if text.startswith(FORMULA) and not is_number else text


def write_csv(
    path: Path,
    results: list[Result],
    max_points: dict[str, float],
    late: dict[str, tuple[str, float]] | None = None,
) -> None:
    """One line a student, one column a graded cell.

    Args:
        path: of the CSV.
        results: of the students.
        max_points: by graded cell in the lab's order.
        late: by student, how late it was and the points after the penalty; None without a due date.
    """
    titles = ["late", "points_after_penalty"] if late else []
    # With a byte order mark: without one Excel shows "Jürgen" as "JÃ¼rgen".
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["student", "name", "status", "points", "max", *max_points, "needs_manual", *titles, "note"]
        )
        for one in results:
            exercises = [one.exercises.get(key, 0.0) for key in max_points]
            manual = "yes" if one.needs_manual else ""
            row = [one.student, safe_cell(one.name), one.status, one.points, sum(max_points.values())]
            note = safe_cell(" ".join([*one.marks, *one.notes, *one.doubts]))
            writer.writerow([*row, *exercises, manual, *(late[one.student] if late else ()), note])


def write_problem_page(path: Path, lab: Lab, result: Result) -> None:
    """The feedback page of a student whose notebook could not be graded."""
    title = f"{html.escape(lab.notebook)}: a problem with your notebook"
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in result.notes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body style="font-family: sans-serif; max-width: 40em; margin: 2em auto">
<h1>{title}</h1>
<p>{html.escape(result.name)}, your notebook has {result.points:g} points for now. To be put right:</p>
<ul>{notes}</ul>
</body>
</html>
""",
        encoding="utf-8",
    )


def summary(lab: Lab, results: list[Result], max_points: dict[str, float]) -> str:
    """How the class did and whose notebook has a problem, for the terminal."""
    points = [one.points for one in results if one.graded]
    problems = [one for one in results if one.notes]
    doubts = [one for one in results if one.doubts]
    unread = sum(one.needs_manual for one in results)
    shaky = sum(one.graded for one in problems)
    lines = [
        f"{lab.notebook}: {len(results)} students: {len(points) - shaky} graded, "
        f"{shaky} graded with a problem, {len(results) - len(points)} not graded"
    ]
    if points:
        mean, median = statistics.mean(points), statistics.median(points)
        lines.append(
            f"points of the graded: mean {mean:.1f}, median {median:.1f} of {sum(max_points.values()):g}"
        )
    if unread:
        lines.append(f"free text still to be read: {unread} students (needs_manual in the CSV)")
    if problems:
        lines += ["", "Problems (the student's feedback page says the same):"]
        lines += [f"  {one.name}: {note}" for one in problems for note in one.notes]
    if doubts:
        lines += ["", "For you to decide (students do not see this):"]
        lines += [f"  {doubt}" for one in doubts for doubt in one.doubts]
    return "\n".join(lines)
