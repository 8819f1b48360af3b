"""How much logic a reference has beside its library call (Figures 14 to 16, Table 15).

Counted are operators, calls of functions that the module defines, calls of mathematical helpers that take thought, and
every call inside a nested composition of calls. A lone library call counts nothing: it is the version's knowledge.
The paper gives the rules in words; which helpers count it does not list, so `MATHS_HELPERS` is ours.
"""

import ast

_OPERATORS = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.AugAssign)
_HELPERS = (
    "sqrt exp log log2 log10 log1p expm1 sin cos tan arcsin arccos arctan arctan2 floor ceil gcd lcm factorial comb"
    " perm hypot cumsum cumprod einsum tensordot kron inv solve det"
)
MATHS_HELPERS = frozenset(_HELPERS.split())


def logic_nodes(code: str) -> int:
    """Number of logic nodes in a module.

    Raises:
        SyntaxError: it does not parse.
    """
    tree = _WithoutAnnotations().visit(ast.parse(code))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    nested = _nested_calls(tree)
    num_operators = sum(_num_operators(node) for node in ast.walk(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return num_operators + sum(id(c) in nested or _last_name(c) in defined | MATHS_HELPERS for c in calls)


class _WithoutAnnotations(ast.NodeTransformer):
    """Drops annotations: `int | None` is no logic."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]


def _num_operators(node: ast.AST) -> int:
    """`a and b and c` has two operators, `0 < x < 1` too; a sign before a number is part of the number."""
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.Compare):
        return len(node.ops)
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        return 0
    return int(isinstance(node, _OPERATORS))


def _nested_calls(tree: ast.AST) -> set[int]:
    """Ids of the calls of compositions: one holds the other in its arguments or its target, as f(g(x)), x.g().f()."""
    found = set()
    for outer in ast.walk(tree):
        if isinstance(outer, ast.Call):
            parts = [outer.func, *outer.args, *(k.value for k in outer.keywords)]
            inner = [n for part in parts for n in ast.walk(part) if isinstance(n, ast.Call)]
            if inner:
                found |= {id(outer), *(id(n) for n in inner)}
    return found


def _last_name(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))
