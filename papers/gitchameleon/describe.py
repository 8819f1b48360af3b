"""Step: what the data set holds, one row per problem: categories, versions, API calls of the references, sizes.

python -m papers.gitchameleon.describe --scale cpu --shard dataset
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from papers.gitchameleon.data.categories import perf_category, stats_category
from papers.gitchameleon.data.parsing import parsed
from papers.gitchameleon.data.problems import SOURCE, Problem
from papers.gitchameleon.environments.spec import upstream_key
from papers.gitchameleon.metrics.api_hit import is_hit
from papers.gitchameleon.metrics.logic_nodes import logic_nodes
from papers.gitchameleon.settings import Datasets
from papers.gitchameleon.suites.loader import load_problems
from papers.gitchameleon.suites.systems import stub_only
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.base.cache import cache_dir
from shared.data.sources import mirror_dir

FILE = Path(__file__).parent / "described.csv"  # what `row_of` makes of the benchmark: facts, none of its texts


def row_of(dataset: str, problem: Problem) -> dict:
    """One problem in numbers. The environment is named by the authors' key and by all its pins."""
    reference, stub = is_hit(problem.answer, problem.api_calls), is_hit(stub_only(problem), problem.api_calls)
    return {
        "dataset": dataset,
        "read_from": "public file" if dataset == "benchmark" else "own suites",
        "example_id": problem.example_id,
        "python_version": problem.python_version if dataset == "benchmark" else "own",
        "library": problem.library,
        "version": problem.library_pin[1],
        "stats_category": stats_category(problem.type_of_change),
        "perf_category": perf_category(problem.type_of_change) or "none",
        "year": problem.year,
        "functional": problem.functional,
        "webdev": problem.webdev,
        "num_docs": len(problem.docs),
        "num_api_calls": len(problem.api_calls),
        "reference_hits": bool(reference),
        "stub_hits": bool(stub),
        "stub_parses": stub is not None,
        "statement_chars": len(problem.problem),
        "logic_nodes": logic_nodes(problem.answer),
        "parses": parsed(problem.answer)[0] is not None,
        "upstream_env": upstream_key(problem) if dataset == "benchmark" else "",
        "env": " ".join("==".join(p) for p in problem.pins),
    }


def is_at_hand() -> bool:
    """Whether the benchmark's file is in the mirror or the cache, so that nothing has to be fetched."""
    mirror = mirror_dir()
    if mirror is not None:
        return (mirror / SOURCE / "dataset.jsonl").is_file()
    return any((cache_dir() / "sources" / SOURCE).glob("*/dataset.jsonl"))


@step(reads=("suites/*/*.yaml", "described.csv"))
def describe(settings: Datasets, provenance: Provenance) -> Iterator[dict]:
    """A row per problem of the benchmark, or of our suites where the scale is without it.

    Where the benchmark's file is not at hand and the scale does without it, rows are those made of it before.
    """
    for name in settings.names:
        if name == "benchmark" and settings.or_recorded and not is_at_hand():
            provenance.add(benchmark="not at hand: facts recorded from it")
            table = pd.read_csv(FILE, dtype={"version": str, "python_version": str}, keep_default_na=False)
            yield from table.assign(read_from=FILE.name).to_dict("records")
        else:
            yield from (row_of(name, problem) for problem in load_problems(name))


if __name__ == "__main__":
    describe.main()
