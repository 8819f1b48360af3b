"""Tasks of our own suites: one statement and stub, two versions of a library, an idiom for each, tests for both.

A task gives two problems, one per version. `wrong` says how the other version's idiom fails here: the names of the
exceptions of which one ends its hidden tests; empty if it passes too.
"""

import platform
import textwrap
from dataclasses import dataclass

from papers.gitchameleon.problems import PYTHONS, Problem

_MODULE = '''"""Hidden tests."""
import unittest

import {module} as sample


class Test{name}(unittest.TestCase):
{methods}'''


@dataclass(frozen=True)
class Side:
    """One version of the library in a task."""

    version: str
    body: str  # the idiom: what completes the stub
    wrong: tuple[str, ...] = ()
    pins: str = ""  # what else is pinned: the library's own dependencies
    released: str = "2021-01"
    calls: tuple[str, ...] = ()
    doc: str = ""  # documentation of this version, in our words


@dataclass(frozen=True)
class Task:
    """A statement that two versions of a library answer differently."""

    name: str
    library: str
    change: str  # type_of_change
    entity: str
    statement: str
    stub: str
    visible: str
    methods: str  # hidden tests: methods of a unittest class; the candidate's module is `sample`
    old: Side
    new: Side
    docs: str = ""

    def problems(self, first_id: int) -> list[Problem]:
        """The task at its old and at its new version."""
        return [self._problem(first_id, self.old), self._problem(first_id + 1, self.new)]

    def _problem(self, id: int, side: Side) -> Problem:
        name = "".join(part.capitalize() for part in self.name.replace("_", "-").split("-"))
        methods = textwrap.indent(textwrap.dedent(self.methods).strip("\n") + "\n", "    ")
        return Problem(
            example_id=id,
            python_version=own_python(),
            library=self.library,
            version=side.version,
            problem=self.statement,
            starting_code=textwrap.dedent(self.stub).lstrip("\n"),
            solution=textwrap.indent(textwrap.dedent(side.body).strip("\n"), "    ") + "\n",
            test=textwrap.dedent(self.visible).strip("\n") + "\n",
            type_of_change=self.change,
            name_of_class_or_func=self.entity,
            additional_dependencies=side.pins,
            api_calls=list(side.calls),
            release_date=side.released,
            docs=[f"{self.docs or 'builtin:' + self.library}#{side.version}/{self.name}"],
            hidden_test=_MODULE.format(module=f"sample_{id}", name=name, methods=methods),
            runner="unittest",
            task=self.name,
            expect_fail=list(side.wrong),
            docs_text=[f"{self.library} {side.version}. {side.doc}"],  # a page says whose it is
        )


def own_python() -> str:
    """x.y of this process: our suites run on the project's own interpreter."""
    version = ".".join(platform.python_version_tuple()[:2])
    return version if version in PYTHONS else PYTHONS[-1]
