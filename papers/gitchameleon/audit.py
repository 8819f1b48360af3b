"""Print every check of the published tables: what is printed, what is recomputed, whether they agree.

python -m papers.gitchameleon.audit
"""

import typer

from papers.gitchameleon.metrics.audit import findings


def main() -> None:
    """Print every check of the published tables."""
    for row in findings().itertuples():
        note = f" ({row.note})" if row.note else ""
        typer.echo(f"{'agrees ' if row.agrees else 'DIFFERS'}  {row.check}; {row.subject}:")
        typer.echo(f"         published {row.published}, recomputed {row.recomputed}{note}")


if __name__ == "__main__":
    typer.run(main)
