"""The toy paper in a temporary repository, built once in this process, and copied for each test that changes it."""

import shutil
import sys
from pathlib import Path

import pytest

import papers
import shared.kernels

sys.path.append(str(Path(__file__).parents[2] / "workflow"))

from toy_repository import forget_toy, make_repository

from shared.artifacts import digest
from shared.artifacts.accept import accept
from shared.artifacts.claims import build_claims
from shared.artifacts.config import load_shards
from shared.artifacts.figures import build_figures
from shared.artifacts.paths import PaperPaths
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.artifacts.summary import summarise
from shared.artifacts.tables import build_tables
from shared.base.files import write_text


def live_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process import `papers.toy` and the toy's kernel from `root` and take `root` for its checkout."""
    monkeypatch.setattr(papers, "__path__", [*papers.__path__, str(root / "papers")])
    monkeypatch.setattr(shared.kernels, "__path__", [*shared.kernels.__path__, str(root / "shared" / "kernels")])
    monkeypatch.setattr("shared.artifacts.paths.repo_root", lambda: root)
    code = root / "papers" / "toy" / "figures.py"  # the digest of imports needs the whole repository
    monkeypatch.setattr(
        "shared.artifacts.figures.source_digest", lambda *_, root=None: code.read_text(encoding="utf-8")
    )
    digest.shards_at.cache_clear()
    digest.settings_of.cache_clear()
    forget_toy()


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """Repository with the toy paper built and accepted at scale smoke."""
    root = make_repository(tmp_path_factory.mktemp("toy") / "repository")
    with pytest.MonkeyPatch.context() as monkeypatch:
        live_in(root, monkeypatch)
        clean = {"revision": None, "dirty": None}
        monkeypatch.setattr("shared.artifacts.provenance.git_state", lambda root=None: clean)
        from papers.toy.method import loss_path

        paths = PaperPaths("toy", "smoke", root)
        for name, shard in load_shards("toy", "smoke", root)["descend"].items():
            losses = loss_path(shard.curvature, shard.descent.lr, shard.descent.num_steps)
            rows = [{"curvature": shard.curvature, "step": step, "loss": loss} for step, loss in enumerate(losses)]
            write_record(paths.runs / "descend" / f"{name}.parquet", rows, Provenance())
        build_tables("toy", "smoke", root=root)
        build_figures("toy", "smoke", root)
        build_claims("toy", "smoke", root)
        write_text(paths.summary, summarise("toy", "smoke", root))
        accept("toy", "smoke", root)
        forget_toy()
    return root


@pytest.fixture
def repository(built, tmp_path, monkeypatch) -> Path:
    """A copy of the built paper, without the parts that only Snakemake needs, which this process takes for its own."""
    root = tmp_path / "repository"
    shutil.copytree(built / "papers", root / "papers", ignore=shutil.ignore_patterns("__pycache__"))
    live_in(root, monkeypatch)
    yield root
    forget_toy()


@pytest.fixture
def toy(repository) -> PaperPaths:
    """Paths of the built toy paper at scale smoke."""
    return PaperPaths("toy", "smoke", repository)
