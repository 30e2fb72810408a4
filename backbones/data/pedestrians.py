"""Pedestrians: real photographs with a box and a mask for each person."""

import hashlib
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import torch
from torch.utils.data import Dataset
from torchvision.datasets.utils import download_url, extract_archive
from torchvision.ops import masks_to_boxes

from .folders import UNLABELED, FolderData
from .scenes import Scene, collate

_URL = "https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip"
_SHA256 = "9095a9613c95586f1c7f2a327d454833d16e0f5e17e5f83d35027ffd315b48e2"


class PedestrianDataset(Dataset):
    """Photographs that are read from their files when they are asked for."""

    def __init__(self, data: "PennFudanPed", place: Path, names: list[str]):
        """Args: data, which knows sizes and normalization; place, the data set's folder; names, of the
        photographs, without their ending."""
        self.data, self.place, self.names = data, place, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Scene:
        """Raises: DataFolderError, for a file that cannot be read, does not fit or shows nobody."""
        name = self.names[index]
        picture = self.data.read_picture(self.place / "PNGImages" / f"{name}.png")
        people = self.data.read_mask(self.place / "PedMasks" / f"{name}_mask.png", picture)
        if not people.any():
            raise self.data.trouble(f"the mask {name}_mask.png marks no pedestrian, so that there is no box")
        people = self.data.mask_to_square(people, fill=0)
        numbers = people.unique()
        numbers = numbers[numbers > 0]  # whoever vanishes at this size is not in the answers
        # x2 and y2 of Scene lie behind the last pixel; torchvision's lie on it.
        boxes = masks_to_boxes(people == numbers[:, None, None]) + torch.tensor([0.0, 0.0, 1.0, 1.0])
        inside = self.data.mask_to_square(torch.ones(picture.shape[1:], dtype=torch.uint8), fill=0)
        return Scene(
            self.data.to_square(picture),
            torch.full((1,), float(len(numbers) > 0)),
            boxes,
            torch.ones(len(numbers), dtype=torch.int64),
            torch.where(inside > 0, (people > 0).long(), UNLABELED),
            torch.searchsorted(torch.cat([torch.zeros(1, dtype=torch.int64), numbers]), people),
        )


class PennFudanPed(FolderData):
    """170 photographs of 423 pedestrians (345 in the paper), for detection and segmentation.

        pedestrians = PennFudanPed("folder", image_size=256)   # or PennFudanPed(download=True): 54 MB, once
        pedestrians.setup()
        pedestrians.train[0]             # a Scene: image, presence, boxes, labels, mask, instances
        pedestrians.train_dataloader()   # gives SceneBatch: image, presence, targets, mask

        fit(Detection(Detector(backbone, num_classes=2)), pedestrians, epochs=1)
        fit(Segmentation(network, num_classes=2), pedestrians, epochs=1)

    Items and batches are those of `Scenes`, with one class: labels are 1, presence is (1,), and mask is 1 on
    people, 0 elsewhere and 255 where the photograph was filled up to a square. Boxes are drawn around what
    the mask marks after scaling. Options: see `FolderData`.

    Neighboring numbers often show the same place, so parts are runs of numbers, not random picks: of either
    campus the first seven tenths train, then one tenth is `val`, and the last two tenths are `test`.

    Layout: PNGImages/NAME.png and PedMasks/NAME_mask.png, where a pixel holds 0 for background or the number
    of a person. The folder Annotation/ is not needed: its boxes are those of the masks.

    Source: Wang, Shi, Song, Shen, Object Detection Combining Recognition and Segmentation (2007).
    Licence: the authors keep all rights and ask not to publish the photographs again.
    """

    folder_name = "PennFudanPed"
    inside = ("PNGImages", "PedMasks")
    page = "https://www.cis.upenn.edu/~jshi/ped_html/"
    megabytes = 54
    class_names: ClassVar[tuple[str, ...]] = ("pedestrian",)  # label - 1 is the index
    mask_names: ClassVar[tuple[str, ...]] = ("background", "pedestrian")  # the label is the index
    collate = staticmethod(collate)

    def fetch(self) -> None:
        archive = self.folder / "PennFudanPed.zip"
        if _sha256(archive) != _SHA256:
            archive.unlink(missing_ok=True)  # of a download that broke off
            download_url(_URL, self.folder, archive.name)
        if (found := _sha256(archive)) != _SHA256:
            raise ValueError(f"sha256 of {archive.name} starts with {found[:12]}, expected {_SHA256[:12]}")
        extract_archive(archive, self.folder, remove_finished=True)

    def setup(self, stage: str | None = None) -> None:
        """Make train, val and test; `stage` is Lightning's and all stages need the same.

        Raises: DataFolderError, when the folder or the mask of a photograph is missing, or there are too few.
        """
        place = self.locate()
        names = sorted(path.stem for path in (place / "PNGImages").glob("*.png"))
        for name in names:
            if not (place / "PedMasks" / f"{name}_mask.png").is_file():
                raise self.trouble(f"PedMasks/{name}_mask.png is missing from {str(place)!r}")
        parts: tuple[list[str], list[str], list[str]] = ([], [], [])
        for _, campus in groupby(names, key=lambda name: name.rstrip("0123456789")):
            run = list(campus)
            test, val = max(1, len(run) * 2 // 10), max(1, len(run) // 10)
            cuts = (0, len(run) - val - test, len(run) - test, len(run))
            for part, start, stop in zip(parts, cuts, cuts[1:], strict=False):
                part += run[max(0, start) : max(0, stop)]
        if not all(parts):
            raise self.trouble(
                f"{len(names)} photographs in {str(place / 'PNGImages')!r} are too few for three parts"
            )
        self.train, self.val, self.test = (PedestrianDataset(self, place, part) for part in parts)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
