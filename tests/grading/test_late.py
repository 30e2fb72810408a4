"""Who is late, by how many days, what that costs, and what nobody can know."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from grading_samples import hand_in

from grading.collect import collect
from grading.labs import CourseError, Lab
from grading.late import Lateness, lateness, read_due, read_penalty

LAB = Lab(Path("solutions/lab01_feature_extraction"), "lab01")
DUE = "2026-11-20 23:59"
NOW = datetime(2026, 11, 27)


def judged(tmp_path: Path, times: dict[str, str]) -> dict[str, Lateness]:
    """How late these files are, by name; "" leaves a file as new as it is."""
    source = tmp_path / "in"
    for name, time in times.items():
        path = hand_in(source / name, "{}")
        if time:
            os.utime(path, (datetime.fromisoformat(time).timestamp(),) * 2)
    submissions = collect(source, LAB, tmp_path / "into").submissions
    found = lateness(submissions, read_due(DUE), NOW)
    return {submissions[student].name: one for student, one in found.items()}


@pytest.mark.parametrize(
    ("time", "days"),
    [
        ("2026-11-20 10:00:00", 0),
        ("2026-11-20 23:59:59", 0),
        ("2026-11-21 00:00:00", 1),
        ("2026-11-21 23:59:59", 1),
        ("2026-11-22 00:00:01", 2),
        ("2026-11-26 12:00:00", 6),
    ],
)
def test_moodle_and_blackboard_say_when(tmp_path, time, days):
    attempt = time.replace(" ", "-").replace(":", "-")
    found = judged(
        tmp_path,
        {
            "Ada_1_assignsubmission_file_/lab01.ipynb": time,
            f"lab01_bob_attempt_{attempt}_lab01.ipynb": "2026-11-27",  # unpacked later
        },
    )
    assert found == {"Ada": Lateness(days, str(days)), "bob": Lateness(days, str(days))}


def test_canvas_says_late_and_not_since_when(tmp_path):
    found = judged(
        tmp_path,
        {
            "ada_LATE_12345_678_lab01.ipynb": "",
            "bob_12346_679_lab01.ipynb": "",
            "cy_late_1_2_lab01.ipynb": "",
        },
    )
    assert found["cy"].word == "late"
    assert found["bob"] == Lateness(0, "0")
    assert (found["ada"].days, found["ada"].word) == (None, "late")
    assert "look up the time in Canvas" in found["ada"].doubt
    assert found["ada"].points(10, 0.1) == 10


def test_the_time_of_a_file_brought_by_hand_costs_nothing_and_is_said(tmp_path):
    found = judged(tmp_path, {"ada.ipynb": "2026-11-22 12:00", "bob.ipynb": "2026-11-20"})
    assert (found["ada"].days, found["ada"].word, found["ada"].points(10, 0.5)) == (None, "2?", 10)
    assert "no system vouches for" in found["ada"].doubt
    assert (found["bob"].word, found["bob"].doubt) == ("0?", "")


def test_times_of_unpacking_are_seen(tmp_path):
    names = [f"S{number}_{number}_assignsubmission_file_/lab01.ipynb" for number in range(4)]
    found = judged(tmp_path / "a", {name: f"2026-11-25 10:00:0{i}" for i, name in enumerate(names)})
    assert all(one.days is None and "Give the zip" in one.doubt for one in found.values())
    found = judged(tmp_path / "b", {name: f"2026-11-25 1{i}:00:00" for i, name in enumerate(names)})
    assert all(one.days == 5 for one in found.values())
    found = judged(tmp_path / "c", {name: f"2026-11-20 10:00:0{i}" for i, name in enumerate(names)})
    assert all(one == Lateness(0, "0") for one in found.values()), "on time whatever the times mean"


def test_a_time_to_come_is_doubtful(tmp_path):
    (one,) = judged(tmp_path, {"Ada_1_assignsubmission_file_/lab01.ipynb": "2036-01-01"}).values()
    assert one.days is None
    assert "still to come" in one.doubt


def test_a_date_that_no_calendar_has_is_unknown(tmp_path):
    (one,) = judged(tmp_path, {"lab01_bob_attempt_2026-02-31-10-00-00_lab01.ipynb": ""}).values()
    assert (one.days, one.word) == (None, "unknown")
    assert "nothing tells when" in one.doubt


def test_without_a_notebook_nothing_is_late(tmp_path):
    (one,) = judged(tmp_path, {"Ada_1_assignsubmission_file_/lab01.pdf": "2026-11-26"}).values()
    assert one == Lateness(None, "")


@pytest.mark.parametrize(
    ("days", "share", "points"),
    [(0, "10%", 9.5), (1, "10%", 8.55), (3, "12.5 %", 5.94), (10, "10%", 0), (30, "10%", 0), (2, "0%", 9.5)],
)
def test_each_day_costs_a_share_of_the_points_reached(days, share, points):
    assert Lateness(days, "").points(9.5, read_penalty(share)) == points


def test_a_due_minute_and_a_due_day_last_to_their_end():
    for text in ("2026-12-01 23:59", "2026-12-01", "2026-12-01T23:59"):
        assert datetime(2026, 12, 2) - read_due(text) == timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["", "1.12.2026", "2026-13-01", "2026-12-01 24:01", "tomorrow"])
def test_other_times_are_refused(text):
    with pytest.raises(CourseError, match='write it like "2026-12-01 23:59"'):
        read_due(text)


@pytest.mark.parametrize("text", ["", "10", "-5%", "101%", "ten%"])
def test_other_penalties_are_refused(text):
    with pytest.raises(CourseError, match="write it like 10%"):
        read_penalty(text)
