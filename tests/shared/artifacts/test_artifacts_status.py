"""Status: Snakemake's reasons, in words. The texts are what `snakemake -n` prints."""

import pytest

from shared.artifacts import status as module
from shared.artifacts.paths import PaperPaths
from shared.artifacts.status import explain_stale, status
from shared.base.files import write_json

CHANGED = "Params have changed since last execution: Union of exclusive params before and now across all output: "
DRY_RUN = f"""
localrule toy_descend:
    output: papers/toy/results/smoke/runs/descend/curvature=1.parquet
    jobid: 3
    reason: {CHANGED}before: 'descent.lr=0.05' now: 'descent.lr=0.1'
    wildcards: scale=smoke, shard=curvature=1

localrule toy_descend:
    output: papers/toy/results/smoke/runs/descend/curvature=10.parquet
    jobid: 4
    reason: {CHANGED}before: 'descent.lr=0.05' now: 'descent.lr=0.1'

rule toy_tables:
    reason: Input files updated by another job: papers/toy/results/smoke/runs/descend/curvature=10.parquet

rule toy_figure:
    reason: {CHANGED}before: '0123456789ab' now: 'ba9876543210'
"""


def test_the_causes_are_told_and_the_consequences_left_out():
    assert explain_stale(DRY_RUN, "toy") == (
        "descend (2 jobs): changed descent.lr; figure: its code or a module it imports changed"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Missing output files: papers/toy/results/smoke/claims.json", "not built yet"),
        ("Updated input files: papers/toy/reported.csv", "an input file is newer"),
        ("Output is marked as incomplete", "a killed job left it half-written"),
        ("Code has changed since last execution", "the rule changed"),
    ],
)
def test_each_reason_has_its_words(reason, words):
    assert explain_stale(f"localrule toy_judge:\n    reason: {reason}\n", "toy") == f"judge: {words}"


def test_nothing_to_do_is_nothing_stale():
    assert explain_stale("Nothing to be done (all requested files are present and up to date).\n", "toy") == ""


def test_a_built_paper_counts_its_artifacts_verdicts_and_minutes(toy, monkeypatch):
    monkeypatch.setattr(module, "dry_run", lambda *_: DRY_RUN)
    state = status("toy", "smoke")
    assert state.built == "2 of 2 artifacts"
    assert state.claims == "paper: 1 holds; ours: 1 not testable at this scale"
    assert state.stale.startswith("descend (2 jobs)") and float(state.cpu_minutes) >= 0 and float(state.minutes) >= 0


def test_an_unbuilt_scale_is_said_to_be_unbuilt(toy):
    state = status("toy", "cpu")
    assert (state.built, state.stale, state.claims) == ("0 of 2 artifacts", "not built", "")
    assert (state.cpu_minutes, state.minutes) == ("", "")


def test_without_records_the_minutes_are_those_of_the_accepted_build(toy):
    cost = {"cpu_minutes": 14.62, "compute_minutes": 99.67}
    write_json(PaperPaths("toy", "cpu").reference / "provenance.json", cost)
    state = status("toy", "cpu")
    assert (state.cpu_minutes, state.minutes) == ("14.62 (reference)", "99.67 (reference)")


def test_a_key_longer_than_its_column_is_printed_whole(toy, monkeypatch, capsys):
    key = "studies.main.sweep.blocks.of_a_name_that_is_longer_than_a_terminal_is_wide_" + "x" * 60
    monkeypatch.setattr(module, "dry_run", lambda *_: DRY_RUN.replace("descent.lr", key))
    monkeypatch.setenv("COLUMNS", "80")
    module.main("toy", "smoke")
    printed = "".join(line.split("│")[4].strip() for line in capsys.readouterr().out.splitlines() if "│" in line)
    assert key in printed
