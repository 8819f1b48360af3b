"""Text that anyone may have written, as Python or as JSON: what it holds, or that it holds none, and never an error."""

import ast
import json
import warnings

# what Python's parser raises: null bytes, lone surrogates, deep nesting and long numbers are not all a SyntaxError
NO_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


def parsed(text: str) -> tuple[ast.Module | None, str]:
    """(tree, "") of a module in this interpreter's grammar; (None, the reason) of anything else."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes in the text's literals
            return ast.parse(text), ""
    except SyntaxError as error:
        return None, f"{error.msg}, line {error.lineno}"
    except NO_PYTHON as error:
        return None, f"{type(error).__name__}: {error}" if str(error) else f"{type(error).__name__}: nested too deeply"


def tree_of(text: str) -> ast.Module:
    """The tree of a module.

    Raises:
        ValueError: there is none; the message says why.
    """
    tree, reason = parsed(text)
    if tree is None:
        raise ValueError(f"no Python of this interpreter's grammar ({reason})")
    return tree


def json_object(text: str) -> dict | None:
    """The object of a JSON text; None if it is none, too deep, or has a number of too many digits."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
