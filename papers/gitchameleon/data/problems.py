"""The data set: one JSON object a line, checked and normalised.

Schema: section 3.2 of the notes in README.md, after the files of the authors' repository. A suite of ours has the
same fields and may add `hidden_test`, `runner`, `expect_fail`, `docs_text` and `task`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from papers.gitchameleon.data.categories import stats_category
from papers.gitchameleon.data.json_lines import read_rows
from papers.gitchameleon.data.pins import Pin, parse_pins, pin
from shared.base.settings import StrictModel, validate
from shared.data.sources import fetch

SOURCE = "gitchameleon"
PYTHONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def _digits(value: object) -> object:
    """`example_id`, `functional` and `webdev` come as numbers in some rows and as digits in others."""
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


class Problem(StrictModel):
    """One problem: a statement and a stub, tied to one version of a library and of Python."""

    example_id: Annotated[int, BeforeValidator(_digits)]
    python_version: str  # x.y
    library: str
    version: str  # as written; `2` means 2.0.0
    problem: str  # the statement
    starting_code: str
    solution: str  # body only: starting_code + solution is a module
    test: str  # visible test: statements that run after the module
    type_of_change: str
    name_of_class_or_func: str = ""
    additional_dependencies: str = ""
    extra_dependencies: str = ""
    functional: Annotated[int, BeforeValidator(_digits)] = Field(default=1, ge=0, le=1)
    webdev: Annotated[int, BeforeValidator(_digits)] = Field(default=0, ge=0, le=1)
    solution_api_call: bool = True
    api_calls: list[str] = []
    release_date: str = Field(pattern=r"^\d{4}-\d{2}$")
    docs: list[str] = []
    # ours
    hidden_test: str | None = None  # a test module that imports `sample_<example_id>`
    runner: Literal["pytest", "unittest"] = "pytest"
    task: str = ""  # problems of one task share statement, stub and tests' intent, and differ in the pin
    expect_fail: list[str] = []  # outcomes accepted where the other version's idiom runs here; empty: it passes
    docs_text: list[str] = []  # documentation as text, one per entry of docs

    @field_validator("additional_dependencies", "extra_dependencies", mode="before")
    @classmethod
    def _absent_is_empty(cls, value: object) -> object:
        return "" if value is None else value

    @field_validator("python_version")
    @classmethod
    def _known_python(cls, value: str) -> str:
        if value not in PYTHONS:
            raise ValueError(f"unsupported python_version; supported: {', '.join(PYTHONS)}")
        return value

    @field_validator("type_of_change")
    @classmethod
    def _known_change(cls, value: str) -> str:
        stats_category(value)
        return value

    @field_validator("additional_dependencies", "extra_dependencies")
    @classmethod
    def _pins_parse(cls, value: str) -> str:
        parse_pins(value)
        return value

    @property
    def answer(self) -> str:
        """The reference module."""
        return self.starting_code + self.solution

    @property
    def library_pin(self) -> Pin:
        return pin(self.library, self.version)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Every pin of the problem, normalised, sorted, each once."""
        extra = parse_pins(self.additional_dependencies) + parse_pins(self.extra_dependencies)
        return tuple(sorted({self.library_pin, *extra}))

    @property
    def module(self) -> str:
        """Name under which the hidden test imports the candidate."""
        return f"sample_{self.example_id}"

    @property
    def year(self) -> int:
        return int(self.release_date[:4])


def read_problems(path: Path) -> list[Problem]:
    """Problems of a data file, in its order.

    Raises:
        ValueError: names file, line and field of what is wrong; or two rows share an `example_id`.
    """
    problems, lines = [], {}
    for number, row in read_rows(path):
        problem = validate(Problem, row, f"{path}, line {number}")
        if problem.example_id in lines:
            first = lines[problem.example_id]
            raise ValueError(f"{path}, line {number}: example_id {problem.example_id} is that of line {first} too")
        lines[problem.example_id] = number
        problems.append(problem)
    return problems


def load_benchmark(hidden_tests: Path | None = None) -> list[Problem]:
    """The 328 problems, from `ARTIFACTS_MIRROR`, the cache or the network.

    Args:
        hidden_tests: folder with `test_sample_<id>.py` of the authors' repository, if there is one. The files are
            code and not part of the registered source.
    Raises:
        ValueError: the data cannot be had or have a wrong checksum, or a hidden-test file is missing.
    """
    problems = read_problems(fetch(SOURCE, "dataset.jsonl"))
    return problems if hidden_tests is None else with_hidden_tests(problems, hidden_tests)


def with_hidden_tests(problems: Iterable[Problem], folder: Path) -> list[Problem]:
    """Problems with the text of their hidden test files."""
    found = []
    for problem in problems:
        path = Path(folder) / f"test_{problem.module}.py"
        if not path.is_file():
            raise ValueError(f"no hidden test {path} for example_id {problem.example_id}")
        found.append(problem.model_copy(update={"hidden_test": path.read_text(encoding="utf-8-sig")}))
    return found


def select(problems: Sequence[Problem], ids: str = "", libraries: Sequence[str] = ()) -> list[Problem]:
    """Problems of `ids` such as `0,5-9` (all if empty) and of these libraries (all if none).

    Raises:
        ValueError: an id or library that the data do not have, or a range that is none.
    """
    wanted = parse_ids(ids)
    known, known_libraries = {p.example_id for p in problems}, {p.library for p in problems}
    for library in libraries:
        if library not in known_libraries:
            raise ValueError(f"no problem of library '{library}'; there are: {', '.join(sorted(known_libraries))}")
    for first, last in wanted:
        if not known & set(range(first, last + 1)):
            raise ValueError(f"no problem has an id in {first}-{last}; ids run from {min(known)} to {max(known)}")
    return [
        p
        for p in problems
        if (not wanted or any(first <= p.example_id <= last for first, last in wanted))
        and (not libraries or p.library in libraries)
    ]


def parse_ids(ids: str) -> list[tuple[int, int]]:
    """Ranges of `0,5-9`, both ends included."""
    ranges = []
    for part in filter(None, (p.strip() for p in ids.split(","))):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ValueError(f"'{part}' is not an id or a range of ids; write for example 0,5-9")
        ranges.append((int(first), int(last or first)))
        if ranges[-1][0] > ranges[-1][1]:
            raise ValueError(f"the range '{part}' is empty; write the smaller id first")
    return ranges


def data_digest(problems: Iterable[Problem]) -> str:
    """SHA-256 over the problems' content: results of other data are not resumed."""
    digest = hashlib.sha256()
    for problem in sorted(problems, key=lambda p: p.example_id):
        digest.update(problem.model_dump_json().encode())
    return digest.hexdigest()
