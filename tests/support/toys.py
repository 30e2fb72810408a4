"""Small notebooks for the tests of the notebook tools; made here, never committed as files under tests/."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from authoring import check

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTBR4wAAAABJRU5ErkJggg=="


def lesson() -> NotebookNode:
    """A notebook in which `authoring.check` finds nothing wrong."""
    opening = "# Toy\n\n**Question.** Is it?\n\n**Goals.** See.\n\n**Prerequisites.** None.\n\n**Minutes.** 1"
    return notebook(
        new_markdown_cell(opening),
        new_code_cell("x = 1", execution_count=1),
        new_markdown_cell("**Predict before you run.** Which number will it be?"),
        new_code_cell(
            "print(x)", execution_count=2, outputs=[new_output("stream", name="stdout", text="1\n")]
        ),
        new_code_cell("show(x)", execution_count=3, outputs=[figure()]),
        new_markdown_cell("## Self-check\n\nWas it?\n\n## Takeaways\n\nIt was."),
        new_markdown_cell("## References\n\nA. Turing, 1950, <https://doi.org/10.1093/mind/LIX.236.433>"),
    )


def figure() -> NotebookNode:
    """An output with a picture, as lessons show them."""
    data = {"image/png": PIXEL, "text/plain": "Figure: a dot"}
    return new_output("display_data", data=data, metadata={"image/png": {"alt": "a black dot"}})


def notebook(*cells: NotebookNode) -> NotebookNode:
    """A notebook of these cells with the course's metadata; ids are toy-0, toy-1, ..."""
    for number, cell in enumerate(cells):
        cell["id"] = f"toy-{number}"
    return new_notebook(cells=list(cells), metadata=nbformat.from_dict(check.NOTEBOOK_METADATA))


def code(*sources: str) -> NotebookNode:
    """A notebook of code cells that have not been executed."""
    return notebook(*(new_code_cell(source) for source in sources))


def write(notebook: NotebookNode, path: Path) -> Path:
    """Write a notebook as it is, right or wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.v4.writes(notebook), encoding="utf-8")
    return path
