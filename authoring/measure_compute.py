"""What lesson 10 shows beside what it computes itself: `python -m authoring.measure_compute`

    prune     the presence network of the scenes with a quarter or half of the inner channels of each block
              taken away, by size of their depthwise filters or at random: right answers on 400 test scenes
              before and after training on 480 new scenes, three seeds each. prune.csv.
    compile   seconds that torch.compile takes, and milliseconds per image before and after. compile.csv.

About ten minutes on one core; parts by name do one of them. Writes into backbones/lessons/measured/compute/.
"""

import copy
import statistics
import sys
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from authoring.recorded import Row, measure_parts
from backbones import Network, cost, create_backbone
from backbones.data import Scenes
from backbones.heads import ClassificationHead
from backbones.lessons import FILES
from backbones.tasks import MultiLabelClassification, fit
from backbones.weights import load_trained

RESULTS = FILES / "measured" / "compute"
SEEDS = (1, 2, 3)  # 0 made the scenes that the finished network has learned from
SCENES = 480
TAKEN = ((0.0, "smallest"), (0.25, "smallest"), (0.25, "random"), (0.5, "smallest"), (0.5, "random"))
COMPILED = ("tf_efficientnet_lite0", "resnet18")
ROUNDS = 15


def presence_network() -> Network:
    """The finished network that says which shapes are in a scene."""
    backbone = create_backbone("tf_efficientnet_lite0")
    return load_trained(Network(backbone, ClassificationHead(backbone.channels, 6)), "scenes_presence")


def keep_channels(block: nn.Module, rows: Tensor) -> None:
    """Keep these inner channels of an inverted residual block of timm, in place."""
    for conv in (block.conv_pw, block.conv_dw):
        conv.weight, conv.out_channels = nn.Parameter(conv.weight[rows]), len(rows)
    for norm in (block.bn1, block.bn2):
        norm.weight, norm.bias = nn.Parameter(norm.weight[rows]), nn.Parameter(norm.bias[rows])
        norm.running_mean, norm.running_var = norm.running_mean[rows], norm.running_var[rows]
        norm.num_features = len(rows)
    block.conv_pwl.weight = nn.Parameter(block.conv_pwl.weight[:, rows])
    block.conv_dw.in_channels = block.conv_dw.groups = block.conv_pwl.in_channels = len(rows)


def pruned(network: Network, share: float, how: str, seed: int) -> Network:
    """A copy without this share of the inner channels of each block, the "smallest" or "random" ones."""
    twin = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    for block in (part for part in twin.modules() if hasattr(part, "conv_pwl")):
        size = block.conv_dw.weight.abs().sum((1, 2, 3))
        worth = size if how == "smallest" else torch.rand(len(size), generator=generator)
        keep_channels(block, worth.topk(round(len(size) * (1 - share))).indices.sort().values)
    return twin


@torch.inference_mode()
def right(network: nn.Module, images: Tensor, answers: Tensor) -> int:
    """How many of the answers (N, 6) about images (N, 3, H, W) are right."""
    return sum(
        int(((network.eval()(some) > 0) == known).sum())
        for some, known in zip(images.split(16), answers.split(16), strict=True)
    )


def prune() -> Iterator[tuple[str, Row]]:
    """Right answers before and after training, for each share, way to choose and seed."""
    network = presence_network()
    normal = {"mean": network.backbone.mean, "std": network.backbone.std}
    scenes = Scenes(**normal)
    scenes.setup()
    test = [scenes.test[index] for index in range(len(scenes.test))]
    images = torch.stack([one.image for one in test])
    answers = torch.stack([one.presence for one in test]) > 0
    for seed in SEEDS:
        new = Scenes(count=SCENES, seed=seed, **normal)
        for share, how in TAKEN:
            twin = pruned(network, share, how, seed)
            row = {"share": share, "how": how, "seed": seed, "scenes": SCENES}
            row |= {"multiply_adds": cost.multiply_adds(twin, images[:1]), "of": answers.numel()}
            before = right(twin, images, answers)
            torch.manual_seed(seed)
            fit(MultiLabelClassification(twin, 6, lr=3e-4, backbone_lr=3e-4), new, epochs=1, validate=False)
            yield "prune", row | {"before": before, "after": right(twin, images, answers)}


def seconds(work) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@torch.inference_mode()
def compiling() -> Iterator[tuple[str, Row]]:
    """Medians of interleaved rounds, batches of eight images of 96 pixels, channels last."""
    for name in COMPILED:
        body = create_backbone(name).eval().body.to(memory_format=torch.channels_last)
        images = torch.rand(8, 3, 96, 96).contiguous(memory_format=torch.channels_last)
        torch._inductor.config.force_disable_caches = True  # or a second run would not compile at all
        faster = torch.compile(body)
        first = seconds(lambda: faster(images))  # noqa: B023  called at once
        body(images)
        rounds = [(seconds(lambda: body(images)), seconds(lambda: faster(images))) for _ in range(ROUNDS)]  # noqa: B023
        eager, compiled = (1000 * statistics.median(times) / 8 for times in zip(*rounds, strict=True))
        row = {"backbone": name, "threads": torch.get_num_threads(), "first_call_s": round(first, 1)}
        yield "compile", row | {"eager_ms": round(eager, 2), "compiled_ms": round(compiled, 2)}


PARTS = {"prune": prune, "compile": compiling}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that are named, or all."""
    return measure_parts("measure_compute", __doc__, PARTS, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
