"""A network with full-batch gradients and synthetic noise: |grad f| is known and the noise is as stated."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from papers.distributed_sde.network_settings import NetworkStudies, Rule, Study
from papers.distributed_sde.problem import Problem
from papers.distributed_sde.rules import build_method
from shared.optim.distributed import descend
from shared.optim.draws import joint_draws


class Recorder:
    """Gradient of the problem that keeps loss and gradient norm of every call, (calls, R)."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.losses, self.norms = problem, [], []

    def __call__(self, xs: Tensor) -> Tensor:
        grads, losses = self.problem.full_batch(xs)
        self.losses.append(losses)
        self.norms.append(grads.norm(dim=-1))
        return grads


def status_of(first: float, last: float) -> str:
    """diverged if a run ends above three times the loss it started from, or has none left; else finite.

    Not above the first loss itself: it is a uniform guess, around which runs that learn nothing end by chance.
    """
    return "finite" if last <= 3 * first else "diverged"


def run_rows(problem: Problem, study: Study, rule: Rule, level: float, studies: NetworkStudies) -> Iterator[dict]:
    """Rows of all seeds of a rule at a level; the runs of different seeds are computed together."""
    x0 = torch.stack([problem.initial(seed) for seed in study.seeds])
    method, kappa = build_method(study, rule, level, studies, x0.shape[-1])
    recorder = Recorder(problem)
    draws = joint_draws(study.seeds[0], study.method, f"{level:g}", device=problem.device)
    run = descend(method, recorder, x0, [study.num_steps], draws)
    recorder(run.states[-1].clamp(-1e30, 1e30))  # loss after the last update; rows of diverged runs are replaced
    losses, norms = torch.stack(recorder.losses).cpu(), torch.stack(recorder.norms).cpu()
    for index, seed in enumerate(study.seeds):
        end = int(run.diverged_at[index])
        known = losses[: end if end >= 0 else None, index]
        status = status_of(float(known[0]), math.inf if end >= 0 else float(known[-1]))
        common = {"rule": rule.name, study.level_name: level, "seed": seed, "kappa": kappa, "status": status}
        common |= {"max_over_initial": float(known.max() / known[0]) if end < 0 else math.inf}
        for step in study.recorded:
            gone = step >= len(known)
            loss, norm = (math.inf, math.inf) if gone else (float(known[step]), float(norms[step, index]))
            yield common | {"step": step, "loss": loss, "grad_norm": norm}
