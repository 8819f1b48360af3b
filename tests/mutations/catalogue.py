"""Planted errors as data: one YAML file per paper, `shared.yaml` for the library.

See README.md of this folder for the format.
"""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from shared.artifacts.paths import paper_slugs
from shared.base.errors import nearest_or_all
from shared.base.paths import repo_root
from shared.base.settings import StrictModel, load_yaml, validate

FOLDER = Path(__file__).parent
SHARED = "shared"


class Mutation(StrictModel):
    """One planted error: a text that stands exactly once in a file, and what is put in its place."""

    file: str  # below the checkout
    replace: str = Field(min_length=1)  # as it stands in the file, spaces included
    by: str
    tests: list[str] = Field(min_length=1)  # files, or file::function, below the checkout
    wrong: str = Field(min_length=10)  # why the result is wrong, a sentence

    @field_validator("wrong")
    @classmethod
    def _a_sentence(cls, value: str) -> str:
        if not value.endswith("."):
            raise ValueError(f"'wrong' is a sentence and ends in a full stop; got '{value}'")
        return value

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.replace == self.by:
            raise ValueError(f"'{self.replace}' is replaced by itself; a mutation changes something")
        return self

    def applied(self, text: str) -> str:
        """`text` with the error planted.

        Raises:
            ValueError: what is to be replaced does not stand in it exactly once.
        """
        if (count := text.count(self.replace)) != 1:
            found = "nowhere" if count == 0 else f"{count} times"
            raise ValueError(f"'{self.replace}' stands {found} in {self.file}; it has to stand there once")
        return text.replace(self.replace, self.by)

    def missing_tests(self, root: Path) -> list[str]:
        """Those of `tests` that do not exist below `root`, by file and function name."""
        return [test for test in self.tests if not _exists(root, test)]


def _exists(root: Path, test: str) -> bool:
    name, _, function = test.partition("::")
    if not (root / name).is_file():
        return False
    function = function.partition("[")[0]
    return not function or bool(re.search(rf"^def {re.escape(function)}\(", (root / name).read_text(), flags=re.M))


class Catalogue(StrictModel):
    """A file of this folder: name of a mutation -> mutation."""

    mutations: dict[str, Mutation]


def catalogues(folder: Path = FOLDER) -> dict[str, dict[str, Mutation]]:
    """Slug (or 'shared') -> name -> mutation, for every file of `folder`.

    Raises:
        ValueError: a file that is named after no paper or cannot be read as a catalogue.
    """
    known, found = [*paper_slugs(), SHARED], {}
    for file in sorted(folder.glob("*.yaml")):
        if file.stem not in known:
            raise ValueError(f"{file.name} is named after no paper; {nearest_or_all(file.stem, known)}")
        found[file.stem] = validate(Catalogue, {"mutations": load_yaml(file)}, file.name).mutations
    return found


def chosen(wanted: list[str], known: dict[str, dict[str, Mutation]]) -> dict[str, dict[str, Mutation]]:
    """The part of `known` that is asked for by slug or by slug/name; all if nothing is.

    Raises:
        ValueError: no such slug or name; with the nearest.
    """
    if not wanted:
        return known
    part: dict[str, dict[str, Mutation]] = {}
    for one in wanted:
        slug, _, name = one.partition("/")
        if slug not in known:
            raise ValueError(f"no mutations of '{slug}'; {nearest_or_all(slug, known)}")
        if name and name not in known[slug]:
            raise ValueError(f"{slug} has no mutation '{name}'; {nearest_or_all(name, known[slug])}")
        part.setdefault(slug, {}).update({name: known[slug][name]} if name else known[slug])
    return part


def check(mutation: Mutation, root: Path | None = None) -> None:
    """That a mutation still fits the checkout.

    Raises:
        ValueError: its file is gone, its text does not stand there exactly once, or one of its tests is gone.
    """
    root = root or repo_root()
    if not (root / mutation.file).is_file():
        raise ValueError(f"no such file: {mutation.file}")
    mutation.applied((root / mutation.file).read_text())
    if missing := mutation.missing_tests(root):
        raise ValueError(f"no such test: {', '.join(missing)}")
