"""Whether a zip for learners gives an answer away: solutions, hidden tests, model answers, compiled files.

    python -m authoring.leaks dist/backbones-course.zip

Secret is each line of at least 20 characters of a solution, hidden test or model answer that the learner's
version of the same lab does not hold. Two rules, since lessons and labs share lines like `torch.manual_seed(3)`:

    a line     no secret line stands anywhere, unless a lesson, a lab or the package says it in the repository
    a passage  not even there may three lines in a row of a hidden test or model answer stand, nor a whole
               solution of three lines or more: that is no coincidence but a hidden test pasted into a lesson
"""

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import nbformat
from nbgrader.utils import is_solution

from authoring.release import HIDDEN, SOLUTION
from grading.labs import CourseError, find_labs
from grading.repair import grade_id

SHORTEST = 20  # characters; shorter lines (`return out`) are everybody's
PASSAGE = 3  # lines in a row
PUBLIC = ("backbones", "notebooks", "labs")  # what learners read in the repository, too

TEXTS = {".py", ".ipynb", ".md", ".toml", ".txt", ".yml", ".cff", ".csv", ".json", ""}
BINARIES = {".png", ".npz", ".safetensors"}  # not searched, but compared with those of the repository
PRIVATE_FOLDERS = {
    *("solutions", "tests", "grading", "authoring", "benchmarks", "graded", "build", "dist", "mutants"),
    *(".git", ".github", ".ci", ".venv", "__pycache__", ".ipynb_checkpoints", ".backbones"),
}


@dataclass(frozen=True)
class Secret:
    """A block that learners must not see: where it stands, and what of it their version does not hold.

    `lines` are its long lines, `passages` several of them in a row.
    """

    name: str
    lines: list[str]
    passages: list[str]


def long_lines(text: str) -> list[str]:
    """The lines that count, without indentation and double spaces."""
    return [line for one in text.splitlines() if len(line := " ".join(one.split())) >= SHORTEST]


def marked(source: str, markers: tuple[str, str]) -> Iterator[str]:
    """What stands between two markers, once for each pair of them."""
    begin, end = (rf"^.*{re.escape(marker)}.*$" for marker in markers)
    for found in re.finditer(rf"{begin}\n([\s\S]*?){end}", source, re.MULTILINE):
        yield found[1]


def secrets(root: Path) -> list[Secret]:
    """Every secret of the course's labs.

    Raises:
        CourseError: where the learner's version of a lab is missing.
    """
    found = []
    for lab in find_labs(root):
        released = root / "labs" / lab.folder.name / lab.source.name
        if not released.is_file():
            raise CourseError(f"{released.relative_to(root)} is missing: run `make labs`")
        public = searchable(released.name, released.read_bytes())
        public_lines = set(public.splitlines())
        for cell in nbformat.read(lab.source, as_version=nbformat.NO_CONVERT).cells:
            blocks = [("hidden test", block) for block in marked(cell.source, HIDDEN)]
            blocks += [("solution", block) for block in marked(cell.source, SOLUTION)]
            if cell.cell_type == "markdown" and is_solution(cell):
                blocks.append(("model answer", cell.source))
            for kind, block in blocks:
                lines = long_lines(block)
                # A short solution is a line or two that lessons teach; of a long one the whole.
                size = max(PASSAGE, len(lines)) if kind == "solution" else PASSAGE
                passages = ["\n".join(lines[at : at + size]) for at in range(len(lines) - size + 1)]
                found.append(
                    Secret(
                        f"a {kind} of {lab.notebook} ({grade_id(cell)})",
                        [line for line in lines if line not in public_lines],
                        [passage for passage in passages if passage not in public],
                    )
                )
    return found


def strings(value: object) -> Iterator[str]:
    """Every text in a notebook's JSON, names of keys too, without the characters that stand for a picture."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in ("image/png", "image/jpeg"):
                yield from strings(inner)
    elif isinstance(value, list):
        if all(isinstance(one, str) for one in value):
            yield "".join(value)  # how notebooks keep a text of several lines
        else:
            for one in value:
                yield from strings(one)


def searchable(name: str, content: bytes) -> str:
    """A file's long lines: of a notebook sources, outputs and metadata."""
    text = content.decode(errors="replace")
    if name.endswith(".ipynb"):
        text = "\n".join(strings(json.loads(text)))
    return "\n".join(long_lines(text))


def public_text(root: Path) -> str:
    """What lessons, labs and package say to learners: sources, not outputs and metadata."""
    parts = []
    for path in sorted(path for folder in PUBLIC for path in (root / folder).rglob("*")):
        if path.suffix == ".ipynb" and ".ipynb_checkpoints" not in path.parts:
            cells = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells
            parts += ["\n".join(long_lines(cell.source)) for cell in cells]
        elif path.suffix in (".py", ".toml", ".md"):
            parts.append(searchable(path.name, path.read_bytes()))
    return "\n".join(parts)


def needles(root: Path) -> list[tuple[str, str]]:
    """The texts that must not stand in the zip, each with the name of the secret that it is of."""
    known, public = secrets(root), public_text(root)
    lines = [(line, one.name) for one in known for line in dict.fromkeys(one.lines) if line not in public]
    return lines + [(passage, one.name) for one in known for passage in one.passages]


def leaks(pack: Path, root: Path, sought: list[tuple[str, str]] | None = None) -> list[str]:
    """What in the zip should not be there, a sentence each.

    Args:
        pack: the zip; everything lies in one folder in there.
        root: the course's folder, which holds the secrets.
        sought: its `needles`, where they are known already.
    """
    if sought is None:
        sought = needles(root)
    found = []
    with zipfile.ZipFile(pack) as archive:
        for member in archive.infolist():
            name = PurePosixPath(*PurePosixPath(member.filename).parts[1:])
            private = PRIVATE_FOLDERS & set(name.parts)
            if private:
                found.append(f"{name}: nothing of {min(private)}/ is for learners")
            if name.suffix not in TEXTS | BINARIES:
                found.append(f"{name}: files of the kind {name.suffix} are not packed")
                continue
            content = archive.read(member)
            if name.suffix in BINARIES:
                own = root / name
                if not own.is_file() or own.read_bytes() != content:
                    found.append(f"{name}: it is not the file of the repository")
                continue
            try:
                text = searchable(name.name, content)
            except ValueError as error:
                found.append(f"{name}: it cannot be read: {error}")
                continue
            told = dict.fromkeys(secret for needle, secret in sought if needle in text)
            found += [f"{name}: it holds {secret}" for secret in told]
    return found


def main(arguments: list[str]) -> int:
    """The command.

    Returns:
        0; 1 when something leaks or the zip cannot be judged.
    """
    try:
        found = [leak for pack in arguments for leak in leaks(Path(pack), Path())]
    except (CourseError, OSError, zipfile.BadZipFile) as error:
        found = [str(error)]
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
