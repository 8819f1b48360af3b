"""Our own suites in the data set's schema: `builtin` needs no network, `mini` needs small wheels from PyPI."""

import functools

from papers.gitchameleon.data.problems import Problem, load_benchmark
from papers.gitchameleon.suites.tasks import FOLDER, read_suite

SUITES = ("builtin", "mini")


@functools.cache
def load_suite(name: str) -> list[Problem]:
    """Problems of a suite: for each task one at the old and one at the new version.

    Raises:
        ValueError: no such suite.
    """
    if name not in SUITES:
        raise ValueError(f"unknown suite '{name}'; there are: {', '.join(SUITES)}")
    return read_suite(FOLDER / name)


def load_problems(name: str) -> list[Problem]:
    """Problems of the benchmark or of one of our suites."""
    return load_benchmark() if name == "benchmark" else load_suite(name)
