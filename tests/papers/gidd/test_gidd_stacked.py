"""Runs trained as one program give the numbers of runs trained alone."""

import pytest
import torch

from papers.gidd.loss import elbo_terms
from papers.gidd.members import HybridProcess, MaskProcess
from papers.gidd.stacked import StackedTask, groups, plain_divergence
from papers.gidd.study import CorpusData
from papers.gidd.task import build_task
from shared.artifacts.config import load_shard
from shared.train.ensemble.training import train_ensemble
from shared.train.loop.fit import fit

SHARD = load_shard("gidd", "train", "smoke", "markov-00")
DATA = CorpusData(SHARD.corpus)
TRAINING = SHARD.training.model_copy(update={"num_steps": 3, "batch_size": 8, "eval_every": 3, "warmup_steps": 1})
SHORT = SHARD.model_copy(update={"training": TRAINING})


@pytest.mark.parametrize("process", [MaskProcess(7), HybridProcess(7, p_u=0.2)])
def test_the_plain_divergence_is_the_bound_s_in_value_and_gradient(process):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 9, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    x = torch.randint(0, 6, (4, 9), generator=generator)
    t = torch.tensor([1e-3, 0.3, 0.7, 0.999], dtype=torch.float64)
    z = process.noise(x, t, torch.rand(x.shape, generator=generator))
    terms = elbo_terms(logits, x, z, t, process, fused=False)
    found = plain_divergence(logits, x, z, process.alpha(t), process.token_mass(t), process)
    wanted = terms.kl + terms.is_
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)  # float64, two orders of the same sums
    weight = torch.rand(x.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((weight * value).sum(), logits, retain_graph=True)[0] for value in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-9)


def test_runs_of_a_stack_share_all_but_weights_decay_and_seed():
    found = groups(SHARD.runs)
    assert sorted(run.id for group in found for run in group) == sorted(run.id for run in SHARD.runs)
    for group in found:
        assert len({(run.objective, run.p_u, run.size, run.num_steps) for run in group}) == 1
    assert max(len({run.weighting for run in group}) for group in found) == 3


@pytest.mark.parametrize("kind", [("gidd", 0.0), ("gidd", 0.2), ("mdlm", 0.0)])
def test_a_run_of_a_stack_ends_where_the_run_alone_does(kind):
    runs = [run.model_copy(update={"num_steps": 3}) for run in SHARD.runs if (run.objective, run.p_u) == kind]
    group = [run for run in groups(runs)[0] if run.size == "m"]
    task = StackedTask(DATA, SHORT, group)
    result = train_ensemble(task, [task.described(run) for run in group], TRAINING, progress=False)
    curves = {row["run"]: row["val_nats_per_token"] for row in result.rows if row["phase"] == "eval"}
    for run, state in zip(group, result.states, strict=True):
        described = run.described(TRAINING, SHORT.corpus.seq_len)
        alone = fit(build_task(DATA, SHORT, run), described, TRAINING, progress=False)
        for name, tensor in alone.model.state_dict().items():
            # AdamW's first updates divide rounding by rounding where a gradient is near 0
            torch.testing.assert_close(state[name], tensor, rtol=0, atol=2e-4)
        assert curves[run.id] == pytest.approx(alone.table().val_nats_per_token.dropna().iloc[-1], abs=1e-4)
