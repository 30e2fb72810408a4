"""Figures: what can be wrong without anybody seeing it in the code."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation
from skimage.color import rgb2lab
from torch import nn

import backbones
from backbones import DeepLabV3, DeepLabV3Plus, Network, create_backbone, plots
from backbones.data import Scenes
from backbones.heads import SegmentationHead
from backbones.show import palette

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


def drawn(*images: torch.Tensor) -> list[AxesImage]:
    """The images as `image_grid` draws them."""
    figure = plots.image_grid(images, [""] * len(images))
    plt.close(figure)
    return [axis.images[0] for axis in figure.axes if axis.images]


def lightness(colour: str | tuple[float, ...]) -> float:
    """CIE L*, 0 for black and 100 for white: what is left of a colour in grey print."""
    return float(rgb2lab(to_rgb(colour))[0])


def test_a_label_has_one_colour_in_all_pictures():
    """Whatever other labels the mask holds, and whatever integers they are written in."""
    few, many = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[0, 1], [2, 6]])
    one, other, small = (image.get_array() for image in drawn(few, many, few.to(torch.uint8)))
    assert (one[0] == other[0]).all()
    assert (one[1, 0] == other[1, 0]).all()
    assert (one == small).all()


def test_a_map_of_numbers_is_grey_from_its_lowest_to_its_highest():
    (picture,) = drawn(torch.tensor([[0.25, 1.0], [0.5, 3.0]]))
    assert picture.get_clim() == (0.25, 3)
    assert picture.cmap.name == "gray"


def test_classes_can_be_told_apart_in_colour_and_in_grey():
    """Steps of at least 7 in L*, on black and on a white page."""
    levels = sorted(lightness(colour) for colour in palette.CLASS_COLOURS)
    assert min(high - low for low, high in itertools.pairwise([*levels, 100])) > 7
    assert len(Scenes.mask_names) <= len(palette.CLASS_COLOURS)


def test_no_colour_means_two_things():
    """Colours of different meaning are far apart in Lab space, for the eye and not as text only."""
    meanings = [palette.SWAPPED, palette.STAYS, palette.THIRD, palette.WRONG, palette.INK, palette.RIGHT]
    named, classes = (
        rgb2lab([to_rgb(one) for one in some]) for some in (meanings, palette.CLASS_COLOURS[1:])
    )
    between = torch.pdist(torch.from_numpy(named))
    to_classes = torch.cdist(torch.from_numpy(named), torch.from_numpy(classes))
    assert min(between.min(), to_classes.min()) > 15


def test_background_is_black_and_unknown_white():
    assert plots.class_colours(torch.tensor([[0, 255]])).tolist() == [[[0, 1]]] * 3


def test_no_class_is_drawn_as_background_or_unknown():
    colours = plots.class_colours(torch.arange(1, 255)[None]).flatten(1)  # (3, 254)
    assert 0 < colours.sum(0).min() <= colours.sum(0).max() < 3


@pytest.mark.parametrize("label", [-1, 256])
def test_a_number_that_is_no_label(label):
    with pytest.raises(ValueError, match=f"{label}.*pass it as float"):
        plots.image_grid([torch.tensor([[1, label]])], [""])


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
    assert sorted((label.get_text(), label.xy) for label in labels) == sorted(CROWDED.items())


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


def near(axis: Axes, row: int, *colours: str, image: float = 0.65) -> str:
    """The colour that the first pixel of a row comes nearest to: one of these, or "grey" as the image is."""
    pixel = torch.as_tensor(axis.images[0].get_array())[row, 0].float()
    targets = {"grey": (image, image, image), **{colour: to_rgb(colour) for colour in colours}}
    return min(targets, key=lambda colour: float((pixel - torch.tensor(targets[colour])).norm()))


def test_right_and_wrong_pixels_have_their_colours(axis: Axes) -> None:
    truth = torch.zeros(8, 8, dtype=torch.int64)
    truth[:4] = 1
    truth[6] = 255  # nobody knows
    predicted = truth.clone()
    predicted[0] = 0  # overlooked
    predicted[1] = 2  # taken for something else
    predicted[6:] = 1  # made up, where that is known
    plots.right_and_wrong(axis, torch.full((3, 8, 8), 0.5), predicted, truth, NAMES)
    expected = [palette.WRONG] * 2 + [palette.RIGHT] * 2 + ["grey"] * 3 + [palette.WRONG]
    assert [near(axis, row, palette.RIGHT, palette.WRONG, image=0.85) for row in range(8)] == expected


def test_errors_can_be_seen_in_grey_whatever_the_image(axis: Axes) -> None:
    """On black and on white images: errors darker than right pixels, and those darker than the background."""
    truth = torch.tensor([0, 0, 1, 1, 1, 1])[:, None]
    predicted = torch.tensor([0, 0, 1, 1, 2, 2])[:, None]
    image = torch.tensor([0.0, 1.0] * 3)[None, :, None].expand(3, -1, -1)
    plots.right_and_wrong(axis, image, predicted, truth)
    rows = torch.as_tensor(axis.images[0].get_array())[:, 0]
    background, right, wrong = (
        [lightness(tuple(rows[row].tolist())) for row in pair] for pair in ((0, 1), (2, 3), (4, 5))
    )
    assert min(background) - max(right) > 10
    assert min(right) - max(wrong) > 10


def test_areas_have_the_colours_of_their_classes(axis: Axes) -> None:
    mask = torch.tensor([0, 1, 2, 6])[:, None].expand(4, 9)
    plots.class_areas(axis, torch.full((3, 4, 9), 0.5), mask)
    colours = palette.CLASS_COLOURS
    assert [near(axis, row, *colours) for row in range(4)] == ["grey", colours[1], colours[2], colours[6]]


@pytest.mark.parametrize(
    "draw", [plots.class_areas, lambda *a: plots.right_and_wrong(*a[:3], a[2] * 0, a[3])]
)
def test_each_class_is_named_inside_its_area(axis: Axes, draw: Callable[..., None]) -> None:
    predicted = torch.zeros(20, 20, dtype=torch.int64)
    predicted[2:6, 2:18] = 1
    predicted[10, :] = 2  # a ring, say: its middle lies on it or beside it, the name on it
    predicted[18, :] = 2
    predicted[14:17] = 255  # unknown has no name
    image = torch.zeros(3, 20, 20)
    draw(axis, image, predicted, NAMES)
    places = {text.get_text(): text.get_position() for text in axis.texts}
    assert set(places) == {"circle", "square"}
    for name, (x, y) in places.items():
        assert NAMES[predicted[int(y), int(x)]] == name


def test_the_image_is_left_as_it_was(axis: Axes) -> None:
    image, mask = torch.rand(3, 8, 8), torch.ones(8, 8, dtype=torch.int64)
    before = image.clone()
    plots.right_and_wrong(axis, image, mask, mask, NAMES)
    plots.class_areas(axis, image, mask, NAMES)
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


def deeplab(kind: type, backbone: str, output_stride: int, classes: int, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return kind(create_backbone(backbone, output_stride=output_stride), classes, **options)


MODELS = {
    "as in the paper": (DeepLabV3Plus, "resnet101", 16, 21, {}),
    "dense at 8, one convolution": (
        DeepLabV3Plus,
        "resnet101",
        8,
        21,
        {"separable": False, "decoder_convs": 1},
    ),
    "MobileNetV2's own head": (DeepLabV3, "mobilenetv2_100", 16, 21, {"rates": ()}),
    "narrow": (DeepLabV3Plus, "tf_efficientnet_lite0", 16, 7, {"width": 128, "rates": (1, 2, 3)}),
    "much of all": (
        DeepLabV3Plus,
        "tf_efficientnet_lite0",
        32,
        1000,
        {
            "rates": range(1, 9),
            "low_level_stride": 2,
            "low_level_width": 100,
            "width": 1024,
            "decoder_convs": 12,
        },
    ),
    "low level is deep": (DeepLabV3Plus, "resnet101", 8, 2, {"low_level_stride": 8}),
}
PLAIN = ("as in the paper", "MobileNetV2's own head", "much of all")


@pytest.fixture(
    params=[*((name, False) for name in MODELS), *((name, True) for name in PLAIN)], scope="module", ids=str
)
def figure(request: pytest.FixtureRequest) -> Iterator[Figure]:
    name, plain = request.param
    kind, backbone, output_stride, classes, options = MODELS[name]
    figure = plots.anatomy(deeplab(kind, backbone, output_stride, classes, **options), plain=plain)
    figure.canvas.draw()
    yield figure
    plt.close(figure)


def words(figure: Figure) -> list[str]:
    """The texts of a figure, each on one line."""
    plt.close(figure)
    return [" ".join(text.get_text().split()) for text in figure.axes[0].texts if text.get_text()]


def boxes(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if patch.get_gid() != "adapts"]


def adapting(figure: Figure) -> list[str]:
    """The texts of the boxes that carry a plug; "" is the one of the legend."""
    plugs = [patch.get_window_extent() for patch in figure.axes[0].patches if patch.get_gid() == "adapts"]
    marked = [box.get_window_extent() for box in boxes(figure)]
    marked = [box for box in marked if any(abs(box.p0 - plug.p0).max() < 1 for plug in plugs)]
    texts = [(text.get_text(), text.get_window_extent()) for text in figure.axes[0].texts]
    inside = [[name for name, at in texts if box.fully_overlaps(at) and name] for box in marked]
    return sorted(name for names in inside for name in (names or [""]))


def test_the_figure_says_what_is_in_the_model() -> None:
    options = {
        "width": 128,
        "rates": (1, 2),
        "low_level_width": 32,
        "decoder_convs": 3,
        "low_level_stride": 8,
    }
    figure = plots.anatomy(deeplab(DeepLabV3Plus, "tf_efficientnet_lite0", 16, 7, **options))
    assert set(words(figure)) == {
        *("BACKBONE", "is swapped: tf_efficientnet_lite0", "HEAD", "stays: 128 channels wide"),
        *("image H×W×3", "stride 2 16 ch.", "stride 4 24 ch.", "stride 8 40 ch.", "stride 16 320 ch."),
        *("1×1 conv", "sep. 3×3, rate 1", "sep. 3×3, rate 2", "image pooling", "ASPP, each to 128 ch."),
        *("concat, 1×1 conv to 128 ch.", "enlarge ×2", "low-level features: the backbone's 40 ch."),
        *("1×1 conv to 32 ch.", "concat 128 + 32", "3 layers of sep. 3×3 to 128 ch."),
        *("decoder (the paper's encoder: backbone + ASPP)", "1×1 conv to 7 classes, enlarge ×8"),
        *("answer H×W×7", "is swapped", "stays", "stays, and adapts to the backbone's widths"),
    }


def test_a_model_without_decoder_and_rates_is_drawn_without() -> None:
    model = deeplab(DeepLabV3, "mobilenetv2_100", 16, 21, rates=())
    texts = words(plots.anatomy(model, "MobileNetV2"))
    assert {
        "is swapped: MobileNetV2",
        "1×1 conv",
        "image pooling",
        "1×1 conv to 21 classes, enlarge ×16",
    } <= {*texts}
    assert not [text for text in texts if re.search("rate|decoder|3×3|low-level|layer", text)]


def test_plain_words_need_no_machine_learning() -> None:
    """Lesson 00 draws a DeepLab before it has explained any layer; the marks are the same."""
    model = deeplab(DeepLabV3Plus, "resnet101", 16, 21)
    plain, full = plots.anatomy(model, "ResNet-101", plain=True), plots.anatomy(model)
    for drawn in plain, full:
        drawn.canvas.draw()
    assert len(adapting(plain)) == len(adapting(full)) == 7  # six and the legend
    said = " ".join(words(plain))
    plt.close(full)
    assert not re.search(r"conv|ch\.|concat|rate|×|sep\.|classes", said)
    assert {"BACKBONE", "HEAD", "ASPP", "decoder", "stride 4", "stride 16"} <= {*words(plain)}


def test_the_modules_are_drawn_and_not_the_options_they_were_built_by() -> None:
    model = deeplab(DeepLabV3Plus, "mobilenetv2_100", 16, 21, separable=False)
    before = words(plots.anatomy(model))
    model.head.aspp.branches[2] = nn.Conv2d(320, 256, 5, dilation=9, device="meta")
    model.head.decoder.refine = nn.Sequential(nn.Conv2d(304, 77, 3, device="meta"))
    model.head.classifier = nn.Conv2d(77, 5, 1, device="meta")
    after = words(plots.anatomy(model))
    assert {*before} - {*after} == {
        *(
            "3×3, rate 12",
            "2 layers of 3×3 to 256 ch.",
            "1×1 conv to 21 classes, enlarge ×4",
            "answer H×W×21",
        ),
    }
    assert {"5×5, rate 9", "1 layer of 3×3 to 77 ch.", "1×1 conv to 5 classes, enlarge ×4"} <= {*after}


@pytest.mark.parametrize("separable", [True, False])
def test_marked_are_the_parts_whose_shapes_change_with_the_backbone(separable: bool) -> None:
    heads = [
        dict(deeplab(DeepLabV3Plus, name, 16, 21, separable=separable).head.named_parameters())
        for name in ("resnet101", "mobilenetv2_100")
    ]
    other = {name for name, values in heads[0].items() if values.shape != heads[1][name].shape}
    parts = {re.match(r"aspp\.branches\.\d|decoder\.reduce", name)[0] for name in other}
    figure = plots.anatomy(deeplab(DeepLabV3Plus, "resnet101", 16, 21, separable=separable))
    figure.canvas.draw()
    assert len(adapting(figure)) == len(parts) + 1  # the legend
    plt.close(figure)


def test_a_part_that_does_not_adapt_is_not_marked() -> None:
    model = deeplab(DeepLabV3Plus, "resnet101", 16, 21)
    model.head.decoder.reduce = nn.Conv2d(100, 48, 1, device="meta")  # as if behind a layer of 100 channels
    figure = plots.anatomy(model)
    figure.canvas.draw()
    assert adapting(figure) == sorted(
        ["", "1×1 conv", *(f"sep. 3×3, rate {rate}" for rate in (6, 12, 18)), "image pooling"]
    )
    plt.close(figure)


def test_no_text_of_the_anatomy_covers_another_or_leaves_the_figure(figure: Figure) -> None:
    texts = {text: text.get_window_extent() for text in figure.axes[0].texts if text.get_text()}
    for (one, at), (other, there) in itertools.combinations(texts.items(), 2):
        assert not at.overlaps(there), (one.get_text(), other.get_text())
    for text, at in texts.items():
        assert figure.bbox.fully_containsx(at.x0), text.get_text()
        assert figure.bbox.fully_containsx(at.x1), text.get_text()
        assert figure.bbox.fully_containsy(at.y0), text.get_text()
        assert figure.bbox.fully_containsy(at.y1), text.get_text()


def test_no_text_of_the_anatomy_crosses_the_border_of_a_box(figure: Figure) -> None:
    for text in figure.axes[0].texts:
        at = text.get_window_extent()
        for box in (patch.get_window_extent() for patch in figure.axes[0].patches):
            if text.get_text() and box.overlaps(at):
                inside = box.x0 < at.x0 and at.x1 < box.x1 and box.y0 < at.y0 and at.y1 < box.y1
                assert inside, text.get_text()


def test_brackets_of_backbone_and_head_do_not_meet_and_cover_what_is_theirs(figure: Figure) -> None:
    brackets = [line for line in figure.axes[0].lines if line.get_linewidth() == 2]
    backbone, head = (line.get_window_extent() for line in brackets)
    assert backbone.x1 < head.x0
    for box in boxes(figure):
        colour, at = box.get_facecolor()[:3], box.get_window_extent()
        owner = {to_rgb(plots.SWAPPED): backbone, to_rgb(plots.STAYS): head}.get(colour)
        if owner and box.get_height() > 0.6:  # the legend has boxes of this height
            assert owner.x0 - 1 < at.x0 < at.x1 < owner.x1 + 1


@pytest.mark.parametrize("wrong", ["a backbone", "a head", "another network", "ResNet-101", None])
def test_what_is_no_deeplab_model_is_refused_with_advice_that_works(wrong: str | None) -> None:
    model = deeplab(DeepLabV3Plus, "mobilenetv2_100", 16, 21)
    with torch.device("meta"):
        network = Network(model.backbone, SegmentationHead(model.backbone.channels, 7))
    things = {"a backbone": model.backbone, "a head": model.head, "another network": network}
    with pytest.raises(ValueError, match="whole DeepLab model") as refusal:
        plots.anatomy(things.get(wrong, wrong))
    advice = re.search(r"DeepLabV3Plus\(.*\)", str(refusal.value))[0]
    with torch.device("meta"):
        plt.close(plots.anatomy(eval(advice, vars(backbones))))
