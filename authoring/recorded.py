"""Tables of recorded measurements, and the command line of the scripts that make them (`measure_*.py`)."""

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

Row = dict[str, object]


def write(path: Path, rows: list[Row]) -> None:
    """All measurements so far, as CSV; their keys are the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def measure_parts(
    program: str,
    description: str,
    parts: Mapping[str, Callable[[], Iterator[tuple[str, Row]]]],
    folder: Path,
    arguments: list[str] | None,
) -> int:
    """Measure, and write what is known after each row: a run that is stopped was not in vain.

    Args:
        program: name of the script, "measure_text".
        description: what --help says of it.
        parts: by name, what gives (file without ending, row) again and again.
        folder: where the tables lie.
        arguments: of the command line, names of parts; None: those of this process.
    Returns:
        0, the exit code.
    """
    parser = argparse.ArgumentParser(prog=f"python -m authoring.{program}", description=description)
    parser.add_argument("parts", nargs="*", help=f"default: all of {', '.join(parts)}")
    named = parser.parse_args(arguments).parts
    if unknown := set(named) - set(parts):
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(parts)}")
    for part in named or parts:
        files: dict[str, list[Row]] = {}
        for file, row in parts[part]():
            files.setdefault(file, []).append(row)
            print(file, *row.values(), flush=True)
            write(folder / f"{file}.csv", files[file])
    return 0
