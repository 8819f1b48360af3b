"""What failed: names of exceptions in tracebacks (Figure 8), and the part of a trace that a model is shown."""

import re

import pandas as pd

from papers.gitchameleon.harness.recorded_verdicts import NOT_RECORDED

# the ten types that Figure 8 draws, in its order
DRAWN = (
    "AssertionError",
    "TypeError",
    "AttributeError",
    "ValueError",
    "IndexError",
    "RuntimeError",
    "KeyError",
    "NameError",
    "SyntaxError",
    "HTTPError",
)
NEEDS_NETWORK = ("URLError", "gaierror", "ConnectionError", "ConnectTimeout", "MaxRetryError", "ProxyError")
NEEDS_NETWORK += ("HTTPError", "NewConnectionError", "NameResolutionError")
_NAME = re.compile(r"^(?:E\s+)?((?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*(?:Error|Exception)))(?=:|\s*$)", re.MULTILINE)
_FRAME = re.compile(r'^\s+File "([^"]*)", line (\d+), in (\S+)', re.MULTILINE)


def exception_names(trace: str) -> list[str]:
    """Names ending in Error or Exception that open a line of a trace, without their modules; pytest's `E` is skipped.

    A name inside a message does not count; a chained exception does.
    """
    return [match[2] for match in _NAME.finditer(trace)]


def cause(verdict: str, exception: str | None) -> str:
    """Why a reference did not pass, in one word or two: not every failure is the reference's."""
    if verdict == "env-missing":
        return exception if exception == NOT_RECORDED else f"environment: {exception}"
    if exception in NEEDS_NETWORK:
        return "needs network"
    if exception == "LookupError":
        return "needs data"  # NLTK's word for a corpus that is not there
    return exception or verdict


def reduction_percent(before: int, after: int) -> float:
    """Relative fall in percent, 100 (before - after) / before; nan where there was nothing to lower."""
    return 100.0 * (before - after) / before if before else float("nan")


def falls(scores: pd.DataFrame) -> pd.DataFrame:
    """Answers whose hidden trace names each drawn exception, over all systems with greedy and self-debug runs.

    Args:
        scores: rows of scoring.score_rows.
    Returns:
        suite, error, greedy, selfdebug (counts) and reduction_percent; every suite has all ten types.
    """
    two = ["greedy", "selfdebug"]
    runs = scores[scores.protocol.isin(two)]
    runs = runs[runs.groupby(["suite", "system"]).protocol.transform("nunique") == len(two)]
    raised = runs.assign(error=runs.errors.str.split()).explode("error")
    types = pd.MultiIndex.from_product([sorted(set(scores.suite)), DRAWN], names=["suite", "error"])
    counts = raised.groupby(["suite", "error", "protocol"]).size().unstack()
    counts = counts.reindex(index=types, columns=two).fillna(0.0).reset_index()
    pairs = zip(counts.greedy, counts.selfdebug, strict=True)
    return counts.assign(reduction_percent=[reduction_percent(before, after) for before, after in pairs])


def top_level_trace(trace: str, max_chars: int = 2000) -> str:
    """The trace that goes into a self-debug prompt: the frames of the candidate and the test, and the last error.

    Frames inside installed packages and the interpreter are left out, as are paths of this machine.
    """
    lines, kept, skip = trace.strip().splitlines(), [], False
    for line in lines:
        frame = _FRAME.match(line)
        if frame:
            path = frame[1]
            skip = "site-packages" in path or "/lib/python" in path or path.startswith("<frozen")
            if not skip:
                kept.append(f'  File "{path.rsplit("/", 1)[-1]}", line {frame[2]}, in {frame[3]}')
        elif not (skip and line.startswith("  ")):
            skip = False
            kept.append(line)
    text = "\n".join(kept)
    if len(text) <= max_chars:
        return text
    half = max_chars // 2
    return text[:half] + "\n[...]\n" + text[-half:]
