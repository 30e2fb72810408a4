"""A line for each student, and in a terminal a bar below them: how far, and how long it still takes."""

import sys
import time

from tqdm import tqdm

BAR = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {desc}"


class Progress:
    """Tells how grading goes on; a context, at whose end the bar is gone.

    Args:
        total: students.
    """

    def __init__(self, total: int) -> None:
        self.total, self.number, self.run = total, 0, 0
        self.start = time.monotonic()
        # disable=None: no bar where stderr is no terminal
        self.bar = tqdm(
            total=total, file=sys.stderr, disable=None, leave=False, dynamic_ncols=True, bar_format=BAR,
            mininterval=0,
        )  # fmt: skip

    def step(self, text: str, run: bool, trouble: bool = False) -> None:
        """One student more.

        Args:
            text: name and points.
            run: the notebook was run now. Estimates count these only: after a stop the others take no time.
            trouble: something is said about it below.
        """
        self.number += 1
        self.run += run
        seconds = time.monotonic() - self.start
        left = seconds / self.run * (self.total - self.number) if self.run else 0.0
        estimate = f"about {duration(left)} left" if left >= 1 else "done"
        when = estimate if run else "graded before"
        say(f"{self.number}/{self.total} {text} ({when}){', see below' if trouble else ''}")
        self.bar.set_description_str(estimate if left >= 1 else "", refresh=False)
        self.bar.update()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


def say(text: str) -> None:
    """Print a line, above the bar where one is shown."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """A time as people say it: "40 s", "12 min", "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
