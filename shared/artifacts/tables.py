"""Tables: records -> tidy frames -> CSV, Markdown and LaTeX.

    python -m shared.artifacts.tables gidd --scale cpu

calls, for every table and figure of paper.yaml, the function of that name in `papers/<slug>/tables.py`
with the paper's records and settings. A table is written three times; a figure's frame only as the CSV
that will lie beside its image. Numbers are written with six significant digits, so that what a figure
draws, what is compared and what is read are one thing.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from shared.artifacts.config import Settings, record_shards, stand_ins
from shared.artifacts.paper import Artifact, artifact_csv, load_paper, paper_function
from shared.artifacts.paths import PaperPaths, check_records
from shared.artifacts.records import Records
from shared.base.errors import in_one_sentence
from shared.base.files import write_text

FLOAT_FORMAT = "%.6g"


def to_csv(frame: pd.DataFrame) -> str:
    """CSV text of a frame: `%.6g`, missing values empty, Unix line ends."""
    return frame.to_csv(index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def read_csv(path: Path, text: Iterable[str] = ()) -> pd.DataFrame:
    """A frame as `to_csv` wrote it. Only an empty field is missing: 'None' and 'nan' stay words.

    Args:
        text: columns to read as they are written, even if they look like numbers.

    Raises:
        ValueError: no such file, or not a CSV.
    """
    if not Path(path).is_file():
        raise ValueError(f"no table at {path}; build it first")
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(text, str))
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} is not a CSV table ({str(error).strip()}); delete it and build again") from None


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


def build_tables(slug: str, scale: str, records_from: str = "own", root: Path | None = None) -> list[Path]:
    """Build the CSV of every artifact of a paper, and Markdown and LaTeX of its tables.

    Args:
        records_from: "dvc" reads the runs that `dvc pull` brings, anything else results/<scale>/runs; "published" takes
            the records of the paper's stand-in steps for those of the steps they replace.
    Returns:
        The CSV files written.
    """
    paths, paper, settings = (
        PaperPaths(slug, scale, root),
        load_paper(slug, root),
        Settings(slug, "tables", scale, root),
    )
    runs = paths.recorded_runs if check_records(records_from) == "dvc" else paths.runs
    records = Records(runs, record_shards(slug, scale, records_from, root), stand_ins(slug, root))
    written = []
    for name, artifact in paper.artifacts(scale).items():
        frame = paper_function(slug, "tables", name)(records, settings)
        check_columns(frame, artifact, name)
        path = artifact_csv(paths, name)
        if name in paper.tables:
            write_table(frame, path, artifact.caption)
        else:
            write_text(path, to_csv(frame))
        written.append(path)
    return written


@in_one_sentence
def main(
    slug: Annotated[str, typer.Argument(help="Paper, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
    records: Annotated[
        str, typer.Option(help="own: of this build; dvc: recorded elsewhere; published: released by the authors.")
    ] = "own",
) -> None:
    """Build every table of a paper from its records."""
    for path in build_tables(slug, scale, records):
        typer.echo(path)


if __name__ == "__main__":
    typer.run(main)
