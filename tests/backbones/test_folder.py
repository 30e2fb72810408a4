"""Pictures in a folder: read as laid out, each bad file named at setup, known sets never fetched unasked.

No test needs real files: each makes a tiny folder.
"""

import hashlib
import json
import re
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from backbones import DeepLabV3Plus, Network, create_backbone
from backbones.data import DataFolderError, Folder, OxfordIIITPet, PennFudanPed
from backbones.data.folder import UNLABELED
from backbones.heads import ClassificationHead, Detector
from backbones.tasks import Classification, Detection, MultiLabelClassification, Segmentation, evaluate, fit

pytestmark = pytest.mark.slow  # some of them train


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(values: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def with_masks(folder: Path, count: int = 10) -> Path:
    """Pictures a0 to a9, 60x40, of a square (1) and a bar (2) whose edge nobody has labeled."""
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[10:20, 10:20], mask[30:34], mask[34:36] = 1, 2, UNLABELED
    for number in range(count):
        save(noise(40, 60, number), folder / f"images/a{number}.jpg")
        save(mask, folder / f"masks/a{number}.png")
    return folder


def with_boxes(folder: Path) -> Path:
    """Pictures a0 to a9, 60x40, each with a cat and a dog, but a9 with neither."""
    coco = {
        "categories": [{"id": 90, "name": "dog"}, {"id": 7, "name": "cat"}],
        "images": [{"id": 100 + n, "file_name": f"images/a{n}.jpg"} for n in range(10)],
        "annotations": [
            {"image_id": 100 + number, "category_id": category, "bbox": box}
            for number in range(9)
            for category, box in ((90, [20, 10, 40.5, 20]), (7, [4, -0.5, 2, 6.5]))
        ],
    }
    for number in range(10):
        save(noise(40, 60, number), folder / f"images/a{number}.jpg")
    (folder / "annotations.json").write_text(json.dumps(coco))
    return folder


BREEDS = {"Abyssinian": 1, "american_bulldog": 2, "beagle": 5}


@pytest.fixture
def pets(tmp_path) -> Path:
    """60x40 pictures, 12 Abyssinians, 7 bulldogs and 4 beagles to train, one of each to test."""
    folder = tmp_path / "oxford-iiit-pet"
    trimap = np.full((40, 60), 2, dtype=np.uint8)
    trimap[10:30, 20:50], trimap[12:28, 22:48] = 3, 1
    for part, first, counts in (("trainval", 1, (12, 7, 4)), ("test", 101, (1, 1, 1))):
        lines = []
        for (breed, label), count in zip(BREEDS.items(), counts, strict=True):
            for number in range(first, first + count):
                save(noise(40, 60, number), folder / f"images/{breed}_{number}.jpg")
                save(trimap, folder / f"annotations/trimaps/{breed}_{number}.png")
                lines.append(f"{breed}_{number} {label} 1 1\n")
        (folder / f"annotations/{part}.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def people(tmp_path) -> Path:
    """64x80 pictures of two people: eight from Fudan, five from Penn."""
    folder = tmp_path / "PennFudanPed"
    mask = np.zeros((80, 64), dtype=np.uint8)
    mask[10:50, 8:24] = 1
    mask[20:70, 16:40] = 3  # in front of the other; numbers need not be without gaps
    for campus, count in (("FudanPed", 8), ("PennPed", 5)):
        for number in range(1, count + 1):
            save(noise(80, 64, number), folder / f"PNGImages/{campus}{number:05}.png")
            save(mask, folder / f"PedMasks/{campus}{number:05}_mask.png")
    return folder


def ready(kind: type, folder: Path, **options):
    data = kind(folder, **options)
    data.setup()
    return data


def parts(data) -> list[list[str]]:
    """The names of the pictures in train, val and test."""
    return [[example.picture.stem for example in part.examples] for part in (data.train, data.val, data.test)]


def scene(data, name: str):
    """The picture of this name, in whichever part it is."""
    (example,) = (e for p in (data.train, data.val, data.test) for e in p.examples if e.picture.stem == name)
    return data.read(example)


def edit(change):
    """Change annotations.json by a function of what it contains."""

    def rewrite(folder: Path) -> None:
        coco = json.loads((folder / "annotations.json").read_text())
        change(coco)
        (folder / "annotations.json").write_text(json.dumps(coco))

    return rewrite


def refused(kind: type, folder: Path, *sentences: str, **options) -> None:
    """setup() names just these files, in this order, each with a pattern for what is wrong."""
    with pytest.raises(DataFolderError) as caught:
        ready(kind, folder, **options)
    start, *lines = str(caught.value).replace(f"{folder}/", "").split("\n")
    assert start == f"{kind.__name__} cannot use {str(folder)!r}:"
    assert len(lines) == len(sentences), lines
    for sentence, line in zip(sentences, lines, strict=True):
        assert re.match(sentence, line)


def absent(kind: type, folder: Path, why: str, **options) -> None:
    """setup() says why the set is not there and what to do, with a network and without."""
    advice = ".* download=True fetches it.* without one, use Scenes"
    with pytest.raises(DataFolderError, match=f"holds no {kind.__name__}, and none was .*{why}{advice}"):
        ready(kind, folder, **options)


# ---- Your own pictures ---------------------------------------------------------------------------


def test_masks_keep_their_labels_and_what_is_filled_up_does_not_count(tmp_path):
    data = ready(Folder, with_masks(tmp_path), image_size=30, batch_size=4)
    item = scene(data, "a3")
    # 40x60 becomes 20x30: half of each coordinate.
    expected = torch.zeros(30, 30, dtype=torch.int64)
    expected[5:10, 5:10], expected[15:17], expected[17:18], expected[20:] = 1, 2, UNLABELED, UNLABELED
    assert torch.equal(item.mask, expected)
    assert (item.image.shape, item.image.dtype) == ((3, 30, 30), torch.float32)
    assert not item.image[:, 20:].any()
    assert item.image[:, :20].min() >= 0
    assert 0.3 < item.image[:, :20].mean() < 0.7
    assert (item.presence.tolist(), item.boxes) == ([1, 1], None)
    assert data.mask_names == ("background", "class 1", "class 2")
    assert data.class_names == ("class 1", "class 2")
    batch = next(iter(data.train_dataloader()))
    assert (batch.image.shape, batch.presence.shape) == ((4, 3, 30, 30), (4, 2))
    assert (batch.mask.shape, batch.targets) == ((4, 30, 30), None)


def test_boxes_are_scaled_and_categories_numbered_in_the_order_of_their_ids(tmp_path):
    data = ready(Folder, with_boxes(tmp_path), image_size=30, batch_size=2)
    assert data.mask_names == ("background", "cat", "dog")
    item = scene(data, "a3")
    # Each box reaches half a pixel beyond the picture, as rounding makes them, and is cut there.
    assert item.boxes.tolist() == [[10, 5, 30, 15], [2, 0, 3, 3]]
    assert item.boxes.dtype == torch.float32
    assert (item.labels.tolist(), item.presence.tolist()) == ([2, 1], [1, 1])
    empty = scene(data, "a9")
    assert (empty.boxes.shape, empty.labels.dtype, empty.presence.tolist()) == ((0, 4), torch.int64, [0, 0])
    batch = next(iter(data.train_dataloader()))
    assert batch.mask is None
    assert sorted(len(target["boxes"]) for target in batch.targets) in ([0, 2], [2, 2])


def test_high_pictures_are_filled_up_at_the_right(tmp_path):
    """41x60 to 20x30, where 20.5 is rounded: boxes are scaled as the picture is, in each direction."""
    with_boxes(tmp_path)
    save(noise(60, 41, 0), tmp_path / "images/a0.jpg")
    edit(lambda coco: coco["annotations"].pop(0))(tmp_path)
    item = scene(ready(Folder, tmp_path, image_size=30), "a0")
    torch.testing.assert_close(item.boxes, torch.tensor([[4 * 20 / 41, 0, 6 * 20 / 41, 3]]))
    assert not item.image[:, :, 20:].any()
    assert item.image[:, :, :20].any(dim=0).all()


def test_crowds_are_left_out_and_masks_and_boxes_go_together(tmp_path):
    with_masks(with_boxes(tmp_path))
    edit(lambda coco: [note.update(iscrowd=1) for note in coco["annotations"][::2]])(tmp_path)
    data = ready(Folder, tmp_path)
    item = scene(data, "a0")
    assert (item.labels.tolist(), item.presence.tolist()) == ([1], [1, 0])
    assert item.mask.unique().tolist() == [0, 1, 2, UNLABELED]
    batch = next(iter(data.train_dataloader()))
    assert (len(batch.targets), len(batch.mask)) == (7, 7)


@pytest.mark.parametrize("orientation", [2, 3, 6])
def test_photographs_are_turned_upright(tmp_path, orientation):
    with_masks(tmp_path)
    upright = noise(40, 60, 5)
    stored = {2: np.fliplr(upright), 3: np.rot90(upright, 2), 6: np.rot90(upright)}[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    (tmp_path / "images/a3.jpg").unlink()
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "images/a3.png", exif=exif)
    item = scene(ready(Folder, tmp_path, image_size=60), "a3")
    assert np.array_equal((item.image * 255).round().movedim(0, -1)[:40].numpy(), upright)
    if orientation == 6:  # a mask that was drawn on the picture as it is stored
        save(np.zeros((60, 40), np.uint8), tmp_path / "masks/a3.png")
        refused(Folder, tmp_path, r"masks/a3\.png has 40x60 pixels, but its picture, upright, 60x40")


GRAY = np.arange(0, 240, 4, dtype=np.uint8) * np.ones((40, 1), np.uint8)


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        (Image.fromarray(GRAY), "a3.bmp"),
        (Image.fromarray(GRAY).convert("RGBA"), "a3.PNG"),
        (Image.fromarray(GRAY).convert("P"), "a3.gif"),
        (Image.fromarray(GRAY).convert("RGB").convert("CMYK"), "a3.tiff"),
        (Image.fromarray(GRAY.astype(np.uint16) * 257), "a3.png"),
        (Image.fromarray(GRAY.astype(np.int32) * 257), "a3.tif"),
    ],
    ids=lambda value: getattr(value, "mode", value),
)
def test_pictures_of_any_kind_become_rgb(tmp_path, picture, name):
    with_masks(tmp_path)
    (tmp_path / "images/a3.jpg").unlink()
    picture.save(tmp_path / "images" / name)
    item = scene(ready(Folder, tmp_path, image_size=60), "a3")
    for channel in item.image[:, :40]:
        assert np.array_equal((channel * 255).round().numpy(), GRAY)


def test_palette_and_one_bit_masks_keep_their_numbers(tmp_path):
    with_masks(tmp_path)
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[:20] = 1
    Image.fromarray(mask > 0).save(tmp_path / "masks/a1.png")
    palette = Image.fromarray(mask)
    palette.putpalette([9, 9, 9, 200, 0, 100])
    palette.save(tmp_path / "masks/a2.png")
    assert [Image.open(tmp_path / f"masks/a{n}.png").mode for n in (1, 2)] == ["1", "P"]
    data = ready(Folder, tmp_path, image_size=60)
    for name in ("a1", "a2"):
        assert torch.equal(scene(data, name).mask[:40], torch.from_numpy(mask).long())


def test_images_are_normalized_before_they_are_filled_up(tmp_path):
    plain = scene(ready(Folder, with_masks(tmp_path), image_size=30), "a3").image[:, :20]
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    normal = scene(ready(Folder, tmp_path, image_size=30, mean=mean, std=std), "a3").image
    expected = (plain - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(normal[:, :20], expected)
    assert not normal[:, 20:].any()


def test_the_division_is_always_the_same_and_folders_overrule_it(tmp_path):
    first = parts(ready(Folder, with_masks(tmp_path / "one"), seed=3))
    assert first[1:] == [["a8"], ["a3", "a1"]], "on every machine"
    assert sorted(chain(*first)) == [f"a{number}" for number in range(10)]
    assert parts(ready(Folder, with_boxes(tmp_path / "two"), image_size=20)) == first
    for number, part in enumerate(("train", "val", "test"), 1):
        with_masks(tmp_path / "three" / part, count=number)
    assert parts(ready(Folder, tmp_path / "three")) == [["a0"], ["a0", "a1"], ["a0", "a1", "a2"]]


def test_what_systems_hide_in_folders_is_ignored(tmp_path, people):
    for folder in (with_masks(tmp_path / "own"), people):
        for path in list(folder.glob("*/*.*g")):
            path.with_name("._" + path.name).write_bytes(b"\0\5\26\7")
            for litter in (".DS_Store", "Thumbs.db", "desktop.ini"):
                (path.parent / litter).write_bytes(b"\0")
    assert [len(part) for part in parts(ready(Folder, tmp_path / "own"))] == [7, 1, 2]
    assert [len(part) for part in parts(ready(PennFudanPed, people))] == [9, 2, 2]


def test_lightning_reads_a_folder_once_and_a_learner_as_often_as_wanted(tmp_path):
    data = Folder(with_masks(tmp_path))
    with pytest.raises(AttributeError, match=r"Folder has no \.mask_names yet: call setup\(\) first"):
        data.mask_names  # noqa: B018
    data.setup("fit")
    (tmp_path / "images/a0.jpg").unlink()
    data.setup("test")
    with pytest.raises(DataFolderError, match=r"images/a0\.jpg is missing: add it"):
        scene(data, "a0")
    with pytest.raises(DataFolderError, match=r"masks/a0\.png has no picture of the same name: add it"):
        data.setup()
    (tmp_path / "masks/a0.png").unlink()
    data.setup()
    assert sorted(chain(*parts(data))) == [f"a{number}" for number in range(1, 10)]


# ---- All tasks -----------------------------------------------------------------------------------


def check_training(task, data, metric: str) -> None:
    before = [parameter.clone() for parameter in task.network.head.parameters()]
    (history,) = fit(task, data, epochs=1)
    assert np.isfinite(history["train_loss"])
    assert 0 <= evaluate(task, data)[f"test_{metric}"] <= 1
    assert any((a != b).any() for a, b in zip(before, task.network.head.parameters(), strict=True))


def test_own_pictures_train_every_task_that_they_have_answers_for(tmp_path):
    masks = Folder(with_masks(tmp_path / "masks"), image_size=64, batch_size=4)
    boxes = Folder(with_boxes(tmp_path / "boxes"), image_size=64, batch_size=4)
    backbone = create_backbone("test_resnet", output_stride=16)
    segment = Segmentation(DeepLabV3Plus(backbone, num_classes=3), num_classes=3)
    detect = Detection(Detector(create_backbone("test_resnet"), num_classes=3))
    tag = MultiLabelClassification(Network(backbone, ClassificationHead(backbone.channels, 2)), num_classes=2)
    check_training(segment, masks, "miou")
    check_training(detect, boxes, "map50")
    check_training(tag, boxes, "f1")
    with pytest.raises(TypeError, match=r"\(inputs, targets\), these have: image, presence, mask$"):
        fit(detect, masks, epochs=1)
    with pytest.raises(TypeError, match=r"\(inputs, mask\), these have: image, presence, targets$"):
        fit(segment, boxes, epochs=1)


def test_known_sets_train_their_tasks(people, pets):
    backbone = create_backbone("test_efficientnet")
    classify = Classification(Network(backbone, ClassificationHead(backbone.channels, 37)), num_classes=37)
    check_training(classify, OxfordIIITPet(pets, image_size=64, batch_size=8), "accuracy")
    detect = Detection(Detector(backbone, num_classes=2))
    check_training(detect, PennFudanPed(people, image_size=64, batch_size=3), "map50")


# ---- What can be wrong with your own pictures -------------------------------------------------------


def drop(path: str):
    def remove(folder: Path) -> None:
        target = folder / path
        target.unlink() if target.is_file() else shutil.rmtree(target)

    return remove


def cut(path: str, share: float = 0.5):
    def shorten(folder: Path) -> None:
        whole = (folder / path).read_bytes()
        (folder / path).write_bytes(whole[: int(len(whole) * share)])

    return shorten


@pytest.mark.parametrize(
    ("damage", "sentences"),
    [
        (drop("."), ["images is missing or empty", "masks is missing, and so is annotations.json"]),
        (drop("images/a3.jpg"), [r"masks/a3\.png has no picture of the same name: add it"]),
        (drop("masks/a3.png"), [r"masks/a3\.png is missing: add it"]),
        (lambda folder: save(noise(3, 3, 0), folder / "images/a3.png"),
         [r"images/a3\.png and a3\.jpg have one name", r"masks/a3\.png has 60x40 pixels, .* 3x3"]),
        (cut("images/a3.jpg", 0), [r"images/a3\.jpg is cut short or no picture \(Unidentified.* save it"]),
        (cut("images/a3.jpg"), [r"images/a3\.jpg is cut short or no picture \(OSError"]),
        (cut("images/a3.jpg", 0.99), [r"images/a3\.jpg is cut short"]),
        (cut("masks/a3.png"), [r"masks/a3\.png is cut short"]),
        (lambda folder: save(GRAY.T, folder / "masks/a3.png"), [r"masks/a3\.png has 40x60 pixels, .* 60x40"]),
        (lambda folder: Image.fromarray(GRAY).save(folder / "masks/a3.png", "JPEG"),
         [r"masks/a3\.png is JPEG, L, no mask"]),
        (lambda folder: save(noise(4, 4, 0), folder / "images/more/b.png"), [r"images/more is no file"]),
        (lambda folder: (folder / "images/b.png").symlink_to("gone"),
         [r"images/b\.png is no file"]),
        (lambda folder: save(np.ones((40, 60), np.float32), folder / "images/b.tif"),
         [r"images/b\.tif holds fractions, .* white is 255"]),
        (lambda folder: shutil.move(folder / "images", folder / "val/images"), [
            "test/images is missing", "test/masks is missing, and so is annotations.json",
            "train/images is missing", "train/masks is missing", "val/masks is missing",
        ]),
    ],
)  # fmt: skip
def test_bad_pictures_and_masks_are_named(tmp_path, damage, sentences):
    damage(with_masks(tmp_path / "own"))
    refused(Folder, tmp_path / "own", *sentences)


def no_coco(change):
    return edit(change), r"annotations\.json is not as COCO .*: expected images \(id, file_name\)"


def no_box(*values: float):
    change = edit(lambda coco: coco["annotations"][0].update(bbox=values))
    return change, r"images/a0\.jpg has a box .*: expected x, y, width, height in pixels.* 60x40"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut("annotations.json"), r"annotations\.json is not as COCO .*\(JSONDecodeError"),
        no_coco(lambda coco: coco.pop("categories")),
        no_coco(lambda coco: coco.update(images=5)),
        no_coco(lambda coco: coco["annotations"][0].pop("bbox")),
        no_coco(lambda coco: coco["annotations"][0].update(bbox=[1, 2, 3])),
        no_coco(lambda coco: coco["annotations"][0].update(image_id=5)),
        no_coco(lambda coco: coco["annotations"][0].update(category_id=5)),
        (edit(lambda coco: coco["images"].pop()), r"images/a9\.jpg is not in annotations\.json: list it"),
        (drop("images/a3.jpg"), r"images/a3\.jpg is missing: add it"),
        (cut("images/a3.jpg"), r"images/a3\.jpg is cut short"),
        no_box(0.1, 0.2, 0.5, 0.5),
        no_box(5, 5, 0, 9),
        no_box(5, 5, 9, -1),
        no_box(50, 5, 12, 5),
        no_box(5, 30, 5, 12),
        no_box(-2, 5, 9, 9),
        no_box(60, 5, 1, 5),
        no_box(-1, 5, 1, 5),
        no_box(float("nan"), 5, 9, 9),
        no_box(5, 5, 9, float("inf")),
    ],
)
def test_bad_boxes_are_named(tmp_path, damage, sentence):
    damage(with_boxes(tmp_path / "own"))
    refused(Folder, tmp_path / "own", sentence)


def test_parts_must_have_the_same_classes(tmp_path):
    for part in ("train", "val", "test"):
        with_boxes(tmp_path / part)
    edit(lambda coco: coco["categories"][0].update(name="wolf"))(tmp_path / "test")
    sentence = (
        r"test/annotations\.json has classes \('cat', 'wolf'\), but elsewhere they are \('cat', 'dog'\)"
    )
    refused(Folder, tmp_path, sentence)


def test_a_mask_with_labels_in_between_is_refused(tmp_path):
    """Smoothly resized, the border between 0 and 40 has everything between them."""
    with_masks(tmp_path)
    path = sorted((tmp_path / "masks").iterdir())[0]
    labels = np.asarray(Image.open(path)).copy()
    labels[0, 0] = 40
    save(labels, path)
    refused(Folder, tmp_path, r"no mask has label \d+, but one has 40: number classes without gaps")


def test_masks_of_0_and_255_and_of_colors_are_refused_and_the_advice_helps(tmp_path):
    with_masks(tmp_path)
    for path in (tmp_path / "masks").iterdir():
        save((np.asarray(Image.open(path)) == 1).astype(np.uint8) * 255, path)
    refused(
        Folder, tmp_path, "masks contain only 0 and 255, the first class is 1: save `mask // 255` instead"
    )
    for path in (tmp_path / "masks").iterdir():
        save(np.asarray(Image.open(path)) // 255, path)
    assert ready(Folder, tmp_path).mask_names == ("background", "class 1")
    labels = np.ones((40, 60), np.uint8)
    save(np.stack([labels] * 3, axis=-1), tmp_path / "masks/a3.png")
    refused(Folder, tmp_path, r"masks/a3\.png is PNG, RGB, no mask: save PIL\.Image\.fromarray\(labels\)")
    Image.fromarray(labels).save(tmp_path / "masks/a3.png")
    ready(Folder, tmp_path)


def test_a_picture_too_large_to_be_opened_safely_is_no_damaged_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60 // 2 - 1)  # Pillow refuses more than twice that
    sentence = r"(images|masks)/a\d\.\w+ is too large to be opened safely: cut it into tiles"
    refused(Folder, with_masks(tmp_path), *[sentence] * 10)


def test_an_accent_is_one_name_in_either_of_its_spellings(tmp_path):
    with_masks(tmp_path)
    (tmp_path / "images/a3.jpg").rename(tmp_path / "images/caf\u00e9.jpg")
    (tmp_path / "masks/a3.png").rename(tmp_path / "masks/cafe\u0301.png")
    assert len(ready(Folder, tmp_path).train) == 7


def test_ten_bad_files_are_named_and_the_others_counted(tmp_path):
    with_masks(tmp_path, count=13)
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(b"")
    refused(Folder, tmp_path, *[r"masks/a\d+\.png is cut short"] * 10, "and 3 more$")


def test_too_few_pictures_are_refused_and_three_are_enough(tmp_path):
    refused(Folder, with_masks(tmp_path / "two", count=2), "2 pictures are too few for train, val and test")
    assert [len(part) for part in parts(ready(Folder, with_masks(tmp_path / "three", count=3)))] == [1, 1, 1]


# ---- Known sets ----------------------------------------------------------------------------------


def test_a_pet_is_image_breed_and_mask(pets):
    data = ready(OxfordIIITPet, pets, image_size=30)
    names = parts(data)
    assert [len(part) for part in names] == [21, 2, 3]
    assert names[1] == ["Abyssinian_10", "beagle_1"], "every tenth of the authors' list"
    assert names[2] == ["Abyssinian_101", "american_bulldog_101", "beagle_101"]
    assert len({name for part in names for name in part}) == 26, "no picture is in two parts"
    pet = data.train[-1]
    assert (pet.label.item(), pet.label.dtype, pet.label.shape) == (4, torch.int64, ())
    assert data.class_names[:2] == ("Abyssinian", "American Bulldog")
    expected = torch.zeros(30, 30, dtype=torch.int64)
    expected[5:15, 10:25], expected[6:14, 11:24], expected[20:] = UNLABELED, 1, UNLABELED
    assert torch.equal(pet.mask, expected)
    batch = next(iter(data.train_dataloader()))
    assert (batch.image.shape, batch.label.shape, batch.mask.shape) == ((16, 3, 30, 30), (16,), (16, 30, 30))


def test_a_pedestrian_scene_says_the_same_in_box_and_mask(people):
    item = ready(PennFudanPed, people, image_size=40).train[0]
    assert (item.presence.tolist(), item.labels.tolist()) == ([1], [1, 1])
    # 80x64 becomes 40x32, and half of each coordinate remains.
    assert item.boxes.tolist() == [[4, 5, 12, 25], [8, 10, 20, 35]]
    assert item.boxes.dtype == torch.float32
    expected = torch.zeros(40, 40, dtype=torch.int64)
    expected[5:25, 4:12], expected[10:35, 8:20], expected[:, 32:] = 1, 1, UNLABELED
    assert torch.equal(item.mask, expected)


def test_whoever_vanishes_at_a_small_size_is_in_no_answer(people):
    mask = np.zeros((80, 64), dtype=np.uint8)
    mask[0, 0], mask[20:70, 16:40] = 1, 2
    for boxes in (1, 0):
        save(mask, people / "PedMasks/FudanPed00001_mask.png")
        item = ready(PennFudanPed, people, image_size=10).train[0]
        assert (item.boxes.shape, len(item.labels)) == ((boxes, 4), boxes)
        assert (item.presence.tolist(), (item.mask == 1).any()) == ([boxes], boxes)
        mask[20:70, 16:40] = 0


def test_parts_of_the_pedestrians_are_runs_of_each_campus(people):
    names = [" ".join(part).replace("Ped0000", "") for part in parts(ready(PennFudanPed, people.parent))]
    assert names == [
        "Fudan1 Fudan2 Fudan3 Fudan4 Fudan5 Fudan6 Penn1 Penn2 Penn3", "Fudan7 Penn4", "Fudan8 Penn5"
    ]  # fmt: skip


def test_a_half_unpacked_set_is_refused(people):
    lost = ["PNGImages/PennPed00003.png", "PNGImages/PennPed00004.png", "PedMasks/FudanPed00001_mask.png"]
    for path in lost:
        (people / path).unlink()
    refused(PennFudanPed, people, *(f"{path} is missing: add it" for path in lost))
    refused(PennFudanPed, people.parent, *(f"PennFudanPed/{path} is missing: add it" for path in lost))
    shutil.rmtree(people / "PNGImages")
    refused(PennFudanPed, people, "PNGImages is missing", *[r".*\.png is missing"] * 9, "and 3 more")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (drop("images/beagle_2.jpg"), r"images/beagle_2\.jpg is missing"),
        (cut("annotations/trimaps/beagle_2.png"), r"annotations/trimaps/beagle_2\.png is cut short"),
    ],
)
def test_broken_pets_are_named(pets, damage, sentence):
    damage(pets)
    refused(OxfordIIITPet, pets, sentence)
    (pets / "annotations/test.txt").unlink()
    absent(OxfordIIITPet, pets, r"test\.txt")


def test_an_error_comes_through_training_as_it_is(people):
    cut("PNGImages/PennPed00002.png", 0.7)(people)
    task = Detection(Detector(create_backbone("test_efficientnet"), num_classes=2))
    with pytest.raises(
        DataFolderError, match=r"(?s)^PennFudanPed cannot use .*PennPed00002\.png is cut short"
    ):
        fit(task, PennFudanPed(people, image_size=32), epochs=1)


def test_nothing_is_fetched_unasked_and_without_a_network_the_twin_is_named(tmp_path):
    """The tests are cut off from the network (see conftest.py)."""
    absent(PennFudanPed, tmp_path / "no", "PennFudanPed is missing")
    absent(OxfordIIITPet, tmp_path / "no", "Dataset not found")
    for kind in (PennFudanPed, OxfordIIITPet):
        absent(kind, tmp_path / "new", "unplugged", download=True)


def test_pedestrians_are_downloaded_once_checked_and_unpacked(people, tmp_path, monkeypatch):
    archive = Path(shutil.make_archive(str(tmp_path / "offered"), "zip", people.parent, people.name))
    monkeypatch.setattr(PennFudanPed, "url", archive.as_uri())
    target = tmp_path / "new" / "folder"
    absent(PennFudanPed, target, "invalid hash value", download=True)
    assert not list(target.iterdir()), "what is not what it should be is not unpacked"
    monkeypatch.setattr(PennFudanPed, "sha256", hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(ready(PennFudanPed, target, download=True).train) == 9
    assert [path.name for path in target.iterdir()] == ["PennFudanPed"], "the archive is gone"
    archive.unlink()
    ready(PennFudanPed, target, download=True)
