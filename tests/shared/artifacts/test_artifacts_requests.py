"""What a user asks Snakemake for is checked before anything runs."""

import os

import pytest
from toy_repository import edit

from shared.artifacts import workflow
from shared.artifacts.workflow import (
    check_checkout,
    check_device,
    check_papers,
    check_request,
    check_writable,
    papers_at,
)


def test_the_defaults_are_scale_cpu_and_own_records(repository):
    assert check_request({}) == ("cpu", "own")
    assert check_request({"scale": "smoke", "records": "dvc"}) == ("smoke", "dvc")


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"scale": "big"}, "unknown scale 'big'; choose one of smoke, cpu, gpu, paper"),
        ({"records": "dcv"}, "unknown records 'dcv'; choose one of own, dvc, published; did you mean 'dvc'"),
        ({"record": "dvc"}, "unknown --config key 'record'; use scale=... or records=...; did you mean 'records'"),
    ],
)
def test_an_unknown_request_names_the_choices(repository, request_, sentence):
    with pytest.raises(ValueError) as error:
        check_request(request_)
    assert sentence in str(error.value)


def test_a_scale_of_one_papers_own_is_accepted_and_asked_of_that_paper_alone(repository):
    edit(repository / "papers" / "toy" / "config.yaml", "  smoke: {}", "  smoke: {}\n  long: {}")
    assert check_request({"scale": "long"}) == ("long", "own")
    assert papers_at("long") == ["toy"] and papers_at("other") == []


def test_a_step_on_a_gpu_needs_one_here_and_recorded_runs_do_not(repository, monkeypatch):
    monkeypatch.setattr(workflow, "has_gpu", lambda: False)
    with pytest.raises(ValueError, match="scale gpu of toy needs a GPU and this machine shows none"):
        check_device(["toy_tables", "toy_descend"], "gpu", "own")
    check_device(["toy_tables"], "gpu", "own")
    check_device(["toy_tables", "toy_descend"], "gpu", "dvc")
    check_device(["toy_tables", "toy_descend"], "smoke", "own")
    monkeypatch.setattr(workflow, "has_gpu", lambda: True)
    check_device(["toy_tables", "toy_descend"], "gpu", "own")


def test_a_read_only_folder_among_the_results_is_named(toy, monkeypatch):
    """Whoever runs this: root, too, is told by a file system that is mounted read-only."""
    check_writable(["toy"], "smoke")
    figures = toy.results / "figures"
    monkeypatch.setattr(os, "access", lambda path, mode: path != figures)
    with pytest.raises(ValueError, match="cannot write into papers/toy/results/smoke/figures: permission denied"):
        check_writable(["toy"], "smoke")
    monkeypatch.setattr(os, "access", lambda path, mode: path != toy.folder / "results")
    with pytest.raises(ValueError, match="cannot write into papers/toy/results: permission denied"):
        check_writable(["toy"], "cpu")


def test_a_checkout_that_snakemake_cannot_write_into_is_refused_before_it_tries(tmp_path, monkeypatch):
    check_checkout(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / ".snakemake")
    with pytest.raises(ValueError, match=r"Snakemake keeps its state there .* copy the checkout"):
        check_checkout(tmp_path)


def test_a_mistake_at_any_scale_stops_every_build(repository):
    check_papers(["toy"], "smoke")
    workflow.shards_at.cache_clear()
    edit(repository / "papers" / "toy" / "config.yaml", "num_steps: 160", "num_steps: 0")
    with pytest.raises(ValueError, match=r"at scale paper: 'descent\.num_steps'.*\(given: 0\)"):
        check_papers(["toy"], "smoke")
