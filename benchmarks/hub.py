"""A class on a hub of this machine: what each learner costs, and whether they are kept apart.

    python course.py bench hub [--learners 8]

The hub of deploy/ is set up as deploy/README.md says and used over HTTP as a browser would: everybody logs in at the
same time, runs lesson 00, fetches lab01, hands it in; the instructor hands it out, collects it and grades it, by the
commands that stand there. Then one learner tries to get at what is another's.

Learners are users of the system, so root on Linux is needed. What is done stays in namespaces of its own (its own
/etc and /srv, its own network without a way out) and is gone at the end.
"""

import argparse
import contextlib
import csv
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import psutil

from authoring import pack
from authoring.notebooks import ROOT, display_name
from grading.labs import find_lab

RESULTS = Path(__file__).with_suffix(".md")
COMMAND = "python course.py bench hub"
GUIDE = ROOT / "deploy" / "README.md"
PLACE, HOMES = Path("/srv/backbones"), Path("/srv/homes")
LESSON = "notebooks/00_what_is_a_backbone.ipynb"
PROXY = "configurable-http-proxy"
HUB = "http://127.0.0.1:8000"
INSTRUCTOR = "grace"
NAMES = ("ada", "bo", "cem", "dana", "eve", "finn", "gita", "hugo")
LAB = find_lab(ROOT, "lab01")
PATIENCE = (
    1800  # seconds for one answer: a machine may be busy with other work, and only what hangs is given up
)


class HubError(RuntimeError):
    """Something on the hub did not go as it should; the message says what."""


def missing() -> str:
    """What keeps a hub from being tried here, in words; "" where nothing does."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "learners are users of the system, which only root on Linux can make"
    if find_spec("jupyterhub") is None:
        return "JupyterHub is not installed (the extra `hub`)"
    programs = (PROXY, "unshare", "setpriv", "mount", "useradd", "runuser", "openssl", "bwrap")
    if absent := [name for name in programs if not shutil.which(name, path=search_path())]:
        return f"not installed: {', '.join(absent)} (npm brings {PROXY}, the system the others)"
    trial = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "true"], capture_output=True)
    return "this machine allows no namespaces of one's own" if trial.returncode else ""


def search_path() -> str:
    """PATH with this Python's programs first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


# ---- Outside: namespaces -------------------------------------------------------------------------


def try_class(learners: int, cells: int | None = None) -> dict[str, Any]:
    """A class of so many learners, from the first log-in to the points.

    Args:
        cells: run only so many code cells of the lesson, which is the longest part; all where it is None.
    Returns:
        What `hold_class` does.
    Raises:
        HubError: with what the hub said last.
    """
    with tempfile.TemporaryDirectory(prefix="hub") as folder:
        os.chmod(folder, 0o755)
        report = Path(folder, "report.json")
        command = ["setpriv", "--pdeathsig", "KILL"]  # a test that is given up leaves no hub behind
        command += ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
        command += [sys.executable, "-m", "benchmarks.hub", "--learners", str(learners), "--inside", folder]
        command += [] if cells is None else ["--cells", str(cells)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PATH": search_path(), "PYTHONPATH": path, "HOME": "/root"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, start_new_session=True
        )
        if done.returncode:
            log = Path(folder, "hub.log")
            said = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
            raise HubError("\n".join([*said, done.stderr[-4000:]]))
        return json.loads(report.read_text(encoding="utf-8"))


def move_in(own: Path) -> None:
    """Give this process, in namespaces of its own, a /etc, a /srv and a loopback that nobody else sees.

    Folders that other users cannot enter (root's home) and that Python or the course lie in show nothing else.
    """
    subprocess.run(["cp", "-a", "/etc", str(own / "etc")], check=True)
    (own / "srv").mkdir()
    for place in ("etc", "srv"):
        mount("--bind", own / place, f"/{place}")
    needed = {Path(place).resolve() for place in (sys.base_prefix, sys.prefix, ROOT)}
    closed = {
        folder
        for place in needed
        for folder in place.parents
        if not folder.stat().st_mode & 0o001  # others may not even pass through it
    }
    for folder in sorted(closed):
        if any(other in folder.parents for other in closed):
            continue
        aside = own / "closed" / folder.name
        aside.mkdir(parents=True)
        mount("--rbind", folder, aside)
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
        for place in sorted(place for place in needed if folder in place.parents):
            place.mkdir(parents=True, exist_ok=True)
            mount("--bind", aside / place.relative_to(folder), place)
        os.chmod(own / "closed", 0o700)
    os.chdir(ROOT)
    switch_on_loopback()


def mount(*arguments: str | Path) -> None:
    """Call `mount`."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


def switch_on_loopback() -> None:
    """A new network has a loopback that is off: set its flag "up" (netdevice(7))."""
    import fcntl
    import struct

    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = fcntl.ioctl(sock, get_flags, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", request)[1]
        fcntl.ioctl(sock, set_flags, struct.pack("16sh14x", b"lo", flags | up))


# ---- Inside: the class ---------------------------------------------------------------------------


def hold_class(learners: int, own: Path, cells: int | None = None) -> dict[str, Any]:
    """Set up the hub, let the class work, grade, and try the walls.

    Args:
        own: a folder for the hub's log and the like.
        cells: see `try_class`.
    Returns:
        "learners": for each {"start", "lesson": seconds, "gigabytes"}; "points": what each has in lab01;
        "walls": {what a learner tried: whether it was refused}; "seconds": {part of the day: seconds}.
    """
    names = [f"{NAMES[i % len(NAMES)]}{i // len(NAMES) or ''}" for i in range(learners)]
    seconds: dict[str, float] = {}
    with timed(seconds, "set up"):
        set_up(names, own)
    *hand_out, collect, grade = instructors_commands()
    with timed(seconds, "the class"), running_hub(own):
        for command in hand_out:
            as_user(INSTRUCTOR, f"cd ~/course && {command}")
        with ThreadPoolExecutor(learners) as pool:
            measured = list(pool.map(lambda name: work(Learner(name), name != names[-1], cells), names))
            walls = try_walls(names, Learner(names[-1]))
    print(json.dumps(measured), file=sys.stderr)  # what is known, should the rest fail
    with timed(seconds, "collect"):
        as_user(INSTRUCTOR, f"cd ~/course && {collect}")
    with timed(seconds, "grade"):
        as_user(INSTRUCTOR, f"cd ~/course && {grade}")
    marks = HOMES / INSTRUCTOR / "course" / "graded" / f"{LAB.notebook}.csv"
    with marks.open(encoding="utf-8-sig", newline="") as file:
        points = {row["student"]: row["points"] for row in csv.DictReader(file)}
    return {
        "learners": dict(zip(names, measured, strict=True)),
        "points": points,
        "walls": walls,
        "seconds": seconds,
    }


def instructors_commands() -> list[str]:
    """What GUIDE has the instructor type, from handing a lab out to its points."""
    section = GUIDE.read_text(encoding="utf-8").split("### A lab, from handing out to points", 1)[1]
    return section.split("```")[1].strip().splitlines()


@contextlib.contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Note in `seconds` how long a part of the day takes."""
    start = time.monotonic()
    yield
    seconds[part] = time.monotonic() - start


def set_up(names: list[str], own: Path) -> None:
    """What deploy/README.md asks of the administrator, and the instructor's course, which nobody else can read."""
    learners_zip = own / "backbones-course.zip"
    pack.write(ROOT, learners_zip, pack.packed_files(ROOT))
    subprocess.run([ROOT / "deploy" / "prepare.sh", learners_zip, PLACE], check=True)
    HOMES.mkdir()
    for name in (INSTRUCTOR, *names):
        group = "instructors" if name == INSTRUCTOR else "learners"
        secret = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"],
            input=password(name),
            capture_output=True,
            text=True,
            check=True,
        )
        command = ["useradd", "--create-home", "--base-dir", str(HOMES), "--groups", group]
        command += ["--shell", "/bin/bash", "--password", secret.stdout.strip(), name]
        subprocess.run(command, check=True, capture_output=True)
    course = HOMES / INSTRUCTOR / "course"
    for path in pack.git(ROOT, "ls-files"):
        (course / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, course / path)
    subprocess.run(["chown", "-R", f"{INSTRUCTOR}:{INSTRUCTOR}", course], check=True)
    course.chmod(0o700)


def password(name: str) -> str:
    """Nobody else's; the accounts end with this run."""
    return f"{name} learns"


@contextlib.contextmanager
def running_hub(own: Path) -> Iterator[None]:
    """The hub of deploy/, from its first answer on."""
    config = PLACE / "deploy" / "jupyterhub_config.py"
    with (own / "hub.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
        hub = subprocess.Popen(command, cwd=PLACE / "hub", stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for("the hub", lambda: hub.poll() is None and answers(f"{HUB}/hub/api/"))
            yield
        finally:
            hub.send_signal(signal.SIGTERM)
            hub.wait(timeout=PATIENCE)


def answers(address: str) -> bool:
    """Whether there is a server."""
    import requests

    try:
        return requests.get(address, timeout=10).ok
    except requests.RequestException:
        return False


def wait_for(what: str, ready: Any, seconds: float = PATIENCE) -> None:
    """Ask until it is so. Raises: HubError."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise HubError(f"{what} was not there after {seconds:.0f} s")
        time.sleep(1)  # of a class that asks five times a second the hub is busy with nothing else


def as_user(name: str, command: str) -> str:
    """What a command prints that a user of the system types.

    Raises:
        HubError: where it fails.
    """
    done = try_as_user(name, command)
    if done.returncode:
        raise HubError(f"{name}: {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def try_as_user(name: str, command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": search_path(),
        "HOME": str(HOMES / name),
        "USER": name,
        "JUPYTER_CONFIG_PATH": str(PLACE / "deploy"),
        "OMP_NUM_THREADS": "1",
        "LANG": "C.UTF-8",
    }
    return subprocess.run(
        ["runuser", "-u", name, "--", "bash", "-c", command],
        cwd=HOMES / name,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


class Learner:
    """A browser, as far as the hub can tell: a session with cookies, and later a token."""

    def __init__(self, name: str) -> None:
        import requests

        self.name, self.session = name, requests.Session()

    def log_in(self) -> None:
        """By name and password, and take a token for what comes. Raises: HubError."""
        self.session.get(f"{HUB}/hub/login", timeout=PATIENCE)
        form = {"username": self.name, "password": password(self.name), "_xsrf": self.xsrf()}
        done = self.session.post(
            f"{HUB}/hub/login", data=form, params={"next": "/hub/home"}, timeout=PATIENCE
        )
        if "/hub/home" not in done.url:
            raise HubError(f"{self.name} cannot log in: {done.status_code} {done.url}")
        answer = self.session.post(
            f"{HUB}/hub/api/users/{self.name}/tokens",
            headers={"X-XSRFToken": self.xsrf()},
            json={},
            timeout=PATIENCE,
        )
        if not answer.ok:
            raise HubError(f"{self.name} gets no token: {answer.status_code} {answer.text}")
        self.session.cookies.clear()
        self.session.headers["Authorization"] = f"token {answer.json()['token']}"

    def xsrf(self) -> str:
        return next(cookie.value for cookie in self.session.cookies if cookie.name == "_xsrf")

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """An answer of the hub or of the learner's own server. Raises: HubError."""
        answer = self.session.request(method, f"{HUB}{path}", timeout=PATIENCE, **options)
        if not answer.ok:
            raise HubError(f"{self.name}: {method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def start(self) -> None:
        """Have the server started. Raises: HubError."""
        self.ask("POST", f"/hub/api/users/{self.name}/server", json={})

        def ready() -> bool:
            return self.ask("GET", f"/hub/api/users/{self.name}")["servers"].get("", {}).get("ready", False)

        wait_for(f"{self.name}'s server", ready)

    def own(self, method: str, path: str, **options: Any) -> Any:
        """An answer of the learner's own server."""
        return self.ask(method, f"/user/{self.name}/{path}", **options)

    def run(self, notebook: str, count: int | None) -> None:
        """Run the first `count` code cells, or all, of a notebook in the learner's home.

        Raises:
            HubError: where one fails.
        """
        import websocket

        cells = self.own("GET", f"api/contents/{notebook}")["content"]["cells"]
        wanted = {"path": notebook, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        kernel = self.own("POST", "api/sessions", json=wanted)["kernel"]["id"]
        address = f"{HUB}/user/{self.name}/api/kernels/{kernel}/channels".replace("http:", "ws:")
        token = f"Authorization: {self.session.headers['Authorization']}"
        channel = websocket.create_connection(address, header=[token], timeout=PATIENCE)
        try:
            for cell in [cell for cell in cells if cell["cell_type"] == "code"][:count]:
                self.execute(channel, cell["source"])
        finally:
            channel.close()

    def execute(self, channel: Any, code: str) -> None:
        """Run one cell and wait for its end (jupyter-client's messaging protocol, as JSON)."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "",
            "session": "",
            "date": "",
        }
        header["version"] = "5.3"
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": False, "stop_on_error": True}
        message = {
            "channel": "shell",
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
        }
        channel.send(json.dumps(message))
        while True:
            answer = json.loads(channel.recv())
            if (
                answer["parent_header"].get("msg_id") == header["msg_id"]
                and answer["msg_type"] == "execute_reply"
            ):
                if answer["content"]["status"] != "ok":
                    raise HubError(f"{self.name}: a cell fails: {answer['content'].get('evalue')}\n{code}")
                return

    def assignment(self, action: str) -> None:
        """Press a button of nbgrader's assignment list: "fetch" or "submit". Raises: HubError."""
        form = {"course_id": "backbones", "assignment_id": LAB.folder.name}
        answer = self.own("POST", f"assignments/{action}", data=form)
        if not answer["success"]:
            raise HubError(f"{self.name} cannot {action} {LAB.folder.name}: {answer['value']}")


def work(learner: Learner, diligent: bool, cells: int | None) -> dict[str, float]:
    """A learner's day.

    Args:
        diligent: hand in right answers, rather than the lab as it was handed out.
        cells: see `try_class`.
    Returns:
        Seconds until the server is there, seconds of lesson 00, gigabytes at its end.
    """
    start = time.monotonic()
    learner.log_in()
    learner.start()
    there = time.monotonic()
    learner.run(LESSON, cells)
    done = time.monotonic()
    gigabytes = memory_of(learner.name)
    learner.assignment("fetch")
    path = f"api/contents/labs/{LAB.folder.name}/{LAB.source.name}"
    lab = learner.own("GET", path)["content"]
    if diligent:
        answers = {cell.id: cell.source for cell in nbformat.read(LAB.source, as_version=4).cells}
        for cell in lab["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("solution"):
                cell["source"] = answers[cell["id"]]
    learner.own("PUT", path, json={"type": "notebook", "content": lab})
    learner.assignment("submit")
    return {"start": there - start, "lesson": done - there, "gigabytes": gigabytes}


def memory_of(name: str) -> float:
    """Gigabytes that a user's processes occupy, pages that several share counted in parts."""
    total = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.username() == name:
                total += process.memory_full_info().pss
    return total / 1e9


def try_walls(names: list[str], curious: Learner) -> dict[str, bool]:
    """What the last learner tries, in a terminal and over the hub, and whether each was refused."""
    first, last = names[0], names[-1]
    course = HOMES / INSTRUCTOR / "course"
    inbound = PLACE / "exchange" / "backbones" / "inbound"
    tries = {
        "read another's lab": f"cat {HOMES / first}/backbones/labs/{LAB.folder.name}/{LAB.source.name}",
        "list another's home": f"ls {HOMES / first}",
        "read the solutions": f"cat {course / 'solutions' / LAB.folder.name / LAB.source.name}",
        "list what was handed in": f"ls {inbound}",
        "change the lab that is handed out": f"touch {PLACE}/exchange/backbones/outbound/{LAB.folder.name}/x",
        "read the hub's keys": f"cat {PLACE / 'hub' / 'cookie_secret'}",
        "change a lesson for all": f"touch {PLACE / 'lessons' / LESSON}",
        "change how servers start": f"touch {PLACE / 'deploy' / 'start.py'}",
    }
    # What is refused is refused for the right reason: the same works for whoever may.
    as_user(first, f"cat ~/backbones/labs/{LAB.folder.name}/{LAB.source.name}")
    walls = {}
    for what, command in tries.items():
        done = try_as_user(last, command)
        walls[what] = done.returncode != 0 and "ermi" in done.stderr  # Permission denied, not permitted
    # nbgrader protects what is handed in by a random part of its name, in a folder that cannot be listed.
    walls["find what another handed in"] = (
        try_as_user(last, f"cat {inbound}/{first}+*/*.ipynb").returncode != 0
    )
    assert list(inbound.glob(f"{first}+*/*.ipynb"))
    curious.log_in()
    answer = curious.session.get(f"{HUB}/user/{first}/api/contents", timeout=PATIENCE)
    walls["open another's server"] = answer.status_code in (403, 404)
    answer = curious.session.get(f"{HUB}/hub/api/users/{first}", timeout=PATIENCE)
    walls["ask the hub about another"] = answer.status_code in (403, 404)
    walls["open the formgrader"] = (
        curious.session.get(f"{HUB}/user/{last}/formgrader", timeout=PATIENCE).status_code == 404
    )
    return walls


# ---- The command ---------------------------------------------------------------------------------


def table(report: dict[str, Any]) -> str:
    """The results as Markdown."""
    from .lessons import machine

    lines = [
        "# A class on one machine",
        "",
        f"Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}.",
        f"{len(report['learners'])} learners log in at the same time and run lesson 00, then hand in lab01.",
        "Memory: of all processes of a learner at the end of the lesson, shared pages counted in parts.",
        "",
        "| learner | s until the server is there | s for lesson 00 | GB | points in lab01 |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, one in report["learners"].items():
        figures = f"{one['start']:.0f} | {one['lesson']:.0f} | {one['gigabytes']:.2f}"
        lines.append(f"| {name} | {figures} | {report['points'].get(name, 'none')} |")
    refused = sum(report["walls"].values())
    parts = ", ".join(f"{part} {seconds:.0f}" for part, seconds in report["seconds"].items())
    lines += [
        "",
        f"Seconds for all of them: {parts}.",
        f"A learner tried {len(report['walls'])} things that are not theirs; {refused} were refused.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Hold a class and write the table; return 1 where something was not refused."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Try a class on a hub of this machine.")
    parser.add_argument("--learners", type=int, default=8)
    parser.add_argument("--cells", type=int, help=argparse.SUPPRESS)  # see try_class
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)  # in namespaces of its own
    options = parser.parse_args(arguments)
    if options.inside:
        move_in(options.inside)
        report = hold_class(options.learners, options.inside, options.cells)
        (options.inside / "report.json").write_text(json.dumps(report), encoding="utf-8")
        return 0
    if reason := missing():
        print(f"No class can be held here: {reason}.", file=sys.stderr)
        return 1
    report = try_class(options.learners)
    print(table(report), end="")
    RESULTS.write_text(table(report), encoding="utf-8")
    print(f"written: {display_name(RESULTS)}", file=sys.stderr)
    return int(not all(report["walls"].values()))


if __name__ == "__main__":
    sys.exit(main())
