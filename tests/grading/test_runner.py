"""The runner of notebooks when its warm process does not come up."""

import sys

import pytest

from grading.isolation import sandbox
from grading.isolation.run import Runner
from grading.labs import CourseError


def test_a_tests_side_that_does_not_start_is_said_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = [sys.executable, "-c", "raise SystemExit('torch is broken here')"]
    monkeypatch.setattr(sandbox, "tests_command", lambda *arguments: command)
    with (
        Runner(sandboxed=False) as runner,
        pytest.raises(CourseError, match="does not start: torch is broken"),
    ):
        runner.run([])  # it starts while the caller has other things to do
