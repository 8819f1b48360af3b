"""Environments of the built-in libraries and small limits for tests that run programs; tables from small records."""

import inspect
import sys
from pathlib import Path

import pytest

from papers.gitchameleon.environments.installers import Index
from papers.gitchameleon.environments.store import EnvStore
from papers.gitchameleon.suites.wheels import write_wheels
from shared.artifacts.paper import load_paper, method_function, paper_functions
from shared.artifacts.reported import Reported
from shared.sandbox.box import Limits
from shared.sandbox.levels import available_levels

SLUG = "gitchameleon"
sys.path.append(str(Path(__file__).parent))  # where the forgeries are


@pytest.fixture(scope="session")
def table_of():
    """(name of a table, records, settings) -> the table, made of whatever its parameters name."""
    functions, reported, paper = paper_functions(SLUG, "tables"), Reported(SLUG), load_paper(SLUG)
    artifacts = {**paper.tables, **paper.figures}

    def make(name, records, settings=None):
        given = {"records": records, "settings": settings, "reported": reported}
        if name in given:
            return given[name]
        source = (artifacts[name].source if name in artifacts else None) or name
        function = method_function(SLUG, source) if "." in source else functions.get(source)
        if function is None:
            return records(source)
        parameters = inspect.signature(function).parameters
        made = function(**{parameter: make(parameter, records, settings) for parameter in parameters})
        return made.reset_index(drop=True)

    return make


@pytest.fixture(scope="session")
def level():
    """The strongest level that isolates; tests of isolation are skipped where there is none."""
    levels = [found for found in available_levels() if found != "rlimit"]
    if not levels:
        pytest.skip("neither bubblewrap nor namespaces work on this machine")
    return levels[0]


@pytest.fixture(scope="session")
def limits():
    """Small: a hostile program that broke out of one of them would still do little harm."""
    return Limits(
        wall_seconds=20,
        cpu_seconds=10,
        memory_mb=256,
        address_space_mb=768,
        processes=24,
        file_mb=8,
        scratch_mb=16,
        open_files=64,
        output_kb=64,
        output_stop_mb=2,
    )


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Environments of the built-in libraries, made without a network."""
    wheels = write_wheels(tmp_path_factory.mktemp("wheels"))
    return EnvStore(tmp_path_factory.mktemp("envs"), Index(wheelhouse=wheels))


@pytest.fixture(scope="session")
def problem():
    """A problem of the built-in suite whose tests a hostile candidate is run against."""
    from papers.gitchameleon.suites.loader import load_suite

    return load_suite("builtin")[0]


@pytest.fixture(scope="session")
def env(store, problem):
    from papers.gitchameleon.environments.spec import spec_of

    return store.get(spec_of(problem))
