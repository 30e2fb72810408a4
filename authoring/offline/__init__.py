"""Processes that cannot reach the network: see sitecustomize.py in this folder."""

import os
from pathlib import Path


def environment() -> dict[str, str]:
    """A copy of this process's environment in which every Python process is cut off from the network."""
    paths = [str(Path(__file__).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
