"""Loss weights: the ELBO's own w_t(z, x), and the rescaled ones that are trained with.

Whatever is trained, the ELBO with the true weights is what is reported. All weights are float64.

Source: von Rütte et al. 2025, arXiv 2503.04482v2, loss weighting; code v1.1.0 for the cap of the dynamic weights.
"""

from typing import get_args

import torch
from torch import Tensor

from papers.gidd.checks import check_times
from papers.gidd.names import Weighting
from papers.gidd.process import MixingProcess, along

WEIGHTINGS: tuple[str, ...] = get_args(Weighting)


def elbo_weight(process: MixingProcess, t: Tensor, z: Tensor, x: Tensor) -> Tensor:
    """w_t(z, x) = omega_t(z) / q_t(z | x), shape of `z`, float64; 0 where nothing flows into z.

    Raises:
        ValueError: a time outside (0, 1).
    """
    flow = process.omega(t, z)
    return torch.where(flow > 0, flow / process.marginal_at(t, z, x), 0.0)


def training_weight(
    weighting: Weighting,
    process: MixingProcess,
    t: Tensor,
    z: Tensor,
    x: Tensor,
    *,
    w_max: float = 1.0,
    elbo: Tensor | None = None,
) -> Tensor:
    """Weight of each token in the training loss, shape of `z`, float64.

    none            w_t(z, x)
    clamp           min(w_max, w_t)
    dynamic         w_max (1 + [z = m] + ((B / N) exp(-lambda / 2) - 1) [z = x]), at most 2 w_max: the ratios of the
                    three kinds of token at gamma = 1, up to terms of order c_t / N
    dynamic_exact   w_max * 2 t (1 - t) w_t: the exact ratios without the factor they share; for N < 100 use this one
    dynamic_v110    compatibility only: the released code v1.1.0 weighs data tokens by
                    (B / V) exp(gamma / 2 * sigmoid(-t)), where the t-dependence of -lambda is lost

    In `dynamic`, lambda = log((1 - t) / t), the log-SNR of the masking alone: then (B / N) exp(-lambda / 2) is
    (c_t / N) / (1 - t) exactly. The process's own log-SNR, log((1 - t) / (t + c_t)), is often written there, but
    makes that weight sqrt(1 + c_t / t) times too large, a factor of 2.4 at p_u = 0.2 and t = 0.01.

    Args:
        w_max: cap of `clamp`, scale of the dynamic ones.
        elbo: `elbo_weight` of the same tokens, where it is known already.
    Raises:
        ValueError: an unknown name, or a process for which `dynamic` and `dynamic_v110` are not defined.
    """
    if elbo is None and weighting in ("none", "clamp", "dynamic_exact"):
        elbo = elbo_weight(process, t, z, x)
    if weighting == "none":
        return elbo
    if not w_max > 0:
        raise ValueError(f"w_max must be positive; got {w_max}")
    if weighting == "clamp":
        return elbo.clamp_max(w_max)
    if weighting == "dynamic_exact":
        t = t.double()
        return w_max * along(2 * t * (1 - t), z) * elbo
    if weighting in ("dynamic", "dynamic_v110"):
        data_weight = along(_data_token_weight(weighting, process, t.double()), z)
        weight = torch.where(z == process.mask_id, 2.0, torch.where(z == x, data_weight, 1.0))
        return w_max * weight.clamp_max(2.0)  # a cap of 1 would cut the mask's own weight
    raise ValueError(f"unknown weighting {weighting!r}; choose one of {', '.join(WEIGHTINGS)}")


def _data_token_weight(weighting: str, process: MixingProcess, t: Tensor) -> Tensor:
    """Weight of z = x relative to a wrong token's 1, shape of `t`."""
    check_times(t)
    scale = getattr(process, "uniform_scale", None)
    if scale is None or process.gamma != 1:
        raise ValueError(
            f"weighting {weighting!r} is defined for the mask and hybrid processes with gamma = 1; "
            f"got {type(process).__name__} with gamma = {getattr(process, 'gamma', 'none')}: use 'dynamic_exact'"
        )
    if weighting == "dynamic_v110":
        return scale / process.vocab_size * torch.exp(process.gamma / 2 * torch.sigmoid(-t))
    return scale / process.num_ordinary * torch.exp(torch.logit(t) / 2)
