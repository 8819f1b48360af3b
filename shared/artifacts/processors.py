"""Rebuild papers as another processor would, and compare with the reference.

    python -m shared.artifacts.processors gidd ngn_m --scale smoke [--processor avx2-2-threads] [--record --resume]

Numbers differ between processors: libraries choose other kernels for other instruction sets, threads split sums at
other places, and training amplifies the last bit. A verdict has to survive that. Each setting limits the instruction
sets of torch, MKL, oneDNN and OpenBLAS through the environment and sets the number of threads; a copy of this checkout
is built under it from nothing and diffed. --record notes the outcome in reference/<scale>/processors.json, where the
README takes it from. --resume goes on with a build that was stopped. Exit status 1 on drift.

What acts was measured, torch 2.13 on an AVX2 machine: ATEN_CPU_CAPABILITY changes element-wise kernels, sums and
softmax, MKL_CBWR the matrix products, OPENBLAS_CORETYPE those of NumPy. MKL_ENABLE_INSTRUCTIONS does nothing on a
processor that is not Intel's, ONEDNN_MAX_CPU_ISA nothing above what the machine has. The compiled kernels follow
ATEN_CPU_CAPABILITY, and their bits are the same under all of these settings.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.compare import Finding, compare_paper, print_findings
from shared.artifacts.paths import PaperPaths
from shared.artifacts.provenance import git_state
from shared.base.cache import cache_dir
from shared.base.errors import in_one_sentence, nearest_or_all
from shared.base.files import read_json, write_json
from shared.base.paths import repo_root

THREADS = "ARTIFACTS_THREADS"  # read by step.py: threads of every step, whatever its rule says
PROCESSORS = {
    "sse-1-thread": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        THREADS: "1",
    },
    "avx2-2-threads": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        THREADS: "2",
    },
}


def copy_checkout(folder: Path) -> None:
    """Put this checkout's files, as they are in the working tree, into an empty `folder`; `data/` becomes a link."""
    root = repo_root()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    shutil.rmtree(folder, ignore_errors=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    if (root / "data").is_dir():
        (folder / "data").symlink_to((root / "data").resolve())


def _renew_copy(folder: Path, slug: str, scale: str) -> None:
    """Copy this checkout anew into `folder`, but leave what was built there of a paper at a scale."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        for part in (f"papers/{slug}/results/{scale}", ".snakemake"):
            if (folder / part).is_dir():
                Path(aside, part).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(folder / part, Path(aside, part))
        copy_checkout(folder)
        shutil.copytree(aside, folder, dirs_exist_ok=True)  # with times of change, which Snakemake looks at


def rebuild(slug: str, scale: str, processor: str, resume: bool = False) -> list[Finding]:
    """Build a paper in a copy of this checkout under the settings of `processor`; how it differs from the reference.

    The build starts from nothing, or with `resume` from what is there: what an edit made stale is run again.

    Raises:
        ValueError: no such processor, or the build fails.
    """
    if processor not in PROCESSORS:
        raise ValueError(f"unknown processor '{processor}'; {nearest_or_all(processor, PROCESSORS)}")
    folder = cache_dir() / "processors" / processor
    if resume and folder.is_dir():
        _renew_copy(folder, slug, scale)
    else:
        copy_checkout(folder)
    environment = {**os.environ, **PROCESSORS[processor], "ARTIFACTS_CACHE": str(cache_dir())}
    command = [sys.executable, "-m", "snakemake", f"papers/{slug}/all", "--nolock", "--config", f"scale={scale}"]
    result = subprocess.run(
        command, cwd=folder, env=environment, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if result.returncode:
        raise ValueError(f"the build of {slug} as {processor} in {folder} fails: {result.stdout[-2000:]}")
    return [f for f in compare_paper(slug, scale, folder) if f.check != "drawing"]  # drawing needs no other processor


def record(slug: str, scale: str, processor: str, findings: list[Finding]) -> None:
    """Note an outcome beside the reference it was compared with."""
    file = PaperPaths(slug, scale).reference / "processors.json"
    known = read_json(file) if file.is_file() else {}
    known[processor] = {
        "checks": len(findings),
        "drifted": sum(bool(f.drift) for f in findings),
        "notes": [f"{f.artifact}: {f.note}" for f in findings if f.note],
        "settings": PROCESSORS[processor],
        "machine": platform.machine(),
        "revision": git_state()["revision"],
    }
    write_json(file, dict(sorted(known.items())))


@in_one_sentence
def main(
    slugs: Annotated[list[str], typer.Argument(help="Papers, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="Scale to rebuild.")] = "smoke",
    processor: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(PROCESSORS)}; all if omitted.")
    ] = None,
    keep: Annotated[bool, typer.Option("--record", help="Note the outcome beside the reference.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with a build that was stopped.")] = False,
) -> None:
    """Rebuild papers under other instruction sets and thread counts, and diff."""
    drifted = False
    for slug in slugs:
        for each in processor or PROCESSORS:
            findings = rebuild(slug, scale, each, resume)
            typer.echo(f"{slug} as {each}:")
            print_findings(slug, scale, findings)
            drifted |= any(f.drift for f in findings)
            if keep:
                record(slug, scale, each, findings)
    if drifted:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
