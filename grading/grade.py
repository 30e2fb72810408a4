"""Grade a class: notebooks run on isolated sides, several at a time; nbgrader marks one after the other.

What was graded is kept with a fingerprint of the notebook and of the lab, so that the same command goes on where
it was stopped, and grades nobody again whose notebook is the same. Notebooks may run on other machines (cluster.py),
but only this process writes: a student counts as graded when gradebook, notebook and page are on the disk, not before.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import nbformat
import nbgrader.utils
from nbformat import NotebookNode
from nbgrader.api import Grade, Gradebook, MissingEntry
from nbgrader.converters import Autograde
from nbgrader.converters.base import BaseConverter
from nbgrader.preprocessors import Execute
from traitlets.log import get_logger

from grading.canary import Trial, try_out
from grading.collect import Submission
from grading.convert import NbgraderError, generate, load_config, run_converter
from grading.feedback import Feedback
from grading.isolation.notebook import cells_to_run, filling, without_hidden_tests
from grading.isolation.run import Runner
from grading.labs import CourseError, Lab
from grading.progress import Progress, say
from grading.repair import Ungradable, grade_id, is_grade, is_solution, prepare
from grading.report import Result, write_problem_page

STEPS = ("submitted", "autograded", "feedback")  # folders in nbgrader's course folder
NO_SANDBOX = "graded without a sandbox"
PARTIAL = "backbones_partial"  # in the metadata of a notebook that was graded with partial credit
CANARY = "(the lab's own solution)"
REGRADE = "(an exercise again)"


@dataclasses.dataclass
class Attempt:
    """A notebook that ran, or the reason why none did.

    Attributes:
        notebook: as nbgrader gets it.
        notes: for the student.
        outcomes: of its code cells; none of a notebook that was graded before.
        key: fingerprint of the notebook and of what graded it.
        doubts: for the instructor.
    """

    notebook: NotebookNode | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    outcomes: list[dict] = dataclasses.field(default_factory=list)
    key: str = ""
    error: Exception | None = None
    doubts: list[str] = dataclasses.field(default_factory=list)

    @property
    def again(self) -> bool:
        """Nothing was run: what the gradebook says still holds."""
        return not self.outcomes and self.error is None


class Grader:
    """Grades one lab into one folder, `out`, which is a course folder to nbgrader.

    In there: source/, release/ (the learner's version), submitted/, autograded/, feedback/, gradebook.db.

    Args:
        root: the course's folder.
        lab: the lab.
        out: the folder.
        runner: runs the notebooks, here (Runner) or elsewhere (Cluster); None where none is to be run.
        exercises: names; only their tests run, again for everybody (`regrade`). Empty: all of the lab.
        partial: each check of a test cell counts, see isolation/checks.py.

    Raises:
        CourseError: when the lab itself cannot be graded, or has no such exercise.
    """

    def __init__(
        self, root: Path, lab: Lab, out: Path, runner: Runner | None, exercises: Iterable[str] = (),
        partial: bool = False,
    ) -> None:  # fmt: skip
        self.lab, self.out, self.runner, self.partial = lab, out, runner, partial
        self.config = load_config(root, out)
        # The formgrader, started in `out`, lists what lies in source/.
        shutil.copytree(lab.folder, out / "source" / lab.folder.name, dirs_exist_ok=True)
        self.database = f"sqlite:///{(out / 'gradebook.db').as_posix()}"
        new = not (out / "gradebook.db").exists()
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
        self.tests = frozenset(test for name in exercises for test in marking_cells(self.source, name))
        how = runner.description + (" partial" if partial else "") if runner else ""
        self.rules = fingerprint(nbformat.writes(self.source), how) if runner else ""
        if new:
            (out / f"{lab.notebook}.done.jsonl").unlink(missing_ok=True)  # a new gradebook knows nobody
        self.done = Done(out / f"{lab.notebook}.done.jsonl")
        self.told = False  # that partial credit is new, or gone
        self.free: dict[str, set[int]] | None = None  # with partial credit: see `learn`
        self.max_points: dict[str, float] = {
            grade_id(cell): float(cell.metadata.nbgrader.points)
            for cell in self.release.cells
            if grade_id(cell) and cell.metadata.nbgrader.grade
        }
        self.by_hand = {grade_id(cell) for cell in self.release.cells if is_grade(cell) and is_solution(cell)}

    def folder(self, step: str, student: str) -> Path:
        return self.out / step / student / self.lab.folder.name

    def trials(self) -> list[Trial]:
        """The lab without answers and the lab's own solution, and what they must get; see canary.py.

        Returns:
            All of the lab without answers comes first.
        """
        result = []
        for notebook, right in ((self.release, False), (self.source, True)):
            keys = [grade_id(cell) for cell in notebook.cells if cell.cell_type == "code"]
            cells = cells_to_run(notebook, self.source, self.partial)
            several = [(range(len(keys)), self.max_points), (self.places(keys), self.tests)]
            for places, wanted in several[: 2 if self.tests else 1]:
                graded = {number: keys[at] for number, at in enumerate(places) if keys[at] in wanted}
                result.append({"cells": [cells[at] for at in places], "points": graded, "right": right})
        return result

    def check(self) -> None:
        """Grade the lab's own solution and its empty version: all points, and none.

        A slow machine gives everybody more time: ten times what the solution takes, if that is more than usual.

        Raises:
            CourseError: where this machine would grade wrongly.
        """
        notes = self.done.notes.get(CANARY) if self.done.has(CANARY, self.rules) else None
        if self.tests or notes is None:
            tried = try_out(self.runner.run, self.trials())
            self.done.seconds = tried.cell_seconds, tried.notebook_seconds
            self.learn(tried.outcomes)
            free = {key: sorted(places) for key, places in (self.free or {}).items()}
            self.done.add(CANARY, self.rules, [json.dumps(free)])
        elif self.partial:
            self.free = {key: set(places) for key, places in json.loads(notes[0]).items()}
        self.runner.allow(*self.done.seconds)

    def learn(self, outcomes: list[list[dict]]) -> None:
        """Which checks the lab without answers passes: in partial credit they count nothing.

        Args:
            outcomes: of `trials`.
        """
        if not self.partial:
            return
        code = [cell for cell in self.release.cells if cell.cell_type == "code"]
        self.free = {
            grade_id(cell): {place for place, (ok, _) in enumerate(outcome["checks"]) if ok}
            for cell, outcome in zip(code, outcomes[0], strict=True)
            if grade_id(cell) in self.max_points
        }

    def places(self, keys: list[str | None]) -> list[int]:
        """Which code cells run for the tests of one exercise: what stands before them, without all other tests.

        Args:
            keys: nbgrader's ids of a notebook's code cells.
        """
        last = max((place for place, key in enumerate(keys) if key in self.tests), default=-1)
        others = {key for key in self.max_points if key not in self.tests} - self.by_hand
        return [place for place, key in enumerate(keys[: last + 1]) if key not in others]

    def attempt(self, student: str, submission: Submission) -> Attempt:
        """Run what one student handed in. May be called from several threads at a time.

        Raises:
            CourseError: where nobody can be graded any more; all else becomes the attempt's error.
        """
        result = Attempt()
        try:
            if submission.path is None:
                raise Ungradable(submission.problem)
            result.notebook, result.notes = prepare(submission.path, self.release)
            result.key = fingerprint(nbformat.writes(result.notebook), self.rules)
            old = self.graded_notebook(student, result.notebook) if self.tests else None
            if old is not None and unsafe(old) == (not self.runner.bubblewrap):
                if student not in self.done.since:
                    self.attempt_exercise(submission, result, old)
            elif self.tests or not self.done.has(student, result.key):
                result.outcomes = self.runner.run(cells_to_run(result.notebook, self.source, self.partial))
        except CourseError:
            raise
        except Exception as error:
            result.error = error
        return result

    def graded_notebook(self, student: str, notebook: NotebookNode) -> NotebookNode | None:
        """How `notebook` came out of its last grading; None where that was another one, or did not end."""
        handed_in = self.folder("submitted", student) / self.lab.source.name
        graded = self.folder("autograded", student) / self.lab.source.name
        if not self.done.keys.get(student) or not handed_in.exists() or not graded.exists():
            return None
        if handed_in.read_text(encoding="utf-8") != nbformat.writes(notebook):
            return None
        return nbformat.read(graded, as_version=4)

    def tell_of_another_rule(self, student: str, attempt: Attempt) -> None:
        """Say, once, that the class was graded with partial credit before and is not now, or the other way round."""
        if self.told or (old := self.graded_notebook(student, attempt.notebook)) is None:
            return
        if old.metadata.get(PARTIAL, False) != self.partial:
            self.told = True
            before, now = ("without", "with") if self.partial else ("with", "without")
            say(
                f"So far this class was graded {before} partial credit, now it is {now}: everybody is graded again. If "
                f"you did not mean that: Ctrl-C, then the command {before} --partial"
            )

    def attempt_exercise(self, submission: Submission, attempt: Attempt, old: NotebookNode) -> None:
        """Run the tests of one exercise only; the outcomes of all other cells are those of the last grading.

        Args:
            submission: of a student who was graded.
            attempt: with the notebook; gets the outcomes.
            old: the notebook as it was graded.

        Raises:
            CourseError: where the lab changed in more than this exercise, or partial credit was asked for or not,
                so that old points do not hold.
        """
        if old.metadata.get(PARTIAL, False) != self.partial:
            was, do = ("without", "leave --partial out") if self.partial else ("with", "add --partial")
            raise CourseError(
                f"{submission.name} was graded {was} partial credit, and one exercise alone cannot be graded in the "
                f"other way: {do}, or give everybody the command grade"
            )
        own = {grade_id(cell): cell for cell in self.source.cells if grade_id(cell) and not is_solution(cell)}
        code = [cell for cell in old.cells if cell.cell_type == "code"]
        keys = [grade_id(cell) for cell in code]
        changed = [
            key for cell, key in zip(code, keys, strict=True)
            if key in own and key not in self.tests and cell.source != own[key].source
        ]  # fmt: skip
        if changed:
            too = "".join(f" --exercise {key}" for key in changed if key in self.max_points)
            raise CourseError(
                f"since {submission.name} was graded, the lab changed in more than this exercise: "
                f"{', '.join(changed)}. Give everybody the command grade"
                + (f", or add{too}" if all(key in self.max_points for key in changed) else "")
            )
        places = self.places(keys)
        cells = cells_to_run(attempt.notebook, self.source, self.partial)
        try:
            new = self.runner.run([cells[place] for place in places])
        except CourseError:
            raise
        except Exception as error:
            attempt.doubts.append(
                f"{submission.name}: the exercise could not be run again ({error}), the points are as before."
            )
            return
        attempt.outcomes = read_outcomes(old)
        for place, outcome in zip(places, new, strict=True):
            if keys[place] in self.tests:
                attempt.outcomes[place] = outcome

    def grade(self, student: str, submission: Submission, attempt: Attempt | None = None) -> Result:
        """Mark one student. Whatever goes wrong becomes a note in the result."""
        attempt = attempt or self.attempt(student, submission)
        result = Result(student, submission.name, notes=list(attempt.notes), doubts=list(attempt.doubts))
        if not self.runner.bubblewrap:
            result.marks.append(NO_SANDBOX)
        try:
            if attempt.error is not None:
                raise attempt.error
            if attempt.again:
                self.look_up(result)
                return result
            self.tell_of_another_rule(student, attempt)
            self.done.add(student, "")  # until all of it is on the disk
            self.autograde(student, attempt)
            result.notes += stopped(attempt.outcomes)
            self.read_points(result)
            self.run(Feedback, student, self.feedback_steps())
            self.done.add(student, attempt.key, result.notes)
        except Ungradable as error:
            self.done.add(student, "")
            self.refuse(result, error)
        except Exception as error:
            get_logger().exception("%s could not be graded", student)
            self.done.add(student, "")
            self.give_up(result, error)
        return result

    def look_up(self, result: Result) -> None:
        """Fill in what the gradebook knows of a student who was graded before, and bring the page up to date."""
        self.read_points(result)
        result.notes = list(self.done.notes[result.student])
        with self.grades(result.student) as grades:
            by_hand = any(one.manual_score is not None for one in grades)
        if by_hand:  # since the page was made, perhaps
            self.run(Feedback, result.student, self.feedback_steps())

    def recall(self, student: str, submission: Submission) -> Result:
        """What is known of a student, without running anything."""
        result = Result(student, submission.name)
        try:
            if submission.path is None:
                raise Ungradable(submission.problem)
            notebook, _ = prepare(submission.path, self.release)
        except Ungradable as error:
            result.notes.append(str(error))
            return result
        if not self.done.keys.get(student):
            result.doubts.append(f"{result.name} is not graded yet: give the command grade.")
            return result
        old = self.graded_notebook(student, notebook)
        if old is None:
            result.doubts.append(
                f"{result.name} handed in another notebook since: these are the points of the one before. Give the "
                "command grade."
            )
        elif unsafe(old):
            result.marks.append(NO_SANDBOX)
        try:
            self.look_up(result)
        except Exception as error:
            get_logger().exception("no page for %s", student)
            result.doubts.append(f"{result.name}: the feedback page could not be made ({error}).")
        return result

    def feedback_steps(self) -> list:
        """nbgrader's steps for the feedback, but hidden checks show what they said and not their code."""
        return [without_hidden_tests, *Feedback.preprocessors.default()]

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
        marks = {PARTIAL: True} if self.partial else {}
        if not self.runner.bubblewrap:
            marks["backbones_grading"] = NO_SANDBOX
        steps = [step for step in Autograde.autograde_preprocessors.default() if step is not Execute]
        self.run(Autograde, student, [filling(attempt.outcomes, marks, self.free), *steps])
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

    def refuse(self, result: Result, reason: Ungradable) -> None:
        """A notebook that nobody can run: say why, also on the student's page; the points from tests become 0.

        Points given by hand to an earlier notebook stay in the gradebook: the wrong file may be our mistake.
        """
        result.notes.append(str(reason))
        self.clear(result.student)
        with self.grades(result.student) as grades:
            for grade in grades:
                grade.auto_score, grade.needs_manual_grade = 0.0, False
        page = self.folder("feedback", result.student) / f"{self.lab.notebook}.html"
        write_problem_page(page, self.lab, result)

    def give_up(self, result: Result, error: Exception) -> None:
        """Something failed that is not the student's: say to the instructor what to do. No page tells of it."""
        again = f"give the same command again. If that changes nothing, {self.out / 'grade.log'} says more"
        if result.graded:
            result.doubts.append(
                f"{result.name}: the points are right, but the feedback page could not be made ({error}): {again}."
            )
        else:
            result.doubts.append(
                f"{result.name} is not graded: {error}. No fault of the notebook's: {again}."
            )
            self.clear(result.student)

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
    """Who was graded, with which notebook: a line for each, written when all of it is on the disk.

    Attributes:
        keys: by student, fingerprint of what was graded; "" while it is being marked, and where that failed.
        notes: by student, for the student.
        seconds: for a cell and for a notebook, by the lab's own solution.
        since: students who were graded since `begin`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: dict[str, str] = {}
        self.notes: dict[str, list[str]] = {}
        self.seconds = 0.0, 0.0
        self.since: set[str] = set()
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        for line in text.splitlines():
            with contextlib.suppress(ValueError):  # the last line of a run that was killed
                student, key, notes, self.seconds = json.loads(line)
                self.remember(student, key, notes)
        if text and not text.endswith("\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def remember(self, student: str, key: str, notes: list[str]) -> None:
        self.keys[student], self.notes[student] = key, notes
        if student == REGRADE:
            self.since = set()
        elif key:
            self.since.add(student)
        else:
            self.since.discard(student)

    def has(self, student: str, key: str) -> bool:
        return bool(key) and self.keys.get(student) == key

    def add(self, student: str, key: str, notes: list[str] | None = None) -> None:
        if not key and not self.keys.get(student):
            return
        self.remember(student, key, notes or [])
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([student, key, notes or [], self.seconds]) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def begin(self, what: str) -> None:
        """Something begins that everybody goes through once; what was stopped goes on.

        Args:
            what: a fingerprint.
        """
        if not self.has(REGRADE, what):
            self.add(REGRADE, what)

    def end(self) -> None:
        """Everybody went through it: the next time it begins anew."""
        self.add(REGRADE, "")


def marking_cells(source: NotebookNode, name: str) -> list[str]:
    """The test cells that are meant by the name of one, or of the answer that stands before them.

    Args:
        source: the lab.
        name: nbgrader's id; a test's heads a column of the CSV.

    Raises:
        CourseError: for any other name; it lists the known ones.
    """
    tests: dict[str, list[str]] = {}
    answer = ""
    for cell in source.cells:
        key = grade_id(cell)
        if key and is_solution(cell):
            answer = "" if is_grade(cell) else key
        elif key and is_grade(cell):
            tests[key] = [key]
            if answer:
                tests.setdefault(answer, []).append(key)
    if name not in tests:
        known = ", ".join(key for key, found in tests.items() if found == [key])
        raise CourseError(f"there is no exercise {name!r} that tests mark; there are: {known}")
    return tests[name]


def unsafe(notebook: NotebookNode) -> bool:
    """Was this graded notebook run without a sandbox?"""
    return notebook.metadata.get("backbones_grading") == NO_SANDBOX


def read_outcomes(notebook: NotebookNode) -> list[dict]:
    """What `isolation.notebook.filling` wrote into a notebook's code cells."""
    outcomes = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        errors = [
            [output.ename, output.evalue, "\n".join(output.traceback)]
            for output in cell.outputs
            if output.output_type == "error"
        ]
        error = errors[0] if errors else None
        outcomes.append({"printed": printed, "error": error, "seconds": 0.0, "outputs": cell.outputs})
    return outcomes


def stopped(outcomes: list[dict]) -> list[str]:
    """A sentence for each cell, three at most, that ended its process or used up its time."""
    cells = [(number, one["error"]) for number, one in enumerate(outcomes, 1) if one["error"]]
    return [f"code cell {number}: {error[1]}" for number, error in cells if error[0] == "TimeoutError"][:3]


def fingerprint(*texts: str) -> str:
    """A checksum of texts."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def grade_all(grader: Grader, submissions: dict[str, Submission], workers: int) -> list[Result]:
    """Grade every student, with a line of progress for each.

    Notebooks are marked as they come out, so that a slow one keeps nobody waiting, and only so many are begun that
    all workers have something to do: what came out is kept in memory until it is marked.

    Args:
        grader: of the lab.
        submissions: by student.
        workers: how many notebooks run at a time.

    Returns:
        In the order of `submissions`.

    Raises:
        CourseError: where nobody can be graded any more. Who was graded so far stays graded.
    """
    results: dict[str, Result] = {}
    total = sum(grader.max_points.values())
    to_come = iter(submissions)
    running: dict[Future[Attempt], str] = {}
    if grader.tests:
        grader.done.begin(fingerprint(grader.rules, *sorted(grader.tests)))
    pool = ThreadPoolExecutor(workers)
    try:
        with Progress(len(submissions)) as progress:
            while True:
                for student in islice(to_come, 2 * workers + 1 - len(running)):
                    running[pool.submit(grader.attempt, student, submissions[student])] = student
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                future = next(one for one in running if one in done)  # the first that was handed in
                student, attempt = running.pop(future), future.result()
                results[student] = result = grader.grade(student, submissions[student], attempt)
                reached = "not graded" if result.status == "not graded" else f"{result.points:.1f}/{total:g}"
                text = f"{result.name} ... {reached}"
                progress.step(text, not attempt.again, bool(result.notes or result.doubts))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if grader.tests:
        grader.done.end()
    return [results[student] for student in submissions]


def recall_all(grader: Grader, submissions: dict[str, Submission]) -> list[Result]:
    """What the gradebook knows of every student; nothing is run, and pages follow points given by hand."""
    return [grader.recall(student, submission) for student, submission in submissions.items()]
