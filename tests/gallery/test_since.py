"""What a branch accepted: changed references and tolerances are shown to the reviewer, though nothing drifts."""

import json
import shutil
import subprocess

import pytest
from toy_repository import edit

from shared.gallery.since import Base, changes_since


def git(root, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def branch(toy):
    """The toy repository committed, on a branch of its own."""
    git(toy.root, "init", "--initial-branch", "main")
    git(toy.root, "add", "papers")
    git(toy.root, "commit", "--message", "start")
    git(toy.root, "switch", "--create", "change")
    return toy


def changes(branch, tmp_path) -> list[tuple[str, str, str]]:
    found = changes_since(Base("main", branch.root, tmp_path / "base"))
    return [(one.artifact, one.kind, one.sentence) for one in found]


def test_an_unchanged_branch_shows_nothing(branch, tmp_path):
    assert changes(branch, tmp_path) == []


@pytest.mark.parametrize("commit", [True, False], ids=["committed", "in the working tree"])
def test_a_loosened_tolerance_is_shown_for_each_of_its_columns(branch, tmp_path, commit):
    edit(branch.paper / "paper.yaml", "rtol: 1.0e-3", "rtol: 0.5")
    if commit:
        git(branch.root, "commit", "--all", "--message", "loosen")
    sentence = "column loss: atol 1e-12 + rtol 0.001 → atol 1e-12 + rtol 0.5"
    assert changes(branch, tmp_path) == [("tab_final", "tolerance", sentence), ("fig_loss", "tolerance", sentence)]


def test_a_column_that_is_no_longer_compared_is_shown(branch, tmp_path):
    edit(branch.paper / "paper.yaml", "    exact: [label]\n", "")
    assert changes(branch, tmp_path) == [("fig_loss", "tolerance", "column label: exact → not declared")]


def test_an_accepted_verdict_and_threshold_are_shown(branch, tmp_path):
    file = branch.reference / "claims.json"
    claims = json.loads(file.read_text())
    claims[0]["verdict"] = "fails"
    claims[0]["checks"][0]["threshold"] = 0.7
    file.write_text(json.dumps(claims))
    assert changes(branch, tmp_path) == [
        ("descends", "verdict", "holds → fails"),
        ("descends", "threshold", "worst_final_loss: ≤ 0.5 → ≤ 0.7"),
    ]


def test_an_accepted_picture_comes_with_both_drawings(branch, tmp_path):
    image = branch.reference / "figures" / "fig_loss.png"
    before = image.read_bytes()
    image.write_bytes(before + b"\0")
    (one,) = changes_since(Base("main", branch.root, tmp_path / "base"))
    assert (one.kind, one.sentence, one.after) == ("picture", "the reference's picture changed", image)
    assert one.before.read_bytes() == before


def test_removed_and_new_references_are_shown(branch, tmp_path):
    (branch.reference / "figures" / "fig_loss.png").unlink()
    (branch.reference / "tables" / "tab_new.csv").write_text("a\n1\n")
    assert changes(branch, tmp_path) == [
        ("tab_new", "table", "the reference's table is new"),
        ("fig_loss", "picture", "the reference's picture is gone"),
    ]


def test_a_new_paper_takes_one_line(branch, tmp_path):
    shutil.copytree(branch.paper, branch.root / "papers" / "other", ignore=shutil.ignore_patterns("results"))
    assert changes(branch, tmp_path) == [("paper.yaml", "paper", "the paper is new")]


def test_what_the_other_branch_did_since_is_not_shown(branch, tmp_path):
    git(branch.root, "switch", "main")
    edit(branch.paper / "paper.yaml", "rtol: 1.0e-3", "rtol: 0.5")
    git(branch.root, "commit", "--all", "--message", "elsewhere")
    git(branch.root, "switch", "change")
    assert changes(branch, tmp_path) == []


def test_an_unknown_base_is_refused_in_a_sentence(branch, tmp_path):
    with pytest.raises(ValueError, match="no common ancestor of 'nowhere' and HEAD"):
        Base("nowhere", branch.root, tmp_path)
