"""Which of a lab's own cells a grading has to run: those that make what a later check or answer mentions.

Labs end with cells that use the answers for something larger, train, draw, compare. They are the learner's
reward and take most of the seconds, but no points depend on them. The check with the lab's own solution, before
anybody is graded, tells where a lab is not such a lab.
"""

import ast
import builtins
import functools
import re
import symtable

from grading.isolation.syntax import DEFINITIONS, IMPORTS, bound, parse

WORD = re.compile(r"[^\W\d]\w*")
RUNS_TEXT = {"eval", "exec", "compile", "get_ipython"}


def touched(source: str, fixed: set[str] = frozenset()) -> set[str]:
    """The names that a cell makes or may change.

    It makes what it assigns, defines, imports, deletes, anywhere in it. It may change an object that it assigns
    into (`layers.one = ...`, `scores[3] += 1`), whose method it calls, or that it hands to a function.

    Args:
        source: of the cell.
        fixed: functions, classes, and modules: to call them or hand them on does not change them.
    """
    made: set[str] = set()
    changed: set[str] = set()
    for node in ast.walk(parse(source)):
        if isinstance(node, DEFINITIONS + IMPORTS):
            made |= {name for name, _ in bound(node)}
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            made.add(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changed |= base(node)
        elif isinstance(node, ast.Call):
            handed = [*node.args, *(keyword.value for keyword in node.keywords)]
            changed |= {one.id for part in handed for one in ast.walk(part) if isinstance(one, ast.Name)}
            changed |= base(node.func) if isinstance(node.func, ast.Attribute) else set()
    return made | (changed - fixed)


@functools.lru_cache(maxsize=2000)
def mentioned(source: str) -> frozenset[str]:
    """The variables that a cell reads or deletes, and texts of one word, which may be a variable's name.

    Not what a function or comprehension has for itself. Where a text may be code (`eval`), its words count, too, but
    those of comments and docstrings never. Of what is no Python all words.
    """
    try:
        tree, scopes = parse(source), [symtable.symtable(source, "cell", "exec")]
    except (SyntaxError, ValueError, RecursionError):
        return frozenset(WORD.findall(source))
    found: set[str] = set()
    for scope in scopes:  # it grows
        scopes += scope.get_children()
        own = scope.get_type() == "function"
        found |= {
            one.get_name()
            for one in scope.get_symbols()
            if one.is_referenced() and (one.is_global() or not own)
        }
    documented = {id(node.body[0].value) for node in ast.walk(tree) if has_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign):
            found |= base(node.target)
        elif isinstance(node, ast.Delete):
            found |= {name for target in node.targets for name in base(target)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            words = WORD.findall(node.value)
            found |= set(words) if len(words) == 1 or found & RUNS_TEXT else set()
    return frozenset(found)


def has_docstring(node: ast.AST) -> bool:
    return isinstance(node, DEFINITIONS) and ast.get_docstring(node, clean=False) is not None


def base(node: ast.expr) -> set[str]:
    """The variable at the root of `layers.one[3].weight`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def lasting(sources: list[str]) -> set[str]:
    """The functions, classes and modules that cells define or import at their top level."""
    several = (bound(parse(source)) for source in sources)
    return {name for one in several for name, by in one if isinstance(by, DEFINITIONS + IMPORTS)}


def skip_unneeded(cells: list[dict], answers: set[str] = frozenset()) -> list[dict]:
    """The same cells, but those of the lab's own that no check needs get the side "none".

    A cell stays where a later cell that runs mentions something that this one makes or may change. Checks always
    stay, and so do a learner's cells, up to the last check.

    Args:
        cells: see `notebook.cells_to_run`.
        answers: the names that the exercises ask for.
    """
    own = [cell["source"] for cell in cells if cell["side"] == "tests"]
    fixed = lasting(own) | set(answers) | set(dir(builtins))
    result: list[dict] = []
    words: set[str] = set()
    graded = False
    for cell in reversed(cells):
        graded = graded or cell["hidden"]
        if not graded or (
            cell["side"] == "tests" and not cell["hidden"] and not words & touched(cell["source"], fixed)
        ):
            cell = cell | {"side": "none"}
        else:
            words |= mentioned(cell["source"])
        result.append(cell)
    return result[::-1]
