"""Pack what learners get: `dist/backbones-course.zip`, without solutions, hidden tests and everything else.

    python -m authoring.pack          (make release)

Packed is what git tracks of an allow-list; files are taken as they are on the disk. The same files give the same
bytes. Before the zip gets its name, labs/ is compared with solutions/, and `authoring.leaks` searches the zip.
"""

import logging
import os
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from authoring import release
from authoring.leaks import leaks
from grading.labs import CourseError, find_labs

FOLDERS = (".jupyter/", "backbones/", "labs/", "notebooks/")
FILES = {
    *("README.md", "LICENSE", "LICENSE-TEXTS", "CITATION.cff", "Makefile", "course.py"),
    *("pyproject.toml", "constraints.txt", "environment.yml", "postBuild"),
}
TOP = "backbones-course"
TARGET = Path("dist", f"{TOP}.zip")

# The repository's text, and what stands in its place in the zip: there is no git and no grading there.
CHANGES = {
    "README.md": (
        (r"\[!\[Launch Binder\].*\n\n", ""),
        (r"No installation: press \*\*launch Binder\*\*[^:]*:", "With Python 3.11 or newer, in this folder:"),
        (r"git clone .*\n", ""),
        (r"`git pull` stops[^.]*\.", "unpack a newer zip beside this folder, not over it."),
        (r"The answers to the labs are in .*\n\n", ""),
        (r"(?s)## For instructors\n.*?(?=## Licence\n)", ""),
    ),
    "pyproject.toml": ((r'(?s),\s*"grading",\s*"grading.isolation"(?=\])', ""),),
}


def git(root: Path, *arguments: str) -> list[str]:
    """What git lists, by NUL characters.

    Raises:
        CourseError: where `root` is no git checkout, or there is no git.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments, "-z"], capture_output=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CourseError(
            f"{root} is no git checkout (or git is missing): only what git tracks is packed, so that nothing "
            "private slips in; clone the course and run this there"
        ) from error
    return [entry for entry in done.stdout.decode().split("\0") if entry]


def packed_files(root: Path) -> dict[str, bool]:
    """The paths to pack, sorted, and whether each is a program."""
    entries = (entry.split("\t", 1) for entry in git(root, "ls-files", "--stage"))
    allowed = {path: info for info, path in entries if path in FILES or path.startswith(FOLDERS)}
    return {path: allowed[path].startswith("100755") for path in sorted(allowed)}


def content(root: Path, path: str) -> bytes:
    """A file as learners get it.

    Raises:
        CourseError: where it is missing, a link, or has not the text that is to be changed.
    """
    file = root / path
    if file.is_symlink() or not file.is_file():
        raise CourseError(
            f"{path} is tracked by git but is no file here: restore it (git checkout -- {path})"
        )
    data = file.read_bytes()
    for pattern, replacement in CHANGES.get(path, ()):
        text, count = re.subn(pattern, replacement, data.decode())
        if count != 1:
            raise CourseError(
                f"{path}: {pattern!r} stands there {count} times, not once: adapt CHANGES in authoring/pack.py"
            )
        data = text.encode()
    return data


def write(root: Path, target: Path, paths: dict[str, bool]) -> None:
    """Write the zip: sorted, without owners, all of the last commit's time, so that the same gives the same bytes.

    (One time for ever would not do: Python would take a file of a newer zip that is as long as the older one for
    the same, and run what it had compiled.)
    """
    time = datetime.fromtimestamp(int(git(root, "log", "-1", "--format=%ct")[0]), UTC).timetuple()[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, program in paths.items():
            member = zipfile.ZipInfo(f"{TOP}/{path}", time)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix, on Windows too: else the rights would be lost
            member.external_attr = (0o100755 if program else 0o100644) << 16
            archive.writestr(member, content(root, path))


def pack(root: Path, target: Path) -> list[str]:
    """Write `target`.

    Returns:
        What the maintainer should know, a sentence each.

    Raises:
        CourseError: when something would leak, or labs/ is not what solutions/ makes.
    """
    paths = packed_files(root)
    for lab in find_labs(root):
        released = f"labs/{lab.folder.name}/{lab.source.name}"
        if released not in paths:
            raise CourseError(f"git does not track {released}: run `make labs`, then git add {released}")
    if release.main(["--check", "--course", str(root)]):
        raise CourseError(
            "labs/ differs from what solutions/ makes; the lines above say where: run `make labs`"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.draft")
    try:
        write(root, draft, paths)
        if found := leaks(draft, root):
            raise CourseError("\n".join(["the zip would give answers away, so it was not made:", *found]))
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    changed = sorted({path for path in git(root, "diff", "--name-only", "HEAD") if path in paths})
    return [f"not committed yet, packed as it is: {path}" for path in changed]


def main() -> int:
    """The command, in the course's folder.

    Returns:
        0; 1 with a sentence when there is no zip.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # nbgrader tells each of its steps
    root = Path().resolve()
    try:
        remarks = pack(root, root / TARGET)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join([*remarks, f"{TARGET}: {(root / TARGET).stat().st_size / 1e6:.0f} MB, for learners"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
