"""A built toy paper, the gallery of the committed references, a browser and axe-core: each made once, on demand."""

import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "workflow")]

from gallery_toy import Toy, succeed
from toy_repository import make_repository

from shared.base.cache import cache_dir
from shared.gallery.build import build_gallery
from shared.gallery.picture import BROWSERS, find_browser

AXE = "4.14.1"


@pytest.fixture(scope="session")
def first_toy(tmp_path_factory) -> Toy:
    """Which no test may change."""
    toy = Toy(make_repository(tmp_path_factory.mktemp("gallery") / "repository"))
    for curvature in (1, 10):
        succeed(toy.root, "-m", "papers.toy.descend", "--scale", "smoke", "--shard", f"curvature={curvature}")
    for what in ("tables", "figures"):
        succeed(toy.root, "-m", "shared.artifacts.build", what, "toy", "--scale", "smoke")
    succeed(toy.root, "-m", "shared.artifacts.accept", "toy", "--scale", "smoke", "--allow-dirty")
    return toy


@pytest.fixture
def toy(first_toy, tmp_path) -> Toy:
    """A copy to change."""
    shutil.copytree(first_toy.root, tmp_path / "repository")
    return Toy(tmp_path / "repository")


@pytest.fixture(scope="session")
def site_and_seconds(tmp_path_factory) -> tuple[Path, float]:
    """The gallery of this checkout, and the CPU seconds that it took."""
    folder, before = tmp_path_factory.mktemp("site"), time.process_time()
    build_gallery(folder)
    return folder, time.process_time() - before


@pytest.fixture(scope="session")
def site(site_and_seconds) -> Path:
    """The gallery of this checkout."""
    return site_and_seconds[0]


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = find_browser()
    if found is None:
        pytest.skip(f"no browser here; install one of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, fetched from npm into the cache."""
    file = cache_dir() / f"axe-core-{AXE}" / "axe.min.js"
    if not file.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm, which fetches axe-core, is not installed")
        file.parent.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", f"axe-core@{AXE}", "--silent", "--pack-destination", str(file.parent)]
        fetched = subprocess.run(command, capture_output=True, text=True, cwd=file.parent)
        if fetched.returncode:
            pytest.skip(f"axe-core cannot be fetched here: {fetched.stderr.strip()[-200:]}")
        with tarfile.open(file.parent / f"axe-core-{AXE}.tgz") as packed:
            file.write_bytes(packed.extractfile("package/axe.min.js").read())
    return file.read_text(encoding="utf-8")
