"""Generated scenes: one set of pictures for classification, detection and segmentation."""

from collections.abc import Sequence
from functools import cache
from math import cos, tau
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from .images import Statistic, check_positive, normalization
from .photos import Photos
from .splits import SplitData

_SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
_SMALLEST, _LARGEST = 64, 224  # image sizes
_HOW_MANY = (0, *(1, 2, 3, 4) * 4)  # objects in a scene: as often one as four, and now and then none

# Same seed, same bytes: all below counts in integers, so that no machine rounds differently. Angles are steps
# of 1.5 degrees with cosines in 1024ths; before rounding, none of them is nearer than 0.001 to a half, where
# the last digit of a maths library could tip it. Random numbers are taken raw from PCG64, a stream that numpy
# promises to keep, and not from numpy.random.Generator, whose methods may change.
_TURN = 240
_COS = [round(1024 * cos(tau * step / _TURN)) for step in range(_TURN)]


class Scene(NamedTuple):
    """One picture and every answer to it; N objects are visible, the one in front first.

    image: float32 (3, S, S) in [0, 1] unless mean and std are given.
    presence: float32 (6,), 1 for each class that is in the picture.
    boxes: float32 (N, 4), x1 y1 x2 y2 in pixels around what is visible; x2, y2 lie behind the last pixel.
    labels: int64 (N,), 1 to 6; 0 means background, as for torchvision's detectors.
    mask: int64 (S, S), the label of what is visible at each pixel, 0 to 6.
    instances: int64 (S, S), 0 for background, n + 1 for the object of boxes[n] and labels[n].
    """

    image: Tensor
    presence: Tensor
    boxes: Tensor
    labels: Tensor
    mask: Tensor
    instances: Tensor


class SceneBatch(NamedTuple):
    """Scenes together: image (B, 3, S, S), presence (B, 6), mask (B, S, S), and since each scene has its own
    number of objects, targets: a list of B dictionaries with "boxes" (N, 4) and "labels" (N,)."""

    image: Tensor
    presence: Tensor
    targets: list[dict[str, Tensor]]
    mask: Tensor


def collate(scenes: Sequence[Scene]) -> SceneBatch:
    """Make a batch of scenes of one size; the `collate_fn` of a DataLoader."""
    return SceneBatch(
        torch.stack([scene.image for scene in scenes]),
        torch.stack([scene.presence for scene in scenes]),
        [{"boxes": scene.boxes, "labels": scene.labels} for scene in scenes],
        torch.stack([scene.mask for scene in scenes]),
    )


class _Draw:
    """Random integers that depend on nothing but the key."""

    def __init__(self, *key: int):
        self.bits = np.random.PCG64(key)

    def __call__(self, low: int, high: int) -> int:
        """An integer n with low <= n < high."""
        return low + int(self.bits.random_raw()) % (high - low)  # 64 bits: the remainder is even enough


def _inside(shape: str, x: np.ndarray, y: np.ndarray, radius: int, turn: int) -> np.ndarray:
    """Which points lie in a shape: bool (H, W).

    Shapes of equal radius cover about equal areas, 1.75 to 2.05 radius^2, so size gives nothing away.

    Args:
        shape: one of the six names.
        x: int32 (1, W), columns relative to the centre.
        y: int32 (H, 1), rows relative to the centre.
        radius: in the same unit.
        turn: an angle in steps of 1.5 degrees.
    """

    def along(angle: int) -> np.ndarray:  # how far each point lies in a direction, in 1024ths of a unit
        return x * _COS[angle % _TURN] + y * _COS[(angle - _TURN // 4) % _TURN]  # sin a = cos(a - 90 degrees)

    def reach(percent: int) -> int:
        return radius * percent * 1024 // 100

    def on_this_side(corners: int, percent: int) -> list[np.ndarray]:  # of each side of a regular polygon
        return [along(turn + side * _TURN // corners) <= reach(percent) for side in range(corners)]

    match shape:
        case "circle":
            return x * x + y * y <= (radius * 80 // 100) ** 2
        case "ring":
            squared = x * x + y * y
            return (squared <= (radius * 95 // 100) ** 2) & (squared >= (radius * 50 // 100) ** 2)
        case "square":
            return np.logical_and.reduce(on_this_side(4, 71))
        case "triangle":
            return np.logical_and.reduce(on_this_side(3, 60))
        case "star":  # a pentagon whose sides go on until they meet: each tip is beyond one side only
            return np.add.reduce(on_this_side(5, 40), dtype=np.uint8) >= 4
        case "cross":
            across, up = np.abs(along(turn)), np.abs(along(turn + _TURN // 4))
            long, wide = reach(100), reach(30)
            return ((across <= wide) & (up <= long)) | ((up <= wide) & (across <= long))
    raise ValueError(f"no shape is called {shape!r}")


def _place_objects(draw: _Draw, size: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Objects from front to back: label, cover uint8 (S, S) in quarters of a pixel, visible bool (S, S)."""
    points = np.arange(1, 4 * size, 2, dtype=np.int32)  # two a pixel each way; the unit is a quarter pixel
    free = np.ones((size, size), dtype=bool)
    objects = []
    for _ in range(_HOW_MANY[draw(0, len(_HOW_MANY))]):
        label = draw(1, len(_SHAPES) + 1)
        radius = draw(4 * size * 12 // 100, 4 * size * 26 // 100)
        x, y = (draw(4 * size // 8, 4 * size * 7 // 8) for _ in range(2))
        inside = _inside(
            _SHAPES[label - 1], points[None] - x, points[:, None] - y, radius, draw(0, _TURN)
        ).view(np.uint8)
        cover = inside[::2, ::2] + inside[1::2, ::2] + inside[::2, 1::2] + inside[1::2, 1::2]
        solid = cover >= 2
        visible = solid & free
        # Hidden to about half, by others or by the border: leave it out of the picture as of the answers.
        if 16 * np.count_nonzero(visible) < radius**2:
            continue
        free &= ~solid
        objects.append((label, cover, visible))
    return objects


def _surface(draw: _Draw, photos: list[np.ndarray], hue: int, size: int) -> np.ndarray:
    """What a thing is covered with, int16 (3, S, S) in 0..255: a crop of a photo with a random mean colour.

    Args:
        draw: random integers.
        photos: uint8 (3, H, W) each, to cut from.
        hue: 0 to 7, bit by bit whether red, green and blue are strong; surfaces of different hues differ.
        size: S.
    """
    photo = photos[draw(0, len(photos))]
    top, left = (draw(0, side - size + 1) for side in photo.shape[1:])
    crop = photo[:, top : top + size, left : left + size].astype(np.int16)
    mean = crop.sum(axis=(1, 2), keepdims=True, dtype=np.int32) // size**2
    color = [draw(155, 216) if hue >> channel & 1 else draw(40, 101) for channel in range(3)]
    texture = (crop - mean.astype(np.int16)) * draw(3, 7) >> 2  # 3/4 to 3/2 of its contrast
    return np.clip(np.array(color, dtype=np.int16)[:, None, None] + texture, 0, 255)


def _generate(
    draw: _Draw, photos: list[np.ndarray], size: int, background: _Draw | None
) -> tuple[np.ndarray, ...]:
    """A scene: image uint8 (3, S, S), instances uint8 (S, S), boxes float32 (N, 4), labels int64 (N,).

    `background` draws the background where scenes share it; None: the scene draws its own.
    """
    objects = _place_objects(draw, size)
    # The background gets its surface from the same deal as the objects, and all surfaces fill the picture
    # before the shapes are cut out of them. So no color or texture is more likely on one class than on
    # another, nor on an object than on the background.
    hues = list(range(8))
    if background is not None:
        image = _surface(background, photos, hues.pop(background(0, len(hues))), size)
    surfaces = [_surface(draw, photos, hues.pop(draw(0, len(hues))), size) for _ in objects]
    if background is None:
        image = _surface(draw, photos, hues.pop(draw(0, len(hues))), size)
    for surface, (_, cover, _) in reversed(list(zip(surfaces, objects, strict=True))):  # back to front
        image += (surface - image) * cover >> 2  # smooth edges
    instances = np.zeros((size, size), dtype=np.uint8)
    boxes = np.zeros((len(objects), 4), dtype=np.float32)
    for number, (_, _, visible) in enumerate(objects):
        instances[visible] = number + 1
        rows, columns = visible.any(axis=1).nonzero()[0], visible.any(axis=0).nonzero()[0]
        boxes[number] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    labels = np.array([label for label, _, _ in objects], dtype=np.int64)
    return image.astype(np.uint8), instances, boxes, labels


@cache
def _photo_parts(size: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The left three fifths and the right two fifths of each photo, whole and at half size, uint8 (3, H, W).

    Parts smaller than `size` are continued by their mirror image.
    """
    photos, parts = Photos(), ([], [])
    for name in photos.names:
        photo = photos[name].numpy()
        for part, whole in zip(parts, np.split(photo, [photo.shape[2] * 3 // 5], axis=2), strict=True):
            even = whole[:, : whole.shape[1] // 2 * 2, : whole.shape[2] // 2 * 2].astype(np.uint16)
            four = even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]
            for image in (whole, (four + 2 >> 2).astype(np.uint8)):
                missing = [(0, max(0, size - side)) for side in image.shape[1:]]
                part.append(np.pad(image, [(0, 0), *missing], mode="symmetric"))
    return parts


class SceneDataset(Dataset):
    """Scenes made when they are asked for, each from its own random numbers: in any order, in any worker."""

    def __init__(
        self,
        size: int,
        count: int,
        photos: list[np.ndarray],
        key: tuple[int, ...],
        normalize: v2.Transform,
        backgrounds: int | None = None,
    ):
        """
        Args:
            size: S.
            count: how many scenes.
            photos: uint8 (3, H, W), none smaller than S.
            key: datasets with the same one hold the same scenes.
            normalize: of float images (3, S, S).
            backgrounds: so many backgrounds, which scenes take in turn; None: each scene has its own.
        """
        self.size, self.count, self.photos, self.key = size, count, photos, key
        self.normalize, self.backgrounds = normalize, backgrounds

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Scene:
        """The scene of this index; negative counts from the end. Raises: IndexError beyond either end."""
        if not -self.count <= index < self.count:
            raise IndexError(f"there is no scene {index}: this part has {self.count}, counted from 0")
        index %= self.count
        draw, background = _Draw(*self.key, index), None
        if self.backgrounds is not None:
            background = _Draw(*self.key, index % self.backgrounds, 1)  # longer than the key of any scene
        parts = _generate(draw, self.photos, self.size, background)
        image, instances, boxes, labels = map(torch.from_numpy, parts)
        instances = instances.long()
        presence = torch.zeros(len(_SHAPES))
        presence[labels - 1] = 1
        mask = torch.cat([torch.zeros(1, dtype=torch.int64), labels])[instances]
        return Scene(self.normalize(image.float() / 255), presence, boxes, labels, mask, instances)


class Scenes(SplitData):
    """Shapes on photographs: up to four objects a scene, with class, box and pixel mask for each.

        scenes = Scenes()
        scenes.setup()
        scene = scenes.train[0]      # a Scene: image, presence, boxes, labels, mask, instances
        scenes.train_dataloader()    # gives SceneBatch: image, presence, targets, mask

    Six classes: circle, square, triangle, star, ring, cross, with labels 1 to 6; label 0 is background, which
    makes seven classes in the mask. Sizes, angles and places are random, and objects cover one another. An
    object of which less than about half would be seen is left out altogether. About one scene in sixteen
    shows nothing but background: presence is all zero and boxes has shape (0, 4).

    What covers an object or the background is a random crop of a photo, shifted to a random mean colour. All
    are dealt alike, so that only the outline tells what a thing is, and whether it is one. Photos are cut in
    two: the training scenes use the left three fifths, val and test the right two fifths.

    `setup()` makes `train`, `val` and `test`: datasets of Scene that generate a scene whenever it is asked
    for, at 96 pixels in less than a millisecond. Scene i is the same whatever the count, the batches and the
    order; the same options give the same bytes everywhere. Another image_size gives other scenes, not the
    same ones larger.

    Source: the code in this file; the photographs, their authors and licences are those of `Photos`.
    """

    class_names: ClassVar[tuple[str, ...]] = _SHAPES  # label - 1 is the index
    mask_names: ClassVar[tuple[str, ...]] = ("background", *_SHAPES)  # the label is the index
    collate = staticmethod(collate)

    def __init__(
        self,
        image_size: int = 96,
        count: int = 1600,
        val_count: int = 200,
        test_count: int = 400,
        batch_size: int = 16,
        mean: Statistic = None,
        std: Statistic = None,
        seed: int = 0,
        backgrounds: int | None = None,
    ):
        """
        Args:
            image_size: side in pixels, 64 to 224.
            count, val_count, test_count: scenes in train, val and test.
            batch_size: scenes per batch.
            mean, std: one number or one per channel, for images in [0, 1].
            seed: the same seed gives the same scenes, and the same order of training batches.
            backgrounds: the training scenes stand in turn on this many backgrounds, each always the same to
                the pixel; None: each on its own. val and test always have their own.
        Raises:
            ValueError: for an option that makes no sense, saying why.
        """
        super().__init__()
        if not _SMALLEST <= image_size <= _LARGEST:
            raise ValueError(
                f"image_size={image_size} is not possible: scenes are {_SMALLEST} to {_LARGEST} pixels wide, "
                "large enough to recognize the shapes and small enough for the photos"
            )
        check_positive(count=count, val_count=val_count, test_count=test_count, batch_size=batch_size)
        if backgrounds is not None:
            check_positive(backgrounds=backgrounds)
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed={seed} is not possible: it must be at least 0 and below 2**32")
        self.image_size, self.batch_size, self.seed = image_size, batch_size, seed
        self.counts, self.backgrounds = (count, val_count, test_count), backgrounds
        self.normalize = normalization(mean, std, channels=3)

    def setup(self, stage: str | None = None) -> None:
        """Make train, val and test; `stage` is Lightning's and all stages need the same."""
        seen, held_back = _photo_parts(self.image_size)
        kinds = zip(self.counts, (seen, held_back, held_back), (self.backgrounds, None, None), strict=True)
        self.train, self.val, self.test = (
            SceneDataset(self.image_size, count, photos, (self.seed, part), self.normalize, backgrounds)
            for part, (count, photos, backgrounds) in enumerate(kinds)
        )
