"""How DeepLabv3+ learns on four backbones: `python course.py bench deeplab_backbones`

The curves that lesson 05 shows for ResNet-101 and Xception-65, which are too large to train in a lesson. Same
head, same scenes in the same order, same steps. Backbones start from random numbers, since ImageNet's come
with the course only for EfficientNet-Lite, which is shown from both. `--device cuda` where there is a GPU.
Writes notebooks/measured/deeplab_backbones.csv: validation mIoU against steps.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from pytorch_lightning import LightningDataModule
from torch import nn
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassJaccardIndex

from backbones import DeepLabV3Plus, create_backbone
from backbones.data import Scenes
from backbones.tasks import IGNORE, rate_factor

RESULTS = Path(__file__).parents[1] / "notebooks" / "measured" / "deeplab_backbones.csv"
STARTS = [
    ("resnet101", None),
    ("xception65", None),
    ("mobilenetv2_100", None),
    ("tf_efficientnet_lite0", None),
    ("tf_efficientnet_lite0", "imagenet"),
]
WIDTH, RATES = 128, (1, 2, 3)  # as lesson 05 has them, for 96 pixels


def curve(
    name: str, weights: str | None, steps: int, batch: int, every: int, device: str
) -> Iterator[tuple[int, float]]:
    """Train from the start; yields (steps so far, mIoU on 200 validation scenes)."""
    torch.manual_seed(0)
    model = DeepLabV3Plus(create_backbone(name, weights, output_stride=16), 7, width=WIDTH, rates=RATES)
    model = model.to(device, memory_format=torch.channels_last)
    # No scene is seen twice, and every backbone is shown the same ones in the same order.
    scenes = Scenes(count=steps * batch, batch_size=batch, mean=model.backbone.mean, std=model.backbone.std)
    scenes.setup()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, steps))
    model.train()
    batches = DataLoader(scenes.train, batch, collate_fn=scenes.train_dataloader().collate_fn)
    for step, one in enumerate(batches, 1):
        logits = model(one.image.to(device))
        loss = torch.nn.functional.cross_entropy(logits, one.mask.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % every == 0:
            yield step, score(model, scenes, 7, device)
            model.train()


@torch.no_grad()
def score(model: nn.Module, data: LightningDataModule, num_classes: int, device: str = "cpu") -> float:
    """mIoU on the validation set. The model is left in eval mode."""
    model.eval()
    metric = MulticlassJaccardIndex(num_classes, ignore_index=IGNORE)
    for one in data.val_dataloader():
        metric(model(one.image.to(device)).argmax(1).cpu(), one.mask)
    return float(metric.compute())


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """All measurements so far, as CSV; their keys are the columns."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python course.py bench deeplab_backbones", description=__doc__)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--every", type=int, default=100, help="steps between two measurements")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    rows = []
    for name, weights in STARTS:
        began = time.perf_counter()
        for step, miou in curve(name, weights, options.steps, options.batch, options.every, options.device):
            row = {"backbone": name, "weights": weights or "random", "step": step, "miou": f"{miou:.4f}"}
            rows.append(row | {"seconds": f"{time.perf_counter() - began:.0f}"})
            print(*rows[-1].values(), flush=True)
            write(RESULTS, rows)  # each time: a long run that is stopped has not been in vain
    print(f"written: notebooks/measured/{RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
