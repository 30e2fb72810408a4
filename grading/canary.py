"""Before anybody is graded: the lab's own solution gets all points here, and the lab without answers gets none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from grading.labs import CourseError

# {"cells": for Runner.run, "points": graded cell by its place among them, "right": all points or none}; plain, so
# that it can be sent to another machine
Trial = dict


def try_out(
    run: Callable[[list[dict]], list[dict]], trials: list[Trial], where: str = "on this machine"
) -> tuple[float, float]:
    """Run all trials.

    Args:
        run: as Runner.run.
        trials: of one lab.
        where: for the sentence.

    Returns:
        The seconds that a cell and a notebook may have, by what right answers take here: a slow machine gives
        everybody more time.

    Raises:
        CourseError: where points would be wrong.
    """
    cell_seconds = notebook_seconds = 0.0
    with ThreadPoolExecutor(2) as pool:
        everything = list(pool.map(run, [trial["cells"] for trial in trials]))
    for trial, outcomes in zip(trials, everything, strict=True):
        for place, name in trial["points"].items():
            error = outcomes[place]["error"]
            if (error is None) != trial["right"]:
                what = "the lab's own solution loses" if trial["right"] else "the lab without answers gets"
                reason = f" ({error[0]}: {error[1][:300]})" if error else ""
                raise CourseError(
                    f"{what} the points of {name} {where}{reason}, and others' points would be wrong, too. Is the "
                    "course's environment complete (make check)?"
                )
        if trial["right"]:
            seconds = [outcome["seconds"] for outcome in outcomes]
            cell_seconds = max(cell_seconds, 10 * max(seconds))
            notebook_seconds = max(notebook_seconds, 5 * sum(seconds))
    return cell_seconds, notebook_seconds
