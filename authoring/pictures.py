"""Draw the pictures that texts outside the notebooks show: `python -m authoring.pictures`."""

from pathlib import Path

import torch

from backbones import DeepLabV3Plus, create_backbone, plots

README_PICTURE = Path(__file__).resolve().parent.parent / "notebooks" / "anatomy.png"

if __name__ == "__main__":
    with torch.device("meta"):  # shapes without numbers: only the form is drawn
        model = DeepLabV3Plus(create_backbone("resnet101", output_stride=16), num_classes=21)
    plots.anatomy(model, "ResNet-101", plain=True).savefig(README_PICTURE, dpi=110, bbox_inches="tight")
    print(f"drew {README_PICTURE.name}")
