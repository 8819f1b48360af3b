"""A repository with one paper, the toy paper, to build, edit and break in a temporary folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ARTIFACTS = ["figures/fig_loss.csv", "figures/fig_loss.png", "figures/fig_loss.svg"]
ARTIFACTS += ["tables/tab_final.csv", "tables/tab_final.md", "tables/tab_final.tex", "claims.json", "summary.md"]


def make_repository(root: Path) -> Path:
    """Copy the workflow, `shared` and the toy paper to `root`; returns `root`."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("workflows", "profiles", "shared"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    shutil.copytree(HERE / "toy_paper", root / "papers" / "toy", ignore=ignored)
    for file in ("Snakefile", "pyproject.toml", "papers/__init__.py"):
        shutil.copyfile(ROOT / file, root / file)
    shutil.copyfile(HERE / "toy_kernel.py", root / "shared" / "kernels" / "quadratic.py")
    return root


def environment(**changes: str) -> dict[str, str]:
    """Environment in which `python` and `snakemake` are those of these tests; a wide terminal keeps sentences whole."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MPLBACKEND", "MATPLOTLIBRC")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "COLUMNS": "200", "OMP_NUM_THREADS": "1"} | changes


def run_in(root: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess:
    """`python arguments` in a repository; stdout holds both streams, in the order written."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=root,
        env=environment(**changes),
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def edit(file: Path, old: str, new: str) -> None:
    """Replace the one occurrence of `old` in a file."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{text.count(old)} times '{old}' in {file}"
    file.write_text(text.replace(old, new), encoding="utf-8")


def forget_toy() -> None:
    """The next import of the toy paper in this process reads its files anew."""
    for name in [n for n in sys.modules if n.startswith("papers.toy") or n == "shared.kernels.quadratic"]:
        del sys.modules[name]
