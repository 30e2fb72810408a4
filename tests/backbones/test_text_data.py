"""Reviews, Sentences, Tags, TextFile: what they hold, that it never changes, what they say in a bad case."""

import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from backbones import archives
from backbones.data import Reviews, Sentences, Tags, TextFile, TextFileError
from backbones.data.lexicon import rated_words
from backbones.data.sentences import ADJECTIVES
from backbones.data.tags import PARTS, TAG_NAMES, Tagged
from backbones.data.vocabulary import UNKNOWN, Vocabulary


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
    with pytest.raises(archives.ArchiveError, match=re.escape(archives.COMMAND)):
        ready(Reviews)


# ---- Sentences -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    return ready(Sentences)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+|[,.]", text.lower())


def test_each_word_has_the_ratings_of_ten_people():
    ratings = rated_words()
    assert ratings["good"] == [2, 1, 1, 3, 2, 4, 2, 2, 1, 1]
    assert {len(each) for each in ratings.values()} == {10}
    assert all(word.isalpha() for word in ratings)


def test_sentences_of_the_same_words_have_both_labels(sentences):
    for part in parts(sentences):
        bags = {}
        for sentence in part:
            bags.setdefault(" ".join(sorted(words(sentence.text))), []).append(sentence.label)
        assert all(sum(labels) * 2 == len(labels) for labels in bags.values())


def meetings(part: list) -> set[frozenset]:
    """Adjectives of one clause with those of the other, or "not this but that"."""
    found = set()
    for sentence in part:
        first, second = re.split(
            r", although |, but |, | and | but (?!also)", sentence.text.lower(), maxsplit=1
        )
        sides = [[word for word in words(side) if word in ADJECTIVES] for side in (first, second)]
        assert all(sides), sentence.text
        found |= {frozenset((one, other)) for one in sides[0] for other in sides[1]}
    return found


def test_words_that_meet_in_one_part_never_meet_in_another(sentences):
    train, val, test = map(meetings, parts(sentences))
    assert not train & val
    assert not train & test
    assert not val & test
    assert set().union(*test) == set().union(*train) == set(ADJECTIVES), "each word itself is known"


def test_constructions_are_held_out_whose_parts_are_known(sentences):
    built = [Counter(sentence.construction for sentence in part) for part in parts(sentences)]
    assert not sentences.held_out & (built[0].keys() | built[1].keys())
    assert sum(count for name, count in built[2].items() if name in sentences.held_out) == 500
    assert sentences.held_out <= built[2].keys()
    known = {name for construction in built[0] for name in construction.split(", ")}
    assert known >= {name for construction in sentences.held_out for name in construction.split(", ")}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (r"The \w+ is (\w+), but the \w+ is (\w+)\.", lambda first, second: second),
        (r"The \w+ is (\w+), although the \w+ is (\w+)\.", lambda first, second: first),
        (r"Although the \w+ is not (\w+), the \w+ is not (\w+)\.", lambda first, second: not second),
        (r"The \w+ is not (\w+) but (\w+)\.", lambda first, second: second),
        (r"The \w+ is a bit (\w+) and the \w+ is very (\w+)\.", lambda first, second: second),
        (r"The \w+ is really (\w+) and the \w+ is slightly (\w+)\.", lambda first, second: first),
        (r"The \w+ is not only (\w+) but also \w+, but the \w+ is (\w+)\.", lambda first, second: second),
    ],
)
def test_labels_are_what_a_reader_would_say(sentences, text, label):
    ratings = rated_words()
    found = [
        (re.fullmatch(text, sentence.text), sentence.label) for part in parts(sentences) for sentence in part
    ]
    found = [
        ([sum(ratings[word]) > 0 for word in match.groups()], answer) for match, answer in found if match
    ]
    assert len(found) >= 4
    assert all(label(*positive) == answer for positive, answer in found)


def test_seeds_choose_training_sentences_and_fewer_are_a_beginning(sentences):
    small, other = ready(Sentences, count=100), ready(Sentences, count=100, seed=1)
    assert small.train == sentences.train[:100]
    assert other.train != small.train
    assert other.test == small.test == sentences.test
    assert len({sentence.text for part in parts(sentences) for sentence in part}) == 4000 + 400 + 1000


@pytest.mark.parametrize("count", [0, 7])
def test_sentences_come_in_pairs(count):
    with pytest.raises(ValueError, match=f"count={count}"):
        Sentences(count=count)


def test_without_order_there_is_nothing_to_learn(sentences):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    bag = CountVectorizer()
    labels = [[sentence.label for sentence in part] for part in parts(sentences)]
    model = LogisticRegression().fit(bag.fit_transform(sentences.texts("train")), labels[0])
    assert model.score(bag.transform(sentences.texts("test")), labels[2]) == 0.5


class SmallGRU(torch.nn.Module):
    """The state after the last word, and a linear layer."""

    def __init__(self, vocabulary_size: int, answers: int, width: int = 64):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, width)
        self.gru = torch.nn.GRU(width, width, batch_first=True)
        self.linear = torch.nn.Linear(width, answers)

    def forward(self, tokens, lengths):
        states, _ = self.gru(self.embedding(tokens))
        return self.linear(states[torch.arange(len(tokens)), lengths - 1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_small_recurrent_network_learns_the_order(seed):
    data = ready(Sentences, seed=seed)
    torch.manual_seed(seed)
    network = SmallGRU(len(data.vocabulary), answers=2)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(4):
        for inputs, labels in data.train_dataloader():
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(*inputs), labels).backward()
            optimizer.step()
    for half in (data.test[:500], data.test[500:]):  # known constructions, and those held out
        inputs, labels = data.collate(half)
        assert (network(*inputs).argmax(1) == labels).float().mean() >= 0.95


# ---- Tags ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tags() -> Tags:
    return ready(Tags)


def spans(numbers) -> set[tuple[str, int, int]]:
    """The entities of a row of tags as (kind, first word, word behind the last)."""
    found, start = set(), None
    for place, name in enumerate([*(TAG_NAMES[number] for number in numbers), "O"]):
        if start is not None and not name.startswith("I-"):
            found.add((TAG_NAMES[numbers[start]][2:], start, place))
            start = None
        if name.startswith("B-"):
            start = place
    return found


def entity_f1(predicted: list, items: list[Tagged]) -> float:
    """2 * right / (predicted + there), counted over entities."""
    pairs = [(spans(row), spans(item.tags)) for row, item in zip(predicted, items, strict=True)]
    return (
        2 * sum(len(one & other) for one, other in pairs) / sum(len(one) + len(other) for one, other in pairs)
    )


def test_each_word_has_a_tag_and_an_inner_one_follows_its_like(tags):
    for part, count in zip(parts(tags), (4000, 500, 1000), strict=True):
        assert len(part) == len(set(part)) == count
        for item in part:
            assert len(item.words) == len(item.tags)
            for before, after in zip(("O", *item.tags), item.tags, strict=False):
                if TAG_NAMES[after].startswith("I-"):
                    assert TAG_NAMES[before][2:] == TAG_NAMES[after][2:], item
    assert {number for item in tags.test for number in item.tags} == set(range(9))


KNOWN_PARTS = {word.lower() for words in PARTS.values() for word in words} | {"university", "of", "and"}


def test_no_name_is_in_two_parts(tags):
    found = [
        {
            word.lower()
            for item in part
            for word, number in zip(item.words, item.tags, strict=True)
            if 0 < number < TAG_NAMES.index("B-DATE")
        }
        for part in parts(tags)
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert found[one] & found[other] <= KNOWN_PARTS


def built_like(items: list[Tagged]) -> set[str]:
    """Each sentence with its kinds of names in place of the names."""
    like = set()
    for item in items:
        pairs = zip(item.words, item.tags, strict=True)
        words = [TAG_NAMES[number] if number else word.lower() for word, number in pairs]
        like.add(re.sub(r"\d+", "7", " ".join(word for word in words if not word.startswith("I-"))))
    return like


def test_half_of_the_test_is_built_in_new_ways(tags):
    train = built_like(tags.train)
    assert built_like(tags.test[:500]) <= train
    assert not built_like(tags.test[500:]) & train
    assert len(built_like(tags.test[500:])) == 32


def test_the_same_name_can_be_a_person_a_place_and_an_organization(tags):
    kinds = {}
    for item in tags.train:
        for word, number in zip(item.words, item.tags, strict=True):
            if number and word.lower() not in KNOWN_PARTS:
                kinds.setdefault(word, set()).add(TAG_NAMES[number][2:])
    assert sum({"PER", "LOC", "ORG"} <= each for each in kinds.values()) > 500


def test_a_batch_of_tags_fits_its_tokens(tags):
    items = tags.test[:7]
    (tokens, lengths), answers = tags.collate(items)
    assert tokens.shape == answers.shape == (7, max(len(item.words) for item in items))
    assert tokens.dtype == answers.dtype == torch.int64
    for row, length, item in zip(answers.tolist(), lengths.tolist(), items, strict=True):
        assert row[:length] == list(item.tags)
        assert set(row[length:]) <= {-100}


def test_some_names_of_the_training_sentences_are_unknown_too(tags):
    """Else a network would never have seen the one token that stands for every name of the test part."""
    (tokens, _), _ = tags.collate(tags.train)
    assert 0.02 < (tokens == UNKNOWN).sum() / (tokens != 0).sum() < 0.2


def test_a_vocabulary_of_other_tokens_is_refused(tags):
    data = ready(Tags, count=10, vocabulary=Vocabulary.of(["letters"], split=list))
    with pytest.raises(ValueError, match="one token per word"):
        next(iter(data.train_dataloader()))


def test_tags_are_the_same_in_every_run(tags):
    small, other = ready(Tags, count=50), ready(Tags, count=50, seed=1)
    assert small.train == tags.train[:50] != other.train
    assert small.test == other.test == tags.test


def test_looking_each_word_up_finds_few_names(tags):
    counts = {}
    for item in tags.train:
        for word, number in zip(item.words, item.tags, strict=True):
            counts.setdefault(word.lower(), Counter())[number] += 1
    commonest = {word: each.most_common(1)[0][0] for word, each in counts.items()}
    predicted = [[commonest.get(word.lower(), 0) for word in item.words] for item in tags.test]
    assert entity_f1(predicted, tags.test) < 0.2


class TaggingGRU(torch.nn.Module):
    """States of both directions at every word, and a linear layer."""

    def __init__(self, vocabulary_size: int, width: int = 64):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, width)
        self.gru = torch.nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.linear = torch.nn.Linear(2 * width, len(TAG_NAMES))

    def forward(self, tokens, lengths):
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.linear(states).transpose(1, 2)


@pytest.mark.slow
def test_reading_both_ways_finds_names_that_were_never_seen(tags):
    torch.manual_seed(0)
    network = TaggingGRU(len(tags.vocabulary))
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(2):
        for inputs, answers in tags.train_dataloader():
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(*inputs), answers).backward()
            optimizer.step()
    for half in (tags.test[:500], tags.test[500:]):
        (tokens, lengths), _ = tags.collate(half)
        rows = network(tokens, lengths).argmax(1)
        predicted = [row[:length].tolist() for row, length in zip(rows, lengths, strict=True)]
        assert entity_f1(predicted, half) >= 0.95


# ---- TextFile ------------------------------------------------------------------------------------

ROWS = [(f"text number {number}", "blame" if number % 3 else "praise") for number in range(30)]


@pytest.fixture
def table(tmp_path) -> Callable[..., Path]:
    """Writes a table and returns its path."""

    def write(rows=ROWS, mark="\t", encoding="utf-8", name="mine.tsv", more="") -> Path:
        lines = [f"text{mark}label", *(f"{text}{mark}{label}" for text, label in rows)]
        path = tmp_path / name
        path.write_bytes(("\n".join(lines) + "\n" + more).encode(encoding))
        return path

    return write


def texts_and_labels(data: TextFile) -> set[tuple[str, str]]:
    return {(item.text, data.class_names[item.label]) for part in parts(data) for item in part}


def refusal(path: Path, **options) -> str:
    with pytest.raises(TextFileError) as caught:
        ready(TextFile, path, **options)
    return str(caught.value)


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_becomes_three_parts_with_all_classes(table, mark, encoding):
    data = ready(TextFile, table(mark=mark, encoding=encoding))
    assert data.class_names == ("blame", "praise")
    assert tuple(map(len, parts(data))) == (21, 3, 6)
    assert all({item.label for item in part} == {0, 1} for part in parts(data))
    assert texts_and_labels(data) == set(ROWS)
    (tokens, lengths), labels = next(iter(data.val_dataloader()))
    assert tokens.shape == (3, 3)
    assert lengths.tolist() == [3, 3, 3]
    assert labels.tolist() == [item.label for item in data.val]


def test_the_seed_chooses_the_parts(table):
    path = table()
    one, same, other = (ready(TextFile, path, seed=seed) for seed in (0, 0, 1))
    assert parts(one) == parts(same)
    assert one.test != other.test


def test_what_spreadsheets_write_is_read(table):
    more = [
        '"tab\tand, comma",praise\r\n',
        '"He said ""no"".",blame\r\n',
        '"two\nlines",blame\r\n',
        "\r\n",
        "a\u2028b,praise\r\n",
        'it is 12" long,praise\r\n',
    ]
    data = ready(TextFile, table(mark=",", more="".join(more)))
    found = texts_and_labels(data) - set(ROWS)
    assert found == {
        ("tab\tand, comma", "praise"),
        ('He said "no".', "blame"),
        ("two\nlines", "blame"),
        ("a\u2028b", "praise"),
        ('it is 12" long', "praise"),
    }


def test_other_columns_are_left_alone_and_ours_can_have_other_names(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text('"id","verdict","what they said"\n' + "".join(f"{n},{n % 2},t{n}\n" for n in range(8)))
    data = ready(TextFile, path, text="what they said", label="verdict")
    assert texts_and_labels(data) == {(f"t{n}", str(n % 2)) for n in range(8)}
    sentence = refusal(path)
    assert (
        "has to name the columns 'text' and 'label', but names 'id', 'verdict', 'what they said'" in sentence
    )


BAD = "only a text\nx\ty\tz\n\tpraise\nx\t\ntext number 0\tblame\n"


def test_each_bad_row_is_named_by_its_line_or_left_out_as_asked(table):
    path = table(more=BAD)
    sentence = refusal(path)
    assert 'bad_rows="skip"' in sentence
    assert sentence.splitlines()[1:] == [
        "line 32: 1 columns where the first line has 2",
        "line 33: 3 columns where the first line has 2",
        "line 34: the text is empty",
        "line 35: the label is empty",
        "line 36: the same text stands above with the label 'praise'",
    ]
    with pytest.warns(UserWarning, match="mine.tsv: rows were left out:\nline 32"):
        data = ready(TextFile, path, bad_rows="skip")
    assert len(data.skipped) == 5
    assert texts_and_labels(data) == set(ROWS)


def test_many_bad_rows_are_counted(table):
    assert refusal(table(more="bad\n" * 25)).splitlines()[-1] == "and 15 more"


@pytest.mark.parametrize("bad", ['"never closed\tpraise\n', '"closed" too early\tpraise\n'])
def test_a_quotation_mark_costs_its_own_row_only(table, bad):
    path = table(more="\n" + bad + "two\tpraise\n" + '"three"\tblame\n')
    assert "line 33: a quotation mark opens a text" in refusal(path)
    with pytest.warns(UserWarning, match="line 33"):
        data = ready(TextFile, path, bad_rows="skip")
    assert texts_and_labels(data) == {*ROWS, ("two", "praise"), ("three", "blame")}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("cp1252", "utf-8"),
        ("utf-16", "utf-8"),
        ("utf-16-le", "utf-8"),
        ("utf-16", "cp1252"),
        ("utf-8", "ascii"),
    ],
)
def test_another_encoding_is_said_and_the_advice_works(table, written, asked):
    path = table([("Ein schöner Film – wirklich", "praise"), *ROWS], encoding=written)
    sentence = refusal(path, encoding=asked)
    assert f"mine.tsv is not in {asked}" in sentence
    assert "reads 'Ein schöner Film – wirklich" in sentence
    advised = re.search(r"say encoding='([\w-]+)'", sentence)[1]
    assert ("Ein schöner Film – wirklich", "praise") in texts_and_labels(
        ready(TextFile, path, encoding=advised)
    )


def test_a_wrong_encoding_that_reads_all_the_same_is_said(table):
    path = table([("schön", "praise"), *ROWS])
    with pytest.warns(UserWarning, match="may not be in latin-1. As 'utf-8' it reads 'schön"):
        ready(TextFile, path, encoding="latin-1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ready(TextFile, path, encoding="utf8")
        ready(TextFile, table([("schön", "praise"), *ROWS], encoding="latin-1"), encoding="latin-1")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n \n", "is empty"),
        (b"text\tlabel\n", "no row that can be used"),
        (b"no header here\nat all\n", "has to name the columns 'text' and 'label'"),
        (b"text\tlabel\na\tgood\nb\tgood\n", "all texts of mine.tsv have the label 'good'"),
        (b"text\tlabel\na\tx\nb\tx\nc\tx\nd\ty\n", "1 text(s) with the label 'y'"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\xff\xd8\0\0", "does not look like a text"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, content, sentence):
    path = tmp_path / "mine.tsv"
    path.write_bytes(content)
    assert sentence in refusal(path)


def test_a_file_that_is_not_there_and_options_that_make_no_sense(tmp_path, table):
    assert "nowhere.csv cannot be read: No such file" in refusal(tmp_path / "nowhere.csv")
    assert "Is a directory" in refusal(tmp_path)
    assert "no encoding 'utf-9'" in refusal(table(), encoding="utf-9")
    with pytest.raises(ValueError, match="bad_rows='drop'"):
        TextFile("x", bad_rows="drop")


# ---- Texts of any kind ---------------------------------------------------------------------------

ODD = ["a", "👩‍🌾🎉", "電影 is хорошо", "ß" * 500, "word " * 500, "....", "\u200b"]


def test_odd_texts_go_through_file_and_batch(table):
    rows = [(f"{text} {n}", str(n % 2)) for n, text in enumerate(ODD * 2)]
    data = ready(TextFile, table(rows))
    assert texts_and_labels(data) == {(text, label) for text, label in rows}
    (tokens, lengths), _ = data.collate(data.train + data.val + data.test)
    assert tokens.shape[1] == lengths.max() == 501
    assert (tokens[0, : lengths[0]] != UNKNOWN).all()


@pytest.mark.parametrize("text", ["", " ", *ODD])
@pytest.mark.parametrize("kind", [Reviews, Sentences])
def test_a_text_that_no_set_holds_has_tokens_too(text, kind, films, sentences):
    data = films if kind is Reviews else sentences
    (tokens, lengths), _ = data.collate([data.test[0]._replace(text=text), data.test[1]])
    assert 1 <= lengths[0] <= max(500, len(text))
    assert (tokens[0, : lengths[0]] > 0).all()
    assert (tokens[0, lengths[0] :] == 0).all()
