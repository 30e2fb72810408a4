"""What a learner has done is kept, whatever happens to the process, the disk and the file."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ipywidgets as widgets
import pytest

from authoring.notebooks import ROOT
from backbones.explore import Progress, Quiz, passed
from backbones.show import progress

ONE, TWO, THREE = [("lab06", f"Exercise {number}") for number in (1, 2, 3)]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a learner who has done nothing yet."""
    monkeypatch.setenv("BACKBONES_PROGRESS", str(tmp_path / "home" / "progress.jsonl"))
    return tmp_path / "home" / "progress.jsonl"


def entries() -> list[tuple[str, str]]:
    """All that is kept, read as the progress page reads it; nothing may be in the way."""
    done, trouble = progress.keep()
    assert trouble == ""
    return list(done)


def test_what_is_passed_is_said_and_kept_once(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("Exercise 2, values", "Exercise 1", "Exercise 1"):
        passed("lab06", what)
    assert capsys.readouterr().out.splitlines() == [
        "Exercise 2, values: the visible checks pass.",
        *["Exercise 1: the visible checks pass."] * 2,
    ]
    assert [json.loads(line) for line in record.read_text().splitlines()] == [
        {"where": "lab06", "what": "Exercise 2, values"},
        {"where": "lab06", "what": "Exercise 1"},
    ]


def test_the_file_lies_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKBONES_PROGRESS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # Windows
    passed("lab06", "Exercise 1")
    assert (tmp_path / ".backbones" / "progress.jsonl").exists()


def test_nothing_is_kept_when_the_course_runs_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.environ["BACKBONES_PROGRESS"] == "off"  # conftest.py
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    passed("lab06", "Exercise 1")
    assert entries() == []
    assert list(tmp_path.iterdir()) == []


# Processes that end, and processes side by side -------------------------------------------------------------

WRITER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("progress", sys.argv[1])  # without torch: this starts often
progress = importlib.util.module_from_spec(spec)
spec.loader.exec_module(progress)
for number in range(int(sys.argv[3])):
    assert progress.keep((sys.argv[2], str(number)))[1] == ""
    print(number, flush=True)
"""


def writer(name: str, count: int) -> subprocess.Popen:
    """A process that keeps `count` entries and prints the number of each that is kept."""
    command = [sys.executable, "-c", WRITER, progress.__file__, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_notebooks_lose_nothing(record: Path) -> None:
    processes = [writer(name, 200) for name in ("lab01", "lab02")]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert sorted(entries()) == sorted((name, str(i)) for name in ("lab01", "lab02") for i in range(200))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_a_killed_process_leaves_a_whole_file(record: Path) -> None:
    """Killed at 12 moments while it writes without pause: what it had said to be kept is there each time."""
    for turn in range(12):
        process = writer(f"turn {turn}", 100_000)
        process.stdout.readline()
        time.sleep(0.01 + turn * 0.003)
        process.send_signal(signal.SIGKILL)
        said = [0, *(int(line) for line in process.stdout if line.endswith("\n"))]
        process.wait()
        mine = [what for where, what in entries() if where == f"turn {turn}"]
        assert mine[: len(said)] == [str(number) for number in said]
        assert len(mine) <= len(said) + 1
    assert progress.keep(ONE) == (dict.fromkeys([*entries()]), "")  # no lock is left behind


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_ended_at_any_step_of_writing(step: str, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the killed process above, but at exactly this step. Ctrl-C is let through."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    progress.keep(ONE)
    with monkeypatch.context() as patch:
        patch.setattr(*{"open": (Path, "open")}.get(step, (os, step)), stop)
        with pytest.raises(KeyboardInterrupt):
            progress.keep(TWO)
    assert entries() == [ONE]
    progress.keep(THREE)
    assert entries() == [ONE, THREE]


def test_threads_of_one_notebook(record: Path) -> None:
    threads = [threading.Thread(target=progress.keep, args=(("lab06", str(i)),)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entries()) == sorted(("lab06", str(i)) for i in range(20))


# A disk that is full, a folder that cannot be written, a file that is damaged -----------------------------


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """What a passed check says beyond that it is passed: one line."""
    passed("lab06", "Exercise 2")
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Exercise 2: the visible checks pass."
    return second


@pytest.mark.parametrize("step", ["mkdir", "fsync", "replace"])
def test_a_full_disk(
    step: str, record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    progress.keep(ONE)
    with monkeypatch.context() as patch:
        patch.setattr(*{"mkdir": (Path, "mkdir")}.get(step, (os, step)), full)
        assert "cannot be kept (No space left on device)" in sentence(capsys)
    assert entries() == [ONE]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_disk_that_is_full_indeed(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress.keep(ONE)
    record.with_name("progress.jsonl.draft").symlink_to("/dev/full")
    assert "cannot be kept (No space left on device)" in sentence(capsys)
    record.with_name("progress.jsonl.draft").unlink()
    assert entries() == [ONE]


def test_a_folder_that_cannot_be_written(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it holds is still shown. (Root may write everywhere, so the refusal is played.)"""
    progress.keep(ONE)

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    class NoLock:
        def __init__(self, path: str) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(progress.filelock, "FileLock", NoLock)
    monkeypatch.setattr(Path, "read_bytes", lambda path: os.read(os.open(path, os.O_RDONLY), 10_000))
    assert "cannot be kept (Permission denied)" in sentence(capsys)
    assert entries() == [ONE]


@pytest.mark.parametrize("home", ["file", "none"])
def test_no_home(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home that is no folder, or a user without any, as in a container for grading."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("BACKBONES_PROGRESS", str(tmp_path / "file" / "progress.jsonl"))
    if home == "none":
        monkeypatch.setenv("BACKBONES_PROGRESS", "~no such user/progress.jsonl")
    assert "cannot be kept" in sentence(capsys)
    assert ">0 of 6<" in Progress(ROOT / "notebooks").table()


def test_another_notebook_that_never_lets_go(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Better one entry less than two notebooks that write at once."""
    acquire = progress.filelock.FileLock.acquire
    progress.keep(ONE)
    with progress.filelock.FileLock(f"{record}.lock"):
        monkeypatch.setattr(progress.filelock.FileLock, "acquire", lambda self, timeout: acquire(self, 0.1))
        assert "cannot be kept" in sentence(capsys)
    assert entries() == [ONE]


DAMAGE = {
    "half a line": b'{"where": "lab06", "wh',
    "zeros": b"\0" * 4096,
    "another encoding": '{"where": "lab06", "what": "Übung"}'.encode("latin-1"),
    "another file": b'PK\x03\x04\n[1, 2]\n17\n"lab06"\nnull\n{}\n',
}


@pytest.mark.parametrize("rest", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_kept_aside(rest: bytes, record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines before and behind the damage count."""
    progress.keep(ONE, THREE)
    first, last = record.read_bytes().splitlines()
    damaged = first + b"\n" + rest + b"\n" + last + b"\n"
    record.write_bytes(damaged)
    said = sentence(capsys)
    (aside,) = record.parent.glob("progress.damaged-*")
    assert aside.name in said
    assert aside.read_bytes() == damaged
    assert entries() == [ONE, THREE, TWO]


def test_the_page_says_that_the_file_was_damaged(record: Path) -> None:
    progress.keep(ONE)
    record.write_bytes(record.read_bytes() + b"?\n")
    page = Progress(ROOT / "notebooks")
    assert "damaged" in page.table()
    assert "damaged-" not in page.table()
    assert entries() == [ONE]


def test_a_full_disk_spares_the_damaged_file(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.keep(ONE)
    damaged = record.read_bytes() + b"?\n"
    record.write_bytes(damaged)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(progress.shutil, "copy", full)
    assert "No space left" in sentence(capsys)
    assert record.read_bytes() == damaged


# The quiz and the page --------------------------------------------------------------------------------------


def test_a_right_answer_is_kept_and_a_wrong_one_is_not(record: Path) -> None:
    quiz = Quiz("06_recurrent_backbones")
    options = quiz.questions[1]["option"]
    right = next(number for number, option in enumerate(options) if option.get("right"))
    buttons = [row.children[0] for row in quiz.form().children[1].children[1:-1]]
    buttons[(right + 1) % len(options)].click()
    assert entries() == []
    buttons[right].click()
    assert entries() == [("06_recurrent_backbones", "question 2")]


def test_a_full_disk_is_said_below_the_question(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiz = Quiz("06_recurrent_backbones")
    form = quiz.form().children[0]
    monkeypatch.setenv("BACKBONES_PROGRESS", str(ROOT / "README.md" / "progress.jsonl"))
    for row in form.children[1:-1]:
        row.children[0].click()
        assert ("cannot be kept" in form.children[-1].value) == ("Right" in form.children[-1].value)


def test_the_page_counts_every_quiz_and_lab(record: Path) -> None:
    page = Progress(ROOT / "notebooks")
    output, button = page.form().children
    assert "<td>0 of 6</td>" in row(shown(output), "lab06")
    progress.keep(ONE, TWO, ("06_recurrent_backbones", "question 1"), ("lab06", "an exercise of yesterday"))
    assert "<td>0 of 6</td>" in row(shown(output), "lab06")
    button.click()
    table = shown(output)
    assert "<td>2 of 6</td>" in row(table, "lab06")
    assert "<td>1 of " in row(table, "lab06")
    assert 'href="' + (ROOT / "notebooks" / "06_recurrent_backbones.ipynb").as_posix() in table
    assert str(record) in table
    for lesson in page.lessons:
        assert " of 0<" not in row(table, lesson.stem)
    assert table.count("<tr>") == 1 + len(page.lessons)
    assert table.count("<td>") == 4 * len(page.lessons) - 2  # lesson 00 has no lab


def test_the_page_of_a_notebook_that_was_opened_alone(record: Path, tmp_path: Path) -> None:
    """No lesson and no lab beside it, as on Colab: everything is counted, and no link leads nowhere."""
    progress.keep(ONE, ("06_recurrent_backbones", "question 1"))
    table = Progress(tmp_path).table()
    assert table.count("<tr>") == 1 + len(Progress(ROOT / "notebooks").lessons)
    assert "<td>1 of " in row(table, "06_recurrent_backbones")
    assert row(table, "lab06").endswith("<td>lab06</td><td>1</td></tr>")
    assert "href" not in table


@pytest.mark.parametrize("page", [lambda: Quiz("06_recurrent_backbones"), Progress])
def test_ipywidgets_7_shows_them_too(page: object, monkeypatch: pytest.MonkeyPatch, record: Path) -> None:
    """Colab has 7.7, whose widgets show themselves and give no bundle."""
    monkeypatch.delattr(widgets.Widget, "_repr_mimebundle_")
    bundle = page()._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]


def shown(output: widgets.Output) -> str:
    (only,) = output.outputs
    return only["data"]["text/html"]


def row(table: str, name: str) -> str:
    """The row of the table in which a notebook stands."""
    return next(row for row in table.split("<tr>") if f">{name}<" in row)


def test_without_a_kernel_the_page_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Progress(ROOT / "notebooks")._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert ".backbones/progress.jsonl in your home folder" in bundle["text/plain"]
    monkeypatch.delenv("BACKBONES_PROGRESS")
    assert bundle["text/plain"].endswith(repr(Progress(ROOT / "notebooks")))
