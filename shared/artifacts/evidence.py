"""docs/evidence.md: every claim with its checks, how often each number was measured, and how clear it is.

python -m shared.artifacts.evidence            write
python -m shared.artifacts.evidence --check    exit status 1 if the page says something else than the references
"""

from collections import Counter
from typing import Annotated

import typer

from shared.artifacts.checks import VERDICTS
from shared.artifacts.claims import read_claims
from shared.artifacts.config import scales_of
from shared.artifacts.paths import PaperPaths, paper_slugs
from shared.artifacts.readme import MAIN_SCALE
from shared.artifacts.wording import check_text, count_text, number
from shared.base.errors import in_one_sentence
from shared.base.files import write_text
from shared.base.paths import repo_root

PAGE = "docs/evidence.md"
_INTRODUCTION = """\
# Evidence

Written by `python -m shared.artifacts.evidence` from the committed references; do not edit.

A claim is a sentence with checks. Each check holds a value against a threshold, with the standard error of the value
over what was repeated (training seeds, draws, resampled items). It is clear if the two-sided 95 % interval of the
value, by Student's t, leaves the threshold out. A claim **holds** or **fails** only where that is so; otherwise it is
**within noise**. A number on trained networks that was measured once is never clear. *Exact* values have no noise:
algebra, counting, float64 identities.

Kinds: **paper**, a statement of the paper judged on what we ran; **ours**, a check of our own; **audit**, arithmetic on
the paper's published numbers, which can change only with them.

Columns: n, repetitions behind the value; distance, how far the value lies on the right side of its threshold in
standard errors (negative: on the wrong side); clear, whether the interval leaves the threshold out.
"""


def page() -> str:
    """Markdown of the whole page."""
    lines = [
        _INTRODUCTION,
        "| paper | scale | " + " | ".join(VERDICTS) + " |",
        "| --- | --- |" + " --- |" * len(VERDICTS),
    ]
    sections = []
    for slug in paper_slugs():
        for scale in scales_of(slug):
            file = PaperPaths(slug, scale).reference / "claims.json"
            if not file.is_file():
                continue
            entries = read_claims(file)
            counts = Counter(entry["verdict"] for entry in entries)
            lines.append(f"| {slug} | {scale} | {' | '.join(str(counts.get(v, 0)) for v in VERDICTS)} |")
            if scale == MAIN_SCALE:
                sections += _section(slug, scale, entries)
    return "\n".join([*lines, "", *sections]).rstrip() + "\n"


def _section(slug: str, scale: str, entries: list[dict]) -> list[str]:
    """One paper: a table with a row per check."""
    lines = [f"## {slug} at scale {scale}", "", count_text(entries) + ".", ""]
    lines += [
        "| claim | kind | verdict | check | n | distance | clear |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in entries:
        head = [f"`{entry['id']}`", entry["kind"], f"**{entry['verdict']}**"]
        for check in entry["checks"] or [None]:
            cells = [*head, *(_cells(check) if check else [entry["evidence"].get("reason", ""), "", "", ""])]
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
            head = ["", "", ""]
    return [*lines, ""]


def _cells(check: dict) -> list[str]:
    exact = check["noise"] is None
    errors = check["standard_errors"]
    distance = "exact" if exact else "unknown" if not isinstance(errors, int | float) else f"{errors:+.1f}"
    clear = ("yes" if check["clear"] else "no") + ("" if check["decisive"] else " (decides nothing)")
    return [f"`{check_text(check)}`", "" if check["n"] is None else number(check["n"]), distance, clear]


@in_one_sentence
def main(
    check: Annotated[bool, typer.Option(help="Write nothing; exit status 1 if the page says something else.")] = False,
) -> None:
    """Write docs/evidence.md."""
    path, text = repo_root() / PAGE, page()
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    if check:
        typer.echo(f"{PAGE} differs from the references; write it with python -m shared.artifacts.evidence")
        raise typer.Exit(1)
    write_text(path, text)
    typer.echo(f"{PAGE} written")


if __name__ == "__main__":
    typer.run(main)
