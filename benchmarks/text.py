"""Text backbones beside what one would take otherwise: `python course.py bench text`

MiniLM beside transformers' BertModel with the same weights, on real review sentences: the forward pass alone,
on the same batches, and the whole way from texts to vectors, tokenizers and sorting by length included, as
sentence-transformers does it. The course's GRU beside torch.nn's, written as in torch's own tutorials:
embedding, packed GRU, linear layer, training steps on the same batches. Results have to be
equal, or this stops. Contestants take turns in one process and on one thread; reported are medians of the
processor's time, to which other work on the machine adds little. Writes benchmarks/text.md.
"""

import argparse
import datetime
import operator
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import BertModel, BertTokenizerFast

from backbones import Network, create_backbone
from backbones.data import Reviews
from backbones.heads import ClassificationHead
from backbones.minilm import WEIGHTS, MiniLMTokenizer, encode

from .deeplab_speed import take_turns
from .lessons import machine
from .memory import peak_bytes

RESULTS = Path(__file__).with_suffix(".md")
COMMAND = "python course.py bench text"
SENTENCES, ENCODED_TOGETHER = 200, 64
TRAINED_TOGETHER, STEPS, WIDTH, BUILDS = 32, 4, 128, 6


class Row(NamedTuple):
    """One comparison: largest difference of results, medians in milliseconds, ratios ours to theirs."""

    what: str
    difference: float
    theirs_ms: float
    ours_ms: float
    time_ratio: float
    memory_ratio: float | None


class BertVectors(nn.Module):
    """transformers' model with the mean over real positions, as the model's card tells to take it."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(str(WEIGHTS.find("MiniLM").parent), add_pooling_layer=False)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).long()
        states = self.bert(tokens, attention_mask=mask).last_hidden_state
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


class Summary(nn.Module):
    """Our backbone's vectors: a head that does nothing."""

    def forward(self, features: dict) -> Tensor:
        return features.summary


class PlainGRU(nn.Module):
    """Embedding, packed GRU and linear layer, by torch.nn alone."""

    def __init__(self, vocab_size: int, bidirectional: bool):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, WIDTH, padding_idx=0)
        self.gru = nn.GRU(WIDTH, WIDTH, batch_first=True, bidirectional=bidirectional)
        self.classifier = nn.Linear(WIDTH * (1 + bidirectional), 2)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)  # (directions, B, WIDTH)
        return self.classifier(last.transpose(0, 1).flatten(1))


Runs = dict[str, Callable[[], Tensor]]  # "theirs" and "ours"


def compare(what: str, builds: Sequence[Runs], rounds: int, peaks: dict[str, int] | None = None) -> Row:
    """Let both run once and compare what they give, then let them take turns; so with each build.

    Where in memory a model lies makes it faster or slower, therefore there are several of the small ones.

    Raises:
        SystemExit: the results differ.
    """
    times: dict[str, list[float]] = {"theirs": [], "ours": []}
    for number, runs in enumerate(builds):
        difference = float((runs["ours"]() - runs["theirs"]()).abs().max())
        if difference > 1e-4:
            sys.exit(f"{what}: results differ by {difference:.1e}, times cannot be compared")
        for label, measured in take_turns(runs, rounds, random.Random(number), time.process_time).items():
            times[label] += measured
    ratio = statistics.median(map(operator.truediv, times["ours"], times["theirs"]))
    memory = peaks and peaks["ours"] / peaks["theirs"]
    row = Row(what, difference, *(statistics.median(times[label]) for label in times), ratio, memory)
    print(row, flush=True)
    return row


def minilm_rows(texts: Sequence[str], rounds: int) -> list[Row]:
    """Encoding: the forward pass alone, and from texts to vectors."""
    folder, backbone = str(WEIGHTS.find("MiniLM").parent), create_backbone("minilm", weights="bundled")
    models = {"theirs": BertVectors().eval(), "ours": Network(backbone, Summary()).eval()}
    tokens, lengths = MiniLMTokenizer().batch(texts)
    batches = [
        (tokens[rows, : lengths[rows].max()], lengths[rows])
        for rows in lengths.argsort().split(ENCODED_TOGETHER)
    ]

    def forward(model: nn.Module) -> Tensor:
        with torch.no_grad():
            return torch.cat([model(*batch) for batch in batches])

    tokenizer = BertTokenizerFast.from_pretrained(folder)

    def encode_theirs() -> Tensor:
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        vectors = []
        for start in range(0, len(order), ENCODED_TOGETHER):
            chosen = [texts[number] for number in order[start : start + ENCODED_TOGETHER]]
            given = tokenizer(chosen, padding=True, truncation=True, max_length=256, return_tensors="pt")
            with torch.no_grad():
                vectors.append(models["theirs"](given["input_ids"], given["attention_mask"].sum(1)))
        return torch.cat(vectors)[torch.tensor(order).argsort()]

    peaks = {label: peak_bytes(model, *batches[-1]) for label, model in models.items()}
    runs = {label: lambda model=model: forward(model) for label, model in models.items()}
    whole = {"theirs": encode_theirs, "ours": lambda: encode(backbone, texts, ENCODED_TOGETHER)}
    return [
        compare(f"MiniLM, forward pass of {len(texts)} sentences", [runs], rounds, peaks),
        compare(f"MiniLM, {len(texts)} sentences to vectors", [whole], rounds),
    ]


def gru_row(bidirectional: bool, rounds: int) -> Row:
    """Training steps: forward, loss, backward, AdamW."""
    data = Reviews(batch_size=TRAINED_TOGETHER)
    data.setup()
    size = len(data.vocabulary)
    chosen = data.train[: STEPS * TRAINED_TOGETHER]
    batches = [data.collate(chosen[start::STEPS]) for start in range(STEPS)]

    def build(label: str) -> nn.Module:
        if label == "theirs":
            return PlainGRU(size, bidirectional)
        backbone = create_backbone("gru", vocab_size=size, width=WIDTH, bidirectional=bidirectional)
        return Network(backbone, ClassificationHead(backbone.channels, 2))

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
        for inputs, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(*inputs), labels).backward()
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    builds = []
    for number in range(BUILDS):
        torch.manual_seed(number)
        order = ("theirs", "ours") if number % 2 else ("ours", "theirs")
        models = {label: build(label) for label in order}
        state = models["theirs"].state_dict().values()
        models["ours"].load_state_dict(dict(zip(models["ours"].state_dict(), state, strict=True)))
        runs = {}
        for label in order:
            optimizer = torch.optim.AdamW(models[label].parameters(), lr=1e-3)
            runs[label] = partial(steps, models[label], optimizer)
        builds.append(runs)
    peaks = {label: peak_bytes(model, *batches[0][0], backward=True) for label, model in models.items()}
    kind = "GRU in both directions" if bidirectional else "GRU"
    return compare(f"{kind}, {STEPS} training steps", builds, rounds, peaks)


def table(rows: list[Row], rounds: int) -> str:
    """The results as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("transformers", "tokenizers"))
    lines = f"""# Text backbones beside their peers: time and memory

Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}, {versions},
one thread, {rounds} interleaved rounds (GRU: with each of {BUILDS} builds); medians of processor time and of
the turns' ratios.

MiniLM: transformers' BertModel with the same weights, {SENTENCES} sentences of film reviews,
{ENCODED_TOGETHER} at a time, sorted by length on both sides. GRU: torch.nn's Embedding, GRU (packed)
and Linear, {WIDTH} wide, {TRAINED_TOGETHER} sentences in a batch, AdamW. Ratios are ours to theirs: below 1
ours is faster or smaller. "Difference": the largest, of any number in a vector or, after the steps,
of any parameter. Memory: peak of a forward pass (MiniLM), of forward and backward (GRU), without
parameters. Ours also has the features of every word, which the plain GRU leaves packed.

| what | difference | theirs, ms | ours, ms | time ratio | memory ratio |
|---|---:|---:|---:|---:|---:|
""".splitlines()
    for row in rows:
        memory = "" if row.memory_ratio is None else f"{row.memory_ratio:.2f}"
        times = f"{row.theirs_ms:.0f} | {row.ours_ms:.0f} | {row.time_ratio:.2f}"
        lines.append(f"| {row.what} | {row.difference:.0e} | {times} | {memory} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", choices=["minilm", "gru"], help="one of the two; writes nothing")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = Reviews()
    data.setup()
    rows = []
    if options.only != "gru":
        rows += minilm_rows(data.texts("test")[:SENTENCES], options.rounds)
    if options.only != "minilm":
        rows += [gru_row(bidirectional, options.rounds) for bidirectional in (False, True)]
    if options.only is None:
        RESULTS.write_text(table(rows, options.rounds), encoding="utf-8")
        print(f"written: benchmarks/{RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
