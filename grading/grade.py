"""Grade with nbgrader, one student after the other, so that one bad notebook never stops the rest."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import nbgrader.utils
from nbformat import NotebookNode
from nbgrader.api import Grade, Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import BaseConverter
from traitlets.log import get_logger

from grading.collect import Submission
from grading.convert import NbgraderError, generate, load_config, run_converter
from grading.labs import CourseError, Lab
from grading.repair import Ungradable, grade_id, prepare
from grading.report import Result, write_problem_page

STEPS = ("submitted", "autograded", "feedback")  # folders in nbgrader's course folder


class Grader:
    """Grades one lab into one folder, `out`, which is a course folder to nbgrader.

    In there: release/ (the learner's version), submitted/, autograded/, feedback/, gradebook.db.

    Raises:
        CourseError: when the lab itself cannot be graded.
    """

    def __init__(self, root: Path, lab: Lab, out: Path) -> None:
        self.lab, self.out = lab, out
        self.config = load_config(root, out)
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
        self.max_points: dict[str, float] = {
            grade_id(cell): float(cell.metadata.nbgrader.points)
            for cell in self.release.cells
            if grade_id(cell) and cell.metadata.nbgrader.grade
        }

    def folder(self, step: str, student: str) -> Path:
        return self.out / step / student / self.lab.folder.name

    def grade(self, student: str, submission: Submission) -> Result:
        """Grade one student. Whatever goes wrong becomes a note in the result."""
        result = Result(student, submission.name)
        try:
            if submission.path is None:
                raise Ungradable(submission.problem)
            notebook, result.notes = prepare(submission.path, self.release)
            self.autograde(student, notebook)
            self.read_points(result)
            self.run(GenerateFeedback, student)
        except Exception as error:
            get_logger().exception("%s could not be graded", student)
            self.give_up(result, error)
        return result

    def autograde(self, student: str, notebook: NotebookNode) -> None:
        """Let nbgrader run and mark `notebook`, and keep what was marked by hand before.

        nbgrader keeps points given by hand, but asks to look at every such cell again after each run. Where
        the notebook is still the one that was looked at, that request is taken back.

        Raises:
            NbgraderError: with nbgrader's reason.
        """
        path = self.folder("submitted", student) / self.lab.source.name
        text = nbformat.writes(notebook)
        looked_at: set[str] = set()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            with self.grades(student) as grades:
                looked_at = {grade.name for grade in grades if grade.manual_score is not None}
                looked_at -= {grade.name for grade in grades if grade.needs_manual_grade}
        self.clear(student)
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        self.run(Autograde, student)
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

    def run(self, converter: type[BaseConverter], student: str) -> None:
        """Run an nbgrader step for one student.

        Raises:
            NbgraderError: with nbgrader's reason.
        """
        run_converter(
            converter,
            self.config,
            self.lab,
            student,
            root=str(self.out),
            source_directory=str(self.lab.folder.parent),
            **{f"{step}_directory": step for step in STEPS},
            db_url=self.database,
        )


def grade_all(grader: Grader, submissions: dict[str, Submission]) -> list[Result]:
    """Grade every student, with a line of progress for each."""
    results = []
    for number, (student, submission) in enumerate(submissions.items(), 1):
        print(f"{number}/{len(submissions)} {submission.name} ... ", end="", flush=True)
        start = time.monotonic()
        result = grader.grade(student, submission)
        results.append(result)
        total = sum(grader.max_points.values())
        trouble = ", see below" if result.notes else ""
        print(f"{result.points:.1f}/{total:g} ({time.monotonic() - start:.0f} s){trouble}", flush=True)
    return results
