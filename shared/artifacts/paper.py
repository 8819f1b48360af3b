"""paper.yaml: the citation of a paper and the list of its artifacts, with the tolerance of every column.

    scales: [smoke, cpu, gpu, paper]          where an artifact is built that names no scales of its own
    tolerances:                               by name; `exact` needs no entry
      trained: {rtol: 0.05}
      seeds: {within: 3, of: standard_error}
    tables:
      tab_methods:
        caption: ...
        paper_item: Table 1
        keys: [method]
        trained: [val_loss, ppl]              tolerance -> columns
        exact: [num_seeds]

`from: tab_x` shows columns of another table, `from: step` or `from: step/part` those of a record, and
`from: metrics.gaps.by_model` what that function of the paper's method returns: none of them needs a table function.
The columns of a table are its keys and those of its tolerances, in the order in which they are written, or in that of
`order` where one is given.
"""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from pkgutil import walk_packages  # its modules are a paper's, which the digests of its rules name
from types import ModuleType
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from shared.artifacts.author import author_code, import_module
from shared.artifacts.config import scales_of
from shared.artifacts.paths import SCALES, PaperPaths
from shared.base.errors import nearest, nearest_or_all
from shared.base.settings import StrictModel, load_yaml, validate


class Tolerance(StrictModel):
    """How far a rebuilt value may lie from the reference.

    In YAML, under a name:

        exact                               as it stands
        {rtol: 0.05, atol: 0.01}            |new - old| <= atol + rtol |old|
        {within: 3, of: standard_error}     |new - old| <= 3 times the row's value of that column, in the reference or
                                            in the rebuilt table, whichever is larger (plus atol and rtol, if given)
        {share: 0.9, rtol: 0.05}            as above in at least this share of the rows
        {compare: none, reason: ...}        may differ freely, and says why
    """

    compare: Literal["close", "exact", "none"] = "close"
    rtol: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    atol: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    within: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # multiples of the column `of`
    of: str | None = None  # column that holds the spread of each value: a standard error
    share: float = Field(default=1.0, gt=0, le=1)  # of the rows that have to agree
    reason: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _exact_in_a_word(cls, value: object) -> object:
        return {"compare": "exact"} if value == "exact" else value

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if self.compare == "none" and not self.reason:
            raise ValueError("a column that is not compared needs a 'reason'")
        if (self.within is None) != (self.of is None):
            raise ValueError("'within' is counted in a column that holds the spread: give 'within' and 'of' together")
        if self.compare == "close" and self.rtol == 0 and self.atol == 0 and self.within is None:
            raise ValueError("give rtol, atol or within, or write 'exact'")
        return self

    def describe(self) -> str:
        if self.compare == "none":
            return f"not compared: {self.reason}"
        parts = ["exact"] if self.compare == "exact" else []
        parts += [f"{name} {value:g}" for name, value in (("atol", self.atol), ("rtol", self.rtol)) if value]
        parts += [f"{self.within:g} {self.of}"] if self.within is not None else []
        return " + ".join(parts) + (f", in {self.share:.0%} of the rows" if self.share < 1 else "")


EXACT = Tolerance(compare="exact")
# of a table or figure; others are tolerances
_KEYS = ("caption", "paper_item", "keys", "grows", "order", "scales", "from")


class Artifact(StrictModel):
    """One table or figure of a paper.

    A figure's columns are those of the CSV that lies beside it: what is drawn, and nothing else.
    """

    caption: str = Field(min_length=20)
    paper_item: str = Field(min_length=1)  # the paper's own number of it, or "-" for an artifact of ours
    keys: list[str] = []  # columns that identify a row; compared as they stand
    grows: str | None = None  # the key whose grid grows at an end where the best lies, so that rows come and go
    columns: dict[str, Tolerance]  # every other column
    order: list[str] = []  # all columns, where they do not stand in the order of keys and tolerances
    scales: list[str]  # where it is built
    source: str | None = None  # the table, record, part of one, or function that it shows columns of; `from` in YAML

    @model_validator(mode="after")
    def _fits(self) -> Self:
        both = sorted(set(self.keys) & set(self.columns))
        if both:
            raise ValueError(f"column '{both[0]}' is a key, and keys are compared exactly; name it once")
        if self.grows is not None and self.grows not in self.keys:
            raise ValueError(f"'grows' names '{self.grows}', which is no key; {nearest_or_all(self.grows, self.keys)}")
        if self.order and sorted(self.order) != sorted([*self.keys, *self.columns]):
            different = sorted(set(self.order) ^ {*self.keys, *self.columns})
            raise ValueError(f"'order' has to name every column once; look at {', '.join(different) or self.order}")
        for column, tolerance in self.columns.items():
            if tolerance.of is not None and tolerance.of not in {*self.keys, *self.columns}:
                known = nearest_or_all(tolerance.of, self.columns)
                raise ValueError(f"column '{column}' is compared within '{tolerance.of}', which it has not; {known}")
        return self

    def all_columns(self) -> list[str]:
        """Keys and columns, as they stand in the CSV."""
        return self.order or [*self.keys, *self.columns]


class Paper(StrictModel):
    """The content of paper.yaml."""

    title: str
    authors: list[str]
    year: int
    venue: str
    arxiv: str
    url: str
    code: str | None = None  # the authors' own code
    topics: list[str] = []  # words by which the gallery is filtered
    lead: str | None = None  # the figure that stands for the paper in the gallery; the first if omitted
    scales: list[str] = list(SCALES)
    headline: list[str] = []  # "table.column": numbers in which a change of 5% is drift, whatever its tolerance
    tables: dict[str, Artifact] = {}
    figures: dict[str, Artifact] = {}

    @model_validator(mode="after")
    def _sources_have_the_columns(self) -> Self:
        for name, figure in self.figures.items():
            if all(tolerance.compare == "none" for tolerance in figure.columns.values()):
                raise ValueError(f"no value of figure '{name}' is compared; give what it draws a tolerance")
        for name, artifact in {**self.tables, **self.figures}.items():
            table = self.tables.get(artifact.source or "")
            lacking = set(artifact.all_columns()) - set(table.all_columns()) if table else ()
            if lacking:
                raise ValueError(f"'{name}' shows '{min(lacking)}', which {artifact.source} has not")
        return self

    @model_validator(mode="after")
    def _lead_is_a_figure(self) -> Self:
        if self.lead is not None and self.lead not in self.figures:
            raise ValueError(f"lead '{self.lead}' is no figure of this file{nearest(self.lead, self.figures)}")
        return self

    @model_validator(mode="after")
    def _headline_is_known(self) -> Self:
        for entry in self.headline:
            table, _, column = entry.partition(".")
            artifact = self.tables.get(table) or self.figures.get(table)
            if artifact is None or column not in artifact.columns:
                raise ValueError(f"headline '{entry}' is no 'table.column' of this file")
        return self

    def artifacts(self, scale: str) -> dict[str, Artifact]:
        """Tables, then figures, that are built at `scale`."""
        return {k: a for k, a in {**self.tables, **self.figures}.items() if scale in a.scales}

    def method_modules(self) -> list[str]:
        """Modules below the paper's folder whose functions make artifacts (`from: module.function`); sorted."""
        sources = [a.source for a in {**self.tables, **self.figures}.values() if a.source]
        return sorted({source.rpartition(".")[0] for source in sources if "." in source})

    def table_ids(self, scale: str) -> list[str]:
        return [k for k, a in self.tables.items() if scale in a.scales]

    def figure_ids(self, scale: str) -> list[str]:
        return [k for k, a in self.figures.items() if scale in a.scales]


def load_paper(slug: str, root: Path | None = None) -> Paper:
    """The paper's paper.yaml, read once for each version of the file.

    Raises:
        ValueError: unknown paper, or paper.yaml has an unknown, missing or wrong key.
    """
    paths = PaperPaths(slug, "cpu", root)
    path = paths.folder / "paper.yaml"
    if not path.is_file():
        raise ValueError(f"no such file: {paths.relative(path)}")
    paper = _parse(path, path.stat().st_mtime_ns, paths.relative(path))
    known = {*SCALES, *scales_of(slug, root)}
    artifacts = {f"tables.{k}": a for k, a in paper.tables.items()}
    artifacts |= {f"figures.{k}": a for k, a in paper.figures.items()}
    for name, scales in [("", paper.scales), *((f"{name}: ", a.scales) for name, a in artifacts.items())]:
        for scale in scales:
            if scale not in known:
                raise ValueError(
                    f"{paths.relative(path)}: {name}unknown scale '{scale}'; {nearest_or_all(scale, known)}"
                )
    return paper


@functools.lru_cache(maxsize=32)
def _parse(path: Path, modified: int, source: str) -> Paper:
    content = load_yaml(path)
    tolerances = {"exact": EXACT}
    for name, value in _mapping(content.pop("tolerances", None), f"{source}: 'tolerances'").items():
        if name in _KEYS:
            raise ValueError(
                f"{source}: tolerance '{name}' has the name of a key of tables and figures; choose another"
            )
        tolerances[name] = validate(Tolerance, value, f"{source}: tolerance '{name}'")
    scales = content.get("scales", list(SCALES))
    for kind in ("tables", "figures"):
        artifacts = _mapping(content.get(kind), f"{source}: '{kind}'")
        content[kind] = {
            name: _with_columns(values, tolerances, scales, f"{source}: {kind}.{name}")
            for name, values in artifacts.items()
        }
    return validate(Paper, content, source)


def _mapping(section: Any, where: str) -> dict[str, Any]:
    """A section whose keys are names; empty if it is absent or null."""
    if not isinstance(section, dict | None):
        raise ValueError(f"{where} has to be a mapping of names (given: {section!r})")
    for name in section or ():
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z]\w*", name)):
            raise ValueError(f"{where}: {name!r} is no name; use letters, digits and underscores, a letter first")
    return section or {}


def _with_columns(values: Any, tolerances: dict[str, Tolerance], scales: list[str], where: str) -> dict:
    """An artifact's entry with `columns` in place of lists of columns under the names of tolerances."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected a mapping with caption, paper_item, keys and columns by tolerance")
    entry: dict[str, Any] = {"keys": [], "scales": scales, "columns": {}}
    for key, value in values.items():
        if key in _KEYS:
            entry["source" if key == "from" else key] = value
            continue
        if key not in tolerances:
            raise ValueError(f"{where}: unknown key '{key}'{nearest(key, {*_KEYS, *tolerances})}")
        for column in value if isinstance(value, list) else [value]:
            if not isinstance(column, str):
                raise ValueError(f"{where}: {column!r} under '{key}' is no name of a column; quote it")
            if column in entry["columns"]:
                raise ValueError(f"{where}: column '{column}' has two tolerances; name it once")
            entry["columns"][column] = tolerances[key]
    return entry


def artifact_csv(paths: PaperPaths, artifact: str, reference: bool = False) -> Path:
    """CSV of an artifact: `tables/<id>.csv` or, beside its image, `figures/<id>.csv`."""
    return _folder(paths, artifact, reference) / f"{artifact}.csv"


def figure_png(paths: PaperPaths, figure: str, reference: bool = False) -> Path:
    """PNG of a figure."""
    return _folder(paths, figure, reference) / f"{figure}.png"


def _folder(paths: PaperPaths, artifact: str, reference: bool) -> Path:
    kind = "figures" if artifact in load_paper(paths.slug, paths.root).figures else "tables"
    return (paths.reference if reference else paths.results) / kind


def paper_functions(slug: str, module: str) -> dict[str, Callable]:
    """Public functions that `papers.<slug>.<module>` defines, by name; of all its modules, if it is a package.

    Raises:
        ValueError: two modules of the package define a function of one name.
    """
    found: dict[str, Callable] = {}
    for part in _modules(slug, module):
        for name, value in vars(part).items():
            if name.startswith("_") or not callable(value) or getattr(value, "__module__", None) != part.__name__:
                continue
            if name in found:
                one, other = found[name].__module__, part.__name__
                raise ValueError(
                    f"papers/{slug}/{module}: '{name}' is defined in {one} and in {other}; keep one of them"
                )
            found[name] = value
    return found


def _modules(slug: str, module: str) -> list[ModuleType]:
    top = import_module(slug, module)
    with author_code(f"papers/{slug}/{module}", "it has to import without an error"):
        names = [info.name for info in walk_packages(getattr(top, "__path__", []), f"{top.__name__}.")]
    return [top, *(import_module(slug, name.removeprefix(f"papers.{slug}.")) for name in names)]


def method_function(slug: str, name: str) -> Callable:
    """`papers.<slug>.<name>`, a function of the paper's method such as "metrics.gaps.by_model".

    Raises:
        ValueError: no such module, or it has no such function.
    """
    module, _, function = name.rpartition(".")
    try:
        found = vars(import_module(slug, module))
    except ValueError as error:
        raise ValueError(f"papers/{slug}/paper.yaml: 'from: {name}': {error}") from error.__cause__
    if not callable(found.get(function)):
        known = [key for key, value in found.items() if callable(value) and not key.startswith("_")]
        raise ValueError(f"papers/{slug}/paper.yaml: 'from: {name}' names no function{nearest(function, known)}")
    return found[function]


def paper_function(slug: str, module: str, name: str) -> Callable:
    """`papers.<slug>.<module>.<name>`, e.g. the function that draws a figure.

    Raises:
        ValueError: the module has no such function.
    """
    functions = paper_functions(slug, module)
    if name not in functions:
        raise ValueError(
            f"papers/{slug}/{module}.py has no function '{name}', which paper.yaml names{nearest(name, functions)}"
        )
    return functions[name]
