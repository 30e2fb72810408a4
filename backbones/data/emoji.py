"""What emoji are called in two languages: real parallel texts, and a picture that shows what they mean."""

from collections import Counter
from collections.abc import Sequence

import torch

from .images import check_positive
from .pairs import Pairs
from .vocabulary import words_of


class Emoji(Pairs):
    """Names of 3,972 emoji in English and another language: 3,372 to train, 200 each to validate and test.

    ("man farmer medium skin tone", "fermier peau légèrement mate", "👨🏽‍🌾"). Items: (English, foreign,
    emoji), all different. Tokens are words in small letters. Batches: see `Pairs`.

    val and test hold new combinations of known words: names with a skin tone, every word of which, on both
    sides, stands in a training name too. `.unseen` holds 200 names with an English word that no other name
    has, such as "Gibraltar": what the model never read it cannot know.

    To beat, in French: the translation of the training name with the most words in common is never right, but
    looks so (chrF 75; a copy of the English: 15). A GRU with attention (128 wide, batches of 64, Adam at
    0.004) gets 0.16, 0.60, 0.87, 0.95, 0.97, 0.99 of the test names right after one to six epochs of 5 to 10
    seconds each, and of the unseen ones 0.00.

    Source: Unicode CLDR, Unicode License v3, which the package emoji (BSD) brings. The figures are those of
    its version 2.16.

    Attributes: after `setup()` unseen, a list of items like train, val and test.
    """

    unseen: list[tuple[str, str, str]]

    def __init__(self, language: str = "fr", batch_size: int = 32, seed: int = 0):
        """
        Args:
            language: ar, de, es, fa, fr, id, it, ja, ko, pt, ru, tr or zh. Which names are held out depends
                on it a little, because of the words.
            batch_size: pairs per batch.
            seed: chooses the order of training batches.
        Raises:
            ValueError: for another language, listing these.
        """
        from emoji import LANGUAGES

        super().__init__()
        check_positive(batch_size=batch_size)
        known = sorted({*LANGUAGES} - {"en"})
        if language not in known:
            raise ValueError(f"no names of emoji in language {language!r}: choose from {', '.join(known)}")
        self.language, self.batch_size, self.seed = language, batch_size, seed

    def setup(self, stage: str | None = None) -> None:
        """Make train, val, test and unseen; `stage` is Lightning's and all stages need the same."""
        items = self._items()
        order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0)).tolist()
        items = [items[number] for number in order]
        counts = Counter(word for item in items for word in {*words_of(item[0])})
        alone = [item for item in items if any(counts[word] == 1 for word in words_of(item[0]))]
        self.unseen, unseen = alone[:200], {*alone[:200]}
        known = [item for item in items if item not in unseen]
        self.train, composed = hold_out_compositions(known, 400)
        self.val, self.test = composed[:200], composed[200:]
        self.build_vocabularies(words_of)

    def _items(self) -> list[tuple[str, str, str]]:
        """(English, foreign, emoji) of every emoji, ":man_farmer:" as "man farmer"."""
        import emoji

        emoji.config.load_language(self.language)
        whole = emoji.STATUS["fully_qualified"]  # the others are older spellings of the same emoji
        return [
            (*(names[code].strip(":").replace("_", " ") for code in ("en", self.language)), character)
            for character, names in emoji.EMOJI_DATA.items()
            if names["status"] <= whole
        ]


def hold_out_compositions(items: Sequence[tuple], count: int) -> tuple[list[tuple], list[tuple]]:
    """Take names with a skin tone out, as long as each of their words stays in a name that is left.

    Args:
        items: (English, foreign, ...); they are tried in this order.
        count: how many names to take.
    Returns:
        Those that are left, and those taken.
    """
    words = [{*((0, w) for w in words_of(item[0])), *((1, w) for w in words_of(item[1]))} for item in items]
    left = Counter(word for own in words for word in own)
    kept, taken = [], []
    for item, own in zip(items, words, strict=True):
        if len(taken) < count and "skin tone" in item[0] and all(left[word] > 1 for word in own):
            taken.append(item)
            left.subtract(own)
        else:
            kept.append(item)
    return kept, taken
