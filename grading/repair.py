"""Make a notebook fit to be graded, or say what is wrong with it.

Of what was handed in only the text of the cells counts. All else (metadata, points, outputs, test cells) is
the lab's own, so that a damaged or edited notebook can neither stop nbgrader nor change the rules.
"""

import copy
import json
from collections import Counter
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell
from nbgrader.utils import is_grade, is_solution

MAX_MEGABYTES = 20  # a lab with its pictures has about one


class Ungradable(Exception):
    """This file cannot be graded; the text is a sentence for the student."""


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of any version from a stranger.

    Raises:
        Ungradable: for everything that is not a notebook with cells.
    """
    megabytes = path.stat().st_size / 1e6
    if megabytes > MAX_MEGABYTES:
        raise Ungradable(
            f"the file has {megabytes:.0f} MB, more than the {MAX_MEGABYTES} MB allowed: in JupyterLab "
            "choose Edit > Clear Outputs of All Cells, save, and hand it in again."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        if not text.strip():
            raise Ungradable("the file is empty: save the notebook in JupyterLab and hand it in again.")
        json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, or not JSON
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Ungradable(
            f"the file is damaged{where} and does not open as a notebook: download it from JupyterLab again "
            "(File > Download), check that it opens, and hand it in again."
        ) from error
    try:
        notebook = nbformat.reads(text, as_version=4)
        cells = [plain_cell(cell, number) for number, cell in enumerate(notebook.cells)]
    except Exception as error:  # nbformat has no one error for "this is some other JSON"
        raise Ungradable(
            "the file is not a Jupyter notebook: hand in the .ipynb file that you worked on in JupyterLab."
        ) from error
    if not cells:
        raise Ungradable("the notebook has no cells: hand in the lab's notebook with your answers.")
    return notebook


def grade_id(cell: NotebookNode) -> str | None:
    """The id that nbgrader knows this cell by, None for a cell that nbgrader leaves alone."""
    nbgrader = cell.metadata.get("nbgrader")
    key = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return key if isinstance(key, str) else None


def plain_cell(cell: NotebookNode, number: int) -> NotebookNode:
    """A cell with the text of `cell` and nothing else."""
    new = {"code": new_code_cell, "markdown": new_markdown_cell}.get(cell.cell_type, new_raw_cell)
    return new(cell.source, id=f"handed-in-{number}")


def prepare(path: Path, release: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The notebook that nbgrader grades: the student's text in the lab's cells.

    A cell that exists twice counts where it stands last; a deleted test or free-text cell comes back.

    Args:
        path: what was handed in.
        release: the learner's version of the lab.

    Returns:
        The notebook, and a sentence for each thing that the student should put right.

    Raises:
        Ungradable: where there is nothing to grade.
    """
    lab_cells = {key: cell for cell in release.cells if (key := grade_id(cell))}
    graded = [key for key, cell in lab_cells.items() if is_grade(cell) or is_solution(cell)]
    handed_in = read_notebook(path).cells
    counts = Counter(key for cell in handed_in if (key := grade_id(cell)) in lab_cells)
    if not any(counts[key] for key in graded):
        raise Ungradable(
            f"none of the lab's {len(graded)} graded cells is in the notebook: is it another lab's, or were "
            "the answers copied into a new one? Work in the lab's own notebook and hand that in."
        )

    cells: list[NotebookNode] = []
    to_come = counts.copy()
    for number, cell in enumerate(handed_in):
        key = grade_id(cell)
        to_come[key] -= 1
        if key not in lab_cells or to_come[key] > 0:
            cells.append(plain_cell(cell, number))
        else:
            cells.append(copy.deepcopy(lab_cells[key]))
            if is_solution(lab_cells[key]):
                cells[-1].source = cell.source
            if is_grade(cells[-1]) and is_solution(cells[-1]) and cell.get("attachments"):
                cells[-1].attachments = cell.attachments  # pictures in a free-text answer

    # Deleted cells come back in front of their successors, the last one first so that its successor is there.
    # (nbgrader's own add_missing_cells fails when the cell before is missing too.) A deleted answer stays
    # away: its stub would replace the answer if that now stands in a cell of the student's own.
    keys = list(lab_cells)
    for place, key in reversed(list(enumerate(keys))):
        if counts[key] or (is_solution(lab_cells[key]) and not is_grade(lab_cells[key])):
            continue
        later = keys[place + 1 :]
        spot = next((i for i, cell in enumerate(cells) if grade_id(cell) in later), len(cells))
        cells.insert(spot, copy.deepcopy(lab_cells[key]))

    notes = []
    if doubled := ", ".join(key for key in graded if counts[key] > 1):
        notes.append(
            f"these cells are in the notebook more than once: {doubled}. Only the last of each was graded; "
            "delete the others (to keep an old version, copy its text, not the cell)."
        )
    if missing := ", ".join(key for key in graded if not counts[key]):
        notes.append(
            f"these cells of the lab were deleted: {missing}. Take a fresh copy of the lab, paste your "
            "answers into its cells and hand that in."
        )
    if notes:
        text = "\n".join(["**From the grading:**", "", *(f"- {note}" for note in notes)])
        cells.insert(0, new_markdown_cell(text, id="from-the-grading"))

    notebook = copy.deepcopy(release)
    notebook.cells = cells
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise Ungradable(f"a cell of the notebook is damaged: {str(error).splitlines()[0]}.") from error
    return notebook, notes
