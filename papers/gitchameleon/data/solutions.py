"""Solution files: one JSON object a line, `example_id` and the code under `answer`, else `solution`, else `output`."""

import json
from collections.abc import Iterable
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


def read_solutions(path: Path, problems: Iterable[Problem], samples: int = 1) -> list[Solution]:
    """Solutions in the order of the file.

    Args:
        samples: how many answers a problem may have.
    Raises:
        ValueError: names file, line and field of what is wrong: not JSON, no or an unknown `example_id`, too many
            answers to one problem, no answer, or one that is not text.
    """
    stubs = {p.example_id: p.starting_code for p in problems}
    solutions, counts = [], dict.fromkeys(stubs, 0)
    for number, row in read_rows(path):
        where = f"{path}, line {number}"
        if "example_id" not in row:
            raise ValueError(f"{where}: 'example_id' is missing")
        given = str(row["example_id"]).strip()
        if not given.isdigit() or int(given) not in stubs:
            raise ValueError(f"{where}: example_id {row['example_id']!r} is not in the data set")
        id = int(given)
        if counts[id] == samples:
            hint = "keep one, or say how many there are with --samples" if samples == 1 else f"--samples is {samples}"
            raise ValueError(f"{where}: example_id {id} has more answers than expected; {hint}")
        text = _answer(row, where)
        solutions.append(Solution(id, text, extract_code(text, stubs[id]), counts[id]))
        counts[id] += 1
    return solutions


def _answer(row: dict, where: str) -> str:
    for key in KEYS:
        if row.get(key) is not None:
            if not isinstance(row[key], str):
                raise ValueError(f"{where}: '{key}' has to be text, found {type(row[key]).__name__}")
            return row[key]
    raise ValueError(f"{where}: no answer; expected one of the keys {', '.join(KEYS)}")


def write_solutions(path: Path, answers: dict[int, str]) -> None:
    """A solution file in the authors' format, sorted by id."""
    rows = [json.dumps({"example_id": str(id), "answer": answers[id]}, ensure_ascii=False) for id in sorted(answers)]
    write_text(path, "\n".join(rows) + "\n")
