"""What lesson 13's own backbone is worth beside others: `python -m authoring.measure_capstone`

PocketNet is written in the lesson's cells, so it is read from them: those with the tag "own-backbone".

    front    ten classes of digits with 20 labels each, by PocketNet in three widths, EfficientNet-Lite0 to 2,
             MobileNetV2 and ResNet-18, all from random numbers; Lite0 from ImageNet besides. front.csv
    tasks    digits, DeepLabv3+ and detection on scenes, by PocketNet frozen at random numbers (the control;
             only batch norm's mean and variance are the data's), PocketNet trained, and Lite0 trained from
             ImageNet. tasks.csv

Within a task all see the same examples equally often, three seeds each; a seed chooses the examples and the
start. About 20 minutes on one quiet core; parts by name do one of them. Writes backbones/lessons/measured/capstone/.
"""

import argparse
import json
import sys
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import nn

from authoring.notebooks import ROOT
from authoring.recorded import Row, write
from backbones import Backbone, DeepLabV3Plus, Features, Network, cost, create_backbone, register
from backbones.backbone import ByStride
from backbones.data import Digits, Scenes
from backbones.heads import ClassificationHead, Detector
from backbones.lessons import FILES
from backbones.tasks import Classification, Detection, Segmentation, Task, evaluate, fit
from backbones.weights import read_weights

LESSON = ROOT / "notebooks" / "13_bring_your_own_backbone.ipynb"
RESULTS = FILES / "measured" / "capstone"
SEEDS = (0, 1, 2)
MIDDLE = 0.5  # mean and deviation that PocketNet and EfficientNet-Lite expect
# timm gives Lite's batch norm 0.01 as momentum: it takes some hundred steps until the running mean is worth
# anything, hence small batches.
BATCH = 8
LABELS, EPOCHS, DIGIT_SIZE = 20, 12, 32  # digits: labels per class, passes over them, pixels
SCENES, TEST_SCENES = 2000, 200  # each is seen once
RATES = (1, 2, 3)  # of ASPP, for maps of 6 x 6 positions
LITE = [f"tf_efficientnet_lite{number}" for number in range(3)]
FRONT: list[tuple[str, str, dict[str, Any]]] = [  # backbone, start, options
    *(("pocket", "random", {"width": width}) for width in (8, 16, 32)),
    *((name, "random", {}) for name in [*LITE, "mobilenetv2_100", "resnet18"]),
    (LITE[0], "imagenet", {}),
]
ARMS = {  # backbone, weights, and how it learns; what is pretrained takes smaller steps
    "PocketNet, random, frozen": ("pocket", None, {"freeze_backbone": True}),
    "PocketNet, trained": ("pocket", None, {"backbone_lr": 4e-3}),
    "Lite0 from ImageNet, trained": ("tf_efficientnet_lite0", "imagenet", {"backbone_lr": 1e-3}),
}


def own_backbone() -> Callable[..., Backbone]:
    """The lesson's PocketNet, from its own cells."""
    cells = json.loads(LESSON.read_text(encoding="utf-8"))["cells"]
    code = ["".join(c["source"]) for c in cells if "own-backbone" in c["metadata"].get("tags", [])]
    names: dict[str, Any] = {"nn": nn, "Backbone": Backbone, "ByStride": ByStride, "Features": Features}
    exec("\n\n".join(code), names)

    def build(weights: Any = None, **options: Any) -> Backbone:
        backbone = names["PocketNet"](**options)
        if weights is not None:
            backbone.load_state_dict(read_weights(weights))
        return backbone

    return build


def digits(seed: int) -> LightningDataModule:
    """Real digits, a few labels of each."""
    options = {"batch_size": BATCH, "mean": MIDDLE, "std": MIDDLE}
    return Digits(DIGIT_SIZE, channels=3, labels_per_class=LABELS, seed=seed, **options)


def scenes(seed: int) -> LightningDataModule:
    """Generated scenes; the test scenes are the same for every seed that trains."""
    return Scenes(
        count=SCENES,
        val_count=1,
        test_count=TEST_SCENES,
        batch_size=BATCH,
        mean=MIDDLE,
        std=MIDDLE,
        seed=seed,
    )


def classification(backbone: Backbone, **options: Any) -> Task:
    network = Network(backbone, ClassificationHead(backbone.channels, 10))
    return Classification(network, 10, lr=4e-3, falling_rate=True, **options)


def segmentation(backbone: Backbone, **options: Any) -> Task:
    network = DeepLabV3Plus(backbone, 7, width=64, rates=RATES)
    return Segmentation(network, 7, lr=4e-3, falling_rate=True, **options)


def detection(backbone: Backbone, **options: Any) -> Task:
    return Detection(Detector(backbone, 7), lr=4e-3, falling_rate=True, **options)


TASKS = {  # task, data, passes, score, output stride
    "classification": (classification, digits, EPOCHS, "test_accuracy", 32),
    "DeepLabv3+": (segmentation, scenes, 1, "test_miou", 16),
    "detection": (detection, scenes, 1, "test_map50", 32),
}


def score(
    make: Callable[..., Task],
    backbone: Backbone,
    data: LightningDataModule,
    epochs: int,
    name: str,
    **options: Any,
) -> str:
    """Train and measure."""
    task = make(backbone, **options)
    fit(task, data, epochs, validate=False)
    return f"{evaluate(task, data)[name]:.4f}"


@torch.no_grad()
def settle_norms(backbone: Backbone, data: LightningDataModule) -> None:
    """Batch norm's mean and variance from the training inputs: without them random numbers fade to nothing
    from stage to stage, and the control would be worse than it need be."""
    data.setup()
    norms = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean of all batches
    backbone.train()
    for batch in islice(data.train_dataloader(), 25):
        backbone(batch[0])
    for norm in norms:
        norm.momentum = 0.1


def front() -> None:
    """Accuracy and costs of every backbone, from every start."""
    rows: list[Row] = []
    image = torch.zeros(1, 3, DIGIT_SIZE, DIGIT_SIZE)
    for seed in SEEDS:
        for name, start, options in FRONT:
            torch.manual_seed(seed)
            backbone = create_backbone(name, "imagenet" if start == "imagenet" else None, **options)
            label = name + "".join(f"-{value}" for value in options.values())
            rate = 1e-3 if start == "imagenet" else 4e-3
            costs = cost.measure(backbone, image)
            rows.append(
                {
                    "backbone": label,
                    "start": start,
                    "seed": seed,
                    "parameters": costs.parameters,
                    "multiply_adds": costs.multiply_adds,
                    "accuracy": score(
                        classification, backbone, digits(seed), EPOCHS, "test_accuracy", backbone_lr=rate
                    ),
                }
            )
            keep("front", rows)


def tasks() -> None:
    """Three arms under three heads."""
    rows: list[Row] = []
    for seed in SEEDS:
        for task, (make, data, epochs, name, stride) in TASKS.items():
            for arm, (backbone, weights, options) in ARMS.items():
                torch.manual_seed(seed)
                body = create_backbone(backbone, weights, output_stride=stride)
                examples = data(seed)
                if "freeze_backbone" in options:
                    settle_norms(body, examples)
                found = score(make, body, examples, epochs, name, **options)
                seen = {"examples": len(examples.train), "passes": epochs}
                rows.append({"task": task, "arm": arm, "seed": seed, **seen, "score": found})
                keep("tasks", rows)


def keep(name: str, rows: list[Row]) -> None:
    """Write the table so far, and say its last row."""
    write(RESULTS / f"{name}.csv", rows)
    print(*rows[-1].values(), flush=True)


PARTS = {"front": front, "tasks": tasks}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m authoring.measure_capstone", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"default: {', '.join(PARTS)}")
    names = parser.parse_args(arguments).parts
    if unknown := set(names) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    register("pocket", own_backbone())
    for name in names or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
