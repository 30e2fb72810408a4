"""Figures: what can be wrong without anybody seeing it in the code."""

import itertools

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
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


def test_a_label_has_one_grey_in_all_pictures():
    """A mask without the last class must not be brighter than one with it."""
    few, many = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[0, 1], [2, 6]])
    figure = plots.image_grid([few, many, few / 2], ["", "", ""])
    pictures = [axis.images[0] for axis in figure.axes if axis.images]
    plt.close(figure)
    greys = [picture.cmap(picture.norm(2)) for picture in pictures[:2]]
    assert greys[0] == greys[1]
    assert pictures[2].get_clim() == (0, 1)  # a heat map is not labels: from its lowest to its highest


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


NAMES = ("background", "circle", "square")


@pytest.fixture
def axis() -> Axes:
    figure, axes = plots.subplots(1, 1)
    yield axes[0, 0]
    plt.close(figure)


def near(pixel: torch.Tensor, colour: str) -> bool:
    """Whether a pixel is nearer to this colour than to the grey of the picture and the other colour."""
    others = [plots.STAYS, plots.SWAPPED, "0.65"]
    distance = {other: float((pixel - torch.tensor(to_rgb(other))).norm()) for other in others}
    return min(distance, key=distance.get) == colour


def test_right_and_wrong_pixels_have_their_colours(axis: Axes) -> None:
    truth = torch.zeros(8, 8, dtype=torch.int64)
    truth[:4] = 1
    predicted = truth.clone()
    predicted[0] = 0  # overlooked
    predicted[1] = 2  # taken for something else
    predicted[7] = 1  # made up
    plots.right_and_wrong(axis, torch.full((3, 8, 8), 0.5), predicted, truth, NAMES)
    shown = torch.from_numpy(axis.images[0].get_array().data).float()  # (8, 8, 3)
    for row, colour in enumerate([plots.SWAPPED] * 2 + [plots.STAYS] * 2 + ["0.65"] * 3 + [plots.SWAPPED]):
        assert near(shown[row, 0], colour), f"row {row}"


def test_each_predicted_class_is_named_inside_its_area(axis: Axes) -> None:
    predicted = torch.zeros(20, 20, dtype=torch.int64)
    predicted[2:6, 2:18] = 1
    predicted[10, :] = 2  # a ring, say: its middle lies on it or beside it, the name on it
    predicted[18, :] = 2
    image = torch.zeros(3, 20, 20)
    plots.right_and_wrong(axis, image, predicted, torch.zeros_like(predicted), NAMES)
    places = {text.get_text(): text.get_position() for text in axis.texts}
    assert set(places) == {"circle", "square"}
    for name, (x, y) in places.items():
        assert NAMES[predicted[int(y), int(x)]] == name


def test_the_image_is_left_as_it_was(axis: Axes) -> None:
    image, mask = torch.rand(3, 8, 8), torch.ones(8, 8, dtype=torch.int64)
    before = image.clone()
    plots.right_and_wrong(axis, image, mask, mask, NAMES)
    assert torch.equal(image, before)


def test_a_box_encloses_its_pixels(axis: Axes) -> None:
    """Pixel 0 is drawn from -0.5 to 0.5, so the box of pixels 2 to 5 goes from 1.5 to 5.5."""
    plots.draw_boxes(axis, torch.tensor([[2.0, 3.0, 6.0, 9.0]]), ["star"])
    (frame,) = axis.patches
    assert frame.get_bbox().extents.tolist() == [1.5, 2.5, 5.5, 8.5]
    assert [text.get_text() for text in axis.texts] == ["star"]


def test_no_boxes_and_a_missing_caption(axis: Axes) -> None:
    plots.draw_boxes(axis, torch.zeros(0, 4), [])
    assert not axis.patches
    with pytest.raises(ValueError, match="shorter"):
        plots.draw_boxes(axis, torch.ones(2, 4), ["star"])
