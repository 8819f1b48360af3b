"""Runs that differ in loss weights, weight decay and seed alone, trained as one program.

On a CPU a step of a small network is mostly the start of its operations, which a stack of runs shares. torch.vmap maps
the loss over runs, so it is made of plain operations, and what needs no gradient is computed with the batch.

Shapes: B sequences, L tokens, V vocabulary, K weightings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from papers.gidd.members import TwoLevelProcess
from papers.gidd.settings import Run, StudyShard
from papers.gidd.study import CorpusData
from papers.gidd.task import DiffusionTask
from papers.gidd.weighting import training_weight
from shared.train.run import Run as TrainingRun


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that one task can serve: of one objective, noise, network and length, in the order of their first."""
    found: dict[tuple, list[Run]] = {}
    for run in runs:
        found.setdefault((run.objective, run.p_u, run.size, run.num_steps), []).append(run)
    return list(found.values())


class StackedTask(DiffusionTask):
    """`DiffusionTask` of several runs; each run's values say by which of the weightings its loss is made."""

    def __init__(self, data: CorpusData, shard: StudyShard, runs: Sequence[Run]) -> None:
        super().__init__(data, shard, runs[0])
        if not isinstance(self.process, TwoLevelProcess):
            raise ValueError(f"runs of {type(self.process).__name__} cannot be stacked; set stacked: false")
        self.weightings = tuple(dict.fromkeys(map(weighting_of, runs)))

    def described(self, run: Run) -> TrainingRun:
        """A run for the ensemble, its weighting among its values."""
        chosen = {name: float(name == weighting_of(run)) for name in self.weightings}
        return replace(run.described(self.shard.training, self.data.corpus.seq_len), values=chosen)

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """`DiffusionTask`'s, with alpha and nu (B,), true weights (B, L) and the weightings' (B, K, L)."""
        batch = super().batch(step, rows, seed)
        x, z, t = batch["x"], batch["z"], batch["t"]
        names = ("none", *self.weightings)
        weights = [training_weight(name, self.process, t, z, x, w_max=self.noise.w_max).float() for name in names]
        noise = {"alpha": self.process.alpha(t).float(), "nu": self.process.token_mass(t).float()}
        return batch | noise | {"true_weight": weights[0], "weights": torch.stack(weights[1:], dim=1)}

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], values: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `DiffusionTask`'s: mean over all positions; the bound beside it."""
        logits = model(batch["z"], batch["t"].to(torch.get_default_dtype()))
        divergence = plain_divergence(logits, *(batch[name] for name in ("x", "z", "alpha", "nu")), self.process)
        weight = sum(values[name] * batch["weights"][:, k] for k, name in enumerate(self.weightings))
        return (weight * divergence).mean(), {"elbo": (batch["true_weight"] * divergence).detach().mean()}


def weighting_of(run: Run) -> str:
    """MDLM's cross entropy / t is the bound of its own process under the true weights."""
    return "none" if run.objective == "mdlm" else run.weighting


def plain_divergence(
    logits: Tensor, x: Tensor, z: Tensor, alpha: Tensor, nu: Tensor, process: TwoLevelProcess
) -> Tensor:
    """KL + IS of `loss.elbo_terms`, (B, L), without checks and branches; see `fused` for the formulas.

    Args:
        logits: (B, L, V). x, z: clean and noisy tokens, (B, L). alpha, nu: alpha_t and beta_t pi_t(token), (B,).
    """
    mask = torch.arange(logits.shape[-1], device=logits.device) == process.mask_id
    log_x_hat = logits.masked_fill(mask, -torch.inf).log_softmax(-1)
    alpha, nu = alpha[:, None], nu[:, None]
    ratio = torch.where(nu > 0, alpha / nu, 0.0)
    terms = torch.log1p(ratio[..., None] * log_x_hat.exp())
    log_x = log_x_hat.gather(-1, x[..., None])[..., 0]
    at_x, at_z = (terms.gather(-1, token[..., None])[..., 0] for token in (x, z))
    data_gap = (alpha + nu).log() - torch.logaddexp(alpha.log() + log_x, nu.log())
    kl = (alpha + nu) * data_gap - nu * (terms.sum(-1) - at_x)
    r = torch.where(z == x, data_gap, -at_z)
    return kl + torch.where(z == process.mask_id, 0.0, torch.expm1(r) - r)
