"""Whether a lab's tests compute what they expect before they hand the same variable to the learner's code.

In `assert close(double(x), 2 * x)` the answer runs first. Where it changes `x` in place, the right result is computed
from what it left there, and a wrong answer passes. So what is expected stands in a line above.

Only one statement is looked at, at a time: what happens to `x` between statements nobody can see in the text alone. For
that the tests have `grading.kinds.leaves_no_trace`.
"""

import ast
from collections.abc import Iterator

from nbformat import NotebookNode

from grading.isolation.syntax import DEFINITIONS, bound, parse

# What these make shares its numbers with what they are asked of; all else is a value of its own.
VIEWS = {
    "detach",
    "expand",
    "flatten",
    "movedim",
    "permute",
    "reshape",
    "squeeze",
    "transpose",
    "unsqueeze",
    "view",
}
STATEMENTS = (ast.Assert, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)


def order_problems(notebook: NotebookNode) -> Iterator[str]:
    """Tests that compute from a variable after an answer had it, in the same statement."""
    answers: set[str] = set()
    for cell in notebook.cells:
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code" or not about:
            continue
        if about.get("solution"):
            answers |= {name for name, by in bound(parse(cell.source)) if isinstance(by, DEFINITIONS)}
        elif about.get("grade"):
            theirs = answers | made_by(parse(cell.source), answers)
            for node in ast.walk(parse(cell.source)):
                for name in read_too_late(node, theirs) if isinstance(node, STATEMENTS) else ():
                    line = ast.unparse(node).splitlines()[0][:80]
                    yield (
                        f"cell {cell.get('id', '(no id)')}: {line!r} computes with {name} after the answer had it: "
                        "write what is expected into a line above"
                    )


def made_by(tree: ast.Module, answers: set[str]) -> set[str]:
    """Variables that hold what answers gave, such as a network whose class a learner wrote."""
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    return {name for node in assigned if any(is_call(part, answers) for part in ast.walk(node.value))
            for name, _ in bound(node)}  # fmt: skip


def is_call(node: ast.AST, functions: set[str]) -> bool:
    """Whether a function of these is called here."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions


def read_too_late(statement: ast.stmt, theirs: set[str]) -> list[str]:
    """The variables that an answer gets in this statement, and that a computation reads after it."""
    handed: set[str] = set()
    late: list[str] = []

    def visit(node: ast.AST, computing: bool) -> None:
        """In the order in which Python evaluates."""
        if is_call(node, theirs):
            inputs = [*node.args, *(keyword.value for keyword in node.keywords)]
            for one in inputs:
                if not shared(one):
                    visit(one, computing)
            handed.update(*(shared(one) for one in inputs))
        elif isinstance(node, ast.Name):
            if computing and node.id in handed and node.id not in late:
                late.append(node.id)
        elif not isinstance(node, ast.Lambda | ast.JoinedStr):
            computing = computing or isinstance(node, ast.Call | ast.BinOp)
            for part in ast.iter_child_nodes(node):
                visit(part, computing)

    value = statement.test if isinstance(statement, ast.Assert) else statement.value
    if value is not None:
        visit(value, False)
    return late


def shared(node: ast.expr) -> set[str]:
    """The variables whose own numbers somebody gets who gets this: `x`, `x[0]`, `*pair`, `x.view(3)`; not `2 * x`."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Starred | ast.Subscript | ast.Attribute):
        return shared(node.value)
    if isinstance(node, ast.List | ast.Tuple):
        return set().union(*(shared(part) for part in node.elts))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VIEWS:
        return shared(node.func.value)
    return set()
