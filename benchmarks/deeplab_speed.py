"""DeepLabv3+ beside segmentation_models.pytorch's: `python course.py bench deeplab_speed`

Both heads on the same timm backbone, with the same settings: separable convolutions, atrous rates of the
paper, output stride 16, one 3x3 convolution at stride 4 (theirs has one, the paper two: a column beside shows
the paper's). The three take turns, one pass each, so that what else the machine does meets all of them;
reported is the median of the turns' ratios. Memory is computed from shapes: what training keeps for the
backward pass, and the most that inference holds at once. Writes benchmarks/deeplab_speed.md.
"""

import argparse
import datetime
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from backbones import DeepLabV3Plus, cost, create_backbone

from .lessons import machine
from .memory import peak_bytes

RESULTS = Path(__file__).with_suffix(".md")
BACKBONES = ["resnet101", "mobilenetv2_100", "xception65", "tf_efficientnet_lite0"]
LABELS = ["peer", "ours", "paper"]
CLASSES, RATES = 21, (6, 12, 18)
BUILDS = 5
EVAL, TRAIN = (1, 3, 256, 256), (4, 3, 128, 128)
COMMAND = "python course.py bench deeplab_speed"


class Row(NamedTuple):
    """One backbone: medians in milliseconds, and ratios to the peer (below 1: ours is faster, or smaller)."""

    backbone: str
    mode: str
    peer_ms: float
    ours_ms: float
    ratio: float
    paper_ratio: float
    memory_ratio: float


def build(label: str, name: str) -> nn.Module:
    """One of the three contestants, with random weights."""
    if label == "peer":
        return smp.DeepLabV3Plus(
            f"tu-{name}",
            encoder_weights=None,
            encoder_output_stride=16,
            decoder_atrous_rates=RATES,
            classes=CLASSES,
        )
    convs = {"ours": 1, "paper": 2}[label]
    return DeepLabV3Plus(create_backbone(name, output_stride=16), CLASSES, decoder_convs=convs, dropout=0.5)


def contestants(name: str, draw: random.Random) -> dict[str, nn.Module]:
    """The peer's model, ours with the peer's settings, and ours with the paper's decoder; same backbone."""
    models = {label: build(label, name) for label in draw.sample(LABELS, len(LABELS))}
    state = models["peer"].encoder.model.state_dict()
    for label in ("ours", "paper"):
        models[label].backbone.body.load_state_dict(state)
    return models


def take_turns(
    runs: dict[str, Callable[[], object]],
    rounds: int,
    draw: random.Random,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Milliseconds of each, `rounds` times, in turns; before that three rounds to warm up.

    The order is drawn anew each round: a model that follows itself finds its memory still at hand and is
    faster by a percent or two, and that luck is to meet all of them alike.
    """
    times: dict[str, list[float]] = {label: [] for label in runs}
    for turn in range(rounds + 3):
        for label in draw.sample(list(runs), len(runs)):
            began = clock()
            runs[label]()
            if turn >= 3:
                times[label].append(1000 * (clock() - began))
    return times


def evaluate(model: nn.Module, images: Tensor) -> None:
    with torch.inference_mode():
        model(images)


def train(model: nn.Module, images: Tensor) -> None:
    model.zero_grad()
    model(images).mean().backward()


def compare(name: str, rounds: int) -> list[Row]:
    """Time both passes of the three models on one backbone.

    Where in memory a model lies makes it a percent or two faster or slower, so all are built several times.
    """
    draw = random.Random(0)
    torch.manual_seed(0)
    modes = {"eval": (evaluate, torch.randn(EVAL)), "train": (train, torch.randn(TRAIN))}
    times: dict[str, dict[str, list[float]]] = {mode: {label: [] for label in LABELS} for mode in modes}
    for _ in range(BUILDS):
        models = contestants(name, draw)
        for mode, (step, images) in modes.items():
            for model in models.values():
                model.train(mode == "train")
            runs = {label: partial(step, model, images) for label, model in models.items()}
            for label, measured in take_turns(runs, rounds, draw).items():
                times[mode][label] += measured
    rows = []
    for mode, (_, images) in modes.items():
        memory = {
            label: peak_bytes(models[label].eval(), images)
            if mode == "eval"
            else cost.measure(models[label], images).activation_bytes
            for label in ("peer", "ours")
        }
        ratios = [
            statistics.median(a / b for a, b in zip(times[mode][label], times[mode]["peer"], strict=True))
            for label in ("ours", "paper")
        ]
        medians = [statistics.median(times[mode][label]) for label in ("peer", "ours")]
        rows.append(Row(name, mode, *medians, *ratios, memory["ours"] / memory["peer"]))
        print(rows[-1], flush=True)
    return rows


def table(rows: list[Row], rounds: int) -> str:
    """The results as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("timm", "segmentation-models-pytorch"))
    lines = f"""# DeepLabv3+ beside segmentation_models.pytorch: time and memory

Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}, {versions},
two threads, {rounds} interleaved rounds with each of {BUILDS} builds.

Same timm backbone, output stride 16, rates {RATES}, separable, one 3x3 convolution at stride 4,
{CLASSES} classes; `eval` is a forward pass of {EVAL}, `train` forward and backward of {TRAIN}.
Ratios are ours to theirs: below 1 ours is faster or smaller. "Paper's decoder" is ours with its default
of two 3x3 convolutions, to the same peer. Memory: peak of a forward pass (eval), what the backward pass
needs (train).

| backbone | mode | theirs, ms | ours, ms | time ratio | time ratio, paper's decoder | memory ratio |
|---|---|---:|---:|---:|---:|---:|
""".splitlines()
    for row in rows:
        times = f"{row.peer_ms:.0f} | {row.ours_ms:.0f} | {row.ratio:.2f} | {row.paper_ratio:.2f}"
        lines.append(f"| {row.backbone} | {row.mode} | {times} | {row.memory_ratio:.2f} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.partition("\n")[0])
    parser.add_argument(
        "backbones", nargs="*", default=BACKBONES, help="default: all four; the table needs all"
    )
    parser.add_argument("--rounds", type=int, default=8, help="with each build of the models")
    options = parser.parse_args(arguments)
    torch.set_num_threads(2)
    rows = [row for name in options.backbones for row in compare(name, options.rounds)]
    if options.backbones == BACKBONES:
        RESULTS.write_text(table(rows, options.rounds), encoding="utf-8")
        print(f"written: benchmarks/{RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
