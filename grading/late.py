"""Late submissions: how many days, and what that costs.

When a notebook came in, the system tells: Moodle by the time of the file (in its zip, or in a folder that was
unpacked with the times), Blackboard by the time in the name. Canvas says LATE, and not since when. The time
of a file that was brought by hand is that of the student's own computer. Only what a system tells costs
points; all else is said.

Times are read on the system's own clock, and so is the due date: in the course's place both are the same.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from grading.collect import Submission
from grading.labs import CourseError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Lateness:
    """How late one submission is.

    `days` are started days, 0 for on time, None where no system tells; `word` stands in the CSV, `doubt` is a
    sentence for the instructor, "" where there is none.
    """

    days: int | None
    word: str
    doubt: str = ""

    def points(self, reached: float, penalty: float) -> float:
        """`reached` less `penalty`, a share of it, for each day; never below 0."""
        return round(reached * max(0.0, 1 - penalty * (self.days or 0)), 2)


def read_due(text: str) -> datetime:
    """The last moment that is on time: of "2026-12-01 23:59" the end of that minute, of a date its end.

    Raises:
        CourseError: for what is neither.
    """
    for form, rest in (("%Y-%m-%d %H:%M", timedelta(minutes=1)), ("%Y-%m-%d", DAY)):
        try:
            last = datetime.strptime(text.strip().replace("T", " "), form) + rest
            return last - timedelta(microseconds=1)
        except ValueError:
            pass
    raise CourseError(f'--due {text!r} is no time: write it like "2026-12-01 23:59" or 2026-12-01')


def read_penalty(text: str) -> float:
    """The share of the points that a day costs: .1 for "10%".

    Raises:
        CourseError: for what is no percentage.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", text.strip())
    if not match or float(match[1]) > 100:
        raise CourseError(f"--late {text!r} is no share of the points: write it like 10%")
    return float(match[1]) / 100


def lateness(submissions: dict[str, Submission], due: datetime, now: datetime) -> dict[str, Lateness]:
    """How late each submission is, by student id.

    Args:
        submissions: as collected.
        due: the last moment that is on time.
        now: the present.
    """
    # Some programs unpack without the times: then all are those of the unpacking.
    moodle = [one.time for one in submissions.values() if one.time and one.time_from == "Moodle"]
    unpacked = len(moodle) > 2 and max(moodle) - min(moodle) < timedelta(minutes=1) and max(moodle) > due
    return {student: judge(one, due, now, unpacked) for student, one in submissions.items()}


def judge(one: Submission, due: datetime, now: datetime, unpacked: bool) -> Lateness:
    """How late one submission is; `unpacked`: Moodle's times are those of the unpacking."""
    nothing = "nothing was taken off"
    if one.flagged_late:
        doubt = f"{one.name}: Canvas says late, and not since when; {nothing}: look up the time in Canvas."
        return Lateness(None, "late", doubt)
    if one.path is None:
        return Lateness(None, "")
    if one.person.pattern == "Canvas":
        return Lateness(0, "0")  # else Canvas would say LATE
    if one.time is None:
        return Lateness(None, "unknown", f"{one.name}: nothing tells when this came in; {nothing}.")
    days, when = max(0, math.ceil((one.time - due) / DAY)), f"{one.time:%Y-%m-%d %H:%M}"
    doubt = ""
    if one.time_from == "file":
        if days:
            doubt = (
                f"by the file's own time ({when}) {days} days late, which no system vouches for; {nothing}."
            )
    elif one.time > now + DAY:
        doubt = f"handed in at {when}, which is still to come; {nothing}."
    elif unpacked and one.time_from == "Moodle":
        doubt = (
            f"all files bear the time {when}, perhaps of unpacking; {nothing}. Give the zip, not the folder."
        )
    else:
        return Lateness(days, str(days))
    return Lateness(None, f"{days}?", doubt and f"{one.name}: {doubt}")
