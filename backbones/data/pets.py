"""Cats and dogs: real photographs with a breed and a mask each."""

from collections import defaultdict
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
import torchvision
from torch import Tensor
from torch.utils.data import Dataset

from .folders import UNLABELED, FolderData

_TRIMAP = {1: 1, 2: 0, 3: UNLABELED}  # what the files say: foreground, background, not classified


class Pet(NamedTuple):
    """A photograph of one animal; batched, each field has one dimension more in front.

    image: float32 (3, S, S) in [0, 1] unless mean and std are given.
    label: int64 (), the breed, 0 to 36.
    mask: int64 (S, S), 1 for the animal, 0 for the background, 255 where nobody has decided.
    """

    image: Tensor
    label: Tensor
    mask: Tensor


class PetDataset(Dataset):
    """Pets that are read from their files when they are asked for."""

    def __init__(self, data: "OxfordIIITPet", place: Path, pets: list[tuple[str, int]]):
        """Args: data, which knows sizes and normalization; place, the data set's folder; pets, the name of
        each without its ending and its label."""
        self.data, self.place, self.pets = data, place, pets

    def __len__(self) -> int:
        return len(self.pets)

    def __getitem__(self, index: int) -> Pet:
        """Raises: DataFolderError, for a file that cannot be read or does not fit its picture."""
        name, label = self.pets[index]
        picture = self.data.read_picture(self.place / "images" / f"{name}.jpg")
        trimap = self.data.read_mask(self.place / "annotations" / "trimaps" / f"{name}.png", picture)
        table = torch.full((256,), -1)
        table[list(_TRIMAP)] = torch.tensor(list(_TRIMAP.values()))
        mask = table[trimap.long()]
        if (mask < 0).any():
            value = trimap[mask < 0][0].item()
            raise self.data.trouble(f"the mask {name}.png contains {value}; only 1, 2 and 3 have a meaning")
        return Pet(
            self.data.to_square(picture),
            torch.tensor(label),
            self.data.mask_to_square(mask.to(torch.uint8), fill=UNLABELED),
        )


class OxfordIIITPet(FolderData):
    """7,349 photographs of cats and dogs of 37 breeds, for classification and segmentation.

        pets = OxfordIIITPet("folder", image_size=128)   # or OxfordIIITPet(download=True): 811 MB, once
        pets.setup()
        pets.train[0]                # a Pet: image, label, mask
        pets.train_dataloader()      # gives batches of Pet: (B, 3, S, S), (B,), (B, S, S)

        fit(Classification(network, num_classes=37), pets, epochs=1)
        fit(Segmentation(network, num_classes=2), pets, epochs=1)

    Options: see `FolderData`. Photographs are scaled and filled up to squares of image_size; what was filled
    up is 255 in the mask, as is the outline of each animal, which nobody assigned to either side (the files'
    1, 2, 3 for foreground, background, not classified become 1, 0, 255).

    The test part is the authors' (3,669 pictures in annotations/test.txt). Of each breed in
    annotations/trainval.txt (3,680), a tenth, chosen at random but always the same, makes `val`, the rest
    `train`.

    Layout: images/NAME.jpg, annotations/trimaps/NAME.png, annotations/trainval.txt and test.txt with lines
    "NAME CLASS-ID SPECIES BREED-ID", where the class counts from 1.

    Source: Parkhi, Vedaldi, Zisserman, Jawahar, Cats and Dogs (2012). Licence: CC BY-SA 4.0; whoever
    took a photograph keeps its copyright.
    """

    folder_name = "oxford-iiit-pet"
    inside = ("images", "annotations")
    page = "https://www.robots.ox.ac.uk/~vgg/data/pets/"
    megabytes = 811
    mask_names: ClassVar[tuple[str, ...]] = ("background", "pet")  # the label is the index
    class_names: ClassVar[tuple[str, ...]] = (
        *("Abyssinian", "american_bulldog", "american_pit_bull_terrier", "basset_hound", "beagle", "Bengal"),
        *("Birman", "Bombay", "boxer", "British_Shorthair", "chihuahua", "Egyptian_Mau"),
        *("english_cocker_spaniel", "english_setter", "german_shorthaired", "great_pyrenees", "havanese"),
        *("japanese_chin", "keeshond", "leonberger", "Maine_Coon", "miniature_pinscher", "newfoundland"),
        *("Persian", "pomeranian", "pug", "Ragdoll", "Russian_Blue", "saint_bernard", "samoyed"),
        *("scottish_terrier", "shiba_inu", "Siamese", "Sphynx", "staffordshire_bull_terrier"),
        *("wheaten_terrier", "yorkshire_terrier"),
    )  # as the files spell them: cats with a capital, dogs without

    def fetch(self) -> None:
        # Torchvision knows the addresses and checksums. It is not asked to read: its errors name no file.
        torchvision.datasets.OxfordIIITPet(self.folder, download=True)

    def setup(self, stage: str | None = None) -> None:
        """Make train, val and test; `stage` is Lightning's and all stages need the same.

        Raises: DataFolderError, when the folder, a list or a file on a list is missing.
        """
        place = self.locate()
        train, val = self._split(self._listed(place, "trainval.txt"))
        test = self._listed(place, "test.txt")
        self.train, self.val, self.test = (PetDataset(self, place, part) for part in (train, val, test))

    def _listed(self, place: Path, list_name: str) -> list[tuple[str, int]]:
        """Name and label of each pet on a list."""
        path = place / "annotations" / list_name
        if not path.is_file():
            raise self.trouble(f"annotations/{list_name} is missing from {str(place)!r}")
        pets = []
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if not line.strip():
                continue
            name, label = self._parse(line) or (None, None)
            if name is None:
                raise self.trouble(
                    f"line {number} of annotations/{list_name} is not understood: {line[:60]!r}"
                )
            for file in (f"images/{name}.jpg", f"annotations/trimaps/{name}.png"):
                if not (place / file).is_file():
                    raise self.trouble(
                        f"{file}, on line {number} of {list_name}, is missing from {str(place)!r}"
                    )
            pets.append((name, label))
        if not pets:
            raise self.trouble(f"annotations/{list_name} in {str(place)!r} lists no pictures")
        return pets

    def _parse(self, line: str) -> tuple[str, int] | None:
        name, number, *_ = [*line.split(), "", ""]
        label = int(number) - 1 if number.isdecimal() else -1
        breed = name.rpartition("_")[0]
        known = 0 <= label < len(self.class_names) and self.class_names[label] == breed
        return (name, label) if known else None

    @staticmethod
    def _split(pets: list[tuple[str, int]]) -> tuple[list, list]:
        """train and val: of each breed every picture but a tenth, at least one, as long as one is left."""
        breeds = defaultdict(list)
        for index in torch.randperm(len(pets), generator=torch.Generator().manual_seed(0)).tolist():
            breeds[pets[index][1]].append(index)
        val = {i for breed in breeds.values() for i in breed[: min(max(1, len(breed) // 10), len(breed) - 1)]}
        return (
            [pet for index, pet in enumerate(pets) if index not in val],
            [pet for index, pet in enumerate(pets) if index in val],
        )
