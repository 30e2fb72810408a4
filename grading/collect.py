"""Whose notebook is whose: read a folder as a learning management system exports it.

One entry per student, in any mixture:

    Ada Lovelace_123456_assignsubmission_file_/lab01.ipynb     Moodle; ..._onlinetext_ holds no notebook
    lovelaceada_LATE_12345_678910_lab01-1.ipynb                Canvas; LATE and -1 where they apply
    lab01_alovelace_attempt_2026-11-20-10-00-00_lab01.ipynb    Blackboard
    ada.ipynb, ada/lab01.ipynb                                 by hand

The folder is only read. Links are not followed.
"""

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path

from grading.labs import CourseError, Lab

MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?")
CANVAS = re.compile(
    r"(?P<name>.+?)(?:_LATE)?_(?P<number>\d+)_(?P<upload>\d+)_(?P<file>.+?)(?:-(?P<again>\d+))?"
)
BLACKBOARD = re.compile(r"(?P<name>.+)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.*))?")


@dataclass(frozen=True, order=True)
class Person:
    """Who handed in, as far as a name tells: the pattern it follows, the name, the system's number."""

    pattern: str
    name: str
    number: str

    @property
    def student(self) -> str:
        """Id for nbgrader and for folders: lower-case ASCII letters, digits and "_", at most 70 of them.

        The system's number is part of it, so that two people of one name stay two. Where a name is too long
        or has letters that ASCII cannot show, a checksum stands for what is lost.
        """
        folded = unicodedata.normalize("NFKD", self.name)
        ascii_only = folded.encode("ascii", "ignore").decode().lower()
        parts = [re.sub(r"[^a-z0-9]+", "_", ascii_only)[:40].strip("_")]
        lost = any(letter.isalpha() and not letter.isascii() for letter in folded)
        if lost or not parts[0] or len(ascii_only) > 40:
            parts.append(hashlib.sha256(self.name.encode(errors="replace")).hexdigest()[:8])
        return "_".join(part for part in (*parts, self.number[:20]) if part)


@dataclass(frozen=True)
class Submission:
    """What one student handed in. `path` is None when there is nothing to grade; `problem` then says why."""

    person: Person
    path: Path | None
    problem: str | None = None
    rank: tuple = ()  # among one student's submissions the greatest counts

    @property
    def name(self) -> str:
        return printable(self.person.name)


@dataclass
class Collected:
    """A folder of submissions, read: one for each student, by id, and what the instructor should know."""

    submissions: dict[str, Submission] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def printable(text: str) -> str:
    """`text` without control characters: file names come from strangers and go to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def identify(name: str, lab: Lab) -> tuple[Person, tuple, str]:
    """Read the name of a folder, or of a notebook without its .ipynb.

    Returns:
        Who it is, a key that grows with each attempt, and the name of the file that they uploaded.
    """
    if match := MOODLE.fullmatch(name):
        person = Person("Moodle", match["name"], match["number"])
        return person, (match["kind"] == "file",), match["file"] or ""
    if match := BLACKBOARD.fullmatch(name):
        # The assignment's title comes first. User names may contain "_": cut off only a title that is known.
        titles = "|".join(map(re.escape, (lab.folder.name, lab.notebook)))
        who = re.sub(rf"^(?:{titles})_", "", match["name"], flags=re.IGNORECASE)
        return Person("Blackboard", who, ""), (match["time"],), match["file"] or ""
    if match := CANVAS.fullmatch(name):
        attempt = (int(match["upload"]), int(match["again"] or 0))
        return Person("Canvas", match["name"], match["number"]), attempt, match["file"]
    return Person("file", name, ""), (), name


def is_litter(name: str) -> bool:
    """What operating systems and Jupyter leave behind: nobody handed it in."""
    return name.startswith(".") or name in ("__MACOSX", "desktop.ini", "Thumbs.db")


def walk(folder: Path) -> list[Path]:
    """Every file below `folder`, links and operating systems' litter left out."""
    found = []
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not is_litter(name))
        found += [Path(parent, name) for name in sorted(files) if not is_litter(name)]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def is_notebook(path: Path) -> bool:
    return path.suffix.lower() == ".ipynb"


def pick(files: list[Path], lab: Lab) -> tuple[Path | None, str | None]:
    """The notebook that counts among a student's files: the only one, or the one with the lab's name.

    Returns:
        Its path and None, or None and the reason.
    """
    notebooks = [path for path in files if is_notebook(path)]
    named = [path for path in notebooks if path.stem.lower() == lab.notebook.lower()]
    for choice in (notebooks, named):
        if len(choice) == 1:
            return choice[0], None
    if notebooks:
        return None, (
            f"{len(notebooks)} notebooks were handed in and it is not clear which one counts: "
            f"hand in one, called {lab.notebook}.ipynb."
        )
    return None, f"no notebook was handed in: hand in the file {lab.notebook}.ipynb from JupyterLab."


def collect(source: Path, lab: Lab) -> Collected:
    """Find each student's latest notebook in `source`.

    Raises:
        CourseError: when there is none, or when different students would get one id.
    """
    result = Collected()
    by_student: dict[str, list[Submission]] = {}
    for entry in sorted(source.iterdir()):
        if is_litter(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            files = walk(entry)
            path, problem = pick(files, lab)
            result.ignored += [printable(str(file.relative_to(source))) for file in files if file != path]
            person, attempt, _ = identify(entry.name, lab)
            if person.pattern == "file":
                person = replace(person, pattern="folder")
            rank = (path is not None, *attempt)
        elif is_notebook(entry) and entry.is_file() and not entry.is_symlink():
            path, problem = entry, None
            person, attempt, upload = identify(entry.stem, lab)
            # Among several notebooks of one student the lab's own name counts more than a later upload.
            rank = (True, upload.lower().startswith(lab.notebook.lower()), *attempt, upload)
        else:
            result.ignored.append(printable(entry.name) + (" (a link)" if entry.is_symlink() else ""))
            continue
        by_student.setdefault(person.student, []).append(Submission(person, path, problem, rank))

    clashes = []
    for student, found in sorted(by_student.items()):
        people = {one.person for one in found}
        if len(people) > 1:
            names = ", ".join(f"{printable(one.name)!r} ({one.pattern})" for one in sorted(people))
            clashes.append(f"{student}: {names}")
            continue
        *older, latest = sorted(found, key=lambda one: one.rank)
        result.submissions[student] = latest
        if left_out := ", ".join(printable(one.path.name) for one in older if one.path):
            graded = printable(latest.path.name)
            result.remarks.append(f"{latest.name} handed in more than once: graded {graded}, not {left_out}")
    if clashes:
        raise CourseError(
            "some submissions would share one student id; rename them so that their names differ in more "
            "than case, accents and punctuation:\n  " + "\n  ".join(clashes)
        )
    if not result.submissions:
        raise CourseError(f"no notebooks in {source}: expected one notebook, or one folder, for each student")
    return result
