"""What a paper's sweeps would cost, before anything runs.

    python -m shared.train.sweep plan optimizer_gap --scale paper

The jobs are those that the workflow would start: the shards of the paper's `config.py` that hold runs, or whose method
`sweeps()` gives several that do.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shared.artifacts.config import load_shards
from shared.base.errors import in_one_sentence
from shared.train.sweep.cost import ModelCost, job_bytes, job_flops
from shared.train.sweep.shard import SweepShard

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
COLUMNS = ("step", "sweep", "runs", "jobs", "runs a job", "steps", "tokens", "GB a job", "device hours")


@app.callback()
def _main() -> None:
    """Plan hyperparameter sweeps."""


@app.command()
@in_one_sentence
def plan(
    paper: Annotated[str, typer.Argument(help="the paper's slug, a folder of papers/")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper")] = "cpu",
    tflops: Annotated[
        float, typer.Option(help="sustained rate of one device; 150 was seen on an A100 in bf16")
    ] = 150.0,
) -> None:
    """Print runs, jobs, tokens and estimated device hours of every sweep of a paper, extensions left out."""
    title = f"{paper} at scale {scale}, {tflops:g} TFLOP/s"
    width = max(Console().width, 110)  # a log has 80 columns, which would cut the numbers
    Console(width=width).print(cost_table(title, sweeps_of(paper, scale), tflops * 1e12))


def sweeps_of(paper: str, scale: str) -> dict[tuple[str, str], list[SweepShard]]:
    """(step, sweep) -> its jobs.

    Raises:
        ValueError: no such paper or scale, or a paper without sweeps.
    """
    found: dict[tuple[str, str], list[SweepShard]] = {}
    for step, shards in load_shards(paper, scale).items():
        for shard in shards.values():
            held = shard.sweeps() if hasattr(shard, "sweeps") else [shard]  # a job may train several sweeps
            for part in held:
                if isinstance(part, SweepShard):
                    found.setdefault((step, part.sweep), []).append(part)
    if not found:
        raise ValueError(f"papers/{paper}/config.py cuts no sweep into shards, so there is nothing to plan")
    return found


def cost_table(title: str, sweeps: dict[tuple[str, str], list[SweepShard]], flops_per_second: float) -> Table:
    """One line per sweep and a total; what a task does not say of its models' cost is left empty."""
    table = Table(title=title)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("step", "sweep") else "right")
    num_runs, num_jobs, num_tokens, flops = 0, 0, 0, 0.0
    for (step, sweep), shards in sweeps.items():
        runs = [run for shard in shards for run in shard.runs]
        costs = [_cost(shard) for shard in shards]
        known = None not in costs
        memory = max(map(job_bytes, [s.runs for s in shards], costs)) / 1e9 if known else None
        work = sum(map(job_flops, [s.runs for s in shards], costs)) if known else None
        tokens, sizes = sum(run.num_tokens for run in runs), [len(shard.runs) for shard in shards]
        table.add_row(
            step,
            sweep,
            f"{len(runs):,}",
            f"{len(shards):,}",
            _span(sizes),
            _span([run.num_steps for run in runs]),
            f"{tokens:.3g}",
            "" if memory is None else f"{memory:.2f}",
            "" if work is None else f"{work / flops_per_second / 3600:.3g}",
        )
        num_runs, num_jobs, num_tokens = num_runs + len(runs), num_jobs + len(shards), num_tokens + tokens
        flops += work or 0.0
    table.add_section()
    hours = f"{flops / flops_per_second / 3600:.3g}" if flops else ""
    table.add_row("total", "", f"{num_runs:,}", f"{num_jobs:,}", "", "", f"{num_tokens:.3g}", "", hours)
    return table


def _cost(shard: SweepShard) -> ModelCost | None:
    return shard.model_cost(dict(shard.runs[0].model))


def _span(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


if __name__ == "__main__":
    app()
