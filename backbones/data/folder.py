"""Your own pictures, from a folder with masks or boxes; and two well-known sets, read by the same lines."""

import hashlib
import json
from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torchvision
from PIL import ExifTags, Image, ImageOps
from torch.utils.data import Dataset
from torchvision.datasets.utils import download_url, extract_archive
from torchvision.ops import masks_to_boxes
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from .images import Statistic, check_positive, normalization
from .scenes import Scene, SceneBatch, collate
from .splits import SplitData

UNLABELED = 255  # in a mask: counts neither for the loss nor for the metric of tasks.Segmentation
_PICTURES = (".jpg", ".png", ".tif", ".jpeg", ".tiff", ".bmp", ".gif", ".webp")
_LITTER = ("Thumbs.db", "desktop.ini")  # of Windows; what a Mac leaves begins with a dot
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}  # of a whole file
_COCO = "images (id, file_name), annotations (image_id, category_id, bbox), categories (id, name)"
_SHOWN = 10  # bad files that an error names; more are counted


class DataFolderError(RuntimeError):
    """A folder of pictures is incomplete, damaged or laid out otherwise than expected, or a download failed.

    The message names each bad file, what is wrong with it and what to do.
    """


class Example(NamedTuple):
    """What belongs to one picture."""

    picture: Path
    mask: Path | None = None
    boxes: list[list[float]] | None = None  # x, y, width, height in pixels of the picture
    labels: list[int] | None = None  # of each box, from 1; of a pet its breed, from 0
    size: tuple[int, int] | None = None  # width and height of the picture when its boxes were drawn


# Batches of a folder that has no boxes, or no masks: a task that needs them says what there is.
MaskBatch = namedtuple("MaskBatch", ["image", "presence", "mask"])
BoxBatch = namedtuple("BoxBatch", ["image", "presence", "targets"])


def collate_known(scenes: Sequence[Scene]) -> SceneBatch | MaskBatch | BoxBatch:
    """Make a batch of what the scenes have."""
    if scenes[0].mask is None:
        return BoxBatch(*collate([scene._replace(mask=scene.presence) for scene in scenes])[:3])
    batch = collate(scenes)
    return MaskBatch(batch.image, batch.presence, batch.mask) if scenes[0].boxes is None else batch


class FolderDataset(Dataset):
    """Pictures that are read from their files when they are asked for; `examples` says from which."""

    def __init__(self, examples: Sequence[Example], read: Callable[[Example], Any]):
        self.examples, self.read = examples, read

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Any:
        """Raises: DataFolderError, for a file that cannot be read."""
        return self.read(self.examples[index])


class Folder(SplitData):
    """Your own pictures, of any sizes, for segmentation, detection and multi-label classification.

        data = Folder("my pictures", image_size=128)
        data.setup()                 # an error names every bad file
        data.train[0]                # a Scene: image, presence, boxes, labels, mask (instances: None)
        data.train_dataloader()      # gives SceneBatch: image, presence, targets, mask

        classes = len(data.mask_names)
        fit(Segmentation(DeepLabV3Plus(backbone, classes), classes), data, epochs=5)
        fit(Detection(Detector(backbone, classes)), data, epochs=5)

    Layout, with masks or boxes or both; what is not there is None in a Scene, and no field of a batch:

        images/NAME.jpg     or png, bmp, gif, tif, webp. Gray, transparent, 16-bit and CMYK pictures become
                            RGB; photographs are turned upright, as their EXIF data say.
        masks/NAME.png      as large as the upright picture, 8-bit gray or palette. The number of a pixel is
                            its label: 0 background, 1 to K classes, 255 not labeled, which does not count.
        annotations.json    boxes as COCO lays them out: images (id, file_name), annotations (image_id,
                            category_id, bbox), categories (id, name). A bbox is x, y, width, height in pixels
                            of the upright picture. Categories become labels 1 to K in the order of their
                            ids, whatever these are. What is marked iscrowd is left out.
        classes.txt         optional: what labels of masks mean, one name a line, first the background's

    Parts: folders train/, val/ and test/ laid out like this, if there are any; classes.txt stays above them.
    Otherwise a fifth of the pictures is `test` and a tenth `val`, always the same ones, chosen by a checksum
    of their names. Where pictures show the same thing, make the folders and keep these in one of them.

    Attributes, after setup(): class_names, where label - 1 is the index; mask_names, where the label is.
    """

    upright: ClassVar[bool] = True  # whether answers were drawn on pictures that were turned as EXIF says
    collate = staticmethod(collate_known)

    def __init__(
        self,
        folder: str | Path,
        image_size: int = 128,
        batch_size: int = 16,
        mean: Statistic = None,
        std: Statistic = None,
        seed: int = 0,
    ):
        """
        Args:
            folder: where the files are.
            image_size: side in pixels of what the loaders give. Each picture is scaled until its longer side
                has this length, and filled up at the right or at the bottom: with zeros, after normalizing,
                and with 255 in the mask.
            batch_size: pictures per batch.
            mean: one number or one per channel, for images in [0, 1].
            std: the same.
            seed: the order of training batches.

        Raises:
            ValueError: an option makes no sense; the message says why.
        """
        super().__init__()
        check_positive(image_size=image_size, batch_size=batch_size)
        self.folder, self.image_size = Path(folder).expanduser().absolute(), image_size
        self.batch_size, self.seed = batch_size, seed
        self.normalize = normalization(mean, std, channels=3)

    def setup(self, stage: str | None = None) -> None:
        """Make train, val and test. Checks masks whole, but of pictures only the beginning and the end.

        Args:
            stage: Lightning asks before each of its stages, and what has been read stays. None reads anew.

        Raises:
            DataFolderError: names each bad file.
        """
        if stage is not None and "train" in vars(self):
            return
        self.bad: list[str] = []  # a sentence for each bad file
        parts = self.find()
        if not self.bad and not all(parts):
            self.bad.append(f"{sum(map(len, parts))} pictures are too few for train, val and test: add more")
        if self.bad:
            raise self.trouble(self.bad)
        self.train, self.val, self.test = (FolderDataset(part, self.read) for part in parts)

    def trouble(self, bad: list[str]) -> DataFolderError:
        """The error that says what is wrong, to be raised by the caller."""
        more = [f"and {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
        lines = "\n".join(bad[:_SHOWN] + more)
        return DataFolderError(f"{type(self).__name__} cannot use {str(self.folder)!r}: {lines}")

    def note(self, path: Path, what: str) -> None:
        """Remember what is wrong with a file."""
        self.bad.append(f"{self._name(path)} {what}")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def find(self) -> Sequence[Sequence[Example]]:
        """The examples of train, val and test, checked."""
        names = self.folder / "classes.txt"
        lines = names.read_text("utf-8-sig", "replace").splitlines() if names.is_file() else []
        self.mask_names = tuple(line.strip() for line in lines if line.strip())
        places = [self.folder / part for part in ("train", "val", "test")]
        divided = any(place.is_dir() for place in places)
        used: set[int] = set()
        parts = [self._find_in(place, used) for place in (places if divided else [self.folder])]
        if not self.mask_names:
            count = max(used, default=0) + 1
            if gaps := {*range(1, count)} - used:
                self.bad.append(
                    f"no mask contains {min(gaps)}, but one {count - 1}: number the classes without gaps, or "
                    f"name all {count} in classes.txt, one a line, the first for the background"
                )
            self.mask_names = ("background", *(f"class {label}" for label in range(1, count)))
        self.class_names = self.mask_names[1:]
        by_checksum = sorted(parts[0], key=lambda e: hashlib.sha256(e.picture.stem.encode()).digest())
        return parts if divided else cut(by_checksum)

    def _find_in(self, place: Path, used: set[int]) -> list[Example]:
        """The examples of a folder with images/; labels that masks contain are added to `used`."""
        coco, masks = place / "annotations.json", place / "masks"
        pictures = self.files(place / "images", _PICTURES)
        examples = {name: Example(picture) for name, picture in pictures.items()}
        if coco.is_file():
            if (listed := self._read_coco(coco)) is None:
                return []
            self.compare(pictures, listed, "is not listed in annotations.json: list it, or move it away")
            paths = {name: example.picture for name, example in listed.items()}
            self.compare(paths, pictures, "is missing, but listed in annotations.json: add it")
            examples = {n: listed[n]._replace(picture=pictures[n]) for n in pictures if n in listed}
        elif not masks.is_dir():
            self.note(masks, "is missing, and so is annotations.json: one of them is needed")
        if masks.is_dir():
            found = self.files(masks, (".png",))
            self.compare(pictures, found, "has no mask of the same name: add it")
            self.compare(found, pictures, "has no picture of the same name: add it")
            examples = {name: example._replace(mask=found.get(name)) for name, example in examples.items()}
        labels = self.check(examples.values(), range(len(self.mask_names) or UNLABELED))
        if labels and labels <= {0, UNLABELED}:
            only = " and ".join(map(str, sorted(labels)))
            self.note(
                masks,
                f"contains only {only}: 1 is the first class, and 255 means not labeled. Masks of 0 and 255 "
                "become right by `mask // 255`",
            )
        used |= labels - {UNLABELED}
        return list(examples.values())

    def files(self, folder: Path, endings: Sequence[str], tail: str = "") -> dict[str, Path]:
        """The files of a folder by name, without ending and tail; what systems hide there is skipped."""
        files: dict[str, Path] = {}
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            name = path.stem.removesuffix(tail)
            if path.name.startswith(".") or path.name in _LITTER or path.is_dir():
                continue
            if path.suffix.lower() not in endings:
                self.note(path, f"has another format: save it as {' or '.join(endings[:2])}")
            elif name in files:
                self.note(path, f"and {files[name].name} have one name: rename one of them, and its mask")
            else:
                files[name] = path
        if not files:
            self.note(folder, f"is missing, or has no {' or '.join(endings[:2])} in it")
        return files

    def compare(self, paths: dict[str, Path], names: Collection[str], lack: str) -> None:
        """Note of each path whose name is not among `names` what it lacks."""
        for name in sorted(paths.keys() - names):
            self.note(paths[name], lack)

    def _read_coco(self, file: Path) -> dict[str, Example] | None:
        """Pictures and boxes by name without ending, None if that fails; categories become the classes."""
        listed: dict[Any, Example] = {}
        try:
            coco = json.loads(file.read_text("utf-8-sig"))
            categories = {entry["id"]: str(entry["name"]) for entry in coco["categories"]}
            label_of = {number: label for label, number in enumerate(sorted(categories), 1)}
            for entry in coco["images"]:
                picture = file.parent / "images" / PurePath(entry["file_name"]).name
                size = (entry.get("width"), entry.get("height"))
                listed[entry["id"]] = Example(picture, None, [], [], size if all(size) else None)
            for entry in coco["annotations"]:
                if not entry.get("iscrowd"):
                    x, y, width, height = map(float, entry["bbox"])
                    listed[entry["image_id"]].boxes.append([x, y, width, height])
                    listed[entry["image_id"]].labels.append(label_of[entry["category_id"]])
        except KeyError as error:
            return self.note(file, f"lacks {error}: expected {_COCO}")
        except (AttributeError, TypeError, ValueError) as error:
            return self.note(file, f"is not JSON as COCO lays it out ({error}): expected {_COCO}")
        names = ("background", *(categories[number] for number in label_of))
        if self.mask_names not in ((), names):
            self.note(file, f"has classes {names[1:]}, but elsewhere they are {self.mask_names[1:]}")
        self.mask_names = names
        examples = {example.picture.stem: example for example in listed.values()}
        if len(examples) < len(coco["images"]):
            self.note(file, "lists a picture or an id twice: give each picture one id")
        return examples

    def check(self, examples: Iterable[Example], numbers: range) -> set[int]:
        """Note what is wrong. Masks may contain `numbers` and 255; returned is what they do contain."""
        used: set[int] = set()
        for example in examples:
            try:
                width, height = size = self._open(example.picture, self._read_size)
                mask = self._open(example.mask, _read_labels) if example.mask else None
            except DataFolderError as error:
                self.bad.append(str(error))
                continue
            own_size = f"{width}x{height} pixels" + " upright" * self.upright
            if example.size not in (None, size):
                boxes_size = "x".join(map(str, example.size))
                self.note(example.picture, f"has {own_size}, but had {boxes_size} when its boxes were drawn")
            for x, y, wide, high in example.boxes or []:
                right, bottom = x + wide, y + high
                # One pixel beyond the picture may come from rounding.
                inside = min(x, y) >= -1 and right <= width + 1 and bottom <= height + 1
                area = max(x, 0) < min(right, width) and max(y, 0) < min(bottom, height)
                if not (inside and area and max(right, bottom) > 1):
                    expected = "not x, y, width, height in pixels, with an area, inside the picture"
                    found = f"{own_size} and a box {[x, y, wide, high]}"
                    self.note(example.picture, f"has {found}, {expected}")
            if mask is None:
                continue
            found = {*np.bincount(mask.ravel()).nonzero()[0].tolist()}
            if mask.shape != (height, width):
                mask_size = f"{mask.shape[1]}x{mask.shape[0]}"
                self.note(example.mask, f"has {mask_size} pixels, but its picture {own_size}")
            elif strange := found - {*numbers, UNLABELED}:
                expected = f"{numbers[0]} to {numbers[-1]}, or 255 where nobody has labeled"
                self.note(example.mask, f"contains {min(strange)}, expected {expected}")
            used |= found
        return used

    def read(self, example: Example) -> Scene:
        """A picture and what is known of it, scaled and filled up. Raises: DataFolderError."""
        picture = tvf.pil_to_tensor(self._open(example.picture, self._read_picture))
        height, width = picture.shape[1:]
        scale = self.image_size / max(height, width)
        high, wide = size = [max(1, round(height * scale)), max(1, round(width * scale))]
        fill = [0, 0, self.image_size - wide, self.image_size - high]  # left, top, right, bottom
        image = tvf.pad(self.normalize(tvf.resize(picture, size, antialias=True).float() / 255), fill)
        boxes = labels = mask = None
        if example.boxes is not None:
            corners = torch.tensor(example.boxes).reshape(-1, 2, 2).cumsum(1)  # (N, 2, 2): x1 y1, x2 y2
            corners = corners.clamp(min=0).minimum(torch.tensor([width, height]))
            boxes = (corners * torch.tensor([wide / width, high / height])).flatten(1)
            labels = torch.tensor(example.labels, dtype=torch.int64)
        if example.mask:
            mask = torch.from_numpy(self._open(example.mask, _read_labels))[None]
            mask = tvf.pad(tvf.resize(mask, size, InterpolationMode.NEAREST_EXACT), fill, UNLABELED)[0].long()
        classes = torch.arange(1, len(self.mask_names))
        presence = torch.isin(classes, mask if labels is None else labels).float()
        return Scene(image, presence, boxes, labels, mask, None)

    def _open(self, path: Path, read: Callable[[Image.Image], Any]) -> Any:
        """What `read` makes of a picture. Raises: DataFolderError, naming the file."""
        try:
            with Image.open(path) as image:
                return read(image)
        except FileNotFoundError as error:
            raise DataFolderError(f"{self._name(path)} is missing: add it") from error
        except DataFolderError as error:
            raise DataFolderError(f"{self._name(path)} {error}") from error
        except Exception as error:  # each of Pillow's formats has errors of its own
            reason = f"is cut short or no picture ({type(error).__name__}): copy it here again"
            raise DataFolderError(f"{self._name(path)} {reason}") from error

    def _read_picture(self, image: Image.Image) -> Image.Image:
        if self.upright:
            image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits; Pillow would make white of all above 255
            image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
        return image.convert("RGB")

    def _read_size(self, image: Image.Image) -> tuple[int, int]:
        """Width and height, upright. Decodes a picture only if its end is not that of a whole file."""
        with open(image.filename, "rb") as file:
            file.seek(-min(64, file.seek(0, 2)), 2)
            whole = image.format in _ENDS and _ENDS[image.format] in file.read()
        if not whole:
            image.load()
        turned = self.upright and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # by 90 degrees
        return image.size[::-1] if turned else image.size


def _read_labels(image: Image.Image) -> np.ndarray:
    """The numbers of a mask as they stand in the file, uint8 (H, W)."""
    if image.mode not in ("1", "L", "P"):
        raise DataFolderError(
            f"is {image.mode}, but a mask has one number of 8 bits a pixel: make an array of labels, "
            "(H, W) in numpy.uint8, and save it by PIL.Image.fromarray(labels).save(...)"
        )
    return np.array(image).astype(np.uint8)


def cut(examples: Sequence[Example]) -> list[Sequence[Example]]:
    """train, val and test: the first seven tenths, the next, and the last two; the last have at least one."""
    test, val = max(1, len(examples) * 2 // 10), max(1, len(examples) // 10)
    train = max(0, len(examples) - val - test)
    return [examples[:train], examples[train : train + val], examples[train + val :]]


class KnownSet(Folder):
    """A well-known set, laid out by its authors. Nothing is downloaded unless `download=True` asks for it."""

    upright = False  # answers were drawn on the pictures as they are stored
    page: ClassVar[str]  # where a person finds it
    megabytes: ClassVar[int]  # of the download

    def __init__(self, folder: str | Path = "~/.cache/backbones", download: bool = False, **options: Any):
        """
        Args:
            folder: where the files are, or where a download puts them: the set's own folder or the one above.
            download: True fetches the files, if they are not there yet, when `setup()` is called.
            options: see `Folder`.
        """
        super().__init__(folder, **options)
        self.download = download

    def prepare_data(self) -> None:
        """Download if that is asked for and needed. Raises: DataFolderError."""
        try:
            self.fetch()
        except Exception as error:  # no network, no such page, wrong checksum, full disk: types differ
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            raise self.trouble([f"it is not there, or could not be downloaded ({reason})"]) from error

    def setup(self, stage: str | None = None) -> None:
        """Make train, val and test, as `Folder` does."""
        self.prepare_data()  # whoever calls setup() by hand has not called it
        super().setup(stage)

    def trouble(self, bad: list[str]) -> DataFolderError:
        return DataFolderError(
            f"{super().trouble(bad)}. With a network, {type(self).__name__}(download=True) fetches "
            f"{self.megabytes} MB into an empty folder; by hand, unpack what {self.page} offers and give its "
            "folder. Without a network, backbones.data.Scenes serves the same tasks, and Photos holds ten "
            "real photographs."
        )


class PennFudanPed(KnownSet):
    """170 photographs of 423 pedestrians (345 in the paper), for detection and segmentation.

        pedestrians = PennFudanPed("folder", image_size=256)   # or PennFudanPed(download=True): 54 MB, once
        fit(Detection(Detector(backbone, num_classes=2)), pedestrians, epochs=1)
        fit(Segmentation(network, num_classes=2), pedestrians, epochs=1)

    Items and batches are those of `Scenes`, with one class; boxes are drawn around what the mask marks after
    scaling. Neighboring numbers often show the same place, so parts are runs of numbers: of either campus the
    first seven tenths train, then one tenth is `val`, and the last two tenths are `test`.

    Layout: PNGImages/NAME.png and PedMasks/NAME_mask.png, whose pixels hold 0 or the number of a person.
    Source: Wang, Shi, Song, Shen, Object Detection Combining Recognition and Segmentation (2007).
    Licence: the authors keep all rights and ask not to publish the photographs again.
    """

    page, megabytes = "https://www.cis.upenn.edu/~jshi/ped_html/", 54
    sha256 = "9095a9613c95586f1c7f2a327d454833d16e0f5e17e5f83d35027ffd315b48e2"
    mask_names, class_names = ("background", "pedestrian"), ("pedestrian",)

    @property
    def place(self) -> Path:
        """The set's own folder."""
        below = self.folder / "PennFudanPed"
        return below if below.is_dir() else self.folder

    def fetch(self) -> None:
        archive = self.folder / "PennFudanPed.zip"
        if not self.download or ((self.place / "PedMasks").is_dir() and not archive.exists()):
            return
        archive.unlink(missing_ok=True)  # of a download, or an unpacking, that broke off
        download_url(self.page + archive.name, self.folder, archive.name)
        if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != self.sha256:
            raise ValueError(
                f"sha256 of {archive.name} starts with {found[:12]}, expected {self.sha256[:12]}"
            )
        extract_archive(archive, self.folder, remove_finished=True)

    def find(self) -> Sequence[Sequence[Example]]:
        pictures = self.files(self.place / "PNGImages", (".png",))
        masks = self.files(self.place / "PedMasks", (".png",), "_mask")
        self.compare(pictures, masks, "has no mask: unpacking or copying broke off")
        self.compare(masks, pictures, "has no photograph: unpacking or copying broke off")
        examples = [Example(pictures[name], masks[name]) for name in pictures if name in masks]
        self.check(examples, range(UNLABELED))
        campuses = groupby(examples, key=lambda example: example.picture.stem.rstrip("0123456789"))
        cuts = [cut(list(campus)) for _, campus in campuses]
        return [[example for parts in cuts for example in parts[part]] for part in range(3)]

    def read(self, example: Example) -> Scene:
        scene = super().read(example)
        people = scene.mask.where(scene.mask != UNLABELED, 0)
        numbers = people.unique()
        numbers = numbers[numbers > 0]  # whoever vanishes at this size is not in the answers
        # x2 and y2 of Scene lie behind the last pixel; torchvision's lie on it.
        boxes = masks_to_boxes(people == numbers[:, None, None]) + torch.tensor([0.0, 0.0, 1.0, 1.0])
        labels = torch.ones(len(numbers), dtype=torch.int64)
        instances = torch.searchsorted(torch.cat([torch.zeros(1, dtype=torch.int64), numbers]), people)
        presence = torch.isin(torch.ones(1), labels).float()
        return Scene(scene.image, presence, boxes, labels, scene.mask.where(people == 0, 1), instances)


Pet = namedtuple("Pet", ["image", "label", "mask"])


class OxfordIIITPet(KnownSet):
    """7,349 photographs of cats and dogs of 37 breeds, for classification and segmentation.

        pets = OxfordIIITPet("folder", image_size=128)   # or OxfordIIITPet(download=True): 811 MB, once
        fit(Classification(network, num_classes=37), pets, epochs=1)
        fit(Segmentation(network, num_classes=2), pets, epochs=1)

    Items are image (3, S, S), label () from 0 to 36 and mask (S, S): 1 for the animal, 0 for the background,
    255 for the outline, which nobody assigned to either side. The authors' list of 3,669 pictures is `test`;
    of their other list, every tenth is `val`.

    Layout: images/NAME.jpg, annotations/trimaps/NAME.png, annotations/trainval.txt and test.txt with lines
    "NAME CLASS-ID SPECIES BREED-ID", where the class counts from 1.
    Source: Parkhi, Vedaldi, Zisserman, Jawahar, Cats and Dogs (2012).
    Licence: CC BY-SA 4.0; whoever took a photograph keeps its copyright.
    """

    page, megabytes = "https://www.robots.ox.ac.uk/~vgg/data/pets/", 811
    mask_names, collate = ("background", "pet"), None

    def fetch(self) -> None:
        root = self.folder.parent if self.folder.name == "oxford-iiit-pet" else self.folder
        self.lists = [
            torchvision.datasets.OxfordIIITPet(root, part, download=self.download)
            for part in ("trainval", "test")
        ]

    def find(self) -> Sequence[Sequence[Example]]:
        # Torchvision's errors name no file and come when training has begun: it knows the lists, we read.
        train, test = (
            [
                Example(picture, mask, labels=[label])
                for picture, mask, label in zip(pets._images, pets._segs, pets._labels, strict=True)
            ]
            for pets in self.lists
        )
        self.class_names = tuple(self.lists[0].classes)
        self.check([*train, *test], range(1, 4))
        return [pet for number, pet in enumerate(train) if number % 10 != 9], train[9::10], test

    def read(self, example: Example) -> Pet:
        scene = super().read(example)
        meaning = torch.full((256,), UNLABELED)
        meaning[1], meaning[2] = 1, 0  # foreground, background; 3 is the outline
        return Pet(scene.image, torch.tensor(example.labels[0]), meaning[scene.mask])
