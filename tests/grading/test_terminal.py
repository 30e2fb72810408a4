"""No print ends a run: code pages without the letters of a name, readers that went away, full disks."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from grading_samples import ROOT, hand_in

from grading.__main__ import main
from grading.terminal import Forgiving, forgiving_output

NAMES = "Ada, Łukasz, 李明, 💥, \udcff"
LOOP = f"""
import sys
from grading.terminal import forgiving_output
with forgiving_output():
    for number in range(4_000):
        print(number, {NAMES!r}, flush=number % 2 == 0)
        print(number, {NAMES!r}, file=sys.stderr)
open("done", "w").close()
"""


def run(tmp_path: Path, shell: str = "", **environment: str) -> subprocess.CompletedProcess:
    """Run LOOP as a program, its output to a pipe or through `shell`."""
    program = tmp_path / "loop.py"
    program.write_text(LOOP, encoding="utf-8", errors="surrogatepass")
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command: list[str] | str = [sys.executable, str(program)]
    if shell:
        command = f'("{sys.executable}" "{program}" 2>errors; echo $? >code) {shell}'
    return subprocess.run(command, shell=bool(shell), cwd=tmp_path, env=env, capture_output=True, timeout=120)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437", "utf-8"])
def test_letters_that_a_terminal_lacks_are_spelled_out(tmp_path, encoding):
    done = run(tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert (tmp_path / "done").exists()
    lines = done.stdout.decode(encoding).splitlines()
    assert len(lines) == len(done.stderr.decode(encoding).splitlines()) == 4_000
    expected = NAMES.encode(encoding, "backslashreplace").decode(encoding)
    assert lines[0] == f"0 {expected}"


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize("shell", ["| head -1", ">&-", "> /dev/full"])
def test_a_reader_who_left_or_a_full_disk_ends_nothing(tmp_path, shell):
    if "full" in shell and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    run(tmp_path, shell)
    assert (tmp_path / "done").exists()
    assert (tmp_path / "code").read_text().strip() == "0"
    assert len((tmp_path / "errors").read_bytes().splitlines()) == 4_000, "no word but its own"


def test_streams_come_back(capsys):
    before = sys.stdout, sys.stderr
    with forgiving_output():
        print("said")
        assert sys.stdout is not before[0]
    with pytest.raises(ZeroDivisionError), forgiving_output():
        1 / 0  # noqa: B018
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "said\n"


def test_a_program_without_a_terminal_prints_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with forgiving_output():
        print("nothing")


def test_a_stream_closed_meanwhile_is_no_error():
    stream = io.StringIO()
    forgiving = Forgiving(stream)
    print("x", file=forgiving)
    assert stream.getvalue() == "x\n"
    stream.close()
    print("x", file=forgiving, flush=True)


@pytest.mark.slow
def test_the_table_is_written_with_nobody_to_read_along(tiny, tmp_path, monkeypatch):
    """All of the command, with problem submissions only: they need no kernel."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    hand_in(tmp_path / "in" / "李明_1_assignsubmission_file_" / "lab77.ipynb", "")
    hand_in(tmp_path / "in" / "Ada_2_assignsubmission_file_" / "lab77.docx", "")
    monkeypatch.setattr(sys, "stdout", Broken())
    monkeypatch.setattr(sys, "stderr", Broken())
    out = tmp_path / "out"
    assert (
        main(["grade", "lab77", str(tmp_path / "in"), "--course", str(tiny["root"]), "--out", str(out)]) == 0
    )
    table = (out / "lab77.csv").read_text(encoding="utf-8-sig")
    assert "李明" in table
    assert "Ada" in table
