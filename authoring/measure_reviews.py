"""What the order of words buys on real reviews: `python -m authoring.measure_reviews`

What lesson 06 shows beside its own short training. Each backbone learns from all training sentences of
`Reviews`, under the same head, with the same rates and as many passes, from three starts. One of them learns
and is tested again on the same sentences with their words shuffled: what it loses is what order bought.

About ten minutes on one core. Writes backbones/lessons/measured/reviews/order.csv, a row for each run.
"""

import random
from typing import Any

import torch

from authoring.recorded import write
from backbones import Network, create_backbone
from backbones.data import Reviews, Vocabulary
from backbones.data.reviews import Review
from backbones.heads import ClassificationHead
from backbones.lessons import FILES
from backbones.tasks import Classification, evaluate, fit

RESULTS = FILES / "measured" / "reviews" / "order.csv"
RUNS = [("bag", "kept"), ("rnn", "kept"), ("lstm", "kept"), ("gru", "kept"), ("gru", "shuffled")]
SEEDS, EPOCHS, WIDTH, RATE, DROPOUT = range(3), 8, 64, 5e-3, 0.5


class ShuffledReviews(Reviews):
    """The same sentences, their words in another order each time they are read."""

    def collate(self, reviews: list[Review]) -> Any:
        order = random.Random(reviews[0].text)  # the same in every run
        texts = []
        for review in reviews:
            words = self.vocabulary.split(review.text)
            texts.append(" ".join(order.sample(words, len(words))))
        batch = [review._replace(text=text) for review, text in zip(reviews, texts, strict=True)]
        return super().collate(batch)


def measure(name: str, words: str, seed: int) -> dict[str, object]:
    """Train one backbone from one start, and test it.

    Args:
        name: of the backbone.
        words: "kept" or "shuffled".
        seed: of the start, and of the order of the batches.
    Returns:
        a row of the table.
    """
    data = (Reviews if words == "kept" else ShuffledReviews)(batch_size=64, seed=seed)
    data.setup()
    data.vocabulary = Vocabulary.of(data.texts("train"), at_least=2)
    torch.manual_seed(seed)
    backbone = create_backbone(name, vocab_size=len(data.vocabulary), width=WIDTH, dropout=DROPOUT)
    network = Network(backbone, ClassificationHead(backbone.channels, num_classes=2, dropout=DROPOUT))
    task = Classification(network, num_classes=2, lr=RATE, backbone_lr=RATE, falling_rate=True)
    train_accuracy = fit(task, data, EPOCHS, validate=False)[-1]["train_accuracy"]
    test_accuracy = evaluate(task, data)["test_accuracy"]
    return {
        "backbone": name,
        "words": words,
        "seed": seed,
        "epochs": EPOCHS,
        "train_accuracy": f"{train_accuracy:.3f}",
        "test_accuracy": f"{test_accuracy:.4f}",
    }


def main() -> None:
    """Measure all, and write the table after each run."""
    rows = []
    for name, words in RUNS:
        for seed in SEEDS:
            rows.append(measure(name, words, seed))
            print(*rows[-1].values(), flush=True)
            write(RESULTS, rows)


if __name__ == "__main__":
    main()
