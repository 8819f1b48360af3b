"""Per paper and scale: what is built, what is stale and why, the verdicts, the measured CPU minutes.

    python -m shared.artifacts.status [gidd] [--scale cpu]

Staleness is Snakemake's own judgement, from a dry run; its reasons are given in words.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from shared.artifacts.accept import reference_cost
from shared.artifacts.claims import read_claims
from shared.artifacts.config import paper_at, scales_of
from shared.artifacts.paper import artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths, paper_slugs
from shared.artifacts.summary import cost
from shared.artifacts.wording import count_text
from shared.base.errors import in_one_sentence
from shared.base.paths import repo_root


@dataclass(frozen=True)
class Status:
    """State of one paper at one scale."""

    slug: str
    scale: str
    built: str  # "7 of 7 artifacts"
    stale: str  # "", or rules and reasons in words
    claims: str  # "5 hold, 1 fails, 2 not testable"
    cpu_minutes: str  # measured, what a budget is about: of these results, or else of the reference
    minutes: str  # the wall clock of the same jobs, summed: other work on the machine counts, too


def dry_run(slug: str, scale: str, root: Path | None = None) -> str:
    """What Snakemake would do for `papers/<slug>/all` at a scale, as it prints it.

    Raises:
        ValueError: the dry run itself fails; the end of its message is given.
    """
    command = ["-m", "snakemake", "-n", f"papers/{slug}/all", "--nolock", "--config", f"scale={scale}"]
    environment = {**os.environ, "COLUMNS": "200"}
    result = subprocess.run(
        [sys.executable, *command], cwd=root or repo_root(), capture_output=True, encoding="utf-8", env=environment
    )
    output = result.stdout + result.stderr
    if result.returncode:
        raise ValueError(f"the dry run of {slug} at scale {scale} fails: {output.strip()[-300:]}")
    return output


def explain_stale(output: str, slug: str) -> str:
    """Rules that would run, counted, with the causes that start them; empty if nothing would."""
    causes: dict[str, Counter] = {}
    rule = None
    for line in output.splitlines():
        if match := re.match(r"\s*(?:local)?(?:rule|checkpoint) (\S+):", line):
            rule = match.group(1).removeprefix(f"{slug}_")
        elif (match := re.match(r"\s*reason: (.*)", line)) and rule:
            for cause in _in_words(match.group(1)):
                causes.setdefault(rule, Counter())[cause] += 1
            rule = None
    return "; ".join(
        f"{rule} ({count} jobs): {cause}" if count > 1 else f"{rule}: {cause}"
        for rule, found in causes.items()
        for cause, count in found.items()
    )


def _in_words(reason: str) -> list[str]:
    """A job's own causes; that an input is rebuilt too is a consequence and is left out."""
    words = []
    if "Missing output files" in reason:
        words.append("not built yet")
    if match := re.search(r"before: (.*?) now: (.*)", reason):
        before, now = (re.findall(r"'((?:[^'\\]|\\.)*)'", part) for part in match.groups())
        keys = sorted({item.split("=")[0] for item in [*before, *now] if "=" in item})
        if keys:
            words.append(f"changed {', '.join(keys)}")
        if any(re.fullmatch("[0-9a-f]{12}", item) for item in now):
            words.append("its code or a module it imports changed")
    if re.search(r"Updated input files", reason):
        words.append("an input file is newer")
    if "incomplete" in reason.lower():
        words.append("a killed job left it half-written")
    if "Code has changed" in reason or "shell command" in reason.lower():
        words.append("the rule changed")
    return words


def status(slug: str, scale: str, root: Path | None = None) -> Status:
    """State of one paper at one scale."""
    paths, paper = paper_at(slug, scale, root), load_paper(slug, root)
    names = list(paper.artifacts(scale))
    figures = set(paper.figure_ids(scale))
    present = sum((figure_png if n in figures else artifact_csv)(paths, n).is_file() for n in names)
    file = paths.results / "claims.json"
    claims = count_text(read_claims(file)) if file.is_file() else ""
    spent, accepted = cost(paths), reference_cost(paths)
    kinds = ("cpu_minutes", "compute_minutes")
    if spent["num_records"]:
        minutes = [f"{spent[kind]:g}" for kind in kinds]
    else:
        minutes = [f"{accepted[kind]:g} (reference)" if kind in accepted else "" for kind in kinds]
    stale = explain_stale(dry_run(slug, scale, root), slug) if present else "not built"
    return Status(slug, scale, f"{present} of {len(names)} artifacts", stale, claims, *minutes)


@in_one_sentence
def main(
    slug: Annotated[str | None, typer.Argument(help="Paper; all papers if omitted.")] = None,
    scale: Annotated[str | None, typer.Option(help="Scale; every scale of the paper if omitted.")] = None,
) -> None:
    """Print what is built, what is stale and why."""
    heads = ("paper", "scale", "built", "stale", "claims", "CPU minutes", "minutes summed over jobs")
    table = Table(*(Column(head, overflow="fold") for head in heads))  # a long key is broken, never cut
    for paper in [slug] if slug else paper_slugs():
        PaperPaths(paper, "cpu")  # refuses an unknown paper
        for each in [scale] if scale else scales_of(paper):
            row = status(paper, each)
            minutes = (row.cpu_minutes, row.minutes)
            table.add_row(row.slug, row.scale, row.built, row.stale or "nothing", row.claims, *minutes)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
