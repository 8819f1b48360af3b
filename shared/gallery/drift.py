"""What the page of a diff shows: findings of `shared.artifacts.compare`, with pictures and the cells that moved."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from shared.artifacts.compare import Finding
from shared.artifacts.paper import Artifact, Tolerance, artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths
from shared.base.files import read_json
from shared.gallery.bars import finite

MOST_CELLS = 12


@dataclass(frozen=True)
class Cell:
    """A value that moved by more than its tolerance.

    Args:
        row: its keys in words.
        excess: how many times the tolerance it moved; inf where no distance is allowed or defined.
        change: relative change, or None where that has no meaning.
    """

    row: str
    column: str
    before: str
    after: str
    excess: float
    change: float | None
    tolerance: str


@dataclass(frozen=True)
class Drift:
    """One finding with what there is to see: pictures before and after, cells."""

    slug: str
    scale: str
    artifact: str
    check: str
    sentence: str
    before: Path | None = None
    after: Path | None = None
    cells: list[Cell] = field(default_factory=list)


def findings_file(paths: PaperPaths) -> Path:
    """Where `shared.artifacts.compare` leaves its findings."""
    return paths.results / "diff" / "findings.json"


def read_findings(paths: PaperPaths) -> list[Finding]:
    """Findings of the last comparison.

    Raises:
        ValueError: the paper was not compared at this scale.
    """
    file = findings_file(paths)
    if not file.is_file():
        command = f"snakemake papers/{paths.slug}/diff --config scale={paths.scale}"
        raise ValueError(f"{paths.slug} was not compared at scale {paths.scale}; run {command}")
    return [Finding(**entry) for entry in read_json(file)]


def drifts(paths: PaperPaths, findings: list[Finding]) -> list[Drift]:
    """The findings that fail, each with its pictures and cells."""
    paper = load_paper(paths.slug, paths.root)
    found = []
    for one in (f for f in findings if f.drift):
        there = PaperPaths(paths.slug, one.scale, paths.root)
        before, after = _pictures(there, paths, one, one.artifact in paper.figures)
        artifact = paper.artifacts(one.scale).get(one.artifact)
        cells = _cells_of(there, one, artifact) if one.check == "data" and artifact else []
        found.append(Drift(paths.slug, one.scale, one.artifact, one.check, one.drift, before, after, cells))
    return found


def _pictures(there: PaperPaths, paths: PaperPaths, one: Finding, is_figure: bool) -> tuple[Path | None, Path | None]:
    if not is_figure:
        return None, None
    drawn = paths.results / "diff" / f"{one.artifact}.{one.scale}.drawn.png"
    after = drawn if one.check == "drawing" else figure_png(there, one.artifact)
    pair = (figure_png(there, one.artifact, reference=True), after)
    return tuple(file if file.is_file() else None for file in pair)


def _cells_of(there: PaperPaths, one: Finding, artifact: Artifact) -> list[Cell]:
    files = [artifact_csv(there, one.artifact, reference) for reference in (True, False)]
    return moved_cells(*files, artifact) if all(file.is_file() for file in files) else []


def moved_cells(reference: Path, rebuilt: Path, artifact: Artifact) -> list[Cell]:
    """Values of common rows that moved by more than their tolerance, those that moved furthest first."""
    old, new = (_rows(file, artifact.keys) for file in (reference, rebuilt))
    cells = []
    for key in (key for key in old if key in new):
        for column, tolerance in artifact.columns.items():
            before, after = old[key].get(column), new[key].get(column)
            if before is None or after is None or before == after or tolerance.compare == "none":
                continue
            excess = _excess(tolerance, column, old[key], new[key])
            if excess > 1:
                row = ", ".join(f"{name}={value}" for name, value in zip(artifact.keys, key, strict=False))
                change = _relative(before, after)
                told = tolerance.describe()
                cells.append(Cell(row or f"row {key[0] + 1}", column, before, after, excess, change, told))
    return sorted(cells, key=lambda cell: (-cell.excess, -abs(cell.change or 0)))


def _rows(file: Path, keys: list[str]) -> dict[tuple, dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {tuple(row.get(key, "") for key in keys) or (place,): row for place, row in enumerate(rows)}


def _excess(tolerance: Tolerance, column: str, old: dict[str, str], new: dict[str, str]) -> float:
    before, after = finite(old[column]), finite(new[column])
    if tolerance.compare == "exact" or before is None or after is None:
        return float("inf")
    allowed = tolerance.atol + tolerance.rtol * abs(before)
    if tolerance.within is not None:
        spread = max(finite(row.get(tolerance.of)) or 0.0 for row in (old, new))
        allowed += tolerance.within * spread
    moved = abs(after - before)
    return moved / allowed if allowed else float("inf") if moved else 0.0


def _relative(before: str, after: str) -> float | None:
    old, new = finite(before), finite(after)
    return None if old is None or new is None or old == 0 else (new - old) / abs(old)
