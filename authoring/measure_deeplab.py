"""DeepLabv3+ on four backbones, and six heads on each: `python -m authoring.measure_deeplab`

What lesson 05 shows for ResNet-101 and Xception-65, which are too large to train in a lesson. Every backbone
sees the same scenes in the same order, none of them twice. Backbones start from random numbers, since
ImageNet's come with the course only for EfficientNet-Lite, which is shown from both. For each start,

1. the whole model learns: validation mIoU against steps;
2. its backbone is frozen, and six heads (no, one or two 3x3 convolutions in the decoder, separable or dense)
   learn on it alike: mIoU on held-back scenes, at output stride 16, where they learned, and 8.

Hours on two cores: choose starts by name to do some of them, `--device cuda` where there is a GPU. Writes
notebooks/measured/deeplab/START_curve.csv, _heads.csv and _answers.npz (what the heads said to three scenes).
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassJaccardIndex

from authoring.notebooks import ROOT
from authoring.recorded import write
from backbones import Backbone, DeepLabV3Plus, create_backbone
from backbones.data import Scenes
from backbones.data.scenes import SceneBatch
from backbones.deeplab import DeepLabHead
from backbones.tasks import IGNORE, rate_factor

RESULTS = ROOT / "notebooks" / "measured" / "deeplab"
STARTS = {
    "resnet101-random": ("resnet101", None),
    "xception65-random": ("xception65", None),
    "mobilenetv2_100-random": ("mobilenetv2_100", None),
    "tf_efficientnet_lite0-random": ("tf_efficientnet_lite0", None),
    "tf_efficientnet_lite0-imagenet": ("tf_efficientnet_lite0", "imagenet"),
}
CLASSES, WIDTH, RATES = 7, 128, (1, 2, 3)  # as lesson 05 has them, for 96 pixels
HEADS = list(product((0, 1, 2), (True, False)))  # convolutions of the decoder, separable
SHOWN = 3  # scenes whose answers are kept

Heads = dict[tuple[int, bool], DeepLabHead]


def stepper(parameters: Iterable[nn.Parameter], count: int) -> Callable[[Tensor], None]:
    """`step(loss)`, to be called `count` times: the learning rate rises and falls over all of them."""
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: rate_factor(done, count))

    def step(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    return step


def curve(
    model: DeepLabV3Plus, batches: Iterator[SceneBatch], steps: int, every: int, scenes: Scenes, device: str
) -> Iterator[tuple[int, float]]:
    """Train the whole model; yields (steps so far, mIoU on the validation scenes)."""
    step = stepper(model.parameters(), steps)
    model.train()
    for done, batch in enumerate(islice(batches, steps), 1):
        step(F.cross_entropy(model(batch.image.to(device)), batch.mask.to(device)))
        if done % every == 0:
            yield done, score(model, scenes, CLASSES, device)
            model.train()


@torch.no_grad()
def score(model: nn.Module, data: LightningDataModule, num_classes: int, device: str = "cpu") -> float:
    """mIoU on the validation set. The model is left in eval mode."""
    model.eval()
    metric = MulticlassJaccardIndex(num_classes, ignore_index=IGNORE)
    for one in data.val_dataloader():
        metric(model(one.image.to(device)).argmax(1).cpu(), one.mask)
    return float(metric.compute())


def six_heads(backbone: Backbone, like: Heads | None = None) -> Heads:
    """The heads for this backbone's output stride, with random weights or those of others."""
    rates = [rate * 16 // backbone.output_stride for rate in RATES]
    heads = {}
    for convs, separable in HEADS:
        head = DeepLabHead(backbone.channels, CLASSES, rates, separable, convs, width=WIDTH)
        if like:
            head.load_state_dict(like[convs, separable].state_dict())
        heads[convs, separable] = head
    return heads


def learn_heads(backbone: Backbone, batches: Iterator[SceneBatch], steps: int, device: str) -> Heads:
    """Six heads learn side by side on the frozen backbone; each has a loss and weights of its own."""
    heads = six_heads(backbone.eval())
    learners = nn.ModuleList(heads.values()).to(device)
    step = stepper(learners.parameters(), steps)
    for batch in islice(batches, steps):
        with torch.no_grad():
            features = backbone(batch.image.to(device))
        masks = batch.mask.to(device)
        logits = [head(features) for head in learners]
        step(sum(F.cross_entropy(one, masks) for one in logits))
    return heads


@torch.no_grad()
def answers(backbone: Backbone, heads: Heads, scenes: Scenes, device: str) -> dict[tuple[int, bool], Tensor]:
    """What each head says to the test scenes: (N, H, W), on the CPU."""
    backbone.eval()
    said: dict[tuple[int, bool], list[Tensor]] = {which: [] for which in heads}
    for one in scenes.test_dataloader():
        features = backbone(one.image.to(device))
        for which, head in heads.items():
            logits = head.to(device).eval()(features)
            said[which].append(logits.argmax(1).cpu())
    return {which: torch.cat(parts) for which, parts in said.items()}


def compare(start: str, backbone: Backbone, heads: Heads, scenes: Scenes, device: str) -> None:
    """Measure the heads on this backbone at both output strides, and write that down."""
    truth = torch.cat([one.mask for one in scenes.test_dataloader()])
    first = range(min(100, len(scenes.test)))
    shown = sorted(first, key=lambda i: -len(scenes.test[i].boxes))[:SHOWN]  # there is most to see in these
    rows, kept = [], {"scenes": np.array(shown), "truth": truth[shown].numpy().astype(np.uint8)}
    for stride in (16, 8):
        finer = create_backbone(backbone.name, output_stride=stride).to(device)
        finer.load_state_dict(backbone.state_dict())
        for which, said in answers(finer, six_heads(finer, heads), scenes, device).items():
            miou = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORE)(said, truth)
            what = dict(zip(("output_stride", "decoder_convs", "separable"), (stride, *which), strict=True))
            rows.append({**what, "miou": f"{miou:.4f}"})
            print(start, *rows[-1].values(), flush=True)
            kept["-".join(map(str, what.values()))] = said[shown].numpy().astype(np.uint8)
    write(RESULTS / f"{start}_heads.csv", rows)
    np.savez_compressed(RESULTS / f"{start}_answers.npz", **kept)


def run(start: str, options: argparse.Namespace) -> None:
    """Both experiments with one backbone."""
    name, weights = STARTS[start]
    torch.manual_seed(0)
    backbone = create_backbone(name, weights, output_stride=16)
    model = DeepLabV3Plus(backbone, CLASSES, width=WIDTH, rates=RATES)
    model = model.to(options.device, memory_format=torch.channels_last)
    count = (options.steps + options.head_steps) * options.batch
    scenes = Scenes(
        count=count,
        val_count=options.test_scenes,
        test_count=options.test_scenes,
        batch_size=options.batch,
        mean=backbone.mean,
        std=backbone.std,
    )
    scenes.setup()
    loader = DataLoader(scenes.train, options.batch, collate_fn=scenes.train_dataloader().collate_fn)
    batches = iter(loader)  # the heads go on where the whole model ended
    rows, began = [], time.perf_counter()
    for step, miou in curve(model, batches, options.steps, options.every, scenes, options.device):
        rows.append({"step": step, "miou": f"{miou:.4f}", "seconds": f"{time.perf_counter() - began:.0f}"})
        print(start, *rows[-1].values(), flush=True)
        write(RESULTS / f"{start}_curve.csv", rows)  # each time: a run that is stopped was not in vain
    heads = learn_heads(backbone, batches, options.head_steps, options.device)
    compare(start, backbone, heads, scenes, options.device)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m authoring.measure_deeplab", description=__doc__)
    parser.add_argument("starts", nargs="*", help=f"default: all of {', '.join(STARTS)}")
    parser.add_argument("--steps", type=int, default=1500, help="of the whole model")
    parser.add_argument("--head-steps", type=int, default=400, help="of the six heads")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--test-scenes", type=int, default=200, help="to measure on")
    parser.add_argument("--every", type=int, default=100, help="steps between two measurements")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    if unknown := set(options.starts) - set(STARTS):
        parser.error(f"there is no start {', '.join(unknown)}: choose from {', '.join(STARTS)}")
    for start in options.starts or STARTS:
        run(start, options)
        print(f"written: notebooks/measured/{RESULTS.name}/{start}_*", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
