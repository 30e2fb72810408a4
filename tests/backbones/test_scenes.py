"""Generated scenes: that every answer fits its picture, that color gives nothing away, that bytes stay."""

import hashlib
import random
from collections import Counter
from itertools import pairwise
from math import cos, pi, sin

import numpy as np
import pytest
import torch
from skimage.draw import polygon2mask
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator

from backbones.data import Photos, Scenes, scenes
from backbones.data.scenes import Scene, SceneDataset, collate

SHAPES = Scenes.class_names


def ready(**options) -> Scenes:
    data = Scenes(**({"image_size": 64, "count": 40, "val_count": 20, "test_count": 20} | options))
    data.setup()
    return data


def same(one: Scene, other: Scene) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def many() -> SceneDataset:
    """600 small scenes with some 1,400 objects."""
    return ready(count=600).train


@pytest.mark.parametrize("size", [64, 97, 224])
def test_shapes_types_and_ranges(size):
    data = ready(image_size=size)
    for part, count in ((data.train, 40), (data.val, 20), (data.test, 20)):
        assert len(part) == count
        scene = next(scene for scene in part if len(scene.boxes) > 1)
        number = len(scene.boxes)
        expected = [((3, size, size), torch.float32), ((6,), torch.float32), ((number, 4), torch.float32)]
        expected += [((number,), torch.int64), ((size, size), torch.int64), ((size, size), torch.int64)]
        assert [(tuple(value.shape), value.dtype) for value in scene] == expected
        assert scene.image.min() >= 0
        assert 0.5 < scene.image.max() <= 1
        assert scene.image.std() > 0.05
    assert Scenes.mask_names == ("background", *SHAPES)


def test_boxes_labels_presence_and_mask_say_the_same(many):
    for scene in many:
        number = len(scene.boxes)
        assert scene.instances.unique().tolist() == list(range(number + 1)), "an object without a pixel"
        assert scene.presence.nonzero()[:, 0].tolist() == (scene.labels.unique() - 1).tolist()
        assert set(scene.presence.tolist()) <= {0, 1}
        assert torch.equal(scene.mask == 0, scene.instances == 0)
        for row in range(number):
            seen = scene.instances == row + 1
            assert (scene.mask[seen] == scene.labels[row]).all()
            y, x = seen.nonzero(as_tuple=True)
            assert scene.boxes[row].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_classes_are_balanced_and_some_scenes_are_empty(many):
    labels = torch.cat([scene.labels for scene in many])
    assert labels.bincount(minlength=7)[0] == 0
    shares = labels.bincount(minlength=7)[1:] / len(labels)
    assert 0.13 < shares.min() <= shares.max() < 0.21
    number = torch.tensor([len(scene.labels) for scene in many]).bincount() / len(many)
    assert len(number) == 5
    assert 0.03 < number[0] < 0.1
    assert number[1:].min() > 0.1
    empty = next(scene for scene in many if not len(scene.labels))
    assert empty.boxes.shape == (0, 4)
    assert empty.mask.any().item() is False
    assert empty.presence.sum() == 0


def outline(shape: str, radius: float, angle: float) -> list[np.ndarray]:
    """Corners (row, column) around (0, 0), from the definition of each shape; a ring has two outlines."""

    def around(distances: list[float], start: float) -> np.ndarray:
        steps = start + angle + 2 * pi * np.arange(len(distances)) / len(distances)
        return np.stack([distances * np.sin(steps), distances * np.cos(steps)], 1) * radius

    if shape == "circle":
        return [around([0.8] * 90, 0)]
    if shape == "ring":
        return [around([0.95] * 90, 0), around([0.5] * 90, 0)]
    if shape in ("square", "triangle"):
        corners, inner = (4, 0.71) if shape == "square" else (3, 0.6)
        return [around([inner / cos(pi / corners)] * corners, pi / corners)]
    if shape == "star":
        inner = 0.4 / cos(pi / 5)
        tip = inner * cos(pi / 5) + inner * sin(pi / 5) * np.tan(2 * pi / 5)
        return [around([tip, inner] * 5, 0)]
    arms = [(1, 0.3), (0.3, 0.3), (0.3, 1)]
    quarter = np.array(arms)
    turned = [quarter @ np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), turns) for turns in range(4)]
    rotation = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    return [(np.concatenate(turned) @ rotation)[:, ::-1] * radius]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_what_its_name_says(shape):
    points, radius = np.arange(-99, 100, dtype=np.int32), 70
    for turn in (0, 17, 50, 201):
        got = scenes._inside(shape, points[None], points[:, None], radius, turn)
        outer, *hole = [
            polygon2mask((199, 199), corners + 99)
            for corners in outline(shape, radius, 2 * pi * turn / scenes._TURN)
        ]
        expected = outer & ~hole[0] if hole else outer
        assert (got != expected).sum() < 0.05 * expected.sum()  # only along the outline
        assert 1.7 * radius**2 < got.sum() < 2.1 * radius**2
    turned = scenes._inside(shape, points[None], points[:, None], radius, turn + scenes._TURN // 4)
    assert (np.rot90(got, -1) != turned).sum() < 20


def flat_surfaces(monkeypatch) -> list[int]:
    """Paint each surface in one gray: 100 for the first object, 110 for the next, and so on."""
    grays = []

    def surface(draw, photos, hue, size):
        grays.append(100 + 10 * len(grays))
        return np.full((3, size, size), grays[-1], dtype=np.int16)

    monkeypatch.setattr(scenes, "_surface", surface)
    return grays


def test_the_picture_shows_what_the_instances_say(monkeypatch):
    grays = flat_surfaces(monkeypatch)
    for scene in ready(count=60).train:
        assert len(grays) == len(scene.labels) + 1, "something was painted that the answers leave out"
        image = (scene.image * 255).round().long()
        for number in scene.instances.unique().tolist():
            others = nn.functional.pad((scene.instances != number).float()[None], (1, 1, 1, 1), value=1)
            inner = nn.functional.max_pool2d(others, 3, stride=1)[0] == 0  # where two meet, they mix
            assert (image[:, inner] == (grays[number - 1] if number else grays[-1])).all()
        grays.clear()


def test_what_is_in_front_is_whole_and_what_is_nearly_hidden_is_left_out():
    asked, kept, shared = 0, 0, 0
    for index in range(200):
        objects = scenes._place_objects(scenes._Draw(0, 0, index), 64)
        asked += scenes._HOW_MANY[scenes._Draw(0, 0, index)(0, len(scenes._HOW_MANY))]
        kept += len(objects)
        in_front = np.zeros((64, 64), dtype=bool)
        for _, cover, visible in objects:
            solid = cover >= 2
            assert np.array_equal(visible, solid & ~in_front)
            shared += (solid & in_front).any()
            # The border may hide the rest, so that all of a shape within the picture can be half of it.
            assert visible.sum() > 0.45 * solid.sum()
            in_front |= solid
    assert 0.75 * asked < kept < 0.95 * asked
    assert shared > 0.15 * kept


def test_an_object_hidden_by_another_is_not_in_the_scene(monkeypatch):
    class Script:
        def __init__(self, *values: int):
            self.values = list(values)

        def __call__(self, low: int, high: int) -> int:
            value = self.values.pop(0)
            assert low <= value < high
            return value

    monkeypatch.setattr(scenes, "_HOW_MANY", (3,))
    square, star = SHAPES.index("square") + 1, SHAPES.index("star") + 1
    behind, beside = (star, 32, 128, 128, 0), (star, 32, 200, 200, 0)
    objects = scenes._place_objects(Script(0, square, 60, 128, 128, 0, *behind, *beside), 64)
    assert [label for label, _, _ in objects] == [square, star]
    assert objects[1][2][50, 50]
    # The hidden one hides nothing either: at the same place as the square but small and in front, it stays.
    objects = scenes._place_objects(Script(0, *behind, square, 60, 128, 128, 0, *beside), 64)
    assert [label for label, _, _ in objects] == [star, square, star]


def color_histogram(pixels: Tensor) -> np.ndarray:
    """(3, P) in [0, 1] => 8 shares for each channel and the mean of each: (27,)."""
    shares = [torch.histc(channel, bins=8, min=0, max=1) / len(channel) for channel in pixels]
    return torch.cat([*shares, pixels.mean(1)]).numpy()


def accuracy(features: list[np.ndarray], labels: list[int]) -> float:
    return cross_val_score(LogisticRegression(max_iter=300), np.stack(features), labels, cv=4).mean()


def test_color_tells_neither_class_nor_foreground(many):
    objects, labels, grounds, is_object = [], [], [], []
    for scene in many:
        for row, label in enumerate(scene.labels.tolist()):
            objects.append(color_histogram(scene.image[:, scene.instances == row + 1]))
            labels.append(label)
        if len(scene.labels):
            grounds += [objects[-1], color_histogram(scene.image[:, scene.mask == 0])]
            is_object += [1, 0]
    assert len(labels) > 1000
    assert accuracy(objects, labels) < 1 / 6 + 0.05
    assert accuracy(grounds, is_object) < 1 / 2 + 0.06
    # The same test does find a color that belongs to a class.
    dyed = [row + 0.2 * np.eye(27)[label] for row, label in zip(objects, labels, strict=True)]
    assert accuracy(dyed, labels) > 0.4


def test_objects_stand_out_from_what_is_behind_them(many):
    """Each object's mean color is far from the background's: what no eye could see, no network can learn."""
    distances = [
        (scene.image[:, scene.instances == row + 1].mean(1) - scene.image[:, scene.mask == 0].mean(1)).abs()
        for scene in many
        for row in range(len(scene.labels))
    ]
    strongest = torch.stack(distances).amax(1)
    assert (strongest > 0.1).float().mean() > 0.98


def test_a_scene_depends_on_its_index_alone():
    data, other, longer = ready(), ready(), ready(count=50, batch_size=3)
    forward = [data.train[index] for index in range(6)]
    for index in (5, 0, 3, 3):
        assert same(other.train[index], forward[index])
        assert same(longer.train[index], forward[index])
        assert same(data.train[index - 40], forward[index])
    assert not any(same(a, b) for a, b in pairwise(forward))
    data.setup("fit")
    assert same(data.train[2], forward[2])
    in_workers = DataLoader(other.train, batch_size=None, num_workers=2, collate_fn=None)
    assert all(same(a, b) for a, b in zip(in_workers, forward, strict=False))


def test_seeds_and_parts_differ():
    datasets = [part for data in (ready(), ready(seed=1)) for part in (data.train, data.val, data.test)]
    masks = [scene.mask.numpy().tobytes() for part in datasets for scene in part if len(scene.labels)]
    assert len(set(masks)) == len(masks) > 100


def test_held_back_scenes_show_other_parts_of_the_photos():
    data = ready()
    for index, name in enumerate(Photos().names):
        whole, half = data.train.photos[2 * index : 2 * index + 2]
        held_back, held_back_half = data.test.photos[2 * index : 2 * index + 2]
        photo = Photos()[name].numpy()
        assert np.array_equal(np.concatenate([whole, held_back], axis=2), photo)
        assert held_back.shape[2] >= 0.4 * photo.shape[2]
        assert abs(half.mean() - whole.mean()) < 1
        assert half.shape == (3, whole.shape[1] // 2, whole.shape[2] // 2)
        assert held_back_half.shape[1:] >= (64, 64)
    assert data.val.photos is data.test.photos


def test_scenes_stand_in_turn_on_as_many_backgrounds_as_were_asked_for():
    data, own = ready(backgrounds=2), ready()
    for index, scene in enumerate(data.train):
        assert torch.equal(scene.mask, own.train[index].mask)  # the objects are those of the other scenes
        for other in (data.train[other] for other in range(index % 2, 40, 2)):
            both = background(scene) & background(other)
            assert both.sum() > 300
            assert torch.equal(scene.image[:, both], other.image[:, both])
        stranger = data.train[index - 1]
        both = background(scene) & background(stranger)
        assert (scene.image[:, both] != stranger.image[:, both]).float().mean() > 0.9
    assert all(
        same(a, b)
        for part in ("val", "test")
        for a, b in zip(getattr(data, part), getattr(own, part), strict=True)
    )
    assert same(ready(backgrounds=2, count=7).train[5], data.train[5])


def background(scene: Scene) -> Tensor:
    """Where nothing but background is seen: no object mixes its edge into these pixels."""
    edge = nn.functional.max_pool2d((scene.mask > 0).float()[None], 5, stride=1, padding=2)[0]
    return edge == 0


def test_objects_have_every_color_but_that_of_a_background_they_share():
    data = ready(backgrounds=1, count=300)
    behind = hue(data.train[0].image[:, background(data.train[0])])
    hues = Counter(hue(scene.image[:, scene.instances == 1]) for scene in data.train if len(scene.labels))
    assert hues[behind] < 8  # a part of a crop may be brighter than all of it
    assert all(20 < count < 80 for color, count in hues.items() if color != behind)
    assert len(hues) >= 7


def hue(pixels: Tensor) -> tuple[bool, ...]:
    """Which of red, green and blue are strong in the mean of pixels (3, N)."""
    return tuple((pixels.mean(1) > 0.5).tolist())


def test_photos_are_read_once(monkeypatch):
    first = ready().train[0]
    monkeypatch.setattr(scenes, "Photos", lambda: pytest.fail("the photos were read again"))
    assert same(ready().train[0], first)


def test_no_other_random_numbers_are_touched():
    def states() -> list:
        legacy = np.random.get_state()[1]  # noqa: NPY002  (this is what must not move)
        return [random.getstate(), legacy.tolist(), torch.get_rng_state().tolist()]

    before = states()
    data = ready()
    assert len(list(data.test)) == 20
    assert states() == before


@pytest.mark.parametrize(
    ("size", "geometry", "picture"),
    [
        (64, "425c0b80ec4e4e22", "047580c9e1c0ab9f"),
        (96, "d21fff8f8524216b", "0d28cff0288e406a"),
        (224, "9e8bf9cc40a0e036", "609bb6f708735375"),
    ],
)
def test_the_bytes_are_the_same_everywhere(size, geometry, picture):
    """Lessons and checkpoints rest on these bytes: if this fails on your machine alone, please say so."""
    data = ready(image_size=size)
    found = [hashlib.sha256(), hashlib.sha256()]
    for scene in (data.train[0], data.train[7], data.val[1], data.test[2]):
        for value in (scene.instances.byte(), scene.labels, scene.boxes):
            found[0].update(value.numpy().tobytes())
        found[1].update((scene.image * 255).round().byte().numpy().tobytes())
    assert [digest.hexdigest()[:16] for digest in found] == [geometry, picture]


def test_no_cosine_is_near_a_rounding_edge():
    for step, rounded in enumerate(scenes._COS):
        exact = 1024 * cos(2 * pi * step / scenes._TURN)
        assert abs(exact - rounded) < 0.499


def test_normalization_is_per_channel():
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    plain, normal = ready().train[0], ready(mean=mean, std=std).train[0]
    for channel in range(3):
        expected = (plain.image[channel] - mean[channel]) / std[channel]
        torch.testing.assert_close(normal.image[channel], expected)
    assert same(plain._replace(image=normal.image), normal)


def test_batches_keep_each_scene_together():
    data = ready(batch_size=15)
    batches = list(data.train_dataloader())
    assert [len(batch.image) for batch in batches] == [15, 15, 10]
    for batch in batches:
        assert batch.image.shape[1:] == (3, 64, 64)
        for presence, mask, target in zip(batch.presence, batch.mask, batch.targets, strict=True):
            assert presence.nonzero()[:, 0].tolist() == (target["labels"].unique() - 1).tolist()
            assert set(mask.unique().tolist()) - {0} == set(target["labels"].tolist())
            assert target["boxes"].shape == (len(target["labels"]), 4)
    again = list(data.train_dataloader())
    assert all(torch.equal(a.image, b.image) for a, b in zip(batches, again, strict=True))
    other = next(iter(ready(batch_size=15, seed=1).train_dataloader()))
    assert not torch.equal(batches[0].image, other.image)
    in_order = torch.stack([scene.image for scene in data.train])
    assert not torch.equal(torch.cat([batch.image for batch in batches]), in_order)
    for loader, part in ((data.val_dataloader(), data.val), (data.test_dataloader(), data.test)):
        first = next(iter(loader))
        assert all(torch.equal(a, part[index].image) for index, a in enumerate(first.image))


def test_a_detector_of_torchvision_takes_the_batches(many):
    backbone = nn.Sequential(nn.Conv2d(3, 32, 16, stride=16), nn.ReLU())
    backbone.out_channels = 32
    anchors = AnchorGenerator(sizes=((16,),), aspect_ratios=((1.0,),))
    detector = FCOS(backbone, num_classes=7, anchor_generator=anchors, min_size=64, max_size=64)
    empty = next(scene for scene in many if not len(scene.labels))
    batch = collate([empty, *(many[index] for index in range(5))])
    losses = detector(list(batch.image), batch.targets)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert backbone[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 63}, "image_size=63 is not possible: scenes are 64 to 224 pixels wide"),
        ({"image_size": 225}, "image_size=225 is not possible"),
        ({"count": 0}, "count=0 is too small"),
        ({"val_count": 0}, "val_count=0 is too small"),
        ({"test_count": -1}, "test_count=-1 is too small"),
        ({"batch_size": 0}, "batch_size=0 is too small"),
        ({"backgrounds": 0}, "backgrounds=0 is too small"),
        ({"seed": -1}, "seed=-1 is not possible: it must be at least 0"),
        ({"mean": 0.5}, "mean was given without std"),
    ],
)
def test_impossible_options_are_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Scenes(**options)


def test_impossible_requests_are_named():
    with pytest.raises(AttributeError, match=r"Scenes has no \.train yet: call setup\(\) first"):
        _ = Scenes().train
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = Scenes().trian
    data = ready()
    for index in (40, -41):
        with pytest.raises(IndexError, match=f"no scene {index}: this part has 40"):
            data.train[index]
    with pytest.raises(ValueError, match="no shape is called 'blob'"):
        scenes._inside("blob", np.zeros((1, 1)), np.zeros((1, 1)), 1, 0)
