"""Tidy rows of exact numbers on tiny problems: what the table of exact checks and its claims are made of.

Every function returns a list of dictionaries, one per row, with plain Python values.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from papers.gidd.loss import elbo_terms, mdlm_loss
from papers.gidd.members import HybridProcess, MaskProcess
from papers.gidd.oracle import (
    LeaveOneOutModel,
    TableModel,
    continuous_nelbo,
    discrete_nelbo,
    minimiser,
    propagate,
    time_quadrature,
    total_variation_to_data,
    uniform_model_nelbo,
)
from papers.gidd.weighting import WEIGHTINGS
from shared.base.seeding import torch_generator

PRIOR = (0.5, 0.3, 0.15, 0.05)  # of one token, four ordinary tokens
PAIR = ((0.30, 0.02, 0.03, 0.05), (0.02, 0.20, 0.03, 0.05), (0.04, 0.03, 0.10, 0.03), (0.01, 0.02, 0.03, 0.04))


def prior_with_mask() -> Tensor:
    """PRIOR with a zero for the mask, (5,)."""
    return torch.tensor([*PRIOR, 0.0], dtype=torch.float64)


def nll_identity_rows(
    p_us: Sequence[float] = (0.0, 0.1, 0.2), gammas: Sequence[float] = (0.5, 1.0, 2.0), *, eps: float = 1e-9
) -> list[dict]:
    """The bound of the leave-one-out posterior beside -log p, for single tokens (PRIOR) and pairs (PAIR).

    Truncation to [eps, 1 - eps] costs O(B eps^(gamma / 2)); for gamma < 1 the lower end is moved to eps^(1 / gamma),
    so that all rows are comparable. Columns: p_u, gamma, model, sequence, eps, nelbo, neg_log_p.
    """
    rows = []
    joint = torch.tensor(PAIR, dtype=torch.float64)
    for p_u in p_us:
        for gamma in gammas:
            process = HybridProcess(5, p_u=p_u, gamma=gamma)
            low = eps ** max(1.0, 1.0 / gamma)
            nodes, weights = time_quadrature(200, eps=low, gamma=gamma, eps_high=eps)
            cases = [("single", (x,), p) for x, p in enumerate(PRIOR)]
            cases += [("pair", (a, b), PAIR[a][b]) for a, b in ((0, 0), (1, 3), (3, 0))]
            models = {"single": TableModel(prior_with_mask(), process), "pair": LeaveOneOutModel(joint, process)}
            for kind, sequence, probability in cases:
                nelbo = continuous_nelbo(torch.tensor(sequence), models[kind], process, nodes, weights)
                rows.append(
                    {
                        "p_u": p_u,
                        "gamma": gamma,
                        "model": kind,
                        "sequence": "".join(str(token) for token in sequence),
                        "eps": low,
                        "nelbo": nelbo,
                        "neg_log_p": -math.log(probability),
                    }
                )
    return rows


def mask_reduction_rows(*, seed: int = 0, num_tokens: int = 4096, vocab_size: int = 33) -> list[dict]:
    """Largest difference between the bound at p_u = 0 and cross entropy / t on random logits, float64.

    Columns: process, max_abs_difference, num_tokens. The floored hybrid member is off by O(exp(-20)) per wrong token.
    """
    generator = torch_generator(seed, "mask reduction")
    shape = (num_tokens // 16, 16)
    logits = torch.randn(*shape, vocab_size, generator=generator, dtype=torch.float64)
    x = torch.randint(vocab_size - 1, shape, generator=generator)
    t = 0.02 + 0.96 * torch.rand(shape[0], generator=generator, dtype=torch.float64)
    rows = []
    for process in (MaskProcess(vocab_size), HybridProcess(vocab_size, p_u=0.0)):
        z = process.sample(x, t, torch_generator(seed, "mask reduction", "noise"))
        difference = elbo_terms(logits, x, z, t, process).elbo - mdlm_loss(logits, x, z, t, process)
        rows.append(
            {
                "process": "mask" if isinstance(process, MaskProcess) else "hybrid, p_u floored",
                "max_abs_difference": difference.abs().max().item(),
                "num_tokens": x.numel(),
            }
        )
    return rows


def truncation_rows(
    num_ordinary: Sequence[int] = (4, 32, 999), p_us: Sequence[float] = (0.0, 0.1, 0.2), *, eps: float = 1e-4
) -> list[dict]:
    """What restricting t to [eps, 1 - eps] takes off the bound of a uniform model.

    The perplexities of hybrid processes are optimistic by about that much.

    Columns: num_ordinary, p_u, eps, full (log N), truncated, missing, all in nats per token.
    """
    nodes, weights = time_quadrature(400, eps=eps)
    rows = []
    for n in num_ordinary:
        for p_u in p_us:
            truncated = uniform_model_nelbo(HybridProcess(n + 1, p_u=p_u), nodes, weights)
            full = math.log(n)
            rows.append(
                {
                    "num_ordinary": n,
                    "p_u": p_u,
                    "eps": eps,
                    "full": full,
                    "truncated": truncated,
                    "missing": full - truncated,
                }
            )
    return rows


def minimiser_rows(*, p_u: float = 0.2, t: float = 0.1, z: int = 3) -> list[dict]:
    """Where each weighting's optimum lies for one token with prior PRIOR that is seen as `z`.

    Columns: weighting, p_u, t, z, token, prior, minimiser.
    """
    process = HybridProcess(5, p_u=p_u)
    return [
        {"weighting": name, "p_u": p_u, "t": t, "z": z, "token": token, "prior": PRIOR[token], "minimiser": value}
        for name in WEIGHTINGS
        for token, value in enumerate(minimiser(name, process, prior_with_mask(), z, t)[:-1].tolist())
    ]


def discretisation_rows(num_steps: Sequence[int] = (64, 256, 1024, 4096), *, p_u: float = 0.2) -> list[dict]:
    """The bound in discrete time beside its limit, for a fixed table x_hat(z) and t in [0.05, 0.95].

    Columns: num_steps, discrete, continuous, error.
    """
    process = HybridProcess(5, p_u=p_u)
    table = torch.rand(5, 5, generator=torch_generator(0, "table"), dtype=torch.float64) + 0.05
    table[:, process.mask_id] = 0
    net = TableModel(table / table.sum(-1, keepdim=True), process)
    nodes, weights = time_quadrature(200, eps=0.05)
    continuous = continuous_nelbo(torch.tensor([1]), net, process, nodes, weights)
    rows = []
    for steps in num_steps:
        grid = 0.05 + 0.9 * torch.arange(steps + 1, dtype=torch.float64) / steps
        discrete = discrete_nelbo(1, net, process, grid)
        rows.append(
            {"num_steps": steps, "discrete": discrete, "continuous": continuous, "error": discrete - continuous}
        )
    return rows


def sampler_rows(
    num_steps: Sequence[int] = (4, 16, 64, 256), p_us: Sequence[float] = (0.0, 0.2), *, eps: float = 1e-4
) -> list[dict]:
    """Distance of the sampler's exact law from the data, with perfect predictions, for pairs (PAIR).

    Columns: p_u, num_steps, eps, total_variation, total_variation_authors_grid.
    """
    joint = torch.tensor(PAIR, dtype=torch.float64)
    rows = []
    for p_u in p_us:
        process = HybridProcess(5, p_u=p_u)
        net = LeaveOneOutModel(joint, process)
        for steps in num_steps:
            laws = [propagate(net, process, 2, steps, eps=eps, authors_grid=quirk) for quirk in (False, True)]
            distances = [total_variation_to_data(law, joint, process) for law in laws]
            rows.append(
                {
                    "p_u": p_u,
                    "num_steps": steps,
                    "eps": eps,
                    "total_variation": distances[0],
                    "total_variation_authors_grid": distances[1],
                }
            )
    return rows
