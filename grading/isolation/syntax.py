"""Cells as syntax trees, from several threads at a time.

In Python 3.11 two threads that parse at once may both end with "AST constructor recursion depth mismatch", and
notebooks are prepared in threads. And all of a class hand in the same cells: each is parsed once.
"""

import ast
import functools
import threading

_ONE_AT_A_TIME = threading.Lock()


def parse(source: str) -> ast.Module:
    """The tree of a cell, which nobody may change.

    Raises:
        SyntaxError: for no Python.
    """
    with _ONE_AT_A_TIME:
        return _parse(source)


@functools.lru_cache(maxsize=2000)
def _parse(source: str) -> ast.Module:
    return ast.parse(source)
