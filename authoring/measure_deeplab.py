"""DeepLabv3+ on other backbones: `python -m authoring.measure_deeplab [PART ...]`

What lesson 05 shows and has no time to train. Every backbone sees the same scenes in the same order, none of
them twice.

`swap` is the experiment that the course is about: EfficientNet-Lite0, 1 and 2, whose ImageNet weights come
with it, under one head, and Lite0 from random numbers beside them. The whole model learns, from three seeds:
1,600 scenes in batches of eight, one learning rate for all. `decoder` asks what the decoder buys: two heads,
one without and one with it, learn from three seeds on the same frozen features. Their backbone is that of
lesson 04, which learned under FCN-8s and has never met a decoder. Half an hour on one quiet core. Writes
swap.csv and decoder.csv, mIoU on the same 200 test scenes: of all pixels, of those near the edges of shapes
and of those away from them; and swap_answers.npz, decoder_answers.npz: what the models of the first seed
said to three scenes.

ResNet-101 and Xception-65, whose ImageNet weights do not come with the course, start from random numbers,
and so do MobileNetV2 and Lite0 to compare. For each of these starts, once,

1. the whole model learns: validation mIoU against steps;
2. its backbone is frozen, and six heads (no, one or two 3x3 convolutions in the decoder, separable or dense)
   learn on it alike: mIoU on held-back scenes, at output stride 16, where they learned, and 8.

Hours on two cores: choose starts by name to do some of them, `--device cuda` where there is a GPU. Writes
START_curve.csv, _heads.csv and _answers.npz (what the heads said to three scenes). All files lie in
backbones/lessons/measured/deeplab.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassJaccardIndex

from authoring.recorded import Row, write
from authoring.train import SHARED
from backbones import Backbone, DeepLabV3Plus, Features, create_backbone
from backbones.data import Scenes
from backbones.data.scenes import Scene, SceneBatch
from backbones.deeplab import DeepLabHead
from backbones.lessons import FILES
from backbones.tasks import IGNORE, rate_factor
from backbones.weights import CHECKPOINTS

RESULTS = FILES / "measured" / "deeplab"
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
LITES = tuple(f"tf_efficientnet_lite{number}" for number in range(3))
SWAPS = [*((lite, "imagenet") for lite in LITES), (LITES[0], "random")]
SEEDS = (0, 1, 2)  # of the head's first numbers, of the training scenes and of dropout
SWAP_SCENES, SWAP_BATCH = 1600, 8
DECODER_CONVS, DECODER_STEPS, DECODER_BATCH, DECODER_WIDTH = (0, 2), 400, 12, 64

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


def shown_scenes(scenes: Scenes) -> list[int]:
    """Test scenes with most shapes: there is most to see in these."""
    first = range(min(100, len(scenes.test)))
    return sorted(first, key=lambda i: -len(scenes.test[i].boxes))[:SHOWN]


def compare(start: str, backbone: Backbone, heads: Heads, scenes: Scenes, device: str) -> None:
    """Measure the heads on this backbone at both output strides, and write that down."""
    truth = torch.cat([one.mask for one in scenes.test_dataloader()])
    shown = shown_scenes(scenes)
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


# Word by word as in the lesson, which explains it.
def near_edges(masks, width=2):
    """True where another class is at most `width` pixels away."""
    labels, window = masks[:, None].float(), 2 * width + 1
    highest = F.max_pool2d(labels, window, stride=1, padding=width)
    lowest = -F.max_pool2d(-labels, window, stride=1, padding=width)
    return (highest != lowest)[:, 0]


class Recorder:
    """Measures answers to the test scenes, and writes what is known after each run."""

    def __init__(self, part: str, test: Scenes):
        self.part, self.rows, shown = part, [], shown_scenes(test)
        truth = torch.cat([batch.mask for batch in test.test_dataloader()])
        band = near_edges(truth)
        self.truths = {
            "miou": truth,
            "near_edges": truth.where(band, IGNORE),
            "away": truth.where(~band, IGNORE),
        }
        self.kept = {"scenes": np.array(shown), "truth": truth[shown].numpy().astype(np.uint8)}

    def add(self, row: Row, name: str, said: Tensor) -> None:
        """Put down one run: what it was, how its answers are kept, and the answers (N, H, W)."""
        for which, masks in self.truths.items():
            row[which] = f"{MulticlassJaccardIndex(CLASSES, ignore_index=IGNORE)(said, masks):.4f}"
        self.rows.append(row)
        print(self.part, *row.values(), flush=True)
        write(RESULTS / f"{self.part}.csv", self.rows)
        if row["seed"] == SEEDS[0]:
            self.kept[name] = said[self.kept["scenes"]].numpy().astype(np.uint8)
            np.savez_compressed(RESULTS / f"{self.part}_answers.npz", **self.kept)


def trained(name: str, weights: str, seed: int) -> DeepLabV3Plus:
    """DeepLabv3+ on this backbone, after the training of all of it."""
    torch.manual_seed(seed)
    backbone = create_backbone(name, None if weights == "random" else weights, output_stride=16)
    torch.manual_seed(seed)  # the head's numbers do not depend on what the backbone drew
    model = DeepLabV3Plus(backbone, CLASSES, width=WIDTH, rates=RATES)
    model = model.to(memory_format=torch.channels_last).train()
    scenes = Scenes(count=SWAP_SCENES, mean=backbone.mean, std=backbone.std, seed=seed)
    scenes.setup()
    batches = DataLoader(scenes.train, SWAP_BATCH, collate_fn=scenes.collate)
    step = stepper(model.parameters(), len(batches))
    for batch in batches:
        images = batch.image.contiguous(memory_format=torch.channels_last)
        step(F.cross_entropy(model(images), batch.mask))
    return model.eval()


@torch.no_grad()
def said_to(model: nn.Module, scenes: Scenes) -> Tensor:
    """The model's classes for the test scenes: (N, H, W)."""
    parts = []
    for batch in scenes.test_dataloader():
        images = batch.image.contiguous(memory_format=torch.channels_last)
        parts.append(model(images).argmax(1))
    return torch.cat(parts)


def lite_scenes(test_scenes: int) -> Scenes:
    """Scenes as all EfficientNet-Lite want them."""
    scenes = Scenes(count=SWAP_SCENES, test_count=test_scenes, mean=(0.5,) * 3, std=(0.5,) * 3)
    scenes.setup()
    return scenes


def swap(test_scenes: int) -> None:
    """DeepLabv3+ on each backbone, from each seed; the runs of one seed before those of the next."""
    test = lite_scenes(test_scenes)
    recorder = Recorder("swap", test)
    for seed, (name, weights) in product(SEEDS, SWAPS):
        row: Row = {"backbone": name, "weights": weights, "seed": seed}
        recorder.add(row, f"{name}-{weights}", said_to(trained(name, weights, seed), test))


@torch.no_grad()
def features_of(backbone: Backbone, scenes: Sequence[Scene]) -> tuple[dict[int, Tensor], Tensor]:
    """The frozen backbone's maps at strides 4 and 16 for all scenes, and the masks."""
    maps: dict[int, list[Tensor]] = {4: [], 16: []}
    masks = []
    for batch in DataLoader(scenes, 20, collate_fn=Scenes.collate):
        features = backbone(batch.image.contiguous(memory_format=torch.channels_last))
        masks.append(batch.mask)
        for stride, parts in maps.items():
            parts.append(features[stride])
    return {stride: torch.cat(parts) for stride, parts in maps.items()}, torch.cat(masks)


def decoder(test_scenes: int) -> None:
    """Heads without and with a decoder learn alike on the same features, from each seed."""
    scenes = lite_scenes(test_scenes)
    recorder = Recorder("decoder", scenes)
    backbone = create_backbone(LITES[0], CHECKPOINTS / SHARED, output_stride=16)
    backbone = backbone.to(memory_format=torch.channels_last).eval()
    maps, masks = features_of(backbone, scenes.train)
    test_maps, _ = features_of(backbone, scenes.test)
    for seed, convs in product(SEEDS, DECODER_CONVS):
        torch.manual_seed(seed)
        head = DeepLabHead(backbone.channels, CLASSES, RATES, True, convs, width=DECODER_WIDTH)
        step = stepper(head.parameters(), DECODER_STEPS)
        order = torch.Generator().manual_seed(seed)  # both heads see the same batches
        for _ in range(DECODER_STEPS):
            rows = torch.randint(len(masks), (DECODER_BATCH,), generator=order)
            features = Features({stride: kept[rows] for stride, kept in maps.items()}, masks.shape[1:])
            step(F.cross_entropy(head(features), masks[rows]))
        head.eval()
        said = []
        with torch.no_grad():
            for rows in torch.arange(len(scenes.test)).split(20):
                features = Features({s: kept[rows] for s, kept in test_maps.items()}, masks.shape[1:])
                said.append(head(features).argmax(1))
        recorder.add({"decoder_convs": convs, "seed": seed}, str(convs), torch.cat(said))


RECORDED = {"swap": swap, "decoder": decoder}


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
    parts = (*RECORDED, *STARTS)
    parser.add_argument("parts", nargs="*", help=f"default: all of {', '.join(parts)}")
    parser.add_argument("--steps", type=int, default=1500, help="of the whole model")
    parser.add_argument("--head-steps", type=int, default=400, help="of the six heads")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--test-scenes", type=int, default=200, help="to measure on")
    parser.add_argument("--every", type=int, default=100, help="steps between two measurements")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(parts):
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(parts)}")
    for part in options.parts or parts:
        if part in RECORDED:
            RECORDED[part](options.test_scenes)
        else:
            run(part, options)
        print(f"written: backbones/lessons/measured/{RESULTS.name}/{part}*", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
