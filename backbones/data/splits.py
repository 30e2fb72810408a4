"""Data in three parts as LightningDataModules: labeled texts, small labeled images, and what all share."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from .images import Statistic, check_positive, normalization
from .vocabulary import Vocabulary

MADE_BY_SETUP = "train", "val", "test", "unseen", "class_names", "mask_names", "nodes", "adjacency", "labels"


class SplitData(LightningDataModule):
    """Data in three parts: `setup()` of a subclass makes `train`, `val`, `test`; here they become batches."""

    batch_size: int
    seed: int
    _interrupted: Tensor | None = None  # where an interrupted training was in the order of examples
    collate: Callable[[list], Any] | None = None  # how items become a batch; None: torch's own way

    def __getattr__(self, name: str):
        if name in MADE_BY_SETUP or name.endswith("vocabulary"):
            raise AttributeError(f"{type(self).__name__} has no .{name} yet: call setup() first")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches; the same order again from each new loader."""
        order = torch.Generator().manual_seed(self.seed)
        if self._interrupted is not None:
            order.set_state(self._interrupted)
            self._interrupted = None
        return DataLoader(self.train, self.batch_size, shuffle=True, generator=order, collate_fn=self.collate)

    def state_dict(self) -> dict[str, Tensor]:
        """Where the order of examples stands, for a checkpoint of Lightning."""
        order = getattr(self.trainer.train_dataloader, "generator", None)  # others may have none
        return {} if order is None else {"order": order.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Let the next loader go on with the order of an interrupted training."""
        self._interrupted = state.get("order")

    def val_dataloader(self) -> DataLoader:
        """Batches in fixed order."""
        return DataLoader(self.val, self.batch_size, collate_fn=self.collate)

    def test_dataloader(self) -> DataLoader:
        """Batches in fixed order."""
        return DataLoader(self.test, self.batch_size, collate_fn=self.collate)


class LabeledTexts(SplitData):
    """Texts with a class each: `setup()` of a subclass makes the parts, lists of items with .text and .label.

    Attributes: class_names, in label order; vocabulary, which turns texts into numbers by `.batch(texts)`.
    """

    class_names: Sequence[str]
    vocabulary: Any

    def texts(self, part: str) -> list[str]:
        """The texts of "train", "val" or "test", in the order of that part."""
        return [item.text for item in getattr(self, part)]

    def need_vocabulary(self) -> None:
        """Take the words of the training texts, unless a vocabulary was given."""
        if self.vocabulary is None:
            self.vocabulary = Vocabulary.of(self.texts("train"))

    def collate(self, items: list) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Make a batch ((tokens (B, T), lengths (B,)), labels (B,)), all int64."""
        return self.vocabulary.batch([item.text for item in items]), torch.tensor(
            [item.label for item in items]
        )


class LabeledImages(SplitData):
    """Small gray images with a class each, in a fixed split; a subclass says which images.

    `setup()` makes `train`, `val` and `test`: TensorDatasets of (image, label), image float32
    (channels, image_size, image_size) in [0, 1] unless mean and std are given, label int64 (). It starts from
    the files each time, so that calling it again changes nothing. The split is stratified (each part holds
    the classes in the same proportions) and the same whatever the options and the seed.

    Attributes: class_names, in label order.
    """

    class_names: ClassVar[tuple[str, ...]]
    split_sizes: ClassVar[tuple[int, int, int]]  # train, val, test

    def __init__(
        self,
        image_size: int,
        channels: int = 1,
        labels_per_class: int | None = None,
        batch_size: int = 64,
        mean: Statistic = None,
        std: Statistic = None,
        seed: int = 0,
    ):
        """
        Args:
            image_size: side in pixels; other sizes than the original are interpolated. All images are held in
                memory: N * channels * image_size^2 * 4 bytes.
            channels: 1, or 3 equal ones for a backbone that expects color.
            labels_per_class: keep this many training images of each class; None keeps all. A smaller number
                keeps a part of what a larger one keeps, so that a learning curve only adds images. val and
                test stay whole.
            batch_size: images per batch.
            mean, std: one number or one per channel, for images in [0, 1].
            seed: chooses which training images labels_per_class keeps, and the order of training batches.
        Raises:
            ValueError: for an option that makes no sense; from setup() if labels_per_class is too large.
        """
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(
                f"channels={channels} is not possible: choose 1 for gray, or 3 equal ones for color backbones"
            )
        check_positive(image_size=image_size, batch_size=batch_size)
        if labels_per_class is not None:
            check_positive(labels_per_class=labels_per_class)
        self.image_size, self.channels, self.batch_size = image_size, channels, batch_size
        self.labels_per_class, self.seed = labels_per_class, seed
        self.normalize = normalization(mean, std, channels)

    def load(self) -> tuple[Tensor, Tensor]:
        """All images, float32 (N, H, W) in [0, 1], and their labels, int64 (N,)."""
        raise NotImplementedError("a subclass of LabeledImages reads its images in load()")

    def setup(self, stage: str | None = None) -> None:
        """Make train, val and test; `stage` is Lightning's and all stages need the same."""
        images, labels = self.load()
        train, val, test = self._split(labels)
        train = self._keep(train, labels)
        self.train, self.val, self.test = (
            TensorDataset(self._prepare(images[part]), labels[part]) for part in (train, val, test)
        )

    def _split(self, labels: Tensor) -> list[Tensor]:
        from sklearn.model_selection import train_test_split  # here: with scipy it takes a second to import

        train_size, val_size, test_size = self.split_sizes
        indices = torch.arange(len(labels)).numpy()
        rest, test = train_test_split(indices, test_size=test_size, stratify=labels, random_state=0)
        train, val = train_test_split(
            rest, train_size=train_size, test_size=val_size, stratify=labels[rest], random_state=0
        )
        return [torch.from_numpy(part) for part in (train, val, test)]

    def _keep(self, train: Tensor, labels: Tensor) -> Tensor:
        if self.labels_per_class is None:
            return train
        available = labels[train].bincount()
        if self.labels_per_class > available.min():
            name = self.class_names[int(available.argmin())]
            raise ValueError(
                f"labels_per_class={self.labels_per_class} is more than there are: "
                f"the training set has {available.min()} images of class {name!r}"
            )
        shuffled = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed))]
        classes = range(len(self.class_names))
        return torch.cat([shuffled[labels[shuffled] == c][: self.labels_per_class] for c in classes])

    def _prepare(self, images: Tensor) -> Tensor:
        size = (self.image_size, self.image_size)
        images = images[:, None]  # (N, 1, H, W)
        if images.shape[-2:] != size:
            # antialias averages when it shrinks; it makes no difference when it enlarges
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return self.normalize(images.expand(-1, self.channels, -1, -1))
