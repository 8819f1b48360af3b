"""Messages a user can act on: one sentence, the nearest accepted name, no traceback."""

import difflib
import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

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


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def print_anything() -> None:
    """From here on a character that the terminal's encoding lacks, such as ≤ in ISO-8859-1, is printed as `?`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def in_one_sentence(command: Callable, status: Callable[[Exception], int] = lambda error: 1) -> Callable:
    """Decorates a command line: a user's error ends in one sentence on stderr and exit status `status(error)`.

    ValueError and OSError are what a user can cause; anything else is our mistake and keeps its
    traceback. ARTIFACTS_TRACEBACK=1 shows every traceback. Where an error has a cause, its traceback goes into a file
    beside the job's log, which Snakemake names in ARTIFACTS_LOG.
    """

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        print_anything()
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError) as error:
            if os.environ.get("ARTIFACTS_TRACEBACK"):
                raise
            print(f"error: {_sentence(error)}{_kept_traceback(error)}", file=sys.stderr)
            raise typer.Exit(status(error)) from None

    return wrapped


def _kept_traceback(error: Exception) -> str:
    """Writes the traceback of an error's cause beside the log of this job; where it is, for the end of the sentence."""
    log = os.environ.get("ARTIFACTS_LOG")
    if error.__cause__ is None or not log:
        return ""
    file = Path(log).with_suffix(".traceback")
    file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return f" (traceback in {file})"


def _sentence(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"cannot write or read {error.filename}: permission denied; make the folder writable and run again"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"no such file: {error.filename}"
    return str(error)
