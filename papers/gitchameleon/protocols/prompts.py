"""Prompts: our own wording, in versioned files, with a hash of the files in every answer.

`templates/<version>/` is never edited once numbers were made with it: a new wording is a new version.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.models.base import Message

VERSION = "v1"
FOLDER = Path(__file__).parent / "templates"
_SECTION = re.compile(r"<(\w+)(?: [^>]*)?>\n(.*?)\n</\1>", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """A piece of documentation and where it comes from."""

    url: str
    text: str


@cache
def _environment(version: str) -> jinja2.Environment:
    folder = FOLDER / version
    if not folder.is_dir():
        known = ", ".join(sorted(p.name for p in FOLDER.iterdir() if p.is_dir()))
        raise ValueError(f"no templates of version '{version}'; there are: {known}")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, keep_trailing_newline=False
    )


def render(template: str, version: str = VERSION, **values: object) -> str:
    """A template with its values; an unknown one is an error and not an empty place."""
    return _environment(version).get_template(f"{template}.txt").render(**values)


@cache
def template_hash(*templates: str, version: str = VERSION) -> str:
    """12 hex digits over the texts of some templates."""
    digest = hashlib.sha256()
    for name in sorted(templates):
        digest.update(f"{name}\0".encode() + (FOLDER / version / f"{name}.txt").read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def problem_text(problem: Problem, show_version: bool = True, version: str = VERSION) -> str:
    """What every protocol says about a problem. Without the version also Python and extra pins are left out,
    since they tell the time of the release.
    """
    pins = f"{problem.additional_dependencies} {problem.extra_dependencies}".split()
    return render(
        "problem",
        version,
        show_version=show_version,
        library=problem.library,
        version_=problem.version,
        python_version=problem.python_version,
        dependencies=" ".join(pins) if show_version else "",
        statement=problem.problem,
        starter_code=problem.starting_code,
    )


def talk(system: str, user: str, show_version: bool = True, version: str = VERSION) -> list[Message]:
    """A system text and one question."""
    return [Message("system", render(system, version, show_version=show_version)), Message("user", user)]


def with_context(user: str, documents: Sequence[Document], version: str = VERSION) -> str:
    """A question behind the documents that were retrieved for it."""
    return render("context", version, documents=documents) + "\n" + user if documents else user


def sections(text: str) -> dict[str, str]:
    """Tagged sections of a prompt, `<name>` to `</name>`; of several with one name the first."""
    found: dict[str, str] = {}
    for name, body in _SECTION.findall(text):
        found.setdefault(name, body)
    return found
