"""The toy paper built once through Snakemake; a test that changes something works in a copy."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from toy_repository import make_repository, run_in


@dataclass(frozen=True)
class Repository:
    """A repository with the toy paper."""

    root: Path
    scale: str = "smoke"  # where one job runs all shards of a step

    @property
    def paper(self) -> Path:
        return self.root / "papers" / "toy"

    @property
    def results(self) -> Path:
        return self.paper / "results" / self.scale

    def record(self, curvature: int) -> Path:
        return self.results / "runs" / "descend" / f"curvature={curvature}.parquet"

    def snakemake(self, *arguments: str, scale: str | None = None, records: str = "own") -> subprocess.CompletedProcess:
        """`snakemake arguments --config scale=... records=...`; stdout holds both streams."""
        request = [f"scale={scale or self.scale}", f"records={records}"]
        return run_in(self.root, "-m", "snakemake", *arguments, "--config", *request)


@pytest.fixture(scope="session")
def first_build(tmp_path_factory) -> tuple[Repository, str]:
    """The built repository, which no test may change, and what the build printed."""
    repository = Repository(make_repository(tmp_path_factory.mktemp("workflow") / "repository"))
    result = repository.snakemake("papers/toy/all")
    assert result.returncode == 0, result.stdout
    return repository, result.stdout


@pytest.fixture
def built(first_build, tmp_path) -> Repository:
    """A copy of the built repository, ages and Snakemake's memory included."""
    shutil.copytree(first_build[0].root, tmp_path / "repository")
    return Repository(tmp_path / "repository")


@pytest.fixture
def fresh(tmp_path) -> Repository:
    """A repository in which nothing was built."""
    return Repository(make_repository(tmp_path / "repository"))
