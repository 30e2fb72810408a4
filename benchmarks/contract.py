"""Does every model of timm keep the contract? `python course.py bench contract`

Every name is built without numbers, at each output stride that it can do, and checked; at its largest stride
it is also given images of 96x96, 96x129 and 224x224 pixels. What it may do: give maps that lie at their
strides, or refuse by a sentence that names sizes which work. More than an hour on one core. Writes
benchmarks/contract.md.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import timm
import torch

from backbones import BackboneError, backbone_names, check_backbone, create_backbone
from backbones.trial import OUTPUT_STRIDES, output_strides
from backbones.vision import ImageError

RESULTS = Path(__file__).with_name("contract.md")
SIZES = ((96, 96), (96, 129), (224, 224))


def faults_of(name: str) -> Iterator[str]:
    """What is wrong with a model, in sentences; what it refuses in sentences of its own is not."""
    possible = output_strides(name)
    for stride in possible:
        with torch.device("meta"):
            backbone = create_backbone(name, output_stride=stride).eval()
        if stride != possible[0]:
            height, width = backbone.image_size
            found = check_backbone(backbone, torch.empty(1, 3, height, width, device="meta"))
            yield from (f"output stride {stride}: {fault}" for fault in found)
            continue
        yield from check_backbone(backbone)
        for size in SIZES:
            try:
                backbone(torch.empty(1, 3, *size, device="meta"))
            except ImageError as error:
                advised = re.findall(r"(\d+)x(\d+)", str(error).partition("pixels:")[2])
                if not advised:
                    yield f"no size is named to one who has {size}: {error}"
                for height, width in advised:
                    backbone(torch.empty(1, 3, int(height), int(width), device="meta"))
            except Exception as error:
                yield f"{size}: {type(error).__name__}: {str(error)[:80]}"


def look_at(name: str) -> tuple[str, str, list[str]]:
    """Name, what can be had of it, and its faults."""
    torch.set_num_threads(1)
    try:
        possible = output_strides(name)
        if not possible:
            create_backbone(name)
        return name, ", ".join(map(str, possible)), list(faults_of(name))
    except BackboneError as error:
        return name, "refused: " + str(error).replace(repr(name), "it").partition(":")[0], []
    except Exception as error:
        return name, "failed", [f"{type(error).__name__}: {str(error)[:80]}"]


def main(arguments: list[str] | None = None) -> int:
    """Look at all models, or those whose names begin as told; return 1 when one has a fault."""
    parser = argparse.ArgumentParser(prog="python course.py bench contract")
    parser.add_argument("--beginning", default="", help="only names that begin with this; writes nothing")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    names = [name for name in backbone_names() if name.startswith(options.beginning) and timm.is_model(name)]
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for number, (name, outcome, found) in enumerate(pool.map(look_at, names, chunksize=4), 1):
            outcomes[re.sub(r"output_stride=\d+", "one output stride", outcome)] += 1
            faults += [f"{name}: {fault}" for fault in found]
            if number % 50 == 0 or found:
                print(f"{number} of {len(names)}, {len(faults)} faults {'; '.join(found)}", flush=True)
    lines = [
        "# All of timm under the contract",
        "",
        f"{len(names)} models of timm {version('timm')}, by `python course.py bench contract`. Each was",
        f"built without numbers at those of the output strides {OUTPUT_STRIDES} that it can do, and",
        "given images of several sizes: maps that lie at their strides, or a sentence with sizes that work.",
        "",
        "| what can be had | models |",
        "|---|---:|",
        *(f"| {outcome} | {count} |" for outcome, count in outcomes.most_common()),
        "",
        f"Faults: {len(faults) or 'none'}.",
        *(f"- {fault}" for fault in faults),
    ]
    if not options.beginning:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
