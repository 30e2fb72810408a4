"""Does our DeepLabv3+ learn as well as a peer's? `python course.py bench deeplab_learning`

mIoU against steps beside segmentation_models.pytorch: the same ImageNet EfficientNet-Lite0, output stride 16,
the same batches in the same order, the same optimizer. Each seed draws the heads and the order of the batches
anew. On the course's scenes; with `--pets FOLDER` also on a local folder of the Oxford-IIIT Pet data set.
Writes benchmarks/deeplab_learning.csv (every measurement) and .md (the table).
"""

import argparse
import datetime
import statistics
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytorch_lightning as pl
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from authoring.measure_deeplab import score, write
from backbones import DeepLabV3Plus, create_backbone
from backbones.data import OxfordIIITPet, Scenes
from backbones.tasks import Segmentation

from .lessons import machine

RESULTS = Path(__file__).with_suffix(".md")
NAME, RATES = "tf_efficientnet_lite0", (6, 12, 18)
LR, BACKBONE_LR = 1e-3, 2e-4
COMMAND = "python course.py bench deeplab_learning"


class Peer(nn.Module):
    """The peer's model under our names, so that the same task trains it."""

    def __init__(self, classes: int, backbone_state: dict[str, Tensor]):
        super().__init__()
        model = smp.DeepLabV3Plus(
            f"tu-{NAME}",
            encoder_weights=None,
            decoder_atrous_rates=RATES,
            decoder_aspp_dropout=0.1,
            classes=classes,
        )
        model.encoder.model.load_state_dict(backbone_state)
        self.backbone, self.decoder, self.classifier = model.encoder, model.decoder, model.segmentation_head

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.decoder(self.backbone(images)))


def contestant(who: str, classes: int) -> nn.Module:
    """One of the three models, with the same backbone weights and a head of its own random numbers."""
    backbone = create_backbone(NAME, weights="imagenet", output_stride=16)
    if who == "peer":
        return Peer(classes, backbone.body.state_dict())
    return DeepLabV3Plus(backbone, classes, decoder_convs={"ours": 1, "ours, paper's decoder": 2}[who])


def batches(data: pl.LightningDataModule, seed: int) -> Iterator[tuple]:
    """Batches of the training set, forever, in an order that the seed decides."""
    order = torch.Generator().manual_seed(seed)
    like = data.train_dataloader()
    while True:
        yield from DataLoader(
            data.train,
            like.batch_size,
            shuffle=True,
            drop_last=True,
            collate_fn=like.collate_fn,
            generator=order,
        )


def learn(
    who: str, data: pl.LightningDataModule, classes: int, seed: int, steps: int, every: int
) -> Iterator[tuple[int, float]]:
    """Train; yields (steps so far, mIoU on the validation set)."""
    torch.manual_seed(seed)
    task = Segmentation(contestant(who, classes), classes, lr=LR, backbone_lr=BACKBONE_LR)
    optimizer = task.configure_optimizers()
    task.train()
    for step, batch in zip(range(1, steps + 1), batches(data, seed), strict=False):
        loss = task.loss(task(batch.image), batch.mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % every == 0:
            yield step, score(task, data, classes)
            task.train()


def table(rows: list[dict]) -> str:
    """The results as Markdown: mean over seeds, and the range."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("timm", "segmentation-models-pytorch"))
    lines = f"""# DeepLabv3+ beside segmentation_models.pytorch: learning

Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}, {versions}.

Validation mIoU against training steps, from the same ImageNet {NAME}, output stride 16, rates {RATES}, AdamW
with {LR} (head) and {BACKBONE_LR} (backbone), the same batches in the same order. Mean over seeds (range).
The peer has a separable 3x3 convolution behind ASPP and one in the decoder, "ours" only the latter, the paper
two in the decoder. Every measurement: deeplab_learning.csv.

""".splitlines()
    for data in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == data]
        contestants = list(dict.fromkeys(row["model"] for row in mine))
        seeds = len({row["seed"] for row in mine})
        lines += ["", f"## {data}, {seeds} seeds", "", f"| steps | {' | '.join(contestants)} |"]
        lines += ["|---:|" + "---:|" * len(contestants)]
        for step in dict.fromkeys(row["step"] for row in mine):
            cells = []
            for who in contestants:
                scores = [row["miou"] for row in mine if row["step"] == step and row["model"] == who]
                cells.append(f"{statistics.mean(scores):.3f} ({min(scores):.3f}-{max(scores):.3f})")
            lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=100, help="steps between two measurements")
    parser.add_argument("--pets", type=Path, help="a local folder of the Oxford-IIIT Pet data set")
    options = parser.parse_args(arguments)

    middle = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}  # what Lite0 was trained with
    sets = {"scenes": (Scenes(**middle), 7)}
    if options.pets:
        sets["Oxford-IIIT Pet"] = (OxfordIIITPet(options.pets, image_size=128, **middle), 2)
    rows = []
    for name, (data, classes) in sets.items():
        data.prepare_data()
        data.setup()
        for seed in range(options.seeds):
            for who in ("peer", "ours", "ours, paper's decoder"):
                for step, miou in learn(who, data, classes, seed, options.steps, options.every):
                    rows.append({"data": name, "model": who, "seed": seed, "step": step, "miou": miou})
                    print(*rows[-1].values(), flush=True)
    write(RESULTS.with_suffix(".csv"), [{**row, "miou": f"{row['miou']:.4f}"} for row in rows])
    RESULTS.write_text(table(rows), encoding="utf-8")
    print(f"written: benchmarks/{RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
