"""Pairs of texts, in two languages or two ways of writing: what translation learns from."""

from collections.abc import Callable, Sequence

from torch import Tensor

from .splits import SplitData
from .vocabulary import BEGIN, END, Vocabulary, pad


class Pairs(SplitData):
    """Texts with their translations: items begin with (source, target), a subclass says which.

    A batch is ((tokens, lengths), target): tokens int64 (B, T) and lengths int64 (B,) of the sources, target
    int64 (B, S), each row `<begin>`, the translation, `<end>`, then 0.

    Attributes: after `setup()` source_vocabulary and target_vocabulary, of the training part.
    """

    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary

    def build_vocabularies(self, split: Callable[[str], Sequence[str]]) -> None:
        """Give every token of the training part its number; a subclass calls it at the end of `setup()`."""
        self.source_vocabulary = Vocabulary.of((item[0] for item in self.train), split)
        self.target_vocabulary = Vocabulary.of((item[1] for item in self.train), split)

    def collate(self, items: Sequence[tuple]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Items as a batch; see above."""
        targets = [[BEGIN, *self.target_vocabulary.encode(item[1]), END] for item in items]
        return self.source_vocabulary.batch([item[0] for item in items]), pad(targets)[0]
