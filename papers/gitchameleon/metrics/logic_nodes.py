"""Logic nodes of a reference: how much there is to work out beyond the one call that the version decides.

Counted are operator nodes, calls of functions that the code itself defines, calls of mathematical helpers, and every
call that is nested in another call. One library call alone counts nothing. The paper's table of rules leaves open
what a helper is; here it is what `HELPERS` names.
"""

import ast

HELPERS = {"sum", "min", "max", "abs", "round", "pow", "divmod", "sorted", "zip", "map", "filter", "enumerate", "range"}
OPERATORS = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare)


def logic_nodes(code: str) -> int:
    """Number of logic nodes of a module.

    Raises:
        SyntaxError: it does not parse.
    """
    tree = ast.parse(code)
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    nested = _nested_calls(tree)
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, OPERATORS):
            count += 1
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else None
            count += node in nested or name in own or name in HELPERS
    return count


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
