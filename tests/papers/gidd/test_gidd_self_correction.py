"""Self-correction."""

import pytest
import torch

from papers.gidd.members import HybridProcess
from papers.gidd.self_correction import correction_step, self_correct
from shared.base.seeding import torch_generator

PROCESS = HybridProcess(6, p_u=0.2)
TARGET = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])


def towards_target(confidence=4.0):
    """Predicts TARGET at every position, whatever is there; surer at later positions."""

    def net(z, t):
        logits = torch.zeros(*z.shape, 6)
        sure = confidence + 0.1 * torch.arange(z.shape[1])
        logits.scatter_(-1, TARGET.expand_as(z)[..., None], sure[:, None].expand(*z.shape, 1))
        logits[..., PROCESS.mask_id] = 99.0  # to be ignored
        return logits

    return net


def restless(z, t):
    """Always wants another token: the one after the present one."""
    return 3.0 * torch.nn.functional.one_hot((z + 1) % 5, 6)


def wrong_sequences(num=4):
    tokens = TARGET.repeat(num, 1)
    for row in range(num):
        tokens[row, :row] = (tokens[row, :row] + 1) % 5
    return tokens


def test_a_sequence_that_agrees_with_the_network_converges_at_once():
    result = self_correct(towards_target(), TARGET[None], PROCESS, torch_generator(0), tau=1e-6)
    assert result.converged.all() and result.num_iterations.tolist() == [1]
    assert result.num_changed.tolist() == [0] and torch.equal(result.tokens, TARGET[None])
    assert result.initial_self_accuracy.tolist() == result.final_self_accuracy.tolist() == [1.0]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_at_most_n_tokens_change_per_iteration(n):
    generator = torch_generator(0)
    logits = torch.randn(50, 8, 6, generator=generator)
    z = torch.randint(5, (50, 8), generator=generator)
    new, changed, _ = correction_step(logits, z, torch.rand(50, 8, generator=generator), 1.0, n, PROCESS)
    assert torch.equal(changed, new != z)
    assert changed.sum(-1).max() == n
    result = self_correct(towards_target(), wrong_sequences(), PROCESS, torch_generator(0), tau=1e-6, tokens_per_step=n)
    assert result.num_iterations.tolist() == [1 + -(-wrong // n) for wrong in range(4)]


def test_the_most_confident_changes_are_made():
    tokens = (TARGET[None] + 1) % 5
    logits = towards_target()(tokens, None)
    _, changed, _ = correction_step(logits, tokens, torch.full((1, 8), 0.5), 1e-3, 2, PROCESS)
    assert changed[0].sum() == 2
    _, changed, _ = correction_step(logits, tokens, torch.full((1, 8), 0.5), 1.0, 2, PROCESS)
    assert changed[0].nonzero().flatten().tolist() == [6, 7]


def test_errors_are_repaired_and_everything_is_reported():
    tokens = wrong_sequences()
    result = self_correct(towards_target(), tokens, PROCESS, torch_generator(0), tau=1e-6)
    assert torch.equal(result.tokens, TARGET.expand(4, -1))
    assert result.num_changed.tolist() == result.num_edits.tolist() == [0, 1, 2, 3]
    assert torch.equal(result.changed, result.tokens != tokens)
    assert result.initial_self_accuracy.tolist() == [1, 7 / 8, 6 / 8, 5 / 8]
    assert (result.final_self_accuracy == 1).all() and result.converged.all() and not result.early_stopped.any()


def test_masks_are_never_proposed():
    generator = torch_generator(0)
    for tau in (0.1, 1.0, 10.0):
        tokens = torch.randint(5, (20, 8), generator=generator)
        result = self_correct(towards_target(), tokens, PROCESS, generator, tau=tau, budget=20, tokens_per_step=4)
        assert result.tokens.max() < PROCESS.mask_id


def test_low_temperature_does_not_depend_on_the_generator():
    net = towards_target()
    tokens = wrong_sequences()
    results = [self_correct(net, tokens, PROCESS, torch_generator(seed), tau=1e-38) for seed in (0, 1)]
    assert torch.equal(results[0].tokens, results[1].tokens)
    assert torch.equal(results[0].tokens, TARGET.expand(4, -1))
    assert torch.equal(results[0].num_iterations, results[1].num_iterations)


def test_stalled_sequences_stop_after_the_patience_and_lose_the_last_proposal():
    tokens = torch.zeros(1, 8, dtype=torch.int64)
    patience = 2
    result = self_correct(restless, tokens, PROCESS, torch_generator(0), tau=1e-6, patience=patience)
    # the first iteration sets the best self-accuracy (1/8); the next three do not exceed it
    assert result.early_stopped.all() and not result.converged.any()
    assert result.num_iterations.tolist() == [patience + 2]
    assert result.num_edits.tolist() == [patience + 1]
    assert result.tokens.sum() == patience + 1  # every edit adds one, and none wraps around
    assert result.final_self_accuracy.tolist() == [0.0]


@pytest.mark.parametrize("patience", [1, 3])
def test_the_accuracy_that_stops_a_sequence_is_of_the_tokens_after_the_change(patience):
    table = torch.randn(5, 8, 6, generator=torch_generator(1))  # by present token and position

    def net(z, t):
        return table[z, torch.arange(8)]

    tokens = torch.randint(5, (12, 8), generator=torch_generator(2))
    # three changes at once, some to unlikely tokens: else the accuracy before rises when that after does
    how = {"tau": 1.0, "patience": patience, "budget": 40, "tokens_per_step": 3}
    found = self_correct(net, tokens, PROCESS, torch_generator(3), **how)
    draws = torch_generator(3)
    uniforms = [torch.rand(tokens.shape, generator=draws) for _ in range(40)]
    for row, z in enumerate(tokens):  # the loop as the paper states it, one sequence at a time
        best, stale = -1.0, 0
        for count, drawn in enumerate(uniforms, 1):  # noqa: B007
            new, changed, favourite = correction_step(net(z[None], None), z[None], drawn[row][None], 1.0, 3, PROCESS)
            if not changed.any():
                break
            accuracy = (new == favourite).float().mean().item()
            best, stale = (accuracy, 0) if accuracy > best else (best, stale + 1)
            if stale > patience:
                break
            z = new[0]
        assert found.num_iterations[row] == count and torch.equal(found.tokens[row], z)


def test_budget_ends_what_neither_converges_nor_stalls():
    result = self_correct(towards_target(), wrong_sequences(), PROCESS, torch_generator(0), tau=1e-6, budget=2)
    assert result.num_iterations.tolist() == [1, 2, 2, 2]
    assert result.converged.tolist() == [True, True, False, False]
    assert result.num_changed.tolist() == [0, 1, 2, 2]
    assert result.final_self_accuracy.tolist() == [1, 1, 1, 7 / 8]
    assert not result.early_stopped.any()


def test_sequences_do_not_depend_on_when_others_stop():
    generator = torch_generator(0, "tokens")
    tokens = torch.randint(5, (6, 8), generator=generator)
    easy = tokens.clone()
    easy[0] = TARGET  # stops at once
    hard, quick = (self_correct(towards_target(1.0), x, PROCESS, torch_generator(3), tau=0.5) for x in (tokens, easy))
    assert quick.num_iterations[0] < hard.num_iterations[0]
    assert torch.equal(hard.tokens[1:], quick.tokens[1:])
    assert torch.equal(hard.num_iterations[1:], quick.num_iterations[1:])


def test_finished_sequences_leave_the_batch():
    sizes = []

    def net(z, t):
        sizes.append(len(z))
        assert (t == torch.tensor(0.02)).all()
        return towards_target()(z, t)

    self_correct(net, wrong_sequences(), PROCESS, torch_generator(0), tau=1e-6, t0=0.02)
    assert sizes == [4, 3, 2, 1]


def test_input_is_left_alone():
    tokens = wrong_sequences()
    copy = tokens.clone()
    self_correct(towards_target(), tokens, PROCESS, torch_generator(0))
    assert torch.equal(tokens, copy)
