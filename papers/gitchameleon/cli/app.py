"""Subcommands around an evaluation: check data, keep environments, answer without a model, validate references, keep
verdicts."""

from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.cli import environments, generate, options, record
from papers.gitchameleon.cli import evaluate as evaluation
from papers.gitchameleon.data.json_lines import read_whole_lines
from papers.gitchameleon.data.solutions import Solution, read_solutions, write_solutions
from papers.gitchameleon.environments.spec import CUTOFF, group_by_env
from papers.gitchameleon.harness.choosing import harness_of, level_of, store_of
from papers.gitchameleon.harness.harness import MODES
from papers.gitchameleon.metrics import coverage
from papers.gitchameleon.metrics.report import in_words, summarise, write_report
from papers.gitchameleon.protocols.assistants import read_outputs, write_inputs
from papers.gitchameleon.suites.systems import SYSTEMS, answers_of
from shared.sandbox.box import Limits
from shared.sandbox.levels import available_levels

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(environments.app, name="envs")
app.command("evaluate")(evaluation.main)
app.command("generate")(generate.main)
app.command("record")(record.main)


@app.command()
@options.exits
def validate(
    data: Annotated[str, typer.Argument(help="benchmark, mini, builtin, or a file of problems.")],
    solutions: Annotated[Path | None, typer.Option(help="A solution file to check against it.")] = None,
    hidden_tests: options.HiddenTests = None,
) -> None:
    """Read a data set, and a solution file, and say what is in them; exit status 2 names what is wrong."""
    problems = options.problems_of(data, hidden_tests, "", None)
    groups = group_by_env(problems)
    hidden = sum(p.hidden_test is not None for p in problems)
    typer.echo(f"{len(problems)} problems in {len(groups)} environments, {hidden} with hidden tests")
    if solutions is not None:
        answers = read_solutions(solutions, problems)
        typer.echo(f"{len(answers)} answers; {sum(not a.code.strip() for a in answers)} of them empty")


@app.command()
@options.exits
def answer(
    system: Annotated[str, typer.Argument(help=f"One of {', '.join(SYSTEMS)}.")],
    out: Annotated[Path, typer.Option(help="Solution file to write.")],
    data: options.Data = "mini",
) -> None:
    """Write the solution file of a system that needs no model."""
    write_solutions(out, answers_of(system, options.problems_of(data, None, "", None)))
    typer.echo(f"{out}: {system}")


@app.command()
@options.exits
def gt(
    data: options.Data = "mini",
    hidden_tests: options.HiddenTests = None,
    problems: options.Ids = "",
    library: options.Library = None,
    jobs: options.Jobs = 2,
    timeout: Annotated[float, typer.Option(help="Seconds for one run of tests.")] = 240.0,
    python: options.Pythons = None,
    env_root: options.EnvRoot = None,
    wheelhouse: options.Wheelhouse = None,
    cutoff: options.Cutoff = CUTOFF,
    allow_builds: options.Builds = False,
    retry_failed: options.RetryFailed = False,
    sandbox: options.Level = "auto",
    unsafe: options.Unsafe = False,
    strict: Annotated[bool, typer.Option(help="Exit with 3 unless all that can be run pass.")] = False,
    lines: Annotated[bool, typer.Option("--coverage", help="Also count the lines that hidden tests reach.")] = False,
) -> None:
    """Run the reference solutions: an environment in which they fail is not fit to judge others."""
    chosen = options.problems_of(data, hidden_tests, problems, library)
    store = store_of(data, env_root, wheelhouse, cutoff, allow_builds, python, retry_failed=retry_failed)
    limits = Limits(wall_seconds=timeout, cpu_seconds=int(timeout) + 1)
    harness = harness_of(store, level_of(sandbox, unsafe), limits, jobs, "both", cutoff, True)
    rows = list(harness.evaluate(chosen, [Solution(p.example_id, p.answer, p.answer) for p in chosen]))
    summary = summarise(rows)
    typer.echo(in_words(summary))
    failed = [r for r in rows if any(r[m] not in (None, "pass", "env-missing") for m in MODES)]
    for row in sorted(failed, key=lambda r: r["example_id"]):
        cause = row["visible_exception"] or row["visible"]
        typer.echo(f"fails: {row['example_id']} ({row['library']} {row['version']}): {cause}")
    if lines:
        tested = [p for p in chosen if p.hidden_test is not None]
        typer.echo(coverage.in_words(tested, coverage.count_all(harness, tested)))
    if (strict and failed) or not options.any_run(summary):
        raise typer.Exit(options.ENVIRONMENT_PROBLEM)


@app.command()
@options.exits
def report(
    results: Annotated[Path, typer.Argument(help="Folder of an evaluation.")],
) -> None:
    """Write results.csv and summary.json anew from results.jsonl, and print the summary."""
    rows = read_whole_lines(results / "results.jsonl")
    if not rows:
        raise ValueError(f"no results in {results}; evaluate a solution file first")
    last = {(r["example_id"], r["sample"]): r for r in rows}
    typer.echo(in_words(write_report(results, [last[k] for k in sorted(last)])))


@app.command()
@options.exits
def assistants(
    folder: Annotated[Path, typer.Argument(help="Folder of the assistant's files, one per problem.")],
    out: Annotated[Path | None, typer.Option(help="Solution file to collect completed files in.")] = None,
    data: options.Data = "benchmark",
    statement: Annotated[bool, typer.Option(help="The files show the problem statement.")] = True,
) -> None:
    """Write the files that a coding assistant completes; with --out, collect what it completed."""
    problems = options.problems_of(data, None, "", None)
    if out is None:
        typer.echo(f"{folder}: {len(write_inputs(folder, problems, statement))} files to complete")
        return
    rows = read_outputs(folder, problems, statement)
    write_solutions(out, {row["example_id"]: row["answer"] for row in rows})
    typer.echo(f"{out}: {len(rows)} of {len(problems)} problems have a completed file")


@app.command()
def sandbox() -> None:
    """Say which levels of the box work on this machine, strongest first."""
    typer.echo(", ".join(available_levels()))
