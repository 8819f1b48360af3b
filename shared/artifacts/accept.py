"""Make today's results the reference, after a person has looked at them.

    python -m shared.artifacts.accept gidd --scale smoke

prints what changes, then replaces reference/<scale>/: the CSV of every artifact, the PNG of every figure,
claims.json, and the provenance of this build.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.compare import compare_paper, print_findings
from shared.artifacts.config import scales_of
from shared.artifacts.paper import artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths, check_scale
from shared.artifacts.provenance import git_state, package_versions
from shared.artifacts.summary import cost
from shared.base.errors import in_one_sentence
from shared.base.files import write_json


def accept(slug: str, scale: str, root: Path | None = None) -> list[Path]:
    """Replace the reference of a paper at a scale by its results; returns the files written.

    Raises:
        ValueError: an artifact or claims.json is missing in the results.
    """
    check_scale(scale, tuple(scales_of(slug, root)))
    paths, paper = PaperPaths(slug, scale, root), load_paper(slug, root)
    names = list(paper.artifacts(scale))
    pairs = [(artifact_csv(paths, n), artifact_csv(paths, n, reference=True)) for n in names]
    pairs += [(figure_png(paths, n), figure_png(paths, n, reference=True)) for n in paper.figure_ids(scale)]
    pairs += [(paths.results / "claims.json", paths.reference / "claims.json")]
    for source, _ in pairs:
        if not source.is_file():
            command = f"snakemake papers/{slug}/all --config scale={scale}"
            raise ValueError(f"{paths.relative(source)} is missing; build it first: {command}")
    state = git_state(root)  # before the reference's own files change
    shutil.rmtree(paths.reference, ignore_errors=True)
    for source, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    provenance = {**state, "packages": package_versions(), **cost(paths)}
    write_json(paths.reference / "provenance.json", provenance)
    return [target for _, target in pairs]


def reference_minutes(paths: PaperPaths) -> float | None:
    """Minutes of compute that the accepted build took, or None without a reference."""
    file = paths.reference / "provenance.json"
    return json.loads(file.read_text()).get("compute_minutes") if file.is_file() else None


@in_one_sentence
def main(
    slug: Annotated[str, typer.Argument(help="Paper, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Replace the reference of a paper by its results."""
    if PaperPaths(slug, scale).reference.is_dir():
        print_findings(slug, scale, compare_paper(slug, scale))
    files = accept(slug, scale)
    typer.echo(f"reference of {slug} at scale {scale} replaced: {len(files)} files; look at git diff, then commit")


if __name__ == "__main__":
    typer.run(main)
