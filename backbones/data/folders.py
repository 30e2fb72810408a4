"""What real data sets in a folder share: one error that helps, one way to get them, pictures of one size."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from .images import SplitData, Statistic, check_positive, normalization

DEFAULT_FOLDER = "~/.cache/backbones"
UNLABELED = 255  # in a mask: counts neither for the loss nor for the metric of tasks.Segmentation


class DataFolderError(RuntimeError):
    """The files of a real data set are not here, incomplete or damaged, or could not be downloaded.

    The message says what is wrong, how to get the files, and which data of the course do without them.
    """


class FolderData(SplitData):
    """A real data set that lies in a folder. Nothing is downloaded unless `download=True` asks for it.

    A subclass says what it is called and where it comes from, how to download it and how to read it.
    """

    folder_name: ClassVar[str]  # the folder that its archive unpacks to
    inside: ClassVar[tuple[str, ...]]  # folders in it that have to be there
    page: ClassVar[str]  # where a person finds it
    megabytes: ClassVar[int]  # of the download

    def __init__(
        self,
        folder: str | Path = DEFAULT_FOLDER,
        download: bool = False,
        image_size: int = 128,
        batch_size: int = 16,
        mean: Statistic = None,
        std: Statistic = None,
        seed: int = 0,
    ):
        """
        Args:
            folder: where the files are, or where a download puts them: the data set's own folder or the one
                above it.
            download: True fetches the files, if they are not there yet, when `setup()` is called.
            image_size: side in pixels of what the loaders give. Each picture is scaled until its longer side
                has this length, and filled up at the right or at the bottom: with zeros, after normalizing.
            batch_size: pictures per batch.
            mean, std: one number or one per channel, for images in [0, 1].
            seed: the order of training batches.
        Raises: ValueError for an option that makes no sense, saying why.
        """
        super().__init__()
        check_positive(image_size=image_size, batch_size=batch_size)
        self.folder, self.download = Path(folder).expanduser(), download
        self.image_size, self.batch_size, self.seed = image_size, batch_size, seed
        self.normalize = normalization(mean, std, channels=3)

    def fetch(self) -> None:
        """Download into `self.folder`. Whatever goes wrong may be raised: `prepare_data` explains it."""
        raise NotImplementedError(f"{type(self).__name__} has to say how it is downloaded")

    def prepare_data(self) -> None:
        """Download, if that was asked for and nothing is there yet; Lightning calls this in one process only.

        Raises: DataFolderError, when the download fails.
        """
        if not self.download or self._place() is not None:
            return
        try:
            self.fetch()
        except Exception as error:  # no network, no such page, wrong checksum, full disk: types differ
            raise self.trouble(
                f"it could not be downloaded into {str(self.folder)!r} ({type(error).__name__}: "
                f"{str(error)[:200]})"
            ) from error

    def locate(self) -> Path:
        """The data set's own folder, downloaded first if that was asked for. Raises: DataFolderError."""
        self.prepare_data()  # whoever calls setup() by hand has not called it
        place = self._place()
        if place is None:
            folders = " and ".join(f"{name}/" for name in self.inside)
            raise self.trouble(
                f"{str(self.folder)!r} holds neither {self.folder_name}/ nor its folders {folders}"
            )
        return place

    def _place(self) -> Path | None:
        for place in (self.folder / self.folder_name, self.folder):
            if all((place / name).is_dir() for name in self.inside):
                return place
        return None

    @classmethod
    def trouble(cls, what: str) -> DataFolderError:
        """The error for whatever is wrong with the files, to be raised by the caller."""
        return DataFolderError(
            f"{cls.__name__} cannot be read: {what}. With a network, {cls.__name__}(download=True) fetches "
            f"{cls.megabytes} MB into an empty folder; by hand, unpack what {cls.page} offers and give its "
            "folder. Without a network, backbones.data.Scenes serves the same tasks, and Photos holds ten "
            "real photographs."
        )

    @classmethod
    def read_picture(cls, path: Path) -> Tensor:
        """A picture, uint8 (3, H, W). Raises: DataFolderError."""
        return v2.functional.pil_to_tensor(cls._open(path, "RGB"))

    @classmethod
    def read_mask(cls, path: Path, picture: Tensor) -> Tensor:
        """The mask of a picture (3, H, W): whole numbers as they stand in the file, uint8 (H, W).

        Raises: DataFolderError, also where the mask has another size than its picture.
        """
        mask = torch.from_numpy(np.array(cls._open(path, None)))
        if mask.dtype != torch.uint8 or mask.ndim != 2:
            raise cls.trouble(f"{path.name} is no mask: expected one number a pixel, 0 to 255")
        if mask.shape != picture.shape[1:]:
            (height, width), (rows, columns) = picture.shape[1:], mask.shape
            raise cls.trouble(
                f"the mask {path.name} is {columns}x{rows} pixels large, but its picture {width}x{height}"
            )
        return mask

    @classmethod
    def _open(cls, path: Path, mode: str | None) -> Image.Image:
        try:
            with Image.open(path) as image:
                return image.convert(mode) if mode else image.copy()
        except FileNotFoundError as error:
            raise cls.trouble(f"{path.name} is missing from {str(path.parent)!r}") from error
        except Exception as error:  # Pillow's formats each have errors of their own
            raise cls.trouble(
                f"{path.name} in {str(path.parent)!r} is cut short or no picture "
                f"({type(error).__name__}: {error})"
            ) from error

    def to_square(self, picture: Tensor) -> Tensor:
        """uint8 (3, H, W) => float (3, image_size, image_size), normalized and filled up with zeros."""
        size = scaled_size(picture.shape[1:], self.image_size)
        small = v2.functional.resize(picture, list(size), antialias=True)
        return fill_up(self.normalize(small.float() / 255), self.image_size, value=0)

    def mask_to_square(self, mask: Tensor, fill: int) -> Tensor:
        """uint8 (H, W) => int64 (image_size, image_size): nearest labels, and `fill` beyond the picture."""
        size = scaled_size(mask.shape, self.image_size)
        nearest = InterpolationMode.NEAREST_EXACT
        return fill_up(v2.functional.resize(mask[None], list(size), nearest)[0].long(), self.image_size, fill)


def scaled_size(size: tuple[int, int], longer: int) -> tuple[int, int]:
    """(H, W) scaled so that the longer of the two becomes `longer`; the other is at least 1."""
    height, width = size
    scale = longer / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def fill_up(values: Tensor, size: int, value: float) -> Tensor:
    """(..., H, W) => (..., size, size), with `value` at the right and at the bottom."""
    height, width = values.shape[-2:]
    return F.pad(values, (0, size - width, 0, size - height), value=value)
