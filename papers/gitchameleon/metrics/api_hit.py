"""API hit: does an answer call what the reference calls? A loose proxy, since references themselves miss it.

Names are dotted: the first component of a call's target is expanded through the aliases of all imports, whatever
their scope; a method of another expression, as in `f().g()`, is called by its attributes alone, `g`. The published
rule drops answers that do not parse; ours counts them as misses.
"""

import ast
from collections.abc import Iterable

from papers.gitchameleon.data.parsing import tree_of


def called_names(code: str) -> set[str]:
    """Dotted names of all call targets in `code`.

    Raises:
        ValueError: it does not parse.
    """
    tree = tree_of(code)
    aliases = _aliases(tree)
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, rest = _dotted(node.func)
            names.add(".".join(([aliases.get(first, first)] if first else []) + rest))
    return names - {""}


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Local name -> what it stands for, of all imports at any depth; the last one of a name wins.

    `import a.b` makes `a` stand for `a.b`, so that a following `a.b.f()` is called `a.b.b.f`. That is no good rule, but
    the authors' `api_calls` hold such names: only with it do 277 of the 328 references hit, the number that the
    published scripts give.
    """
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                found[name.asname or name.name.split(".")[0]] = name.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names if a.name != "*"}
    return found


def _dotted(node: ast.AST) -> tuple[str | None, list[str]]:
    """(name at the start, attributes after it) of a call's target; without a name for calls on other expressions."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else None), parts[::-1]


def is_hit(code: str, api_calls: Iterable[str]) -> bool | None:
    """Whether all of `api_calls` are called; None if the code does not parse. No call asked for is a hit."""
    try:
        return set(api_calls) <= called_names(code)
    except ValueError:
        return None


def api_hit_rates(hits: Iterable[bool | None]) -> dict[str, float]:
    """Both rates, with the counts: `published` leaves out what does not parse, `strict` counts it as a miss."""
    hits = list(hits)
    parsed = [h for h in hits if h is not None]
    return {
        "num_problems": len(hits),
        "num_parsed": len(parsed),
        "num_hits": sum(parsed),
        "published": sum(parsed) / len(parsed) if parsed else float("nan"),
        "strict": sum(parsed) / len(hits) if hits else float("nan"),
    }
