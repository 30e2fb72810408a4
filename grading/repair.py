"""Make a notebook fit to be graded, or say what is wrong with it.

Of what was handed in only the text of the cells counts. All else (metadata, points, outputs, test cells) is
the lab's own, so that a damaged or edited notebook can neither stop nbgrader nor change the rules. So a
notebook need not be valid: whatever Jupyter, Colab or an old version made of it, cells with text are enough.
"""

import copy
import json
import re
from collections import Counter
from collections.abc import Container
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from grading.content import HEAD, SENTENCES, decode, kind

MAX_MEGABYTES = 20  # a lab with its pictures has about one


class Ungradable(Exception):
    """This file cannot be graded; the text is a sentence for the student."""


def read_notebook(path: Path) -> list[NotebookNode]:
    """The cells of a notebook of any version from a stranger: type, source, metadata, id and attachments.

    Raises:
        Ungradable: for everything that is not a notebook with cells.
    """
    try:
        megabytes = path.stat().st_size / 1e6
        data = path.read_bytes() if megabytes <= MAX_MEGABYTES else b""
    except OSError as error:
        raise Ungradable(f"the file cannot be read on the grading machine: {error.strerror}.") from error
    if megabytes > MAX_MEGABYTES:
        raise Ungradable(
            f"the file has {megabytes:.0f} MB, more than the {MAX_MEGABYTES} MB allowed: in JupyterLab "
            "choose Edit > Clear Outputs of All Cells, save, and hand it in again."
        )
    content = read_json(data)
    if kind(data[:HEAD]) == "shortcut":
        raise Ungradable(SENTENCES["shortcut"])
    found = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(found, list):
        sheets = content.get("worksheets") if isinstance(content, dict) else None  # before version 4
        sheets = [sheet for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else None
        found = None if sheets is None else [cell for sheet in sheets for cell in listed(sheet.get("cells"))]
    cells = None if found is None else [read_cell(cell) for cell in found if isinstance(cell, dict)]
    if cells is None or (found and not cells):
        raise Ungradable(
            "the file is not a Jupyter notebook: hand in the .ipynb file that you worked on in JupyterLab."
        )
    if not cells:
        raise Ungradable("the notebook has no cells: hand in the lab's notebook with your answers.")
    return cells


def read_json(data: bytes) -> object:
    """What a file holds as JSON.

    Raises:
        Ungradable: with the sentence for what the file is instead.
    """
    try:
        return json.loads(decode(data).strip("\ufeff \t\r\n\0"))
    except RecursionError as error:
        raise Ungradable(
            "the file is nested too deeply to be read: in JupyterLab choose Edit > Clear Outputs of All "
            "Cells, save, check that it opens again, and hand it in again."
        ) from error
    except ValueError as error:
        what = kind(data[:HEAD], data[HEAD:])
        if what not in ("notebook", "other") or not data:
            raise Ungradable(SENTENCES[what]) from error
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Ungradable(
            f"the file is damaged{where} and does not open as a notebook: download it from JupyterLab again "
            "(File > Download), check that it opens, and hand it in again."
        ) from error


def listed(value: object) -> list:
    return value if isinstance(value, list) else []


def whole(text: str) -> str:
    """`text` with � for halves of characters (lone surrogates), which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_cell(cell: dict) -> NotebookNode:
    """A cell with what grading looks at, whatever was there."""
    source = cell.get("source", cell.get("input"))  # "input" before version 4
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    source = whole(source) if isinstance(source, str) else ""
    cell_type = cell.get("cell_type")
    if cell_type == "heading":  # before version 4
        level = cell.get("level")
        source = f"{'#' * (level if level in range(1, 7) else 1)} {source}"
        cell_type = "markdown"
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    nbgrader = metadata.get("nbgrader")
    key = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    new = NotebookNode(
        cell_type=cell_type if cell_type in ("code", "markdown") else "raw",
        source=source.replace("\r\n", "\n"),
        metadata=NotebookNode(nbgrader=NotebookNode(grade_id=key)),
        # Colab moves a cell's id into its metadata.
        ids=[one for one in (cell.get("id"), metadata.get("id")) if isinstance(one, str)],
    )
    if pictures := read_attachments(cell.get("attachments")):
        new.attachments = pictures
    return new


def read_attachments(found: object) -> dict[str, dict[str, str]]:
    """Pictures in a text cell, without what is none: by name and type, in base 64."""
    pictures = {}
    for name, types in found.items() if isinstance(found, dict) else ():
        types = types if isinstance(types, dict) else {}
        if good := {whole(key): whole(value) for key, value in types.items() if isinstance(value, str)}:
            pictures[whole(name)] = good
    return pictures


def is_grade(cell: NotebookNode) -> bool:
    """Does this cell of the lab give points? (nbgrader's own function; importing that takes seconds)"""
    return bool(cell.metadata.get("nbgrader", {}).get("grade", False))


def is_solution(cell: NotebookNode) -> bool:
    """Is this cell of the lab an answer?"""
    return bool(cell.metadata.get("nbgrader", {}).get("solution", False))


def grade_id(cell: NotebookNode) -> str | None:
    """The id that nbgrader knows this cell by, None for a cell that nbgrader leaves alone."""
    nbgrader = cell.metadata.get("nbgrader")
    key = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return key if isinstance(key, str) else None


def recognize(handed_in: list[NotebookNode], release: NotebookNode, keys: Container[str]) -> list[str | None]:
    """Which of the lab's cells each cell of a notebook is: nbgrader's id in the lab, or None.

    A tool may have lost nbgrader's metadata. A cell of the lab that no metadata names is then known by the
    cell's own id, which notebooks have since format 4.5.
    """
    names = [key if (key := grade_id(cell)) in keys else None for cell in handed_in]
    by_id = {cell.id: key for cell in release.cells if (key := grade_id(cell)) and key not in names}
    for number, cell in enumerate(handed_in):
        if grade_id(cell) is None:
            names[number] = next((by_id[one] for one in cell.ids if one in by_id), None)
    return names


def title(cells: list[NotebookNode]) -> str:
    """The first heading, without its mark; "" where there is none."""
    for cell in cells:
        if cell.cell_type == "markdown" and (
            found := re.search(r"^#+ +(.+?)[ #]*$", cell.source, re.MULTILINE)
        ):
            return found[1][:80]
    return ""


def another_title(handed_in: list[NotebookNode], release: NotebookNode) -> str:
    """What to do about a notebook without any graded cell of the lab."""
    theirs, ours = title(handed_in), title(release.cells)
    if theirs and ours and theirs != ours:
        return f"it is another one, {theirs!r}, and not {ours!r}. Hand in the lab's own notebook."
    return (
        "is it another lab's, or were the answers copied into a new one? Work in the lab's own notebook and "
        "hand that in."
    )


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
    handed_in = read_notebook(path)
    names = recognize(handed_in, release, lab_cells)
    counts = Counter(key for key in names if key)
    # Labs share some names ("explain"): where most are another lab's, this is not a lab with deleted cells.
    foreign = sum(grade_id(cell) not in (None, *lab_cells) for cell in handed_in)
    if not any(counts[key] for key in graded) or foreign > counts.total():
        advice = another_title(handed_in, release)
        none = "none" if not counts else "few"
        raise Ungradable(f"{none} of the lab's {len(graded)} graded cells are in the notebook: {advice}")

    cells: list[NotebookNode] = []
    to_come = counts.copy()
    for number, (cell, key) in enumerate(zip(handed_in, names, strict=True)):
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
