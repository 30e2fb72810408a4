"""`python -m grading LAB FROM`: grade a folder of submissions. See the package's docstring."""

import argparse
import logging
import sys
from pathlib import Path

from grading.collect import collect
from grading.grade import Grader, grade_all
from grading.isolation.run import Runner
from grading.labs import CourseError, find_lab
from grading.report import summary, write_csv


def main(arguments: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 when the run came to its end, also with problem submissions; 2 when it could not start.
    """
    parser = argparse.ArgumentParser(prog="grading", description="Grade a folder of submitted notebooks.")
    parser.add_argument("lab", help="lab01, or the name of its folder in solutions/")
    parser.add_argument("source", metavar="FROM", type=Path, help="a folder as the LMS exports it")
    parser.add_argument("--out", type=Path, help="where results go (default: graded)")
    parser.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")
    options = parser.parse_args(arguments)
    root = options.course.resolve()
    try:
        grade(root, options.lab, options.source, (options.out or root / "graded").resolve())
    except CourseError as error:
        print(f"Not graded: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The same command grades everybody again.", file=sys.stderr)
        return 130
    return 0


def grade(root: Path, lab_name: str, source: Path, out: Path) -> None:
    """Grade the submissions in `source` into `out` and print how it went.

    Raises:
        CourseError: when it cannot start.
    """
    lab = find_lab(root, lab_name)
    if source.is_file():
        raise CourseError(f"{source} is a file: unpack it and give the folder")
    if not source.is_dir():
        raise CourseError(f"there is no folder {source}: give the folder that holds the submissions")
    source = source.resolve()
    if source.is_relative_to(out) or out.is_relative_to(source):
        raise CourseError(
            f"submissions ({source}) and results ({out}) need two folders, neither in the other"
        )
    collected = collect(source, lab)

    out.mkdir(parents=True, exist_ok=True)
    log = out / "grade.log"
    logging.basicConfig(
        filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.captureWarnings(True)
    with Runner() as runner:
        grader = Grader(root, lab, out, runner)
        grader.check()
        results = grade_all(grader, collected.submissions)
    table = out / f"{lab.notebook}.csv"
    write_csv(table, results, grader.max_points)

    print(f"\n{summary(lab, results, grader.max_points)}")
    for title, lines in (("Worth knowing:", collected.remarks), ("Ignored files:", collected.ignored)):
        if lines:
            print("\n".join(["", title, *(f"  {line}" for line in lines)]))
    print(f"\nPoints    {table}\nFeedback  {out / 'feedback'}\nLog       {log}")
    if any(result.needs_manual for result in results):
        print(
            f'\nTo read the free text:\n  cd "{out}"\n  "{sys.executable}" -m jupyterlab\n'
            "and there Nbgrader > Formgrader > Manual Grading. Then grade again with the same command:\n"
            "points and comments given by hand are kept and go into the CSV and the feedback."
        )


if __name__ == "__main__":
    sys.exit(main())
