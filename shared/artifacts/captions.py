"""Captions and categories of Snakemake's own report: `snakemake papers/gidd/all --report report.html`."""

import re
import sys

from shared.artifacts.paper import load_paper
from shared.artifacts.paths import PaperPaths
from shared.base.files import write_text


def report_entry(slug: str, scale: str, artifact: str) -> dict:
    """Arguments of Snakemake's `report(path, ...)` for an artifact: category, subcategory, labels and caption.

    The caption is a file, written only where a report is asked for: results/<scale>/captions/<artifact>.rst.
    """
    paper, paths = load_paper(slug), PaperPaths(slug, scale)
    found = paper.artifacts(scale)[artifact]
    kind = "figures" if artifact in paper.figures else "tables"
    entry = {"category": slug, "subcategory": kind, "labels": {kind[:-1]: artifact, "in the paper": found.paper_item}}
    if "--report" in sys.argv:
        file = paths.results / "captions" / f"{artifact}.rst"
        write_text(file, restructured(found.caption) + "\n")
        entry["caption"] = str(file)
    return entry


def restructured(text: str) -> str:
    """Plain text as reStructuredText in a Jinja template: nothing in it is markup."""
    escaped = re.sub(r"([\\*`|_<>\[\]])", r"\\\1", text)
    return escaped.replace("{", "{{ '{' }}")
