"""Draw the pictures that texts outside the notebooks show: `python -m authoring.pictures`."""

from pathlib import Path

from backbones import create_backbone, plots

README_PICTURE = Path(__file__).resolve().parent.parent / "notebooks" / "anatomy.png"

if __name__ == "__main__":
    resnet = create_backbone("resnet101", output_stride=16)
    plots.anatomy("ResNet-101", resnet.channels).savefig(README_PICTURE, dpi=110, bbox_inches="tight")
    print(f"drew {README_PICTURE.name}")
