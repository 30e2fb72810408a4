"""Execute lessons and solutions in place, so that what is committed is what a learner would see.

    python -m authoring.execute [NOTEBOOK ...]    default: all lessons and solutions

A notebook is named by its file or by how its name begins (00, lab01). It runs top to bottom in a fresh
kernel, in its own folder, cut off from the network. Where a cell fails, or the outputs are not fit to be
committed (`authoring.check`), the file on disk stays as it was and one sentence says why.

Executing again changes only what has changed: the metadata is fixed, no times are recorded, and what
differs from run to run is settled here.

- *Widget views* are left out. A view is the random id of an object in a kernel that is gone by the time
  somebody opens the file. JupyterLab 4.6 and nbconvert then show the text/plain that stands beside the
  view, and show the same without it, so all that the view adds is noise in diffs. (nbval passes over views,
  and does compare the text/plain.) A widget in a lesson therefore needs a text/plain worth reading: give it
  a `__repr__`.
- *What stands in an Output widget*, as `interact` makes one, is saved before the widget's text: the static
  picture for readers who cannot run the explorer. It is also what nbval, which knows no widgets, will see.
- *Progress bars* say "0%" in that text, because it is written before the first step. The rules of
  tests/nbval_sanitize.cfg turn that into "[progress bar, 30 steps]", here as in the comparison.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from authoring import check, notebooks, offline

CELL_SECONDS = 300
NOTEBOOK_SECONDS = 900  # a kernel that hangs without a word must not hang the maintainer
SANITIZE_FILE = notebooks.ROOT / "tests" / "nbval_sanitize.cfg"
SANITIZE_RULE = re.compile(r"^\[(.+)\]\nregex: (.*)\nreplace: (.*)$", re.MULTILINE)
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class ExecutionFailed(Exception):
    """A notebook could not be executed; the message names the notebook, the cell and the error."""


def run(
    notebook: NotebookNode,
    folder: Path,
    cell_seconds: float = CELL_SECONDS,
    notebook_seconds: float = NOTEBOOK_SECONDS,
    on_start: Callable[[int], None] = lambda pid: None,
) -> float:
    """Execute a notebook in memory, in a kernel of this very Python.

    Args:
        notebook: changed in place: its cells get new outputs and counts.
        folder: the kernel's working directory.
        cell_seconds: the limit of a cell; the kernel is ended when it is passed.
        notebook_seconds: the same for all cells together.
        on_start: called with the kernel's process id before the first cell (the benchmark watches memory).

    Returns:
        The seconds that took.

    Raises:
        ExecutionFailed: the message starts at the cell ("cell abc123: ValueError: ...").
    """
    begin = time.monotonic()

    def seconds_left(cell: NotebookNode) -> float:  # 0 would mean "no limit" to nbclient
        return max(0.1, min(cell_seconds, begin + notebook_seconds - time.monotonic()))

    # With no folders to search, "python3" is the kernel of this very Python, whatever else the maintainer has
    # installed under that name.
    specs = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout_func=seconds_left,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=CRITICAL"],
        on_notebook_start=lambda notebook: on_start(client.km.provisioner.pid),
    )
    cells = check.code_cells(notebook)
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
    try:
        # An IPython profile of the maintainer's own must not change a lesson: the kernel gets an empty one.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            own = {"IPYTHONDIR": profile, "BACKBONES_PROGRESS": "off"}  # nor is it their progress
            asyncio.run(execute(client, offline.environment() | own))
    except CellExecutionError as error:
        reason = f"{error.ename}: {error.evalue}"
    except CellTimeoutError:
        reason = f"not done in time: {cell_seconds:g} s for a cell, {notebook_seconds:g} s for all of them"
    except RuntimeError:  # nbclient's DeadKernelError, and what it raises where the kernel does not start
        reason = "the kernel died; was there memory enough?"
    else:
        return time.monotonic() - begin
    started = client.code_cells_executed
    place = f"cell {cells[started - 1].id}" if started else "the kernel's start"
    raise ExecutionFailed(f"{place}: {reason}")


async def execute(client: NotebookClient, environment: dict[str, str]) -> None:
    """Execute the client's notebook, and meanwhile ask the kernel's shell socket for its state.

    Without this, an execution with an Output widget now and then stalls until the limit of a cell. nbclient
    tells such a widget what stands in it by sending on this socket past the event loop (`Session.send` of
    jupyter_client shadows it), while the loop waits for the reply to the cell on the same one. A sender
    takes ZeroMQ's signal for what has arrived with it, so the loop may never learn of the reply. Asking
    makes it look.
    """

    async def keep_asking() -> None:
        while True:
            await asyncio.sleep(0.5)
            if client.kc is not None:
                client.kc.shell_channel.socket.get(zmq.EVENTS)

    asking = asyncio.create_task(keep_asking())
    try:
        await client.async_execute(env=environment, cleanup_kc=True)
    finally:
        asking.cancel()


def settle(notebook: NotebookNode) -> None:
    """Take out, in place, whatever differs from one execution to the next: see the top of this file."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    notebook.metadata = nbformat.from_dict(check.NOTEBOOK_METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {key: value for key, value in cell.metadata.items() if key in check.CELL_METADATA}
        )
        if cell.cell_type != "code":
            continue
        cell.outputs = merge_streams(
            [plain for output in cell.outputs for plain in without_widget(output, state)]
        )


def without_widget(output: NotebookNode, state: dict) -> list[NotebookNode]:
    """An output for readers without a kernel: what stands in a widget, then the widget's text in its place.

    In this order because `interact` first calls its function and then shows the widget, as nbval sees it.

    Args:
        output: of a cell.
        state: the widgets that the kernel made: {model id: {"state": {...}}}.
    """
    data = output.get("data", {})
    view = data.pop(WIDGET_VIEW, None)
    if view is None:
        return [output]
    for rule in ("progress-bar", "explorer"):
        data["text/plain"] = sanitize(data["text/plain"], only=rule)
    return [*contents(view["model_id"], state), output]


def contents(model_id: str, state: dict) -> list[NotebookNode]:
    """What a widget and its children show by Output widgets, as `interact` does."""
    model = state.get(model_id.removeprefix("IPY_MODEL_"), {}).get("state", {})
    if model.get("_model_name") == "OutputModel":
        return [nbformat.from_dict(output) for output in model.get("outputs", [])]
    return [output for child in model.get("children", []) for output in contents(child, state)]


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream: where a kernel cuts it depends on the time.

    nbclient's own `coalesce_streams` also joins pieces that a picture separates: the text would move past it.
    """
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" == last.get("output_type") and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def sanitize(text: str, only: str | None = None) -> str:
    """The text as nbval compares it: tests/nbval_sanitize.cfg applied, or `only` one rule of it."""
    for name, pattern, replacement in SANITIZE_RULE.findall(SANITIZE_FILE.read_text(encoding="utf-8")):
        if only in (None, name):
            text = re.sub(pattern, replacement, text)
    return text


def execute_in_place(path: Path, cell_seconds: float = CELL_SECONDS) -> str:
    """Execute one notebook and write it back, unless something is wrong with it.

    Returns:
        A sentence with the seconds that took.

    Raises:
        ExecutionFailed: the file is then as it was.
    """
    name = notebooks.display_name(path)
    notebook = nbformat.read(path, as_version=4)
    try:
        seconds = run(notebook, path.parent, cell_seconds)
    except ExecutionFailed as error:
        raise ExecutionFailed(f"{name} was left as it was: {error}") from None
    settle(notebook)
    if problems := list(check.output_problems(notebook)):
        raise ExecutionFailed(
            f"{name} was left as it was, its outputs cannot be committed: " + "; ".join(problems)
        )
    nbformat.validate(notebook)
    # A reader, or a crash, sees the old file or the new one, never half of one.
    fresh = path.with_name(f".{path.name}.new")
    nbformat.write(notebook, fresh)
    os.replace(fresh, path)
    return f"{name}: executed in {seconds:.0f} s"


def main(arguments: list[str] | None = None) -> int:
    """Execute the notebooks named, or all; return 1 when any was left as it was."""
    parser = argparse.ArgumentParser(
        prog="python -m authoring.execute", description="Execute lessons and solutions in place."
    )
    notebooks.add_argument(parser)
    paths = parser.parse_args(arguments).notebook or notebooks.every_notebook()
    failed = False
    for path in paths:
        try:
            print(execute_in_place(path), flush=True)
        except ExecutionFailed as error:
            print(error, file=sys.stderr, flush=True)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
