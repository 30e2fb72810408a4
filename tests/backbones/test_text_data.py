"""Reviews, Sentences, Tags, TextFile: what they hold, that it never changes, what they say in a bad case."""

import re
from collections import Counter

import pytest
import torch

from backbones import archives
from backbones.data import Reviews


def ready(kind: type, *arguments, **options):
    data = kind(*arguments, **options)
    data.setup()
    return data


def parts(data) -> list[list]:
    return [data.train, data.val, data.test]


# ---- Reviews -------------------------------------------------------------------------------------

DOMAINS = pytest.mark.parametrize(
    ("domain", "sizes", "positive"),
    [("films", (7570, 500, 2000), 0.496), ("products", (2151, 215, 601), 0.585)],
)


@pytest.fixture(scope="module")
def films() -> Reviews:
    return ready(Reviews)


@DOMAINS
def test_reviews_have_the_sizes_and_labels_that_are_told(domain, sizes, positive):
    data = ready(Reviews, domain)
    assert tuple(map(len, parts(data))) == sizes
    everything = [review for part in parts(data) for review in part]
    assert sum(review.label for review in everything) / len(everything) == pytest.approx(positive, abs=5e-4)
    assert all(abs(review.rating) >= 0.5 and (review.rating > 0) == review.label for review in everything)


@DOMAINS
def test_no_review_is_twice_and_none_holds_an_address(domain, sizes, positive):
    texts = [review.text for part in parts(ready(Reviews, domain)) for review in part]
    words = Counter(" ".join(re.findall(r"\w+", text.lower())) for text in texts)
    assert words.most_common(1)[0][1] == 1
    assert not any(re.search(r"\w@\w|^@\w", text) for text in texts)


def test_a_product_review_is_in_one_part():
    numbers = {}
    for line in archives.reviews_file("products").read_text(encoding="utf-8").split("\n")[:-1]:
        number, _, text = line.split("\t")
        numbers.setdefault(text, number.partition("_")[0])
    reviews = [{numbers[review.text] for review in part} for part in parts(ready(Reviews, "products"))]
    assert sum(map(len, reviews)) == len(set().union(*reviews))


def test_texts_are_read_as_they_were_written(films):
    (text,) = [
        text for part in ("train", "val", "test") for text in films.texts(part) if "Almodóvar, the" in text
    ]
    assert text.startswith("Complex, affecting and uniquely Almodóvar")
    assert [review.text for review in films.val] == films.texts("val")


def test_fewer_labels_are_a_balanced_part_of_more(films):
    small, large, other = (ready(Reviews, labels=n, seed=s) for n, s in ((16, 3), (128, 3), (16, 4)))
    assert sum(review.label for review in small.train) == 8
    assert set(small.train) < set(large.train) < set(films.train)
    assert set(small.train) != set(other.train)
    assert small.test == films.test
    assert len(small.vocabulary) < len(films.vocabulary)


def test_one_person_against_the_others(films):
    assert films.human_ceiling() == pytest.approx(0.942, abs=5e-4)


def test_one_persons_zero_is_half_right(films):
    one = films.test[0]
    data = ready(Reviews)
    data.test, data._ratings = [one], {one.text: [3, 1, 0, -1]}
    # 3 against 0: no side; 1 against 2: right; 0: half; -1 against 4: wrong
    assert data.human_ceiling() == (0.5 + 1 + 0.5 + 0) / 4


def test_reviews_come_in_batches_with_the_vocabulary_that_is_given(films):
    products = ready(Reviews, "products", vocabulary=films.vocabulary, batch_size=5)
    (tokens, lengths), labels = next(iter(products.test_dataloader()))
    assert tokens.dtype == lengths.dtype == labels.dtype == torch.int64
    assert labels.tolist() == [review.label for review in products.test[:5]]
    assert tokens[0, : lengths[0]].tolist() == films.vocabulary.encode(products.test[0].text)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"domain": "tweets"}, "no reviews of 'tweets'; there are 'films', 'products'"),
        ({"labels": 0}, "labels=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"labels": 7571}, "labels=7571 is more than the 7570"),
    ],
)
def test_reviews_that_cannot_be_had(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ready(Reviews, **options)


def test_reviews_that_were_not_fetched_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FOLDER", tmp_path)
    with pytest.raises(archives.ArchiveError, match=r"run `python -m backbones\.archives`"):
        ready(Reviews)
