"""Runs one notebook after the other on the two sides, from the instructor's process, which runs none of it."""

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from dataclasses import replace
from typing import IO

from grading.isolation import sandbox
from grading.isolation.sandbox import Limits
from grading.labs import CourseError

TRIES = 4  # processes of the tests' side for one notebook: a cell of it may end one
LOSSES = 3  # warm processes that may end while one notebook runs; after that it is left alone


def clean(text: str) -> str:
    """A text that can be written: without halves of characters."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


class Runner:
    """A warm tests' side. Several notebooks may run at a time, each from a thread of its own.

    It is started anew where it has ended: a system that runs out of memory may kill it, and `rest` ends it.

    Args:
        sandboxed: under bubblewrap; otherwise as plain processes with all the instructor's rights.
        limits: for each notebook.

    Raises:
        CourseError: where bubblewrap is missing.
    """

    def __init__(self, sandboxed: bool = True, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.bubblewrap = sandbox.require() if sandboxed else None
        self.description = f"{'bubblewrap' if self.bubblewrap else 'no sandbox'} {self.limits}"
        self.lock = threading.Lock()
        self.starts, self.closed = 0, False
        self.start()

    def start(self) -> None:
        """Start a tests' side."""
        self.starts += 1
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment["PYTHONPATH"] = str(sandbox.COURSE)  # the instructor's own settings decide no points
        self.process, self.socket = sandbox.start(
            lambda number: sandbox.tests_command(self.bubblewrap, number, self.limits),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        self.errors = bytearray()
        threading.Thread(target=self.listen, args=(self.process.stderr, self.errors), daemon=True).start()
        self.is_warm = False

    def ended(self, seconds: float = 0) -> bool:
        """Whether the tests' side is there no more, now or within so many seconds."""
        if self.socket.fileno() < 0:
            return True
        news = select.poll()
        news.register(self.socket, select.POLLIN)
        return self.is_warm and bool(
            news.poll(1000 * seconds)
        )  # after its first byte it says nothing but its end

    def warm(self) -> None:
        """Wait until the tests' side has imported torch; meanwhile the caller had other things to do.

        Where it has ended, there is a new one.

        Raises:
            CourseError: where it does not start, or nobody wants it any more.
        """
        with self.lock:
            if self.closed:
                raise CourseError("the grading is over")
            if self.ended():
                self.end()
                self.start()
            if self.is_warm:
                return
            self.socket.settimeout(300)
            try:
                said = self.socket.recv(1)
            except TimeoutError:
                said = b""
            if said != b"w":
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
                raise CourseError(f"the process that runs the tests does not start: {self.last_error()}")
            self.is_warm = True

    def allow(self, cell_seconds: float, notebook_seconds: float) -> None:
        """Give cells and notebooks so many seconds, where that is more than they have."""
        usual = self.limits
        self.limits = replace(
            usual,
            cell_seconds=max(usual.cell_seconds, cell_seconds),
            notebook_seconds=max(usual.notebook_seconds, notebook_seconds),
        )

    @staticmethod
    def listen(stream: IO[bytes], errors: bytearray) -> None:
        """Keep the last of what a tests' side writes to stderr."""
        with stream:
            for line in stream:
                errors += line
                del errors[:-20_000]

    def last_error(self) -> str:
        lines = self.errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {self.process.poll()}"

    def run(self, cells: list[dict]) -> list[dict]:
        """Run a notebook's code cells.

        Args:
            cells: each {"side", "source", "names", "hidden"}, see tests_side.Notebook.

        Returns:
            Of each cell {"printed": text, "error": [name, text, lines] or None, "seconds", "checks": [passed,
            reason] of each}. Cells that could not run any more say so in their error.

        Raises:
            CourseError: where the tests' side does not start any more.
            RuntimeError: where it ended again and again, all of it and not only what ran this notebook.
        """
        results: list[dict] = []
        failed: dict[int, dict] = {}
        tries = losses = 0
        self.warm()
        end = time.monotonic() + self.limits.notebook_seconds
        while True:
            starts = self.starts
            several, why = self.run_once(cells, failed, end - time.monotonic())
            results += several[len(results) :]  # what is known stays known
            if len(results) >= len(cells):
                return results
            if self.starts != starts or self.ended(
                1
            ):  # which no cell can do in the sandbox: none pays for it
                losses += 1
                if losses >= LOSSES:
                    raise RuntimeError(f"the process that runs the tests ended {losses} times meanwhile")
                self.warm()
                end = time.monotonic() + self.limits.notebook_seconds
                continue
            failed[len(results)] = {"printed": "", "error": ["RuntimeError", why, why], "seconds": 0.0}
            tries += 1
            if tries >= TRIES or time.monotonic() > end:
                late = time.monotonic() > end
                reason = (
                    "the notebook used up its time"
                    if late
                    else f"cells of this notebook ended {TRIES} processes"
                )
                why = f"this cell was not run: {reason}"
                more = [{"printed": "", "error": ["RuntimeError", why, why], "seconds": 0.0}] * (
                    len(cells) - len(results)
                )
                return results + [failed.get(place, more[0]) for place in range(len(results), len(cells))]

    def run_once(self, cells: list[dict], failed: dict[int, dict], seconds: float) -> tuple[list[dict], str]:
        """Run a notebook as far as one process of the tests' side comes.

        Args:
            cells: of the notebook.
            failed: outcome of the cells that ended a process before, by their place: they do not run again.
            seconds: for all of them.

        Returns:
            The outcomes so far, and why there are no more.
        """
        ours, theirs = socket.socketpair()
        try:
            with self.lock, theirs:
                socket.send_fds(self.socket, [b"n"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            if self.ended(1):
                return [], str(error)
            raise
        learners: list[subprocess.Popen] = []
        limits = self.limits
        request = {
            "cells": cells,
            "cell_seconds": limits.cell_seconds,
            "seconds": max(seconds, 1),
            "characters": limits.output_characters,
            "failed": failed,
        }
        results: list[dict] = []
        why = (
            "the process that runs the tests ended in this cell: one call on a tensor took longer than a cell may, "
            "or needed more memory than there is"
        )
        try:
            ours.settimeout(max(seconds, 1) + limits.cell_seconds + 60)
            ours.sendall(json.dumps(request).encode() + b"\n")
            with ours.makefile("rb") as messages:
                while line := messages.readline():
                    message = json.loads(line)
                    if message.get("end"):
                        break
                    if message.get("learner"):
                        learners.append(self.start_learner(ours))
                    else:
                        error = message["error"]
                        results.append({
                            "printed": clean(message["printed"]),
                            "error": error and [clean(part) for part in error],
                            "seconds": float(message.get("seconds", 0)),
                            "checks": [[bool(ok), clean(why)] for ok, why in message.get("checks", [])],
                        })  # fmt: skip
        except TimeoutError:
            why = "the notebook used up its time: this cell was not run"
        except (OSError, ValueError) as error:
            why = f"the process that runs the tests ended: {error}"
        finally:
            ours.close()
            for process in learners:
                with contextlib.suppress(OSError):
                    process.kill()
                process.wait()
        return results[: len(cells)], why

    def start_learner(self, control: socket.socket) -> subprocess.Popen:
        """Start a learner's side and hand its socket to the tests' side."""
        process, end = sandbox.start(
            lambda number: sandbox.learner_command(self.bubblewrap, number, self.limits),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={},
        )  # fmt: skip
        socket.send_fds(control, [b"l"], [end.fileno()])
        end.close()
        return process

    def rest(self) -> None:
        """End the tests' side; the next notebook starts it anew."""
        with self.lock:
            self.end()

    def close(self) -> None:
        """End the tests' side for good."""
        self.closed = True
        self.end()

    def end(self) -> None:
        """End the process of the tests' side, where it has not."""
        self.socket.close()
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
