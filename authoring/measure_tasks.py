"""Three tasks on one backbone, from several starts: `python -m authoring.measure_tasks`

What lesson 04 shows beside what it trains itself. Three seeds each: a seed makes the training scenes, their
order and the heads' first numbers. All heads of one seed and one table see the same scenes in the same order.
Test scenes are the same for all.

    few     heads as the lesson trains them: 240 scenes, three times, constant rates. few.csv
    many    the same heads on 1,600 scenes, each once, with the falling rates of `authoring.train`. many.csv
    rates   segmentation goes on as in the lesson from the head of `few`: the backbone frozen, or learning at
            several rates; validation mIoU after each epoch. rates.csv. And what other heads then say on a
            backbone that has changed under them. changed.csv

Frozen backbones of few and many: Lite0 from random numbers (its batch norm set to the mean and variance of
scenes), Lite0 from ImageNet, Lite0 of the finished models, and Lite2 from ImageNet. On ImageNet's Lite0 there
are also heads that read one map only, and on the finished one detectors whose neck lacks its path downwards:
cut after training ("path cut"), or never there ("no path").

About 15 minutes on one core; parts by name do some of it. Writes into backbones/lessons/measured/tasks/.
"""

import copy
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassJaccardIndex, MultilabelF1Score
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from authoring.measure_capstone import settle_norms
from authoring.recorded import Row, measure_parts
from authoring.train import SHARED
from backbones import Backbone, Features, Network, create_backbone
from backbones.data import Scenes
from backbones.data.scenes import SceneBatch
from backbones.heads import ClassificationHead, DetectionHead, SegmentationHead
from backbones.lessons import FILES
from backbones.tasks import Segmentation, fit, rate_factor
from backbones.weights import CHECKPOINTS

RESULTS = FILES / "measured" / "tasks"
SEEDS = range(3)
LITE0, LITE2 = "tf_efficientnet_lite0", "tf_efficientnet_lite2"
THREE = ("classify", "segment", "detect")
ALONE = ("stride 8", "stride 16", "stride 32")
READ = {  # frozen backbone: which heads stand on it
    "random": ("classify", "segment"),
    "ImageNet": (*THREE, *ALONE),
    "finished": (*THREE, "no path"),
    "ImageNet, Lite2": ("classify", "segment"),
}
FEW = {  # training scenes, passes over them, whether the rates fall, rates of the three kinds of heads
    "count": 240,
    "passes": 3,
    "falling": False,
    "rates": {"classify": 5e-3, "segment": 3e-3, "detect": 1e-3},
}
MANY = {
    "count": 1600,
    "passes": 1,
    "falling": True,
    "rates": {"classify": 2e-2, "segment": 4e-3, "detect": 4e-3},
}
ONLY_MANY = {"random", "no path"}  # they have nothing to say after 240 scenes
BATCH, TEST = 8, 200
BACKBONE_RATES = (None, 5e-4, 5e-3, 3e-2)  # None: frozen
TUNED_ON, TUNED_BATCH, PASSES, VAL = 120, 4, 3, 60


Heads = dict[tuple[str, str], nn.Module]  # (backbone, head): the head


class WithoutPath(FeaturePyramidNetwork):
    """A neck in which no map hears from a coarser one; its layers are those of torchvision's."""

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """{name: (B, C, h, w)}, finest first => the same with equal channels, and two coarser ones."""
        given = list(maps.values())
        results = []
        for level, own in enumerate(given):
            narrow = self.get_result_from_inner_blocks(own, level)
            results.append(self.get_result_from_layer_blocks(narrow, level))
        results, names = self.extra_blocks(results, given, list(maps))
        return dict(zip(names, results, strict=True))


def without_path(head: DetectionHead, channels: list[int]) -> DetectionHead:
    """The same head and weights, but its neck has no path from coarse maps to fine ones."""
    lonely = copy.deepcopy(head)
    width = head.neck.out_channels
    lonely.neck.fpn = WithoutPath(channels, width, extra_blocks=LastLevelP6P7(width, width))
    lonely.neck.fpn.load_state_dict(head.neck.fpn.state_dict())
    return lonely


def kind(name: str) -> str:
    """Which of the three tasks a head is for."""
    if name in ("no path", "path cut"):
        return "detect"
    return name if name in THREE else "segment"


def new_head(name: str, backbone: Backbone) -> nn.Module:
    """A head with random numbers, by its name in `READ`."""
    channels = backbone.channels
    if name == "classify":
        return ClassificationHead(channels, 6)
    if name == "detect":
        return DetectionHead(channels, 7)
    if name == "no path":
        return without_path(DetectionHead(channels, 7), [channels[stride] for stride in (8, 16, 32)])
    strides = (8, 16, 32) if name == "segment" else (int(name.split()[1]),)
    return SegmentationHead(channels, 7, strides)


def frozen(start: str, seed: int) -> Backbone:
    """A backbone in eval mode, by its name in `READ`."""
    torch.manual_seed(seed)
    if start == "random":
        backbone = create_backbone(LITE0)
        settle_norms(backbone, scenes(seed, 200))
    elif start == "finished":
        backbone = create_backbone(LITE0, weights=CHECKPOINTS / SHARED)
    else:
        backbone = create_backbone(LITE2 if start.endswith("Lite2") else LITE0, weights="imagenet")
    return backbone.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def scenes(seed: int, count: int, batch_size: int = BATCH) -> Scenes:
    """Training scenes of a seed; normalized as all Lites want it."""
    return Scenes(count=count, val_count=VAL, batch_size=batch_size, mean=0.5, std=0.5, seed=seed)


def test_scenes() -> Scenes:
    """What is measured on; the validation scenes are the lesson's, too."""
    return Scenes(val_count=VAL, test_count=TEST, batch_size=20, mean=0.5, std=0.5)


def loss(name: str, head: nn.Module, features: Features, batch: SceneBatch) -> Tensor:
    """How wrong a head is: the loss of its task."""
    match kind(name):
        case "classify":
            return F.binary_cross_entropy_with_logits(head(features), batch.presence)
        case "segment":
            return F.cross_entropy(head(features), batch.mask)
        case _:
            return sum(head(features, batch.targets).values())


def learn(backbones: dict[str, Backbone], seed: int, plan: dict[str, Any]) -> Heads:
    """Heads learn side by side on frozen backbones, each from its own loss.

    Args:
        backbones: by name in `READ`.
        seed: of the scenes and the heads.
        plan: FEW or MANY.
    Returns:
        {(backbone, head): trained head, in eval mode}.
    """
    torch.manual_seed(seed)
    heads = {
        (start, name): new_head(name, backbones[start])
        for start in backbones
        for name in READ[start]
        if plan is MANY or name not in ONLY_MANY
    }
    learners = [head.to(memory_format=torch.channels_last).train() for head in heads.values()]
    groups = [
        {"params": head.parameters(), "lr": plan["rates"][kind(name)]} for (_, name), head in heads.items()
    ]
    optimizer = torch.optim.AdamW(groups)
    data = scenes(seed, plan["count"])
    data.setup()
    loader = data.train_dataloader()
    steps = plan["passes"] * len(loader)
    factor = (lambda step: rate_factor(step, steps)) if plan["falling"] else (lambda step: 1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in range(plan["passes"]):
        for batch in loader:
            images = batch.image.contiguous(memory_format=torch.channels_last)
            with torch.no_grad():
                features = {start: backbone(images) for start, backbone in backbones.items()}
            optimizer.zero_grad()
            sum(loss(name, head, features[start], batch) for (start, name), head in heads.items()).backward()
            optimizer.step()
            schedule.step()
    for learner in learners:
        learner.eval()
    return heads


METRICS = {
    "classify": partial(MultilabelF1Score, 6, average="macro"),
    "segment": partial(MulticlassJaccardIndex, 7),
    "detect": partial(MeanAveragePrecision, iou_thresholds=[0.5]),
}


@torch.no_grad()
def scores(backbones: dict[str, Backbone], heads: Heads) -> dict[tuple[str, str], str]:
    """Macro-F1, mIoU or mAP@50 of each head on the test scenes, as text."""
    metrics = {which: METRICS[kind(which[1])]() for which in heads}
    data = test_scenes()
    data.setup()
    for batch in data.test_dataloader():
        features = {start: backbone(batch.image) for start, backbone in backbones.items()}
        for (start, name), head in heads.items():
            answer, metric = head(features[start]), metrics[start, name]
            match kind(name):
                case "classify":
                    metric.update(answer > 0, batch.presence.int())
                case "segment":
                    metric.update(answer.max(dim=1).indices, batch.mask)
                case _:
                    metric.update(answer, batch.targets)
    results = {which: metric.compute() for which, metric in metrics.items()}
    return {
        which: f"{float(result['map_50'] if isinstance(result, dict) else result):.4f}"
        for which, result in results.items()
    }


def heads(file: str, plan: dict[str, Any]) -> Iterator[tuple[str, Row]]:
    """(file, row) for each seed, frozen backbone and head."""
    for seed in SEEDS:
        starts = [start for start in READ if plan is MANY or start not in ONLY_MANY]
        backbones = {start: frozen(start, seed) for start in starts}
        trained = learn(backbones, seed, plan)
        strides = [backbones["finished"].channels[stride] for stride in (8, 16, 32)]
        trained["finished", "path cut"] = without_path(trained["finished", "detect"], strides)
        for (start, name), score in scores(backbones, trained).items():
            yield file, {"seed": seed, "backbone": start, "head": name, "score": score}


class StillBatchNorm(Segmentation):
    """The backbone's parameters learn, its running means and variances stand still."""

    def train(self, mode: bool = True) -> "StillBatchNorm":
        super().train(mode)
        self.network.backbone.eval()
        return self


def fine_tune(head: nn.Module, seed: int, rate: float | None) -> tuple[Backbone, list[dict[str, float]]]:
    """ImageNet's backbone and a trained head go on learning: the backbone after that, and the history."""
    backbone = create_backbone(LITE0, weights="imagenet")
    task = StillBatchNorm(
        Network(backbone, copy.deepcopy(head)),
        7,
        lr=3e-3,
        backbone_lr=rate,
        freeze_backbone=rate is None,
        falling_rate=True,
    )
    few = scenes(seed, TUNED_ON, TUNED_BATCH)
    few.setup()
    known = test_scenes()  # every seed is validated on the same scenes
    known.setup()
    few.val, few.setup = known.val, lambda stage=None: None
    history = fit(task, few, PASSES)
    return backbone.eval(), history


@torch.no_grad()
def careless(backbone: Backbone, seed: int) -> Backbone:
    """A copy without gradients that looked at 80 scenes in training mode."""
    other = copy.deepcopy(backbone).train()
    data = scenes(seed, 80)
    data.setup()
    for batch in data.train_dataloader():
        other(batch.image)
    return other.eval()


def rates() -> Iterator[tuple[str, Row]]:
    """(file, row) for each seed, rate of the backbone and epoch, and for heads on a changed backbone."""
    for seed in SEEDS:
        backbone = frozen("ImageNet", seed)
        trained = learn({"ImageNet": backbone}, seed, FEW)
        classify, segment = trained["ImageNet", "classify"], trained["ImageNet", "segment"]
        changed = {("ImageNet", "segment"): backbone, ("ImageNet", "classify"): backbone}
        changed["careless", "segment"] = careless(backbone, seed)
        for rate in BACKBONE_RATES:
            tuned, history = fine_tune(segment, seed, rate)
            for number, measured in enumerate(history, start=1):
                what: Row = {"seed": seed, "rate": rate or "frozen", "epoch": number}
                yield "rates", what | {"miou": f"{measured['val_miou']:.4f}"}
            if rate == 5e-4:
                changed["fine-tuned", "classify"] = tuned
        heads = {key: classify if key[1] == "classify" else segment for key in changed}
        for (which, name), score in scores(
            {which: body for (which, _), body in changed.items()}, heads
        ).items():
            yield "changed", {"seed": seed, "head": name, "backbone": which, "score": score}


PARTS = {"rates": rates, "few": partial(heads, "few", FEW), "many": partial(heads, "many", MANY)}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that are named, or all."""
    return measure_parts("measure_tasks", __doc__, PARTS, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
