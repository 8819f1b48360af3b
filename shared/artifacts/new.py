"""A new paper from the template: a folder that builds, diffs and passes the contract before anything is changed in it.

    python -m shared.artifacts.new my_paper

Then replace its method, settings, tables, figures and claims by the paper's, one at a time; docs/adding-a-paper.md.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from shared.base.errors import in_one_sentence
from shared.base.files import write_text
from shared.base.paths import repo_root

TEMPLATE = Path(__file__).parent / "template"
_ENDING = ".tmpl"


def write_paper(slug: str, root: Path | None = None) -> list[Path]:
    """Write `papers/<slug>/` from the template; returns its files.

    Raises:
        ValueError: a slug that is no importable name, or a folder that is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", slug):
        raise ValueError(f"'{slug}' is no slug; use lower-case letters, digits and underscores, a letter first")
    folder = (root or repo_root()) / "papers" / slug
    if folder.exists():
        raise ValueError(f"papers/{slug} exists already; choose another slug or remove it")
    written = []
    for source in sorted(TEMPLATE.glob(f"*{_ENDING}")):
        target = folder / source.name.removesuffix(_ENDING)
        write_text(target, source.read_text(encoding="utf-8").replace("{{slug}}", slug))
        written.append(target)
    return written


@in_one_sentence
def main(slug: Annotated[str, typer.Argument(help="Importable name of the folder, e.g. my_paper.")]) -> None:
    """Write the folder of a new paper."""
    files = write_paper(slug)
    typer.echo(f"papers/{slug}: {len(files)} files. Next:")
    for scale in ("smoke", "cpu"):
        typer.echo(f"  snakemake papers/{slug}/all --config scale={scale}")
        typer.echo(f"  python -m shared.artifacts.accept {slug} --scale {scale}")
    typer.echo(f"  python -m shared.artifacts.readme {slug}")
    typer.echo(f"  python -m pytest tests/papers/test_contract.py -k {slug}")


if __name__ == "__main__":
    typer.run(main)
