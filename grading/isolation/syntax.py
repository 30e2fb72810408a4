"""Cells as syntax trees, from several threads at a time, and the variables that their statements set.

In Python 3.11 two threads that parse at once may both end with "AST constructor recursion depth mismatch", and
notebooks are prepared in threads. And all of a class hand in the same cells: each is parsed once.
"""

import ast
import functools
import threading
from collections.abc import Iterator

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


IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bound(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The variables that a cell, or one of its statements, sets at its top level, and what sets each.

    That is what it assigns (also by `:=`, `for`, `with`, `except`, `match`), defines and imports, also within `if`,
    loops and `try`; nothing that only a function, class or comprehension in it sets for itself.

    Yields:
        The name, and one of IMPORTS, one of DEFINITIONS, or another node.
    """
    if isinstance(node, IMPORTS):
        for alias in node.names:
            yield (alias.asname or alias.name).partition(".")[0], node
    elif isinstance(node, DEFINITIONS):
        yield node.name, node
    elif isinstance(node, COMPREHENSIONS):
        yield from ((part.target.id, part) for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
    elif not isinstance(node, ast.Lambda):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name, node
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest, node
        for part in ast.iter_child_nodes(node):
            yield from bound(part)
