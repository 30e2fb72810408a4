"""What was handed in by zip, and what a file is: contained, named, and nobody lost."""

import io
import json
import os
import stat
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from grading_samples import hand_in
from nbformat.v4 import new_code_cell, new_notebook

from grading import unpack
from grading.collect import Collected, collect
from grading.content import SENTENCES, kind, kind_of_file, split_name
from grading.labs import CourseError, Lab

LAB = Lab(Path("solutions/lab01_feature_extraction"), "lab01")
NOTEBOOK = json.dumps(new_notebook(cells=[new_code_cell("answer = 1")]))
ADA = "Ada Lovelace_1_assignsubmission_file_"
EVE = "Eve_2_assignsubmission_file_"


def make_zip(
    files: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED, month: int = 11
) -> bytes:
    """A zip with these names and contents."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, month, 20, 10, 0, 0)), content, compression)
    return data.getvalue()


def read(tmp_path: Path, content: bytes) -> Collected:
    """Collect from a zip, and see that nothing appears but in the folder for it."""
    tmp_path.mkdir(exist_ok=True)
    source, into = tmp_path / "export.zip", tmp_path / "a" / "unpacked"
    source.write_bytes(content)
    into.mkdir(parents=True)
    outside = {path for path in tmp_path.rglob("*") if not path.is_relative_to(into)}
    result = collect(source, LAB, into)
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(into)} == outside
    assert all(path.name.isalnum() and not path.is_symlink() for path in into.rglob("*"))
    return result


def rows(result: Collected) -> dict[str, str | None]:
    """By name, the problem, or None where there is a notebook with the right content."""
    for one in result.submissions.values():
        assert (one.path is None) == (one.problem is not None)
        assert one.path is None or one.path.read_text(encoding="utf-8") == NOTEBOOK
    return {one.name: one.problem for one in result.submissions.values()}


@pytest.mark.parametrize(
    "files",
    [
        {f"{ADA}/lab01.ipynb": NOTEBOOK, f"{EVE}/lab01.ipynb": NOTEBOOK},
        {f"CS 101/{ADA}/lab01.ipynb": NOTEBOOK, f"CS 101/{EVE}/lab01.ipynb": NOTEBOOK},
        {f"{ADA}/lab01.zip": make_zip({"lab01.ipynb": NOTEBOOK}), f"{EVE}\\lab01.ipynb": NOTEBOOK},
        {
            f"{ADA}/Lab.ZIP": make_zip({"my work/lab01.ipynb": NOTEBOOK, "x/data.csv": "1"}),
            f"{EVE}/a": NOTEBOOK,
        },
        {f"./{ADA}/lab01.ipynb": NOTEBOOK, f"{EVE}/": "", f"{EVE}/lab01.ipynb": NOTEBOOK},
        {
            f"{ADA}/lab01.ipynb": NOTEBOOK,
            f"{EVE}/lab01.ipynb": NOTEBOOK,
            "__MACOSX/._x": "",
            f"{EVE}/.DS_Store": "",
        },
        {"Ada Lovelace.ipynb": NOTEBOOK, "Eve.ipynb": NOTEBOOK},
        {"class/Ada Lovelace.ipynb": NOTEBOOK, "class/Eve.ipynb": NOTEBOOK},
        {"class/Ada Lovelace/lab01.ipynb": NOTEBOOK, "class/Eve/lab01.ipynb": NOTEBOOK},
        {"Ada Lovelace.zip": make_zip({"lab01.ipynb": NOTEBOOK}), "Eve.ipynb.zip": make_zip({"x": NOTEBOOK})},
    ],
)
def test_zips_as_systems_and_people_make_them(tmp_path, files):
    assert rows(read(tmp_path, make_zip(files))) == {"Ada Lovelace": None, "Eve": None}


def test_canvas_and_blackboard_zips_are_flat_with_zips_inside(tmp_path):
    files = {
        "lovelaceada_LATE_12345_678910_lab01.zip": make_zip({"lab01.ipynb": NOTEBOOK}),
        "lab01_eve_attempt_2026-11-20-10-00-00_lab01.ipynb": NOTEBOOK,
        "lab01_eve_attempt_2026-11-20-10-00-00.txt": "Name: Eve (eve)",
        "lab01_mia_attempt_2026-11-20-10-00-00.txt": "Name: Mia (mia)",
    }
    result = read(tmp_path, make_zip(files))
    found = rows(result)
    assert found.pop("mia").startswith("no notebook was handed in")
    assert found == {"lovelaceada": None, "eve": None}
    assert result.ignored == ["lab01_eve_attempt_2026-11-20-10-00-00.txt"]


def test_the_only_students_folder_is_no_class(tmp_path):
    files = {"ada/lab01.ipynb": NOTEBOOK, "ada/scratch.ipynb": NOTEBOOK, "ada/old/lab00.ipynb": NOTEBOOK}
    assert rows(read(tmp_path, make_zip(files))) == {"ada": None}


def test_a_folder_around_everybody_is_seen_without_a_zip_too(tmp_path):
    for name in (ADA, EVE):
        hand_in(tmp_path / "in" / "CS 101" / name / "lab01.ipynb", NOTEBOOK)
    assert rows(collect(tmp_path / "in", LAB, tmp_path / "into")) == {"Ada Lovelace": None, "Eve": None}


def test_a_students_zip_in_a_folder_is_opened_elsewhere(tmp_path):
    folder = tmp_path / "in" / ADA
    folder.mkdir(parents=True)
    (folder / "lab01.zip").write_bytes(make_zip({"lab01.ipynb": NOTEBOOK}))
    assert rows(collect(tmp_path / "in", LAB, tmp_path / "into")) == {"Ada Lovelace": None}
    assert [path.name for path in folder.iterdir()] == ["lab01.zip"]


@pytest.mark.parametrize(
    ("name", "stored", "flag"),
    [
        ("Zoë", "Zoë".encode("cp437"), 0),
        ("Zoë", "Zoë".encode(), 0),  # macOS
        ("Zoë", "Zoë".encode(), 0x800),
        ("Zoë", "Zoe\u0308".encode(), 0x800),
        ("李明", "李明".encode(), 0),
    ],
)
def test_names_in_zips_are_read_as_they_were_meant(tmp_path, name, stored, flag):
    placeholder = b"N" * len(stored)
    data = make_zip({f"{placeholder.decode()}.ipynb": NOTEBOOK}).replace(placeholder, stored)
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(header) + place
        data = data[:start] + flag.to_bytes(2, "little") + data[start + 2 :]
    assert rows(read(tmp_path, data)) == {name: None}


def test_the_time_in_moodles_zip_is_when_it_came_in_also_for_a_zip_inside(tmp_path):
    inner = make_zip({"lab01.ipynb": NOTEBOOK}, month=5)
    result = read(tmp_path, make_zip({f"{ADA}/lab01.zip": inner}))
    (one,) = result.submissions.values()
    assert (one.time, one.time_from) == (datetime(2026, 11, 20, 10), "Moodle")


# --- hostile and broken ones


def with_flag(content: bytes) -> bytes:
    """The zip with every file marked as encrypted."""
    data = bytearray(content)
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(header)
        while start >= 0:
            data[start + place] |= 1
            start = data.find(header, start + 1)
    return bytes(data)


def with_method(content: bytes, method: int) -> bytes:
    data = bytearray(content)
    for header, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(header) + place] = method
    return bytes(data)


def with_damage(content: bytes) -> bytes:
    """The zip with a file whose bytes are not those that were packed."""
    start = content.index(b"answer = 1")
    return content[:start] + b"answer = 2" + content[start + 10 :]


def with_link(target: str) -> bytes:
    data = io.BytesIO()
    info = zipfile.ZipInfo("lab01.ipynb")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(info, target)
    return data.getvalue()


def many_names(number: int) -> bytes:
    """A zip with that many empty files of long names."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a" * 40, "")
        (first,) = archive.filelist
        archive.filelist = [first] * number  # the table alone, which is what counts here
    return data.getvalue()


STORED = make_zip({"lab01.ipynb": NOTEBOOK}, zipfile.ZIP_STORED)
ZEROS = make_zip({"lab01.ipynb": bytes(30_000_000)})


@pytest.mark.parametrize(
    ("inner", "sentence"),
    [
        (make_zip({"../../lab01.ipynb": NOTEBOOK}), "lead out of its own folder"),
        (make_zip({"lab01.ipynb": NOTEBOOK, "/etc/cron.d/x": "x"}), "lead out of its own folder"),
        (make_zip({"C:\\x\\lab01.ipynb": NOTEBOOK}), "lead out of its own folder"),
        (make_zip({"a\\..\\..\\lab01.ipynb": NOTEBOOK}), "lead out of its own folder"),
        (with_link("/etc/passwd"), "no notebook was handed in"),
        (with_flag(STORED), "is locked by a password"),
        (with_damage(STORED), "lab01.ipynb in the zip is damaged"),
        (with_method(STORED, 9), "packed in a way that only few programs can read"),
        (STORED[:-30], "the zip is damaged and does not open"),
        (ZEROS, "more than 200 times its size"),
        (make_zip({"lab01.ipynb": NOTEBOOK, **{f"{n}": "" for n in range(2001)}}), "holds 2002 files"),
        (make_zip({"inner.zip": make_zip({"lab01.ipynb": NOTEBOOK})}), "inside another zip"),
        (make_zip({"lab01.ipynb": NOTEBOOK}, zipfile.ZIP_LZMA), "packed in a way that only few programs"),
        (many_names(60_000), "more than the 2000 files allowed"),
        (many_names(70_000), "more than the 2000 files allowed"),  # a larger kind of table
        (make_zip({}), "no notebook was handed in"),
        (make_zip({"lab01.py": "import torch"}), "a Python script"),
    ],
)
def test_a_students_bad_zip_is_a_row_with_a_sentence_and_stops_nobody(tmp_path, inner, sentence):
    files = {f"{EVE}/lab01.zip": inner, f"{ADA}/lab01.ipynb": NOTEBOOK, "mallory_7_8_lab01.zip": inner}
    found = rows(read(tmp_path, make_zip(files, zipfile.ZIP_STORED)))
    assert found.pop("Ada Lovelace") is None
    assert set(found) == {"Eve", "mallory"}
    for problem in found.values():
        assert sentence in problem
        assert "hand " in problem, "it says what to do"


def test_the_labs_notebook_counts_although_something_beside_it_is_damaged(tmp_path):
    damaged = with_damage(make_zip({"lab01.ipynb": NOTEBOOK, "x.txt": "answer = 1"}, zipfile.ZIP_STORED))
    assert "is damaged" in rows(read(tmp_path / "1", make_zip({f"{EVE}/x.zip": damaged})))["Eve"]
    damaged = with_damage(make_zip({"x.txt": "answer = 1", "lab01.ipynb": NOTEBOOK}, zipfile.ZIP_STORED))
    assert rows(read(tmp_path / "2", make_zip({f"{EVE}/x.zip": damaged}))) == {"Eve": None}
    damaged = with_damage(make_zip({"x.txt": "answer = 1", "scratch.ipynb": NOTEBOOK}, zipfile.ZIP_STORED))
    assert "is damaged" in rows(read(tmp_path / "3", make_zip({f"{EVE}/x.zip": damaged})))["Eve"]


def test_names_that_no_disk_would_take(tmp_path):
    names = ["x" * 5000, "con", "a?b*c", "a:b", "y. "]
    found = rows(read(tmp_path, make_zip({f"{name}.ipynb": NOTEBOOK for name in names})))
    assert found == {name: None for name in names}


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_ENTRY", 1000)
    inner = make_zip({f"{number}.txt": os.urandom(300) for number in range(4)})
    found = rows(read(tmp_path, make_zip({f"{EVE}/x.zip": inner[:900]})))
    assert "does not open" in found["Eve"]
    found = rows(read(tmp_path / "2", make_zip({f"{ADA}/a.ipynb": NOTEBOOK, f"{EVE}/x": os.urandom(2000)})))
    assert found["Ada Lovelace"] is None
    assert "unpacks to 0 MB, more than the 0 MB allowed" in found["Eve"]


def test_bad_names_and_bombs_in_the_systems_own_zip_are_rows(tmp_path):
    files = {
        f"{ADA}/lab01.ipynb": NOTEBOOK,
        f"{EVE}/../../../lab01.ipynb": NOTEBOOK,
        "../mallory.ipynb": NOTEBOOK,
        "/oscar.ipynb": NOTEBOOK,
        "C:/trudy.ipynb": NOTEBOOK,
        "Zero_3_assignsubmission_file_/lab01.ipynb": bytes(30_000_000),
    }
    found = rows(read(tmp_path, make_zip(files)))
    assert found.pop("Ada Lovelace") is None
    assert "times its size" in found.pop("Zero")
    assert len(found) == 4
    assert all("lead out of its own folder" in problem for problem in found.values())


def test_a_class_that_fills_the_disk_is_refused_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_ALL", 100)
    with pytest.raises(CourseError, match="unpack it yourself and give the folder"):
        read(tmp_path, make_zip({f"{ADA}/lab01.ipynb": NOTEBOOK}))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"<html>", STORED[:100], STORED[:-10]],
    ids=["empty", "a head", "a web page", "a beginning", "without its end"],  # the same in every worker
)
def test_a_systems_zip_that_does_not_open_is_refused(tmp_path, content):
    with pytest.raises(CourseError, match="not a zip, or a damaged one: download it again"):
        read(tmp_path, content)


# --- everybody has a row


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"bob_2_12_lab01.docx": make_zip({"[Content_Types].xml": ""})}, "a word processor"),
        ({"bob_2_12_lab01.pdf": "%PDF-1.7"}, "is a PDF"),
        ({"bob_2_text.html": "<html>my answer"}, "a web page"),
        ({"bob_LATE_2_text.html": "<html>my answer"}, "a web page"),
        ({"bob_2_12_lab01": "?"}, "hand in the file lab01.ipynb"),
        ({"bob_2_12_lab01.txt": "print(1)"}, "hand in the file lab01.ipynb"),
        ({"bob.7z": b"7z\xbc\xaf\x27\x1c"}, "an archive that grading does not open"),
        ({"bob/IMG_1.jpg": b"\xff\xd8\xff\xe0"}, "a picture"),
        ({"bob/": ""}, "no notebook was handed in"),
        ({"bob.lnk": b"L\x00\x00\x00\x01\x14\x02\x00"}, "only points to a notebook"),
        ({"bob.gdoc": '{"url": "https://docs.example/x", "doc_id": "1"}'}, "only points to a notebook"),
        ({"bob/a.zip": make_zip({"a": "1"}), "bob/b.zip": make_zip({"b": "1"})}, "2 zips were handed in"),
    ],
)
def test_whoever_handed_in_something_else_has_a_row(tmp_path, files, sentence):
    (found,) = read(tmp_path, make_zip(files)).submissions.values()
    assert found.name == "bob"
    assert sentence in found.problem


@pytest.mark.parametrize(
    "name",
    [
        "x.ipynb.json",
        "x.ipynb.txt",
        "x.json",
        "x.txt",
        "x",
        "x.IPYNB.TXT",
        "x.ipynb.download",
        "x.ipynb.json.txt",
    ],
)
def test_a_notebook_is_one_whatever_browsers_call_it(tmp_path, name):
    files = {name: NOTEBOOK, f"ada_1_2_lab01{name[1:]}": NOTEBOOK, f"{EVE}/lab01{name[1:]}": NOTEBOOK}
    assert rows(read(tmp_path, make_zip(files))) == {"x": None, "ada": None, "Eve": None}


def test_instructors_own_files_are_listed(tmp_path):
    mine = {"grades.csv": "a,b", "README.md": "Mine.", "list.xlsx": make_zip({"[Content_Types].xml": ""})}
    result = read(tmp_path, make_zip({"ada.ipynb": NOTEBOOK, "bob.docx": "?", **mine}))
    assert set(rows(result)) == {"ada", "bob"}
    assert set(result.ignored) == set(mine)


def test_beside_a_systems_names_only_those_are_students(tmp_path):
    result = read(tmp_path, make_zip({f"{ADA}/lab01.ipynb": NOTEBOOK, "notes.txt": "?", "old.docx": "?"}))
    assert set(rows(result)) == {"Ada Lovelace"}
    assert set(result.ignored) == {"notes.txt", "old.docx"}


def test_several_files_of_one_attempt_are_chosen_from(tmp_path):
    start = "lab01_ada_attempt_2026-11-20-10-00-00_"
    found = read(tmp_path, make_zip({f"{start}scratch.ipynb": NOTEBOOK, f"{start}notes.ipynb": NOTEBOOK}))
    assert rows(found)["ada"].startswith("2 notebooks were handed in")
    flat = {f"{ADA}lab01.ipynb": NOTEBOOK, f"{ADA}scratch.ipynb": NOTEBOOK}
    assert rows(read(tmp_path / "2", make_zip(flat))) == {"Ada Lovelace": None}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions that bind")
def test_a_file_that_cannot_be_read_is_a_row(tmp_path):
    hand_in(tmp_path / "in" / "ada" / "lab01", NOTEBOOK).chmod(0)
    (found,) = collect(tmp_path / "in", LAB, tmp_path / "into").submissions.values()
    assert "permissions" in found.problem


# --- what a file is


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf  \n", "empty"),
        (NOTEBOOK.encode(), "notebook"),
        (NOTEBOOK.encode("utf-16"), "notebook"),
        (NOTEBOOK.encode("utf-16-le"), "notebook"),
        (b"\xef\xbb\xbf" + NOTEBOOK.encode(), "notebook"),
        (b'{"metadata": {' + b" " * 100_000 + b'}, "nbformat": 4, "cells": []}', "notebook"),
        (b'{"a": 1}', "other"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b'<?xml version="1.0"?><plist><dict><key>URL</key>', "shortcut"),
        (b"book\0\0\0\0mark\0\0\0\0", "shortcut"),
        (b"[InternetShortcut]\r\nURL=x", "shortcut"),
        (b"version https://git-lfs.example/spec/v1", "LFS"),
        (b'{\n<<<<<<< HEAD\n "cells": [', "conflict"),
        (b"# %%\nimport torch", "script"),
        (b"PK\x03\x04", "zip"),
        (b"GIF89a", "picture"),
        (b"hello", "other"),
    ],
)
def test_kinds(tmp_path, content, expected):
    assert kind_of_file(hand_in(tmp_path / "x", "").parent / "x") == "empty"
    (tmp_path / "x").write_bytes(content)
    assert kind_of_file(tmp_path / "x") == expected


def test_every_kind_has_its_own_sentence():
    assert len(set(SENTENCES.values())) == len(SENTENCES)
    assert all("hand " in sentence and sentence.endswith(".") for sentence in SENTENCES.values())
    assert kind(b"hello") in SENTENCES


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.lovelace", "a.lovelace"),
        ("a.b.ipynb", "a.b"),
        (".ipynb", ".ipynb"),
        ("x", "x"),
        ("x.tar.gz", "x"),
        ("x.", "x."),
    ],
)
def test_only_endings_are_cut_off(name, stem):
    assert split_name(name)[0] == stem
