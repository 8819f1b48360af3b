"""Solution files: one JSON object a line, `example_id` and the code under `answer`, else `solution`, else `output`."""

import json
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from papers.gitchameleon.data.extraction import extract_code
from papers.gitchameleon.data.json_lines import read_rows
from papers.gitchameleon.data.problems import Problem
from shared.base.files import write_text

KEYS = ("answer", "solution", "output")  # in this order


@dataclass(frozen=True)
class Solution:
    """What a system answered to one problem."""

    example_id: int
    text: str  # as the system sent it
    code: str  # the module extracted from it
    sample: int = 0  # counts the answers to one problem


def read_solutions(
    path: Path, problems: Iterable[Problem], samples: int = 1, skipped: list[str] | None = None
) -> list[Solution]:
    """Solutions in the order of the file.

    Args:
        samples: how many answers a problem may have.
        skipped: takes a sentence per bad line; without it, any bad line stops.
    Raises:
        ValueError: names file, line and reason of every line that is wrong: not UTF-8 or JSON, no or an unknown
            `example_id`, too many answers to one problem, no answer, or one that is not text.
    """
    stubs, bad = {p.example_id: p.starting_code for p in problems}, []
    solutions, counts = [], dict.fromkeys(stubs, 0)
    for number, row in read_rows(path, bad):
        try:
            id, text = _id(row, stubs), _answer(row)
            if counts[id] == samples:
                hint = "keep one, or say how many there are with --samples"
                hint = hint if samples == 1 else f"--samples is {samples}"
                raise ValueError(f"example_id {id} has more answers than expected; {hint}")
        except ValueError as error:
            bad.append(f"{path}, line {number}: {error}")
            continue
        solutions.append(Solution(id, text, _code(text, stubs[id]), counts[id]))
        counts[id] += 1
    if bad and skipped is None:
        raise ValueError("\n".join(sorted(bad, key=_line_number)))
    if skipped is not None:
        skipped += sorted(bad, key=_line_number)
    return solutions


def _code(text: str, stub: str) -> str:
    try:
        return extract_code(text, stub)
    except (ValueError, RecursionError, MemoryError):
        return text  # it fails as what it is


def _line_number(sentence: str) -> int:
    return int(re.findall(r", line (\d+): ", sentence)[0])


def _id(row: dict, known: Container[int]) -> int:
    if "example_id" not in row:
        raise ValueError("'example_id' is missing")
    if not isinstance(row["example_id"], int | str):
        raise ValueError(f"'example_id' has to be a number or text, found {type(row['example_id']).__name__}")
    given = str(row["example_id"]).strip()
    if not (given.isascii() and given.isdecimal() and len(given) < 10) or int(given) not in known:
        shown = repr(row["example_id"])
        shown = shown if len(shown) <= 40 else f"{shown[:40]}..., {len(shown)} characters,"
        raise ValueError(f"example_id {shown} is not in the data set")
    return int(given)


def _answer(row: dict) -> str:
    for key in KEYS:
        if row.get(key) is not None:
            if not isinstance(row[key], str):
                raise ValueError(f"'{key}' has to be text, found {type(row[key]).__name__}")
            return row[key]
    raise ValueError(f"no answer; expected one of the keys {', '.join(KEYS)}")


def write_solutions(path: Path, answers: dict[int, str]) -> None:
    """A solution file in the authors' format, sorted by id."""
    rows = [json.dumps({"example_id": str(id), "answer": answers[id]}) for id in sorted(answers)]
    write_text(path, "\n".join(rows) + "\n")
