"""Real data sets from a folder: read as laid out, refused in words when broken, never fetched unasked.

No test needs the real files: each makes a tiny folder of the same layout.
"""

import hashlib
import re
import shutil
import tarfile
import threading
import urllib.request
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from backbones import Network, create_backbone
from backbones.data import DataFolderError, OxfordIIITPet, PennFudanPed, pedestrians
from backbones.data.folders import UNLABELED
from backbones.heads import ClassificationHead, Detector, SegmentationHead, SegmentationNetwork
from backbones.tasks import IGNORE, Classification, Detection, Segmentation, evaluate, fit

BREEDS = {"Abyssinian": 1, "beagle": 5, "yorkshire_terrier": 37}


def picture(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(values: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def pets(tmp_path) -> Path:
    """40x60 pictures, 12 Abyssinians, 4 beagles and 1 terrier to train, one of each to test."""
    folder = tmp_path / "oxford-iiit-pet"
    lists = {
        "trainval": {"Abyssinian": 12, "beagle": 4, "yorkshire_terrier": 1},
        "test": dict.fromkeys(BREEDS, 1),
    }
    for offset, (part, breeds) in enumerate(lists.items()):
        lines = []
        for breed, count in breeds.items():
            for number in range(100 * offset + 1, 100 * offset + count + 1):
                trimap = np.full((40, 60), 2, dtype=np.uint8)
                trimap[10:30, 20:50] = 3
                trimap[12:28, 22:48] = 1
                save(picture(40, 60, number), folder / f"images/{breed}_{number}.jpg")
                save(trimap, folder / f"annotations/trimaps/{breed}_{number}.png")
                lines.append(f"{breed}_{number} {BREEDS[breed]} 1 1")
        (folder / f"annotations/{part}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def people(tmp_path) -> Path:
    """80x64 pictures of two people: eight from Fudan, five from Penn."""
    folder = tmp_path / "PennFudanPed"
    for campus, count in (("FudanPed", 8), ("PennPed", 5)):
        for number in range(1, count + 1):
            mask = np.zeros((80, 64), dtype=np.uint8)
            mask[10:50, 8:24] = 1
            mask[20:70, 16:40] = 3  # in front of the other; numbers need not be without gaps
            save(picture(80, 64, number), folder / f"PNGImages/{campus}{number:05}.png")
            save(mask, folder / f"PedMasks/{campus}{number:05}_mask.png")
    return folder


def ready(kind: type, folder: Path, **options):
    data = kind(folder, **options)
    data.setup()
    return data


# ---- What they hold ------------------------------------------------------------------------------


def test_a_pet_is_image_breed_and_mask(pets):
    data = ready(OxfordIIITPet, pets, image_size=30)
    names = [[name for name, _ in part.pets] for part in (data.train, data.val, data.test)]
    assert [len(part) for part in names] == [15, 2, 3]
    assert len({name for part in names for name in part}) == 20, "no picture is in two parts"
    breeds = [
        [data.class_names[int(pet.label)] for pet in part] for part in (data.train, data.val, data.test)
    ]
    assert breeds[0] == ["Abyssinian"] * 11 + ["beagle"] * 3 + ["yorkshire_terrier"]
    assert breeds[1] == ["Abyssinian", "beagle"], "a tenth of each breed, at least one, but never the last"
    assert breeds[2] == ["Abyssinian", "beagle", "yorkshire_terrier"]
    pet = data.train[0]
    assert (pet.image.shape, pet.image.dtype) == ((3, 30, 30), torch.float32)
    assert (pet.label.shape, pet.label.dtype) == ((), torch.int64)
    assert (pet.mask.shape, pet.mask.dtype) == ((30, 30), torch.int64)
    # 40x60 becomes 20x30; what is below was filled up.
    assert (pet.image[:, 20:] == 0).all()
    assert 0 <= pet.image.min() < 0.5 < pet.image.max() <= 1
    expected = torch.zeros(30, 30, dtype=torch.int64)
    expected[5:15, 10:25] = UNLABELED
    expected[6:14, 11:24] = 1
    expected[20:] = UNLABELED
    assert torch.equal(pet.mask, expected)
    assert UNLABELED == IGNORE


def test_there_are_37_breeds_and_cats_have_a_capital():
    names = OxfordIIITPet.class_names
    assert len(set(names)) == 37
    assert sum(name[0].isupper() for name in names) == 12
    assert list(names) == sorted(names, key=str.lower), "the authors count them in this order"


def test_the_split_never_changes(pets):
    first, again = ready(OxfordIIITPet, pets), ready(OxfordIIITPet, pets, seed=5, image_size=20)
    assert first.val.pets == again.val.pets
    first.setup("fit")
    assert first.val.pets == again.val.pets


def test_a_pedestrian_scene_says_the_same_in_box_mask_and_instances(people):
    data = ready(PennFudanPed, people, image_size=40)
    scene = data.train[0]
    assert scene.image.shape == (3, 40, 40)
    assert scene.presence.tolist() == [1.0]
    assert scene.labels.tolist() == [1, 1]
    # 80x64 becomes 40x32, and half of each coordinate remains.
    assert scene.boxes.tolist() == [[4, 5, 12, 25], [8, 10, 20, 35]]
    assert scene.boxes.dtype == torch.float32
    for number, (left, top, right, bottom) in enumerate(scene.boxes.int().tolist(), 1):
        y, x = (scene.instances == number).nonzero(as_tuple=True)
        assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == (left, top, right, bottom)
    assert torch.equal(scene.mask[:, :32], (scene.instances[:, :32] > 0).long())
    assert (scene.mask[:, 32:] == UNLABELED).all()
    assert not scene.instances[:, 32:].any()
    assert not scene.image[:, :, 32:].any()


def test_parts_of_the_pedestrians_are_runs_of_each_campus(people):
    data = ready(PennFudanPed, people)
    numbers = [[name.replace("Ped0000", "") for name in p.names] for p in (data.train, data.val, data.test)]
    assert numbers == [
        ["Fudan1", "Fudan2", "Fudan3", "Fudan4", "Fudan5", "Fudan6", "Penn1", "Penn2", "Penn3"],
        ["Fudan7", "Penn4"],
        ["Fudan8", "Penn5"],
    ]


def test_the_real_counts_split_as_documented(tmp_path):
    """74 pictures from Fudan and 96 from Penn; nothing reads them here."""
    for campus, count in (("FudanPed", 74), ("PennPed", 96)):
        for number in range(1, count + 1):
            for path in (f"PNGImages/{campus}{number:05}.png", f"PedMasks/{campus}{number:05}_mask.png"):
                (tmp_path / path).parent.mkdir(exist_ok=True)
                (tmp_path / path).touch()
    data = ready(PennFudanPed, tmp_path)
    assert [len(part) for part in (data.train, data.val, data.test)] == [53 + 68, 7 + 9, 14 + 19]


def test_whoever_vanishes_at_a_small_size_is_in_no_answer(people):
    mask = np.zeros((80, 64), dtype=np.uint8)
    mask[0, 0], mask[20:70, 16:40] = 1, 2
    save(mask, people / "PedMasks/FudanPed00001_mask.png")
    scene = ready(PennFudanPed, people, image_size=10).train[0]
    assert len(scene.boxes) == len(scene.labels) == 1
    assert scene.instances.unique().tolist() == [0, 1]
    mask[:] = 0
    mask[0, 0] = 1
    save(mask, people / "PedMasks/FudanPed00001_mask.png")
    scene = ready(PennFudanPed, people, image_size=10).train[0]
    assert scene.boxes.shape == (0, 4)
    assert scene.presence.tolist() == [0.0]


@pytest.mark.parametrize("kind", [OxfordIIITPet, PennFudanPed])
def test_the_folder_or_the_one_above_it_and_gray_pictures_do(kind, request):
    folder = request.getfixturevalue("pets" if kind is OxfordIIITPet else "people")
    for path in folder.glob(f"{kind.inside[0]}/*"):
        Image.open(path).convert("L").save(path)
    inside, above = ready(kind, folder, image_size=8), ready(kind, str(folder.parent), image_size=8)
    assert all(torch.equal(a, b) for a, b in zip(inside.test[0], above.test[0], strict=True))
    assert inside.test[0].image.shape == (3, 8, 8)


def test_images_are_normalized_before_they_are_filled_up(pets):
    plain = ready(OxfordIIITPet, pets, image_size=30).test[0].image
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    normal = ready(OxfordIIITPet, pets, image_size=30, mean=mean, std=std).test[0].image
    for channel in range(3):
        expected = (plain[channel, :20] - mean[channel]) / std[channel]
        torch.testing.assert_close(normal[channel, :20], expected)
    assert not normal[:, 20:].any()


# ---- All tasks -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_pets_train_classification_and_segmentation(pets):
    data = ready(OxfordIIITPet, pets, image_size=64, batch_size=8)
    backbone = create_backbone("test_efficientnet")
    classify = Classification(Network(backbone, ClassificationHead(backbone.channels, 37)), num_classes=37)
    segment = Segmentation(
        SegmentationNetwork(backbone, SegmentationHead(backbone.channels, 2)), num_classes=2
    )
    for task, metric in ((classify, "accuracy"), (segment, "miou")):
        before = [p.clone() for p in task.network.head.parameters()]
        (history,) = fit(task, data, epochs=1)
        assert set(history) == {"train_loss", "val_loss", f"train_{metric}", f"val_{metric}"}
        assert all(np.isfinite(value) for value in history.values())
        assert 0 <= evaluate(task, data)[f"test_{metric}"] <= 1
        assert not any(torch.equal(a, b) for a, b in zip(before, task.network.head.parameters(), strict=True))


@pytest.mark.slow
def test_pedestrians_train_detection_and_segmentation(people):
    data = ready(PennFudanPed, people, image_size=64, batch_size=3)
    backbone = create_backbone("test_efficientnet")
    detect = Detection(Detector(backbone, num_classes=2))
    segment = Segmentation(
        SegmentationNetwork(backbone, SegmentationHead(backbone.channels, 2)), num_classes=2
    )
    for task, metric in ((detect, "map50"), (segment, "miou")):
        (history,) = fit(task, data, epochs=1)
        assert np.isfinite(history["train_loss"])
        assert history["train_loss"] >= 0
        assert 0 <= evaluate(task, data)[f"test_{metric}"] <= 1


class Answers(nn.Module):
    """Gives what it was told, whatever the image."""

    def __init__(self, answers: list) -> None:
        super().__init__()
        self.backbone, self.answers = nn.Identity(), answers

    def forward(self, images):
        return self.answers[: len(images)]


def test_what_was_filled_up_does_not_count_and_the_right_answer_is_perfect(people, pets):
    data = ready(PennFudanPed, people, image_size=64, batch_size=9)
    truth = [dict(b, scores=torch.ones(len(b["labels"]))) for b in next(iter(data.test_dataloader())).targets]
    assert evaluate(Detection(Answers(truth)), data)["test_map"] == pytest.approx(1)
    data = ready(OxfordIIITPet, pets, image_size=30, batch_size=9)
    masks = next(iter(data.test_dataloader())).mask
    logits = nn.functional.one_hot(masks.where(masks != UNLABELED, 1), 2).movedim(-1, 1) * 20.0
    assert evaluate(Segmentation(Answers(logits), num_classes=2), data)["test_miou"] == 1


# ---- What can be wrong ---------------------------------------------------------------------------

TWIN = r"Without a network, backbones\.data\.Scenes serves the same tasks, and Photos"
HELP = r"\. With a network, {kind}\(download=True\) fetches \d+ MB .* by hand, .*{page}.* " + TWIN


def quoted(path: Path) -> str:
    """As a pattern: the path as errors spell it."""
    return re.escape(repr(str(path)))


def read_all(kind: type, folder: Path, **options) -> None:
    data = ready(kind, folder, **options)
    for part in (data.train, data.val, data.test):
        list(part)


def refused(kind: type, folder: Path, sentence: str, **options) -> None:
    """setup() or reading every picture ends with this sentence, and with what to do."""
    with pytest.raises(DataFolderError) as caught:
        read_all(kind, folder, **options)
    page = kind.page.replace(".", r"\.")
    full = f"^{kind.__name__} cannot be read: {sentence}{HELP.format(kind=kind.__name__, page=page)}"
    caught.match(full)


@pytest.mark.parametrize("kind", [OxfordIIITPet, PennFudanPed])
def test_nothing_is_there_and_nothing_is_fetched_unasked(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(kind, "fetch", lambda self: pytest.fail("nobody asked for a download"))
    for folder in (tmp_path, tmp_path / "nowhere"):
        refused(
            kind, folder, rf"{quoted(folder)} holds neither {kind.folder_name}/ nor its folders \w+/ and \w+/"
        )
    (tmp_path / kind.inside[0]).mkdir()
    refused(kind, tmp_path, f"{quoted(tmp_path)} holds neither .*")


@pytest.mark.parametrize("kind", [OxfordIIITPet, PennFudanPed])
def test_a_download_without_a_network_says_so(kind, tmp_path):
    """The tests are cut off from the network (see conftest.py)."""
    refused(
        kind, tmp_path, f"it could not be downloaded into {quoted(tmp_path)} .*unplugged.*", download=True
    )


def drop(path: str):
    return lambda folder: (
        (folder / path).unlink() if (folder / path).is_file() else shutil.rmtree(folder / path)
    )


def write(path: str, text: str):
    return lambda folder: (folder / path).write_text(text)


def cut(path: str, share: float = 0.5):
    def shorten(folder: Path) -> None:
        whole = (folder / path).read_bytes()
        (folder / path).write_bytes(whole[: int(len(whole) * share)])

    return shorten


def mask(path: str, values: np.ndarray):
    return lambda folder: save(values.astype(np.uint8), folder / path)


PET, TRIMAP = "images/beagle_2.jpg", "annotations/trimaps/beagle_2.png"
BROKEN_PETS = [
    (drop("images"), r".* holds neither"),
    (
        drop("annotations/trimaps"),
        r"annotations/trimaps/Abyssinian_1\.png, on line 1 of trainval\.txt, is missing",
    ),
    (drop("annotations/test.txt"), r"annotations/test\.txt is missing from '.*oxford-iiit-pet'"),
    (write("annotations/test.txt", ""), r"annotations/test\.txt in '.*' lists no pictures"),
    (drop(PET), r"images/beagle_2\.jpg, on line 14 of trainval\.txt, is missing"),
    (drop(TRIMAP), r"annotations/trimaps/beagle_2\.png, on line 14 of trainval\.txt, is missing"),
    (
        write("annotations/test.txt", "beagle_101 1 1 1\n"),
        r"line 1 of annotations/test\.txt .* 'beagle_101 1 1 1'",
    ),
    (
        write("annotations/test.txt", "beagle_101 38 1 1\n"),
        r"line 1 of annotations/test\.txt is not understood",
    ),
    (write("annotations/test.txt", "beagle_101\n"), r"line 1 of .* is not understood: 'beagle_101'"),
    (write("annotations/test.txt", "\nbeagle_101 5 1 1\nx 5\n"), r"line 3 of .* is not understood: 'x 5'"),
    (cut(PET), r"beagle_2\.jpg in '.*images' is cut short or no picture \(OSError: image file is truncated"),
    (cut(TRIMAP), r"beagle_2\.png in '.*trimaps' is cut short or no picture"),
    (
        write(PET, "<html>404</html>"),
        r"beagle_2\.jpg in .* is cut short or no picture \(UnidentifiedImageError",
    ),
    (write(PET, ""), r"beagle_2\.jpg in .* is cut short or no picture"),
    (mask(TRIMAP, np.ones((40, 61))), r"the mask beagle_2\.png is 61x40 pixels large, but its picture 60x40"),
    (mask(TRIMAP, np.ones((60, 40))), r"the mask beagle_2\.png is 40x60 pixels large, but its picture 60x40"),
    (mask(TRIMAP, np.ones((40, 60, 3))), r"beagle_2\.png is no mask: expected one number a pixel"),
    (
        mask(TRIMAP, np.full((40, 60), 7)),
        r"the mask beagle_2\.png contains 7; only 1, 2 and 3 have a meaning",
    ),
    (mask(TRIMAP, np.zeros((40, 60))), r"the mask beagle_2\.png contains 0"),
]
PERSON, PERSON_MASK = "PNGImages/PennPed00002.png", "PedMasks/PennPed00002_mask.png"
BROKEN_PEOPLE = [
    (drop("PedMasks"), r".* holds neither"),
    (drop(PERSON_MASK), r"PedMasks/PennPed00002_mask\.png is missing from '.*PennFudanPed'"),
    (cut(PERSON, 0.7), r"PennPed00002\.png in '.*PNGImages' is cut short or no picture"),
    (cut(PERSON_MASK), r"PennPed00002_mask\.png in '.*PedMasks' is cut short or no picture"),
    (
        mask(PERSON_MASK, np.zeros((80, 64))),
        r"the mask PennPed00002_mask\.png marks no pedestrian, .* no box",
    ),
    (
        mask(PERSON_MASK, np.ones((64, 80))),
        r"the mask PennPed00002_mask\.png is 80x64 pixels .* picture 64x80",
    ),
    (
        lambda folder: [path.unlink() for path in folder.glob("PNGImages/*[2-8].png")],
        "2 photographs in .* too few",
    ),
    (
        lambda folder: [path.unlink() for path in folder.glob("PNGImages/*")],
        "0 photographs in .* are too few",
    ),
]


@pytest.mark.parametrize(("damage", "sentence"), BROKEN_PETS)
def test_broken_pets_are_named(pets, damage, sentence):
    damage(pets)
    refused(OxfordIIITPet, pets, sentence + ".*")


@pytest.mark.parametrize(("damage", "sentence"), BROKEN_PEOPLE)
def test_broken_pedestrians_are_named(people, damage, sentence):
    damage(people)
    refused(PennFudanPed, people, sentence + ".*")


def test_a_file_lost_after_setup_is_named(people):
    data = ready(PennFudanPed, people)
    (people / PERSON).unlink()
    with pytest.raises(DataFolderError, match=rf"PennPed00002\.png is missing from '.*PNGImages'.*{TWIN}"):
        list(data.train)


def test_an_error_comes_through_training_as_it_is(people):
    cut(PERSON, 0.7)(people)
    task = Detection(Detector(create_backbone("test_efficientnet"), num_classes=2))
    with pytest.raises(
        DataFolderError, match=r"^PennFudanPed cannot be read: PennPed00002\.png .* cut short"
    ):
        fit(task, PennFudanPed(people, image_size=32), epochs=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 0}, "image_size=0 is too small"),
        ({"batch_size": 0}, "batch_size=0 is too small"),
        ({"mean": 0.5}, "mean was given without std"),
    ],
)
@pytest.mark.parametrize("kind", [OxfordIIITPet, PennFudanPed])
def test_impossible_options_are_named(kind, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        kind(**options)


# ---- A download, from this very machine -----------------------------------------------------------


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Offers the files of a folder; gives the folder, its address and the list of what was asked for."""
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    offered, asked = tmp_path / "offered", []
    offered.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, form, *details):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=offered)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield offered, f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


def test_pedestrians_are_downloaded_once_checked_and_unpacked(people, server, tmp_path, monkeypatch):
    offered, address, asked = server
    archive = Path(shutil.make_archive(str(offered / "PennFudanPed"), "zip", people.parent, people.name))
    monkeypatch.setattr(pedestrians, "_URL", f"{address}/{archive.name}")
    target = tmp_path / "new" / "folder"
    refused(
        PennFudanPed,
        target,
        rf"it could not be downloaded into {quoted(target)} \(ValueError: sha256 of PennFudanPed.zip .*",
        download=True,
    )
    assert not (target / "PennFudanPed").exists(), "what is not what it should be is not unpacked"
    monkeypatch.setattr(pedestrians, "_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    (target / archive.name).write_bytes(b"broke off")
    data = ready(PennFudanPed, target, download=True)
    assert len(data.train) == 9
    assert len(data.train[0].boxes) == 2
    assert [path.name for path in target.iterdir()] == ["PennFudanPed"], "the archive is gone"
    asked.clear()
    ready(PennFudanPed, target, download=True)
    assert asked == []


def test_pets_are_downloaded_by_torchvision(pets, server, tmp_path, monkeypatch):
    offered, address, asked = server
    resources = []
    for name in ("images", "annotations"):
        with tarfile.open(offered / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(pets / name, arcname=name)
        md5 = hashlib.md5((offered / f"{name}.tar.gz").read_bytes()).hexdigest()
        resources.append((f"{address}/{name}.tar.gz", md5))
    monkeypatch.setattr(torchvision.datasets.OxfordIIITPet, "_RESOURCES", resources)
    data = ready(OxfordIIITPet, tmp_path / "new", download=True)
    assert [len(part) for part in (data.train, data.val, data.test)] == [15, 2, 3]
    asked.clear()
    ready(OxfordIIITPet, tmp_path / "new", download=True)
    assert asked == []
