"""Do two versions of the code give the same records? The loss-equality check of a refactoring.

    python -m shared.artifacts.same_records OLD NEW [--paper gidd] [--scale smoke] [--renamed check:part]

OLD and NEW are checkouts in which the scale has been built, or git revisions, which are then checked out into the cache
and built there (minutes). Every record of both is compared, byte by byte and, where the bytes differ, column by column.
Exit status 1 if a value differs, or a record is missing on one side.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from shared.artifacts.records import read_record
from shared.base.cache import cache_dir
from shared.base.errors import in_one_sentence
from shared.base.paths import repo_root


def checkout(version: str, papers: list[str], scale: str) -> Path:
    """The folder `version`, or a worktree of the git revision of that name with the papers built in it.

    Raises:
        ValueError: neither a folder nor a revision, or the build fails.
    """
    if Path(version).is_dir():
        return Path(version)
    revision = _git("rev-parse", "--verify", "--quiet", f"{version}^{{commit}}")
    if not revision:
        raise ValueError(f"'{version}' is neither a folder nor a git revision")
    folder = cache_dir() / "revisions" / revision[:12]
    if not folder.is_dir():
        _git("worktree", "add", "--quiet", "--detach", str(folder), revision)
    if (repo_root() / "data").is_dir() and not (folder / "data").exists():
        (folder / "data").symlink_to(repo_root() / "data")
    targets = [f"papers/{slug}/all" for slug in papers] or ["all"]
    command = [sys.executable, "-m", "snakemake", *targets, "--config", f"scale={scale}"]
    if subprocess.run(command, cwd=folder).returncode:
        raise ValueError(f"the build of {version} in {folder} fails")
    return folder


def _git(*arguments: str) -> str:
    """Output of a git command in this checkout; empty if it fails."""
    return subprocess.run(["git", *arguments], cwd=repo_root(), capture_output=True, encoding="utf-8").stdout.strip()


def records_of(root: Path, papers: list[str], scale: str) -> dict[str, Path]:
    """`slug/step/shard` -> record, of all papers that are built."""
    found = {}
    for path in sorted(root.glob(f"papers/*/results/{scale}/runs/*/*.parquet")):
        slug = path.relative_to(root).parts[1]
        if not papers or slug in papers:
            found["/".join([slug, path.parent.name, path.stem])] = path
    return found


def differences(old: Path, new: Path, renamed: dict[str, str]) -> list[str]:
    """Sentences on how two records differ in value; empty if they do not."""
    if old.read_bytes() == new.read_bytes():
        return []
    before, after = read_record(old).rename(columns=renamed), read_record(new)
    sentences = [f"column '{c}' is missing" for c in before if c not in after]
    sentences += [f"column '{c}' is new" for c in after if c not in before]
    if len(before) != len(after):
        return [*sentences, f"{len(before)} rows became {len(after)}"]
    for column in [c for c in before if c in after]:
        one, other = before[column], after[column]
        same = (one == other) | (one.isna() & other.isna())
        if not same.all():
            first = int((~same).to_numpy().argmax())
            sentences.append(
                f"column '{column}': {int((~same).sum())} of {len(same)} values differ; first in row {first}: "
                f"{one[first]!r} -> {other[first]!r}{_largest(one, other)}"
            )
    return sentences


def _largest(one: pd.Series, other: pd.Series) -> str:
    numbers = [pd.to_numeric(s, errors="coerce") for s in (one, other)]
    relative = ((numbers[1] - numbers[0]).abs() / numbers[0].abs()).max()
    return f" (largest relative change {relative:.2g})" if pd.notna(relative) else ""


def compare(old: dict[str, Path], new: dict[str, Path], renamed: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """(record, how it differs) for every record of either side."""
    for name in sorted({*old, *new}):
        if name not in new or name not in old:
            yield name, [f"only in the {'old' if name in old else 'new'} version"]
        else:
            yield name, differences(old[name], new[name], renamed)


@in_one_sentence
def main(
    old: Annotated[str, typer.Argument(help="Checkout with built results, or a git revision.")],
    new: Annotated[str, typer.Argument(help="The same of the other version.")],
    paper: Annotated[list[str] | None, typer.Option(help="Only this paper; may be repeated.")] = None,
    scale: Annotated[str, typer.Option(help="Scale that is compared.")] = "smoke",
    renamed: Annotated[list[str] | None, typer.Option(help="OLD:NEW name of a column; may be repeated.")] = None,
) -> None:
    """Compare the records of two versions; exit status 1 if a value differs."""
    papers = paper or []
    names = dict(pair.split(":", 1) for pair in renamed or [])
    sides = [records_of(checkout(version, papers, scale), papers, scale) for version in (old, new)]
    if not any(sides):
        raise ValueError(f"neither side has records at scale {scale}; build them first")
    found = list(compare(*sides, names))
    for name, sentences in found:
        for sentence in sentences:
            typer.echo(f"{name}: {sentence}")
    differing = sum(bool(sentences) for _, sentences in found)
    typer.echo(f"{len(found) - differing} of {len(found)} records are the same")
    if differing:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
