"""Branches go on from all that their trunks are made of."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared.base.seeding import torch_generator
from shared.train.config import TrainingConfig
from shared.train.ensemble.fork import branches_of, train_forked
from shared.train.ensemble.training import train_ensemble
from shared.train.run import Run
from shared.train.task import Task

STEPS, FORK = 24, 9
CONFIG = TrainingConfig(schedule="cosine", warmup_steps=4, log_every=6, checkpoint_every=5)
RULES = {
    "sgd": {"lr": 0.1, "momentum": 0.9},
    "adamw": {"lr": 0.02, "weight_decay": 0.1},
    "sgd_ema": {"lr": 0.3, "momentum": 0.8},
}


class Regression(Task):
    """Gaussian rows; `stop_at` raises at an update, `orders` says which stream a data seed reads at a step."""

    def __init__(self, stop_at=None, orders=None):
        self.stop_at, self.orders = stop_at, orders or {}

    def build(self, seed):
        model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1))
        for p in model.parameters():
            nn.init.normal_(p, std=0.5, generator=torch_generator(seed, "init", p.numel()))
        return model.double()

    def batch(self, step, rows, seed):
        if step == self.stop_at:
            raise KeyboardInterrupt
        own, branch = self.orders.get(seed, (seed, seed))
        generator = torch_generator(own if step < FORK else branch, "rows", step)
        x = torch.randn(len(rows), 4, generator=generator, dtype=torch.float64)
        return {"x": x, "y": x.sum(1, keepdim=True).sin()}

    def loss(self, model, batch, values):
        return F.mse_loss(model(batch["x"]), batch["y"])


def runs(rule="sgd", seeds=(0, 1)):
    return [
        Run(name=f"{s}", optimizer=rule, settings=RULES[rule], batch_size=8, num_steps=STEPS, seed=s) for s in seeds
    ]


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("rule", list(RULES))
def test_a_branch_is_a_run_whose_data_change_at_the_fork(rule):
    trunks = runs(rule)
    (fork,) = train_forked(Regression(), trunks, CONFIG, steps=[FORK], progress=False)
    orders = {b.run.data_seed: (b.trunk, b.run.data_seed) for b in fork.branches}
    whole = train_ensemble(Regression(orders=orders), [b.run for b in fork.branches], CONFIG, progress=False)
    for branch, plain in zip(fork.result.states, whole.states, strict=True):
        for name, tensor in branch.items():
            assert torch.allclose(tensor, plain[name], rtol=1e-9, atol=1e-9), name


def test_branches_that_see_the_same_data_end_bit_equal():
    (fork,) = train_forked(Regression(), runs(), CONFIG, steps=[FORK], number=3, same_order=True, progress=False)
    for trunk in range(2):
        first, *others = [s for s, b in zip(fork.result.states, fork.branches, strict=True) if b.trunk == trunk]
        assert all(equal(first, other) for other in others)
    other_orders = next(train_forked(Regression(), runs(), CONFIG, steps=[FORK], progress=False)).result.states
    assert not equal(other_orders[0], other_orders[1])


def test_a_fork_at_the_end_is_the_trunk():
    (fork,) = train_forked(Regression(), runs(), CONFIG, steps=[STEPS], progress=False)
    for branch, state in zip(fork.branches, fork.result.states, strict=True):
        assert equal(fork.starts[branch.trunk], state)


def test_several_forks_of_one_trunk_equal_each_fork_alone():
    several = list(train_forked(Regression(), runs("adamw"), CONFIG, steps=[0, FORK, 15], progress=False))
    for fork in several:
        (alone,) = train_forked(Regression(), runs("adamw"), CONFIG, steps=[fork.step], progress=False)
        assert all(map(equal, fork.result.states, alone.result.states))
        assert all(map(equal, fork.starts, alone.starts))


def test_hyperparameters_may_change_at_the_fork():
    changes = [{"lr": 0.1}, {"lr": 1e-6}]
    (fork,) = train_forked(Regression(), runs(), CONFIG, steps=[FORK], changes=changes, progress=False)
    assert len(fork.branches) == 8
    moved = {}
    for branch, state in zip(fork.branches, fork.result.states, strict=True):
        start = fork.starts[branch.trunk]
        moved.setdefault(branch.run.lr, []).append(float((state["0.weight"] - start["0.weight"]).norm()))
    assert max(moved[1e-6]) < 1e-3 < min(moved[0.1])


@pytest.mark.parametrize("stop_at", [3, 11, 13, 20])
def test_a_killed_call_continues_to_the_same_bits(tmp_path, stop_at):
    whole = list(train_forked(Regression(), runs(), CONFIG, steps=[FORK, 12], progress=False))
    with pytest.raises(KeyboardInterrupt):
        killed = Regression(stop_at=stop_at)
        list(train_forked(killed, runs(), CONFIG, steps=[FORK, 12], checkpoint_dir=tmp_path, progress=False))
    again = list(train_forked(Regression(), runs(), CONFIG, steps=[FORK, 12], checkpoint_dir=tmp_path, progress=False))
    third = list(train_forked(Regression(0), runs(), CONFIG, steps=[FORK, 12], checkpoint_dir=tmp_path, progress=False))
    for one, two, three in zip(whole, again, third, strict=True):
        assert all(map(equal, one.result.states, two.result.states))
        assert all(map(equal, one.result.states, three.result.states))
        assert all(map(equal, one.starts, three.starts))


@pytest.mark.parametrize("steps", [[-1], [STEPS + 1], [5, 5], [7, 3], []])
def test_forks_outside_of_the_run_or_out_of_order_are_refused(steps):
    with pytest.raises(ValueError, match="fork"):
        next(train_forked(Regression(), runs(), CONFIG, steps=steps, progress=False))


def test_data_of_a_branch_do_not_depend_on_its_hyperparameters():
    small, large = (Run(**{**vars(runs()[0]), "settings": {"lr": lr}, "name": f"{lr}"}) for lr in (0.1, 0.3))
    seeds = [b.run.data_seed for b in branches_of([small, large], FORK, 2)]
    assert seeds[:2] == seeds[2:] and len(set(seeds)) == 2
