"""The toy paper, built and accepted, and what its diff page says."""

from dataclasses import dataclass
from pathlib import Path

from toy_repository import run_in


def succeed(root: Path, *arguments: str) -> str:
    """What `python arguments` prints in a repository, where it has to end with 0."""
    result = run_in(root, *arguments)
    assert result.returncode == 0, result.stdout
    return result.stdout


@dataclass(frozen=True)
class Toy:
    """A repository with the toy paper, built and accepted at scale smoke."""

    root: Path

    @property
    def paper(self) -> Path:
        return self.root / "papers" / "toy"

    @property
    def results(self) -> Path:
        return self.paper / "results" / "smoke"

    @property
    def reference(self) -> Path:
        return self.paper / "reference" / "smoke"

    def diff(self) -> tuple[int, str]:
        """Exit status of a comparison, and the HTML of the page written after it."""
        done = run_in(self.root, "-m", "shared.gallery.diff", "toy", "--scale", "smoke", "--compare")
        assert str(self.root / "build" / "diff" / "index.html") in done.stdout, done.stdout
        return done.returncode, (self.root / "build" / "diff" / "index.html").read_text(encoding="utf-8")
