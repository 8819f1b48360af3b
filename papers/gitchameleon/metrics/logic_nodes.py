"""Logic nodes of a reference: how much there is to work out beyond the one call that the version decides.

Counted are operator nodes, calls of functions that the code itself defines, calls of mathematical helpers, and every
call that is nested in another call. One library call alone counts nothing. The paper's table of rules leaves open
what a helper is; here it is what `HELPERS` names.
"""

import ast

import pandas as pd

from papers.gitchameleon.data.parsing import tree_of

HELPERS = {"sum", "min", "max", "abs", "round", "pow", "divmod", "sorted", "zip", "map", "filter", "enumerate", "range"}
OPERATORS = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare)


def logic_nodes(code: str) -> int:
    """Number of logic nodes of a module.

    Raises:
        ValueError: it does not parse.
    """
    return len(_counted(tree_of(code)))


def _counted(tree: ast.AST) -> set[ast.AST]:
    """The nodes that count."""
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    nested, found = _nested_calls(tree), set()
    for node in ast.walk(tree):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        called = isinstance(node, ast.Call) and (node in nested or name in own or name in HELPERS)
        if called or isinstance(node, OPERATORS):
            found.add(node)
    return found


def tree_text(code: str) -> str:
    """Syntax tree of the statements in a module's functions, a node a line, counted ones with a star."""
    tree = tree_of(code)
    counted, lines = _counted(tree), []

    def write(node: ast.AST, depth: int) -> None:
        if isinstance(node, ast.expr_context | ast.operator | ast.unaryop | ast.cmpop | ast.boolop | ast.arguments):
            return
        name = next((str(getattr(node, f)) for f in ("id", "attr", "arg", "value") if _is_text(node, f)), "")
        lines.append("  " * depth + ("* " if node in counted else "  ") + f"{type(node).__name__} {name}".rstrip())
        for child in ast.iter_child_nodes(node):
            write(child, depth + 1)

    for function in [n for n in tree.body if isinstance(n, ast.FunctionDef)]:
        for statement in function.body:
            write(statement, 0)
    return "\n".join(lines)


def _is_text(node: ast.AST, field: str) -> bool:
    value = getattr(node, field, None)
    return value is not None and isinstance(value, str | int | float) and not isinstance(value, bool)


def example_trees(examine: pd.DataFrame) -> pd.DataFrame:
    """part, title, text: the references of our suites with the fewest and the most logic nodes, code and tree.

    Args:
        examine: rows of the step.
    """
    frame = examine.assign(code=examine.stub + examine.right).sort_values(["suite", "example_id"])
    frame["nodes"] = frame.code.map(logic_nodes)
    rows = [frame.loc[frame.nodes.idxmin()], frame.loc[frame.nodes.idxmax()]]
    parts = [(f"{row.task} {row.version}, {row.nodes} logic nodes", row.code, tree_text(row.code)) for row in rows]
    texts = [
        (f"{kind} {i}", title + end, text)
        for i, (title, *both) in enumerate(parts, start=1)
        for kind, end, text in (("code", "", both[0].strip()), ("tree", ": its syntax tree", both[1]))
    ]
    return pd.DataFrame(texts, columns=["part", "title", "text"])


def _nested_calls(tree: ast.AST) -> set[ast.Call]:
    """Calls that are an argument of a call, with the calls around them."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            arguments = [*node.args, *(k.value for k in node.keywords)]
            inner = {n for a in arguments for n in ast.walk(a) if isinstance(n, ast.Call)}
            if inner:
                found |= inner | {node}
    return found
