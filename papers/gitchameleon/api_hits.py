"""API hit: does an answer call what the reference calls?

`called_names` gives the dotted names of all call targets, import aliases expanded. A hit is an answer whose names
include all of a problem's `api_calls`. Two denominators: the authors' script drops answers that do not parse
(`published`); here they are misses (`strict`). Both are loose: under either rule the references themselves miss.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from papers.gitchameleon.problems import Problem


def import_aliases(tree: ast.AST) -> dict[str, str]:
    """Name -> what it stands for, over the imports of all scopes; a star import binds no name that could be known.

    After `import a.b`, `a` stands for `a.b`, so that `a.c()` counts as `a.b.c`. That is not what Python means by it,
    but it is the rule that gives the published values, and three lists of `api_calls` are written in it. Of several
    such imports the last counts. A relative import keeps the module's name without the dots.
    """
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {a.asname or a.name.partition(".")[0]: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            prefix = f"{node.module}." if node.module else ""
            aliases |= {a.asname or a.name: prefix + a.name for a in node.names if a.name != "*"}
    return aliases


def dotted_name(node: ast.expr) -> tuple[str | None, list[str]]:
    """The name at the root of a chain of attributes and the attributes; no name where it starts at a value.

    `a.b.c` gives a and [b, c]; `f(x).b` and `x[0].b` give None and [b].
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else None), parts


def called_names(code: str) -> frozenset[str]:
    """Dotted names of all call targets in `code`, the first component expanded if an import gave it another name.

    A method of a value that has no name, as in `f(x).b()`, counts by its own name, b. A decorator with arguments is a
    call; `f()()` calls f and something without a name.

    Raises:
        SyntaxError, ValueError, RecursionError: the code does not parse.
    """
    tree = ast.parse(code)
    aliases, names = import_aliases(tree), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            root, attributes = dotted_name(node.func)
            names.add(".".join(([aliases.get(root, root)] if root else []) + attributes))
    return frozenset(names - {""})


def api_hit(code: str, api_calls: list[str]) -> bool | None:
    """Whether all of `api_calls` are called; True if there are none, None if the code does not parse."""
    try:
        return set(api_calls) <= called_names(code)
    except (SyntaxError, ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class ApiHits:
    """Hits of a system over the problems of the data; a problem without an answer is a miss under both rules."""

    hits: int
    n: int
    num_unparsable: int

    @property
    def published_percent(self) -> float:
        """Unparsable answers left out of the denominator, as in the authors' script."""
        parsable = self.n - self.num_unparsable
        return 100.0 * self.hits / parsable if parsable else float("nan")

    @property
    def strict_percent(self) -> float:
        """Unparsable answers are misses."""
        return 100.0 * self.hits / self.n


def api_hits(problems: list[Problem], codes: Mapping[int, str], empty: bool = True) -> ApiHits:
    """Hits over `problems`.

    Args:
        codes: problem -> code.
        empty: count problems whose list of calls is empty, which any parsable text hits.
    """
    counted = [p for p in problems if empty or p.api_calls]
    found = [api_hit(codes[p.example_id], p.api_calls) if p.example_id in codes else False for p in counted]
    return ApiHits(sum(f is True for f in found), len(counted), sum(f is None for f in found))
