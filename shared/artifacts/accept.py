"""Make today's results the reference, after a person has looked at them.

    python -m shared.artifacts.accept gidd --scale smoke

prints what changes, then replaces reference/<scale>/: the CSV of every artifact, the PNG of every figure,
claims.json, and the provenance of this build. From a tree with uncommitted changes it refuses (--allow-dirty).

    python -m shared.artifacts.accept gidd --scale paper --derived

leaves the tables as they are and makes anew what follows from them: columns in today's order, figures, verdicts. For
changes of figure code and claims, which need no training.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.claims import claims_of, judge, read_claims
from shared.artifacts.compare import compare_paper, print_findings
from shared.artifacts.config import paper_at
from shared.artifacts.csv_files import read_csv, to_csv
from shared.artifacts.paper import artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths
from shared.artifacts.pixels import check_image
from shared.artifacts.provenance import git_state, package_versions
from shared.artifacts.summary import cost
from shared.artifacts.tables import check_columns
from shared.base.errors import in_one_sentence
from shared.base.files import read_mapping, write_bytes, write_json, write_text


def accept(slug: str, scale: str, root: Path | None = None, allow_dirty: bool = False) -> list[Path]:
    """Replace the reference of a paper at a scale by its results; returns the files written.

    Raises:
        ValueError: an artifact or claims.json is missing or damaged in the results, or the tree is not committed.
    """
    paths, paper = paper_at(slug, scale, root), load_paper(slug, root)
    names = list(paper.artifacts(scale))
    pairs = [(artifact_csv(paths, n), artifact_csv(paths, n, reference=True)) for n in names]
    pairs += [(figure_png(paths, n), figure_png(paths, n, reference=True)) for n in paper.figure_ids(scale)]
    pairs += [(paths.results / "claims.json", paths.reference / "claims.json")]
    for source, _ in pairs:
        if not source.is_file():
            command = f"snakemake papers/{slug}/all --config scale={scale}"
            raise ValueError(f"{paths.relative(source)} is missing; build it first: {command}")
    _check_whole(paths)
    state, spent = git_state(paths.root), cost(paths)  # before the reference's own files change
    _refuse_dirty(slug, state["dirty"], spent.pop("dirty_records"), allow_dirty)
    shutil.rmtree(paths.reference, ignore_errors=True)
    for source, target in pairs:
        write_bytes(target, source.read_bytes())
    write_json(paths.reference / "provenance.json", {**state, "packages": package_versions(), **spent})
    return [target for _, target in pairs]


def _check_whole(paths: PaperPaths) -> None:
    """ValueError for a table, picture or claims.json among the results that is damaged; names it."""
    paper = load_paper(paths.slug, paths.root)
    for name, artifact in paper.artifacts(paths.scale).items():
        file = artifact_csv(paths, name)
        check_columns(read_csv(file), artifact, paths.relative(file))
    for name in paper.figure_ids(paths.scale):
        check_image(figure_png(paths, name))
    read_claims(paths.results / "claims.json")


def _refuse_dirty(slug: str, tree: bool | None, records: int, allow_dirty: bool) -> None:
    """ValueError if the tree or the tree of a record had uncommitted changes, unless they are allowed."""
    if allow_dirty or not (tree or records):
        return
    what = "this checkout has" if tree else f"{records} records of {slug} were made with"
    raise ValueError(
        f"{what} uncommitted changes, so nobody else could rebuild this reference; commit"
        f"{'' if tree else ', delete those records and build again'} (or give --allow-dirty)"
    )


def derive(slug: str, scale: str, root: Path | None = None) -> list[Path]:
    """Make columns, figures and verdicts of a reference anew from its own tables; returns the files written.

    Raises:
        ValueError: no reference at this scale, or a table of it lacks a column that is declared today.
    """
    from shared.artifacts.figures import draw  # matplotlib is slow to import

    paths, paper = paper_at(slug, scale, root), load_paper(slug, root)
    written = []
    for name, artifact in paper.artifacts(scale).items():
        file = artifact_csv(paths, name, reference=True)
        frame = read_csv(file)
        missing = [column for column in artifact.all_columns() if column not in frame]
        if missing:
            raise ValueError(
                f"{paths.relative(file)} has no column '{missing[0]}', which paper.yaml declares; it follows from no "
                f"table: build {slug} at scale {scale} and accept that"
            )
        write_text(file, to_csv(frame[artifact.all_columns()]))
        written.append(file)
    for name in paper.figure_ids(scale):
        image = figure_png(paths, name, reference=True)
        table = read_csv(artifact_csv(paths, name, reference=True))
        write_bytes(image, draw(slug, name, table, kinds=("png",))["png"])
        written.append(image)
    expected = {*written, *(paths.reference / f"{name}.json" for name in ("claims", "provenance", "processors"))}
    for file in [p for p in paths.reference.rglob("*") if p.is_file() and p not in expected]:
        file.unlink()  # of an artifact that is no longer declared
    write_json(paths.reference / "claims.json", [judge(c, paths, reference=True) for c in claims_of(slug)])
    return [*written, paths.reference / "claims.json"]


def reference_cost(paths: PaperPaths) -> dict:
    """What the accepted build cost, as `cost` gives it; empty without a reference."""
    file = paths.reference / "provenance.json"
    known = read_mapping(file) if file.is_file() else {}
    return {name: known[name] for name in ("cpu_minutes", "compute_minutes") if name in known}


@in_one_sentence
def main(
    slug: Annotated[str, typer.Argument(help="Paper, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
    allow_dirty: Annotated[bool, typer.Option(help="Accept results of uncommitted code.")] = False,
    derived: Annotated[
        bool, typer.Option(help="Keep the reference's tables; redraw figures, judge claims anew.")
    ] = False,
) -> None:
    """Replace the reference of a paper by its results."""
    if derived:
        files = derive(slug, scale)
        typer.echo(f"{len(files)} files of {slug}'s reference at scale {scale} made anew from its tables")
        return
    if PaperPaths(slug, scale).reference.is_dir():
        print_findings(slug, scale, compare_paper(slug, scale))
    files = accept(slug, scale, allow_dirty=allow_dirty)
    typer.echo(f"reference of {slug} at scale {scale} replaced: {len(files)} files; look at git diff, then commit")


if __name__ == "__main__":
    typer.run(main)
