"""Figures: what can be wrong without anybody seeing it in the code."""

import itertools

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Annotation

from backbones import plots

# Pairs so close that names on the same side would cover each other, and one in each corner.
CROWDED = {
    "upper left": (1, 10),
    "upper right": (100, 10),
    "lower left": (1, 1),
    "lower right": (100, 1),
    "one of a pair": (10, 5.0),
    "other of the pair": (10.5, 5.05),
    "close below them": (10, 4.8),
}


@pytest.fixture
def labels() -> list[Annotation]:
    """The names, as `named_points` placed them."""
    figure, axes = plots.subplots(1, 1, 7, 4)
    names = list(CROWDED)
    series = {"first": {n: CROWDED[n] for n in names[:4]}, "again": {n: CROWDED[n] for n in names[4:]}}
    plots.named_points(axes[0, 0], series, xlabel="cost", ylabel="accuracy", title="")
    figure.canvas.draw()
    yield [child for child in axes[0, 0].get_children() if isinstance(child, Annotation)]
    plt.close(figure)


def test_every_point_has_its_name(labels):
    assert {label.get_text(): label.xy for label in labels} == CROWDED


def test_no_name_covers_another(labels):
    for one, other in itertools.combinations(labels, 2):
        boxes = one.get_window_extent(), other.get_window_extent()
        assert not boxes[0].overlaps(boxes[1]), (one.get_text(), other.get_text())


def test_names_cover_no_point_and_stay_inside(labels):
    axis = labels[0].axes
    for label in labels:
        box = label.get_window_extent()
        assert not any(box.contains(*pixel) for pixel in axis.transData.transform(list(CROWDED.values())))
        assert axis.bbox.x0 <= box.x0
        assert box.x1 <= axis.bbox.x1


def test_costs_are_written_as_plain_numbers(labels):
    ticks = [label.get_text() for label in labels[0].axes.get_xticklabels()]
    assert {"1", "10", "100"} <= set(ticks)
