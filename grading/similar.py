"""Answers that are nearly the same, for a person to look at. No proof of anything.

Answers are compared exercise by exercise as MOSS does it: S. Schleimer, D. S. Wilkerson, A. Aiken, Winnowing: local
algorithms for document fingerprinting, SIGMOD 2003. A text becomes tokens, each run of SHINGLE tokens a hash, and
of each WINDOW neighboring hashes the smallest is kept: two texts with SHINGLE + WINDOW - 1 equal tokens in a row
surely share one. Renamed variables, other comments, another layout and other spellings of a number change nothing.
What the lab gave to everybody does not count, nor what many write, and what few write counts more.
"""

import ast
import builtins
import contextlib
import csv
import hashlib
import keyword
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

from grading.labs import Lab
from grading.report import Result, safe_cell
from grading.statistics import clean, graded_cells

SHINGLE, WINDOW = 8, 4  # tokens; hashes
MANY = 10  # whose shingles do not count; MOSS ignores, too, what more than 10 have, unless told otherwise
SHARE = 0.6  # of an answer, by weight, from which on two answers are alike
FEWEST = 5  # shared fingerprints, below which two answers say too little
LONG = 25  # shared fingerprints in one answer, some 60 tokens, that are enough to list a pair; or else:
HALF, FEW = 0.5, 15  # the share of all their work, and shared fingerprints in all of it
LETTERS = 50_000  # of an answer; who writes more wants to keep the machine busy
PAIRS = 300  # in the table
OWN = "own cells"
NO_PROOF = (
    "Alike is no proof: some tasks have one short answer, and learning together is allowed. Look at both."
)

TOKEN = re.compile(
    r"""
    (?P<space>[^\S\n]+|\\\n) | (?P<comment>\#[^\n]*) | (?P<line>\n)
    | (?P<string>[rbuftRBUFT]{0,3}(?:
        \"{3}(?:[^\\]|\\.)*?(?:\"{3}|\\?\Z) | '{3}(?:[^\\]|\\.)*?(?:'{3}|\\?\Z)
        | \"(?:[^"\\\n]|\\.)*(?:\"|\\?\Z|(?=\n)) | '(?:[^'\\\n]|\\.)*(?:'|\\?\Z|(?=\n)) ))
    | (?P<number>0[xXbBoO][\da-fA-F_]+ | (?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d[\d_]*)?)
    | (?P<name>\w+)
    | (?P<sign>\*\*=?|//=?|<<=?|>>=?|->|:=|[-+*/%@&|^=!<>]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
WORDS = frozenset(keyword.kwlist) | frozenset(dir(builtins)) | {"self", "cls"}


@dataclass(frozen=True)
class Pair:
    """Two students. `share`: of all that counts in the shorter of their work; `exercises`: the same for those alike."""

    first: str
    second: str
    share: float
    exercises: dict[str, float]
    shared: int


def value(text: str) -> str:
    """A number without its format: 1e-3, 0.001 and .001 are the same."""
    with contextlib.suppress(ValueError, SyntaxError, OverflowError, MemoryError):
        return repr(float(ast.literal_eval(text)))
    return text


def tokens(code: str, known: frozenset[str] = frozenset()) -> list[str]:
    """What counts of a piece of Python, also of one that does not parse.

    A name of the student's own choice is marked with a leading space; texts are all the same, for a message is
    quickly reworded. Python's own tokenizer stops at the first fault and differs between versions.

    Args:
        code: the text.
        known: names that mean something beyond this piece: what the lab imports and defines.
    """
    found: list[tuple[str, str]] = []
    depth, head = 0, -1  # of open brackets; where a list of parameters began, or -1 outside of one
    for match in TOKEN.finditer(code[:LETTERS]):
        kind, text = match.lastgroup, match.group()
        if kind in ("space", "comment"):
            continue
        if kind == "line":
            if depth > 0:
                continue
            # A text on a line of its own is a docstring, or a comment in disguise.
            if found and found[-1][0] == "string" and (len(found) == 1 or found[-2][0] == "line"):
                found.pop()
        depth += (text in "([{") - (text in ")]}") if kind == "sign" else 0
        if kind == "name":
            head = depth if text in ("def", "lambda") else head
            kind = "own" if head >= 0 or depth <= 0 else kind  # before a "=" it is no keyword of a call
        elif text == ":" and depth == head:
            head = -1
        found.append((kind or "sign", text))
    if found and found[-1][0] == "string" and (len(found) == 1 or found[-2][0] == "line"):
        found.pop()
    found = [one for one in found if one[0] != "line"]
    result = []
    for place, (kind, text) in enumerate(found):
        if kind == "string":
            result.append('""')
        elif kind == "number":
            result.append(value(text))
        elif kind in ("name", "own") and text not in WORDS and text not in known:
            before = found[place - 1][1] if place else ""
            after = found[place + 1][1] if place + 1 < len(found) else ""
            # x.mean and dim=1 in a call name something that others named.
            given = before == "." or (kind == "name" and after == "=" and before in ("(", ","))
            result.append(text if given else f" {text}")
        else:
            result.append(text)
    return result


def shingles(parts: list[str]) -> list[int]:
    """The hash of each run of SHINGLE tokens.

    Within a run a student's names are numbered in the order of their first use. Numbered over the whole answer,
    one more variable at its beginning would change every run behind it.
    """
    hashes = []
    for start in range(len(parts) - SHINGLE + 1):
        numbers: dict[str, str] = {}
        run = [
            numbers.setdefault(one, f" {len(numbers)}") if one[0] == " " else one
            for one in parts[start : start + SHINGLE]
        ]
        digest = hashlib.blake2b("\n".join(run).encode("utf-8", "replace"), digest_size=8).digest()
        hashes.append(int.from_bytes(digest, "big"))  # hash() differs from run to run, and so would the list
    return hashes


def winnow(hashes: list[int]) -> frozenset[int]:
    """The smallest of each WINDOW neighboring hashes; of fewer than that, the smallest of all."""
    last = max(len(hashes) - WINDOW, 0)
    return frozenset(min(hashes[start : start + WINDOW]) for start in range(last + 1) if hashes)


@lru_cache(maxsize=50_000)
def fingerprints(text: str, is_code: bool, known: frozenset[str]) -> frozenset[int]:
    """Of an answer: a set of hashes."""
    return winnow(shingles(split(text, is_code, known)))


def split(text: str, is_code: bool, known: frozenset[str]) -> list[str]:
    """Tokens of code, words of a text."""
    return tokens(text, known) if is_code else re.findall(r"\w+", text[:LETTERS].lower())


def names_given(codes: Iterable[str]) -> frozenset[str]:
    """The names that the lab's own cells import and define at the top level."""
    names: set[str] = set()
    for code in codes:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            for node in ast.parse(code).body:
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names |= {(one.asname or one.name).split(".")[0] for one in node.names}
                elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                    names.add(node.name)
    return frozenset(names)


class Given:
    """What the lab hands out, from the cells of its version for learners: names, and text that does not count."""

    def __init__(self, cells: Iterable[dict]) -> None:
        cells = list(cells)
        self.texts = {source(cell).strip() for cell in cells}
        self.known = names_given(source(cell) for cell in cells if cell.get("cell_type") == "code")
        self.answers: set[str] = set()
        self.hashes: set[int] = set()
        for cell in cells:
            mark = cell.get("metadata", {}).get("nbgrader", {})
            if mark.get("solution"):
                self.answers.add(mark["grade_id"])
            is_code = cell.get("cell_type") == "code"
            self.hashes.update(shingles(split(source(cell), is_code, self.known)))

    def read(self, path: Path) -> dict[str, frozenset[int]]:
        """The fingerprints of each answer in a graded notebook, and of cells of the student's own."""
        found: defaultdict[str, set[int]] = defaultdict(set)
        left = LETTERS  # for all own cells: there may be thousands
        for key, cell in graded_cells(path):
            text = source(cell)
            if key in self.answers:
                place = key.removesuffix("_code")
            elif not key and cell.get("cell_type") == "code" and text.strip() not in self.texts:
                place = OWN
                text, left = text[:left], max(left - len(text), 0)
            else:
                continue
            found[place] |= fingerprints(text, cell.get("cell_type") == "code", self.known) - self.hashes
        return {place: frozenset(some) for place, some in found.items()}


def source(cell: dict) -> str:
    """A cell's text; the notebook format allows a list of lines."""
    text = cell.get("source")
    text = "".join(one for one in text if isinstance(one, str)) if isinstance(text, list) else text
    return text if isinstance(text, str) else ""


def compare(work: dict[str, dict[str, frozenset[int]]]) -> list[Pair]:
    """Pairs of students whose answers are alike, those with the largest share first.

    A table from fingerprint to students finds them: who shares nothing rare with anybody costs nothing.

    Args:
        work: by student, by exercise, fingerprints.
    """
    having: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for student, answers in work.items():
        for place, some in answers.items():
            for one in some:
                having[place, one].append(student)
    many = max(2, min(MANY, len(work) // 2))
    totals: defaultdict[tuple[str, str], float] = defaultdict(float)  # (student, exercise)
    weights: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)  # (student, student): exercise
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (place, _), students in having.items():
        if len(students) > many:
            continue
        weight = math.log((len(work) + 1) / len(students))
        for student in students:
            totals[student, place] += weight
        for pair in combinations(students, 2):  # in the order of `work`
            weights[pair][place] += weight
            counts[pair][place] += 1
    sums: Counter[str] = Counter()
    for (student, _), total in totals.items():
        sums[student] += total
    found = []
    for (first, second), shared in weights.items():
        alike, enough = {}, False
        for place, weight in shared.items():
            share = weight / min(totals[first, place], totals[second, place])
            if share >= SHARE and counts[first, second][place] >= FEWEST:
                alike[place] = min(share, 1.0)
                enough |= counts[first, second][place] >= LONG
        total = counts[first, second].total()
        share = min(sum(shared.values()) / min(sums[first], sums[second]), 1.0)
        if alike and (enough or (share >= HALF and total >= FEW)):
            found.append(Pair(first, second, share, alike, total))
    return sorted(found, key=lambda one: (-one.share, -one.shared, one.first, one.second))


def write_pairs(path: Path, pairs: list[Pair], names: dict[str, str]) -> None:
    """A line for each pair, each with the sentence that this is no proof: a line is what gets passed on."""
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # the mark is for Excel, as in report.py
        writer = csv.writer(file)
        writer.writerow(
            ["student_1", "name_1", "student_2", "name_2", "share", "exercises", "shared", "note"]
        )
        for one in pairs[:PAIRS]:
            alike = "; ".join(f"{place} {100 * share:.0f} %" for place, share in one.exercises.items())
            people = [text for key in (one.first, one.second) for text in (key, safe_cell(clean(names[key])))]
            writer.writerow([*people, f"{one.share:.2f}", safe_cell(alike), one.shared, NO_PROOF])


def report_similar(lab: Lab, out: Path, results: list[Result], release: Iterable[dict]) -> list[str]:
    """Write labNN.similar.csv into `out`.

    Args:
        lab: the lab.
        out: the folder of results.
        results: of the students.
        release: the cells of the lab's version for learners.

    Returns:
        Lines for the terminal.
    """
    given = Given(release)
    names = {one.student: one.name for one in results if one.graded}
    folder = out / "autograded"
    work = {key: given.read(folder / key / lab.folder.name / f"{lab.notebook}.ipynb") for key in names}
    pairs = compare(work)
    table = out / f"{lab.notebook}.similar.csv"
    write_pairs(table, pairs, names)
    if not pairs:
        return []
    more = f" (the first {PAIRS} are listed)" if len(pairs) > PAIRS else ""
    return [f"Alike: {len(pairs)} pairs of students{more}, see {table}", f"  {NO_PROOF}"]
