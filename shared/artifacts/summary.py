"""The page at the end of a build: every artifact with its sha256, every claim with its verdict and numbers, the cost.

python -m shared.artifacts.summary gidd --scale cpu
"""

import hashlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.artifacts.claims import read_claims
from shared.artifacts.config import paper_at, record_shards, stand_ins
from shared.artifacts.paper import artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths, check_records
from shared.artifacts.provenance import sidecar
from shared.artifacts.wording import count_text, evidence_text
from shared.base.errors import in_one_sentence
from shared.base.files import read_mapping, write_text


def cost(paths: PaperPaths) -> dict:
    """What the records of today's shards cost: their number, summed wall and CPU minutes of their jobs, devices.

    `dirty_records` of them were made from code that was not committed.
    """
    shards = record_shards(paths.slug, paths.scale, root=paths.root)
    files = [sidecar(paths.runs / step / f"{name}.parquet") for step, names in shards.items() for name in names]
    sidecars = [read_mapping(file) for file in files if file.is_file()]
    return {
        "dirty_records": sum(bool(s.get("dirty")) for s in sidecars),
        "num_records": len(sidecars),
        "compute_minutes": round(sum(s.get("wall_seconds", 0.0) for s in sidecars) / 60, 2),
        "cpu_minutes": round(sum(s.get("cpu_seconds", 0.0) for s in sidecars) / 60, 2),
        "devices": sorted({s.get("device", "unknown") for s in sidecars}),
    }


def summarise(slug: str, scale: str, root: Path | None = None, records_from: str = "own") -> str:
    """Markdown page of a finished build; says where its records come from if not from this build."""
    paths, paper = paper_at(slug, scale, root), load_paper(slug, root)
    claims = read_claims(paths.results / "claims.json")
    spent = cost(paths)
    lines = [f"# {paper.title}", "", f"`{slug}` at scale `{scale}`", ""]
    lines += ["| artifact | paper's | file | sha256 |", "| --- | --- | --- | --- |"]
    for name, artifact in paper.artifacts(scale).items():
        file = figure_png(paths, name) if name in paper.figures else artifact_csv(paths, name)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        lines.append(f"| {name} | {artifact.paper_item} | {file.relative_to(paths.results)} | `{sha256}` |")
    lines += ["", f"Claims ({count_text(claims)}); ± is half of a 95% interval.", ""]
    lines += ["| claim | kind | verdict | statement | checks |", "| --- | --- | --- | --- | --- |"]
    for c in claims:
        numbers = evidence_text(c).replace("|", "\\|")
        lines.append(f"| {c['id']} | {c['kind']} | **{c['verdict']}** | {c['statement']} | {numbers} |")
    lines += [
        "",
        f"{spent['num_records']} records, {spent['cpu_minutes']:g} CPU minutes; {spent['compute_minutes']:g} minutes"
        " summed over their jobs",
    ]
    lines[-1] += f" ({', '.join(spent['devices'])})." if spent["devices"] else "."
    if records_from == "dvc":
        lines += ["", "The records were made elsewhere and came with `dvc pull`."]
    if records_from == "published":
        replaced = ", ".join(f"`{step}`" for step in stand_ins(slug, root))
        lines += ["", f"In place of {replaced}: results released by the paper's authors (records=published)."]
    return "\n".join(lines) + "\n"


def print_summary(slug: str, scale: str, root: Path | None = None) -> None:
    """The short form, for the terminal."""
    paths, paper, console = paper_at(slug, scale, root), load_paper(slug, root), Console()
    claims = read_claims(paths.results / "claims.json")
    table = Table("claim", "kind", "verdict", "checks", title=f"{slug} at scale {scale}")
    colours = {"holds": "green", "fails": "red", "within noise": "yellow"}
    for c in claims:
        colour = colours.get(c["verdict"], "dim")
        table.add_row(c["id"], c["kind"], f"[{colour}]{c['verdict']}[/]", escape(evidence_text(c)))
    console.print(table)
    spent = cost(paths)
    console.print(
        f"{len(paper.table_ids(scale))} tables, {len(paper.figure_ids(scale))} figures; "
        f"{spent['cpu_minutes']:g} CPU minutes in {spent['num_records']} records\n"
        f"tables   {paths.relative(paths.results / 'tables')}\n"
        f"figures  {paths.relative(paths.results / 'figures')}\n"
        f"summary  {paths.relative(paths.summary)}"
    )


def write_summary(slug: str, scale: str, records_from: str = "own", root: Path | None = None) -> Path:
    """Write summary.md of a finished build; returns its path."""
    paths = paper_at(slug, scale, root)
    write_text(paths.summary, summarise(slug, scale, root, check_records(records_from)))
    return paths.summary


@in_one_sentence
def main(
    slug: Annotated[str, typer.Argument(help="Paper, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Print the short form of a finished build's summary."""
    print_summary(slug, scale)


if __name__ == "__main__":
    typer.run(main)
