"""Printing that cannot end a run: a class is graded for an hour, and a name must not undo that.

A terminal's code page may lack the letters of a name (Windows, `> log.txt`), and the reader of a pipe may
leave (`| head`). Letters that cannot be shown are written as \\u5c0f; what nobody reads is dropped.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


class Forgiving:
    """A text stream that passes everything on to `stream` and raises nothing of its own."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                encoding = self.stream.encoding or "ascii"
                self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._drop()
        return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except (OSError, ValueError):
            self._drop()

    def _drop(self) -> None:
        """From now on write to nowhere; else Python stumbles over the rest at its own end, with exit 120."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def forgiving_output() -> Iterator[None]:
    """Within, no print raises, whatever its text and whoever reads it."""
    before = sys.stdout, sys.stderr
    wrapped = [Forgiving(stream) if stream is not None else None for stream in before]
    sys.stdout, sys.stderr = wrapped
    try:
        yield
    finally:
        for stream in wrapped:
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
