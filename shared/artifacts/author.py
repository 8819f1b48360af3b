"""The code of a paper, run by the library: a mistake in it ends in one sentence.

It names file and function, and says what is expected. The traceback is kept as the cause; a job's command line writes
it beside its log (base/errors.py).
"""

import ast
import contextlib
import functools
import importlib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from shared.base.errors import first_line
from shared.base.settings import in_words


class AuthorError(ValueError):
    """A mistake in a file of a paper; says which and what is expected there."""


@contextlib.contextmanager
def author_code(where: str, expected: str) -> Iterator[None]:
    """Turns what the block throws into an `AuthorError`: where, at which line of the paper, what, what is expected.

    Args:
        where: file and function, as `place_of` gives them.
        expected: a clause such as "it has to return a frame".
    """
    try:
        yield
    except AuthorError:
        raise
    except Exception as error:
        lines = [f for f in traceback.extract_tb(error.__traceback__) if "papers" in Path(f.filename).parts]
        at = f", line {lines[-1].lineno} of {Path(lines[-1].filename).name}" if lines else ""
        if isinstance(error, ValidationError):
            what = f"{error.title}: {in_words(error)}"
        else:
            what = f"{'' if type(error) is ValueError else f'{type(error).__name__}: '}{first_line(error)}"
        raise AuthorError(f"{where}{at}: {what}; {expected}") from error


def import_module(slug: str, name: str) -> ModuleType:
    """`papers.<slug>.<name>`, imported.

    Raises:
        AuthorError: no such file, not valid Python, it does not import, or it defines one function twice.
    """
    where = f"papers/{slug}/{name.replace('.', '/')}.py"
    full = f"papers.{slug}.{name}"
    try:
        with author_code(where, "it has to import without an error"):
            module = importlib.import_module(full)
    except AuthorError as error:
        cause = error.__cause__
        if isinstance(cause, SyntaxError):
            file = Path(cause.filename or where).name
            raise AuthorError(f"{where}: {file}, line {cause.lineno}: not valid Python ({cause.msg})") from cause
        if isinstance(cause, ModuleNotFoundError) and cause.name in (full, full.rpartition(".")[0]):
            raise AuthorError(f"no such file: {where}") from cause
        raise
    if getattr(module, "__file__", None):  # none where a program has made the module
        source = Path(module.__file__)
        _refuse_doubles(source, source.stat().st_mtime_ns, where)
    return module


@functools.lru_cache(maxsize=256)
def _refuse_doubles(source: Path, modified: int, where: str) -> None:
    """Of two functions of one name Python keeps the second without a word."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    names = Counter(n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef))
    for name, count in names.items():
        if count > 1:
            raise AuthorError(f"{where} defines '{name}' {count} times; give each a name of its own")


def place_of(function: Callable) -> str:
    """File and name of a paper's function, e.g. `papers/gidd/tables.py, tab_oracle`."""
    module = getattr(function, "__module__", "") or ""
    return f"{module.replace('.', '/')}.py, {getattr(function, '__name__', repr(function))}"
