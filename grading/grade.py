"""Grade a class: notebooks run on isolated sides, several at a time; nbgrader marks one after the other.

What was graded is kept with a fingerprint of the notebook and of the lab, so that the same command goes on where
it was stopped, and grades nobody again whose notebook is the same.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat
import nbgrader.utils
from nbformat import NotebookNode
from nbgrader.api import Grade, Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import BaseConverter
from nbgrader.preprocessors import Execute
from traitlets.log import get_logger

from grading.collect import Submission
from grading.convert import NbgraderError, generate, load_config, run_converter, write_config
from grading.isolation.notebook import cells_to_run, filling, without_hidden_tests
from grading.isolation.run import Runner
from grading.labs import CourseError, Lab
from grading.repair import Ungradable, grade_id, prepare
from grading.report import Result, write_problem_page

STEPS = ("submitted", "autograded", "feedback")  # folders in nbgrader's course folder
NO_SANDBOX = "graded without a sandbox"
CANARY = "(the lab's own solution)"


@dataclasses.dataclass
class Attempt:
    """A notebook that ran, or the reason why none did.

    Attributes:
        notebook: as nbgrader gets it.
        notes: for the student.
        outcomes: of its code cells.
        key: fingerprint of the notebook and of what graded it.
    """

    notebook: NotebookNode | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    outcomes: list[dict] = dataclasses.field(default_factory=list)
    key: str = ""
    error: Exception | None = None


class Grader:
    """Grades one lab into one folder, `out`, which is a course folder to nbgrader.

    In there: release/ (the learner's version), submitted/, autograded/, feedback/, gradebook.db.

    Args:
        root: the course's folder.
        lab: the lab.
        out: the folder.
        runner: runs the notebooks.

    Raises:
        CourseError: when the lab itself cannot be graded.
    """

    def __init__(self, root: Path, lab: Lab, out: Path, runner: Runner) -> None:
        self.lab, self.out, self.runner = lab, out, runner
        self.config = load_config(root, out)
        write_config(out, root / "nbgrader_config.py", lab.folder.parent)
        self.database = f"sqlite:///{(out / 'gradebook.db').as_posix()}"
        try:
            release = generate(root, lab, out / "release", self.database)
        except NbgraderError as error:
            if "Cannot add or remove cells" in str(error):
                raise CourseError(
                    f"{lab.notebook} has other graded cells than when {out} was made: choose a new folder "
                    "with --out, or go back to the version of the lab that was handed out"
                ) from error
            raise CourseError(f"nbgrader cannot build {lab.source}: {error}") from error
        self.release: NotebookNode = nbformat.read(release, as_version=4)
        self.source: NotebookNode = nbformat.read(lab.source, as_version=4)
        self.rules = fingerprint(nbformat.writes(self.source), runner.description)
        self.done = Done(out / f"{lab.notebook}.done.jsonl")
        self.free: dict[str, set[int]] | None = None  # with partial credit: see `passing`
        self.max_points: dict[str, float] = {
            grade_id(cell): float(cell.metadata.nbgrader.points)
            for cell in self.release.cells
            if grade_id(cell) and cell.metadata.nbgrader.grade
        }

    def folder(self, step: str, student: str) -> Path:
        return self.out / step / student / self.lab.folder.name

    def check(self) -> None:
        """Grade the lab's own solution and its empty version: all points, and none.

        A slow machine gives everybody more time: ten times what the solution takes, if that is more than usual.

        Raises:
            CourseError: where this machine would grade wrongly.
        """
        if self.done.has(CANARY, self.rules):
            self.runner.allow(*self.done.seconds)
            if self.runner.partial:
                kept = json.loads(self.done.notes[CANARY][0])
                self.free = {key: set(places) for key, places in kept.items()}
            return
        notebooks = (self.source, self.release)
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda one: self.runner.run(cells_to_run(one, self.source)), notebooks))
        if self.runner.partial:
            self.free = self.passing(self.release, both[1])
            self.done.notes[CANARY] = [json.dumps({key: sorted(places) for key, places in self.free.items()})]
        for notebook, outcomes, right in zip(notebooks, both, (True, False), strict=True):
            code = [cell for cell in notebook.cells if cell.cell_type == "code"]
            for cell, outcome in zip(code, outcomes, strict=True):
                if grade_id(cell) in self.max_points and (outcome["error"] is None) != right:
                    what = "the lab's own solution loses" if right else "the lab without answers gets"
                    reason = f" ({outcome['error'][0]}: {outcome['error'][1][:300]})" if right else ""
                    raise CourseError(
                        f"{what} the points of {grade_id(cell)} on this machine{reason}. Nobody was graded: their "
                        "points would be wrong, too. Is the course's environment complete (make check)?"
                    )
        seconds = [outcome["seconds"] for outcome in both[0]]
        self.done.seconds = 10 * max(seconds), 5 * sum(seconds)
        self.runner.allow(*self.done.seconds)
        self.done.add(CANARY, self.rules, self.done.notes.get(CANARY))

    def passing(self, empty: NotebookNode, outcomes: list[dict]) -> dict[str, set[int]]:
        """Of each test cell the checks that pass in the lab without answers: in partial credit they count nothing.

        Args:
            empty: the lab without answers.
            outcomes: of its code cells.
        """
        code = [cell for cell in empty.cells if cell.cell_type == "code"]
        return {
            grade_id(cell): {place for place, (ok, _) in enumerate(outcome["checks"]) if ok}
            for cell, outcome in zip(code, outcomes, strict=True)
            if grade_id(cell) in self.max_points
        }

    def attempt(self, submission: Submission) -> Attempt:
        """Run what one student handed in. May be called from several threads at a time."""
        result = Attempt()
        try:
            if submission.path is None:
                raise Ungradable(submission.problem)
            result.notebook, result.notes = prepare(submission.path, self.release)
            result.key = fingerprint(nbformat.writes(result.notebook), self.rules)
            if not self.done.has(submission.person.student, result.key):
                result.outcomes = self.runner.run(cells_to_run(result.notebook, self.source))
        except Exception as error:
            result.error = error
        return result

    def grade(self, student: str, submission: Submission, attempt: Attempt | None = None) -> Result:
        """Mark one student. Whatever goes wrong becomes a note in the result."""
        attempt = attempt or self.attempt(submission)
        result = Result(student, submission.name, notes=list(attempt.notes))
        if not self.runner.bubblewrap:
            result.marks.append(NO_SANDBOX)
        try:
            if attempt.error is not None:
                raise attempt.error
            if not attempt.outcomes:
                self.read_points(result)
                result.notes = list(self.done.notes[student])
                with self.grades(student) as grades:
                    by_hand = any(one.manual_score is not None for one in grades)
                if by_hand:  # since the page was made, perhaps
                    self.run(GenerateFeedback, student, self.feedback_steps())
                return result
            self.autograde(student, attempt)
            result.notes += stopped(attempt.outcomes)
            self.read_points(result)
            self.run(GenerateFeedback, student, self.feedback_steps())
            self.done.add(student, attempt.key, result.notes)
        except Exception as error:
            get_logger().exception("%s could not be graded", student)
            self.done.add(student, "")
            self.give_up(result, error)
        return result

    def feedback_steps(self) -> list:
        """nbgrader's steps for the feedback, but hidden checks show what they said and not their code."""
        return [without_hidden_tests, *GenerateFeedback.preprocessors.default()]

    def autograde(self, student: str, attempt: Attempt) -> None:
        """Let nbgrader mark the notebook that ran, and keep what was marked by hand before.

        nbgrader keeps points given by hand, but asks to look at every such cell again after each run. Where
        the notebook is still the one that was looked at, that request is taken back.

        Raises:
            NbgraderError: with nbgrader's reason.
        """
        path = self.folder("submitted", student) / self.lab.source.name
        text = nbformat.writes(attempt.notebook)
        looked_at: set[str] = set()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            with self.grades(student) as grades:
                looked_at = {grade.name for grade in grades if grade.manual_score is not None}
                looked_at -= {grade.name for grade in grades if grade.needs_manual_grade}
        self.clear(student)
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        mark = None if self.runner.bubblewrap else NO_SANDBOX
        steps = [step for step in Autograde.autograde_preprocessors.default() if step is not Execute]
        self.run(Autograde, student, [filling(attempt.outcomes, mark, self.free), *steps])
        with self.grades(student) as grades:
            for grade in grades:
                if grade.name in looked_at:
                    grade.needs_manual_grade = False

    def read_points(self, result: Result) -> None:
        """Fill in what the gradebook says about a student whom nbgrader has just graded."""
        with self.grades(result.student) as grades:
            result.exercises = {grade.name: grade.score for grade in grades}
            result.needs_manual = any(grade.needs_manual_grade for grade in grades)
        result.points = sum(result.exercises.values())
        result.graded = True

    def give_up(self, result: Result, error: Exception) -> None:
        """Note the reason and write the student's page; without a result the points from tests become 0.

        Points given by hand to an earlier notebook stay in the gradebook: the wrong file may be our mistake.
        """
        if result.graded:
            result.notes.append(f"the points are right, but the feedback page could not be made: {error}")
        elif isinstance(error, Ungradable):
            result.notes.append(str(error))
        else:
            result.notes.append(
                f"the notebook could not be run to its end ({error}): choose Kernel > Restart Kernel and Run "
                "All Cells, repair the cell at which it stops, and hand it in again."
            )
        if not result.graded:
            self.clear(result.student)
            with self.grades(result.student) as grades:
                for grade in grades:
                    grade.auto_score, grade.needs_manual_grade = 0.0, False
        page = self.folder("feedback", result.student) / f"{self.lab.notebook}.html"
        write_problem_page(page, self.lab, result)

    @contextlib.contextmanager
    def grades(self, student: str) -> Iterator[list[Grade]]:
        """The student's grades, one a graded cell, none for a new student. Changes are saved at the end."""
        with Gradebook(self.database) as gradebook:
            try:
                submission = gradebook.find_submission(self.lab.folder.name, student)
            except MissingEntry:
                yield []
                return
            yield [grade for notebook in submission.notebooks for grade in notebook.grades]
            gradebook.db.commit()

    def clear(self, student: str) -> None:
        """Remove the files of an earlier run."""
        for step in STEPS:
            folder = self.folder(step, student)
            if folder.exists():
                nbgrader.utils.rmtree(str(folder))  # it also removes what nbgrader made read-only

    def run(self, converter: type[BaseConverter], student: str, steps: list) -> None:
        """Run an nbgrader converter for one student.

        Raises:
            NbgraderError: with nbgrader's reason.
        """
        run_converter(
            converter,
            self.config,
            self.lab,
            student,
            steps=steps,
            root=str(self.out),
            source_directory=str(self.lab.folder.parent),
            **{f"{step}_directory": step for step in STEPS},
            db_url=self.database,
        )


class Done:
    """Who was graded, with which notebook: a line for each, written when all of it is on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: dict[str, str] = {}
        self.notes: dict[str, list[str]] = {}
        self.seconds = 0.0, 0.0  # for a cell and for a notebook, by the lab's own solution
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError):  # the last line of a run that was killed
                    student, self.keys[student], self.notes[student], self.seconds = json.loads(line)

    def has(self, student: str, key: str) -> bool:
        return bool(key) and self.keys.get(student) == key

    def add(self, student: str, key: str, notes: list[str] | None = None) -> None:
        if self.keys.get(student, "") == key:
            return
        self.keys[student], self.notes[student] = key, notes or []
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([student, key, notes or [], self.seconds]) + "\n")
            file.flush()
            os.fsync(file.fileno())


def stopped(outcomes: list[dict]) -> list[str]:
    """A sentence for each cell, three at most, that ended its process or used up its time."""
    cells = [(number, one["error"]) for number, one in enumerate(outcomes, 1) if one["error"]]
    return [f"code cell {number}: {error[1]}" for number, error in cells if error[0] == "TimeoutError"][:3]


def fingerprint(*texts: str) -> str:
    """A checksum of texts."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def grade_all(grader: Grader, submissions: dict[str, Submission], workers: int | None = None) -> list[Result]:
    """Grade every student, with a line of progress for each.

    Args:
        grader: of the lab.
        submissions: by student.
        workers: how many notebooks run at a time; default: one a core.
    """
    results = []
    start = time.monotonic()
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    attempts: dict[str, Future[Attempt]] = {}
    try:
        for student, submission in submissions.items():
            attempts[student] = pool.submit(grader.attempt, submission)
        for number, (student, submission) in enumerate(submissions.items(), 1):
            attempt = attempts.pop(student).result()
            again = not attempt.outcomes and attempt.error is None
            result = grader.grade(student, submission, attempt)
            results.append(result)
            total = sum(grader.max_points.values())
            trouble = ", see below" if result.notes else ""
            left = (time.monotonic() - start) / number * (len(submissions) - number)
            when = "graded before" if again else f"about {left:.0f} s left" if left >= 1 else "done"
            print(
                f"{number}/{len(submissions)} {submission.name} ... {result.points:.1f}/{total:g} ({when}){trouble}",
                flush=True,
            )
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return results
