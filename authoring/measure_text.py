"""What pretraining brings, with few labels and with many: `python -m authoring.measure_text`

What lesson 09 shows beside what it computes itself.

    frozen    accuracy on the 2,000 test sentences of `Reviews` against the number of labels: five draws of
              labels for MiniLM frozen and bag of words; three for MiniLM with random weights, and for a
              GRU and a bag of embeddings from scratch. frozen.csv; layers.csv: every layer of MiniLM.
    tuned     MiniLM frozen and fine-tuned, and a small transformer from scratch, three seeds of each, on 500
              test sentences. tuned.csv.

About 20 minutes on one core; parts by name do some of it. Writes into backbones/lessons/measured/text/.
"""

import sys
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from authoring.recorded import Row, measure_parts
from backbones import Network, create_backbone
from backbones.data import Reviews, Vocabulary
from backbones.heads import ClassificationHead
from backbones.lessons import FILES
from backbones.minilm import MiniLMTokenizer
from backbones.tasks import Classification, evaluate, fit

RESULTS = FILES / "measured" / "text"
SIZES = (16, 32, 128, 512, 2000, 7570)  # labels; the last are all that there are
RANDOM_SIZES = SIZES[:4]
BATCHES = 200  # what starts from scratch gets so many at least
FROM_SCRATCH = {"bag": "bag from scratch", "gru": "GRU from scratch"}  # names in the package, in the table
TUNED = {32: 10, 512: 4}  # labels -> passes over them
RATES = {  # pretrained weights need small corrections, random ones large steps
    "frozen": {"lr": 1e-2, "freeze_backbone": True},
    "fine-tuned": {"lr": 1e-3, "backbone_lr": 1e-4},
    "from scratch": {"lr": 1e-3, "backbone_lr": 1e-3},
}
ARMS = tuple(RATES)


class ShortTest(Reviews):
    """Reviews with the first 500 test sentences only: a large model needs long for 2,000."""

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        self.test = self.test[:500]


@torch.no_grad()
def layer_means(backbone: torch.nn.Module, texts: list[str], batch_size: int = 64) -> Tensor:
    """The mean over the tokens of each text, before the first layer and after each: (N, layers + 1, C)."""
    backbone.eval()
    tokens, lengths = MiniLMTokenizer().batch(texts)
    order, means = lengths.argsort(), []  # texts of like length together: little padding
    for rows in order.split(batch_size):
        states = backbone.states(tokens[rows, : lengths[rows].max()], lengths[rows])
        means.append(torch.stack([features.summary for features in states], dim=1))
    return torch.cat(means)[order.argsort()]


def probe(train: Any, labels: list[int], test: Any, test_labels: list[int]) -> float:
    """Test accuracy of logistic regression, held back as scikit-learn does by default."""
    return LogisticRegression(max_iter=1000).fit(train, labels).score(test, test_labels)


def draw(labels: int, seed: int, **options: Any) -> Reviews:
    """`labels` training sentences, half of them positive, and all test sentences."""
    data = Reviews(labels=labels, seed=seed, **options)
    data.setup()
    return data


def answers(data: Reviews, part: str) -> list[int]:
    return [review.label for review in getattr(data, part)]


def train(network: Network, data: Reviews, classes: int, epochs: int, **options: Any) -> dict[str, str]:
    """Training accuracy during the last pass, and test accuracy after it, as text."""
    task = Classification(network, classes, falling_rate=True, **options)
    history = fit(task, data, epochs, validate=False)
    return {
        "train_accuracy": f"{history[-1]['train_accuracy']:.4f}",
        "accuracy": f"{evaluate(task, data)['test_accuracy']:.4f}",
    }


def bag_of_words(data: Reviews) -> float:
    """Counts of words and of pairs of words that occur in the labeled sentences, logistic regression."""
    counter = CountVectorizer(ngram_range=(1, 2))
    train_counts = counter.fit_transform(data.texts("train"))
    test_counts = counter.transform(data.texts("test"))
    return probe(train_counts, answers(data, "train"), test_counts, answers(data, "test"))


def from_scratch(name: str, data: Reviews, seed: int) -> float:
    """A backbone that knows nothing at first, by the recipe of lesson 06, but at least 200 batches long."""
    torch.manual_seed(seed)
    data.vocabulary = Vocabulary.of(data.texts("train"), at_least=2 if len(data.train) > 200 else 1)
    backbone = create_backbone(name, vocab_size=len(data.vocabulary), width=64, dropout=0.5)
    network = Network(backbone, ClassificationHead(backbone.channels, 2, dropout=0.5))
    epochs = max(8, BATCHES // -(-len(data.train) // data.batch_size))
    return float(train(network, data, 2, epochs, lr=5e-3, backbone_lr=5e-3)["accuracy"])


def frozen() -> Iterator[tuple[str, Row]]:
    """(file, row) for every way, number of labels and draw."""
    every = draw(SIZES[-1], 0)
    backbone = create_backbone("minilm", weights="bundled")
    known = layer_means(backbone, every.texts("train")), layer_means(backbone, every.texts("test"))
    place = {text: number for number, text in enumerate(every.texts("train"))}
    for labels in SIZES:
        for seed in range(5 if labels < SIZES[-1] else 1):
            data = draw(labels, seed)
            what: Row = {"labels": labels, "seed": seed}
            yield "frozen", {"way": "bag of words", **what, "accuracy": f"{bag_of_words(data):.4f}"}
            rows = [place[text] for text in data.texts("train")]
            for layer in range(known[0].shape[1]):
                old, new = known[0][rows, layer], known[1][:, layer]
                score = probe(old, answers(data, "train"), new, answers(data, "test"))
                yield "layers", {"layer": layer, **what, "accuracy": f"{score:.4f}"}
            yield "frozen", {"way": "MiniLM, frozen", **what, "accuracy": f"{score:.4f}"}
    for seed in range(3):
        torch.manual_seed(seed)
        backbone = create_backbone("minilm", layers=6)
        data = draw(RANDOM_SIZES[-1], seed)
        vectors = layer_means(backbone, data.texts("train"))[:, -1]
        test = layer_means(backbone, data.texts("test"))[:, -1]
        for labels in RANDOM_SIZES:  # fewer labels are the beginning of more
            own = answers(data, "train")[:labels]
            score = probe(vectors[:labels], own, test, answers(data, "test"))
            what = {"labels": labels, "seed": seed}
            yield "frozen", {"way": "MiniLM, random", **what, "accuracy": f"{score:.4f}"}
    for labels in SIZES:
        for seed in range(3):
            for name, way in FROM_SCRATCH.items():
                score = from_scratch(name, draw(labels, seed, batch_size=64), seed)
                yield "frozen", {"way": way, "labels": labels, "seed": seed, "accuracy": f"{score:.4f}"}


def tuned() -> Iterator[tuple[str, Row]]:
    """(file, row) for every arm, number of labels and seed, on 500 test sentences.

    MiniLM reads batches of 16, texts cut at 48 word pieces. What starts from scratch is a small transformer
    of two layers, since so few labels cannot fill a large one, and is trained longer, for 200 batches.
    """
    tokenizer = MiniLMTokenizer(max_length=48)
    for labels, epochs in TUNED.items():
        for seed in range(3):
            for arm in ARMS:
                torch.manual_seed(seed)
                data = ShortTest(labels=labels, vocabulary=tokenizer, batch_size=16, seed=seed)
                if arm == "from scratch":
                    data.vocabulary = Vocabulary.of(draw(labels, seed).texts("train"))
                    backbone = create_backbone("transformer", vocab_size=len(data.vocabulary), dropout=0.3)
                    passes = max(epochs, BATCHES * data.batch_size // labels)
                else:
                    backbone, passes = create_backbone("minilm", weights="bundled"), epochs
                network = Network(backbone, ClassificationHead(backbone.channels, 2))
                scores = train(network, data, 2, passes, **RATES[arm])
                yield "tuned", {"arm": arm, "labels": labels, "seed": seed, **scores}


PARTS = {"frozen": frozen, "tuned": tuned}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that are named, or all."""
    return measure_parts("measure_text", __doc__, PARTS, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
