"""The results in a paper's README, written from its references between two markers.

    python -m shared.artifacts.readme gidd            write
    python -m shared.artifacts.readme gidd --check    exit status 1 if the file says something else
    python -m shared.artifacts.readme                 all papers, and the matrix in README.md at the top

The block names every claim with its verdict at each scale that has a reference, the number that decides it at `cpu`,
the threshold, the paper's value, and what each scale took; and shows the figures of scale cpu with their captions. What
stands outside the markers belongs to the author.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.claims import read_claims
from shared.artifacts.config import scales_of
from shared.artifacts.paper import figure_png, load_paper
from shared.artifacts.paths import SCALES, PaperPaths, paper_slugs
from shared.artifacts.wording import MARKS, check_text, count_text, deciding_check
from shared.base.errors import in_one_sentence
from shared.base.files import read_mapping, write_text

BEGIN = "<!-- results: written by python -m shared.artifacts.readme -->"
END = "<!-- end of results -->"
MAIN_SCALE = "cpu"


def results_block(slug: str, root: Path | None = None) -> str:
    """Markdown between the markers."""
    scales = [s for s in scales_of(slug, root) if (PaperPaths(slug, s, root).reference / "claims.json").is_file()]
    claims = {scale: read_claims(PaperPaths(slug, scale, root).reference / "claims.json") for scale in scales}
    main = MAIN_SCALE if MAIN_SCALE in scales else scales[0]
    verdicts = {scale: {entry["id"]: entry["verdict"] for entry in claims[scale]} for scale in scales}
    lines = [f"Claims at scale `{main}`: {count_text(claims[main])}.", ""]
    lines += [f"| claim | kind | what decides it at `{main}` | paper | {' | '.join(scales)} |"]
    lines += ["| --- | --- | --- | --- |" + " :-: |" * len(scales)]
    for entry in claims[main]:
        check = deciding_check(entry)
        shown = f"`{check_text(check)}`" if check else entry["evidence"].get("reason", "")
        marks = [MARKS[verdicts[scale].get(entry["id"], "not testable at this scale")] for scale in scales]
        cells = [entry["statement"], entry["kind"], shown, entry["reported"] or "", *marks]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    legend = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    lines += ["", f"{legend}; ± is half of a 95% interval, ? an unknown one.", ""]
    lines += _chosen(claims[main])
    lines += _costs(slug, scales, root) + _processors(slug, scales, root)
    lines += _figures(slug, main, root)
    return "\n".join(lines).rstrip() + "\n"


def _chosen(claims: list[dict]) -> list[str]:
    """What was chosen after seeing results; claims for which it is the same share a line."""
    affected: dict[str, list[str]] = {}
    for entry in claims:
        if entry["chosen_after"]:
            affected.setdefault(entry["chosen_after"], []).append(f"`{entry['id']}`")
    if not affected:
        return []
    return ["Chosen after seeing results:", "", *(f"- {', '.join(ids)}: {what}" for what, ids in affected.items()), ""]


def _costs(slug: str, scales: list[str], root: Path | None) -> list[str]:
    """One line per scale: what the accepted build took."""
    lines = ["| scale | records | CPU minutes | minutes summed over jobs | device |", "| --- | --- | --- | --- | --- |"]
    for scale in scales:
        spent = read_mapping(PaperPaths(slug, scale, root).reference / "provenance.json")
        cells = [spent.get("num_records", ""), spent.get("cpu_minutes", ""), spent.get("compute_minutes", "")]
        cells = [f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells]
        lines.append(f"| {scale} | {' | '.join(cells)} | {', '.join(spent.get('devices', []))} |")
    return [*lines, ""]


def _processors(slug: str, scales: list[str], root: Path | None) -> list[str]:
    """One line per scale that was rebuilt as other processors would."""
    lines = []
    for scale in scales:
        file = PaperPaths(slug, scale, root).reference / "processors.json"
        if file.is_file():
            told = []
            for name, one in read_mapping(file).items():
                notes = [note.replace("verdict changed: ", "").replace("->", "→") for note in one["notes"]]
                clean = f"{name}: {one['checks'] - one['drifted']} of {one['checks']} checks clean"
                told.append(clean + (f" ({', '.join(notes)})" if notes else ""))
            lines.append(f"Scale `{scale}` rebuilt as other processors would: {'; '.join(told)}.")
    return [*lines, ""] if lines else []


def _figures(slug: str, scale: str, root: Path | None) -> list[str]:
    """Every figure of the reference with its caption under it."""
    paths, paper, lines = PaperPaths(slug, scale, root), load_paper(slug, root), []
    for name in paper.figure_ids(scale):
        file, artifact = figure_png(paths, name, reference=True), paper.figures[name]
        if file.is_file():
            where = "" if artifact.paper_item == "-" else f" ({artifact.paper_item})"
            lines += [f"![{name}]({file.relative_to(paths.folder)})", "", f"*{name}*{where}: {artifact.caption}", ""]
    return lines


def matrix_block(root: Path | None = None) -> str:
    """Markdown of the table in the top README: every paper, with its claims per verdict at each of the four scales."""
    lines = [f"| slug | paper | {' | '.join(f'`{s}`' for s in SCALES)} |", "| --- | --- |" + " --- |" * len(SCALES)]
    for slug in paper_slugs(root):
        paper, cells = load_paper(slug, root), []
        for scale in SCALES:
            file = PaperPaths(slug, scale, root).reference / "claims.json"
            counts = Counter(entry["verdict"] for entry in read_claims(file)) if file.is_file() else Counter()
            told = " ".join(f"{mark}&nbsp;{counts[verdict]}" for verdict, mark in MARKS.items() if counts[verdict])
            cells.append(told or ("not run" if scale in scales_of(slug, root) else ""))
        name = f"[`{slug}`](papers/{slug}/README.md)"
        lines.append(f"| {name} | {paper.title} ([{paper.arxiv}]({paper.url})) | {' | '.join(cells)} |")
    legend = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    return "\n".join([*lines, "", f"Claims per verdict, from the committed references: {legend}."]) + "\n"


def with_results(text: str, block: str, file: str) -> str:
    """`text` with `block` between its markers.

    Raises:
        ValueError: the markers are missing or not in order.
    """
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 or end < start:
        raise ValueError(f"{file} has no place for its results; write the lines '{BEGIN}' and '{END}' into it")
    return f"{text[: start + len(BEGIN)]}\n\n{block}\n{text[end:]}"


@in_one_sentence
def main(
    slugs: Annotated[list[str] | None, typer.Argument(help="Papers; all if omitted.")] = None,
    check: Annotated[bool, typer.Option(help="Write nothing; exit status 1 if a README says something else.")] = False,
) -> None:
    """Write the results of papers into their READMEs."""
    stale, root = [], PaperPaths(next(iter(slugs or paper_slugs())), MAIN_SCALE).root
    pages = [
        (slug, PaperPaths(slug, MAIN_SCALE).folder / "README.md", results_block) for slug in slugs or paper_slugs()
    ]
    if not slugs and (root / "README.md").is_file():
        pages.append(("all papers", root / "README.md", lambda _: matrix_block()))
    for name, path, block in pages:
        text = path.read_text(encoding="utf-8")
        new = with_results(text, block(name), str(path.relative_to(root)))
        if new != text:
            stale.append(name)
            if not check:
                write_text(path, new)
    for name in stale:
        typer.echo(f"{name}: README {'differs from its references' if check else 'written'}")
    if check and stale:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
