"""How much of a visible test the hidden test asks again: visible tests that copy hidden ones leak into self-debug.

The score of a problem is the share of the visible test's asserted calls that the hidden test asserts too. Assertions
are `assert`, calls whose name begins with `assert`, the block of `with pytest.raises(...)` and its like, and a call of
the answer as a statement, whose effect is asserted later. Asserted is the call of a function of the answer; where that
has no arguments, or a class or a value of the answer is used, the side of the comparison in which it stands
(`point_class()(1, 2).y`). Calls are compared as text after normalising:

- names that were assigned before, in the same test, in `setUp` or at top level, are replaced by what they were given,
  calls of a helper of the tests that ends in `return` by what it returns;
- the module's name is dropped (`sample.f(1)` is `f(1)`), arguments get the parameters' names and are sorted;
- quotes, spaces and brackets go, since the syntax tree is written anew; a class that the test defines counts by what it
  contains.

Where what the names in a statement, a value or a helper stand for adds more than `MAX_NODES` nodes to the syntax tree,
all of them stay as they are written: helpers that call helpers would grow exponentially.

The expected value does not count: who is shown a call's trace learns what it has to give. What is done to an argument
between its making and the call is not seen.
"""

import ast
import copy
import functools
import hashlib
import math
import warnings
from collections.abc import Iterator

from papers.gitchameleon.data.parsing import NO_PYTHON, parsed, tree_of
from papers.gitchameleon.data.problems import Problem

MAX_CHARS = 200  # of what a name stands for; a longer value is its digest, or names in names would grow without end
MAX_NODES = 5_000
Names = dict[str, ast.expr]  # `x` or `self.x` -> what it stands for; a helper is a lambda
Defined = dict[str, list[str]]  # what the answer defines -> its parameters; none for a class or a value


def defined_names(code: str) -> Defined:
    """Functions, classes and values at the top level of a module."""
    found: Defined = {}
    for node in tree_of(code).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        elif isinstance(node, ast.ClassDef):
            found[node.name] = []
        elif isinstance(node, ast.Assign):
            found |= {t.id: [] for t in node.targets if isinstance(t, ast.Name)}
    return found


def asserted_calls(source: str, defined: Defined) -> frozenset[str]:
    """Normalised calls of `defined` names in the assertions of a test.

    Raises:
        ValueError: the source is no Python of this interpreter's grammar.
    """
    tree, reason = parsed(source)
    if tree is None:
        raise ValueError(f"the tests do not parse ({reason})")
    return frozenset(_calls(tree.body, {}, defined))


def overlap(problem: Problem) -> tuple[int, int] | None:
    """(asserted calls of the visible test, those that the hidden test asserts too); None without a hidden test."""
    if problem.hidden_test is None:
        return None
    try:
        defined = defined_names(problem.answer)
        visible, hidden = (asserted_calls(source, defined) for source in (problem.test, problem.hidden_test))
    except NO_PYTHON as error:
        raise ValueError(f"problem {problem.example_id} has no overlap score: {error}") from None
    return len(visible), len(visible & hidden)


def score(problem: Problem) -> float:
    """Share of the visible test's asserted calls that the hidden test asserts too; nan if it has none.

    Tests that cannot be scored have none either, with a warning that names the problem: a side score stops no run.
    """
    try:
        counts = overlap(problem)
    except ValueError as error:
        warnings.warn(str(error), stacklevel=2)
        return math.nan
    return counts[1] / counts[0] if counts and counts[0] else math.nan


def _calls(body: list[ast.stmt], names: Names, defined: Defined) -> Iterator[str]:
    """Asserted calls of a block, in order; `names` follows what they stand for at that place."""
    for node in body:
        names |= _bound_by(node, names, defined)
        if isinstance(node, ast.ClassDef):
            inside = _of_class(node, names, defined)
            for method in node.body:
                yield from _calls([method], dict(inside), defined)
        elif isinstance(node, ast.With) and any("raises" in text_of(i).lower() for i in node.items):
            for inner in node.body:
                yield from _found(inner, names, defined)
        elif isinstance(node, ast.Assert) or (isinstance(node, ast.Expr) and _is_assertion(node.value, defined)):
            yield from _found(node, names, defined)
        else:
            local = dict(names) if isinstance(node, ast.FunctionDef) else names
            for block in ("body", "orelse", "finalbody"):
                yield from _calls(getattr(node, block, []), local, defined)


def _is_assertion(node: ast.expr, defined: Defined) -> bool:
    """Whether it is a call of an `assert...` or, as a statement, of the answer."""
    name = text_of(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    return name.startswith("assert") or name in defined


def _bound_by(node: ast.stmt, names: Names, defined: Defined) -> Names:
    """What a statement makes names stand for."""
    if isinstance(node, ast.Assign):
        return {k: v for target in node.targets for k, v in _bound(target, node.value, names, defined).items()}
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return _bound(node.target, node.value, names, defined)
    if isinstance(node, ast.ClassDef):
        return {node.name: _digest(node.name, node)}
    return {}


def _digest(name: str, node: ast.AST) -> ast.Name:
    return ast.Name(f"{name}_{_hash(node)[:8]}", ast.Load())


def _hash(node: ast.AST) -> str:
    return hashlib.sha256(ast.dump(node).encode("utf-8", "surrogatepass")).hexdigest()


def _bound(target: ast.expr, value: ast.expr, names: Names, defined: Defined) -> Names:
    if isinstance(target, ast.Name | ast.Attribute):
        value = _replaced(value, names)
        of_answer = any(isinstance(n, ast.Name) and n.id in defined for n in ast.walk(value))
        is_long = len(text_of(value)) > (50 if of_answer else 1) * MAX_CHARS
        return {text_of(target): _digest("long", value) if is_long else value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        values = value.elts
    elif isinstance(target, ast.Tuple):
        values = [ast.Subscript(value, ast.Constant(i), ast.Load()) for i in range(len(target.elts))]
    else:
        return {}
    pairs = zip(target.elts, values, strict=True)
    return {k: v for one, given in pairs for k, v in _bound(one, given, names, defined).items()}


def _of_class(node: ast.ClassDef, names: Names, defined: Defined) -> Names:
    """`self.x` of what `setUp` assigns, `self.helper` of methods that end in `return`."""
    found = dict(names)
    for method in (m for m in node.body if isinstance(m, ast.FunctionDef)):
        local = dict(found)
        for statement in method.body:
            local |= _bound_by(statement, local, defined)
        if method.name in ("setUp", "setup_method", "setUpClass"):
            found |= {key: value for key, value in local.items() if "." in key}
        elif isinstance(method.body[-1], ast.Return) and method.body[-1].value is not None:
            returned = _replaced(method.body[-1].value, local)
            arguments = ast.arguments([], method.args.args[1:], method.args.vararg, [], [], None, [])
            found[f"self.{method.name}"] = ast.Lambda(arguments, returned)
    return found


def _found(node: ast.stmt, names: Names, defined: Defined) -> Iterator[str]:
    """Asserted calls of an assertion, normalised."""
    for operand in _operands(_replaced(node, names)):
        whole = functools.cache(lambda operand=operand: text_of(operand))
        called = {id(n.func): n for n in ast.walk(operand) if isinstance(n, ast.Call)}
        for name in ast.walk(operand):
            if isinstance(name, ast.Name) and name.id in defined:
                call, parameters = called.get(id(name)), defined[name.id]
                has_arguments = call is not None and parameters and (call.args or call.keywords)
                yield text_of(_with_keywords(call, parameters)) if has_arguments else whole()


def _operands(node: ast.AST) -> Iterator[ast.expr]:
    """Sides of the comparisons in an assertion; arguments of an `assert...` call; else all of it."""
    if isinstance(node, ast.Assert):
        yield from _operands(node.test)
    elif isinstance(node, ast.Compare):
        yield from (node.left, *node.comparators)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _operands(value)
    elif isinstance(node, ast.UnaryOp):
        yield from _operands(node.operand)
    elif isinstance(node, ast.Call) and _is_assertion(node, {}):
        for value in (*node.args, *(k.value for k in node.keywords)):
            yield from _operands(value)
    elif isinstance(node, ast.expr):
        yield node
    else:
        for value in ast.iter_child_nodes(node):
            yield from _operands(value) if isinstance(value, ast.expr) else ()


def _with_keywords(call: ast.Call, parameters: list[str]) -> ast.Call:
    """Positional arguments under their parameters' names where these are known, keywords sorted."""
    arguments, keywords = list(call.args), list(call.keywords)
    if len(arguments) <= len(parameters) and not any(isinstance(a, ast.Starred) for a in arguments):
        keywords += [ast.keyword(n, a) for n, a in zip(parameters, arguments, strict=False)]
        arguments = []
    return ast.Call(call.func, arguments, sorted(keywords, key=lambda k: k.arg or "~"))


def _replaced(node: ast.AST, names: Names) -> ast.AST:
    """A copy with names replaced, or with none but the module's where that adds more than `MAX_NODES` nodes."""
    try:
        return _Replace(names, [MAX_NODES]).visit(copy.deepcopy(node))
    except _TooMany:
        return _Replace({}, [0]).visit(copy.deepcopy(node))


class _TooMany(Exception):
    """What names stand for has more than `MAX_NODES` nodes."""


def text_of(node: ast.AST) -> str:
    """Source text of a node; for what has none (an f-string whose replaced parts hold a backslash), a digest of it."""
    try:
        return ast.unparse(node)
    except ValueError:
        return "tree_" + _hash(node)[:16]


class _Replace(ast.NodeTransformer):
    """Puts in what names stand for, and drops the name of the candidate's module."""

    def __init__(self, names: Names, left: list[int]) -> None:
        self.names, self.left = names, left  # nodes that may still be added, counted down

    def _put_in(self, value: ast.expr) -> ast.expr:
        self.left[0] -= sum(1 for _ in ast.walk(value))
        if self.left[0] < 0:
            raise _TooMany
        return copy.deepcopy(value)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._put_in(self.names[node.id]) if node.id in self.names else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        known = self.names.get(text_of(node))
        if known is not None:
            return self._put_in(known)
        if isinstance(node.value, ast.Name) and (node.value.id == "sample" or node.value.id.startswith("sample_")):
            return ast.Name(node.attr, ast.Load())
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        helper = self.names.get(text_of(node.func))
        if not isinstance(helper, ast.Lambda) or node.keywords or helper.args.vararg:
            return self.generic_visit(node)
        given = [self.visit(argument) for argument in node.args]
        parameters = [a.arg for a in helper.args.args]
        filled = _Replace(dict(zip(parameters, given, strict=False)), self.left)
        return filled.visit(self._put_in(helper.body))
