"""What lessons read besides data: recorded measurements, published figures, quizzes, a model card, a program.

They lie in the package, so that a lesson finds them wherever it was opened and however the package got there.
`python -m authoring.measure_...` writes what is measured; `published/` says of each figure where it stands.
"""

from pathlib import Path

FILES = Path(__file__).resolve().parent  # FILES / "measured/towers.csv"

__all__ = ["FILES"]
