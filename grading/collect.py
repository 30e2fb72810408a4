"""Whose notebook is whose: read a folder, or the zip itself, as a learning management system exports it.

One entry per student, in any mixture:

    Ada Lovelace_123456_assignsubmission_file_/lab01.ipynb     Moodle; ..._onlinetext_ holds no notebook
    lovelaceada_LATE_12345_678910_lab01-1.ipynb                Canvas; LATE and -1 where they apply
    lab01_alovelace_attempt_2026-11-20-10-00-00_lab01.ipynb    Blackboard
    ada.ipynb, ada/lab01.ipynb                                 by hand

What a file is, its content says: browsers rename lab01.ipynb to lab01.ipynb.json. Whoever has an entry has
a submission, if only to say that no notebook is in it. Two names become one person only where the system says
so (its number, its attempts); where that is in doubt each is graded, with a sentence for the instructor.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from grading.content import INSTRUCTORS, SENTENCES, split_name
from grading.labs import CourseError, Lab
from grading.unpack import Entry, File, is_notebook, kind_of, printable, read_entries

MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?")
CANVAS = re.compile(
    r"(?P<name>.+?)(?P<late>_(?i:LATE))?_(?P<number>\d+)_(?:(?P<upload>\d+)_(?P<file>.+?)(?:-(?P<again>\d+))?|text|link)"
)
BLACKBOARD = re.compile(r"(?P<name>.+)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.*))?")
# Folders of these names cannot exist on Windows.
RESERVED = re.compile(r"con|prn|aux|nul|(?:com|lpt)\d")


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
        name = unicodedata.normalize("NFC", self.name)
        folded = unicodedata.normalize("NFKD", name)
        ascii_only = folded.encode("ascii", "ignore").decode().lower()
        parts = [re.sub(r"[^a-z0-9]+", "_", ascii_only)[:40].strip("_")]
        lost = any(letter.isalpha() and not letter.isascii() for letter in folded)
        if lost or not parts[0] or len(ascii_only) > 40 or RESERVED.fullmatch(parts[0]):
            parts.append(checksum(name))
        return "_".join(part for part in (*parts, self.number[:20]) if part)

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for one person. Systems tell people apart by numbers or user names, whatever their case."""
        if self.pattern in ("Moodle", "Canvas"):
            return self.pattern, fold(self.name), self.number
        return self.pattern, self.name.casefold() if self.pattern == "Blackboard" else self.name, ""


@dataclass(frozen=True)
class Submission:
    """What one student handed in. `path` is None when there is nothing to grade; `problem` then says why."""

    person: Person
    path: Path | None
    problem: str | None = None
    file: str = ""  # its name as it was handed in; of a zip's files `path` tells nothing
    doubts: tuple[str, ...] = ()  # sentences for the instructor
    time: datetime | None = None  # when it came in, in the system's own clock
    time_from: str = ""  # who says so: Moodle, Blackboard; "file" is the student's own computer
    flagged_late: bool = False  # Canvas says LATE, and not when

    @property
    def name(self) -> str:
        return printable(self.person.name)


@dataclass
class Collected:
    """What was handed in, read: one submission a student, by id, and what the instructor should know."""

    submissions: dict[str, Submission] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass
class Upload:
    """An entry, read: who it is from, and which of a person's attempts it is."""

    entry: Entry
    person: Person
    attempt: tuple = ()
    file: str = ""  # what the student called the file, without endings
    again: str = ""  # what Canvas added to a name that was there before
    late: bool = False

    @cached_property
    def notebooks(self) -> list[File]:
        return [file for file in self.entry.files if is_notebook(file)]

    @property
    def newest(self) -> float:
        return max((file.time.timestamp() for file in self.entry.files if file.time), default=0.0)


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]


def fold(name: str) -> str:
    """`name` without what people leave out: case, accents."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def base(name: str) -> str:
    """The name that a student's file had before browsers added " (1)" to it, without endings."""
    return re.sub(r"[ +_-]*\(\d+\)$", "", split_name(name)[0]).strip().lower()


# Names ------------------------------------------------------------------------------------------------------


def identify(entry: Entry, lab: Lab, by_hand: frozenset[str] = frozenset()) -> Upload:
    """Read an entry's name.

    Args:
        entry: a file or folder.
        lab: the lab that was handed in.
        by_hand: what stands in front of names that only look like those of Canvas.
    """
    name = entry.name if entry.is_folder else split_name(entry.name)[0]
    if match := MOODLE.fullmatch(name):
        person = Person("Moodle", match["name"], match["number"])
        return Upload(entry, person, (match["kind"] == "file",), match["file"] or "")
    if match := BLACKBOARD.fullmatch(name):
        # The assignment's title comes first. User names may contain "_": cut off only a title that is known.
        titles = "|".join(map(re.escape, (lab.folder.name, lab.notebook)))
        who = re.sub(rf"^(?:{titles})_", "", match["name"], flags=re.IGNORECASE)
        return Upload(entry, Person("Blackboard", who, ""), (match["time"],), match["file"] or "")
    if (match := CANVAS.fullmatch(name)) and match["name"] not in by_hand:
        attempt = (int(match["upload"] or 0), int(match["again"] or 0))
        person = Person("Canvas", match["name"], match["number"])
        return Upload(entry, person, attempt, match["file"] or "", match["again"] or "", bool(match["late"]))
    return Upload(entry, Person("folder" if entry.is_folder else "file", name, ""), file=name)


def names_by_hand(uploads: list[Upload], lab: Lab) -> frozenset[str]:
    """What stands in front of names that look like Canvas's and are not: sec_3_17_lab01, lab01_2026_11_ada.

    In an export of Canvas one person's files have different names: to a second lab01 it adds -1. So the same
    name twice, or several files of which none is the lab's, are different people's, or so unclear that none
    of them may be left out.
    """
    people = defaultdict(list)
    found = set()
    for one in uploads:
        if one.person.pattern == "Canvas" and one.notebooks:
            people[one.person.key].append(one)
            if one.person.name in (lab.notebook, lab.folder.name):
                found.add(one.person.name)
    for files in people.values():
        labs = [(one.again, one.late) for one in files if base(one.file) == lab.notebook.lower()]
        if len(files) > 1 and (not labs or len(set(labs)) < len(labs)):
            found |= {one.person.name for one in files}
    return frozenset(found)


def has_system(entry: Entry) -> bool:
    """Does the name follow the pattern of a learning management system?"""
    name = entry.name if entry.is_folder else split_name(entry.name)[0]
    return any(pattern.fullmatch(name) for pattern in (MOODLE, BLACKBOARD, CANVAS))


def is_wrapper(name: str, inside: list[str], lab: Lab) -> bool:
    """Is this a folder around everybody's entries (zips of folders have one), or the only student's?"""
    if has_system(Entry(name, True)):
        return False
    if any(has_system(Entry(path.split("/")[0], "/" in path)) for path in inside):
        return True
    notebooks = [path for path in inside if "ipynb" in split_name(path)[1]]
    folders = {path.split("/")[0] for path in notebooks if "/" in path}
    flat = [path for path in notebooks if "/" not in path]
    if flat:
        return len(flat) > 1 and all(base(path) != lab.notebook.lower() for path in flat)
    return len(folders) > 1


# Files ------------------------------------------------------------------------------------------------------


def pick(files: list[File], lab: Lab) -> tuple[File | None, str | None]:
    """The notebook that counts among a student's files: the only one, or the one with the lab's name.

    Returns:
        It and None, or None and the reason.
    """
    notebooks = [file for file in files if is_notebook(file)]
    stems = [split_name(file.name.name)[0].lower() for file in notebooks]
    named = [file for file, stem in zip(notebooks, stems, strict=True) if stem == lab.notebook.lower()]
    # In a flat export the system's name for the student stands in front.
    behind = [
        file for file, stem in zip(notebooks, stems, strict=True) if stem.endswith(f"_{lab.notebook.lower()}")
    ]
    for choice in (notebooks, named, behind):
        if len(choice) == 1:
            return choice[0], None
    if notebooks:
        return None, (
            f"{len(notebooks)} notebooks were handed in and it is not clear which one counts: "
            f"hand in one, called {lab.notebook}.ipynb."
        )
    if len(files) == 1:
        found = kind_of(files[0])
        if found == "unreadable":
            return None, "the file cannot be read on the grading machine: its permissions forbid it."
        if found != "other":
            return None, f"no notebook was handed in ({printable(files[0].name.name)}): {SENTENCES[found]}"
    return None, f"no notebook was handed in: hand in the file {lab.notebook}.ipynb from JupyterLab."


def read_upload(upload: Upload, lab: Lab) -> Submission:
    """The submission that an entry is, taken alone."""
    file, problem = pick(upload.entry.files, lab)
    # The lab's own notebook counts although something beside it is damaged.
    if upload.entry.trouble and not (file and base(file.name.name) == lab.notebook.lower()):
        file, problem = None, " ".join(dict.fromkeys(upload.entry.trouble))
    time = file.time if file else None
    source = {"Moodle": "Moodle", "Canvas": ""}.get(upload.person.pattern, "file")
    if upload.person.pattern == "Blackboard":
        try:
            time, source = datetime.strptime(upload.attempt[0], "%Y-%m-%d-%H-%M-%S"), "Blackboard"
        except ValueError:  # 2026-02-31
            time = None
    return Submission(
        upload.person,
        file.path if file else None,
        problem,
        str(file.name) if file else upload.entry.name,
        time=time if source else None,
        time_from=source if time else "",
        flagged_late=upload.late,
    )


def choose(uploads: list[Upload], lab: Lab) -> tuple[Submission, str | None]:
    """What counts of one person's entries: the lab's own name more than a later one, then the latest attempt.

    Returns:
        The submission, and a remark where another notebook was left out.
    """

    def rank(one: Upload) -> tuple:
        lab_named = one.entry.is_folder or one.file.lower().startswith(lab.notebook.lower())
        good = bool(one.notebooks) and not one.entry.trouble
        return good, bool(one.notebooks), lab_named, one.attempt, one.newest, one.entry.name

    # Several files of one attempt, each an entry of its own, are to be chosen from as in a folder.
    together: dict[tuple, Upload] = {}
    for one in uploads:
        joined = one.person.pattern in ("Moodle", "Blackboard") and not one.entry.is_folder
        key = (one.person.pattern, one.attempt) if joined else (id(one),)
        if key in together:
            first = together[key].entry
            entry = Entry(first.name, False, first.files + one.entry.files, first.trouble + one.entry.trouble)
            together[key] = Upload(entry, one.person, one.attempt, one.file)
        else:
            together[key] = one
    *older, latest = sorted(together.values(), key=rank)
    submission = read_upload(latest, lab)
    others = [file.name for one in older for file in one.notebooks]
    if not latest.entry.is_folder and submission.path:
        others += [file.name for file in latest.notebooks if str(file.name) != submission.file]
    if others:
        left_out = ", ".join(printable(str(name)) for name in others)
        graded = printable(submission.file)
        return submission, f"{submission.name} handed in more than once: graded {graded}, not {left_out}"
    return submission, None


# All --------------------------------------------------------------------------------------------------------


def nobody_handed_in(upload: Upload, any_system: bool) -> bool:
    """Is this the instructor's own file: a list, a note, a tool beside what students handed in?"""
    entry = upload.entry
    if entry.is_folder or upload.person.pattern != "file" or upload.notebooks or entry.trouble:
        return False
    endings = split_name(entry.name)[1]
    return any_system or bool(endings and INSTRUCTORS.fullmatch(endings[-1]))


def doubts_about(one: Submission, alike: list[Submission], by_hand: frozenset[str]) -> Iterator[str]:
    """Sentences for the instructor: is this who it seems to be?

    Args:
        one: a submission.
        alike: those that would share one id with it, itself among them.
        by_hand: what stands in front of names that could be Canvas's as well.
    """
    if one.person.pattern == "file" and any(one.person.name.startswith(f"{name}_") for name in by_hand):
        yield (
            f"{one.name} is built like a name from Canvas, but there it could be an attempt of somebody "
            "else's: it was taken as a name of its own. If it is an earlier attempt, delete it; if not, "
            "rename it to NAME.ipynb; then grade again."
        )
    if len(alike) > 1:
        others = ", ".join(repr(printable(other.file)) for other in alike if other is not one)
        yield (
            f"{printable(one.file)!r} differs from {others} in case, accents, punctuation or kind only; each "
            "was graded. If they are one person's, delete all but the one that counts; if not, rename them "
            "so that their letters differ; then grade again."
        )


def collect(source: Path, lab: Lab, into: Path) -> Collected:
    """Find each student's latest notebook in `source`, a folder or a zip.

    Args:
        source: what the instructor gave.
        lab: the lab that was handed in.
        into: a folder for what has to be unpacked; it must stay until all is graded.

    Raises:
        CourseError: when there is none, or a zip that cannot be read.
    """
    result = Collected()
    entries = read_entries(source, into, lambda name, inside: is_wrapper(name, inside, lab))
    by_hand = names_by_hand([identify(entry, lab) for entry in entries], lab)
    uploads = [identify(entry, lab, by_hand) for entry in entries]
    any_system = any(one.person.pattern not in ("file", "folder") for one in uploads)
    people: dict[tuple, list[Upload]] = defaultdict(list)
    for one in uploads:
        result.ignored += one.entry.left_out
        if nobody_handed_in(one, any_system):
            result.ignored.append(printable(one.entry.name))
        else:
            people[one.person.key].append(one)

    found: dict[str, list[Submission]] = defaultdict(list)
    for files in people.values():
        submission, remark = choose(files, lab)
        found[submission.person.student].append(submission)
        result.remarks += [remark] if remark else []
        result.ignored += [
            printable(str(file.name))
            for one in files
            for file in one.entry.files
            if str(file.name) != submission.file and (one.entry.is_folder or not one.notebooks)
        ]
    for student, alike in found.items():
        for one in alike:
            apart = f"_{checksum('/'.join(one.person.key))}" if len(alike) > 1 else ""
            doubts = tuple(doubts_about(one, alike, by_hand - {lab.notebook, lab.folder.name}))
            name = student[:60] + apart if apart else student
            while name in result.submissions:  # somebody else's name may be built like that
                name = f"{name[:61]}_{checksum(name)}"
            result.submissions[name] = replace(one, doubts=doubts)
    result.submissions = dict(sorted(result.submissions.items()))
    if not result.submissions:
        raise CourseError(f"no notebooks in {source}: expected one notebook, or one folder, for each student")
    return result
