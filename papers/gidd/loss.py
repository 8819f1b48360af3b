"""The bound per token, the training loss made of it, and the baselines' losses.

    -log p(x) <= E_{t, z} [ w_t(z, x) ( KL(q_t(. | x) || q_t(. | x_hat)) + IS(q_t(z | x) || q_t(z | x_hat)) ) ] + C

Where it comes from: the reverse rate of the noising chain from a to b is omega_t(a) q_t(b|x) / q_t(a|x), the model's
has x_hat in place of x. With R_b = q_t(b|x) / q_t(a|x) and S_b for the model, the path KL of two jump processes is
omega_t(a) sum_{b != a} (R_b log(R_b / S_b) - R_b + S_b). Both marginals sum to one, hence sum_{b != a} (S_b - R_b) =
1 / q_t(a|x_hat) - 1 / q_t(a|x); and log(R_b / S_b) is the log ratio at b less the one at a, r. Collecting terms,
(omega_t(a) / q_t(a|x)) (KL - r + exp(r) - 1), the formula above. C does not depend on the network and is dropped.

Shapes: B sequences, L positions, V vocabulary, V' >= V columns of the logits (padding columns are ignored).
Source: von Rütte et al. 2025, arXiv 2503.04482, theorem on the continuous-time ELBO.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from papers.gidd.categorical import mask_free_logits
from papers.gidd.checks import check_ids, check_times, check_x_hat
from papers.gidd.fused import DivergenceTerms
from papers.gidd.members import TwoLevelProcess
from papers.gidd.names import Weighting
from papers.gidd.process import MixingProcess, along
from papers.gidd.weighting import elbo_weight, training_weight

LOG_FLOOR = -1e6  # stands for log 0, so that 0 log 0 = 0


@dataclass(frozen=True)
class ElboTerms:
    """Per-token parts of the bound, each (B, L), in nats; `elbo` is weight * (kl + is_)."""

    kl: Tensor
    is_: Tensor
    weight: Tensor

    def weighted(self, weight: Tensor) -> Tensor:
        """weight * (kl + is_), zero where the weight is, even if the IS term is infinite there."""
        divergence = self.kl + self.is_
        return torch.where(weight > 0, weight.to(divergence.dtype) * divergence, 0.0)

    @property
    def elbo(self) -> Tensor:
        """Negative ELBO per token, with the true weights."""
        return self.weighted(self.weight)


def elbo_terms(
    logits: Tensor, x: Tensor, z: Tensor, t: Tensor, process: MixingProcess, *, fused: bool | None = None
) -> ElboTerms:
    """Parts of the bound at one draw of (t, z).

    Args:
        logits: network output for (z, t), (B, L, V'); the mask column is ignored.
        x: data tokens, (B, L).
        z: noisy tokens, (B, L).
        t: times in (0, 1), (B,).
        fused: the one-pass form for processes with two noise levels; if omitted, wherever it applies.
    Raises:
        ValueError: ids outside the vocabulary, masks in `x`, times outside (0, 1), too few logits.
    """
    check_ids(x, "x", process.vocab_size, process.mask_id)
    check_ids(z, "z", process.vocab_size)
    check_times(t)
    two_level = isinstance(process, TwoLevelProcess)
    if fused is None:
        fused = two_level
    if not fused:
        x_hat = mask_free_logits(logits, process.vocab_size, process.mask_id).softmax(-1)
        return reference_terms(x_hat, x, z, t, process)
    if not two_level:
        raise ValueError(f"the fused loss needs two noise levels, {type(process).__name__} has more; pass fused=False")
    if logits.shape[-1] < process.vocab_size:
        raise ValueError(f"got {logits.shape[-1]} logits per token for a vocabulary of {process.vocab_size}")
    alpha = along(process.alpha(t), x).expand_as(x).flatten()
    nu = along(process.token_mass(t), x).expand_as(x).flatten()
    rows = logits.reshape(-1, logits.shape[-1])
    kl, is_ = DivergenceTerms.apply(rows, x.flatten(), z.flatten(), alpha, nu, process.vocab_size, process.mask_id)
    return ElboTerms(kl.view_as(x), is_.view_as(x), elbo_weight(process, t, z, x))


def reference_terms(x_hat: Tensor, x: Tensor, z: Tensor, t: Tensor, process: MixingProcess) -> ElboTerms:
    """The same from predicted distributions, in the plain form, for any process: the specification of `elbo_terms`.

    Args:
        x_hat: predicted data distribution, (B, L, V), no mass on the mask.
    Raises:
        ValueError: as `elbo_terms`; mass on the mask.
    """
    check_ids(x, "x", process.vocab_size, process.mask_id)
    check_ids(z, "z", process.vocab_size)
    check_x_hat(x_hat, process.vocab_size, process.mask_id)
    alpha = along(process.alpha(t), x).unsqueeze(-1).to(x_hat.dtype)
    q = process.marginal(t, x).to(x_hat.dtype)
    noise = process.beta_pi(t).unsqueeze(-2).to(x_hat.dtype)
    log_q = q.log().clamp_min(LOG_FLOOR)
    p = alpha * x_hat + noise
    log_p = torch.where(p > 0, p, 1.0).log().masked_fill(p <= 0, LOG_FLOOR)
    kl = (q * (log_q - log_p)).sum(-1)
    r = (log_q - log_p).gather(-1, z.unsqueeze(-1)).squeeze(-1)
    return ElboTerms(kl, torch.expm1(r) - r, elbo_weight(process, t, z, x))


def training_loss(
    logits: Tensor,
    x: Tensor,
    z: Tensor,
    t: Tensor,
    process: MixingProcess,
    weighting: Weighting,
    *,
    w_max: float = 1.0,
    fused: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """(loss, elbo) per token, each (B, L): what is trained, its mean taken over all positions, and what is reported.

    The `elbo` has the true weights, is detached, and is averaged over positions that are not padding.
    """
    terms = elbo_terms(logits, x, z, t, process, fused=fused)
    weight = training_weight(weighting, process, t, z, x, w_max=w_max, elbo=terms.weight)
    return terms.weighted(weight), terms.elbo.detach()


def mdlm_loss(logits: Tensor, x: Tensor, z: Tensor, t: Tensor, process: MixingProcess) -> Tensor:
    """Masked diffusion: cross entropy / t on masked tokens and zero elsewhere, (B, L).

    With `MaskProcess(eps=1e-4)` this is MDLM with log-linear masking. Source: Sahoo et al. 2024, arXiv 2406.07524.
    """
    check_ids(x, "x", process.vocab_size, process.mask_id)
    check_times(t)
    logits = mask_free_logits(logits, process.vocab_size, process.mask_id)
    nll = cross_entropy(logits.flatten(0, 1), x.flatten(), reduction="none").view_as(x)
    return torch.where(z == process.mask_id, nll / along(t, x).to(nll.dtype), 0.0)


def autoregressive_loss(logits: Tensor, x: Tensor) -> Tensor:
    """Next-token cross entropy, (B, L - 1): `logits` at position j predict token j + 1."""
    if x.shape[1] < 2:
        raise ValueError(f"next-token prediction needs sequences of 2 or more tokens; got length {x.shape[1]}")
    inputs, targets = logits[:, :-1], x[:, 1:]
    wide = torch.promote_types(logits.dtype, torch.float32)
    return cross_entropy(inputs.flatten(0, 1).to(wide), targets.flatten(), reduction="none").view_as(targets)
