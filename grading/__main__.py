"""The command `python -m grading COMMAND LAB FROM`. See the package's docstring."""

import argparse
import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grading.collect import Collected, Submission, collect
from grading.export import TARGETS, Grade, fill, read_sheet
from grading.labs import CourseError, Lab, find_lab
from grading.late import lateness, read_due, read_penalty
from grading.report import Result, summary, write_csv
from grading.similar import report_similar
from grading.statistics import read_by_hand, report_items
from grading.terminal import forgiving_output
from grading.unpack import printable

if TYPE_CHECKING:
    from grading.grade import Grader

UNPACKED = ".unpacked-"  # in the folder of results; removed at the end
LOCK = ".writing"  # in the folder of results; held by the one process that writes there
HELP = {
    "collect": "whose notebook is whose, and what is doubtful; runs nothing, writes nothing",
    "grade": "run and mark whoever is not graded yet, then write points, pages and statistics",
    "regrade": "run and mark the tests of one exercise again, for everybody: after a check was mended",
    "report": "write points, pages and statistics again, after free text was read; runs nothing",
}
WHERE = """\
where is ...
  late penalties               --due and --late, with grade, regrade and report
  points for Moodle or Canvas  --export, with the same
  what the class found hard    labNN.items.html in the folder of results
  answers that are alike       labNN.similar.csv there
  partial credit               --partial, with grade and regrade
  a cluster of machines        --scheduler, with grade and regrade
  macOS and Windows            --print-container-command, with grade

Options of a command: python -m grading grade --help. More: INSTRUCTORS.md
"""


@dataclass(frozen=True)
class Options:
    """What the instructor asked for. `exports`: the system and its file; the rest as on the command line."""

    root: Path
    lab: str
    source: Path
    out: Path
    due: datetime | None = None
    penalty: float = 0.0
    exports: tuple[tuple[str, Path], ...] = ()
    column: str | None = None
    sandbox: bool = True
    workers: int | None = None
    container: tuple[str, ...] | None = None  # only print the command for a container, with these options
    command: str = "grade"
    exercises: tuple[str, ...] = ()
    scheduler: str | None = None
    partial: bool = False


def main(arguments: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 when the run came to its end, also with problem submissions; 2 when it could not start.
    """
    with forgiving_output():
        try:
            options = read_options(arguments)
            lab = find_lab(options.root, options.lab)
            check_places(options, lab)
            if options.container is not None:
                print_container_commands(options, lab)
            elif options.command == "collect":
                show_collected(options, lab)
            else:
                grade(options, lab)
        except CourseError as error:
            print(f"Not done: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("\nStopped. The same command goes on with those who are not graded yet.", file=sys.stderr)
            return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line: what every command takes, and what one or the other takes."""
    whole = argparse.ArgumentParser(
        prog="python -m grading",
        usage="python -m grading COMMAND LAB FROM [options]",
        description="From what students handed in to points, feedback pages and a CSV. What they handed in is only "
        "read.",
        epilog=WHERE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = whole.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, text in HELP.items():
        one = commands.add_parser(
            name,
            prog=f"python -m grading {name}",
            help=text,
            description=f"{text.capitalize()}.",
            allow_abbrev=False,
        )
        one.add_argument("lab", metavar="LAB", help="lab01, or the name of its folder in solutions/")
        one.add_argument("source", metavar="FROM", type=Path, help="a folder or zip as the LMS exports it")
        one.add_argument(
            "--course", type=Path, default=Path(), help="the course's folder (default: this one)"
        )
        one.add_argument("--out", type=Path, help="where results go (default: graded)")
        if name != "collect":
            add_reporting(one)
        if name in ("grade", "regrade"):
            add_running(one)
        if name == "regrade":
            one.add_argument(
                "--exercise",
                metavar="NAME",
                action="append",
                required=True,
                help="a column of the CSV; may be given several times",
            )
        if name == "grade":
            one.add_argument(
                "--print-container-command",
                action="store_true",
                help="for macOS and Windows: print how Docker or Podman grades this, and grade nothing here",
            )
    return whole


def add_reporting(one: argparse.ArgumentParser) -> None:
    """What is made of the points."""
    one.add_argument("--due", metavar="TIME", help='"2026-12-01 23:59": who is later, and by how many days')
    one.add_argument("--late", metavar="SHARE", help="10%%: what each day costs of the points reached")
    one.add_argument(
        "--export",
        metavar=("SYSTEM", "FILE"),
        nargs=2,
        action="append",
        default=[],
        help=f"fill the points into a copy of what the LMS exported; {' or '.join(TARGETS)}, and its CSV",
    )
    one.add_argument("--column", help="the column for the points, where its title does not name the lab")


def add_running(one: argparse.ArgumentParser) -> None:
    """How notebooks are run."""
    one.add_argument("--workers", type=int, help="notebooks that run at a time (default: one a core)")
    one.add_argument(
        "--scheduler", metavar="tcp://HOST:8786", help="run the notebooks on the workers of a Dask cluster"
    )
    one.add_argument(
        "--no-sandbox", action="store_true", help="run students' code with your rights; marks every result"
    )
    one.add_argument(
        "--partial",
        action="store_true",
        help="partial credit: each check of a test cell counts, not all or nothing",
    )


def read_options(arguments: list[str] | None) -> Options:
    """Read the command line.

    Raises:
        CourseError: for an unknown command, and for a due date, penalty or export that cannot be.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and not arguments[0].startswith("-") and arguments[0] not in HELP:
        raise CourseError(
            f"there is no command {arguments[0]!r}; there are: {', '.join(HELP)}. To grade a class: python -m grading "
            "grade lab01 submissions.zip"
        )
    options = parser().parse_args(arguments)
    asked = {"due": None, "late": None, "export": [], "column": None, "workers": None, "scheduler": None}
    asked |= {"no_sandbox": False, "print_container_command": False, "exercise": [], "partial": False}
    options = argparse.Namespace(**{**asked, **vars(options)})
    if options.late and not options.due:
        raise CourseError('--late needs --due: say when it was due, --due "2026-12-01 23:59"')
    if options.workers is not None and options.workers < 1:
        raise CourseError(f"--workers {options.workers}: at least one notebook has to run at a time")
    if options.scheduler and options.print_container_command:
        raise CourseError("a container has no network: without --scheduler, it grades on this machine")
    for system, _ in options.export:
        if system not in TARGETS:
            raise CourseError(f"--export {system!r} is no system known here: say {' or '.join(TARGETS)}")
    # course.py works in the course's folder, the person here
    here = Path(os.environ.get("BACKBONES_START", ""))
    root = (here / options.course).resolve() if options.course != Path() else Path().resolve()
    return Options(
        root,
        options.lab,
        here / options.source,
        (here / options.out if options.out else root / "graded").resolve(),
        read_due(options.due) if options.due else None,
        read_penalty(options.late) if options.late else 0.0,
        tuple((system, here / file) for system, file in options.export),
        options.column,
        not options.no_sandbox,
        options.workers,
        passed_on(options) if options.print_container_command else None,
        options.command,
        tuple(options.exercise),
        options.scheduler,
        options.partial,
    )


def passed_on(options: argparse.Namespace) -> tuple[str, ...]:
    """The options that mean the same in a container: those without paths."""
    named = {name: getattr(options, name) for name in ("due", "late", "workers", "column", "partial")}
    return tuple(
        part
        for name, value in named.items()
        if value
        for part in ((f"--{name}",) if value is True else (f"--{name}", str(value)))
    )


def print_container_commands(options: Options, lab: Lab) -> None:
    """Say how to grade in a container.

    Raises:
        CourseError: for a path that no container can be shown.
    """
    from grading.isolation.container import as_typed, container_command, image_command

    options.out.mkdir(parents=True, exist_ok=True)  # a folder that is shown to a container has to be there
    command = container_command(
        *(options.root, lab.notebook, options.source.resolve(), options.out),
        options=options.container or (),
        exports=[(system, file.resolve()) for system, file in options.exports],
    )
    print(f"Once, with a network:\n\n{as_typed(image_command(options.root))}\n")
    print(f"Then, without one:\n\n{as_typed(command)}")


def check_places(options: Options, lab: Lab) -> None:
    """Are source and results where they can be, and what is to be filled in what it should be?

    Raises:
        CourseError: when not.
    """
    source, out = options.source, options.out
    if not source.exists():
        raise CourseError(f"there is no folder or zip {source}: give what holds the submissions")
    if source.is_file() and source.suffix.lower() != ".zip":
        raise CourseError(f"{source} is a file: give the folder that holds the submissions, or the LMS's zip")
    if "%" in str(out):
        raise CourseError(f"the gradebook cannot be in {out}: choose a folder without % with --out")
    if source.is_dir() and (source.resolve().is_relative_to(out) or out.is_relative_to(source.resolve())):
        raise CourseError(
            f"submissions ({source}) and results ({out}) need two folders, neither in the other"
        )
    for system, file in options.exports:
        TARGETS[system](read_sheet(file), lab, options.column)  # said now, not after an hour of grading


@contextlib.contextmanager
def unpacking_folder(out: Path) -> Iterator[Path]:
    """A folder in `out` that is gone at the end; one that a killed run left behind goes at the beginning."""
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{UNPACKED}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=UNPACKED, dir=out, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Nobody else writes into the folder of results meanwhile. A process that is killed gives it back.

    Raises:
        CourseError: where somebody does.
    """
    import filelock

    out.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(out / LOCK)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock.acquire(timeout=0))
        except filelock.Timeout:
            raise CourseError(
                f"another run is writing into {out}: wait for its end, or choose another folder with --out"
            ) from None
        except NotImplementedError:  # a file system without locks
            pass
        yield


def read_submissions(options: Options, lab: Lab, unpacked: Path) -> Collected:
    """Whose notebook is whose.

    Raises:
        CourseError: where there is nothing, or nothing that can be read.
    """
    try:
        return collect(options.source.resolve(), lab, unpacked)
    except OSError as error:
        raise CourseError(f"{options.source} cannot be read: {error}") from error


def show_collected(options: Options, lab: Lab) -> None:
    """Print a line for each student."""
    with tempfile.TemporaryDirectory(prefix="submissions-", ignore_cleanup_errors=True) as unpacked:
        collected = read_submissions(options, lab, Path(unpacked))
        found = collected.submissions
        wide = max(len(one.name) for one in found.values())
        for one in found.values():
            print(f"{one.name:{wide}}  {one.person.pattern:10}  {about(one)}")
    doubts = [doubt for one in found.values() for doubt in one.doubts]
    nothing = sum(one.path is None for one in found.values())
    print(f"\n{len(found)} students, {nothing} of them without a notebook that can be graded")
    print_lists(
        ("For you to decide (students do not see this):", doubts),
        ("Worth knowing:", collected.remarks),
        ("Ignored files:", collected.ignored),
    )


def about(one: Submission) -> str:
    """What somebody handed in, and when."""
    if one.path is None:
        return str(one.problem)
    when = f", {one.time:%Y-%m-%d %H:%M} by {one.time_from}" if one.time else ""
    return f"{printable(Path(one.file).name)}{when}{', late' if one.flagged_late else ''}"


def print_lists(*lists: tuple[str, list[str]]) -> None:
    """Print each list that is not empty below its title."""
    for title, lines in lists:
        if lines:
            print("\n".join(["", title, *(f"  {line}" for line in lines)]))


def grade(options: Options, lab: Lab) -> None:
    """Grade the submissions, or recall what is known of them, and print how it went.

    Raises:
        CourseError: when it cannot start, or cannot go on.
    """
    with only_writer(options.out), unpacking_folder(options.out) as unpacked:
        collected = read_submissions(options, lab, unpacked)
        log = options.out / "grade.log"
        logging.basicConfig(
            filename=log,
            filemode="w",
            encoding="utf-8",
            errors="backslashreplace",
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(message)s",
        )
        logging.captureWarnings(True)
        grader, results = GRADERS[options.command](options, lab, collected)
        for result in results:
            result.doubts += collected.submissions[result.student].doubts
        report(options, lab, grader, collected, results)


def run_here(options: Options, lab: Lab, collected: Collected) -> tuple["Grader", list[Result]]:
    """Run notebooks on this machine or, with --scheduler, on others; all of a notebook or one exercise."""
    from grading.grade import Grader, grade_all  # takes seconds: whoever mistyped need not wait for it

    if options.scheduler:
        from grading.cluster import Cluster
        from grading.progress import say

        with Cluster(options.scheduler, options.sandbox, say=say) as cluster:
            grader = Grader(options.root, lab, options.out, cluster, options.exercises, options.partial)
            grader.learn(cluster.check(grader.trials()))
            return grader, grade_all(grader, collected.submissions, options.workers or cluster.places())
    from grading.isolation.run import Runner

    with Runner(options.sandbox) as runner:
        grader = Grader(options.root, lab, options.out, runner, options.exercises, options.partial)
        grader.check()
        return grader, grade_all(grader, collected.submissions, options.workers or os.cpu_count() or 1)


def look_up(options: Options, lab: Lab, collected: Collected) -> tuple["Grader", list[Result]]:
    """Run nothing."""
    from grading.grade import Grader, recall_all

    grader = Grader(options.root, lab, options.out, None)
    return grader, recall_all(grader, collected.submissions)


GRADERS: dict[str, Callable[[Options, Lab, Collected], tuple["Grader", list[Result]]]]
GRADERS = {"grade": run_here, "regrade": run_here, "report": look_up}


def about_the_class(out: Path, lab: Lab, grader: "Grader", results: list[Result]) -> list[str]:
    """Write the item analysis and the list of answers that are alike; lines for the terminal.

    Nobody's points depend on them: what goes wrong here becomes a sentence.
    """
    lines = []
    for what, write in (
        (
            "item analysis",
            lambda: report_items(lab, out, results, grader.max_points, read_by_hand(grader.release.cells)),
        ),
        ("list of similar answers", lambda: report_similar(lab, out, results, grader.release.cells)),
    ):
        try:
            lines += write()
        except Exception as error:
            logging.getLogger(__name__).exception("no %s", what)
            lines.append(f"No {what} this time ({error!r}); all points and the CSV are complete without it.")
    return lines


def report(options: Options, lab: Lab, grader: "Grader", collected: Collected, results: list[Result]) -> None:
    """Write the CSV and what was asked to be exported, and print the rest."""
    final = {result.student: result.points for result in results}
    words, late_doubts = None, []
    if options.due:
        late = lateness(collected.submissions, options.due, datetime.now())
        final = {student: late[student].points(points, options.penalty) for student, points in final.items()}
        words = {student: (late[student].word, points) for student, points in final.items()}
        late_doubts = [one.doubt for one in late.values() if one.doubt]
    table = options.out / f"{lab.notebook}.csv"
    write_csv(table, results, grader.max_points, words)
    print(f"\n{summary(lab, results, grader.max_points)}")
    print("\n".join(["", *about_the_class(options.out, lab, grader, results)]))

    grades = [
        Grade(collected.submissions[one.student].person, final[one.student], one.graded) for one in results
    ]
    exported = []
    for system, file in options.exports:
        try:
            most = sum(grader.max_points.values())
            done = fill(system, file, lab, grades, most, options.out, options.column)
        except CourseError as error:
            print(f"\nNot exported: {error}", file=sys.stderr)
            continue
        exported.append((system, done))
    print_lists(
        ("Worth knowing:", collected.remarks),
        ("Late, and not sure:", late_doubts),
        *((f"Exported for {system}, {done.filled} filled in:", done.remarks) for system, done in exported),
        ("Ignored files:", collected.ignored),
    )
    print(f"\nPoints    {table}")
    for _, done in exported:
        print(f"For LMS   {done.path}")
    print(f"Feedback  {options.out / 'feedback'}\nLog       {options.out / 'grade.log'}")
    if any(result.needs_manual for result in results):
        print(
            f'\nTo read the free text:\n  cd "{options.out}"\n  "{sys.executable}" -m jupyterlab\n'
            "and there Nbgrader > Formgrader > Manual Grading. Then give the same command again:\n"
            "points and comments given by hand are kept and go into the CSV and the feedback."
        )


if __name__ == "__main__":
    sys.exit(main())
