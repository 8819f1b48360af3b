"""`dvc pull`, in a checkout of git or in an unpacked archive of it.

python -m shared.data.pull
"""

import subprocess
import sys
from pathlib import Path

import typer

from shared.base.errors import in_one_sentence
from shared.base.paths import repo_root


def pull(root: Path) -> None:
    """Bring the contents of data/.

    Raises:
        ValueError: DVC fails; its own words and what to do.
    """
    if not (root / ".git").exists():
        _without_git(root)
    command = [sys.executable, "-m", "dvc", "pull", "--quiet"]
    result = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", errors="replace")
    if result.returncode:
        said = " ".join((result.stderr or result.stdout).split()) or f"exit status {result.returncode}"
        raise ValueError(
            f"dvc pull failed: {said}; if an object in dvc-store/ is damaged, get it anew (git checkout dvc-store, or "
            f"unpack the archive again) and run dvc pull; see docs/data.md"
        )


def _without_git(root: Path) -> None:
    """Tell DVC, in the ignored .dvc/config.local, that this tree is no git repository."""
    local = root / ".dvc" / "config.local"
    text = local.read_text(encoding="utf-8") if local.is_file() else ""
    if "no_scm" not in text:
        local.write_text(f"{text}[core]\n    no_scm = true\n", encoding="utf-8")


@in_one_sentence
def main() -> None:
    """Bring the contents of data/."""
    pull(repo_root())


if __name__ == "__main__":
    typer.run(main)
