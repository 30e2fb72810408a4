"""What a file is, by its first bytes: names lie, and browsers change them.

A file that is no notebook gets the sentence for its kind, written for the student who handed it in.
"""

import codecs
import re
from pathlib import Path

HEAD = 64 * 1024  # bytes; a notebook's first cell begins much earlier

AGAIN = "in JupyterLab choose File > Download, check that the file opens there, and hand that one in"
SENTENCES = {
    "empty": "the file is empty: save the notebook in JupyterLab and hand it in again.",
    "web page": "the file is a web page, not the notebook (perhaps one that asks to sign in was saved): "
    f"{AGAIN}.",
    "shortcut": f"the file only points to a notebook on another computer or in a cloud: {AGAIN}.",
    "archive": f"the file is an archive that grading does not open: {AGAIN}.",
    "zip": f"the file is a zip with another name or inside another zip: {AGAIN}.",
    "document": f"the file is a document from a word processor or a spreadsheet, not a notebook: {AGAIN}.",
    "PDF": f"the file is a PDF, not a notebook: {AGAIN}.",
    "picture": f"the file is a picture, not a notebook: {AGAIN}.",
    "LFS": "the file is a placeholder of git LFS, without the notebook itself: run `git lfs pull`, check "
    "that the notebook opens, and hand it in again.",
    "conflict": "git merged two versions of the notebook and the file still holds the conflict (<<<<<<<): "
    "take one of the versions, check that it opens, and hand it in again.",
    "script": f"the file is a Python script, not a notebook: {AGAIN}.",
    "other": f"the file is not a Jupyter notebook: {AGAIN}.",
}

MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"%PDF", "PDF"),
    (b"\x89PNG", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"GIF8", "picture"),
    (b"\xd0\xcf\x11\xe0", "document"),  # Word and Excel before 2007
    (b"{\\rtf", "document"),
    (b"Rar!", "archive"),
    (b"7z\xbc\xaf", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ", "archive"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "shortcut"),  # Windows .lnk
    (b"book\x00\x00\x00\x00mark", "shortcut"),  # macOS alias
    (b"XSym\n", "shortcut"),  # a link of macOS on a Windows share
    (b"[InternetShortcut]", "shortcut"),
    (b"version https://git-lfs", "LFS"),
)
OFFICE = (b"[Content_Types].xml", b"mimetypeapplication/vnd.oasis", b"Index/Document.iwa")
SCRIPT = re.compile(r"^(?:#!.*python|# %%|#+ ?In ?\[|import \w|from [\w.]+ import |def \w)", re.MULTILINE)
# What stays of a name is whose it is; of "a.lovelace" all of it, since "lovelace" is no ending.
ENDING = re.compile(
    "ipynb|json|txt|zip|docx?|odt|rtf|pages|pdf|m?html?|py|md|[ct]sv|xlsx?|ods|webloc|url|lnk|gdoc|gsheet|png|"
    "jpe?g|heic|gif|svg|mp4|mov|gz|tar|tgz|bz2|xz|7z|rar|download|crdownload|part|icloud|bak|log|pth?|"
    "ckpt|np[zy]|pkl|ya?ml|toml|cfg|ini|sh|ps1|bat",
    re.IGNORECASE,
)
# Among files that bear no system's name these are the instructor's own: lists, notes, tools.
INSTRUCTORS = re.compile("[ct]sv|xlsx?|ods|log|md|cfg|ini|toml|ya?ml|sh|ps1|bat|py")


def split_name(name: str) -> tuple[str, tuple[str, ...]]:
    """`name` without its endings, and these: ("ada", ("ipynb", "json")) for "ada.ipynb.json"."""
    endings: list[str] = []
    while True:
        stem, dot, ending = name.rpartition(".")
        if not stem or not dot or not ENDING.fullmatch(ending):
            return name, tuple(endings)
        name = stem
        endings.insert(0, ending.lower())


def decode(data: bytes) -> str:
    """Text as Jupyter and editors write it: UTF-8, with or without its mark, or UTF-16; damage becomes �."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if data[1:2] == b"\0" and data[:1] != b"\0":
        return data.decode("utf-16-le", "replace")
    if data[:1] == b"\0" and data[1:2] != b"\0":
        return data.decode("utf-16-be", "replace")
    return data.decode("utf-8", "replace")


def kind(head: bytes, tail: bytes = b"") -> str:
    """What begins with `head`: "notebook", or a key of SENTENCES. `tail`: the file's last bytes."""
    for magic, found in MAGIC:
        if head.startswith(magic):
            return "document" if found == "zip" and any(one in head + tail for one in OFFICE) else found
    text = decode(head).strip("\ufeff \t\r\n\0")
    start = text[:2000].lower()
    if not text:
        return "empty"
    if text.startswith("{"):
        if re.search(r'"(?:cells|worksheets|nbformat)"\s*:', text + decode(tail)):
            return "conflict" if re.search(r"^<<<<<<< ", text, re.MULTILINE) else "notebook"
        return "shortcut" if re.search(r'"(?:doc_id|resource_id|url)"\s*:', start) else "other"
    if start.startswith("<") and ("<plist" in start and "<key>url</key>" in start):
        return "shortcut"
    if start.startswith("<") and re.search(r"<(?:!doctype html|html|head|body|script|title)\b", start):
        return "web page"
    if re.search(r"^<<<<<<< ", text, re.MULTILINE):
        return "conflict"
    return "script" if SCRIPT.search(start) else "other"


def kind_of_file(path: Path) -> str:
    """As `kind`.

    Raises:
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        size = file.seek(0, 2)
        file.seek(max(len(head), size - 4096))
        return kind(head, file.read())
