"""The language-model task: losses by group, members against separate runs, and what is watched along training."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import entropy

from papers.optimizer_gap import watching
from papers.optimizer_gap.config import shards
from papers.optimizer_gap.data import data
from papers.optimizer_gap.probe import probe
from papers.optimizer_gap.settings import DataShard, GapShard, ProbePlan, ProbeShard
from papers.optimizer_gap.task import GapTask
from papers.optimizer_gap.watching import evenly, watch
from shared.artifacts.config import load_config
from shared.base.seeding import torch_generator
from shared.data.config import TextConfig, TokenizerConfig
from shared.data.frequency import token_counts
from shared.data.text import load_text_data
from shared.train.ensemble.state import EnsembleRun
from shared.train.rules import columns_of

TEXT = TextConfig(tokenizer=TokenizerConfig(kind="byte", num_ordinary=256))


def small_shard(stack: int, step: str = "train") -> GapShard:
    """The smoke scale's interventions on bytes, with a few steps."""
    job = shards(load_config("optimizer_gap", "smoke"))["train"]["interventions-00"]
    runs = tuple(replace(run, num_steps=6) for run in job.runs)
    update = {"stack": stack, "runs": runs, "text": TEXT, "validation_windows": 128, "train_windows": 128}
    return job.model_copy(update=update)


@pytest.fixture(scope="module")
def task() -> GapTask:
    return GapTask(small_shard(1), {}, 16)


def test_mean_over_groups_weighted_by_their_tokens_is_the_loss(task):
    model, found = task.build(0), []
    with torch.no_grad():
        for batch in task.evaluation():
            found.append({k: v.item() for k, v in task.metrics(model, batch).items()})
    means = {name: np.mean([f[name] for f in found]) for name in found[0]}
    for split in ("val", "train"):
        weighted = sum(share * means[f"{split}_group_{g}"] for g, share in enumerate(task.shares[split]))
        assert weighted == pytest.approx(means[f"{split}_loss"], rel=1e-5)
        windows = task.windows[split]
        with torch.no_grad():
            direct = task.nll(model, windows)
        assert means[f"{split}_loss"] == pytest.approx(direct.mean().item(), rel=1e-5)
        group = task.groups[windows[:, 1:]]
        assert means[f"{split}_group_1"] == pytest.approx(direct[group == 1].mean().item(), rel=1e-5)


def test_groups_are_cut_from_training_counts(task):
    order = np.argsort(-task.counts, kind="stable")
    assert task.groups[order[0]] == 0 and int(task.groups[order[-1]]) == int(task.groups.max())


def test_held_out_windows_are_not_of_the_training_text(task):
    length, num = task.settings.seq_len + 1, task.settings.validation_windows
    assert torch.equal(task.windows["val"], task.data.validation.windows(length, num))
    assert not torch.equal(task.windows["val"], task.data.train.windows(length, num))


def test_the_corpus_step_tells_the_entropy_in_nats_and_masses_that_add_up():
    rows = pd.DataFrame(data(DataShard(text=TEXT, num_symbols=256, num_groups=5)))
    counts = token_counts(load_text_data(TEXT).train.tokens, 256)
    assert rows.unigram_entropy_nats.tolist() == pytest.approx([entropy(counts)] * len(rows))
    assert rows.mass.sum() == pytest.approx(1) and rows.num_types.sum() == 256
    assert (rows.most_frequent >= rows.least_frequent).all() and rows.most_frequent.is_monotonic_decreasing


class InDouble(GapTask):
    """The task in float64."""

    def build(self, seed):
        return super().build(seed).double()


def trained(stack: int, runs=None) -> torch.Tensor:
    shard = small_shard(stack)
    chosen = shard.runs if runs is None else runs
    run = EnsembleRun(InDouble(shard, {}, 16), chosen, shard.training_for(chosen[0]), stack=stack)
    for _ in range(4):
        run.update()
    return run.model.flat


def test_grafted_and_clipped_members_of_an_ensemble_are_runs_of_their_own():
    """float64; quantile, grafted norms and the gradient's clip are each member's own."""
    together, alone = trained(6), [trained(1, [run]) for run in small_shard(1).runs]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-9)
    assert len({row.norm().item() for row in together}) == len(alone)


def test_what_is_watched_fits_taylor():
    """Remainder of third order; the prediction is close to the change; slope and decrease have one sign."""
    plan = ProbePlan(
        num_points=2, windows=16, taylor_scales=(0.25, 0.125, 0.0625), taylor_windows=8, noise_points=1,
        noise_batches=4, noise_rows=2,
    )  # fmt: skip
    job = shards(load_config("optimizer_gap", "smoke"))["probe"]["probe-b16"]
    lrs = {"sgd_ema": 1.0, "adam": 4.0e-3}  # shorter steps than the best ones, which two terms describe
    runs = tuple(
        replace(run, num_steps=12, settings=run.settings | {"lr": lrs[run.optimizer]})
        for run in job.runs
        if run.seed == job.runs[0].seed
    )
    update = {"text": TEXT, "plan": plan, "runs": runs}
    rows = list(watch(ProbeShard(**{**dict(job), **update}), "cpu"))
    steps = [row for row in rows if row["part"] == "step"]
    assert len(steps) == 4 and all(row["correlation"] < 0 for row in steps)
    for row in steps:
        predicted = row["first_order"] + row["second_order"]
        assert predicted == pytest.approx(row["actual_change"], rel=0.2, abs=2e-5)
        assert row["normalised_sharpness"] * row["update_norm"] ** 2 == pytest.approx(row["sharpness"])
        assert 0 < row["cosine"] < 1  # towards lower loss
    missed = [row for row in rows if row["part"] == "taylor"]
    assert sorted(row["optimizer"] for row in missed) == ["Adam", "SGD"]
    for row in missed:
        assert 2.7 < row["order"] < 3.3 and 2.7 < row["smallest_scale_order"] < 3.3 and row["remainder"] > 0, row
    shares = [row["share"] for row in rows if row["part"] == "noise"]
    assert sum(shares) == pytest.approx(1)


def test_the_noise_of_a_coordinate_is_that_of_one_sequence(monkeypatch):
    """Gradients of mean 1 and of standard deviation 10 over rows, hence 5 over batches of four of them."""
    job = shards(load_config("optimizer_gap", "smoke"))["probe"]["probe-b16"]
    run = next(run for run in job.runs if run.optimizer == "adam")
    run = replace(run, settings=run.settings | {"lr": 0.01})
    drawn = (1 + 5 * torch.randn(10_000, 1, 50, generator=torch_generator(0, "rows"))).unbind()
    draws = iter(drawn)
    monkeypatch.setattr(watching, "gradient", lambda loss, x: (0.0, {"w": next(draws)}))
    plan = job.plan.model_copy(update={"noise_batches": len(drawn), "noise_rows": 4})
    crops = SimpleNamespace(crops=lambda *args: None)
    watched = SimpleNamespace(
        settings=SimpleNamespace(plan=plan, runs=[run]), loss=lambda *args: None, params=lambda *args: None,
        task=SimpleNamespace(settings=job, data=SimpleNamespace(train=crops)),
    )  # fmt: skip
    found = pd.DataFrame(watching.noise_rows(watched, 0, [None]))
    middle = ((found.low + found.high) / 2 * found.share).sum()
    assert middle == pytest.approx(-1, abs=0.05) and found.share.sum() == pytest.approx(1)  # log10 of 1 / 10
    assert found.resolution.unique().tolist() == pytest.approx([1 / 200])


def test_the_probe_step_watches_every_run_at_the_best_setting_in_the_record(tmp_path):
    """The smoke scale's probes after two updates, and a record in which one setting of each method is best."""
    jobs = shards(load_config("optimizer_gap", "smoke"))
    job, worth = jobs["probe"]["probe-b16"], {"sgd_ema": (4.0, 0.0), "adam": (1.6e-2, 0.9)}
    rows = [
        columns_of(run) | {"step": 1, "phase": "eval", "diverged": False} for run in jobs["train"]["main-b16-00"].runs
    ]
    table = pd.DataFrame(rows).assign(fresh=False)
    chosen = [
        worth[rule] == (lr, m if b1 != b1 else b1)
        for rule, lr, m, b1 in table[["optimizer", "lr", "momentum", "beta1"]].to_numpy()
    ]
    table.assign(val_loss=np.where(chosen, 1.0, 2.0)).to_parquet(tmp_path / "main.parquet")
    plan = job.plan.model_copy(update={"num_points": 2, "windows": 8, "noise_points": 1, "noise_batches": 2})
    runs = tuple(replace(run, num_steps=2) for run in job.runs)
    job = job.model_copy(update={"text": TEXT, "plan": plan, "runs": runs})
    steps = [row for row in probe(job, "cpu", tmp_path / "main.parquet") if row["part"] == "step"]
    found = {(row["method"], row["seed"], row["lr"], row.get("momentum", row.get("beta1"))) for row in steps}
    best = {"SGD": worth["sgd_ema"], "Adam": worth["adam"]}
    assert found == {(method, seed, *best[method]) for method in best for seed in (2, 3)}


def test_points_are_spread_over_training_and_leave_out_the_last_update():
    assert evenly(3, 11) == [0, 4, 9]
