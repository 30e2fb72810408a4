"""Executing a notebook in place: what is written is stable, true, and compared by nbval."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import toys
from jupytext.cli import jupytext

from authoring import check, execute, notebooks

pytestmark = pytest.mark.slow  # a kernel starts in most of them

TOY = toys.code(
    "import io, sys, time\nimport ipywidgets as widgets\nfrom tqdm.auto import tqdm",
    "print('one')\nsys.stdout.flush()\ntime.sleep(0.3)\nprint('≈', time.time())",
    "for step in tqdm(range(30), desc='fit'):\n    pass",
    "class Explorer(widgets.VBox):\n    def __repr__(self):\n        return 'Run this cell.'\n\nExplorer()",
    "from pathlib import Path\n\nprint(Path('neighbor.txt').read_text())",
    "@widgets.interact(k=(1, 5))\ndef double(k=2):\n    print('twice', k)\n    display(k * 2)",
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy after one execution from the command line."""
    path = toys.write(TOY, tmp_path_factory.mktemp("executed") / "toy.ipynb")
    path.with_name("neighbor.txt").write_text("found", encoding="utf-8")
    assert execute.main([str(path)]) == 0
    return path


def outputs(path: Path) -> list[list]:
    return [cell.outputs for cell in nbformat.read(path, as_version=4).cells]


def test_executed_notebook_can_be_committed(executed: Path) -> None:
    assert check.check(executed) == []
    assert [path.name for path in executed.parent.iterdir() if path.name.startswith(".")] == []


def test_pieces_of_one_stream_are_joined(executed: Path) -> None:
    (stream,) = outputs(executed)[1]  # the kernel sends two
    assert stream.text.startswith("one\n≈ ")


def test_bars_and_widgets_read_well_without_a_kernel(executed: Path) -> None:
    bar, explorer = outputs(executed)[2][0], outputs(executed)[3][0]
    assert dict(bar.data) == {"text/plain": "fit: [progress bar, 30 steps]"}
    assert dict(explorer.data) == {"text/plain": "Run this cell."}


def test_an_explorer_is_saved_with_what_it_shows_first(executed: Path) -> None:
    stream, shown, explorer = outputs(executed)[5]
    assert dict(explorer.data) == {"text/plain": "[explorer: run this notebook to operate it]"}
    assert stream.text == "twice 2\n"
    assert shown.data == {"text/plain": "4"}


def test_the_working_directory_is_the_notebooks_folder(executed: Path) -> None:
    assert outputs(executed)[4][0].text == "found\n"


def test_what_is_executed_here_is_not_somebodys_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKBONES_PROGRESS")
    toy = toys.code("import os; print(os.environ['BACKBONES_PROGRESS'])")
    execute.run(toy, notebooks.ROOT)
    assert toy.cells[0].outputs[0].text == "off\n"


def test_executing_again_changes_only_what_changed(executed: Path) -> None:
    before = execute.sanitize(executed.read_text(encoding="utf-8"))
    raw = executed.read_bytes()
    execute.execute_in_place(executed)
    assert executed.read_bytes() != raw  # the time printed after the sign
    assert execute.sanitize(executed.read_text(encoding="utf-8")) == before


def test_text_does_not_move_past_a_picture() -> None:
    first, second = (nbformat.v4.new_output("stream", name="stdout", text=text) for text in "ab")
    kept = execute.merge_streams([first, toys.figure(), second])
    assert [output.output_type for output in kept] == ["stream", "display_data", "stream"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0", "cell toy-1: ZeroDivisionError: division by zero"),
        ("import os\n\nos._exit(3)", "cell toy-1: the kernel died"),
        ("import time\n\ntime.sleep(60)", "cell toy-1: not done in time: 2 s for a cell"),
        ("import urllib.request\n\nurllib.request.urlopen('https://example.org')", "reaches for the network"),
        ("import sys\n\nprint('hm', file=sys.stderr)", "writes to stderr: 'hm'"),
        ("import sys\n\nprint(sys.prefix + '/lib/site-packages')", "exists on one machine only"),
    ],
)
def test_a_failing_notebook_stays_as_it_was(source: str, words: str, tmp_path: Path) -> None:
    path = toys.write(toys.code("x = 1", source), tmp_path / "toy.ipynb")
    before = path.read_bytes()
    with pytest.raises(execute.ExecutionFailed, match=r"^toy.ipynb was left as it was") as failure:
        execute.execute_in_place(path, cell_seconds=2 if "sleep" in source else 60)
    assert words in str(failure.value)
    assert path.read_bytes() == before


def test_the_command_says_what_failed_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_for_bad(path: Path) -> str:
        if path.stem == "bad":
            raise execute.ExecutionFailed("bad.ipynb: why")
        return "good.ipynb: fine"

    monkeypatch.setattr(execute, "execute_in_place", fail_for_bad)
    paths = [str(toys.write(toys.code("1"), tmp_path / f"{name}.ipynb")) for name in ("bad", "good")]
    assert execute.main(paths) == 1
    assert capsys.readouterr() == ("good.ipynb: fine\n", "bad.ipynb: why\n")


def test_the_whole_notebook_has_a_limit_too() -> None:
    with pytest.raises(execute.ExecutionFailed, match=r"cell toy-0: not done in time: .* 3 s for all"):
        execute.run(toys.code("import time\n\ntime.sleep(60)"), Path.cwd(), notebook_seconds=3)


def test_a_notebook_edited_as_text_keeps_its_ids_tags_and_outputs(executed: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(executed, as_version=4)
    notebook.cells[1].metadata.tags = ["nbval-ignore-output"]
    path = toys.write(notebook, tmp_path / "toy.ipynb")
    text = path.with_suffix(".py")
    jupytext(["--quiet", "--to", "py:percent", str(path), "-o", str(text)])
    source = text.read_text(encoding="utf-8")
    assert "desc='fit'" in source
    text.write_text(source.replace("desc='fit'", "desc='train'"), encoding="utf-8")
    jupytext(["--quiet", "--to", "ipynb", "--update", "--output", str(path), str(text)])
    after = nbformat.read(path, as_version=4)
    assert [cell.id for cell in after.cells] == [cell.id for cell in notebook.cells]
    assert after.cells[1].metadata.tags == ["nbval-ignore-output"]
    assert after.cells[3].outputs == notebook.cells[3].outputs
    assert "desc='train'" in after.cells[2].source


def test_nbval_compares_what_is_committed(executed: Path, tmp_path: Path) -> None:
    """Unchanged passes, changed output fails, a cell without a count passes: `check` must find that."""
    (tmp_path / "neighbor.txt").write_text("found", encoding="utf-8")
    for name in ("same", "changed", "uncounted"):
        notebook = nbformat.read(executed, as_version=4)
        if name != "same":
            notebook.cells[4].outputs[0].text = "lost\n"
        if name == "uncounted":
            notebook.cells[4].update(execution_count=None, outputs=[])
        toys.write(notebook, tmp_path / f"{name}.ipynb")
    toys.write(toys.code("1 / 0"), tmp_path / "labs" / "lab.ipynb")
    toys.write(toys.code("1 / 0"), tmp_path / "tests" / "fixture.ipynb")
    # The course's own rules for what is collected.
    (tmp_path / "conftest.py").write_text((notebooks.ROOT / "conftest.py").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-n0", "--rootdir", tmp_path, "-c", os.devnull]
    command += ["-p", "no:cacheprovider", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=60"]
    command += ["--nbval-sanitize-with", execute.SANITIZE_FILE, tmp_path]
    environment = {**os.environ, "PYTHONPATH": f"{notebooks.ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1, done.stdout
    assert "changed.ipynb::Cell 4" in failed[0]
    assert "lost" in done.stdout
    assert "17 passed" in done.stdout, done.stdout  # 3 x 6 cells - 1; none of labs/ or tests/
    assert any("execution count None" in problem for problem in check.check(tmp_path / "uncounted.ipynb"))
