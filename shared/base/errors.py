"""Messages a user can act on: one sentence, the nearest accepted name, no traceback."""

import difflib
import functools
import os
import sys
from collections.abc import Callable, Iterable

import typer


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the entry of `known` closest to `name`, or nothing if none is close."""
    matches = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def nearest_or_all(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the entry of `known` closest to `name`, else all of them: the end of a sentence."""
    known = sorted(str(k) for k in known)
    matches = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean '{matches[0]}'?" if matches else f"known are {', '.join(known)}"


def print_anything() -> None:
    """From here on a character that the terminal's encoding lacks, such as ≤ in ISO-8859-1, is printed as `?`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def in_one_sentence(command: Callable, status: Callable[[Exception], int] = lambda error: 1) -> Callable:
    """Decorates a command line: a user's error ends in one sentence on stderr and exit status `status(error)`.

    ValueError and OSError are what a user can cause; anything else is our mistake and keeps its
    traceback. ARTIFACTS_TRACEBACK=1 shows every traceback.
    """

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        print_anything()
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError) as error:
            if os.environ.get("ARTIFACTS_TRACEBACK"):
                raise
            print(f"error: {_sentence(error)}", file=sys.stderr)
            raise typer.Exit(status(error)) from None

    return wrapped


def _sentence(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"cannot write or read {error.filename}: permission denied; make the folder writable and run again"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"no such file: {error.filename}"
    return str(error)
