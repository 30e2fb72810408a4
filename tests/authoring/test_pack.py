"""The zip for learners: complete, usable, the same each time, and without an answer in it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement

from authoring import leaks, pack
from grading.labs import CourseError, find_labs

pytestmark = pytest.mark.slow  # the real course is packed once, in some seconds

ROOT = Path(__file__).parents[2]
LESSON = "notebooks/05_deeplabv3plus.ipynb"
LAB = "labs/lab05_deeplabv3plus/lab05.ipynb"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of this very course."""
    target = tmp_path_factory.mktemp("dist") / "course.zip"
    pack.pack(ROOT, target)
    return target


@pytest.fixture(scope="module")
def unpacked(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learner")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    return folder / pack.TOP


@pytest.fixture(scope="module")
def sought() -> list[tuple[str, str]]:
    """What is searched for, found once: it takes seconds."""
    return leaks.needles(ROOT)


def block(kind: str, lab: str = "lab05") -> str:
    """A real secret of that kind, as it stands in the lab's source."""
    source = next(lab_.source for lab_ in find_labs(ROOT) if lab_.notebook == lab)
    markers = {"hidden": leaks.HIDDEN, "solution": leaks.SOLUTION}[kind]
    blocks = [
        text
        for cell in nbformat.read(source, as_version=4).cells
        for text in leaks.marked(cell.source, markers)
    ]
    return max(blocks, key=len)


def with_leak(packed: Path, target: Path, name: str, change: Callable) -> Path:
    """A zip of one file; `change` makes its bytes from those that it has in `packed` (None: no such file)."""
    member = f"{pack.TOP}/{name}"
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(target, "w") as new:
        new.writestr(member, change(old.read(member) if member in old.namelist() else None))
    return target


# ---- Nothing leaks -------------------------------------------------------------------------------


def test_nothing_in_the_zip_gives_an_answer_away(packed, sought):
    assert leaks.leaks(packed, ROOT, sought) == []


def test_every_lab_has_secrets_to_look_for(sought):
    """Else the test above would pass because it looks for nothing."""
    known = leaks.secrets(ROOT)
    for lab in find_labs(ROOT):
        for kind in ("hidden test", "solution", "model answer"):
            assert any(s.name.startswith(f"a {kind} of {lab.notebook} ") and s.lines for s in known), (
                lab,
                kind,
            )
        source = lab.source.read_text(encoding="utf-8")
        found = [s for s in known if f" of {lab.notebook} " in s.name]
        assert sum("hidden test" in s.name for s in found) == source.count("BEGIN HIDDEN TESTS")
        assert sum("a solution" in s.name for s in found) == source.count("BEGIN SOLUTION")
    lines = {line for secret in known for line in secret.lines}
    assert len(lines & {needle for needle, _ in sought}) > 0.9 * len(lines), "most are searched line by line"


def in_notebook(change):
    """From a change of a notebook's JSON to one of its bytes."""

    def of_bytes(content: bytes) -> bytes:
        notebook = json.loads(content)
        change(notebook)
        return json.dumps(notebook).encode()

    return of_bytes


def add_cell(text: str):
    return in_notebook(lambda nb: nb["cells"].append({"cell_type": "code", "source": text.splitlines(True)}))


def add_metadata(text: str):
    return in_notebook(lambda nb: nb["cells"][3]["metadata"].update(old={"source": text}))


def add_output(text: str):
    output = {"output_type": "stream", "name": "stdout", "text": text.splitlines(True)}
    return in_notebook(lambda nb: nb["cells"][-1].update(outputs=[output]))


def one_line(kind: str) -> str:
    """A single secret line, in other indentation, inside a longer one."""
    known = [s for s in leaks.secrets(ROOT) if s.name.startswith(f"a {kind} of lab05")]
    public = leaks.public_text(ROOT)
    line = max((line for s in known for line in s.lines if line not in public), key=len)
    return f"see   {line}   here"


PLANTED = {
    "hidden test in a lesson": (LESSON, lambda: add_cell(block("hidden")), "a hidden test of lab05"),
    "solution in a lab's metadata": (LAB, lambda: add_metadata(block("solution")), "a solution of lab05"),
    "solution in a lab's outputs": (LAB, lambda: add_output(block("solution")), "a solution of lab05"),
    "hidden test of another lab": (LAB, lambda: add_cell(block("hidden", "lab08")), "a hidden test of lab08"),
    "one line in the readme": (
        "README.md",
        lambda: lambda content: content + one_line("model answer").encode(),
        "a model answer of lab05",
    ),
    "one line in the package": (
        "backbones/deeplab.py",
        lambda: lambda content: content + f"# {one_line('hidden test')}\n".encode(),
        "a hidden test of lab05",
    ),
    "compiled": ("backbones/extra.pyc", lambda: lambda _: b"", ".pyc"),
    "history": (".git/config", lambda: lambda _: b"[core]", ".git"),
    "mutants": ("tests/labs/mutants/lab05.py", lambda: lambda _: b"", "tests/"),
    "source of a lab": ("solutions/lab05.ipynb", lambda: lambda _: b"{}", "solutions/"),
    "checkpoint": ("labs/.ipynb_checkpoints/lab05.ipynb", lambda: lambda _: b"{}", ".ipynb_checkpoints"),
    "another picture": ("notebooks/anatomy.png", lambda: lambda _: b"PNG", "not the file of the repository"),
    "a gradebook": ("labs/gradebook.db", lambda: lambda _: b"", ".db"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_leak_is_found(packed, sought, tmp_path, planted):
    name, change, said = PLANTED[planted]
    found = leaks.leaks(with_leak(packed, tmp_path / "leak.zip", name, change()), ROOT, sought)
    assert found, "the leak was not found"
    assert all(line.startswith(f"{name}: ") for line in found)
    assert any(said in line for line in found), found


@pytest.fixture
def small(tiny, tmp_path: Path) -> Path:
    """The tiny course as a git checkout with what the zip needs."""
    root = tmp_path / "course"
    shutil.copytree(tiny["root"], root)
    for name in ("README.md", "pyproject.toml", "course.py"):
        shutil.copy(ROOT / name, root)
    (root / "notebooks").mkdir()
    (root / "notebooks" / "notes.md").write_text("Double it.\n")
    (root / "private.txt").write_text("not on the allow-list\n")
    commit(root)
    return root


def commit(root: Path) -> None:
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(root), *who, *arguments], check=True)


def test_a_hidden_test_pasted_into_a_lesson_of_the_repository_stops_the_zip(small, tmp_path):
    """There the lesson itself says these lines in public: three in a row are no coincidence."""
    lab = find_labs(small)[0]
    source = nbformat.read(lab.source, as_version=4)
    cell = next(cell for cell in source.cells if "BEGIN HIDDEN TESTS" in cell.source)
    secret = "\n".join(f"assert double({n}) == {2 * n}, 'not {2 * n}'" for n in (101, 102, 103))
    cell.source = cell.source.replace("### END HIDDEN TESTS", f"{secret}\n### END HIDDEN TESTS")
    nbformat.write(source, lab.source)
    target = tmp_path / "dist" / "course.zip"
    pack.pack(small, target)
    target.unlink()
    (small / "notebooks" / "notes.md").write_text(f"Double it.\n\n{secret}\n")
    with pytest.raises(CourseError, match=r"notebooks/notes.md: it holds a hidden test of lab77"):
        pack.pack(small, target)
    assert not list(target.parent.iterdir()), "nothing is left that somebody could hand out"


# ---- What is packed ------------------------------------------------------------------------------


def test_the_labs_are_those_of_the_course_and_nothing_else_is_in_their_folder(unpacked):
    files = {
        path.relative_to(unpacked).as_posix() for path in (unpacked / "labs").rglob("*") if path.is_file()
    }
    assert files == {f"labs/{lab.folder.name}/{lab.source.name}" for lab in find_labs(ROOT)}
    for name in files:
        assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes()


def test_the_same_files_give_the_same_bytes(packed, tmp_path):
    pack.write(ROOT, tmp_path / "again.zip", pack.packed_files(ROOT))
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_a_newer_zip_has_newer_files(small, tmp_path):
    """Else Python would run what it compiled from an older file of the same length."""
    times = []
    for day in (1, 2):
        date = {
            "GIT_AUTHOR_DATE": f"2026-12-0{day}T00:00:00Z",
            "GIT_COMMITTER_DATE": f"2026-12-0{day}T00:00:00Z",
        }
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(small), *who, "commit", "-q", "--allow-empty", "-m", "later"]
        subprocess.run(command, check=True, env=os.environ | date)
        pack.write(small, tmp_path / "a.zip", pack.packed_files(small))
        times.append({member.date_time for member in zipfile.ZipFile(tmp_path / "a.zip").infolist()})
    assert times == [{(2026, 12, 1, 0, 0, 0)}, {(2026, 12, 2, 0, 0, 0)}]


def test_only_what_git_tracks_of_the_allow_list_is_packed(small, tmp_path):
    (small / "notebooks" / "my own notes.md").write_text("not tracked\n")
    (small / "course.py").write_text("print('changed')\n")
    remarks = pack.pack(small, tmp_path / "a.zip")
    assert remarks == ["not committed yet, packed as it is: course.py"]
    names = set(zipfile.ZipFile(tmp_path / "a.zip").namelist())
    expected = {
        "README.md",
        "pyproject.toml",
        "course.py",
        "notebooks/notes.md",
        "labs/lab77_tiny/lab77.ipynb",
    }
    assert names == {f"{pack.TOP}/{name}" for name in expected}


def test_without_git_a_sentence(tiny, tmp_path):
    with pytest.raises(CourseError, match="is no git checkout"):
        pack.pack(tiny["root"], tmp_path / "a.zip")


def test_labs_that_were_not_regenerated_or_not_added_stop_the_zip(small, tmp_path, capsys):
    lab = small / "labs" / "lab77_tiny" / "lab77.ipynb"
    lab.write_bytes(lab.read_bytes() + b"\n")
    with pytest.raises(CourseError, match="labs/ differs"):
        pack.pack(small, tmp_path / "a.zip")
    subprocess.run(["git", "-C", str(small), "rm", "-q", "--cached", str(lab)], check=True)
    with pytest.raises(CourseError, match=r"git add labs/lab77_tiny/lab77.ipynb"):
        pack.pack(small, tmp_path / "a.zip")


def test_a_text_that_cannot_be_adapted_is_named(small, tmp_path):
    (small / "README.md").write_text("# Another\n")
    with pytest.raises(CourseError, match=r"README.md: .* stands there 0 times"):
        pack.pack(small, tmp_path / "a.zip")


# ---- What a learner can do with it ---------------------------------------------------------------


def test_the_command_works_in_an_empty_folder(unpacked):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "course.py", "help"], cwd=unpacked, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")] == ["lab"]
    assert os.access(unpacked / "course.py", os.R_OK)


def test_what_pip_installs_is_there(unpacked):
    """A package that pyproject.toml names and the zip lacks would stop the installation."""
    project = tomllib.loads((unpacked / "pyproject.toml").read_text(encoding="utf-8"))
    for name in project["tool"]["setuptools"]["packages"]:
        assert (unpacked / name.replace(".", "/") / "__init__.py").is_file(), name
    for name in [project["project"]["readme"], *project["project"]["license-files"], "constraints.txt"]:
        assert (unpacked / name).is_file(), name


def test_the_readme_is_for_learners_and_its_links_lead_somewhere(unpacked):
    text = (unpacked / "README.md").read_text(encoding="utf-8")
    for word in ("git", "Binder", "OWNER", "nstructor", "maintainer", "make grade", "solutions"):
        assert word not in text, word
    assert {"## For learners", "## Licence", "make lab"} <= set(text.splitlines())
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert len(links) > 20
    for link in links:
        assert (unpacked / link).is_file(), link


def test_links_between_notebooks_lead_somewhere(unpacked):
    for path in (*unpacked.glob("notebooks/*.ipynb"), *unpacked.glob("labs/*/*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for link in re.findall(r"\]\(([^)#\s]+)\)", cell.source) if cell.cell_type == "markdown" else ():
                if "://" not in link and not link.startswith("attachment:"):
                    assert (path.parent / link).exists(), f"{path.name}: {link}"


def learners_modules() -> set[str]:
    """The roots that can be imported where the dependencies of learners are installed, and no extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, installed = [Requirement(line) for line in project["dependencies"]], set()
    while waiting:
        one = waiting.pop()
        name = one.name.lower().replace("_", "-")
        if name in installed or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        try:
            waiting += [Requirement(line) for line in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:
            continue  # of another system
        installed.add(name)
    modules = metadata.packages_distributions().items()
    return {module for module, owners in modules if {o.lower().replace("_", "-") for o in owners} & installed}


def imported(source: str) -> set[str]:
    """The modules that code imports: "torch.nn"."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:  # else it is within the package
            found.add(node.module)
    return found


def test_imports_of_every_notebook_and_module_resolve(unpacked):
    """Against the zip itself and the dependencies of learners: nothing of grading, tests or nbgrader."""
    known = learners_modules() | sys.stdlib_module_names | {"backbones"}
    assert "torch" in known
    assert "nbgrader" not in known
    notebooks = [*unpacked.glob("labs/*/*.ipynb"), *unpacked.glob("notebooks/*.ipynb")]
    assert len(notebooks) > 2 * len(find_labs(ROOT))
    sources = {path: path.read_text(encoding="utf-8") for path in unpacked.glob("**/*.py")}
    for path in notebooks:
        notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
        code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
        sources[path] = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", code)
    for path, source in sources.items():
        for module in imported(source):
            root = module.split(".")[0]
            assert root in known, f"{path.name} imports {module}"
            if root == "backbones":
                file = unpacked / module.replace(".", "/")
                assert file.with_suffix(".py").is_file() or (file / "__init__.py").is_file(), module
