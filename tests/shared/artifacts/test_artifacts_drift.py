"""Comparing a build with its reference: what changed is found, as data or as drawing, and shown."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toy_repository import HERE, edit, forget_toy, run_in

from shared.artifacts.accept import accept, derive, reference_cost
from shared.artifacts.compare import compare_paper, print_findings, report
from shared.artifacts.csv_files import read_csv, to_csv
from shared.artifacts.figures import build_figures, drawn_today
from shared.artifacts.paper import artifact_csv, figure_png, load_paper
from shared.artifacts.paths import PaperPaths
from shared.artifacts.pixels import differing_pixels
from shared.base.settings import load_yaml


def drifts(scale="smoke") -> list[tuple[str, str, str]]:
    return [(f.artifact, f.check, f.drift) for f in compare_paper("toy", scale) if f.drift]


def rewrite(path, change) -> None:
    frame = read_csv(path)
    path.write_text(to_csv(change(frame)), encoding="utf-8")


def all_columns() -> list[tuple[str, str]]:
    content = load_yaml(HERE / "toy_paper" / "paper.yaml")
    artifacts = {**content["tables"], **content["figures"]}
    return [(name, c) for name, a in artifacts.items() for c in [*a["keys"], *a["computed"], *a.get("exact", [])]]


def test_a_fresh_reference_is_clean(toy):
    findings = compare_paper("toy", "smoke")
    assert [f.drift for f in findings if f.drift] == []
    assert {f.check for f in findings} == {"presence", "data", "verdict", "drawing"}


@pytest.mark.parametrize(("artifact", "column"), all_columns())
def test_one_changed_value_in_any_column_is_data_drift(toy, artifact, column):
    def change(frame):
        value = frame[column].iloc[-1]
        other = "other" if isinstance(value, str) else 0.5 if pd.isna(value) else value + 1
        frame[column] = [*frame[column].iloc[:-1], other]
        return frame

    rewrite(artifact_csv(toy, artifact), change)
    found = drifts()
    assert [(name, check) for name, check, _ in found] == [(artifact, "data")]


def test_the_builds_own_drawing_counts_as_todays_only_under_todays_code_and_the_references_table(toy, monkeypatch):
    drawn = []
    monkeypatch.setattr("shared.artifacts.figures.draw", lambda *given, **_: drawn.append(given) or {"png": b"redrawn"})
    image = figure_png(toy, "fig_loss").read_bytes()
    assert drawn_today(toy, "fig_loss") == image and compare_paper("toy", "smoke") and not drawn
    edit(toy.folder / "figures.py", "figsize=(3, 2)", "figsize=(3, 3)")
    assert drawn_today(toy, "fig_loss") is None
    edit(toy.folder / "figures.py", "figsize=(3, 3)", "figsize=(3, 2)")
    rewrite(artifact_csv(toy, "fig_loss"), lambda frame: frame.assign(label="other"))
    assert drawn_today(toy, "fig_loss") is None


@pytest.mark.parametrize("artifact", ["tab_final", "fig_loss"])
@pytest.mark.parametrize("change", [lambda f: f.iloc[1:], lambda f: pd.concat([f, f.tail(1).assign(curvature=99)])])
def test_a_dropped_and_an_added_row_are_data_drift(toy, artifact, change):
    rewrite(artifact_csv(toy, artifact), change)
    assert [(name, check) for name, check, _ in drifts()] == [(artifact, "data")]


def test_an_undeclared_column_is_data_drift(toy):
    rewrite(artifact_csv(toy, "tab_final"), lambda frame: frame.assign(extra=1))
    assert drifts()[0][2] == "column 'extra' of the rebuilt table is not declared in paper.yaml"


def test_noise_inside_the_tolerance_is_let_through(toy):
    noise = np.random.default_rng(0).uniform(-9e-4, 9e-4, 200)  # paper.yaml declares rtol 1e-3
    for name in ("tab_final", "fig_loss"):
        rewrite(artifact_csv(toy, name), lambda frame: frame.assign(loss=frame.loss * (1 + noise[: len(frame)])))
    assert drifts() == []


def test_a_drifted_figure_is_shown_side_by_side(toy):
    rewrite(artifact_csv(toy, "fig_loss"), lambda frame: frame.assign(loss=frame.loss * 2))
    assert drifts()
    with (
        Image.open(toy.results / "diff" / "fig_loss.data.png") as sheet,
        Image.open(figure_png(toy, "fig_loss")) as one,
    ):
        assert sheet.width >= 3 * one.width and sheet.height >= one.height


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('xlabel="step"', 'xlabel="steps"'),
        ('palette="viridis"', 'palette="magma"'),
        ("figsize=(3, 2)", "figsize=(3, 3)"),
    ],
    ids=["axis label", "colour", "size"],
)
def test_changed_figure_code_is_drawing_drift_and_shown(toy, old, new):
    edit(toy.folder / "figures.py", old, new)
    (found,) = drifts()
    assert found[:2] == ("fig_loss", "drawing")
    assert (toy.results / "diff" / "fig_loss.smoke.drawing.png").is_file()
    assert not (toy.results / "diff" / "fig_loss.data.png").exists()


def test_figure_code_that_fails_is_drawing_drift(toy):
    edit(toy.folder / "figures.py", 'y="loss"', 'y="los"')
    (found,) = drifts()
    assert found[1] == "drawing" and "today's code cannot draw the reference table" in found[2]


def test_drawing_drift_is_found_at_a_scale_that_was_not_built(toy):
    paper = PaperPaths("toy", "paper")
    shutil.copytree(toy.reference, paper.reference)
    assert drifts() == []
    with Image.open(figure_png(paper, "fig_loss", reference=True)) as image:
        pixels = np.array(image.convert("RGB"))
    pixels[100:120, 100:120] = 0
    Image.fromarray(pixels).save(figure_png(paper, "fig_loss", reference=True))
    found = [f for f in compare_paper("toy", "smoke") if f.drift]
    assert [(f.scale, f.artifact, f.check) for f in found] == [("paper", "fig_loss", "drawing")]
    assert (toy.results / "diff" / "fig_loss.paper.drawing.png").is_file()


def test_another_rounding_of_the_anti_aliasing_is_no_drift(toy):
    reference = figure_png(toy, "fig_loss", reference=True)
    with Image.open(reference) as image:
        pixels = np.array(image.convert("RGB"))
    pixels = np.where(pixels < 250, pixels + 5, pixels)
    Image.fromarray(pixels).save(toy.results / "shade.png")
    assert differing_pixels(reference, toy.results / "shade.png")[0] == 0.0


@pytest.mark.parametrize("reference", [True, False], ids=["of the reference", "of the build"])
@pytest.mark.parametrize(
    ("where", "name"), [(artifact_csv, "tab_final"), (artifact_csv, "fig_loss"), (figure_png, "fig_loss")]
)
def test_a_missing_file_is_drift(toy, where, name, reference):
    file = where(toy, name, reference)
    file.unlink()
    assert [(n, check) for n, check, _ in drifts()] == [(name, "presence")]
    assert f"{toy.relative(file)} is missing" in drifts()[0][2]


@pytest.mark.parametrize("file", ["tables/old.csv", "figures/old.csv", "figures/old.png"])
@pytest.mark.parametrize("base", ["results", "reference"])
def test_an_unexpected_file_is_drift(toy, base, file):
    path = getattr(toy, base) / file
    shutil.copyfile(getattr(toy, base) / file.replace("old", "tab_final" if "tables" in file else "fig_loss"), path)
    (found,) = drifts()
    assert found[:2] == ("old", "presence") and toy.relative(path) in found[2]


def test_a_changed_and_a_vanished_verdict_are_drift(toy):
    file = toy.results / "claims.json"
    entries = json.loads(file.read_text(encoding="utf-8"))
    entries[0]["verdict"] = "fails"
    file.write_text(json.dumps(entries[:1]), encoding="utf-8")
    assert [found[::2] for found in drifts()] == [
        ("descends", "verdict changed: holds -> fails"),
        ("fast", "verdict changed: not testable at this scale -> absent"),
    ]
    file.unlink()
    assert [found[:2] for found in drifts()] == [("claims.json", "presence")]


@pytest.mark.parametrize(("before", "after"), [("holds", "within noise"), ("within noise", "fails")])
def test_a_verdict_that_moves_into_or_out_of_the_noise_is_a_note(toy, before, after):
    for base, verdict in ((toy.reference, before), (toy.results, after)):
        entries = json.loads((base / "claims.json").read_text(encoding="utf-8"))
        entries[0]["verdict"] = verdict
        (base / "claims.json").write_text(json.dumps(entries), encoding="utf-8")
    findings = compare_paper("toy", "smoke")
    assert [f.drift for f in findings if f.drift] == []
    assert [f.note for f in findings if f.note] == [f"verdict changed: {before} -> {after}"]
    assert f"ok (verdict changed: {before} -> {after})" in report("toy", "smoke", findings)


def test_without_a_reference_everything_is_drift_and_accept_is_named(toy):
    shutil.rmtree(toy.reference)
    ((_, check, sentence),) = drifts()
    assert check == "presence" and "no reference at papers/toy/reference/smoke" in sentence and "accept" in sentence


def test_the_report_lists_drift_first_and_every_check(toy):
    rewrite(artifact_csv(toy, "tab_final"), lambda frame: frame.assign(reported=[1.0, 2.0]))
    findings = compare_paper("toy", "smoke")
    lines = report("toy", "smoke", findings).splitlines()
    assert lines[0] == f"# toy at scale smoke: 1 of {len(findings)} checks drifted"
    assert lines[4].startswith("| tab_final | smoke | data | column 'reported': 2 of 2 values differ")
    assert sum(line.endswith("| ok |") for line in lines) == len(findings) - 1
    assert "python -m shared.artifacts.accept toy --scale smoke" in lines[-1]


def test_the_terminal_table_takes_values_as_they_stand(toy, capsys):
    rewrite(artifact_csv(toy, "fig_loss"), lambda frame: frame.assign(label="[/x]"))
    print_findings("toy", "smoke", compare_paper("toy", "smoke"))
    assert "[/x]" in capsys.readouterr().out


def test_the_command_ends_with_status_1_on_drift_and_0_without(toy, repository, built):
    shutil.copytree(built / "shared", repository / "shared")
    clean = run_in(repository, "-m", "shared.artifacts.compare", "toy", "--scale", "smoke")
    assert clean.returncode == 0 and "0 drifted" in clean.stdout, clean.stdout
    rewrite(artifact_csv(toy, "tab_final"), lambda frame: frame.assign(loss=frame.loss + 1))
    drifted = run_in(repository, "-m", "shared.artifacts.compare", "toy", "--scale", "smoke")
    assert drifted.returncode == 1 and "see papers/toy/results/smoke/diff/report.md" in drifted.stdout
    assert "tab_final" in (toy.results / "diff" / "report.md").read_text(encoding="utf-8")


# accepting


def test_after_accept_the_comparison_is_clean(toy):
    edit(toy.folder / "figures.py", 'xlabel="step"', 'xlabel="steps"')
    rewrite(artifact_csv(toy, "tab_final"), lambda frame: frame.assign(loss=frame.loss + 1))
    (toy.reference / "tables" / "old.csv").write_text("a\n1\n", encoding="utf-8")
    assert {check for _, check, _ in drifts()} == {"data", "drawing", "presence"}
    build_figures("toy", "smoke")
    written = accept("toy", "smoke")
    assert drifts() == []
    names = {str(p.relative_to(toy.reference)) for p in written}
    assert names == {"tables/tab_final.csv", "figures/fig_loss.csv", "figures/fig_loss.png", "claims.json"}
    assert {p.relative_to(toy.reference).as_posix() for p in toy.reference.rglob("*.*")} == names | {"provenance.json"}
    assert min(reference_cost(toy)[kind] for kind in ("cpu_minutes", "compute_minutes")) >= 0
    provenance = json.loads((toy.reference / "provenance.json").read_text(encoding="utf-8"))
    assert {"revision", "packages", "num_records", "compute_minutes", "cpu_minutes"} <= provenance.keys()


def test_the_accepted_state_of_the_repository_is_that_before_its_reference_changes(toy, monkeypatch):
    marker = toy.reference / "marker"
    marker.touch()
    state = {"revision": "abc", "dirty": False}
    monkeypatch.setattr("shared.artifacts.accept.git_state", lambda root: state | {"dirty": not marker.exists()})
    accept("toy", "smoke")
    assert (
        json.loads((toy.reference / "provenance.json").read_text(encoding="utf-8"))["dirty"] is False
        and not marker.exists()
    )


@pytest.mark.parametrize(
    "file", ["tables/tab_final.csv", "figures/fig_loss.csv", "figures/fig_loss.png", "claims.json"]
)
def test_accept_refuses_a_build_that_lacks_an_artifact_and_keeps_the_reference(toy, file):
    (toy.results / file).unlink()
    before = sorted(p.name for p in toy.reference.rglob("*"))
    with pytest.raises(
        ValueError, match=f"{file} is missing; build it first: snakemake papers/toy/all --config scale=smoke"
    ):
        accept("toy", "smoke")
    assert sorted(p.name for p in toy.reference.rglob("*")) == before


def test_an_artifact_of_other_scales_is_not_expected_here(toy):
    edit(toy.folder / "paper.yaml", "    paper_item: Table 1", "    paper_item: Table 1\n    scales: [paper]")
    assert list(load_paper("toy").artifacts("smoke")) == ["fig_loss"]
    assert {found[:2] for found in drifts()} == {("tab_final", "presence")}  # the files that an older build left


def test_a_scale_of_the_papers_own_is_compared_and_accepted(toy):
    edit(toy.folder / "config.yaml", "  smoke: {}", "  smoke: {}\n  long: {}")
    edit(toy.folder / "paper.yaml", "    paper_item: Table 1", "    paper_item: Table 1\n    scales: [long]")
    edit(toy.folder / "paper.yaml", "    paper_item: Figure 1", "    paper_item: Figure 1\n    scales: [long]")
    long = PaperPaths("toy", "long")
    shutil.copytree(toy.results, long.results)
    accept("toy", "long")
    assert drifts("long") == []
    forget_toy()
    edit(toy.folder / "figures.py", 'xlabel="step"', 'xlabel="steps"')
    assert [found[:2] for found in drifts("long")] == [("fig_loss", "drawing")]


def test_results_of_uncommitted_code_are_not_accepted_unless_asked_for(toy, monkeypatch):
    before = (toy.reference / "provenance.json").read_text(encoding="utf-8")
    monkeypatch.setattr("shared.artifacts.accept.git_state", lambda root: {"revision": "abc", "dirty": True})
    with pytest.raises(ValueError, match=r"this checkout has uncommitted changes, .*; commit .*--allow-dirty"):
        accept("toy", "smoke")
    assert (toy.reference / "provenance.json").read_text(encoding="utf-8") == before
    accept("toy", "smoke", allow_dirty=True)
    assert json.loads((toy.reference / "provenance.json").read_text(encoding="utf-8"))["dirty"] is True


def test_records_of_uncommitted_code_are_not_accepted(toy, monkeypatch):
    sidecar = next(toy.runs.glob("descend/*.provenance.json"))
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text(encoding="utf-8")) | {"dirty": True}), encoding="utf-8")
    monkeypatch.setattr("shared.artifacts.accept.git_state", lambda root: {"revision": "abc", "dirty": False})
    with pytest.raises(ValueError, match="1 records of toy were made with uncommitted changes"):
        accept("toy", "smoke")


def test_figures_and_verdicts_follow_from_the_references_own_tables(toy):
    """No results are needed: the tables stay, what follows from them is made anew, leftovers go."""
    shutil.rmtree(toy.results)
    edit(toy.folder / "figures.py", 'xlabel="step"', 'xlabel="steps"')
    edit(toy.folder / "config.yaml", "thresholds: {loss: 0.5}", "thresholds: {loss: 0.05}")
    (toy.reference / "tables" / "old.csv").write_text("a\n1\n", encoding="utf-8")
    table = (toy.reference / "tables" / "tab_final.csv").read_bytes()
    picture = (toy.reference / "figures" / "fig_loss.png").read_bytes()
    derive("toy", "smoke")
    assert (toy.reference / "tables" / "tab_final.csv").read_bytes() == table
    assert (toy.reference / "figures" / "fig_loss.png").read_bytes() != picture
    assert json.loads((toy.reference / "claims.json").read_text(encoding="utf-8"))[0]["verdict"] == "fails"
    assert not (toy.reference / "tables" / "old.csv").exists() and (toy.reference / "provenance.json").exists()


def test_a_column_that_no_reference_table_has_needs_a_build(toy):
    edit(toy.folder / "paper.yaml", "    exact: [reported]", "    exact: [reported, std]")
    with pytest.raises(ValueError, match=r"has no column 'std', .* build toy at scale smoke and accept that"):
        derive("toy", "smoke")
