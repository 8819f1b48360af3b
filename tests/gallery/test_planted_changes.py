"""A planted change of each kind is found, shown with its pictures, and fails the diff."""

import json

import pytest
from toy_repository import edit, run_in


def test_nothing_drifts_after_a_build(toy):
    status, page = toy.diff()
    assert status == 0 and "Nothing drifted." in page and 'class="claim' not in page


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("figures.py", 'palette="viridis"', 'palette="magma"'),
        ("figures.py", 'xlabel="step"', 'xlabel="steps"'),
    ],
    ids=["colour", "label"],
)
def test_another_drawing_is_shown_before_and_after_with_its_marks(toy, file, old, new):
    edit(toy.paper / file, old, new)
    status, page = toy.diff()
    assert status == 1 and "1 check drifted." in page
    assert "today&#39;s code draws the reference table differently" in page
    pictures = {p.name.split(".", 3)[-1] for p in (toy.root / "build" / "diff" / "toy").iterdir()}
    assert pictures == {"before.webp", "after.webp", "marks.png", "sheet.png"}
    assert "before, after, difference](toy/smoke.fig_loss.0.sheet.png)" in (
        toy.root / "build" / "diff" / "summary.md"
    ).read_text(encoding="utf-8")


def test_another_number_is_shown_with_how_far_it_moved(toy):
    table = toy.reference / "tables" / "tab_final.csv"
    (line,) = [line for line in table.read_text().splitlines() if line.startswith("1,")]
    loss = line.split(",")[1]
    edit(table, line, line.replace(loss, f"{1.05 * float(loss):.6g}"))
    status, page = toy.diff()
    assert status == 1 and "1 check drifted." in page
    assert "<td>curvature=1</td><td>loss</td>" in page
    assert "-4.8 %" in page and "47.6" in page  # 1/1.05 - 1, and that over rtol 1e-3


def test_a_number_inside_a_tightened_tolerance_no_longer_passes(toy):
    table = toy.reference / "tables" / "tab_final.csv"
    (line,) = [line for line in table.read_text().splitlines() if line.startswith("1,")]
    edit(table, line, line.replace(line.split(",")[1], f"{1.0005 * float(line.split(',')[1]):.7g}"))
    assert toy.diff()[0] == 0
    edit(toy.paper / "paper.yaml", "rtol: 1.0e-3", "rtol: 1.0e-5")
    status, page = toy.diff()
    assert status == 1 and "<td>loss</td>" in page and "rtol 1e-05" in page


def test_another_verdict_is_shown(toy):
    claims = json.loads((toy.reference / "claims.json").read_text())
    claims[0]["verdict"] = "fails"
    (toy.reference / "claims.json").write_text(json.dumps(claims))
    status, page = toy.diff()
    assert status == 1 and "verdict changed: fails -&gt; holds" in page


def test_a_missing_figure_is_named_and_what_is_left_of_it_shown(toy):
    (toy.results / "figures" / "fig_loss.png").unlink()
    status, page = toy.diff()
    assert status == 1 and "results/smoke/figures/fig_loss.png is missing" in page and "only reference" in page


def test_a_page_for_a_paper_that_was_not_compared_is_refused(toy):
    result = run_in(toy.root, "-m", "shared.gallery.diff", "toy", "--scale", "cpu")
    assert result.returncode == 1
    assert "toy was not compared at scale cpu; run snakemake papers/toy/diff --config scale=cpu" in result.stdout


def test_a_page_without_any_comparison_does_not_say_that_nothing_drifted(toy):
    assert run_in(toy.root, "-m", "shared.gallery.diff", "--scale", "gpu").returncode == 0
    page = (toy.root / "build" / "diff" / "index.html").read_text(encoding="utf-8")
    assert "No paper was compared." in page and "Nothing drifted" not in page
