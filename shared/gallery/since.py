"""What a branch changes in references and tolerances since it left another one.

A diff against the reference is silent where the reference itself was replaced. So a reviewer is shown, beside the
drift, what the branch accepted: pictures, tables, verdicts and thresholds of the references, and every tolerance that
paper.yaml declares otherwise than before.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from shared.artifacts.paper import Paper, load_paper
from shared.base.files import read_json, write_bytes
from shared.gallery.bars import wanted

KINDS = ("paper", "verdict", "tolerance", "threshold", "table", "picture")  # in the order in which to read them


@dataclass(frozen=True)
class Change:
    """One thing that a reviewer should look at; `before` and `after` are pictures, where there are some."""

    slug: str
    scale: str
    artifact: str
    kind: str  # one of KINDS
    sentence: str
    before: Path | None = None
    after: Path | None = None


class Base:
    """Files of the revision that the branch left, put into a folder when they are asked for.

    Args:
        revision: a branch, tag or commit; compared is where HEAD left it.
        root: the checkout.
        folder: empty.
    Raises:
        ValueError: no such revision, or no git checkout.
    """

    def __init__(self, revision: str, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        try:
            self.commit = self._git("merge-base", revision, "HEAD").decode().strip()
        except (OSError, subprocess.CalledProcessError):
            raise ValueError(
                f"git knows no common ancestor of '{revision}' and HEAD here; fetch it first, with its history"
            ) from None

    def _git(self, *arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, check=True).stdout

    def changed(self) -> list[str]:
        """Files of references and paper.yaml that differ in the working tree, added and removed ones included."""
        patterns = [":(glob)papers/*/reference/**", ":(glob)papers/*/paper.yaml"]
        tracked = self._git("diff", "--name-only", "-z", "--no-renames", self.commit, "--", *patterns)
        new = self._git("ls-files", "-z", "--others", "--exclude-standard", "--", *patterns)
        return sorted({name for name in (tracked + new).decode().split("\0") if name})

    def file(self, name: str) -> Path | None:
        """The file as it was; None if it was not there."""
        try:
            content = self._git("show", f"{self.commit}:{name}")
        except subprocess.CalledProcessError:
            return None
        write_bytes(self.folder / name, content)
        return self.folder / name


def changes_since(base: Base) -> list[Change]:
    """All that the working tree changes in references and tolerances since `base`; a paper that is new in one line."""
    found, changed = [], base.changed()
    new = {slug for slug in {name.split("/")[1] for name in changed} if base.file(f"papers/{slug}/paper.yaml") is None}
    for name in [n for n in changed if n.split("/")[1] not in new or n.endswith("/paper.yaml")]:
        before, after = base.file(name), base.root / name
        after = after if after.is_file() else None
        _, slug, *below = name.split("/")
        if below == ["paper.yaml"]:
            found += tolerance_changes(slug, before, after, base)
        elif name.endswith("claims.json"):
            found += verdict_changes(slug, below[1], before, after)
        elif name.endswith((".png", ".csv")):
            kind = "picture" if name.endswith(".png") else "table"
            what = "changed" if before and after else "is new" if after else "is gone"
            pair = (before, after) if kind == "picture" else (None, None)
            sentence = f"the reference's {kind} {what}"
            found.append(Change(slug, below[1], Path(name).stem, kind, sentence, *pair))
    return sorted(found, key=lambda one: KINDS.index(one.kind))


def verdict_changes(slug: str, scale: str, before: Path | None, after: Path | None) -> list[Change]:
    """Verdicts and thresholds that a reference's claims.json has otherwise than before."""
    old, new = ({e["id"]: e for e in read_json(file)} if file else {} for file in (before, after))
    found = []
    for id in [*old, *(id for id in new if id not in old)]:
        verdicts = [entries[id]["verdict"] if id in entries else "absent" for entries in (old, new)]
        if verdicts[0] != verdicts[1]:
            found.append(Change(slug, scale, id, "verdict", f"{verdicts[0]} → {verdicts[1]}"))
        if id in old and id in new:
            found += _threshold_changes(slug, scale, id, old[id].get("checks", []), new[id].get("checks", []))
    return found


def _threshold_changes(slug: str, scale: str, id: str, old: list[dict], new: list[dict]) -> list[Change]:
    asked = [{check["name"]: wanted(check) for check in checks} for checks in (old, new)]
    names = [*asked[0], *(name for name in asked[1] if name not in asked[0])]
    pairs = [(name, *(one.get(name, "not asked") for one in asked)) for name in names]
    return [
        Change(slug, scale, id, "threshold", f"{name}: {before} → {after}")
        for name, before, after in pairs
        if before != after
    ]


def tolerance_changes(slug: str, before: Path | None, after: Path | None, base: Base) -> list[Change]:
    """Artifacts and columns whose tolerances paper.yaml declares otherwise than before."""
    if before is None or after is None:
        return [Change(slug, "all", "paper.yaml", "paper", "the paper is " + ("new" if after else "gone"))]
    try:
        base.file(f"papers/{slug}/config.yaml")  # whose scales paper.yaml may name
        old = load_paper(slug, base.folder)
    except ValueError as error:
        return [Change(slug, "all", "paper.yaml", "tolerance", f"cannot be read as it was: {error}")]
    declared = [_tolerances(paper) for paper in (old, load_paper(slug, base.root))]
    places = [*declared[0], *(place for place in declared[1] if place not in declared[0])]
    found = []
    for place in places:
        told = [one.get(place, "not declared") for one in declared]
        if told[0] != told[1]:
            artifact, column = place
            found.append(Change(slug, "all", artifact, "tolerance", f"column {column}: {told[0]} → {told[1]}"))
    return found


def _tolerances(paper: Paper) -> dict[tuple[str, str], str]:
    artifacts = {**paper.tables, **paper.figures}
    keys = {(name, key): "key" for name, artifact in artifacts.items() for key in artifact.keys}
    columns = {
        (n, column): tolerance.describe() for n, a in artifacts.items() for column, tolerance in a.columns.items()
    }
    return keys | columns
