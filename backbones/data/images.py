"""What the image data sets share: checked options, normalization, files inside packages."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from torchvision.transforms import v2

from ..packages import install_again

Statistic = float | Sequence[float] | None


def check_positive(**options: int) -> None:
    """Raise ValueError for the first option below 1, by name."""
    for name, value in options.items():
        if value < 1:
            raise ValueError(f"{name}={value} is too small: it must be at least 1")


def normalization(mean: Statistic, std: Statistic, channels: int) -> v2.Transform:
    """The transform `(image - mean) / std` for float images (..., channels, H, W) in [0, 1].

    Args:
        mean: one number or one per channel, in units of [0, 1]; None for both leaves images as they are.
        std: the same.
        channels: of the images.
    Raises:
        ValueError: when only one is given, when they do not fit the channels, or when std is not positive.
    """
    if mean is None and std is None:
        return v2.Identity()
    if mean is None or std is None:
        given, missing = ("mean", "std") if std is None else ("std", "mean")
        raise ValueError(
            f"{given} was given without {missing}: give both to normalize, or neither to stay in [0, 1]"
        )
    mean, std = ([value] if isinstance(value, int | float) else list(value) for value in (mean, std))
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise ValueError(f"{name} has {len(values)} numbers but the images have channels={channels}")
    if min(std) <= 0:
        raise ValueError(f"std={std} must be positive: it divides the images")
    return v2.Normalize(mean, std)


def package_file(path: str) -> Path:
    """Where a data file lies that an installed package brings, found without importing the package.

    Args:
        path: starting with the package's name: "skimage/data/coffee.png".
    Raises:
        FileNotFoundError: saying what to reinstall.
    """
    package, _, inside = path.partition("/")
    spec = find_spec(package)
    if spec is None or not (file := Path(spec.origin).parent / inside).is_file():
        project = {"skimage": "scikit-image", "sklearn": "scikit-learn"}.get(package, package)
        raise FileNotFoundError(
            f"{path} is not there, though {project} should have brought it: {install_again(project)}"
        )
    return file
