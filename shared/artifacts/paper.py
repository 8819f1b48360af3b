"""paper.yaml: the citation of a paper and the list of its artifacts, with the tolerance of every column."""

import importlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from shared.artifacts.paths import SCALES, PaperPaths
from shared.base.settings import StrictModel, load_yaml, validate


class Tolerance(StrictModel):
    """How far a rebuilt value may lie from the reference: |new - old| <= atol + rtol * |old|.

    In YAML: `exact`; `{rtol: 0.05, atol: 0.01}`; or `{compare: none, reason: ...}` for a column that may
    differ freely, which has to say why.
    """

    compare: Literal["close", "exact", "none"] = "close"
    rtol: float = Field(default=0.0, ge=0)
    atol: float = Field(default=0.0, ge=0)
    reason: str | None = None

    @model_validator(mode="after")
    def _says_why(self):
        if self.compare == "none" and not self.reason:
            raise ValueError("a column that is not compared needs a 'reason'")
        if self.compare == "close" and self.rtol == 0 and self.atol == 0:
            raise ValueError("give rtol or atol, or write 'exact'")
        return self

    def describe(self) -> str:
        if self.compare == "close":
            return f"atol {self.atol:g} + rtol {self.rtol:g}"
        return "exact" if self.compare == "exact" else f"not compared: {self.reason}"


def _tolerance(value: object) -> object:
    return {"compare": "exact"} if value == "exact" else value


class Artifact(StrictModel):
    """One table or figure of a paper.

    A figure's columns are those of the CSV that lies beside it: what is drawn, and nothing else.
    """

    caption: str
    paper_item: str  # the paper's own number of it, or "-" for an artifact of ours
    keys: list[str]  # columns that identify a row
    columns: dict[str, Annotated[Tolerance, BeforeValidator(_tolerance)]]  # every other column
    scales: list[str] = list(SCALES)  # where it is built

    @model_validator(mode="after")
    def _columns_are_named_once(self):
        both = sorted(set(self.keys) & set(self.columns))
        if both:
            raise ValueError(f"column '{both[0]}' is a key, and keys are compared exactly; name it once")
        return self


class Paper(StrictModel):
    """The content of paper.yaml."""

    title: str
    authors: list[str]
    year: int
    venue: str
    arxiv: str
    url: str
    code: str | None = None  # the authors' own code
    tables: dict[str, Artifact] = {}
    figures: dict[str, Artifact] = {}

    def artifacts(self, scale: str) -> dict[str, Artifact]:
        """Tables, then figures, that are built at `scale`."""
        return {k: a for k, a in {**self.tables, **self.figures}.items() if scale in a.scales}

    def table_ids(self, scale: str) -> list[str]:
        return [k for k, a in self.tables.items() if scale in a.scales]

    def figure_ids(self, scale: str) -> list[str]:
        return [k for k, a in self.figures.items() if scale in a.scales]


def load_paper(slug: str, root: Path | None = None) -> Paper:
    """The paper's paper.yaml.

    Raises:
        ValueError: unknown paper, or paper.yaml has an unknown, missing or wrong key.
    """
    paths = PaperPaths(slug, "cpu", root)
    path = paths.folder / "paper.yaml"
    return validate(Paper, load_yaml(path), paths.relative(path))


def artifact_csv(paths: PaperPaths, artifact: str, reference: bool = False) -> Path:
    """CSV of an artifact: `tables/<id>.csv` or, beside its image, `figures/<id>.csv`."""
    return _folder(paths, artifact, reference) / f"{artifact}.csv"


def figure_png(paths: PaperPaths, figure: str, reference: bool = False) -> Path:
    """PNG of a figure."""
    return _folder(paths, figure, reference) / f"{figure}.png"


def _folder(paths: PaperPaths, artifact: str, reference: bool) -> Path:
    paper = load_paper(paths.slug, paths.root)
    kind = "figures" if artifact in paper.figures else "tables"
    return (paths.reference if reference else paths.results) / kind


def paper_function(slug: str, module: str, name: str):
    """`papers.<slug>.<module>.<name>`, e.g. the function that draws a figure.

    Raises:
        ValueError: the module has no such function.
    """
    function = getattr(importlib.import_module(f"papers.{slug}.{module}"), name, None)
    if not callable(function):
        raise ValueError(f"papers/{slug}/{module}.py has no function '{name}', which paper.yaml names")
    return function
