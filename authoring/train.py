"""Train the finished models that come with the course, and write them into backbones/checkpoints/.

    python -m authoring.train                          lists them
    python -m authoring.train scenes_segmentation      trains one

The first fine-tunes the ImageNet backbone and writes it, together with the head for segmentation. Detection
and presence leave that backbone frozen and only train what stands on it, so one backbone file serves all
three: whoever trains the first again must train the other two again.

No scene is shown twice: they are generated, so instead of many epochs over few scenes there is one over many.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backbones import Backbone, DeepLabV3Plus, Network, create_backbone
from backbones.data import Scenes
from backbones.data.scenes import SceneBatch
from backbones.heads import ClassificationHead, Detector, SegmentationHead
from backbones.tasks import Detection, MultiLabelClassification, Segmentation, Task
from backbones.training import evaluate, fit
from backbones.weights import CHECKPOINTS, TRAINED, WeightsMissingError

BACKBONE = "tf_efficientnet_lite0"
SHARED = "scenes_backbone.safetensors"


@dataclass(frozen=True)
class Recipe:
    """How a finished model is made.

    Attributes:
        network: how a learner writes it, given `backbone`; goes into the file and is tested to be true.
        task: a network on this backbone, with loss, metric and learning rates.
        scenes: how many to train on, each seen once.
        metric: the score, under its name in `evaluate`; `score`, what it is called in words.
        output_stride: of the backbone.
    """

    network: str
    task: Callable[[Backbone], Task]
    scenes: int
    metric: str
    score: str
    output_stride: int = 32

    @property
    def backbone(self) -> str:
        """How a learner writes the backbone."""
        return f'create_backbone("{BACKBONE}", output_stride={self.output_stride})'


class SegmentationAndPresence(Segmentation):
    """Segmentation, where the backbone's deepest map also has to tell which shapes are in the picture.

    Segmentation alone lets the finer maps do the work and leaves in the deepest one, averaged, too little to
    say what is there: macro F1 0.81 instead of 0.94. The second head serves the training and is then left
    out, like the auxiliary classifiers of Szegedy et al., Going Deeper with Convolutions (2015), section 5.
    """

    def __init__(self, network: Network, num_classes: int, **options: float | bool):
        super().__init__(network, num_classes, **options)
        self.presence = ClassificationHead(network.backbone.channels, num_classes - 1)  # no background

    def training_step(self, batch: SceneBatch, batch_index: int) -> Tensor:
        features = self.network.backbone(batch.image)
        masks = self.network.head(features)
        present = self.presence(features)
        return self.loss(masks, batch.mask) + F.binary_cross_entropy_with_logits(present, batch.presence)


def segmentation(backbone: Backbone) -> Task:
    """FCN-8s; the backbone learns, too."""
    network = Network(backbone, SegmentationHead(backbone.channels, 7, strides=(8, 16, 32)))
    return SegmentationAndPresence(network, 7, lr=4e-3, backbone_lr=2e-3, falling_rate=True)


def detection(backbone: Backbone) -> Task:
    """Neck and head of a detector on the frozen backbone."""
    return Detection(Detector(backbone, 7), lr=4e-3, freeze_backbone=True, falling_rate=True)


def presence(backbone: Backbone) -> Task:
    """A linear layer that says which shapes are there, on the frozen backbone."""
    network = Network(backbone, ClassificationHead(backbone.channels, 6))
    return MultiLabelClassification(network, 6, lr=2e-2, freeze_backbone=True, falling_rate=True)


def deeplab(backbone: Backbone) -> Task:
    """DeepLabv3+ on a backbone of its own, which learns, too; rates for a map of 6 x 6 positions."""
    network = DeepLabV3Plus(backbone, 7, width=128, rates=(1, 2, 3))
    return Segmentation(network, 7, lr=4e-3, backbone_lr=2e-3, falling_rate=True)


RECIPES = {
    "scenes_segmentation": Recipe(
        "Network(backbone, SegmentationHead(backbone.channels, 7, strides=(8, 16, 32)))",
        segmentation,
        scenes=12_000,
        metric="test_miou",
        score="mean IoU",
    ),
    "scenes_detection": Recipe(
        "Detector(backbone, 7)", detection, scenes=6_400, metric="test_map50", score="mAP at IoU 0.5"
    ),
    "scenes_presence": Recipe(
        "Network(backbone, ClassificationHead(backbone.channels, 6))",
        presence,
        scenes=6_400,
        metric="test_f1",
        score="macro F1",
    ),
    "scenes_deeplab": Recipe(
        "DeepLabV3Plus(backbone, 7, width=128, rates=(1, 2, 3))",
        deeplab,
        scenes=32_000,
        metric="test_miou",
        score="mean IoU",
        output_stride=16,
    ),
}


def train(
    name: str, scenes: int | None = None, test_scenes: int = 400, folder: Path = CHECKPOINTS
) -> dict[str, str]:
    """Train a finished model and write its files, in half precision.

    Half precision keeps three digits of a number: enough to answer as before, in half the size. The score is
    that of the rounded numbers.

    Args:
        name: a key of RECIPES.
        scenes: how many to train on, to try it out; None: as many as the recipe says.
        test_scenes: how many to measure on.
        folder: for the files, and where the backbone is taken from if it is shared.

    Returns:
        The facts written into the file, see `trained_facts`.

    Raises:
        WeightsMissingError: where the shared backbone has to be trained first.
    """
    recipe = RECIPES[name]
    scenes = scenes or recipe.scenes
    torch.manual_seed(0)
    weights = _starting_weights(name, folder)
    backbone = create_backbone(BACKBONE, weights=weights, output_stride=recipe.output_stride)
    task = recipe.task(backbone)
    data = Scenes(count=scenes, test_count=test_scenes, mean=backbone.mean, std=backbone.std)
    fit(task, data, epochs=1, validate=False)
    task.half().float()
    facts = {
        "network": recipe.network,
        "backbone": recipe.backbone,
        "data": f"Scenes(count={scenes}, seed={data.seed}), {data.image_size} pixels, each scene seen once",
        "score": f"{recipe.score} {evaluate(task, data)[recipe.metric]:.3f} on {test_scenes} test scenes",
        "command": f"python -m authoring.train {name}",
    }
    folder.mkdir(exist_ok=True)
    _write_model(name, task.network, facts, folder, with_backbone=not task.freeze_backbone)
    return facts


def _starting_weights(name: str, folder: Path) -> str | Path:
    """ImageNet's for the model that makes a backbone, that backbone for those that share it."""
    if name == makes_backbone() or SHARED not in TRAINED[name]:
        return "imagenet"
    if not (folder / SHARED).is_file():
        raise WeightsMissingError(
            f"{SHARED} is not in {folder.name}: it comes from 'python -m authoring.train {makes_backbone()}'"
        )
    return folder / SHARED


def makes_backbone() -> str:
    """The model that the shared backbone was trained with."""
    return next(name for name, files in TRAINED.items() if SHARED in files)


def _write_model(
    name: str, network: nn.Module, facts: dict[str, str], folder: Path, with_backbone: bool
) -> None:
    """Write a network's tensors into the files that TRAINED names."""
    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }
    if SHARED in TRAINED[name]:
        parts = {True: {}, False: {}}
        for key, value in state.items():
            parts[key.startswith("backbone.")][key.removeprefix("backbone.")] = value
        if with_backbone:
            write(folder / SHARED, parts[True], facts)
        state = parts[False]
        facts = facts | {"backbone_sha256": _sha256(folder / SHARED)}
    write(folder / TRAINED[name][-1], state, facts)


def write(path: Path, state: dict[str, Tensor], facts: dict[str, str]) -> None:
    """Write tensors and facts into a file."""
    # Not by save_file, whose files only their owner may read: pip would install them like that.
    path.write_bytes(safetensors.torch.save(state, facts))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Train the model named, or list them; return 1 when it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m authoring.train", description="Train a finished model of the course."
    )
    parser.add_argument("name", nargs="?", choices=RECIPES, help="nothing: list the models")
    parser.add_argument("--scenes", type=int, help="how many to train on, to try it out")
    parser.add_argument("--folder", type=Path, default=CHECKPOINTS, help="where to write instead")
    options = parser.parse_args(arguments)
    if options.name is None:
        for name, recipe in RECIPES.items():
            print(f"{name:20}  {recipe.network}, {recipe.scenes} scenes")
        return 0
    begin = time.perf_counter()
    try:
        facts = train(options.name, options.scenes, folder=options.folder)
    except WeightsMissingError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.name}: {facts['score']}, {time.perf_counter() - begin:.0f} s with the test")
    if options.name == makes_backbone():
        others = [name for name, files in TRAINED.items() if SHARED in files and name != options.name]
        print(f"The backbone is new. Now train again what stands on it: {', '.join(others)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
