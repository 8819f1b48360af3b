"""What a paper's sweeps would cost, before anything runs.

    python -m shared.train.sweep plan optimizer_name_of_a_paper --scale paper

A paper takes part through two functions: the settings of a scale, and `sweeps(config)` in its `config.py`, which
returns {name: (SweepConfig, ModelCost)}.
"""

import importlib
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shared.train.sweep.config import SweepConfig
from shared.train.sweep.planner import ModelCost, Plan, plan_sweep

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _main() -> None:
    """Plan hyperparameter sweeps."""


@app.command()
def plan(
    paper: Annotated[str, typer.Argument(help="the paper's slug, a folder of papers/")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper")] = "cpu",
    memory_gb: Annotated[float, typer.Option(help="bound on the memory of one shard")] = 4.0,
    max_members: Annotated[int | None, typer.Option(help="bound on the members of one shard")] = None,
    tflops: Annotated[
        float, typer.Option(help="sustained rate of one device; 150 was seen on an A100 in bf16")
    ] = 150.0,
) -> None:
    """Print runs, shards, tokens and estimated device hours of every sweep of a paper."""
    try:
        sweeps = sweeps_of(paper, scale)
        plans = {
            name: (sweep, plan_sweep(sweep, cost, memory_bytes=memory_gb * 1e9, max_members=max_members))
            for name, (sweep, cost) in sweeps.items()
        }
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    Console().print(cost_table(f"{paper} at scale {scale}, {tflops:g} TFLOP/s", plans, tflops * 1e12))


def sweeps_of(paper: str, scale: str) -> dict[str, tuple[SweepConfig, ModelCost]]:
    """The sweeps of a paper at a scale; its modules are looked up by name, since this room lies below them."""
    try:
        module = importlib.import_module(f"papers.{paper}.config")
    except ModuleNotFoundError:
        raise ValueError(f"there is no papers/{paper}/config.py; name a folder of papers/") from None
    if not hasattr(module, "sweeps"):
        raise ValueError(
            f"papers/{paper}/config.py has no function sweeps(config), so this paper has no sweeps to plan"
        )
    settings = importlib.import_module("shared.artifacts.config").load_config(paper, scale)
    return module.sweeps(settings)


def cost_table(title: str, plans: dict[str, tuple[SweepConfig, Plan]], flops_per_second: float) -> Table:
    """One line per sweep and a total."""
    table = Table(title=title)
    for name in ("sweep", "runs", "shards", "members", "steps", "tokens", "GB a shard", "device hours"):
        table.add_column(name, justify="left" if name == "sweep" else "right")
    for name, (_, planned) in plans.items():
        members = [len(shard.runs) for shard in planned.shards]
        steps = sorted({run.num_steps for shard in planned.shards for run in shard.runs})
        table.add_row(
            name,
            f"{planned.num_runs:,}",
            f"{len(planned.shards):,}",
            _span(min(members), max(members)),
            _span(steps[0], steps[-1]),
            f"{planned.num_tokens:.3g}",
            f"{max(shard.memory_bytes for shard in planned.shards) / 1e9:.2f}",
            f"{planned.hours(flops_per_second):.3g}",
        )
    every = [planned for _, planned in plans.values()]
    runs, shards = sum(p.num_runs for p in every), sum(len(p.shards) for p in every)
    tokens, hours = sum(p.num_tokens for p in every), sum(p.hours(flops_per_second) for p in every)
    table.add_section()
    table.add_row("total", f"{runs:,}", f"{shards:,}", "", "", f"{tokens:.3g}", "", f"{hours:.3g}")
    return table


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


if __name__ == "__main__":
    app()
