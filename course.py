"""The course's one command, from a fresh clone to JupyterLab, tests and grading.

    python3 course.py lab           (on Windows: py course.py lab)

The first call makes `.venv` beside this file and installs the pinned packages there; later calls find
everything in place, need no network and start at once. Deleting `.venv` is always safe: the next call makes
it again.

Standard library only, since nothing is installed yet when this runs. The syntax is that of Python 3.6
(tested), so that an old Python gets far enough to say in one sentence that it is too old.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
VENV_PYTHON = VENV_BIN / ("python.exe" if os.name == "nt" else "python")
STATE_FILE = VENV / "course.json"  # what was installed; "complete" is written last
FIRST_LESSON = "notebooks/00_what_is_a_backbone.ipynb"

OLDEST_PYTHON = (3, 11)
NEWER_PYTHONS = ("python3.13", "python3.12", "python3.11", "python3.14")  # the tested ones first
# Extras of pyproject.toml, each containing the one before it.
LEARNER, INSTRUCTOR, CLUSTER, TEST, BENCH = EXTRAS = ("lab", "instructor", "cluster", "test", "bench")
SMALL, LARGE = 2, 6  # gigabytes on disk, without and with torch's CUDA libraries


# ---- Commands: what a person types ---------------------------------------------------------------


def lab(*options: str) -> None:
    """Open JupyterLab at the first lesson. Options go to JupyterLab: --no-browser --port=9999"""
    install(LEARNER)
    own = [
        "--ServerApp.root_dir=" + str(ROOT),
        "--LabApp.default_url=/lab/tree/" + FIRST_LESSON,
        # The address to open is logged as critical; without the lines below that level it stands out.
        "--ServerApp.log_level=WARN",
        "--LabApp.log_level=WARN",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        own.append("--allow-root")  # containers; the server still listens on this machine only
    # Without a display Python may start a text browser in this very terminal, which hides the address.
    display = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & set(os.environ)
    if (display or os.name == "nt" or sys.platform == "darwin") and "--no-browser" not in options:
        say("JupyterLab opens in your browser; if it does not, open the address that appears below.")
    else:
        own.append("--no-browser")
        say("Open the address that appears below in a browser.")
        if "SSH_CONNECTION" in os.environ:
            tunnel = "ssh -L 8888:localhost:8888 YOU@THIS_MACHINE"
            say(f"From your own computer, reach it through: {tunnel} (8888: the port below)")
    say("To stop JupyterLab: Ctrl-C here, twice.")
    # Our settings come first: no instructor menus even where nbgrader is installed, no news pop-ups.
    config = [str(ROOT / ".jupyter"), os.environ.get("JUPYTER_CONFIG_PATH")]
    hand_over("-m", "jupyterlab", *own, *options, JUPYTER_CONFIG_PATH=os.pathsep.join(filter(None, config)))


def check(*options: str) -> None:
    """Find most mistakes soon, while editing: style and fast tests. Options go to pytest"""
    install(TEST)
    check_style()
    run_pytest("-m", "not slow and not nightly", *options)


def test(*options: str) -> None:
    """Run what CI checks at every push. Options go to pytest: tests/authoring/test_course.py -k python"""
    install(TEST)
    check_style()
    run_pytest(
        *("-m", "not nightly"),
        *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"),
        *("--nbval-sanitize-with", "tests/nbval_sanitize.cfg"),
        *options,
    )


def test_browser(*options: str) -> None:
    """Work through every lesson in a real browser, as CI does each night. Options go to pytest: -k 05"""
    install(TEST)
    run_pytest("--dist=load", "tests/browser", *options, BACKBONES_REQUIRE_BROWSER="1")


def test_nightly(*options: str) -> None:
    """Run the long tests: every notebook alone and on four threads, a class on a hub. Options go to pytest"""
    install(TEST)
    run_pytest("-m", "nightly", "--dist=load", "--ignore=tests/browser", "tests", *options)


def test_lowest(*options: str) -> None:
    """Run fast tests and a lesson with the oldest versions that pyproject.toml allows. Options go to pytest"""
    with_versions("lowest-direct", *options)


def test_latest(*options: str) -> None:
    """Run fast tests and a lesson with the newest version of everything. Options go to pytest"""
    with_versions("highest", *options)


def bench(*options: str) -> None:
    """Measure: every lesson's seconds and memory; or a benchmark by name: bench deeplab_speed"""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))
    name, *rest = options if options and options[0] in names else ("lessons", *options)
    install(TEST if name == "lessons" else BENCH)
    hand_over("-m", f"benchmarks.{name}", *rest)


def grade(lab_name: str = "", folder: str = "", *options: str) -> None:
    """Grade what the LMS exported, folder or zip: grade lab01 path/to/submissions"""
    if not lab_name or not folder:
        stop(
            "say which lab to grade and where the submissions are: `make grade LAB=lab01 FROM=submissions` "
            "or `python3 course.py grade lab01 submissions`"
        )
    submissions = (START / folder).resolve()
    if not submissions.exists():
        stop(f"there is no folder or zip {submissions}: name what holds the submissions")
    install(CLUSTER if any(option.startswith("--scheduler") for option in options) else INSTRUCTOR)
    # Files named in the options are meant from where the person is, too.
    hand_over("-m", "grading", "grade", lab_name, str(submissions), *options, BACKBONES_START=str(START))


def dask(*options: str) -> None:
    """Several machines for grading: dask scheduler, then on each machine dask worker tcp://HOST:8786"""
    install(CLUSTER)
    hand_over("-m", "dask", *options)


def labs(*options: str) -> None:
    """Regenerate labs/ (the students' versions) from solutions/"""
    install(TEST)
    hand_over("-m", "authoring.release", *options)


def release(*options: str) -> None:
    """Pack what learners get, without solutions and hidden tests, into dist/backbones-course.zip"""
    install(TEST)
    hand_over("-m", "authoring.pack", *options)


def site(*options: str) -> None:
    """Build the website of lessons, labs and package into build/site/"""
    install(TEST)
    hand_over("-m", "authoring.site", *options)


def execute(*names: str) -> None:
    """Run lessons and save their outputs in place: execute 00 01"""
    install(TEST)
    hand_over("-m", "authoring.execute", *names)


def pin(*options: str) -> None:
    """Write constraints.txt anew from pyproject.toml; with --upgrade to the newest versions"""
    install(TEST)
    uv = find_uv() or stop("pinning needs uv: install it (`pip install uv`), then run this again")
    # No header and no annotations: one line a package, so that a diff shows versions and nothing else.
    command = [uv, "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate", "--all-extras"]
    command += ["--python-version", "3.11", "pyproject.toml", "-o", "constraints.txt"]
    sys.exit(call(*command, *options))


EVERY_COMMAND = (lab, check, test, test_browser, test_nightly, test_lowest, test_latest)
EVERY_COMMAND += (bench, grade, dask, labs, release, site, execute, pin)
# The zip for learners (`release`) has no solutions, and nothing that the other commands need.
if not (ROOT / "solutions").is_dir():
    EVERY_COMMAND = (lab,)
COMMANDS = {command.__name__.replace("_", "-"): command for command in EVERY_COMMAND}


def main(arguments: list) -> None:
    """Run one command, or list them."""
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        print("Backbones: python3 course.py COMMAND\n")
        for name, command in COMMANDS.items():
            print(f"  {name:12} {command.__doc__}")
    elif arguments[0] in COMMANDS:
        COMMANDS[arguments[0]](*arguments[1:])
    else:
        there = "there are: " if len(COMMANDS) > 1 else "this is the course for learners, with one command: "
        stop("there is no command {!r}; {}{}".format(arguments[0], there, ", ".join(COMMANDS)))


# ---- Testing -------------------------------------------------------------------------------------


def check_style() -> None:
    """Stop where ruff finds a mistake or a file that is not formatted."""
    for options, cure in (
        (["check"], "ruff found mistakes in the code; many are mended by: {ruff} check --fix"),
        (["format", "--check"], "some files are not formatted; mend it with: {ruff} format"),
    ):
        if call(VENV_PYTHON, "-m", "ruff", *options, "."):
            stop(cure.format(ruff=VENV_BIN.relative_to(ROOT) / "ruff"))


def with_versions(resolution: str, *options: str) -> NoReturn:
    """Run the fast tests and lesson 00 with other versions than the pinned ones, beside `.venv`.

    Args: resolution, how uv chooses among the versions that pyproject.toml allows: "lowest-direct" takes the
        oldest of what it names, "highest" the newest of everything. options, for pytest.
    """
    uv = find_uv() or stop("choosing versions needs uv: install it (`pip install uv`), then run this again")
    venv = ROOT / f".venv-{resolution}"
    python = venv / VENV_PYTHON.relative_to(VENV)
    if not ask(python, "--version"):
        require_space(LARGE)
        if watch([uv, "venv", "--clear", "--python", sys.executable, venv])[0]:
            stop("the reason stands above")
    command = [uv, "pip", "install", "--python", python, "--upgrade", "--resolution", resolution]
    command += ["--torch-backend", "cpu"] if cpu_torch_answers(uv, python) else []
    # Each extra by name: of those that only another one names, uv would take the newest.
    status, output = watch([*command, "-e", ".[lab,instructor,hub,test]"])
    if status:
        stop(explain(output))
    watch([python, "-m", "backbones.archives"])
    run_pytest(
        *("-m", "not slow and not nightly", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"),
        *("--nbval-sanitize-with", "tests/nbval_sanitize.cfg", "tests", FIRST_LESSON),
        *options,
        venv=venv,
        BACKBONES_VERSIONS=resolution,  # what compares versions with the pins has nothing to compare
    )


def run_pytest(*options: str, venv: Path = VENV, **changes: str) -> NoReturn:
    """Become pytest with two workers. `changes` to its environment; `venv`, where it is installed."""
    hand_over(
        *("-m", "pytest", "-n", "2"),
        "--dist=loadscope",  # a notebook's cells stay together, in order
        "--no-loadscope-reorder",  # else few long tests, lessons with few cells, come last and alone
        *options,
        # Two workers with two threads each would fight for two cores: several times slower, measured.
        OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1"),
        venv=venv,
        **changes,
    )


# ---- Installing ----------------------------------------------------------------------------------


def install(extra: str) -> None:
    """Make `.venv` hold the pinned packages of `extra`; return at once where it already does."""
    state = read_state()
    damage = damaged(state)
    wanted = {"packages": fingerprint(), "folder": str(VENV), "complete": True}
    unchanged = all(state.get(key) == value for key, value in wanted.items())
    if not damage and unchanged and EXTRAS.index(state["extra"]) >= EXTRAS.index(extra):
        fetch_archives(extra)
        return
    if not os.access(str(VENV if VENV.is_dir() else ROOT), os.W_OK):
        stop(NO_PERMISSION.format(ROOT))
    if importlib.util.find_spec("venv") is None:
        stop(NO_VENV)
    if damage:
        say(f"{damage}: making it again.")
    if damage or not VENV.exists():
        require_space(SMALL)
        make_venv()
        state = {}
    # What is there already stays: someone who has run the tests and opens the Lab keeps both.
    wanted["extra"] = max(
        extra, state.get("extra") or LEARNER, key=EXTRAS.index
    )  # "": before there was "lab"
    wanted.update(install_packages(wanted["extra"], state))
    wanted["python"] = venv_python_version()
    # Else the first picture waits while matplotlib lists this machine's fonts, and where that takes long, the
    # lesson says so in red. postBuild does the same for Binder.
    ask(VENV_PYTHON, "-c", "import matplotlib.font_manager")
    write_state(wanted)
    if fetch_archives(extra):
        say("Installed. From now on no network is needed.")


def install_packages(extra: str, state: dict) -> dict:
    """Install the packages of `extra` with the best installer that can be had.

    Args: state, what `.venv` already holds: {} where it is new or made by hand.
    Returns: {"torch": "cpu" or "default"}, where torch came from: later packages must go with it.
    """
    uv = find_uv() or bootstrap_uv()
    torch = state.get("torch") or ("cpu" if uv and cpu_torch_answers(uv) else "default")
    if "torch" in state:
        say("Bringing the packages up to date ...")
    else:
        size = LARGE if sys.platform.startswith("linux") and torch == "default" else SMALL
        require_space(size)
        say(f"Installing the packages: about {size} GB on disk, 1 to 5 minutes, only this once.")
    write_state({"complete": False})
    for command in install_commands(uv, torch, extra):
        status, output = watch(command)
        if status == 0:
            return {"torch": "cpu" if "--torch-backend" in command else "default"}
        if DISK_FULL.search(output):
            break
    # The installers fetch everything before they touch anything: without network, what was there is whole.
    if NETWORK_DOWN.search(output):
        write_state(state)
    stop(explain(output))


def fetch_archives(extra: str) -> bool:
    """Let backbones/archives.py fetch, once, the texts and weights that no dependency brings.

    Where that fails, its sentence says which lessons have to wait, and all else goes on. Only tests try
    again: a learner without a network would be kept waiting at every start.

    Args: extra, for whom the installation is.
    Returns: whether all of it is there.
    """
    state = read_state()
    if "archives" not in state or (extra in (TEST, BENCH) and not state["archives"]):
        status, _ = watch([VENV_PYTHON, "-m", "backbones.archives"])
        state["archives"] = status == 0
        write_state(state)
    return state["archives"]


def read_state() -> dict:
    """What STATE_FILE says, or {} where there is none that can be read."""
    try:
        return json.loads(STATE_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_state(state: dict) -> None:
    """Replace STATE_FILE in one step, so that it is never half-written."""
    draft = STATE_FILE.with_suffix(".draft")
    draft.write_text(json.dumps(state, indent=1), encoding="utf-8")
    draft.replace(STATE_FILE)


def fingerprint() -> str:
    """A hash of what decides what is installed, and of nothing else: a new ruff rule installs nothing."""
    import tomllib  # not in the old Pythons that only read this file

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project["build-system"], project["project"], project["tool"]["setuptools"]]
    text = json.dumps(parts, sort_keys=True) + (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def damaged(state: dict) -> str:
    """Why the `.venv` that is there cannot be used, in words, or an empty string.

    A `.venv` without STATE_FILE was made by hand: where its Python works, packages are added to it.
    """
    if not VENV.exists():
        return ""
    version = venv_python_version()
    if not version:
        return "The Python in .venv does not run any more"
    if tuple(map(int, version.split("."))) < OLDEST_PYTHON:
        return f"The Python in .venv is {version}, which is too old"
    if state.get("complete") is False:
        return "An earlier installation was not finished"
    if state.get("folder", str(VENV)) != str(VENV):
        return "The course was moved or copied, and .venv does not work in its new place"
    if state.get("python", version) != version:
        return f"Python was {state['python']} when .venv was made and is {version} now"
    return ""


def venv_python_version() -> str:
    """Version of the Python in `.venv`, like "3.12", or "" where it does not run."""
    return (ask(VENV_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])") or "").strip()


def make_venv() -> None:
    """An empty `.venv` (pip is added only where it is needed: Debian's Python comes without)."""
    say(f"Making .venv with Python {sys.version_info[0]}.{sys.version_info[1]} ...")
    # Not the Python of the .venv that is about to be cleared, where that is what runs this file.
    python = getattr(sys, "_base_executable", sys.executable)
    status, output = watch([python, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    if status:
        stop(explain(output))


def find_uv() -> "str | None":
    """Path of a uv that runs: the user's, or the one that `bootstrap_uv` put into `.venv`; or None."""
    for uv in (shutil.which("uv"), shutil.which("uv", path=str(VENV_BIN))):
        if uv and ask(uv, "--version"):
            return uv
    return None


def bootstrap_uv() -> "str | None":
    """Put pip into `.venv`, and by it uv, which is several times faster; returns uv, or None without it."""
    if not ask(VENV_PYTHON, "-m", "pip", "--version"):
        if importlib.util.find_spec("ensurepip") is None:
            stop(NO_VENV)
        status, output = watch([VENV_PYTHON, "-m", "ensurepip"])
        if status:
            stop(explain(output))
    status, output = watch([VENV_PYTHON, "-m", "pip", "install", "--quiet", "uv"])
    if status and (NETWORK_DOWN.search(output) or DISK_FULL.search(output)):
        stop(explain(output))  # pip alone would fail in the same way, only later
    return find_uv()


def cpu_torch_answers(uv: str, python: "str | Path" = VENV_PYTHON) -> bool:
    """Whether PyTorch's own index can be reached, whose Linux torch comes without 4 GB of CUDA libraries.

    A trial of one package, without retries, so that a network that blocks the index costs no time. Only Linux
    needs it, the ordinary torch of other systems has no CUDA; and who sets UV_TORCH_BACKEND has decided.
    """
    if not sys.platform.startswith("linux") or "UV_TORCH_BACKEND" in os.environ:
        return False
    command = [uv, "pip", "install", "--python", python, "--dry-run", "--reinstall", "--no-deps"]
    command += ["--torch-backend", "cpu", "-c", "constraints.txt", "torch"]
    return ask(*command, UV_HTTP_RETRIES="0", UV_HTTP_TIMEOUT="10") is not None


def install_commands(uv: "str | None", torch: str, extra: str) -> Iterator:
    """Commands that install the course, best first: each one is for when those before it failed."""
    # Constraints, not requirements: they also name the CUDA libraries that only the default torch needs.
    course = ["-c", "constraints.txt", "-e", f".[{extra}]"]
    if uv:
        command = [uv, "pip", "install", "--python", VENV_PYTHON, "--build-constraints", "constraints.txt"]
        # As pip does. Where Python may not write it later (PYTHONDONTWRITEBYTECODE), each start took twice as long.
        command.append("--compile-bytecode")
        if torch == "cpu":  # torchvision then comes from there too: mixed, the two do not work
            yield [*command, "--torch-backend", "cpu", *course]
        yield [*command, *course]
    # Only where uv was our choice: a network that lets pip through (by pip.conf) may not let uv through.
    if not uv or VENV_BIN in Path(uv).parents:
        yield [VENV_PYTHON, "-m", "pip", "install", *course]


# ---- What can go wrong, each with a sentence that says what to do --------------------------------

DISK_FULL = re.compile(r"no space left|os error 28\b|errno 28\b|os error 112\b|quota exceeded", re.I)
NETWORK_DOWN = re.compile(
    r"dns error|error sending request|failed to (fetch|download)|network is unreachable|timed out"
    r"|proxyerror|connection (refused|reset|aborted|error)|failed to establish|name resolution"
    r"|certificate|from versions: none",
    re.I,
)
DENIED = re.compile(r"permission denied|access is denied|read-only file system", re.I)

NO_PERMISSION = "no permission to write in {}: copy the course to a folder of your own and run this there"
NO_VENV = (
    "this Python comes without its `venv` or `ensurepip` module; install them (Debian and Ubuntu: "
    "`sudo apt install python3-venv`) or install uv, then run the same command again"
)


def explain(output: str) -> str:
    """The sentence for an installation that failed, from what the installer said."""
    if DISK_FULL.search(output):
        return (
            f"the disk is full: make room where the course is ({ROOT}) and where packages are kept for later "
            "(~/.cache; UV_CACHE_DIR can name another place), then run the same command again"
        )
    if DENIED.search(output):
        return NO_PERMISSION.format(ROOT)
    if NETWORK_DOWN.search(output):
        return (
            "no network: the packages could not be fetched; connect (behind a proxy: set HTTPS_PROXY; with a "
            "certificate of your own: SSL_CERT_FILE) and run the same command again; this once only"
        )
    return (
        "the installation failed, the reason stands above; run the same command again, and if that does not "
        "help, try it with Python 3.13 or report the lines above"
    )


def require_space(gigabytes: int) -> None:
    """Stop where the disk has less room than the installation takes."""
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < gigabytes:
        stop(
            f"not enough disk space in {ROOT}: about {gigabytes} GB are needed and {free:.1f} GB are free; "
            "make room and run the same command again"
        )


def require_python() -> None:
    """Go on under a newer Python where this one is too old, or say so."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for name in NEWER_PYTHONS:
        python = shutil.which(name)
        # Asked, not trusted: version managers put names on the PATH that do not run.
        if python and ask(python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))") is not None:
            become([python, str(Path(__file__).resolve()), *sys.argv[1:]], dict(os.environ))
    stop(
        "Python {}.{} is too old: the course needs {}.{} or newer; install one from "
        "https://www.python.org/downloads and run the same command again".format(
            *sys.version_info[:2], *OLDEST_PYTHON
        )
    )


# ---- Running other programs ----------------------------------------------------------------------


def environment(venv: Path = VENV, **changes: str) -> dict:
    """The environment for what runs in `venv`: as if it were activated, shielded from other Pythons."""
    env = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_USER"):
        env.pop(name, None)
    path = os.pathsep.join([str(venv / VENV_BIN.name), os.environ.get("PATH", os.defpath)])
    return dict(env, VIRTUAL_ENV=str(venv), PATH=path, PIP_DISABLE_PIP_VERSION_CHECK="1", **changes)


def call(*command: "str | Path") -> int:
    """Run a command in the course's folder; returns its exit status."""
    return subprocess.call(list(map(str, command)), cwd=str(ROOT), env=environment())


def ask(*command: "str | Path", **changes: str) -> "str | None":
    """What a command prints, or None where it fails, hangs or is not there. `changes` to its environment."""
    try:
        done = subprocess.run(
            list(map(str, command)),
            cwd=str(ROOT),
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.decode("utf-8", "replace")


def watch(command: list) -> tuple:
    """Run an installer, pass on what it says, indented; returns (exit status, all that it said)."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=str(ROOT),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if not re.match(r" [+~-] ", line):  # uv's closing list of every package
                sys.stderr.write("    " + line)
                sys.stderr.flush()
        return process.wait(), "".join(said)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def hand_over(*arguments: str, venv: Path = VENV, **changes: str) -> NoReturn:
    """Become a Python of `venv` with these arguments, in the course's folder."""
    os.chdir(str(ROOT))
    become([str(venv / VENV_PYTHON.relative_to(VENV)), *arguments], environment(venv, **changes))


def become(command: list, env: dict) -> NoReturn:
    """Replace this process by `command`, so that Ctrl-C and the exit status are the command's own."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, env)
    process = subprocess.Popen(command, env=env)  # Windows cannot replace a process
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # it reached the command as well, which decides
            sys.exit(process.wait())


def say(sentence: str) -> None:
    """Tell the person what is going on (on stderr: stdout belongs to the command)."""
    print(sentence, file=sys.stderr, flush=True)


def stop(sentence: str) -> NoReturn:
    """End with one sentence that says what to do."""
    sys.exit("course.py: " + sentence)


if __name__ == "__main__":
    START = Path.cwd()  # where a relative folder on the command line is meant
    try:
        require_python()
        main(sys.argv[1:])
    except PermissionError as error:
        stop(NO_PERMISSION.format(error.filename or ROOT))
    except KeyboardInterrupt:
        sys.exit("\ncourse.py: stopped; run the same command again to go on")
