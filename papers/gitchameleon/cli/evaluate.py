"""Evaluate a solution file: hidden and visible tests of every problem, in pinned environments, in a box.

    python -m papers.gitchameleon.evaluate SOLUTIONS.jsonl --out RESULTS --jobs 2

Writes RESULTS/results.jsonl (a line per problem, as it is finished), results.csv (the authors' columns plus ours) and
summary.json. Stopped, it goes on where it was. Exit status: 0 done, 2 bad input, 3 something of ours failed or nothing
could be run, 4 no box can be made and --unsafe was not said.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.cli import options
from papers.gitchameleon.data.solutions import read_solutions
from papers.gitchameleon.environments.spec import CUTOFF
from papers.gitchameleon.harness.choosing import harness_of, level_of, store_of
from papers.gitchameleon.harness.results import ResultFolder, evaluate_into
from papers.gitchameleon.harness.verdicts import HARNESS_ERROR
from papers.gitchameleon.metrics.report import in_words, write_report
from papers.gitchameleon.metrics.subsets import decisive as decisive_ids
from papers.gitchameleon.metrics.subsets import with_overlap
from shared.sandbox.box import Limits


def progress(total: int):
    """A bar on a terminal, a line now and then in a log: (context, function called with each row)."""
    from rich.progress import Progress

    bar = Progress(disable=not sys.stderr.isatty())
    task = bar.add_task("problems", total=total)
    seen = {"rows": 0}

    def tell(row: dict) -> None:
        seen["rows"] += 1
        bar.advance(task)
        if bar.disable and (seen["rows"] % 25 == 0 or seen["rows"] == total):
            print(
                f"{seen['rows']} of {total}: problem {row['example_id']} {row['hidden'] or row['visible']}",
                file=sys.stderr,
            )

    return bar, tell


@options.exits
def main(
    solutions: Annotated[Path, typer.Argument(help="JSON lines: example_id, and answer, solution or output.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    data: options.Data = "benchmark",
    hidden_tests: options.HiddenTests = None,
    problems: options.Ids = "",
    library: options.Library = None,
    jobs: options.Jobs = 2,
    resume: Annotated[bool, typer.Option(help="Go on with what the folder has.")] = True,
    tests: Annotated[str, typer.Option(help="both, hidden or visible.")] = "both",
    samples: Annotated[int, typer.Option(help="Answers per problem.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for one run of tests.")] = 240.0,
    memory_mb: Annotated[int, typer.Option(help="Memory of one run, all processes together.")] = 4096,
    python: options.Pythons = None,
    envs: options.EnvRoot = None,
    wheelhouse: options.Wheelhouse = None,
    cutoff: options.Cutoff = CUTOFF,
    allow_builds: options.Builds = False,
    retry_failed: options.RetryFailed = False,
    cache: Annotated[bool, typer.Option(help="Reuse verdicts of equal runs.")] = True,
    sandbox: options.Level = "auto",
    unsafe: options.Unsafe = False,
    skip_bad: Annotated[bool, typer.Option(help="Leave bad lines of the file out and say so.")] = False,
    decisive: Annotated[bool, typer.Option("--decisive", help="Also run the references of other versions.")] = False,
) -> None:
    """Run the tests of every problem on a system's answers and write one line per problem."""
    chosen = options.problems_of(data, hidden_tests, problems, library)
    if samples < 1:
        raise ValueError(f"--samples has to be at least 1; got {samples}")
    known = chosen if not (problems or library) else options.problems_of(data, None, "", None)
    skipped: list[str] | None = [] if skip_bad else None
    answers = read_solutions(solutions, known, samples, skipped)
    for sentence in skipped or []:
        typer.echo(f"skipped: {sentence}", err=True)
    ids = {p.example_id for p in chosen}
    answers = [a for a in answers if a.example_id in ids]
    store = store_of(data, envs, wheelhouse, cutoff, allow_builds, python, retry_failed=retry_failed)
    limits = Limits(wall_seconds=timeout, cpu_seconds=int(timeout) + 1, memory_mb=memory_mb)
    harness = harness_of(store, level_of(sandbox, unsafe), limits, jobs, tests, cutoff, cache)
    subsets = with_overlap(chosen)
    folder = ResultFolder(out, known, harness.settings, resume)
    bar, tell = progress(len(chosen) * samples)
    with bar:
        rows = evaluate_into(folder, harness, chosen, answers, tell)
    if decisive:
        subsets["decisive"] = decisive_ids(harness, chosen, known)
    summary = write_report(out, rows, subsets)
    typer.echo(in_words(summary))
    typer.echo(
        f"{harness.num_executed} executed, {harness.cache.hits} from the cache, {store.num_built} environments built"
    )
    if any(HARNESS_ERROR in (row["hidden"], row["visible"]) for row in rows) or not options.any_run(summary):
        raise typer.Exit(options.ENVIRONMENT_PROBLEM)
