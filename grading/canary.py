"""Before anybody is graded: the lab's own solution gets all points here, and the lab without answers gets none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from grading.labs import CourseError

# {"cells": for Runner.run, "points": graded cell by its place among them, "right": all points or none}; plain, so
# that it can be sent to another machine
Trial = dict


class Tried(NamedTuple):
    """How trials came out.

    Attributes:
        cell_seconds: that a cell may have, by what right answers take here: a slow machine gives everybody more.
        notebook_seconds: the same of a notebook.
        outcomes: of each trial, as Runner.run gives them.
    """

    cell_seconds: float
    notebook_seconds: float
    outcomes: list[list[dict]]


def try_out(
    run: Callable[[list[dict]], list[dict]], trials: list[Trial], where: str = "on this machine"
) -> Tried:
    """Run all trials.

    Args:
        run: as Runner.run.
        trials: of one lab.
        where: for the sentence.

    Raises:
        CourseError: where points would be wrong.
    """
    cell_seconds = notebook_seconds = 0.0
    try:
        with ThreadPoolExecutor(2) as pool:
            everything = list(pool.map(run, [trial["cells"] for trial in trials]))
    except RuntimeError as error:
        raise CourseError(f"the lab's own solution cannot be run {where}: {error}") from error
    for trial, outcomes in zip(trials, everything, strict=True):
        for place, name in trial["points"].items():
            error = outcomes[place]["error"]
            if (error is None) != trial["right"]:
                what = "the lab's own solution loses" if trial["right"] else "the lab without answers gets"
                reason = f" ({error[0]}: {error[1][:300]})" if error else ""
                advice = "Is the course's environment complete (make check)?"
                if not trial["right"]:
                    advice = "Its tests have to fail where there is no answer: mend them in solutions/"
                elif error[0] == "TimeoutError":
                    advice = "Is it busy with something else? End that, and give the same command again"
                raise CourseError(
                    f"{what} the points of {name} {where}{reason}, and others' points would be wrong, too. {advice}"
                )
        if trial["right"]:
            seconds = [outcome["seconds"] for outcome in outcomes]
            cell_seconds = max(cell_seconds, 10 * max(seconds))
            notebook_seconds = max(notebook_seconds, 5 * sum(seconds))
    return Tried(cell_seconds, notebook_seconds, everything)
