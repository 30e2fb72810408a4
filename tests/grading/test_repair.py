"""Notebooks that Jupyter opens, or opened once: their cells count, whatever else is wrong with them."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from grading_samples import cell_of, hand_in
from nbformat import NotebookNode

from authoring.notebooks import ROOT
from grading.labs import find_labs
from grading.repair import Ungradable, grade_id, is_solution, prepare, whole

Change = Callable[[dict[str, Any]], Any]
OWN = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
RESULT = {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {}}


def plain(notebook: NotebookNode) -> dict[str, Any]:
    return json.loads(json.dumps(notebook))


def as_version_3(book: dict[str, Any]) -> None:
    """What nbformat 3 had: worksheets, `input`, headings, no ids."""
    cells = book.pop("cells")
    for cell in cells:
        del cell["id"]
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
            cell |= {"language": "python", "collapsed": False, "prompt_number": 1}
    cells.insert(0, {"cell_type": "heading", "level": 2, "metadata": {}, "source": "My work"})
    book |= {"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells, "metadata": {}}]}


def every(change: Callable[[dict[str, Any]], Any]) -> Change:
    """`change` made to every cell of a notebook."""
    return lambda book: [change(cell) for cell in book["cells"]]


CHANGES: dict[str, Change] = {
    "own cell without source": lambda book: book["cells"].append(OWN),
    "own cell with source null": lambda book: book["cells"].append({**OWN, "source": None}),
    "source of a wrong type": lambda book: book["cells"].append({**OWN, "source": 3}),
    "own cell without anything": lambda book: book["cells"].append({}),
    "a cell that is none": lambda book: book["cells"].append("print(1)"),
    "unknown type of cell": lambda book: book["cells"].append({**OWN, "cell_type": "sql", "source": "x"}),
    "source as a list": every(lambda cell: cell.update(source=cell["source"].splitlines(keepends=True))),
    "CRLF": every(lambda cell: cell.update(source=cell["source"].replace("\n", "\r\n"))),
    "lone surrogate in an own cell": lambda book: book["cells"].append({**OWN, "source": "s = '\ud83d'"}),
    "lone surrogate in an output": lambda book: book["cells"][2].update(outputs=["\ud83d"]),
    "version 3": as_version_3,
    "version 4.0": lambda book: book.update(nbformat_minor=0, nbformat=4),
    "version of the future": lambda book: book.update(nbformat=5, nbformat_minor=9),
    "version of a wrong type": lambda book: book.update(nbformat="4"),
    "no version": lambda book: [book.pop("nbformat"), book.pop("nbformat_minor")],
    "no metadata": lambda book: book.pop("metadata"),
    "metadata of a wrong type": lambda book: book.update(metadata=[1]),
    "kernel of another language": lambda book: book.update(metadata={"kernelspec": {"name": "ir"}}),
    "no ids": every(lambda cell: cell.pop("id")),
    "one id for all": every(lambda cell: cell.update(id="x")),
    "ids of a wrong type": every(lambda cell: cell.update(id=[1])),
    "lost metadata": every(lambda cell: cell.update(metadata={})),
    "no cell metadata": every(lambda cell: cell.pop("metadata")),
    "cell metadata of a wrong type": every(lambda cell: cell.update(metadata="{}")),
    "as Colab saves it": every(lambda cell: cell.update(metadata={"id": cell.pop("id"), "colab": {}})),
    "nbgrader metadata of a wrong type": every(lambda cell: cell["metadata"].update(nbgrader=[1])),
    "outputs null": every(lambda cell: cell.update(outputs=None)),
    "outputs of a wrong type": every(lambda cell: cell.update(outputs={"text": 1})),
    "output metadata a list": lambda book: book["cells"][2].update(outputs=[{**RESULT, "metadata": []}]),
    "NaN in an output": lambda book: book["cells"][2].update(outputs=[{**RESULT, "data": float("nan")}]),
    "deep metadata": lambda book: book["cells"][2]["metadata"].update(nbgrader_x=nested(400)),
    "attachments of a wrong type": every(lambda cell: cell.update(attachments=[1])),
    "attachments that are none": every(lambda cell: cell.update(attachments={"a": 1, "b": {"image/png": 2}})),
}


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_answers_count_whatever_else_is_wrong(tiny, tmp_path, change):
    book = plain(tiny["right"])
    change(book)
    path = tmp_path / "lab77.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    prepared, notes = prepare(path, tiny["stubs"])
    assert notes == []
    for cell in tiny["right"].cells:
        if key := grade_id(cell):
            twin = cell_of(prepared, key)
            expected = cell if is_solution(cell) else cell_of(tiny["stubs"], key)
            assert twin.source == expected.source
            assert twin.metadata == cell_of(tiny["stubs"], key).metadata
    nbformat.validate(prepared)
    nbformat.writes(prepared).encode()  # no half of a character in it


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_the_answers_count_in_any_encoding(tiny, tmp_path, encoding):
    path = tmp_path / "lab77.ipynb"
    text = json.dumps(tiny["right"], ensure_ascii=False, indent=1).replace("Because", "Because ≤ 💡")
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    prepared, notes = prepare(path, tiny["stubs"])
    assert notes == []
    assert "≤ 💡" in cell_of(prepared, "why").source


def test_one_damaged_letter_costs_nothing(tiny, tmp_path):
    path = tmp_path / "lab77.ipynb"
    text = json.dumps(tiny["right"], ensure_ascii=False).replace("Because", "Grün, because")
    path.write_bytes(text.encode("cp1252"))
    prepared, notes = prepare(path, tiny["stubs"])
    assert notes == []
    assert "because" in cell_of(prepared, "why").source


def test_ids_count_only_where_metadata_says_nothing(tiny, tmp_path):
    """A copied cell has the metadata of the one it was copied from, and in some tools its id as well."""
    book = plain(tiny["right"])
    lost = {"cell_type": "code", "id": "double", "metadata": {}, "source": "raise SystemExit"}
    foreign = {**lost, "metadata": {"nbgrader": {"grade_id": "another lab's"}}}
    book["cells"] += [lost, foreign]
    prepared, notes = prepare(hand_in(tmp_path / "lab77.ipynb", book), tiny["stubs"])
    assert notes == []
    assert cell_of(prepared, "double").source == cell_of(tiny["right"], "double").source
    book["cells"] = [
        cell for cell in book["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") != "double"
    ]
    prepared, notes = prepare(hand_in(tmp_path / "lab77.ipynb", book), tiny["stubs"])
    assert notes == []
    assert cell_of(prepared, "double").source == "raise SystemExit"


def test_lost_metadata_and_one_id_twice_is_a_doubled_cell(tiny, tmp_path):
    book = plain(tiny["right"])
    every(lambda cell: cell.update(metadata={}))(book)
    book["cells"].insert(0, {**book["cells"][1], "source": "old"})
    prepared, notes = prepare(hand_in(tmp_path / "lab77.ipynb", book), tiny["stubs"])
    assert "more than once: double" in notes[0]
    assert cell_of(prepared, "double").source == cell_of(tiny["right"], "double").source


def test_ids_name_the_graded_cells_of_every_lab(tmp_path):
    """What the rescue of lost metadata rests on."""
    for lab in find_labs(ROOT):
        release = nbformat.read(ROOT / "labs" / lab.folder.name / lab.source.name, as_version=4)
        bare = copy.deepcopy(release)
        for cell in bare.cells:
            cell.metadata = {}
        prepared, notes = prepare(hand_in(tmp_path / "x.ipynb", bare), release)
        assert notes == []
        found = [(grade_id(cell), cell.source) for cell in prepared.cells]
        assert found == [(grade_id(cell), cell.source) for cell in release.cells]


# --- broken ones, each with its own sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty: save the notebook"),
        (b"\xef\xbb\xbf", "the file is empty: save the notebook"),
        (b"\0" * 5000, "the file is empty: save the notebook"),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "the file is a web page"),
        (b"book\0\0\0\0mark\0\0\0\0", "only points to a notebook"),
        (b"[InternetShortcut]\nURL=https://colab.example", "only points to a notebook"),
        (b'{"url": "https://drive.example/x", "doc_id": "1", "email": "x"}', "only points to a notebook"),
        (b"version https://git-lfs.example/spec/v1\noid sha256:0\n", "a placeholder of git LFS"),
        (b'{\n "cells": [\n<<<<<<< HEAD\n  1\n=======\n  2\n>>>>>>> main\n ]}', "holds the conflict"),
        (b"PK\x03\x04" + b"\0" * 50, "is a zip with another name"),
        (b"%PDF-1.4", "is a PDF"),
        (b"# %% [markdown]\n# Lab 1\n# %%\nimport torch", "is a Python script"),
        (b'{"nbformat": 4, "cells": [{"source": "a', "the file is damaged (line 1)"),
        (b"not at all", "the file is damaged (line 1)"),
        (b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"cells": {"a": 1}}', "not a Jupyter notebook"),
        (b'{"worksheets": [{"cells": []}]}', "has no cells"),
        (b'{"worksheets": 3}', "not a Jupyter notebook"),
        (b'{"cells": [' + b"1" * 5000 + b"]}", "the file is damaged"),
    ],
)
def test_what_is_broken_has_a_sentence_that_says_what_to_do(tiny, tmp_path, content, sentence):
    path = tmp_path / "lab77.ipynb"
    path.write_bytes(content)
    with pytest.raises(Ungradable, match=re.escape(sentence)) as caught:
        prepare(path, tiny["stubs"])
    assert re.search(r"\bhand (?:it|that|the|in)\b", str(caught.value))


def test_a_file_that_went_away_is_no_crash(tiny, tmp_path):
    with pytest.raises(Ungradable, match="cannot be read on the grading machine"):
        prepare(tmp_path / "gone.ipynb", tiny["stubs"])


@pytest.mark.parametrize("other", ["lab02_convolution_and_pooling", "lab09_pretrained_text_backbones"])
def test_another_lab_is_named_though_labs_share_names_of_cells(other):
    (path,) = (ROOT / "labs" / other).glob("*.ipynb")
    release = nbformat.read(next((ROOT / "labs").glob("lab01*/*.ipynb")), as_version=4)
    with pytest.raises(Ungradable, match=rf"'Lab {other[3:5]} · .*', and not 'Lab 01 · Feature extraction'"):
        prepare(path, release)


def test_a_lesson_in_place_of_the_lab_is_named():
    release = nbformat.read(next((ROOT / "labs").glob("lab01*/*.ipynb")), as_version=4)
    lesson = next(iter(sorted((ROOT / "notebooks").glob("01_*.ipynb"))))
    with pytest.raises(Ungradable, match=r"it is another one, '.+', and not 'Lab 01"):
        prepare(Path(lesson), release)


def test_whole_keeps_every_character_but_halves():
    assert whole("a💡\ud83d\ude00é\ud83d") == "a💡😀é�"
