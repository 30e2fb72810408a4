"""Encoders under one decoder, three starts each: `python -m authoring.measure_translation`

What lesson 08 shows beside the one training that it has time for. Every network translates dates letter by
letter, from English to French, and learns from the same 2,500 in three passes; then 500 new ones count. The
backbone is swapped, the decoder stays; once it stays without its attention, and once it reads words.

About four minutes on one core. Writes backbones/lessons/measured/translation.csv.
"""

import argparse
import sys

import torch

from authoring.recorded import write
from backbones import create_backbone
from backbones.data import Dates
from backbones.heads import Translator
from backbones.lessons import FILES
from backbones.measure.cost import count_parameters, multiply_adds
from backbones.tasks import Translation, evaluate, fit

RESULTS = FILES / "measured" / "translation.csv"
# Name -> backbone, its options, learning rate, whether the decoder has only the summary.
NETWORKS = {
    "GRU": ("gru", {"width": 64, "bidirectional": True}, 4e-3, False),
    "RNN": ("rnn", {"width": 64, "bidirectional": True}, 4e-3, False),
    "transformer": ("transformer", {"width": 128}, 2e-3, False),
    "bag of letters": ("bag", {"width": 128}, 4e-3, False),
    "GRU, no attention": ("gru", {"width": 64, "bidirectional": True}, 4e-3, True),
    "bag of words": ("bag", {"width": 128}, 4e-3, False),
}
SEEDS = (0, 1, 2)


def measure(network: str, seed: int, count: int, epochs: int) -> dict[str, str | int | float]:
    """Train one network from one start: a row of the table."""
    name, options, rate, bottleneck = NETWORKS[network]
    torch.manual_seed(seed)
    tokens = "words" if network.endswith("words") else "characters"
    data = Dates(tokens=tokens, count=count, seed=seed)
    data.setup()
    backbone = create_backbone(name, vocab_size=len(data.source_vocabulary), **options)
    translator = Translator(backbone, len(data.target_vocabulary), bottleneck=bottleneck)
    task = Translation(translator, lr=rate, backbone_lr=rate, falling_rate=True)
    fit(task, data, epochs, validate=False)
    scores = evaluate(task, data)
    return {
        "network": network,
        "seed": seed,
        "exact_match": round(scores["test_exact_match"], 4),
        "loss": round(scores["test_loss"], 4),
        "parameters": count_parameters(backbone),
        "multiply_adds": multiply_adds(backbone, data.source_vocabulary.batch(["Sunday, April 7, 1957"])[0]),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure all networks and write the table."""
    parser = argparse.ArgumentParser(prog="python -m authoring.measure_translation")
    parser.add_argument("--count", type=int, default=2500, help="dates to learn from")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    rows = []
    for network in NETWORKS:
        for seed in SEEDS:
            rows.append(measure(network, seed, options.count, options.epochs))
            print(f"{network}, start {seed}: {rows[-1]['exact_match']:.3f} of 500 dates")
    write(RESULTS, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
