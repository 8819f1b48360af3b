"""What Snakemake runs after the steps, two processes a paper.

python -m shared.artifacts.build tables gidd --scale cpu      CSV, Markdown, LaTeX; claims.json
python -m shared.artifacts.build figures gidd --scale cpu     PNG and SVG of every figure; summary.md
"""

from typing import Annotated

import typer

from shared.artifacts.paths import PaperPaths
from shared.artifacts.wording import check_text
from shared.base.errors import in_one_sentence

Slug = Annotated[str, typer.Argument(help="Paper, e.g. gidd.")]
Scale = Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")]
RecordsFrom = Annotated[
    str, typer.Option("--records", help="own: of this build; dvc: recorded elsewhere; published: by the authors.")
]

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
@in_one_sentence
def tables(slug: Slug, scale: Scale = "cpu", records: RecordsFrom = "own") -> None:
    """Build every table of a paper from its records, and judge its claims on them."""
    from shared.artifacts.claims import build_claims
    from shared.artifacts.tables import build_tables

    for path in build_tables(slug, scale, records):
        typer.echo(path)
    for entry in build_claims(slug, scale):
        typer.echo(f"{entry['verdict']:<28} {entry['id']}: {'; '.join(map(check_text, entry['checks']))}")


@app.command()
@in_one_sentence
def figures(slug: Slug, scale: Scale = "cpu", records: RecordsFrom = "own") -> None:
    """Draw every figure of a paper from its table, and write the summary of the build."""
    from shared.artifacts.figures import build_figures
    from shared.artifacts.summary import write_summary

    for path in build_figures(slug, scale):
        typer.echo(path)
    typer.echo(PaperPaths(slug, scale).relative(write_summary(slug, scale, records)))


if __name__ == "__main__":
    app()
