"""Compare what was rebuilt with the committed reference.

Two kinds of drift are told apart. Data drift: a rebuilt table differs from its reference by more than the
tolerance that paper.yaml declares for the column. Drawing drift: today's figure code, given the reference's
table, no longer draws the reference's pixels; that needs no training, so it is checked for every scale that
has a reference. A missing or an unexpected artifact and a changed verdict are drift too.

    python -m shared.artifacts.compare gidd --scale smoke

Exit status 1 on drift. results/<scale>/diff/ then holds report.md, findings.json and, for each drifted figure, one PNG
with reference, rebuilt and difference side by side (and what today's code draws, where that is what differs).
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.artifacts.checks import FAILS, HOLDS, NOISE
from shared.artifacts.claims import read_claims
from shared.artifacts.config import paper_at, scales_of
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import Artifact, Tolerance, artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths
from shared.artifacts.pixels import PIXEL_SHARE, differing_pixels, side_by_side
from shared.base.errors import in_one_sentence
from shared.base.files import write_bytes, write_json, write_text


@dataclass(frozen=True)
class Finding:
    """Result of one check of one artifact; `drift` is a sentence, or None if all is well; a `note` fails nothing."""

    scale: str
    artifact: str
    check: str  # data, drawing, presence, verdict
    drift: str | None = None
    note: str | None = None


def compare_tables(reference: pd.DataFrame, rebuilt: pd.DataFrame, artifact: Artifact) -> list[str]:
    """Sentences on how two tables differ beyond the declared tolerances; empty if they do not.

    Rows are matched by the artifact's key columns (by position if it declares none); a column in only one
    of them, or without a declared tolerance, is a difference.
    """
    sentences = []
    declared = {*artifact.keys, *artifact.columns}
    for name, frame in (("reference", reference), ("rebuilt", rebuilt)):
        missing, undeclared = sorted(declared - set(frame)), sorted(set(frame) - declared)
        sentences += [f"column '{c}' is missing in the {name} table" for c in missing]
        sentences += [f"column '{c}' of the {name} table is not declared in paper.yaml" for c in undeclared]
    if sentences:
        return sentences
    old, new = (_by_key(frame, artifact.keys) for frame in (reference, rebuilt))
    for frame, name in ((old, "reference"), (new, "rebuilt")):
        repeated = frame.index.duplicated()
        if repeated.any():
            return [f"two rows of the {name} table have the keys {_row(artifact, frame.index[repeated][0])}"]
    common = old.index.intersection(new.index, sort=False)
    for frame, what in ((old, "missing"), (new, "new")):
        alone = frame.loc[frame.index.difference(common, sort=False)]
        alone = alone[~_at_an_end(alone, old.loc[common], artifact)]
        sentences += [f"row {_row(artifact, key)} is {what}" for key in alone.index]
    for column, tolerance in artifact.columns.items():
        spread = _spread(tolerance, old.loc[common], new.loc[common])
        pair = (old.loc[common, column], new.loc[common, column])
        sentences += _compare_column(column, tolerance, *pair, artifact, spread)
    return sentences


def _at_an_end(alone: pd.DataFrame, common: pd.DataFrame, artifact: Artifact) -> np.ndarray:
    """Which rows of one table alone lie beyond those of both, along the key that grows and at the same other keys."""
    if artifact.grows is None or not len(alone):
        return np.zeros(len(alone), dtype=bool)
    others = [key for key in artifact.keys if key != artifact.grows]
    line, lines = ([str(tuple(row)) for row in frame[others].itertuples(index=False)] for frame in (common, alone))
    ends = common[artifact.grows].groupby(line).agg(["min", "max"]).reindex(lines)
    own = alone[artifact.grows].to_numpy()
    return (own < ends["min"].to_numpy()) | (own > ends["max"].to_numpy())


def _spread(tolerance: Tolerance, old: pd.DataFrame, new: pd.DataFrame) -> np.ndarray | None:
    """The larger of both tables' values in the column that holds the spread; infinite ones count for nothing."""
    if tolerance.of is None:
        return None
    pair = [pd.to_numeric(frame[tolerance.of], errors="coerce").to_numpy(float) for frame in (old, new)]
    pair = [np.where(np.isfinite(values), values, 0.0) for values in pair]
    return np.maximum(*pair)


def _by_key(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    if not keys:
        return frame.reset_index(drop=True)
    index = pd.MultiIndex.from_frame(frame[keys].map(lambda value: "" if pd.isna(value) else str(value)))
    return frame.set_index(index)


def _row(artifact: Artifact, key: object) -> str:
    """A row's keys in words; pandas gives those of a single key column without a tuple around them."""
    if not artifact.keys:
        return str(key)
    values = key if isinstance(key, tuple) else (key,)
    return "(" + ", ".join(f"{k}={v}" for k, v in zip(artifact.keys, values, strict=True)) + ")"


def _compare_column(
    column: str,
    tolerance: Tolerance,
    old: pd.Series,
    new: pd.Series,
    artifact: Artifact,
    spread: np.ndarray | None,
) -> list[str]:
    if tolerance.compare == "none" or old.empty:
        return []
    both_missing = old.isna() & new.isna()
    if tolerance.compare == "close":
        numeric = [pd.to_numeric(series, errors="coerce") for series in (old, new)]
        left, right = (series.to_numpy(float) for series in numeric)
        allowed = tolerance.atol + tolerance.rtol * np.abs(left)
        if tolerance.within is not None:
            allowed = allowed + tolerance.within * spread
        with np.errstate(invalid="ignore"):  # inf - inf
            within = np.abs(right - left) <= allowed
        within &= np.isfinite(left)  # rtol * inf would let anything through
        # a word among the numbers, such as 'diverged', is compared as it stands
        same = (left == right) | within | (old.notna() & (old.astype(str) == new.astype(str))).to_numpy()
    else:
        same = (old == new).to_numpy()
    different = ~(same | both_missing.to_numpy())
    if different.mean() <= 1 - tolerance.share:
        return []
    first = int(np.flatnonzero(different)[0])
    where = _row(artifact, old.index[first]) if artifact.keys else f"row {first + 1}"
    return [
        f"column '{column}': {int(different.sum())} of {len(different)} values differ ({tolerance.describe()}); "
        f"first at {where}: {_show(old.iloc[first])} -> {_show(new.iloc[first])}"
    ]


def _show(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_presence(paths: PaperPaths) -> list[Finding]:
    """Artifacts that are missing or unexpected, in results/ and in reference/."""
    paper = load_paper(paths.slug, paths.root)
    findings = []
    for name in paper.artifacts(paths.scale):
        wanted = [artifact_csv] + ([figure_png] if name in paper.figures else [])
        lacking = [
            f"{paths.relative(where(paths, name, reference))} is missing"
            for reference in (True, False)
            for where in wanted
            if not where(paths, name, reference).is_file()
        ]
        findings.append(Finding(paths.scale, name, "presence", "; ".join(lacking) or None))
    expected = set(paper.artifacts(paths.scale))
    for base in (paths.results, paths.reference):
        for file in sorted([*base.glob("tables/*.csv"), *base.glob("figures/*.csv"), *base.glob("figures/*.png")]):
            if file.stem not in expected:
                sentence = f"{paths.relative(file)} is not an artifact of paper.yaml at scale {paths.scale}"
                findings.append(Finding(paths.scale, file.stem, "presence", sentence))
    return findings


def _check_data(paths: PaperPaths, diff: Path) -> list[Finding]:
    paper = load_paper(paths.slug, paths.root)
    findings = []
    for name, artifact in paper.artifacts(paths.scale).items():
        files = [artifact_csv(paths, name, reference) for reference in (True, False)]
        if not all(f.is_file() for f in files):
            continue  # presence tells
        sentences = compare_tables(*map(read_csv, files), artifact)
        findings.append(Finding(paths.scale, name, "data", "; ".join(sentences) or None))
        images = [figure_png(paths, name, reference) for reference in (True, False)]
        if sentences and name in paper.figures and all(f.is_file() for f in images):
            side_by_side(*images, diff / f"{name}.data.png")
    return findings


def _check_drawing(paths: PaperPaths, diff: Path) -> list[Finding]:
    """Re-render every reference figure of this scale from the reference's own table."""
    from shared.artifacts.figures import draw, drawn_today  # matplotlib is slow to import and not needed for tables

    findings = []
    for name in load_paper(paths.slug, paths.root).figure_ids(paths.scale):
        table, image = artifact_csv(paths, name, reference=True), figure_png(paths, name, reference=True)
        if not (table.is_file() and image.is_file()):
            continue
        try:
            drawn = drawn_today(paths, name) or draw(paths.slug, name, read_csv(table), kinds=("png",))["png"]
        except Exception as error:  # whatever the figure code throws, it no longer draws this table
            sentence = f"today's code cannot draw the reference table: {type(error).__name__}: {error}"
            findings.append(Finding(paths.scale, name, "drawing", sentence))
            continue
        sentence = None
        share, where = (0.0, None) if image.read_bytes() == drawn else differing_pixels(image, drawn)
        if share > PIXEL_SHARE:
            what = "the image has another size" if where is None else f"{int(where.sum())} pixels differ ({share:.2%})"
            sentence = f"today's code draws the reference table differently: {what}"
            side_by_side(image, drawn, diff / f"{name}.{paths.scale}.drawing.png")
            write_bytes(diff / f"{name}.{paths.scale}.drawn.png", drawn)
        findings.append(Finding(paths.scale, name, "drawing", sentence))
    return findings


def _check_verdicts(paths: PaperPaths) -> list[Finding]:
    findings, verdicts = [], []
    for base in (paths.reference, paths.results):
        file = base / "claims.json"
        if not file.is_file():
            return [Finding(paths.scale, "claims.json", "presence", f"{paths.relative(file)} is missing")]
        verdicts.append({entry["id"]: entry["verdict"] for entry in read_claims(file)})
    old, new = verdicts
    for id in [*old, *(i for i in new if i not in old)]:
        before, after = old.get(id, "absent"), new.get(id, "absent")
        change = None if before == after else f"verdict changed: {before} -> {after}"
        if NOISE in (before, after) and {before, after} <= {HOLDS, FAILS, NOISE}:
            findings.append(Finding(paths.scale, id, "verdict", note=change))  # the noise moved, not the statement
        else:
            findings.append(Finding(paths.scale, id, "verdict", change))
    return findings


def compare_paper(slug: str, scale: str, root: Path | None = None) -> list[Finding]:
    """All findings: data, presence and verdicts at `scale`, drawing at every scale that has a reference."""
    scales = scales_of(slug, root)
    paths = paper_at(slug, scale, root)
    diff = paths.results / "diff"
    shutil.rmtree(diff, ignore_errors=True)
    if not paths.reference.is_dir():
        sentence = (
            f"no reference at {paths.relative(paths.reference)}; look at the results, then run "
            f"python -m shared.artifacts.accept {slug} --scale {scale}"
        )
        return [Finding(scale, slug, "presence", sentence)]
    findings = _check_presence(paths) + _check_data(paths, diff) + _check_verdicts(paths)
    for other in [s for s in scales if (paths.folder / "reference" / s).is_dir()]:
        findings += _check_drawing(PaperPaths(slug, other, root), diff)
    return findings


def report(slug: str, scale: str, findings: list[Finding]) -> str:
    """Markdown of the findings, drift first."""
    drifted = [f for f in findings if f.drift]
    lines = [f"# {slug} at scale {scale}: {len(drifted)} of {len(findings)} checks drifted", ""]
    lines += ["| artifact | scale | check | result |", "| --- | --- | --- | --- |"]
    for f in drifted + sorted((f for f in findings if not f.drift), key=lambda f: f.note is None):
        result = (f.drift or (f"ok ({f.note})" if f.note else "ok")).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {f.artifact} | {f.scale} | {f.check} | {result} |")
    if drifted:
        lines += ["", f"If the new results are right: `python -m shared.artifacts.accept {slug} --scale {scale}`"]
    return "\n".join(lines) + "\n"


def print_findings(slug: str, scale: str, findings: list[Finding]) -> None:
    """The findings as a terminal table: drifted checks in full, the others counted."""
    console = Console()
    drifted = [f for f in findings if f.drift]
    if drifted:
        table = Table("artifact", "scale", "check", "drift", title=f"{slug}: drift at scale {scale}")
        for f in drifted:
            table.add_row(f.artifact, f.scale, f.check, escape(f.drift))
        console.print(table)
    for f in findings:
        if f.note:
            console.print(f"note: {f.artifact}: {f.note}", highlight=False)
    console.print(f"{slug} at scale {scale}: {len(findings) - len(drifted)} checks ok, {len(drifted)} drifted")


def compare_and_report(slugs: list[str], scale: str) -> bool:
    """Compare papers, write report.md and findings.json of each, and print the findings; whether anything drifted."""
    drifted = False
    for slug in slugs:
        findings = compare_paper(slug, scale)
        path = PaperPaths(slug, scale).results / "diff" / "report.md"
        write_text(path, report(slug, scale, findings))
        write_json(path.with_name("findings.json"), [asdict(finding) for finding in findings])
        print_findings(slug, scale, findings)
        if any(f.drift for f in findings):
            typer.echo(f"see {PaperPaths(slug, scale).relative(path)}; if the new results are right:")
            typer.echo(f"python -m shared.artifacts.accept {slug} --scale {scale}")
            drifted = True
    return drifted


@in_one_sentence
def main(
    slugs: Annotated[list[str], typer.Argument(help="Papers, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Compare papers' results with their references; exit status 1 on drift."""
    if compare_and_report(slugs, scale):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
