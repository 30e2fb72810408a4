"""One exercise again for everybody, the report without running anything, and runs that were stopped."""

import contextlib
import copy
import csv
import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import filelock
import nbformat
import pytest
from grading_samples import cell_of, hand_in, tiny_course
from nbgrader.api import Gradebook

from grading import progress
from grading.__main__ import LOCK, main
from grading.grade import REGRADE, Done, Grader, marking_cells
from grading.isolation.run import Runner
from grading.labs import CourseError
from grading.progress import Progress, duration

MENDED = "assert double(0.5) == 1, 'half a number can be doubled, too'\n### END HIDDEN TESTS"


@pytest.fixture(scope="module")
def warm() -> Iterator[Runner]:
    """One tests' side for all of these tests: it takes seconds to start."""
    with Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def graded(tiny: dict, warm: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three students, graded: ada has all, bo and cy double integers only. Ada's free text has points and a word."""
    folder = tmp_path_factory.mktemp("graded")
    root = tiny_course(folder / "course")
    for name in ("ada", "bo", "cy"):
        notebook = copy.deepcopy(tiny["right"])
        if name != "ada":
            cell_of(notebook, "double").source = f"def double(x):\n    return 2 * int(x)  # {name}"
        hand_in(folder / "in" / f"{name}.ipynb", notebook)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("grading.isolation.run.Runner", lambda *_: contextlib.nullcontext(warm))
        assert main(["grade", "lab77", str(folder / "in"), "--course", str(root)]) == 0
    url = f"sqlite:///{root / 'graded' / 'gradebook.db'}"
    with Gradebook(url) as gradebook:  # as the formgrader does
        for name, score in (("why", 1.5), ("test_halve", 4.0)):
            grade = gradebook.find_grade(name, "lab77", "lab77_tiny", "ada")
            grade.manual_score, grade.needs_manual_grade = score, False
        gradebook.find_comment("why", "lab77", "lab77_tiny", "ada").manual_comment = "Well said."
        gradebook.db.commit()
    return folder


@pytest.fixture
def course(graded: Path, warm: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A copy of that class."""
    shutil.copytree(graded, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("grading.isolation.run.Runner", lambda *_: contextlib.nullcontext(warm))
    root, source = tmp_path / "course", tmp_path / "in"
    options = ["lab77", str(source), "--course", str(root)]
    return {"root": root, "options": options, "out": root / "graded", "in": source}


def table(course: dict) -> dict[str, dict]:
    with (course["out"] / "lab77.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def page(course: dict, name: str) -> str:
    return (course["out"] / "feedback" / name / "lab77_tiny" / "lab77.html").read_text(encoding="utf-8")


def mend(course: dict, key: str = "test_double", text: str = MENDED) -> None:
    """Change the end of a hidden check."""
    path = course["root"] / "solutions" / "lab77_tiny" / "lab77.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = cell_of(notebook, key)
    cell.source = cell.source.replace("### END HIDDEN TESTS", text)
    nbformat.write(notebook, path)


@pytest.fixture
def ran(monkeypatch) -> list[list[str]]:
    """The texts of the cells of each notebook that is run."""
    seen, real = [], Runner.run

    def run(self: Runner, cells: list[dict]) -> list[dict]:
        seen.append([cell["source"] for cell in cells])
        return real(self, cells)

    monkeypatch.setattr(Runner, "run", run)
    return seen


@pytest.mark.slow
def test_one_exercise_is_marked_again_and_nothing_else(course, ran, capsys):
    assert main(["report", *course["options"]]) == 0
    assert ran == []
    before = table(course)
    assert {name: row["points"] for name, row in before.items()} == {"ada": "8.5", "bo": "8.0", "cy": "8.0"}
    mend(course)
    assert main(["regrade", *course["options"], "--exercise", "double"]) == 0
    after = table(course)
    for name, lost in (("ada", 0), ("bo", 3), ("cy", 3)):
        expected = before[name] | {
            "points": str(float(before[name]["points"]) - lost),
            "test_double": str(3.0 - lost),
        }
        assert after[name] == expected
    students = [cells for cells in ran if any("int(x)" in cell for cell in cells)]
    assert len(students) == 2
    assert all(len(cells) == 2 and not any("halve" in cell for cell in cells) for cells in students)
    assert "half a number can be doubled, too" in page(course, "bo")
    assert "Well said." in page(course, "ada")
    assert after["ada"]["needs_manual"] == "", "who read it need not read it again"
    # The other command knows: nobody is run again.
    ran.clear()
    assert main(["grade", *course["options"]]) == 0
    assert capsys.readouterr().out.count("(graded before)") == 3
    assert table(course) == after


@pytest.mark.slow
def test_a_regrading_that_was_stopped_goes_on_and_a_new_one_begins_anew(course, monkeypatch, capsys):
    mend(course)
    command = ["regrade", *course["options"], "--exercise", "test_double", "--workers", "1"]
    real = Progress.step

    def stop(self: Progress, *arguments: object) -> None:
        real(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "step", stop)
        assert main(command) == 130
    assert "the same command goes on" in capsys.readouterr().err.lower()
    assert main(command) == 0
    assert capsys.readouterr().out.count("(graded before)") == 1
    assert table(course)["bo"]["test_double"] == "0.0"
    assert main(command) == 0
    assert "(graded before)" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_lab_that_changed_in_more_than_the_exercise_is_a_sentence(course, capsys):
    mend(course)
    mend(course, "test_halve", "assert halve(3) == 1.5\n### END HIDDEN TESTS")
    command = ["regrade", *course["options"], "--exercise", "test_double"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "changed in more than this exercise: test_halve." in said
    assert "or add --exercise test_halve" in said
    assert main([*command, "--exercise", "test_halve"]) == 0
    assert table(course)["cy"]["points"] == "5.0"


@pytest.mark.slow
def test_an_exercise_that_cannot_run_again_leaves_the_points(course, monkeypatch, capsys):
    mend(course)
    real = Runner.run

    def run(self: Runner, cells: list[dict]) -> list[dict]:
        if any("# bo" in cell["source"] for cell in cells):
            raise RuntimeError("out of paper")
        return real(self, cells)

    monkeypatch.setattr(Runner, "run", run)
    assert main(["regrade", *course["options"], "--exercise", "test_double"]) == 0
    assert {name: row["points"] for name, row in table(course).items()} == {
        "ada": "8.5",
        "bo": "8.0",
        "cy": "5.0",
    }
    note = table(course)["bo"]["note"]
    assert note == "bo: the exercise could not be run again (out of paper), the points are as before."


@pytest.mark.slow
def test_the_report_tells_whose_points_are_not_those_of_the_notebook(course, tiny, ran):
    hand_in(course["in"] / "bo.ipynb", tiny["right"])
    hand_in(course["in"] / "dee.ipynb", tiny["right"])
    hand_in(course["in"] / "eve.ipynb", "")
    assert main(["report", *course["options"]]) == 0
    assert ran == []
    rows = table(course)
    assert [rows[name]["points"] for name in ("ada", "bo", "dee", "eve")] == ["8.5", "8.0", "0.0", "0.0"]
    assert "bo handed in another notebook since" in rows["bo"]["note"]
    assert "dee is not graded yet" in rows["dee"]["note"]
    assert "the file is empty" in rows["eve"]["note"]


@pytest.mark.slow
def test_a_gradebook_that_was_removed_knows_nobody(course):
    (course["out"] / "gradebook.db").unlink()
    assert main(["grade", *course["options"]]) == 0
    assert {row["points"] for row in table(course).values()} == {"8.0"}


@pytest.mark.slow
def test_one_process_writes(course, capsys):
    with filelock.FileLock(course["out"] / LOCK):
        assert main(["grade", *course["options"]]) == 2
    assert "another run is writing into" in capsys.readouterr().err


@pytest.mark.slow
def test_marking_that_is_interrupted_does_not_count_as_done(course, monkeypatch, capsys):
    """Whoever was graded once, hands in anew and is being marked: neither notebook is done."""
    path = course["in"] / "bo.ipynb"
    first = path.read_text(encoding="utf-8")
    hand_in(path, first.replace("# bo", "# another"))
    real = Grader.autograde

    def interrupted(self: Grader, *arguments: object) -> None:
        real(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Grader, "autograde", interrupted)
        assert main(["grade", *course["options"]]) == 130
    hand_in(path, first)
    capsys.readouterr()
    assert main(["grade", *course["options"]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if " bo ... " in line and "graded before" in line]


def credit(course: dict, *options: str) -> dict[str, str]:
    assert main(["grade", *course["options"], *options]) == 0
    return {name: row["test_double"] for name, row in table(course).items()}


@pytest.mark.slow
def test_one_exercise_is_not_graded_by_another_rule_than_the_rest(course, ran, capsys):
    command = ["regrade", *course["options"], "--exercise", "double"]
    assert main([*command, "--partial"]) == 2
    said = capsys.readouterr().err
    assert "was graded without partial credit" in said
    assert "leave --partial out, or give everybody the command grade" in said
    runs = len(ran)
    assert credit(course, "--partial")["ada"] == "3.0"
    students = [cells for cells in ran[runs:] if any("int(x)" in cell for cell in cells)]
    assert len(students) == 2
    assert len(ran) - runs == 3, (
        "everybody anew; the command that was refused has tried the lab's own solution"
    )
    said = capsys.readouterr().out
    assert said.count("So far this class was graded without partial credit, now it is with") == 1
    assert main(command) == 2
    assert "was graded with partial credit" in capsys.readouterr().err
    assert main([*command, "--partial"]) == 0
    capsys.readouterr()
    assert credit(course, "--partial")["ada"] == "3.0"
    said = capsys.readouterr().out
    assert "So far" not in said
    assert said.count("(graded before)") == 3
    assert table(course)["ada"]["why"] == "1.5", "read once"


@pytest.mark.slow
def test_who_is_not_graded_for_no_fault_of_theirs_is_graded_by_the_same_command(course, monkeypatch, capsys):
    """The machine failed, or all workers that had the notebook: no 0 points, no page, and it is tried again."""
    path = course["in"] / "bo.ipynb"
    hand_in(path, path.read_text(encoding="utf-8").replace("# bo", "# another bo"))
    real = Runner.run

    def run(self: Runner, cells: list[dict]) -> list[dict]:
        if any("another bo" in cell["source"] for cell in cells):
            raise RuntimeError("each of several workers ended while it ran this notebook")
        return real(self, cells)

    with monkeypatch.context() as patched:
        patched.setattr(Runner, "run", run)
        assert main(["grade", *course["options"]]) == 0
    said = capsys.readouterr().out
    assert "/3 bo ... not graded (" in said
    assert "lab77: 3 students: 2 graded, 0 graded with a problem, 1 not graded" in said
    assert "Problems (" not in said
    decide = said.partition("For you to decide (students do not see this):")[2]
    assert "bo is not graded: each of several workers ended" in decide
    assert "give the same command again" in decide
    row = table(course)["bo"]
    assert (row["status"], row["points"]) == ("not graded", "0.0")
    assert not (course["out"] / "feedback" / "bo" / "lab77_tiny").exists()
    assert main(["grade", *course["options"]]) == 0
    assert (table(course)["bo"]["status"], table(course)["bo"]["points"]) == ("graded", "8.0")


# --- parts


def test_an_exercise_is_named_by_its_test_or_by_its_answer(tiny):
    source = tiny["stubs"]
    assert marking_cells(source, "double") == marking_cells(source, "test_double") == ["test_double"]
    for name in ("why", "nothing", "intro"):
        with pytest.raises(CourseError, match=r"there are: test_double, test_halve$"):
            marking_cells(source, name)


def test_done_survives_a_line_that_was_cut(tmp_path):
    path = tmp_path / "done.jsonl"
    done = Done(path)
    done.seconds = 1.5, 2.5
    done.add("ada", "k1", ["a note"])
    done.add("bo", "k2")
    path.write_text(path.read_text()[:-20])  # killed while it wrote
    again = Done(path)
    assert again.has("ada", "k1")
    assert not again.has("bo", "k2")
    assert again.seconds == [1.5, 2.5]
    again.add("cy", "k3")
    assert Done(path).has("cy", "k3"), "the next line is whole"


def test_done_knows_who_went_through_it_since_it_began(tmp_path):
    done = Done(tmp_path / "done.jsonl")
    done.add("ada", "k1")
    done.begin("double")
    assert done.since == set()
    for key in ("", "k1"):
        done.add("ada", key)
    done.add("bo", "")
    again = Done(tmp_path / "done.jsonl")
    again.begin("double")
    assert again.since == {"ada"}
    again.begin("halve")
    assert again.since == set()
    again.end()
    assert json.loads((tmp_path / "done.jsonl").read_text().splitlines()[-1])[:2] == [REGRADE, ""]


def test_a_bar_in_a_terminal_and_a_line_for_each(capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with Progress(4) as told:
        told.step("Ada ... 8.0/10", False)
        told.step("Bo ... 5.0/10", True, trouble=True)
        told.step("Cy ... 5.0/10", True)
        told.step("Di ... 5.0/10", True)
    assert capsys.readouterr().out.splitlines() == [
        "1/4 Ada ... 8.0/10 (graded before)",
        "2/4 Bo ... 5.0/10 (about 7 min left), see below",
        "3/4 Cy ... 5.0/10 (about 2 min left)",
        "4/4 Di ... 5.0/10 (done)",
    ]
    assert "50% |" in terminal.getvalue()
    assert "2/4 about 7 min left" in terminal.getvalue()
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with Progress(1) as told:
        told.step("Ada ... 8.0/10", True)
    assert sys.stderr.getvalue() == "", "no bar in a file"


def test_durations():
    assert [duration(seconds) for seconds in (7, 99, 720, 9000)] == ["7 s", "99 s", "12 min", "2.5 h"]
