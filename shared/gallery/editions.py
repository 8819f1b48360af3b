"""What the gallery shows of a paper: one edition per scale, built here or else the committed reference."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shared.artifacts.checks import VERDICTS
from shared.artifacts.config import record_shards, scales_of
from shared.artifacts.paper import Artifact, Paper, artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths, paper_slugs
from shared.artifacts.provenance import sidecar
from shared.artifacts.summary import cost
from shared.base.files import read_json, read_mapping

MAIN_SCALES = ("cpu", "paper", "gpu", "smoke")  # the first of them that there is leads


@dataclass(frozen=True)
class Edition:
    """One paper at one scale.

    Args:
        paths: of the paper at the scale.
        paper: content of paper.yaml.
        built: whether it shows results/ of this checkout; else reference/.
    """

    paths: PaperPaths
    paper: Paper
    built: bool

    @property
    def slug(self) -> str:
        return self.paths.slug

    @property
    def scale(self) -> str:
        return self.paths.scale

    @property
    def page(self) -> str:
        """Address of its page, from the front page."""
        return f"{self.slug}/{self.scale}.html"

    @cached_property
    def claims(self) -> list[dict]:
        """Entries of claims.json."""
        return read_json((self.paths.results if self.built else self.paths.reference) / "claims.json")

    @property
    def counts(self) -> dict[str, int]:
        """Claims per verdict, in the order of VERDICTS, without those that none has."""
        counted = Counter(entry["verdict"] for entry in self.claims)
        return {verdict: counted[verdict] for verdict in VERDICTS if counted[verdict]}

    def csv(self, artifact: str) -> Path:
        return artifact_csv(self.paths, artifact, reference=not self.built)

    def png(self, figure: str) -> Path:
        return figure_png(self.paths, figure, reference=not self.built)

    def svg(self, figure: str) -> Path | None:
        """The figure as SVG, which builds have and references have not."""
        file = self.png(figure).with_suffix(".svg")
        return file if file.is_file() else None

    def reference_png(self, figure: str) -> Path | None:
        """The reference's drawing of a figure that was built here, to compare with."""
        file = figure_png(self.paths, figure, reference=True)
        return file if self.built and file.is_file() else None

    @property
    def tables(self) -> dict[str, Artifact]:
        return {name: a for name, a in self.paper.tables.items() if self.csv(name).is_file()}

    @property
    def figures(self) -> dict[str, Artifact]:
        """Figures with a picture, the leading one first."""
        found = {name: a for name, a in self.paper.figures.items() if self.png(name).is_file()}
        lead = self.paper.lead
        return ({lead: found[lead]} if lead in found else {}) | found

    @property
    def processors(self) -> dict[str, dict]:
        """How the reference fared when it was rebuilt as other processors would: checks and drifts by setting."""
        file = self.paths.reference / "processors.json"
        return read_json(file) if file.is_file() else {}

    @cached_property
    def provenance(self) -> dict:
        """Revision, versions, minutes and devices of the build that is shown."""
        if not self.built:
            file = self.paths.reference / "provenance.json"
            return read_json(file) if file.is_file() else {}
        shards = record_shards(self.slug, self.scale, root=self.paths.root)
        records = [self.paths.runs / step / f"{shard}.parquet" for step, names in shards.items() for shard in names]
        sidecars = [read_mapping(file) for file in map(sidecar, records) if file.is_file()]
        latest = max(sidecars, key=lambda one: one.get("started", ""), default={})
        kept = ("revision", "dirty", "packages", "python", "machine", "num_threads", "started")
        return {key: latest[key] for key in kept if latest.get(key) is not None} | cost(self.paths)


def editions(slug: str, root: Path | None = None) -> list[Edition]:
    """The editions of a paper, in the order of its scales; none if it was neither built nor has a reference."""
    paper, found = load_paper(slug, root), []
    for scale in scales_of(slug, root):
        paths = PaperPaths(slug, scale, root)
        built = paths.summary.is_file() and (paths.results / "claims.json").is_file()
        if built or (paths.reference / "claims.json").is_file():
            found.append(Edition(paths, paper, built))
    return found


def by_lead(found: list[Edition]) -> list[Edition]:
    """The editions of a paper, that of scale cpu first where there is one."""
    order = {scale: place for place, scale in enumerate(MAIN_SCALES)}
    return sorted(found, key=lambda edition: order.get(edition.scale, len(order)))


def main_edition(found: list[Edition]) -> Edition:
    """The edition that leads."""
    return by_lead(found)[0]


def all_editions(root: Path | None = None) -> dict[str, list[Edition]]:
    """Every paper of this checkout that has something to show."""
    found = {slug: editions(slug, root) for slug in paper_slugs(root)}
    return {slug: those for slug, those in found.items() if those}
