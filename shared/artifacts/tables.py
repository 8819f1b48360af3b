"""Tables: records -> tidy frames -> CSV, Markdown and LaTeX.

For every table and figure of paper.yaml the function of that name in `papers/<slug>/tables` (a module or a package)
makes the frame; its columns and their order are those that paper.yaml declares. A table is written three times; a
figure's frame only as the CSV that will lie beside its image. Numbers are written with six significant digits, so that
what a figure draws, what is compared and what is read are one thing.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from shared.artifacts.author import author_code, place_of
from shared.artifacts.config import Settings, paper_at, record_shards, stand_ins
from shared.artifacts.csv_files import to_csv
from shared.artifacts.paper import Artifact, Paper, artifact_csv, load_paper, method_function, paper_functions
from shared.artifacts.paths import PaperPaths, check_records
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported
from shared.base.errors import nearest, nearest_or_all
from shared.base.files import write_text


def check_columns(frame: pd.DataFrame, artifact: Artifact, name: str) -> None:
    """ValueError unless the frame has just the declared columns and no two rows share their keys."""
    declared, found = {*artifact.keys, *artifact.columns}, set(frame.columns)
    if declared != found:
        raise ValueError(
            f"{name}: its columns and those declared in paper.yaml differ: "
            f"undeclared {sorted(found - declared)}, missing {sorted(declared - found)}"
        )
    repeated = frame[frame.duplicated(artifact.keys)] if artifact.keys else frame.iloc[1:]
    if len(repeated):
        row = ", ".join(f"{k}={repeated.iloc[0][k]}" for k in artifact.keys)
        raise ValueError(
            f"{name}: two rows have the same keys ({row or 'none declared'}); declare what tells them apart"
        )


def write_table(frame: pd.DataFrame, path: Path, caption: str) -> None:
    """Write `path` (.csv) and, beside it, Markdown and LaTeX of the same rows."""
    path = Path(path)
    write_text(path, to_csv(frame))
    shown = frame.map(_cell)
    header = f"{caption}\n\n"
    markdown = shown.map(lambda text: text.replace("|", "\\|").replace("\n", " "))
    write_text(path.with_suffix(".md"), header + markdown.to_markdown(index=False, disable_numparse=True) + "\n")
    style = shown.map(_escape_latex).style.hide(axis="index").format_index(_escape_latex, axis="columns")
    write_text(path.with_suffix(".tex"), style.to_latex(caption=_escape_latex(caption), hrules=True))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return "" if value is None or value is pd.NA else str(value)


_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)


def _escape_latex(text: str) -> str:
    return str(text).translate(_LATEX)


class Tables:
    """The tables of a paper at a scale, each built once, when it is first asked for.

    A function of `papers/<slug>/tables` gets what its parameters name: `records`, `settings`, `reported`, what another
    public function there returns (a table or figure of paper.yaml, or something in between that several use), or the
    record of the step of that name. So does a function of the method that paper.yaml names under `from`.

    Args:
        records_from: "dvc" reads the runs that `dvc pull` brings, anything else results/<scale>/runs; "published" takes
            the records of the paper's stand-in steps for those of the steps they replace.
    """

    def __init__(self, slug: str, scale: str, records_from: str = "own", root: Path | None = None) -> None:
        self.slug, self.paths, self.paper = slug, paper_at(slug, scale, root), load_paper(slug, root)
        self.artifacts = self.paper.artifacts(scale)
        self.functions = paper_functions(slug, "tables")
        runs = self.paths.recorded_runs if check_records(records_from) == "dvc" else self.paths.runs
        self._given = {
            "records": lambda: Records(runs, record_shards(slug, scale, records_from, root), stand_ins(slug, root)),
            "settings": lambda: Settings(slug, "tables", scale, root),
            "reported": lambda: Reported(slug, root),
        }
        self._made: dict[str, object] = {}
        self._open: list[str] = []

    def __call__(self, name: str) -> object:
        """What `name` stands for; frames are copies, which the caller may change.

        Raises:
            ValueError: no such table, tables that need each other, or a table with other columns than paper.yaml has.
        """
        if name not in self._made:
            if name in self._open:
                circle = " -> ".join([*self._open[self._open.index(name) :], name])
                raise ValueError(f"tables of {self.slug} need each other: {circle}")
            self._open.append(name)
            try:
                self._made[name] = self._given[name]() if name in self._given else self._make(name)
            finally:
                self._open.pop()
        made = self._made[name]
        return made.copy() if isinstance(made, pd.DataFrame) else made

    def _make(self, name: str) -> object:
        artifact = self.artifacts.get(name)
        if artifact is not None and artifact.source is not None:
            return self._checked(name, artifact, self._from(artifact.source))
        if name not in self.functions:
            if artifact is None and name in self("records").shards:
                return self("records")(name)
            known = {*self.functions, *self._given}
            asking = self._open[-2] if len(self._open) > 1 else None
            where = f"papers/{self.slug}/paper.yaml" if asking is None else f"papers/{self.slug}/tables, {asking}"
            hint = nearest(name, known)
            raise ValueError(f"{where} names '{name}', which papers/{self.slug}/tables does not define{hint}")
        made = self._call(self.functions[name])
        return made if artifact is None else self._checked(name, artifact, made)

    def _call(self, function: Callable) -> object:
        where = place_of(function)
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise ValueError(f"{where}: '{parameter}' names no table; a parameter's name says what it gets")
        given = {p.name: self(p.name) for p in parameters}
        with author_code(where, "it has to make a frame from what its parameters name"):
            return function(**given)

    def _from(self, source: str) -> object:
        """A table, what a function of the tables or of the method returns, or a record or part of a record."""
        if source in self.paper.tables or source in self.functions:
            return self(source)
        if "." in source:
            return self._call(method_function(self.slug, source))
        records, (step, _, part) = self("records"), source.partition("/")
        if step not in records.shards and step not in records.stand_ins:
            hint = nearest_or_all(step, [*self.paper.tables, *records.shards])
            raise ValueError(f"papers/{self.slug}/paper.yaml: 'from: {source}' is neither a table nor a record; {hint}")
        return records(step, part or None)

    def _checked(self, name: str, artifact: Artifact, frame: object) -> pd.DataFrame:
        where = f"papers/{self.slug}/paper.yaml, {name}"
        if artifact.source is None:
            where = place_of(self.functions[name])
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"{where}: it has to return a frame, not {type(frame).__name__}")
        twice = frame.columns[frame.columns.duplicated()]
        if len(twice):
            raise ValueError(f"{where}: its frame has two columns '{twice[0]}'; give each a name of its own")
        missing = [column for column in artifact.all_columns() if column not in frame]
        if missing:
            raise ValueError(
                f"{where}: its frame has no column '{missing[0]}', which paper.yaml declares"
                f"{nearest(missing[0], frame.columns)}"
            )
        frame = frame[artifact.all_columns()].reset_index(drop=True)
        for column in frame:
            odd = [value for value in frame[column] if isinstance(value, list | dict | set | tuple | pd.DataFrame)]
            if odd:
                raise ValueError(f"{where}: column '{column}' holds {odd[0]!r}; a cell is a number or a text")
        with author_code(where, "rows and columns have to be those that paper.yaml declares"):
            check_columns(frame, artifact, name)
        return frame


def _remove_leftovers(paths: PaperPaths, paper: Paper) -> list[Path]:
    """Remove tables and figures' tables that this build does not make; returns them."""
    kept = {"tables": set(paper.table_ids(paths.scale)), "figures": set(paper.figure_ids(paths.scale))}
    found = [p for kind in kept for p in sorted((paths.results / kind).glob("*.*")) if p.stem not in kept[kind]]
    found = [p for p in found if p.suffix in (".csv", ".md", ".tex", ".png", ".svg")]
    for path in found:
        path.unlink()
    return found


def build_tables(slug: str, scale: str, records_from: str = "own", root: Path | None = None) -> list[Path]:
    """Write the CSV of every artifact of a paper, and Markdown and LaTeX of its tables; returns the CSV files.

    What an older paper.yaml has left among the results is removed: nothing is judged or shown that was not made.
    """
    tables = Tables(slug, scale, records_from, root)
    written = []
    for name, artifact in tables.artifacts.items():
        path = artifact_csv(tables.paths, name)
        if name in tables.paper.tables:
            write_table(tables(name), path, artifact.caption)
        else:
            write_text(path, to_csv(tables(name)))
        written.append(path)
    _remove_leftovers(tables.paths, tables.paper)
    return written
