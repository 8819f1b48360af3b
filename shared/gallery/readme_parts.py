"""Parts of a paper's README on its page: the question in three sentences, what differs, data, BibTeX."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_ABBREVIATIONS = ("e.g.", "i.e.", "et al.", "cf.", "vs.", "Fig.", "Eq.", "Eqs.", "Tab.", "Sec.", "App.", "resp.")


def section(readme: str, title: str) -> str:
    """Markdown under the heading `## title`; empty if there is none."""
    found = re.search(rf"^## {re.escape(title)}[^\n]*\n(.*?)(?=^## |\Z)", readme, flags=re.M | re.S)
    return found.group(1).strip() if found else ""


def first_sentences(markdown: str, count: int = 3) -> str:
    """The first sentences of the running text, without what follows a list or a block of code."""
    paragraphs = re.split(r"\n\s*\n", markdown)
    running = []
    for paragraph in paragraphs:
        if re.match(r"\s*([-*|>#]|\d+\.|```)", paragraph):
            break
        running.append(" ".join(paragraph.split()))
    sentences, start, text = [], 0, " ".join(running)
    for end in re.finditer(r"[.!?][)\"”]?(?=\s+[A-Z(\[*`\"“0-9]|\s*$)", text):
        if text[: end.end()].endswith(_ABBREVIATIONS):
            continue
        sentences.append(text[start : end.end()].strip())
        start = end.end()
        if len(sentences) == count:
            break
    return " ".join(sentences) or text


def html(markdown: str) -> str:
    """HTML of Markdown; raw HTML in it is shown as text, links to files of the repository lose their address."""
    rendered = _MARKDOWN.render(markdown)
    return re.sub(r'<a href="(?!https?:)[^"]*">(.*?)</a>', r"\1", rendered, flags=re.S)


def bibtex(readme: str) -> str:
    """The first BibTeX entry of the section Citation; empty if there is none."""
    found = re.search(r"```(?:bibtex)?\n(@.*?)```", section(readme, "Citation"), flags=re.S)
    return found.group(1).strip() if found else ""


def read_parts(folder: Path) -> dict[str, str]:
    """`question`, `differs`, `data` as HTML and `bibtex` as text, of the README in a paper's folder."""
    file = folder / "README.md"
    readme = file.read_text(encoding="utf-8") if file.is_file() else ""
    return {
        "question": html(first_sentences(section(readme, "Question"))),
        "differs": html(section(readme, "What differs from the paper")),
        "data": html(section(readme, "Data and licences")),
        "bibtex": bibtex(readme),
    }
