"""Answers of hosted models and agents that the authors have published, by system.

From github.com/NizarIslah/GitChameleon, commit 9f8bc8e4 (2025-07-18). No licence was seen there: they are read where a
mirror holds them, for local verification only; verdicts are facts and may be passed on, no answer is.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from papers.gitchameleon.data.extraction import extract_code
from papers.gitchameleon.data.json_lines import read_rows
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution

FOREIGN = "foreign"  # verdict of an answer that belongs to another problem; counts as a failure
FOLDER = "gitchameleon_outputs"  # of the mirror: <system>.jsonl with example_id and answer


def folder() -> Path:
    """Where the answers lie.

    Raises:
        ValueError: no mirror is named, or it has none.
    """
    mirror = os.environ.get("ARTIFACTS_MIRROR", "")
    found = Path(mirror) / FOLDER
    if not mirror or not found.is_dir():
        raise ValueError(
            f"published answers are read from a mirror; name its folder, which holds {FOLDER}, in ARTIFACTS_MIRROR"
        )
    return found


def systems() -> list[str]:
    """All systems with answers here."""
    return sorted(path.stem for path in folder().glob("*.jsonl"))


def digest(system: str) -> str:
    """SHA-256 of a system's file."""
    return hashlib.sha256((folder() / f"{system}.jsonl").read_bytes()).hexdigest()


def belongs(code: str, problem: Problem) -> bool:
    """Whether an answer has the names that the problem's stub defines: the problems changed while they were written."""
    names = re.findall(r"^\s*(?:async\s+def|def|class)\s+(\w+)", problem.starting_code, re.MULTILINE)
    return all(re.search(rf"\b{name}\b", code) for name in names)


def read_answers(system: str, problems: Sequence[Problem]) -> tuple[list[Solution], list[int]]:
    """A system's answers to the problems, and the ids of those that answer another problem. Ids that the final data set
    dropped are passed over; an empty answer is one of no code.
    """
    by_id, answers, foreign = {p.example_id: p for p in problems}, [], []
    for _, row in read_rows(folder() / f"{system}.jsonl"):
        problem = by_id.get(int(row["example_id"]))
        if problem is None:
            continue
        text = row["answer"] if isinstance(row["answer"], str) else json.dumps(row["answer"])
        code = extract_code(text, problem.starting_code)
        if not code.strip() or belongs(code, problem):
            answers.append(Solution(problem.example_id, text, code))
        else:
            foreign.append(problem.example_id)
    return answers, foreign


def model_and_protocol(system: str) -> tuple[str, str]:
    """`selfdebug_gpt_4o` -> (gpt 4o, selfdebug); an agent is named by its tools."""
    protocol, _, model = system.partition("_")
    return model.replace("_", " "), protocol
