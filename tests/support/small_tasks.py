"""Small backbones, tasks and data for tests of training and of what it refuses; each learns in a second."""

import copy

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from backbones import Backbone, Network
from backbones.backbone import ByStride, Features
from backbones.data.scenes import Scene, collate
from backbones.heads import ClassificationHead, Detector, SegmentationHead
from backbones.tasks import Classification, Detection, MultiLabelClassification, Segmentation, Task


class Small(Backbone):
    """One convolution with batch norm, and dropout so that training and eval mode differ."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "small"
        self.channels = ByStride({2: 8})
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)
        )

    def forward(self, images: Tensor) -> Features:
        return Features({2: self.body(images)}, images.shape[-2:])


class Deeper(Backbone):
    """Three strides, for heads that need more than one."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "deeper"
        self.channels = ByStride({4: 16, 8: 32, 16: 32})
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, d, 2 * s - 1, s, padding=s - 1), nn.BatchNorm2d(d), nn.ReLU())
            for c, d, s in ((3, 16, 4), (16, 32, 2), (32, 32, 2))
        )

    def forward(self, images: Tensor) -> Features:
        maps, x = {}, images
        for stride, stage in zip(self.channels, self.stages, strict=True):
            maps[stride] = x = stage(x)
        return Features(maps, images.shape[-2:])


class Prepared(nn.Module):
    """Gives the answers it was made with; an image says by its value which of them."""

    def __init__(self, answers: list) -> None:
        super().__init__()
        self.backbone, self.answers = nn.Identity(), answers
        self.bias = nn.Parameter(torch.zeros(()))  # so that there is something to train

    def forward(self, images: Tensor) -> Tensor | list:
        chosen = [self.answers[int(image.flatten()[0])] for image in images]
        return torch.stack(chosen) + self.bias if isinstance(chosen[0], Tensor) else chosen


# ---- Tasks: three classes each, or two things to be present ---------------------------------------


def classification(backbone: Backbone, **options) -> Task:
    head = ClassificationHead(backbone.channels, num_classes=3)
    return Classification(Network(backbone, head), num_classes=3, **options)


def multi_label(backbone: Backbone, **options) -> Task:
    head = ClassificationHead(backbone.channels, num_classes=2)
    return MultiLabelClassification(Network(backbone, head), num_classes=2, **options)


def segmentation(backbone: Backbone, **options) -> Task:
    head = SegmentationHead(backbone.channels, num_classes=3, strides=(4, 8, 16))
    return Segmentation(Network(backbone, head), num_classes=3, **options)


def detection(backbone: Backbone, **options) -> Task:
    return Detection(Detector(backbone, num_classes=3), **options)


METRICS = {classification: "accuracy", multi_label: "f1", segmentation: "miou", detection: "map50"}


# ---- Data ----------------------------------------------------------------------------------------


class Batches(pl.LightningDataModule):
    """The same images with the same answers, to train, validate and test."""

    def __init__(self, images: Tensor | list, answers: Tensor | list, batch_size: int = 4):
        super().__init__()
        self.pairs = list(zip(images, answers, strict=True))
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader:
        def together(pairs: list) -> tuple:
            images, answers = zip(*pairs, strict=True)
            return torch.stack(images), torch.stack(answers) if isinstance(answers[0], Tensor) else answers

        return DataLoader(self.pairs, self.batch_size, collate_fn=together)

    val_dataloader = test_dataloader = train_dataloader


class Colors(pl.LightningDataModule):
    """Noisy images that are mostly red, green or blue: no network can fail on them."""

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.labels = torch.arange(3).repeat(20)  # (60,)
        self.images = torch.rand(60, 3, 8, 8, generator=generator) * 0.5
        self.images[torch.arange(60), self.labels] += 0.5
        self.data = TensorDataset(self.images, self.labels)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.data, batch_size=15, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.data, batch_size=16)  # the last batch is smaller

    test_dataloader = val_dataloader


class Squares(pl.LightningDataModule):
    """Up to two squares on gray noise: class 1 is red, class 2 is green; every third image is empty."""

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)

        def number(low: int, high: int) -> int:
            return int(torch.randint(low, high, (), generator=generator))

        self.scenes = []
        for index in range(48):
            image = torch.rand(3, 32, 32, generator=generator) * 0.5
            presence, mask = torch.zeros(2), torch.zeros(32, 32, dtype=torch.int64)
            boxes, labels = [], []
            for column in range(0, 32 * (index % 3 > 0), 16):  # one on the left, one on the right
                label, side = number(1, 3), number(8, 15)
                x, y = column + number(0, 16 - side), number(0, 32 - side)
                image[label - 1, y : y + side, x : x + side] = 1
                mask[y : y + side, x : x + side] = label
                presence[label - 1] = 1
                boxes.append([x, y, x + side, y + side])
                labels.append(label)
            found = target(boxes, labels)
            self.scenes.append(Scene(image, presence, found["boxes"], found["labels"], mask, mask))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.scenes, batch_size=8, shuffle=True, collate_fn=collate)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.scenes, batch_size=20, collate_fn=collate)  # the last batch is smaller

    test_dataloader = val_dataloader


def target(boxes: list, labels: list[int], scores: list[float] | None = None) -> dict[str, Tensor]:
    """Boxes with labels, the right ones of an image, or with scores found ones."""
    right = {
        "boxes": torch.tensor(boxes).float().reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
    return right if scores is None else right | {"scores": torch.tensor(scores)}


NOTHING = target([], [], [])


# ---- What training has changed -------------------------------------------------------------------


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {key for key, value in module.state_dict().items() if not torch.equal(value, before[key])}
