"""The page of a diff: what drifted, by how much, before and after; and what a branch changed in the references.

    python -m shared.gallery.diff --scale smoke                    # papers compared last, into build/diff/index.html
    python -m shared.gallery.diff gidd --scale cpu --compare       # compares first; exit status 1 on drift
    python -m shared.gallery.diff --scale smoke --base origin/main # with what this branch accepted
    python -m shared.gallery.diff --scale smoke --text summary.md  # appends the Markdown without its pictures

`snakemake diff` is the second form. Beside the page lies summary.md.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.compare import compare_and_report
from shared.artifacts.paths import PaperPaths, paper_slugs
from shared.artifacts.pixels import differing_pixels, side_by_side
from shared.base.errors import in_one_sentence
from shared.base.files import write_text
from shared.base.paths import repo_root
from shared.gallery.drift import MOST_CELLS, Drift, drifts, findings_file, read_findings
from shared.gallery.images import Site
from shared.gallery.since import Base, Change, changes_since
from shared.gallery.site import environment, write_static


def build_diff(
    folder: Path, scale: str, slugs: list[str] | None = None, root: Path | None = None, base: str | None = None
) -> tuple[int, int]:
    """Write index.html and summary.md into `folder`; returns the numbers of drifts and of changes since `base`.

    Raises:
        ValueError: a named paper was not compared at this scale, or git does not know `base`.
    """
    root = root or repo_root()
    chosen = slugs or [s for s in paper_slugs(root) if findings_file(PaperPaths(s, scale, root)).is_file()]
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = stack.enter_context(Site(folder))
        papers, drifted = [], []
        for slug in chosen:
            paths = PaperPaths(slug, scale, root)
            findings = read_findings(paths)
            shown = drifts(paths, findings)
            drifted += shown
            notes = [(finding.artifact, finding.note) for finding in findings if finding.note]
            papers.append({"slug": slug, "num_checks": len(findings), "num_drifts": len(shown), "notes": notes})
        changes = changes_since(Base(base, root, temporary)) if base else []
        entries = [_entry(site, number, one) for number, one in enumerate([*drifted, *changes])]
        split = len(drifted)
        page = {"papers": papers, "scale": scale, "base": base, "most_cells": MOST_CELLS}
        page |= {"drifted": entries[:split], "changes": entries[split:]}
        write_static(site, "gallery.css", "theme.js", "paper.js")
        templates = environment()
        site.text("index.html", templates.get_template("diff.html").render(depth="", **page))
        site.text("summary.md", summary(page))
    return len(drifted), len(changes)


def _entry(site: Site, number: int, one: Drift | Change) -> dict:
    """What the templates need of one drift or change; its pictures go into the site."""
    entry = {"what": one, "before": None, "after": None, "marks": None, "sheet": None, "share": None}
    entry["cells"] = one.cells if isinstance(one, Drift) else []
    stem = f"{one.slug}/{one.scale}.{one.artifact}.{number}"
    for side in ("before", "after"):
        file = getattr(one, side)
        if file is not None:
            entry[side] = site.small(file, f"{stem}.{side}.webp")
    if one.before and one.after:
        entry["share"] = differing_pixels(one.before, one.after)[0]
        entry["marks"] = site.marks(one.before, one.after, f"{stem}.marks.png")[1]
        entry["sheet"] = f"{stem}.sheet.png"
        side_by_side(one.before, one.after, site.path(entry["sheet"]))
    return entry


def summary(page: dict) -> str:
    """Markdown of the page, with before | after | difference as pictures."""
    drifted, changes = page["drifted"], page["changes"]
    checks = sum(paper["num_checks"] for paper in page["papers"])
    lines = [f"## Diff at scale `{page['scale']}`", ""]
    lines += [f"{len(drifted)} of {checks} checks drifted; papers compared: {len(page['papers'])}."]
    if page["base"]:
        lines[-1] += f" {len(changes)} changes of references and tolerances since `{page['base']}`."
    lines += ["", "| paper | checks | drifted |", "| --- | --- | --- |"]
    lines += [f"| {paper['slug']} | {paper['num_checks']} | {paper['num_drifts']} |" for paper in page["papers"]]
    for title, entries in (("Drift: the build fails until it is accepted or undone", drifted), ("To review", changes)):
        if entries:
            lines += ["", f"### {title}", "", "| paper | scale | what | check | result |"]
            lines += ["| --- | --- | --- | --- | --- |", *(_line(entry["what"]) for entry in entries)]
        for entry in entries:
            if entry["sheet"]:
                one = entry["what"]
                lines += ["", f"![{one.slug} {one.artifact}: before, after, difference]({entry['sheet']})"]
    return "\n".join(lines) + "\n"


def _line(one: Drift | Change) -> str:
    kind = one.check if isinstance(one, Drift) else one.kind
    cells = [one.slug, one.scale, f"`{one.artifact}`", kind, one.sentence]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


@in_one_sentence
def main(
    slugs: Annotated[list[str] | None, typer.Argument(help="Papers; all that were compared if omitted.")] = None,
    scale: Annotated[str, typer.Option(help="Scale that was compared.")] = "cpu",
    base: Annotated[str | None, typer.Option(help="Show also what changed since this branch or commit.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the page; build/diff if omitted.")] = None,
    text: Annotated[Path | None, typer.Option(help="Append the summary, without pictures, to this file.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Compare these papers first; 1 on drift.")] = False,
) -> None:
    """Write the page of a diff."""
    folder = out or repo_root() / "build" / "diff"
    drifted = compare and compare_and_report(slugs or paper_slugs(), scale)
    num_drifts, num_changes = build_diff(folder, scale, slugs, base=base)
    if text is not None:
        before = text.read_text(encoding="utf-8") if text.is_file() else ""
        plain = [line for line in (folder / "summary.md").read_text(encoding="utf-8").splitlines() if line[:2] != "!["]
        write_text(text, before + "\n".join(plain) + "\n")
    since = f", {num_changes} changes since {base}" if base else ""
    typer.echo(f"{num_drifts} drifts{since}; the pictures are in {(folder / 'index.html').resolve()}")
    if drifted:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
