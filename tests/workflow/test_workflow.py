"""What `snakemake papers/<slug>/all` promises, held to with the toy paper and the real Snakemake."""

import json
import os
import re

import pandas as pd
import pytest
from toy_repository import ARTIFACTS, edit, run_in

from shared.artifacts.status import explain_stale
from shared.artifacts.workflow import has_gpu


def stale(repository) -> str:
    """What a build would run and why, in words; empty if nothing."""
    result = repository.snakemake("-n", "papers/toy/all")
    assert result.returncode == 0, result.stdout
    return explain_stale(result.stdout, "toy")


def jobs(output: str) -> list[str]:
    """Rules of the jobs that Snakemake announced, in order."""
    return re.findall(r"^(?:local)?rule toy_(\w+):", output, flags=re.MULTILINE)


# building


def test_a_build_makes_every_artifact_and_prints_the_verdicts(first_build):
    repository, output = first_build
    assert [f for f in ARTIFACTS if not (repository.results / f).is_file()] == []
    assert sorted(jobs(output)) == ["descend", "figures", "tables"]
    assert re.search(r"descends .* holds", output) and "not testable at this scale" in output
    assert "1 tables, 1 figures" in output and "papers/toy/results/smoke/summary.md" in output
    assert re.search(r"done in \d+ s", output)
    assert "Gradient descent lowers the loss." in (repository.results / "summary.md").read_text(encoding="utf-8")


def test_every_job_has_a_log(first_build):
    logs = first_build[0].results / "logs"
    names = {str(p.relative_to(logs)) for p in logs.rglob("*.log")}
    steps = {"descend/all.log"}  # at smoke one job runs all shards
    assert names == steps | {"tables.log", "figures.log"}


def test_a_second_build_has_nothing_to_do(first_build):
    """What that costs is measured by `python -m shared.artifacts.smoke --keep`."""
    result = first_build[0].snakemake("papers/toy/all")
    assert result.returncode == 0 and "Nothing to be done" in result.stdout and jobs(result.stdout) == []


def test_the_root_targets_cover_every_paper(first_build):
    result = first_build[0].snakemake()
    assert result.returncode == 0 and "Nothing to be done" in result.stdout, result.stdout
    claims = first_build[0].snakemake("claims")
    assert claims.returncode == 0 and re.search(r"descends .* holds", claims.stdout), claims.stdout


def test_snakemake_s_own_report_has_captions_and_categories(built):
    result = built.snakemake("papers/toy/all", "--report", "report.html")
    assert result.returncode == 0, result.stdout
    report = (built.root / "report.html").read_text()
    for said in ("Loss over steps, by curvature.", "Final loss by curvature.", "fig_loss", "Figure 1", "Table 1"):
        assert said in report, said
    assert stale(built) == ""  # captions are written for the report alone, beside the results


# what reruns, and why


def test_nothing_is_stale_after_a_build(built):
    assert stale(built) == ""


def test_an_edited_kernel_reruns_exactly_its_users(built):
    edit(built.root / "shared" / "kernels" / "quadratic.py", "return 1 - lr", "return 1.0 - lr")
    assert stale(built) == "descend: its code or a module it imports changed"


def test_an_edited_figure_is_redrawn_and_nothing_else(built):
    edit(built.paper / "figures.py", 'xlabel="step"', 'xlabel="steps"')
    assert stale(built) == "figures: its code or a module it imports changed"


def test_an_edited_setting_reruns_the_steps_that_read_it(built):
    edit(built.paper / "config.yaml", "label: loss", "label: Loss")
    assert stale(built) == "tables: changed plot.label"


def test_an_edit_of_another_scale_reruns_nothing(built):
    edit(built.paper / "config.yaml", "num_steps: 80", "num_steps: 81")
    assert stale(built) == ""


def test_a_new_shard_leaves_the_others_alone(built):
    edit(built.paper / "config.yaml", "[1.0, 10.0]", "[1.0, 10.0, 5.0]")
    assert stale(built).split("; ")[0] == "descend: not built yet"


def test_an_edited_learning_rate_reruns_the_descents_and_the_reason_names_it(built):
    edit(built.paper / "config.yaml", "lr: 0.05", "lr: 0.1")
    result = built.snakemake("papers/toy/all")
    assert result.returncode == 0, result.stdout
    assert sorted(jobs(result.stdout)) == ["descend", "figures", "tables"]
    (reasons,) = {line for line in result.stdout.splitlines() if "Params have changed" in line}
    assert "'descent.lr=0.05'" in reasons and "'descent.lr=0.1'" in reasons and "num_steps" not in reasons


def test_status_tells_what_is_built_and_stale(built):
    edit(built.paper / "config.yaml", "label: loss", "label: Loss")
    result = run_in(built.root, "-m", "shared.artifacts.status", "toy", "--scale", "smoke")
    assert result.returncode == 0, result.stdout
    row = next(line for line in result.stdout.splitlines() if "toy" in line)
    assert "2 of 2 artifacts" in row and "tables: changed plot.label" in row and "1 holds" in row


# bad input


@pytest.fixture
def no_gpu():
    if has_gpu():
        pytest.skip("this machine has a GPU")


def refused(result) -> str:
    """The output of a run that has to fail without a traceback."""
    assert result.returncode != 0, result.stdout
    assert "Traceback" not in result.stdout and 'File "' not in result.stdout, result.stdout
    return result.stdout


def test_an_unknown_scale_names_the_choices(first_build):
    output = refused(first_build[0].snakemake("papers/toy/all", scale="smokey"))
    assert "unknown scale 'smokey'; choose one of smoke, cpu, gpu, paper; did you mean 'smoke'?" in output


def test_an_unknown_request_names_the_choices(first_build):
    output = refused(run_in(first_build[0].root, "-m", "snakemake", "--config", "scal=smoke"))
    assert "unknown --config key 'scal'; use scale=... or records=...; did you mean 'scale'?" in output


def test_a_misspelt_setting_names_the_nearest(fresh):
    edit(fresh.paper / "config.yaml", "lr: 0.05", "lrr: 0.05")
    output = refused(fresh.snakemake("papers/toy/all"))
    assert "papers/toy/config.yaml at scale smoke: " in output
    assert "unknown key 'lrr' in 'descent'; did you mean 'lr'?" in output


def test_a_misspelt_key_of_paper_yaml_names_the_nearest(fresh):
    edit(fresh.paper / "paper.yaml", "caption: Final", "captoin: Final")
    assert "tables.tab_final: unknown key 'captoin'; did you mean 'caption'?" in refused(
        fresh.snakemake("papers/toy/all")
    )


def test_scale_gpu_without_a_gpu_is_refused_before_anything_runs(no_gpu, fresh):
    output = refused(fresh.snakemake("papers/toy/all", scale="gpu"))
    assert "scale gpu of toy needs a GPU and this machine shows none; choose scale=cpu" in output
    assert not (fresh.paper / "results").exists()


def test_the_paper_scale_can_be_planned_without_a_gpu(fresh):
    result = fresh.snakemake("-n", "papers/toy/all", scale="paper")
    assert result.returncode == 0, result.stdout
    assert sorted(jobs(result.stdout)) == ["descend", "descend", "figures", "tables"]


def test_a_truncated_record_ends_in_one_sentence(built):
    record = built.record(10)
    record.write_bytes(record.read_bytes()[:100])
    output = refused(built.snakemake("papers/toy/all"))
    assert "curvature=10.parquet is not a whole Parquet file (cut short?); delete it and build again" in output


def test_a_file_in_place_of_the_results_folder_is_named(fresh):
    (fresh.paper / "results").write_text("not a folder", encoding="utf-8")
    output = refused(fresh.snakemake("papers/toy/all"))
    assert "error: cannot write into papers/toy/results: it is a file; move it away" in output


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_results_folder_is_named_before_anything_runs(built):
    edit(built.paper / "figures.py", 'xlabel="step"', 'xlabel="steps"')
    (built.results / "figures").chmod(0o555)
    output = refused(built.snakemake("papers/toy/all"))
    (built.results / "figures").chmod(0o755)
    assert "error: cannot write into papers/toy/results/smoke/figures: permission denied; make it writable" in output


# against the reference


def test_diff_ends_with_0_when_clean_and_with_1_on_drift(built):
    accepted = run_in(built.root, "-m", "shared.artifacts.accept", "toy", "--scale", "smoke")
    assert accepted.returncode == 0, accepted.stdout
    clean = built.snakemake("papers/toy/diff")
    assert clean.returncode == 0 and "0 drifted" in clean.stdout, clean.stdout
    table = built.paper / "reference" / "smoke" / "tables" / "tab_final.csv"
    edit(table, table.read_text(encoding="utf-8").splitlines()[1].split(",")[1], "0.5")
    drifted = built.snakemake("diff")
    assert drifted.returncode == 1 and "1 drifted" in drifted.stdout, drifted.stdout
    (built.results / "diff" / "report.md").unlink()
    drifted = built.snakemake("papers/toy/diff")
    assert drifted.returncode == 1 and "1 drifted" in drifted.stdout, drifted.stdout
    assert "| tab_final | smoke | data |" in (built.results / "diff" / "report.md").read_text(encoding="utf-8")


# recorded and published runs


def test_published_records_stand_in_for_the_step_they_replace(built):
    """At scale gpu, without a GPU: the tables and claims are the ones of an own build, only the records differ."""
    planned = built.snakemake("-n", "papers/toy/all", scale="gpu")
    assert sorted(set(jobs(planned.stdout))) == ["descend", "figures", "tables"]
    result = built.snakemake("papers/toy/all", scale="gpu", records="published")
    assert result.returncode == 0, result.stdout
    assert sorted(jobs(result.stdout)) == ["figures", "released", "tables"]
    gpu = built.paper / "results" / "gpu"
    assert pd.read_csv(gpu / "tables" / "tab_final.csv").loss.tolist() == [0.0, 0.0]
    assert "In place of `descend`: results released by the paper's authors" in (gpu / "summary.md").read_text(
        encoding="utf-8"
    )


def test_a_paper_without_published_records_is_refused_in_a_sentence(built):
    edit(built.paper / "config.py", 'PUBLISHED = {"descend": "released"}', "PUBLISHED = {}")
    result = built.snakemake("papers/toy/all", scale="gpu", records="published")
    assert result.returncode != 0
    assert "error: toy has no published records; leave records=published out" in result.stdout


def test_recorded_runs_rebuild_the_tables_of_scale_gpu_without_running_a_step(built):
    recorded = built.root / "data" / "recorded" / "toy" / "gpu" / "runs"
    recorded.parent.mkdir(parents=True)
    (built.results / "runs").rename(recorded)
    result = built.snakemake("papers/toy/all", scale="gpu", records="dvc")
    assert result.returncode == 0, result.stdout
    assert sorted(jobs(result.stdout)) == ["figures", "tables"]
    gpu = built.paper / "results" / "gpu"
    assert (gpu / "tables" / "tab_final.csv").read_bytes() == (built.results / "tables" / "tab_final.csv").read_bytes()
    assert json.loads((gpu / "claims.json").read_text(encoding="utf-8"))[0]["verdict"] == "holds"
