"""Where a paper's files lie. One layout for results and reference (docs/architecture.md)."""

import os
from dataclasses import dataclass
from pathlib import Path

from shared.base.errors import nearest
from shared.base.paths import repo_root

SCALES = ("smoke", "cpu", "gpu", "paper")
RECORD_SOURCES = ("own", "dvc", "published")


def paper_slugs(root: Path | None = None) -> list[str]:
    """Slugs of the papers in this checkout: folders of `papers/` that have a Snakefile, sorted."""
    papers = (root or repo_root()) / "papers"
    return sorted(p.parent.name for p in papers.glob("*/Snakefile"))


def check_scale(scale: str, extra: tuple[str, ...] = ()) -> str:
    """`scale`, if it is one of SCALES (or of a paper's `extra` scales); otherwise ValueError naming the choices."""
    allowed = list(dict.fromkeys((*SCALES, *extra)))
    if scale not in allowed:
        raise ValueError(f"unknown scale '{scale}'; choose one of {', '.join(allowed)}{nearest(scale, allowed)}")
    return scale


def check_records(records: str) -> str:
    """`records`, if it is one of RECORD_SOURCES; otherwise ValueError naming the choices."""
    if records not in RECORD_SOURCES:
        raise ValueError(
            f"unknown records '{records}'; choose one of {', '.join(RECORD_SOURCES)}{nearest(records, RECORD_SOURCES)}"
        )
    return records


@dataclass(frozen=True)
class PaperPaths:
    """Paths of one paper at one scale.

    Args:
        slug: importable name of the paper's folder.
        scale: one of SCALES.
        root: the checkout; the one this package was imported from if omitted.
    Raises:
        ValueError: no such paper.
    """

    slug: str
    scale: str
    root: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root) if self.root else repo_root())
        if not self.folder.is_dir():
            known = paper_slugs(self.root)
            raise ValueError(f"unknown paper '{self.slug}'; known: {', '.join(known)}{nearest(self.slug, known)}")

    @property
    def folder(self) -> Path:
        return self.root / "papers" / self.slug

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.scale

    @property
    def reference(self) -> Path:
        return self.folder / "reference" / self.scale

    @property
    def runs(self) -> Path:
        return self.results / "runs"

    @property
    def recorded_runs(self) -> Path:
        """Runs recorded elsewhere (an accelerator, say) that `dvc pull` brings."""
        return self.root / "data" / "recorded" / self.slug / self.scale / "runs"

    @property
    def summary(self) -> Path:
        return self.results / "summary.md"

    def relative(self, path: Path) -> str:
        """`path` relative to the checkout, for messages."""
        return os.path.relpath(path, self.root)
