"""Words as the nodes of a graph, and the graph of nearest neighbors that any vectors have."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .images import check_positive
from .lexicon import rated_words
from .splits import SplitData
from .vocabulary import IGNORED

NEIGHBORS = 8


class Words(SplitData):
    """2,213 rated English words in one graph, some of known class. Which of the others are positive?

        data = Words(edges="letters", labels=100)
        data.setup()
        (nodes, adjacency), answers = data.train[0]     # one graph is one item and one batch

    Nodes: float32 (2213, 512), what letters a word has (`letter_features`). Adjacency: sparse (2213, 2213),
    an edge of weight 1 between a word and each of its eight nearest words: by these letters, or by meaning,
    in vectors that the learner brings. Answers: int64 (2213,), 0 negative (58 %), 1 positive, -100 for a word
    whose class is not told: in `train` all but the training words that `labels` keeps, in `val` and `test`
    all words but theirs. The parts share one graph: held-out words are seen, their classes are not.

    There is one word per family, of those that begin with the same five letters the first: else "abandoned"
    in training would tell about "abandons" in the test, and letters would seem to know what words mean.

    The parts: 1,413 words to train, 300 to validate, 500 to test, the same whatever the options.

    To beat: the commoner class is right for 0.58 of the test words; two words at random agree in 0.51 of
    cases, over edges by letters in 0.59, by meaning (MiniLM's vectors) in 0.74. Test accuracy, mean of five
    draws of labels (lowest to highest); the graph convolution has two layers 32 wide and 30 steps of Adam:

        labels                                       20                 100                 400
        logistic regression on the nodes    .49 (.46 to .50)    .54 (.49 to .57)    .60 (.58 to .61)
        graph convolution, by letters       .49 (.47 to .50)    .53 (.49 to .56)    .58 (.55 to .60)
        graph convolution, by meaning       .62 (.56 to .65)    .70 (.68 to .71)    .78 (.75 to .80)
        logistic regression on the vectors  .71 (.69 to .77)    .79 (.77 to .81)    .82 (.81 to .84)

    Source: the lexicon of VADER (MIT), see `rated_words`.

    Attributes: words, in the order of the nodes; class_names; after `setup()` nodes, adjacency, and labels
    (2213,), the classes of all words.
    """

    class_names = ("negative", "positive")
    nodes: Tensor
    adjacency: Tensor
    labels: Tensor

    def __init__(
        self,
        edges: Literal["letters", "meaning"] = "letters",
        labels: int | None = None,
        vectors: Tensor | None = None,
        steps_per_epoch: int = 1,
        seed: int = 0,
    ):
        """
        Args:
            edges: what makes words neighbors.
            labels: how many training words have a class, half of them positive as long as both last; None
                keeps all. A smaller number keeps a part of a larger one.
            vectors: (2213, D), for edges="meaning": a vector per word, in the order of `words`, in which
                words of like meaning point in like directions. `backbones.minilm.encode` makes them in about
                three seconds. They become edges only, not features.
            steps_per_epoch: how often the graph comes in an epoch of training. With one, most of the time
                goes into what surrounds an epoch.
            seed: chooses which words `labels` keeps.
        Raises:
            ValueError: for an option that makes no sense, and from setup() if `labels` is too large.
        """
        super().__init__()
        check_positive(steps_per_epoch=steps_per_epoch, **({} if labels is None else {"labels": labels}))
        # Of a family the first comes last here and overwrites the others.
        families = {word[:5]: word for word in reversed(rated_words())}
        self.words = sorted(families.values())
        if edges not in ("letters", "meaning"):
            raise ValueError(f'edges={edges!r} is not possible: choose "letters" or "meaning"')
        if (edges == "meaning") != (vectors is not None):
            raise ValueError(
                'edges="meaning" and vectors= belong together: the vectors say which words are alike, as '
                'vectors=encode(create_backbone("minilm", weights="bundled"), Words().words)'
            )
        if vectors is not None and (vectors.ndim != 2 or len(vectors) != len(self.words)):
            raise ValueError(
                f"vectors have shape {tuple(vectors.shape)}: pass one per word, ({len(self.words)}, D)"
            )
        self.edges, self.known, self.vectors = edges, labels, vectors
        self.batch_size, self.steps_per_epoch, self.seed = 1, steps_per_epoch, seed

    def setup(self, stage: str | None = None) -> None:
        """Make nodes, adjacency, labels, train, val and test; `stage` is Lightning's, all need the same."""
        ratings = rated_words()
        self.labels = torch.tensor([sum(ratings[word]) > 0 for word in self.words]).long()
        self.nodes = letter_features(self.words)
        alike = (
            self.nodes
            if self.vectors is None
            else F.normalize(torch.as_tensor(self.vectors).detach().float())
        )
        self.adjacency = nearest_neighbors(alike, NEIGHBORS)
        order = torch.randperm(len(self.words), generator=torch.Generator().manual_seed(0))
        test, val, train = order.split([500, 300, len(order) - 800])
        self.train = [self._item(self._keep(train))] * self.steps_per_epoch
        self.val, self.test = [self._item(val)], [self._item(test)]

    def collate(self, items: Sequence[tuple]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The graph itself: there is nothing to put together."""
        (item,) = items
        return item

    def _item(self, told: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        answers = torch.full_like(self.labels, IGNORED)
        answers[told] = self.labels[told]
        return (self.nodes, self.adjacency), answers

    def _keep(self, train: Tensor) -> Tensor:
        """The training words whose class is told: negative and positive in turn."""
        if self.known is None:
            return train
        if self.known > len(train):
            raise ValueError(f"labels={self.known} is more than the {len(train)} training words there are")
        shuffled = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed))]
        positive = self.labels[shuffled] == 1
        # 1 for the first of its class, 2 for the second
        place = torch.where(positive, positive.cumsum(0), (~positive).cumsum(0))
        return shuffled[place.argsort(stable=True)][: self.known]


def letter_features(words: Sequence[str]) -> Tensor:
    """Which runs of two and three letters words have.

    Every run adds 1 or -1 to one of 512 numbers; which of them, a hash decides, the same on every machine.

    Args:
        words: each stands for itself; spaces are put around it, so that its ends count as well.
    Returns:
        float32 (N, 512), each row of length 1: products of rows say how alike two words are written.
    """
    from sklearn.feature_extraction.text import HashingVectorizer  # here: it takes a second to import

    runs = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 3), n_features=512).transform(words)
    return torch.from_numpy(runs.toarray()).float()


def nearest_neighbors(vectors: Any, k: int) -> Tensor:
    """The graph in which everything is joined with the k that lie nearest to it.

    An edge goes both ways, so who is near to many has more than k.

    Args:
        vectors: (N, D), a tensor or an array; distances are Euclidean. Of vectors of length 1 the nearest is
            the one with the most similar direction.
        k: 1 to N - 1.
    Returns:
        sparse COO (N, N), float32: 1 for an edge, no self loops, symmetric.
    Raises:
        ValueError: for another k.
    """
    from sklearn.neighbors import kneighbors_graph

    if not 1 <= k < len(vectors):
        raise ValueError(f"k={k}: each of {len(vectors)} has 1 to {len(vectors) - 1} neighbors")
    graph = kneighbors_graph(vectors, k)
    graph = graph.maximum(graph.T).tocoo()
    rows, columns = torch.from_numpy(graph.row).long(), torch.from_numpy(graph.col).long()
    edges, weights = torch.stack([rows, columns]), torch.ones(len(rows))
    return torch.sparse_coo_tensor(edges, weights, graph.shape, check_invariants=True).coalesce()
