"""Start a user's server on the hub, as that user: hand out the lessons first, then become Jupyter.

A lesson that is there already stays as it is: it may hold what the learner wrote. Standard library only.
"""

import os
import shutil
import sys
from pathlib import Path


def hand_out(lessons: Path, home: Path) -> None:
    """Copy the lessons that are missing, and keep the home to its owner.

    Args:
        lessons: what learners get, unpacked.
        home: the user's home; theirs are home/backbones/notebooks, beside which nbgrader puts labs.
    """
    home.chmod(0o700)  # of many systems the usual home can be read by everybody
    own = home / "backbones"
    (own / "labs").mkdir(parents=True, exist_ok=True)
    for source in sorted(path for path in (lessons / "notebooks").rglob("*") if path.is_file()):
        copy = own / source.relative_to(lessons)
        if not os.path.lexists(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


if __name__ == "__main__":
    hand_out(Path(__file__).resolve().parent.parent / "lessons", Path.home())
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub.singleuser", *sys.argv[1:]])
