"""course.py as a person meets it: run in a copy of the course, in circumstances that are made bad on purpose.

Nothing here reaches the network. Where an installation has to succeed, a made-up `uv` stands on the PATH that
notes how it was called; where it has to fail for want of a network, the real installers talk to a dead proxy.
"""

import ast
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts course.py, most of them several times

ROOT = Path(__file__).parents[2]
LINUX = sys.platform.startswith("linux")
DEAD_PROXY = "http://127.0.0.1:9"  # the "discard" port: nothing answers there

COMMANDS = ["lab", "check", "test", "test-browser", "test-nightly", "test-lowest", "test-latest"]
COMMANDS += ["bench", "grade", "dask", "labs", "release", "site", "execute", "pin"]

# What a module of that name in the course's folder does instead of the real one.
ECHO = """import os, sys
print("RAN", *sys.argv[1:])
print(os.environ.get("JUPYTER_CONFIG_PATH"), os.environ.get("PYTHONPATH"))
"""

# In place of backbones/archives.py: notes that it was called; fails where a file says so.
FAKE_ARCHIVES = """import pathlib, sys
with open("fetched", "a") as calls:
    calls.write("fetched\\n")
print("Fetched the reviews.")
sys.exit(pathlib.Path("no archives").exists())
"""

# In place of matplotlib's: notes that the fonts of this machine were listed.
FAKE_FONTS = """with open("fonts", "a") as calls:
    calls.write("listed\\n")
"""

FAKE_UV = """#!/bin/sh
here="${0%/*}"
read -r mood < "$here/mood"
case "$*" in *--version*) echo uv 9.9; exit ;; esac
echo "$*" >> "$here/calls"
case "$* / $mood" in
    *--dry-run*/*cpu*) exit 0 ;;  # the question whether PyTorch's own index answers
    *--dry-run*) exit 1 ;;
    *--torch-backend*/*fails-with-cpu* | *fails:*) echo "${mood#*fails:}"; exit 1 ;;
    *slow*) echo $$ > "$here/pid"; echo Downloading; exec /bin/sleep 30 ;;
esac
echo " + a-package==1.0"
echo "Installed 1 package"
"""


class Course:
    """A copy of what course.py needs, an empty home, and a PATH with nothing but what a test puts there."""

    def __init__(self, folder: Path):
        self.root, self.bin, self.home = folder / "course", folder / "bin", folder / "home"
        for path in (self.root, self.bin, self.home):
            path.mkdir(parents=True)
        for name in ("course.py", "Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.root)
        for module in ("jupyterlab", "ruff", "pytest", "grading", "dask"):
            (self.root / f"{module}.py").write_text(ECHO)
        (self.root / "solutions").mkdir()  # what the learners' zip lacks
        (self.root / "backbones").mkdir()
        (self.root / "backbones" / "archives.py").write_text(FAKE_ARCHIVES)
        (self.root / "matplotlib").mkdir()
        (self.root / "matplotlib" / "font_manager.py").write_text(FAKE_FONTS)

    @property
    def venv_python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    @property
    def state(self) -> dict:
        """What course.py noted about `.venv`."""
        return json.loads((self.root / ".venv" / "course.json").read_text())

    def program(self, name: str, text: str) -> None:
        """Put an executable on the PATH."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def uv(self, mood: str = "") -> None:
        """Put the made-up uv on the PATH. Moods: "cpu", "fails-with-cpu", "slow", "fails:" and the reason."""
        self.program("uv", FAKE_UV)
        (self.bin / "mood").write_text(mood + "\n")

    @property
    def installations(self) -> list[str]:
        """How uv was called to install something."""
        calls = self.bin / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if "--dry-run" not in line]

    @property
    def fetches(self) -> int:
        """How often the texts and weights were asked for that no dependency brings."""
        calls = self.root / "fetched"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    def environment(self, sabotage: str = "", **changes: str) -> dict[str, str]:
        """`sabotage` is Python that runs before course.py does: it makes this machine a worse one."""
        (self.home / "sitecustomize.py").write_text(sabotage)
        # pip's own configuration is kept out: it may know places with packages on this very machine.
        base = {"PATH": str(self.bin), "HOME": str(self.home), "PIP_CONFIG_FILE": os.devnull}
        return base | {"PYTHONPATH": str(self.home), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")} | changes

    def run(self, *arguments: str, sabotage: str = "", cwd: Path | None = None, **changes: str):
        """Run course.py; returns the finished process with .stdout and .stderr."""
        return subprocess.run(
            [sys.executable, str(self.root / "course.py"), *arguments],
            cwd=cwd or self.root,
            env=self.environment(sabotage, **changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def works(self, *arguments: str, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done.stderr
        return done

    def fails(self, *arguments: str, **options) -> str:
        """Run course.py, which must fail with a sentence and no traceback; returns the sentence."""
        done = self.run(*arguments, **options)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("course.py: "), done.stderr
        return last


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path / "learner's folder with a space and an ü")


@pytest.fixture
def installed(course: Course) -> Course:
    """A course after its first `python course.py lab`."""
    course.uv()
    course.works("lab")
    return course


# ---- The right Python ----------------------------------------------------------------------------


def test_python_3_6_can_read_it():
    ast.parse((ROOT / "course.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def pretend_python(major: int, minor: int) -> str:
    return f"import sys; sys.version_info = ({major}, {minor}, 2, 'final', 0)"


def test_a_too_old_python_says_so(course):
    sentence = course.fails("lab", sabotage=pretend_python(3, 9))
    assert "Python 3.9 is too old" in sentence
    assert "3.11 or newer" in sentence


def test_a_too_old_python_goes_on_under_a_newer_one(course):
    course.program("python3.13", "#!/bin/sh\nexit 127\n")  # a version manager's name without a Python behind
    course.program("python3.12", '#!/bin/sh\n[ "$1" = -c ] || echo "newer Python: $*"\n')
    done = course.works("grade", "lab01", "a folder", sabotage=pretend_python(3, 9))
    assert done.stdout.strip() == f"newer Python: {course.root / 'course.py'} grade lab01 a folder"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_without_python_says_so(course):
    done = subprocess.run(
        [shutil.which("make"), "lab"],
        cwd=course.root,
        env={"PATH": str(course.bin)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("Python is missing: install 3.11 or newer")


# ---- Commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--help",), ("help",)])
def test_the_commands_are_listed_one_a_line(course, arguments):
    lines = course.works(*arguments).stdout.splitlines()
    commands = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert set(commands) == set(COMMANDS)
    assert all(len(line.split()) > 3 for line in commands.values()), "each command says what it does"


def test_learners_without_solutions_have_the_one_command_that_works(course):
    (course.root / "solutions").rmdir()
    listed = course.works("help").stdout
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ")] == ["lab"]
    assert course.fails("grade", "lab01").endswith("this is the course for learners, with one command: lab")


def test_an_unknown_command_lists_those_there_are(course):
    assert ", ".join(COMMANDS) in course.fails("notebook")


@pytest.mark.parametrize("arguments", [(), ("lab01",), ("", ""), ("lab01", "")])
def test_grade_without_lab_or_folder_shows_how_to_call_it(course, arguments):
    assert "make grade LAB=lab01 FROM=" in course.fails("grade", *arguments)


def test_grade_names_a_folder_that_is_not_there(course):
    assert f"no folder or zip {course.root / 'inbox'}" in course.fails("grade", "lab01", "inbox")


def test_grade_takes_the_systems_zip(course):
    course.uv()
    (course.root / "in box.zip").write_bytes(b"")
    done = course.works("grade", "lab01", "in box.zip", "--due", "2026-12-01")
    assert f"RAN grade lab01 {course.root / 'in box.zip'} --due 2026-12-01" in done.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_hands_lab_and_folder_on(course):
    course.uv()
    (course.root / "in box").mkdir()
    course.program("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    command = [shutil.which("make"), "grade", "LAB=lab01", "FROM=in box", "ARGS=--fast"]
    environment = course.environment()
    done = subprocess.run(command, cwd=course.root, env=environment, capture_output=True, text=True)
    assert f"RAN grade lab01 {course.root / 'in box'} --fast" in done.stdout, done.stderr


def test_a_relative_folder_is_meant_from_where_the_person_is(course, tmp_path):
    course.uv()
    (tmp_path / "elsewhere" / "inbox").mkdir(parents=True)
    done = course.works("grade", "lab01", "inbox", cwd=tmp_path / "elsewhere")
    assert f"RAN grade lab01 {tmp_path / 'elsewhere' / 'inbox'}" in done.stdout


def test_several_machines_bring_dask_and_one_does_without(course):
    course.uv()
    (course.root / "inbox").mkdir()
    course.works("grade", "lab01", "inbox", "--due", "2026-12-01")
    assert course.state["extra"] == "instructor"
    course.works("grade", "lab01", "inbox", "--scheduler", "tcp://host:8786")
    assert course.state["extra"] == "cluster"
    assert "RAN worker tcp://host:8786" in course.works("dask", "worker", "tcp://host:8786").stdout


def test_lab_opens_the_first_lesson_and_passes_options_on(course):
    course.uv()
    done = course.works("lab", "--no-browser", "--port=9999")
    assert "/lab/tree/notebooks/00_what_is_a_backbone.ipynb" in done.stdout
    assert done.stdout.splitlines()[0].endswith("--no-browser --port=9999")
    # Its own settings, and none of the packages that another Python's PYTHONPATH brings along.
    assert done.stdout.splitlines()[1] == f"{course.root / '.jupyter'} None"


@pytest.mark.skipif(not LINUX, reason="elsewhere there is always a display")
def test_lab_opens_no_browser_where_there_is_no_display(installed):
    assert "--no-browser" in installed.works("lab").stdout
    assert "--no-browser" not in installed.works("lab", DISPLAY=":0").stdout


@pytest.mark.parametrize(
    ("arguments", "ran", "extra"),
    [
        ((), "RAN lessons", "test"),
        (("04",), "RAN lessons 04", "test"),
        (("deeplab_speed", "--rounds", "2"), "RAN deeplab_speed --rounds 2", "bench"),
    ],
)
def test_bench_runs_the_lessons_or_a_benchmark_by_name(course, arguments, ran, extra):
    course.uv()
    (course.root / "benchmarks").mkdir()
    for name in ("lessons", "deeplab_speed"):
        echo = f"import sys; print('RAN', {name!r}, *sys.argv[1:])"
        (course.root / "benchmarks" / f"{name}.py").write_text(echo)
    assert ran in course.works("bench", *arguments).stdout.splitlines()
    assert course.state["extra"] == extra


def runs(done: subprocess.CompletedProcess) -> list[str]:
    """How modules of the course's environment were called: ruff, pytest, ..."""
    return [line for line in done.stdout.splitlines() if line.startswith("RAN")]


@pytest.mark.parametrize(
    ("command", "asked", "left_out"),
    [("check", None, "not slow and not nightly"), ("test", "--nbval ", "not nightly")],
)
def test_checking_and_testing_begin_with_style(course, command, asked, left_out):
    course.uv()
    style, formatted, tests = runs(course.works(command, "-k", "words"))
    assert (style, formatted) == ("RAN check .", "RAN format --check .")
    assert f"-m {left_out} " in tests
    assert tests.endswith("-k words")
    assert asked in tests if asked else "--nbval" not in tests
    (course.root / "ruff.py").write_text("raise SystemExit(1)")
    assert "ruff check --fix" in course.fails(command)


def test_the_browser_takes_all_lessons_and_must_be_there(course):
    course.uv()
    (course.root / "pytest.py").write_text(ECHO + "print(os.environ['BACKBONES_REQUIRE_BROWSER'])")
    done = course.works("test-browser", "-k", "05")
    (tests,) = runs(done)
    assert tests.endswith("tests/browser -k 05")
    assert " -m " not in tests
    assert done.stdout.splitlines()[-1] == "1"


def test_the_long_tests_run_at_night(course):
    course.uv()
    (tests,) = runs(course.works("test-nightly", "-k", "alone"))
    assert " -m nightly " in tests
    assert "--ignore=tests/browser" in tests, "test-browser takes these"
    assert tests.endswith(" -k alone")


UV_WITH_ENVIRONMENTS = """#!/bin/sh
case "$1" in
    --version) echo uv 9.9 ;;
    venv) for folder; do :; done; exec "{python}" -m venv --without-pip "$folder" ;;
    *) echo "$*" >> "${{0%/*}}/calls" ;;
esac
"""


@pytest.mark.parametrize(
    ("command", "resolution"), [("test-lowest", "lowest-direct"), ("test-latest", "highest")]
)
def test_other_versions_are_tested_beside_those_that_are_installed(course, command, resolution):
    course.program("uv", UV_WITH_ENVIRONMENTS.format(python=sys.executable))
    echo = "print(sys.prefix, os.environ['BACKBONES_VERSIONS'], os.environ['VIRTUAL_ENV'])"
    (course.root / "pytest.py").write_text(ECHO + echo)
    for _ in range(2):  # the second finds its environment
        done = course.works(command, "-k", "words")
    (tests,) = runs(done)
    assert " -m not slow and not nightly --nbval " in tests
    assert tests.endswith(" tests notebooks/00_what_is_a_backbone.ipynb -k words")
    own = course.root / f".venv-{resolution}"
    assert done.stdout.splitlines()[-1] == f"{own} {resolution} {own}"
    assert f"--resolution {resolution}" in course.installations[-1]
    assert "--upgrade" in course.installations[-1]
    assert course.installations[-1].endswith("-e .[lab,instructor,hub,test]")
    assert "constraints.txt" not in course.installations[-1], "no pins"
    assert not (course.root / ".venv").exists()


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_knows_every_command(course):
    course.program("python3", '#!/bin/sh\nshift; echo "called: $*"\n')
    environment = course.environment()
    for command in COMMANDS:
        done = subprocess.run(
            [shutil.which("make"), command, "LAB=a", "FROM=b"],
            cwd=course.root,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.stdout.startswith(f"called: {command}"), done.stderr


# ---- Installing, and when not to -----------------------------------------------------------------


def test_a_learner_gets_jupyterlab_and_no_other_extra_and_the_pins_are_constraints(installed):
    (call,) = installed.installations
    assert call.endswith("-c constraints.txt -e .[lab]")
    assert f"--python {installed.venv_python}" in call
    assert installed.state["complete"] is True


def test_a_second_start_installs_nothing(installed):
    installed.uv("fails: no second start may ask for this")
    installed.works("lab")
    assert len(installed.installations) == 1


def test_tests_add_their_packages_and_the_lab_keeps_them(installed):
    installed.works("test")
    installed.works("lab")
    (installed.root / "inbox").mkdir()
    installed.works("grade", "lab01", "inbox")
    assert [call.rpartition(" ")[2] for call in installed.installations] == [".[lab]", ".[test]"]


def test_an_installation_from_before_there_was_an_extra_for_learners_goes_on(installed):
    (installed.root / ".venv" / "course.json").write_text(
        json.dumps(installed.state | {"extra": "", "packages": ""})
    )
    installed.works("lab")
    assert installed.state["extra"] == "lab"


def test_a_change_of_packages_reaches_those_of_the_tests_too(installed):
    installed.works("test")
    with open(installed.root / "constraints.txt", "a") as constraints:
        constraints.write("a-new-package==1.0\n")
    installed.works("lab")
    assert installed.installations[-1].endswith("-e .[test]")


@pytest.mark.parametrize(
    ("file", "old", "new", "count"),
    [
        ("constraints.txt", "timm==", "timm==9", 2),
        ("pyproject.toml", '"timm>=', '"timm>=0.9,>=', 2),
        ("pyproject.toml", "line-length = 110", "line-length = 111", 1),
    ],
)
def test_only_a_change_of_packages_installs_again(installed, file, old, new, count):
    text = (installed.root / file).read_text()
    assert old in text
    (installed.root / file).write_text(text.replace(old, new))
    installed.works("lab")
    assert len(installed.installations) == count


def test_an_installation_lists_the_fonts_that_the_first_picture_would_wait_for(course):
    course.uv()
    course.works("lab")
    course.works("lab")
    assert (course.root / "fonts").read_text() == "listed\n"


# ---- Texts and weights that no dependency brings -------------------------------------------------


def test_a_first_start_fetches_them_and_a_second_does_not(course):
    course.uv()
    said = course.works("lab").stderr
    assert said.index("Fetched the reviews.") < said.index("From now on no network is needed.")
    assert course.fetches == 1
    course.works("lab")
    course.works("test")  # more packages: it looks again whether all is there
    course.works("test")
    assert course.fetches == 2
    assert course.state["archives"] is True


def test_an_installation_from_before_there_were_any_gets_them(installed):
    state = {key: value for key, value in installed.state.items() if key != "archives"}
    (installed.root / ".venv" / "course.json").write_text(json.dumps(state))
    installed.works("lab")
    assert installed.fetches == 2
    assert len(installed.installations) == 1


def test_where_they_cannot_be_had_the_lab_opens_and_only_tests_ask_again(course):
    course.uv()
    (course.root / "no archives").touch()
    first = course.works("lab")
    assert "RAN" in first.stdout
    assert "no network is needed" not in first.stderr
    course.works("lab")
    assert course.fetches == 1, "a learner without a network would wait at every start"
    course.works("test")
    assert course.fetches == 2
    (course.root / "no archives").unlink()
    course.works("test")
    course.works("test")
    assert course.fetches == 3
    assert course.state["archives"] is True


@pytest.mark.skipif(not LINUX, reason="only Linux has a choice of torch")
def test_torch_without_cuda_where_its_index_answers(course):
    course.uv("cpu")
    course.works("lab")
    course.works("test")  # stays with it, without asking again
    assert all("--torch-backend cpu" in call for call in course.installations)
    assert len((course.bin / "calls").read_text().splitlines()) == 3


@pytest.mark.skipif(not LINUX, reason="only Linux has a choice of torch")
def test_the_default_torch_where_the_index_answers_but_does_not_deliver(course):
    course.uv("cpu fails-with-cpu")
    course.works("lab")
    assert ["--torch-backend" in call for call in course.installations] == [True, False]
    assert course.state["torch"] == "default"


def test_a_virtual_environment_made_by_hand_is_used(course):
    course.uv()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course.root / ".venv"], check=True)
    (course.root / ".venv" / "mine").touch()
    course.works("lab")
    assert (course.root / ".venv" / "mine").exists()
    assert course.state["complete"] is True


# ---- An environment that cannot be used is made again --------------------------------------------


def test_a_python_that_is_gone(installed):
    installed.venv_python.unlink()
    installed.venv_python.symlink_to(installed.home / "python-that-was-uninstalled")
    assert "does not run any more: making it again" in installed.works("lab").stderr
    assert len(installed.installations) == 2


def test_a_python_that_was_upgraded_underneath(installed):
    state = installed.root / ".venv" / "course.json"
    state.write_text(json.dumps(installed.state | {"python": "3.10"}))
    assert "Python was 3.10 when .venv was made" in installed.works("lab").stderr


def test_a_course_that_was_moved(installed):
    moved = installed.root.with_name("moved")
    installed.root.rename(moved)
    installed.root = moved
    assert "moved or copied" in installed.works("lab").stderr
    assert installed.state["folder"] == str(moved / ".venv")


@contextlib.contextmanager
def in_the_middle_of_an_installation(course: Course, *before: str) -> Iterator[subprocess.Popen]:
    """A `course.py lab` that is waiting for its installer. `before`: a program that starts it."""
    course.uv("slow")
    command = [*before, sys.executable, str(course.root / "course.py"), "lab"]
    # As in a terminal of its own: Ctrl-C and a closed window reach all that runs there.
    process = subprocess.Popen(
        command,
        env=course.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_line(process, "Downloading")
    yield process
    assert course.state == {"complete": False}


def test_an_installation_that_was_killed(course):
    with in_the_middle_of_an_installation(course) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    course.uv()
    assert "was not finished: making it again" in course.works("lab").stderr


def test_control_c_stops_cleanly(course):
    with in_the_middle_of_an_installation(course) as process:
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.strip().splitlines()[-1] == "course.py: stopped; run the same command again to go on"
    with pytest.raises(ProcessLookupError):  # the installer does not go on in the background
        os.kill(int((course.bin / "pid").read_text()), 0)


BACKGROUND = ("/bin/sh", "-c", 'trap \'\' INT; exec "$0" "$@"')  # as a script's shell starts `make test &`


def test_control_c_does_not_reach_it_in_the_background(course):
    with in_the_middle_of_an_installation(course, *BACKGROUND) as process:
        os.killpg(process.pid, signal.SIGINT)
        os.kill(int((course.bin / "pid").read_text()), signal.SIGKILL)  # the installer's own end
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.strip().splitlines()[-1].startswith("course.py: the installation failed")


def test_control_c_reaches_what_tests_start_from_the_background():
    """`make test &` in a script: the tests ignore Ctrl-C as they should, what they start does not."""
    child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    program = "import os, signal, subprocess, sys, conftest\nos.kill(os.getpid(), signal.SIGINT)\n"
    program += f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    done = subprocess.run(
        [*BACKGROUND, sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def wait_for_line(process: subprocess.Popen, pattern: str) -> re.Match:
    """Read what a process says on stderr until a line matches."""
    said = ""
    for line in process.stderr:
        said += line
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"the process ended and never said {pattern}, but:\n{said}")


# ---- Each trouble has its sentence ---------------------------------------------------------------


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_no_network(course, installer):
    if installer == "uv":
        if not shutil.which("uv"):
            pytest.skip("uv is not installed")
        (course.bin / "uv").symlink_to(shutil.which("uv"))
    offline = {"HTTPS_PROXY": DEAD_PROXY, "ALL_PROXY": DEAD_PROXY, "UV_HTTP_RETRIES": "0", "PIP_RETRIES": "0"}
    assert "no network: " in course.fails("lab", **offline)
    state = course.root / ".venv" / "course.json"
    assert not state.exists() or not course.state.get("complete"), "this may not count as installed"


def test_without_network_what_was_installed_goes_on_working(installed):
    installed.uv("fails: client error (Connect) dns error")
    assert "no network: " in installed.fails("test")
    installed.works("lab")


def test_no_disk_space_for_a_start(course):
    course.uv()
    little = "import collections, shutil\n"
    little += "shutil.disk_usage = lambda _: collections.namedtuple('Usage', 'free')(free=1_250_000_000)"
    sentence = course.fails("lab", sabotage=little)
    assert "not enough disk space" in sentence
    assert "1.2 GB are free" in sentence
    assert not (course.root / ".venv").exists()


def test_the_disk_fills_up_on_the_way(course):
    course.uv("cpu fails: failed to copy file: No space left on device (os error 28)")
    assert "the disk is full" in course.fails("lab")
    assert len(course.installations) == 1, "another installer would find the disk as full"
    assert course.state == {"complete": False}


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv(course, module):
    assert "python3-venv" in course.fails("lab", sabotage=f"import sys; sys.modules['{module}'] = None")


def test_debians_python_without_ensurepip_is_enough_for_uv(course):
    course.uv()
    course.works("lab", sabotage="import sys; sys.modules['ensurepip'] = None")


def test_no_permission_to_write(course):
    course.uv()
    course.root.chmod(stat.S_IRUSR | stat.S_IXUSR)
    # Root may write everywhere, so there the answer is made up.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    sentence = course.fails("lab", sabotage="import os; os.access = lambda *_: False" if root else "")
    course.root.chmod(stat.S_IRWXU)
    assert f"no permission to write in {course.root}" in sentence


def test_a_failure_without_a_name_leaves_the_reason_in_sight(course):
    course.uv("fails: the wheel is from another planet")
    done = course.run("lab")
    assert "the wheel is from another planet" in done.stderr
    assert "the reason stands above" in done.stderr


# ---- What a learner sees in JupyterLab -----------------------------------------------------------

LEARNERS_EXTENSIONS = {"jupyterlab_pygments", "@jupyter-widgets/jupyterlab-manager"}


def test_a_learners_lab_has_no_instructor_menus_and_no_news(tmp_path, monkeypatch):
    """The real JupyterLab of this environment, nbgrader included, started as `course.py lab` starts it."""
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    launcher = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launcher)
    started = []
    monkeypatch.setattr(launcher, "install", lambda _: None)
    monkeypatch.setattr(launcher, "VENV_PYTHON", Path(sys.executable))
    monkeypatch.setattr(launcher, "become", lambda command, env: started.append((command, env)))
    monkeypatch.setattr(launcher.os, "chdir", lambda _: None)
    launcher.lab("--no-browser", "--port=0")
    ((command, environment),) = started

    own = {name: str(tmp_path) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")}
    process = subprocess.Popen(command, cwd=ROOT, env=environment | own, stderr=subprocess.PIPE, text=True)
    try:
        match = wait_for_line(process, r"(http://127\.0\.0\.1:\d+)(/lab/tree/\S+)\?token=(\w+)")
        server, page, token = match.groups()
        assert page == "/lab/tree/notebooks/00_what_is_a_backbone.ipynb"
        html = fetch(f"{server}/lab", token)
        assert fetch(f"{server}/formgrader", token) is None
    finally:
        process.terminate()
        process.communicate(timeout=20)

    config = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', html, re.S)[1])
    present = {extension["name"] for extension in config["federated_extensions"]}
    disabled = set(config["disabledExtensions"])
    assert "@jupyter/nbgrader" in present, "without nbgrader this test shows nothing"
    assert present - disabled <= LEARNERS_EXTENSIONS
    assert "@jupyterlab/apputils-extension:announcements" in disabled


def fetch(url: str, token: str, patience: float = 60) -> str | None:
    """The text of a page, or None where the server says that there is none (404).

    Jupyter prints its address a moment before it listens there, hence the patience, in seconds.
    """
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    until = time.monotonic() + patience
    while True:
        try:
            return urllib.request.urlopen(request, timeout=patience).read().decode()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
