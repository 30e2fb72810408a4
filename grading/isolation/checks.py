"""The checks of a test cell one by one, for partial credit.

A check is a statement at the top of a test cell that asserts something, or calls a function which the cell
defines (the hidden checks are such a function). After one that fails, the others still run. What a failed
statement would have set is gone, so that no later check looks at what an earlier cell left behind.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from grading.isolation.syntax import bound, parse


@dataclass(frozen=True)
class Statement:
    """One statement of a test cell.

    Attributes:
        code: compiled; its lines are those of the cell.
        is_check: whether it counts.
        sets: the variables that it sets, where it comes to its end.
    """

    code: object
    is_check: bool
    sets: frozenset[str]


def statements(source: str, title: str) -> Iterator[Statement]:
    """A test cell in its parts.

    Args:
        source: of the cell.
        title: the file's name in its errors.

    Raises:
        SyntaxError: for no Python.
    """
    tree = parse(source)
    for node, is_check in marked(tree):
        code = compile(ast.Module([node], tree.type_ignores), title, "exec")
        yield Statement(code, is_check, frozenset(name for name, _ in bound(node)))


def marked(tree: ast.Module) -> Iterator[tuple[ast.stmt, bool]]:
    """Each statement at the top, and whether it is a check."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        yield node, asserts(node, functions)


def asserts(node: ast.stmt, functions: set[str]) -> bool:
    """Whether a statement is a check."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return False
    parts = list(ast.walk(node))
    return any(isinstance(part, ast.Assert) for part in parts) or any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in functions
        for part in parts
    )


def count(source: str) -> int:
    """How many checks a test cell has."""
    return sum(is_check for _, is_check in marked(parse(source)))


def share(checks: list[list], total: int, free: set[int]) -> float:
    """How much of a cell's points an answer gets.

    Args:
        checks: [passed, reason] of each check that ran.
        total: how many there are; those that did not run are lost.
        free: the places of checks that pass without any answer, which count nothing.

    Returns:
        0 to 1.
    """
    counted = [place for place in range(total) if place not in free]
    passed = [place for place in counted if place < len(checks) and checks[place][0]]
    return len(passed) / len(counted) if counted else 0.0


def reasons(checks: list[list], free: set[int]) -> list[str]:
    """Why checks were lost, each reason once."""
    return list(
        dict.fromkeys(reason for place, (ok, reason) in enumerate(checks) if not ok and place not in free)
    )
