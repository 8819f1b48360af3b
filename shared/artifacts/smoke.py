"""Build every paper at scale smoke from nothing, compare it with its reference, and say what each cost.

    python -m shared.artifacts.smoke [gidd ...] [--keep]

Prints, per paper, CPU seconds of all its processes, wall seconds and drifted checks; exit status 1 if a build fails or
a check drifts. --keep leaves results that are there, so that a second call measures a build with nothing to do.
"""

import resource
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shared.artifacts.paths import PaperPaths, paper_slugs
from shared.base.errors import in_one_sentence
from shared.base.paths import repo_root


@dataclass(frozen=True)
class Built:
    """One paper's build and comparison."""

    slug: str
    cpu_seconds: float
    wall_seconds: float
    ok: bool
    output: str


def build(slug: str, scale: str = "smoke") -> Built:
    """`snakemake papers/<slug>/diff`, with what it and its jobs cost."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "snakemake", f"papers/{slug}/diff", "--config", f"scale={scale}"]
    result = subprocess.run(
        command, cwd=repo_root(), encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Built(slug, cpu, time.perf_counter() - start, result.returncode == 0, result.stdout)


@in_one_sentence
def main(
    slugs: Annotated[list[str] | None, typer.Argument(help="Papers; all if omitted.")] = None,
    scale: Annotated[str, typer.Option(help="Scale to build.")] = "smoke",
    keep: Annotated[bool, typer.Option(help="Keep the results that are there.")] = False,
) -> None:
    """Build papers at scale smoke, diff them, and print what each cost."""
    papers = list(slugs or paper_slugs())
    built = []
    for slug in papers:
        results = PaperPaths(slug, scale).results
        if not keep:
            shutil.rmtree(results, ignore_errors=True)
        one = build(slug, scale)
        built.append(one)
        told = next((line for line in one.output.splitlines() if " checks ok, " in line), "the build failed")
        typer.echo(f"{slug}: {told}; {one.cpu_seconds:.0f} s of CPU, {one.wall_seconds:.0f} s")
        if not one.ok:
            typer.echo(one.output[-6000:], err=True)
    table = Table("paper", "CPU seconds", "wall seconds", "diff", title=f"scale {scale}")
    for one in built:
        table.add_row(one.slug, f"{one.cpu_seconds:.0f}", f"{one.wall_seconds:.0f}", "clean" if one.ok else "DRIFT")
    Console().print(table)
    typer.echo(f"median {statistics.median(one.cpu_seconds for one in built):.0f} s of CPU a paper")
    if not all(one.ok for one in built):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
