"""Your own texts and labels, from a table."""

import csv
import io
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .images import check_positive
from .splits import LabeledTexts

DELIMITERS = ("\t", ",", ";")  # ";" where a comma is the decimal point: Excel in much of Europe
MARK = "\ufeff"  # the byte order mark that some editors begin a file with
_SHOWN = 10  # bad rows that a message names; more are counted


class TextFileError(ValueError):
    """A table of texts cannot be used; the message says which line, what is wrong with it and what to do."""


class LabeledText(NamedTuple):
    """A text and the place of its label in `class_names`."""

    text: str
    label: int


class TextFile(LabeledTexts):
    """Your own texts, to classify: a table in a TSV or CSV file, one text and its label in each row.

        text            label               data = TextFile("my texts.tsv")
        What a film!    praise              data.setup()            # an error names each bad row by its line
        I fell asleep.  blame               data.class_names        # ("blame", "praise")

    The first line names the columns, others than the two are not read. Between columns stands a tab, a comma
    or a semicolon, which is found out. A text with one of these, or with a line break, stands in quotation
    marks, as spreadsheets write it; a quotation mark within is doubled.

    SST-2, which GLUE distributes, has this form: TextFile("SST-2/train.tsv", text="sentence").

    Parts: of each class a fifth is `test`, a tenth `val`, the rest `train`, at least one of each; `seed`
    chooses them. A text that came before with the same label is left out, so that no text is in two parts.
    Trivial baseline: always the commonest class.

    Attributes, after setup(): class_names, the labels in alphabetical order; vocabulary; skipped, what is
    wrong with each row that was left out, where `bad_rows` is "skip".
    """

    def __init__(
        self,
        path: str | Path,
        text: str = "text",
        label: str = "label",
        encoding: str = "utf-8",
        bad_rows: str = "refuse",
        vocabulary: Any = None,
        batch_size: int = 32,
        seed: int = 0,
    ):
        """
        Args:
            path: of the file.
            text: the name of the column with the texts.
            label: the name of the column with the labels.
            encoding: which bytes stand for which characters.
            bad_rows: "refuse" a file with rows that cannot be used, or "skip" these and warn.
            vocabulary: what turns texts into numbers, by `.batch(texts)`; None: the training texts' words.
            batch_size: texts per batch.
            seed: chooses the parts and the order of training batches.

        Raises:
            ValueError: an option makes no sense.
        """
        super().__init__()
        check_positive(batch_size=batch_size)
        if bad_rows not in ("refuse", "skip"):
            raise ValueError(f'bad_rows={bad_rows!r} is not possible: choose "refuse" or "skip"')
        self.path, self.columns, self.encoding = Path(path).expanduser(), (text, label), encoding
        self.bad_rows, self.vocabulary, self.batch_size, self.seed = bad_rows, vocabulary, batch_size, seed

    def setup(self, stage: str | None = None) -> None:
        """Read the file and make train, val, test and the vocabulary. Raises: TextFileError."""
        labels = self._read()
        self.class_names = tuple(sorted(set(labels.values())))
        if len(self.class_names) < 2:
            raise TextFileError(
                f"all texts of {self.path.name} have the label {self.class_names[0]!r}: "
                "to tell classes apart, two at least are needed"
            )
        self.train, self.val, self.test = [], [], []
        rng = random.Random(self.seed)
        for number, name in enumerate(self.class_names):
            items = [LabeledText(text, number) for text, label in labels.items() if label == name]
            if len(items) < 3:
                raise TextFileError(
                    f"{self.path.name} has {len(items)} text(s) with the label {name!r}: train, val and test "
                    f"need one each. There are {len(self.class_names)} labels: is {self.columns[1]!r} theirs?"
                )
            rng.shuffle(items)
            tests, vals = max(1, len(items) // 5), max(1, len(items) // 10)
            self.test += items[:tests]
            self.val += items[tests : tests + vals]
            self.train += items[tests + vals :]
        self.need_vocabulary()

    def _read(self) -> dict[str, str]:
        """Text -> label of all good rows."""
        # Not splitlines(): a text may hold one of the rarer line separators.
        lines = list(io.StringIO(decoded(self.path, self.encoding), newline=""))
        labels, bad = {}, []
        for line, row in rows(lines, self.columns, self.path.name):
            text, label = ("", "") if isinstance(row, str) else map(str.strip, row)
            if isinstance(row, str):
                bad.append(f"line {line}: {row}")
            elif not text or not label:
                bad.append(f"line {line}: the {'label' if text else 'text'} is empty")
            elif labels.setdefault(text, label) != label:
                bad.append(f"line {line}: the same text stands above with the label {labels[text]!r}")
        self.skipped = bad
        if bad:
            named = "\n".join(["", *bad[:_SHOWN], *([f"and {len(bad) - _SHOWN} more"] * (len(bad) > _SHOWN))])
            if self.bad_rows == "refuse":
                raise TextFileError(
                    f'{self.path.name} has bad rows; mend them, or leave them out by bad_rows="skip":{named}'
                )
            warnings.warn(f"{self.path.name}: rows were left out:{named}", stacklevel=3)
        if not labels:
            raise TextFileError(f"{self.path.name} has no row that can be used below its first line")
        return labels


def decoded(path: Path, encoding: str) -> str:
    """The text of a file. Raises: TextFileError, with the encoding that it seems to be in."""
    try:
        content = path.read_bytes()
        text = content.decode(encoding).removeprefix(MARK)
    except OSError as error:
        raise TextFileError(f"{path} cannot be read: {error.strerror}; give the path of a table") from error
    except LookupError as error:
        raise TextFileError(f"there is no encoding {encoding!r}; the most common is 'utf-8'") from error
    except UnicodeDecodeError as error:
        raise TextFileError(f"{path.name} is not in {encoding}. {advice(content)}") from error
    if "\0" in text:  # every second byte of English in UTF-16
        raise TextFileError(f"{path.name} is not in {encoding}. {advice(content)}")
    if not text.strip():
        raise TextFileError(f"{path.name} is empty: it needs a first line that names the columns, and rows")
    if not content.isascii() and fits(content, "utf-8") and text != content.decode().removeprefix(MARK):
        warnings.warn(f"{path.name} may not be in {encoding}. {advice(content)}", stacklevel=4)
    return text


def fits(content: bytes, encoding: str) -> bool:
    """Whether these bytes are a text in this encoding."""
    try:
        return "\0" not in content.decode(encoding)
    except UnicodeDecodeError:
        return False


def advice(content: bytes) -> str:
    """Which encoding can read all of it, and how the first line looks in it that tells encodings apart."""
    candidates = ("utf-8", "cp1252", "latin-1")  # the last can read all that has no zeros
    if b"\0" in content:
        marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # says which of the two orders it is
        candidates = ("utf-16",) if marked else ("utf-16-le", "utf-16-be")
    for encoding in filter(lambda each: fits(content, each), candidates):
        lines = content.decode(encoding).removeprefix(MARK).splitlines()
        line = next((line for line in lines if not line.isascii()), lines[0])
        return (
            f"As {encoding!r} it reads {line.strip()[:60]!r}: if that is right, say encoding={encoding!r}; "
            "if not, save it as UTF-8."
        )
    return "It does not look like a text: save your table as TSV or CSV, in UTF-8."


def rows(
    lines: list[str], columns: tuple[str, str], name: str
) -> Iterator[tuple[int, tuple[str, str] | str]]:
    """Each row as (line it begins in, (text, label)), or as (line, what is wrong with it).

    Raises:
        TextFileError: the first line does not name the two columns.
    """
    start = next(number for number, line in enumerate(lines) if line.strip())
    headers = {
        mark: [field.strip() for field in lines[start].strip("\r\n").split(mark)] for mark in DELIMITERS
    }
    headers = {mark: [field.strip('"') for field in header] for mark, header in headers.items()}
    fitting = [mark for mark, header in headers.items() if set(columns) <= set(header)]
    if not fitting:
        header = max(headers.values(), key=len)
        raise TextFileError(
            f"the first line of {name} has to name the columns {columns[0]!r} and {columns[1]!r}, "
            f"but names {', '.join(map(repr, header[:8]))}: "
            "say which are yours, TextFile(path, text=..., label=...)"
        )
    mark, width = fitting[0], len(headers[fitting[0]])
    places = [headers[mark].index(column) for column in columns]
    begin = start + 1
    while begin < len(lines):
        reader = csv.reader(iter(lines[begin:]), delimiter=mark, strict=True)
        done = 0  # lines of whole rows
        try:
            for row in reader:
                if len(row) == width:
                    yield begin + done + 1, (row[places[0]], row[places[1]])
                elif row:
                    yield begin + done + 1, f"{len(row)} columns where the first line has {width}"
                done = reader.line_num
            return
        except csv.Error as error:
            reason = "it is not closed" if "unexpected end" in str(error) else str(error)
            yield begin + done + 1, f"a quotation mark opens a text, and {reason}; double those within a text"
            begin += done + 1  # what follows may be sound
