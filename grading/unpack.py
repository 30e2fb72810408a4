"""The entries of a folder or of a zip, as a learning management system exports them, read without trust.

A zip's names never become paths: each file goes to a numbered file in a temporary folder, and its name stays
a text. So nothing can be written elsewhere, whatever the name. What a zip may cost is bounded by the limits.
A zip inside an entry, a student's, is opened; one inside that is not.
"""

import contextlib
import os
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from grading.content import kind_of_file, split_name
from grading.labs import CourseError

MEGABYTE = 1_000_000
MAX_ENTRY = 200 * MEGABYTE  # what one student's files may unpack to
MAX_FILES = 2_000  # of one student
MAX_DIRECTORY = 5 * MEGABYTE  # a student's zip's table of contents: else its names fill the memory
MAX_RATIO = 200  # unpacked to packed, for files above a megabyte
MAX_ALL = 20_000 * MEGABYTE  # what the LMS's zip may unpack to

HAND_IN = "hand in the notebook itself, not in a zip."
A_LINK = "what was handed in is a link, not a file: hand in the notebook itself."

Wrapper = Callable[[str, list[str]], bool]


@dataclass(frozen=True)
class File:
    """One file of an entry: its name there, where it can be read, and when the system says it was changed."""

    name: PurePosixPath
    path: Path
    time: datetime | None = None


@dataclass
class Entry:
    """What one name at the top of the folder or zip stands for: a file, or a folder with files.

    `trouble` says, for the student, why its content cannot be trusted or read.
    """

    name: str
    is_folder: bool
    files: list[File] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # links and the like, for the instructor


class Unsafe(Exception):
    """A zip that is not unpacked; the text is a sentence for the student."""


def printable(text: str) -> str:
    """`text` without control characters: file names come from strangers and go to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def is_litter(name: str) -> bool:
    """What operating systems and Jupyter leave behind: nobody handed it in."""
    return name.startswith(".") or name in ("__MACOSX", "desktop.ini", "Thumbs.db")


def nfc(name: str) -> str:
    """macOS spells an umlaut as two characters: one spelling for all."""
    return unicodedata.normalize("NFC", name)


# Folders ----------------------------------------------------------------------------------------------------


def entries_of_folder(source: Path) -> list[Entry]:
    """The entries of a folder, which is only read. Links are not followed."""
    entries = []
    for path in sorted(source.iterdir()):
        if is_litter(path.name):
            continue
        is_folder = path.is_dir() and not path.is_symlink()
        entry = Entry(nfc(path.name), is_folder)
        for file in walk(path) if is_folder else [path]:
            name = PurePosixPath(nfc(file.relative_to(source).as_posix()))
            if file.is_symlink() or not file.is_file():
                entry.left_out.append(
                    f"{printable(str(name))} (a link)" if file.is_symlink() else printable(str(name))
                )
            else:
                entry.files.append(File(name, file, time_of(file)))
        if entry.left_out and not is_folder:
            entry.trouble.append(A_LINK)
        entries.append(entry)
    return entries


def time_of(path: Path) -> datetime | None:
    """When a file was changed, None for what no calendar shows."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime)
    except (OSError, OverflowError, ValueError):
        return None


def walk(folder: Path) -> Iterator[Path]:
    """Everything below `folder` that is no folder, operating systems' litter left out."""
    for parent, folders, files in os.walk(folder, followlinks=False):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = sorted(name for name in folders if not is_litter(name) and name not in linked)
        yield from (Path(parent, name) for name in sorted(files + linked) if not is_litter(name))


# Zips -------------------------------------------------------------------------------------------------------


def name_in_zip(info: zipfile.ZipInfo) -> str:
    """The name that was meant. Without zip's mark for UTF-8 Python reads cp437; macOS writes UTF-8 there."""
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return nfc(name.replace("\\", "/"))


def time_in_zip(info: zipfile.ZipInfo) -> datetime | None:
    """When the file was changed, None where the zip does not know (1980 is its zero)."""
    try:
        time = datetime(*info.date_time)
    except ValueError:
        return None
    return time if time.year > 1980 else None


def is_unsafe(name: str) -> bool:
    """Would this name leave the folder into which it is unpacked?"""
    return name.startswith("/") or ".." in name.split("/") or name[1:3] == ":/" or "\0" in name


def directory_size(path: Path) -> int:
    """The bytes of a zip's table of contents, which zipfile reads whole; 0 where there is none."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 66_000))  # the longest comment may follow
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    start, length = (end + 12, 4) if tail[max(0, end - 20) :][:4] != b"PK\x06\x07" else (end - 36, 8)
    return int.from_bytes(tail[start : start + length], "little") if end >= 0 else 0


def open_zip(path: Path, largest: int = MAX_DIRECTORY) -> zipfile.ZipFile:
    """Open a zip whose table of contents has at most `largest` bytes.

    Raises:
        Unsafe: for what is no whole zip, or one with too many names.
    """
    if directory_size(path) > largest:
        raise Unsafe(f"the zip holds more than the {MAX_FILES} files allowed: {HAND_IN}")
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises what it likes at damaged directories
        raise Unsafe(f"the zip is damaged and does not open: {HAND_IN}") from error


def unpack(archive: zipfile.ZipFile, infos: Iterable[zipfile.ZipInfo], into: Path, above: str = "") -> Entry:
    """Copy the files of one entry to numbered files in `into`.

    Args:
        archive: the zip.
        infos: of this entry.
        into: an existing folder.
        above: what stands in front of the names.

    Returns:
        An entry without a name; it has no files where one of them is dangerous, and `trouble` says why.
    """
    entry = Entry("", True)
    infos = list(infos)
    files = [info for info in infos if not info.is_dir()]
    try:
        if any(is_unsafe(name_in_zip(info)) for info in infos):
            raise Unsafe(f"the zip holds names that lead out of its own folder: {HAND_IN}")
        if len(files) > MAX_FILES:
            raise Unsafe(f"the zip holds {len(files)} files, more than the {MAX_FILES} allowed: {HAND_IN}")
        total = sum(info.file_size for info in files)
        if total > MAX_ENTRY:
            allowed = MAX_ENTRY // MEGABYTE
            raise Unsafe(
                f"the zip unpacks to {total / MEGABYTE:.0f} MB, more than the {allowed} MB allowed: {HAND_IN}"
            )
        if any(info.file_size > max(MEGABYTE, MAX_RATIO * info.compress_size) for info in files):
            raise Unsafe(f"the zip unpacks to more than {MAX_RATIO} times its size: {HAND_IN}")
        for info in files:
            unpack_file(archive, info, into, above, entry)
    except Unsafe as error:
        entry.trouble.append(str(error))
    return entry


def unpack_file(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, into: Path, above: str, entry: Entry
) -> None:
    """Copy one file of a zip into `entry`; what cannot be read adds to its trouble."""
    name = PurePosixPath(above + name_in_zip(info))
    if any(is_litter(part) for part in name.parts):
        return
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        entry.left_out.append(f"{printable(str(name))} (a link)")
        return
    path = into / f"{len(os.listdir(into)):06}"
    try:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotImplementedError  # others could ask for any memory, and hardly anybody uses them
        with archive.open(info) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, MEGABYTE)
    except OSError as error:
        if error.errno is not None:  # the disk of this machine: nothing the student could do
            raise CourseError(f"a zip cannot be unpacked here: {error}; free some space in {into}") from error
        entry.trouble.append(f"{printable(name.name)} in the zip is damaged: {HAND_IN}")
    except Exception as error:  # zlib, lzma, struct ... raise their own at damaged data
        why = "is locked by a password" if info.flag_bits & 1 else "is damaged"
        if isinstance(error, NotImplementedError):
            why = "is packed in a way that only few programs can read"
        entry.trouble.append(f"{printable(name.name)} in the zip {why}: {HAND_IN}")
    else:
        entry.files.append(File(name, path, time_in_zip(info)))


def entries_of_zip(source: Path, into: Path, is_wrapper: Wrapper) -> list[Entry]:
    """The entries of an LMS's zip, unpacked into the folder `into`.

    Raises:
        CourseError: when it does not open or would fill the disk.
    """
    try:
        archive = open_zip(source, 100 * MAX_DIRECTORY)
    except Unsafe as error:
        raise CourseError(f"{source} is not a zip, or a damaged one: download it again") from error
    with archive:
        groups = group(archive.infolist(), is_wrapper)
        # A bomb is one student's trouble, found in `unpack`, and not the class's: it does not count here.
        sizes = [sum(info.file_size for info in infos) for infos in groups.values()]
        total = sum(size for size in sizes if size <= MAX_ENTRY)
        room = min(MAX_ALL, shutil.disk_usage(into).free)
        if total > room:
            raise CourseError(
                f"{source} unpacks to {total / MEGABYTE:,.0f} MB, and there is room for "
                f"{room / MEGABYTE:,.0f} MB: unpack it yourself and give the folder"
            )
        entries = []
        for number, (top, infos) in enumerate(sorted(groups.items())):
            folder = into / f"entry{number:06}"
            folder.mkdir()
            entry = unpack(archive, infos, folder)
            entry.name = top
            entry.is_folder = any(name_in_zip(info).partition(top)[2].startswith("/") for info in infos)
            if entry.left_out and not entry.is_folder:
                entry.trouble.append(A_LINK)
            entries.append(entry)
    return entries


def group(infos: list[zipfile.ZipInfo], is_wrapper: Wrapper) -> dict[str, list[zipfile.ZipInfo]]:
    """What a zip holds, by the name at its top, or by the next one where one folder holds everything."""
    named = []
    for info in infos:
        parts = [part for part in name_in_zip(info).split("/") if part not in ("", ".")]
        if parts and not any(is_litter(part) and part != ".." for part in parts):
            named.append((parts, info))
    safe = [parts for parts, info in named if not is_unsafe(name_in_zip(info))]
    depth = 0
    if len({parts[0] for parts in safe}) == 1:
        inside = ["/".join(parts[1:]) for parts in safe if len(parts) > 1]
        depth = int(bool(inside) and is_wrapper(safe[0][0], inside))
    groups: dict[str, list[zipfile.ZipInfo]] = {}
    for parts, info in named:
        if ".." in parts[: depth + 1] or (parts[0][1:] == ":" and len(parts) > 1):
            groups.setdefault(name_in_zip(info), []).append(info)  # of nobody whom the zip names
        elif len(parts) > depth:
            groups.setdefault(parts[depth], []).append(info)
    return groups


# Both -------------------------------------------------------------------------------------------------------


def open_students_zip(entry: Entry, into: Path) -> None:
    """Put the files of a zip that a student handed in into `entry`, where it holds no notebook beside it."""
    if any(is_notebook(file) for file in entry.files):
        return
    zips = [file for file in entry.files if kind_of(file) == "zip"]
    if len(zips) > 1:
        entry.trouble.append(f"{len(zips)} zips were handed in, and no notebook: {HAND_IN}")
    if len(zips) != 1:
        return
    (file,) = zips
    into.mkdir(parents=True)
    try:
        with open_zip(file.path) as archive:
            inside = unpack(archive, archive.infolist(), into, f"{file.name}/")
    except Unsafe as error:
        entry.trouble.append(str(error))
        return
    entry.files.remove(file)
    # The system knows when the zip came in; the times inside are those of the student's computer.
    entry.files += [File(one.name, one.path, file.time) for one in inside.files]
    entry.trouble += inside.trouble
    entry.left_out += inside.left_out


def kind_of(file: File) -> str:
    """What `file` is, see grading.content; "unreadable" where this machine may not read it."""
    try:
        return kind_of_file(file.path)
    except OSError:
        return "unreadable"


def is_notebook(file: File) -> bool:
    """By its name, however broken it is (it then gets its sentence), or else by its content."""
    what = kind_of(file)
    return what == "notebook" or (what != "zip" and "ipynb" in split_name(file.name.name)[1])


def read_entries(source: Path, into: Path, is_wrapper: Wrapper) -> list[Entry]:
    """Every entry of `source`, a folder or a zip.

    Args:
        source: what the instructor gave.
        into: an empty folder, for what has to be unpacked.
        is_wrapper: asked where everything lies in one folder, with that folder's name and all names in it:
            is it a folder around the entries (and not the only student's)?

    Raises:
        CourseError: for a zip that cannot be read.
    """
    if source.is_file():
        entries = entries_of_zip(source, into, is_wrapper)
    else:
        tops = [path for path in source.iterdir() if not is_litter(path.name)]
        if len(tops) == 1 and tops[0].is_dir() and not tops[0].is_symlink():
            inside = [nfc(path.relative_to(tops[0]).as_posix()) for path in walk(tops[0])]
            source = tops[0] if is_wrapper(nfc(tops[0].name), inside) else source
        entries = entries_of_folder(source)
    for number, entry in enumerate(entries):
        open_students_zip(entry, into / f"zip{number:06}")
    return entries
