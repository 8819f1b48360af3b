"""NGN step sizes: the learning rate c damped by 1 / (1 + c |g|^2 / (2 f)), with momentum and preconditioners.

f is the batch loss >= 0 before the update, g its gradient over ALL parameters. `lr` is c. Momentum is kept as the
last displacement, `momentum_buffer` = x_k - x_{k+1}, which is the heavy-ball form with x_{-1} = x_0.

Source: Orvieto and Xiao 2024, arXiv 2407.04358 (NGN); Islamov et al. 2025, arXiv 2508.15071, Algorithms 1-3.
"""

import torch
from torch import Tensor

from shared.optim.base import RuleOptimizer
from shared.optim.rule import DECAY, LR, Range, Rule, beta, is_zero
from shared.optim.vectors import Leaves, average, clamp, inner, near

EPS = Range(1e-8)


def exactly(loss):
    """The loss as a float64 scalar."""
    return loss.to(torch.float64) if isinstance(loss, Tensor) else loss


def ratio(numerator, denominator, otherwise):
    """numerator / denominator for scalars, `otherwise` where the denominator is zero."""
    if any(isinstance(x, Leaves) for x in (numerator, denominator, otherwise)):
        length = next(len(x.items) for x in (numerator, denominator, otherwise) if isinstance(x, Leaves))
        parts = [x.items if isinstance(x, Leaves) else [x] * length for x in (numerator, denominator, otherwise)]
        return Leaves([ratio(a, b, c) for a, b, c in zip(*parts, strict=True)])
    return torch.where(denominator == 0, otherwise, numerator / denominator)


def ngn_step_size(c, loss, squared_norm):
    """gamma = 2 c f / (2 f + c |g|^2), in (0, c]; c where f and g vanish. No division by f."""
    f = exactly(loss)
    return ratio(2 * f * c, 2 * f + c * squared_norm, c)


def preconditioner(v, s, h, like):
    """D = eps + sqrt(v / (1 - beta2**step))."""
    return (v / near(1 - h["beta2"] ** s["step"], like)).sqrt() + near(h["eps"], like)


def _moved(p, s, h, direction, momentum):
    """x - (1 - momentum) u - lr wd x + momentum (x - x_prev), and the displacement to remember."""
    v = _with_decay(average(s["momentum_buffer"], direction, momentum), p, h)
    return p - v, v


def _with_decay(displacement, p, h):
    """displacement + lr * weight_decay * p, on the coordinates that decay."""
    if is_zero(h["weight_decay"]):
        return displacement
    rate = near(h["lr"] * h["weight_decay"], p)
    return displacement + (rate * h["decay_mask"] if "decay_mask" in h else rate) * p


def _ngn(p, g, s, h, loss):
    gamma = ngn_step_size(h["lr"], loss, inner(g, g))
    u = near(gamma, p) * g
    return p - _with_decay(u, p, h), {"effective_lr": gamma}


def _ngn_m(p, g, s, h, loss):
    gamma = ngn_step_size(h["lr"], loss, inner(g, g))
    x, v = _moved(p, s, h, near(gamma, p) * g, h["momentum"])
    return x, {"momentum_buffer": v, "effective_lr": gamma}


def _ngn_m_v2(p, g, s, h, loss):
    m = average(s["exp_avg"], g, h["momentum"])
    gamma = ngn_step_size(h["lr"], loss, inner(m, m))
    return p - near(gamma, p) * m, {"exp_avg": m, "effective_lr": gamma}


def _ngn_md(p, g, s, h, loss):
    v = average(s["exp_avg_sq"], g * g, h["beta2"])
    scaled = g / preconditioner(v, s, h, p)
    gamma = ngn_step_size(h["lr"], loss, inner(g, scaled))
    x, moved = _moved(p, s, h, near(gamma, p) * scaled, h["beta1"])
    return x, {"exp_avg_sq": v, "momentum_buffer": moved, "effective_lr": gamma}


def _coordinate_steps(p, g, s, h, loss):
    """gamma_j g_j with gamma_j = a_j / (1 + a_j g_j^2 / (2 f)), a = c / D; and the new second moment."""
    v = average(s["exp_avg_sq"], g * g, h["beta2"])
    twice = near(2 * exactly(loss), p)
    c = near(h["lr"], p)
    damped = twice * preconditioner(v, s, h, p) + c * (g * g)
    return twice * c * g / clamp(damped, low=torch.finfo(p.dtype).tiny), v  # f = 0 needs g = 0: no step


def _ngn_md_v2(p, g, s, h, loss):
    u, v = _coordinate_steps(p, g, s, h, loss)
    x, moved = _moved(p, s, h, u, h["beta1"])
    return x, {"exp_avg_sq": v, "momentum_buffer": moved}


def _ngn_d(p, g, s, h, loss):
    u, v = _coordinate_steps(p, g, s, h, loss)
    return p - _with_decay(u, p, h), {"exp_avg_sq": v}


def _ngn_mdw(p, g, s, h, loss):
    v = average(s["exp_avg_sq"], g * g, h["beta2"])
    scaled = g / preconditioner(v, s, h, p)
    grown = 1 + h["lr"] * h["weight_decay"]
    if "decay_mask" in h:
        grown = 1 + near(h["lr"] * h["weight_decay"], p) * h["decay_mask"]
    kept = near(1 / grown, p)
    reach = near(h["lr"], p) * kept  # c / (1 + wd c)
    twice = 2 * exactly(loss)
    pull = inner((1 - kept) * g, p)  # (c wd / (1 + c wd)) g.x, over decayed coordinates
    fraction = ratio(clamp(twice - pull, low=0.0), twice + inner(reach * g, scaled), 1.0)
    u = near(fraction, p) * (reach * scaled)
    moved = average(s["momentum_buffer"], u, h["beta1"]) + (1 - kept) * p
    return p - moved, {"exp_avg_sq": v, "momentum_buffer": moved, "effective_lr": fraction * h["lr"]}


_SCALAR = {"lr": LR, "weight_decay": DECAY}
_DIAGONAL = {"lr": LR, "beta1": beta(0.9), "beta2": beta(0.999), "eps": EPS, "weight_decay": DECAY}
_COMMON = {"scalars": ("effective_lr",), "needs_loss": True}

NGN_RULE = Rule("ngn", _ngn, _SCALAR, **_COMMON)
NGN_M_RULE = Rule("ngn_m", _ngn_m, _SCALAR | {"momentum": beta(0.9)}, ("momentum_buffer",), **_COMMON)
NGN_M_V2_RULE = Rule("ngn_m_v2", _ngn_m_v2, {"lr": LR, "momentum": beta(0.9)}, ("exp_avg",), **_COMMON)
NGN_D_RULE = Rule(
    "ngn_d",
    _ngn_d,
    {"lr": LR, "beta2": beta(0.999), "eps": EPS, "weight_decay": DECAY},
    ("exp_avg_sq",),
    needs_loss=True,
)
NGN_MD_RULE = Rule("ngn_md", _ngn_md, _DIAGONAL, ("exp_avg_sq", "momentum_buffer"), **_COMMON)
NGN_MD_V2_RULE = Rule("ngn_md_v2", _ngn_md_v2, _DIAGONAL, ("exp_avg_sq", "momentum_buffer"), needs_loss=True)
NGN_MDW_RULE = Rule("ngn_mdw", _ngn_mdw, _DIAGONAL, ("exp_avg_sq", "momentum_buffer"), **_COMMON)


class NGN(RuleOptimizer):
    """x <- x - gamma g - lr * weight_decay * x,  gamma = lr / (1 + lr |g|^2 / (2 f)).

    Call `step(loss=loss)`.

    Args:
        lr: c, the largest step size.
        weight_decay: decoupled, multiplied by lr; does not enter gamma.
    Source: Orvieto and Xiao 2024, arXiv 2407.04358.
    """

    rule = NGN_RULE

    def __init__(self, params, lr, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)


class NGNM(RuleOptimizer):
    """x_{k+1} = x_k - (1 - momentum) gamma g_k + momentum (x_k - x_{k-1}); gamma as in `NGN`, on the new gradient.

    Args:
        lr: c, the largest step size.
        momentum: beta in [0, 1); 0 is NGN.
        weight_decay: decoupled, multiplied by lr; does not enter gamma.
        version: 1 as above; 2, the rejected design, takes an average m of gradients, gamma from |m|^2, and
            x <- x - gamma m. Version 2 has no weight decay.
    Source: Islamov et al. 2025, arXiv 2508.15071, Algorithm 1.
    """

    rule = NGN_M_RULE

    def __init__(self, params, lr, momentum=0.9, weight_decay=0.0, version=1):
        _check_version(version)
        if version == 2 and weight_decay:
            raise ValueError(f"version 2 of NGNM has no weight decay; got {weight_decay:g}")
        if version == 2:
            self.rule = NGN_M_V2_RULE
        settings = {"lr": lr, "momentum": momentum} | ({"weight_decay": weight_decay} if version == 1 else {})
        super().__init__(params, **settings)


class NGND(RuleOptimizer):
    """One NGN step per coordinate with c_j = lr / D_j, D = eps + sqrt(EMA_beta2[g^2] / (1 - beta2**step)).

    Args:
        lr: c, the largest step size before preconditioning.
        beta2: averaging factor of g^2 in [0, 1).
        eps: added outside the root.
        weight_decay: decoupled, multiplied by lr.
    Source: Islamov et al. 2025, arXiv 2508.15071, Algorithm 2.
    """

    rule = NGN_D_RULE

    def __init__(self, params, lr, beta2=0.999, eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, beta2=beta2, eps=eps, weight_decay=weight_decay)


class NGNMD(RuleOptimizer):
    """Diagonal NGN with momentum: x_{k+1} = x_k - (1 - beta1) u_k + beta1 (x_k - x_{k-1}).

    Version 1: u = gamma g / D with one gamma = c / (1 + c |g|^2_{D^-1} / (2 f)) for the whole model.
    Version 2: u_j = gamma_j g_j with NGN's step per coordinate, c_j = c / D_j.
    D = eps + sqrt(EMA_beta2[g^2] / (1 - beta2**step)): precondition first, average afterwards.

    Args:
        lr: c.
        betas: (momentum, averaging factor of g^2), each in [0, 1).
        eps: added outside the root.
        weight_decay: strength wd.
        weight_decay_mode: "decoupled" subtracts c * wd * x; "proximal" (version 1 only) puts wd into the model that
            NGN minimises, x_k / (1 + wd c) - (1 - beta1) q g / D + beta1 (x_k - x_{k-1}). The source leaves
            open where (1 - beta1) stands relative to the shrink factor; it multiplies the step alone here.
        version: 1 or 2.
    Source: Islamov et al. 2025, arXiv 2508.15071, Algorithm 3 and Appendix G.
    """

    rule = NGN_MD_RULE

    def __init__(
        self,
        params,
        lr,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        weight_decay_mode="decoupled",
        version=1,
    ):
        _check_version(version)
        if weight_decay_mode not in ("decoupled", "proximal"):
            raise ValueError(f"weight_decay_mode must be 'decoupled' or 'proximal'; got {weight_decay_mode!r}")
        if version == 2 and weight_decay_mode == "proximal":
            raise ValueError("proximal weight decay is defined for version 1 of NGNMD; use 'decoupled' with version 2")
        if version == 2:
            self.rule = NGN_MD_V2_RULE
        elif weight_decay_mode == "proximal":
            self.rule = NGN_MDW_RULE
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def _check_version(version):
    if version not in (1, 2):
        raise ValueError(f"version must be 1 or 2; got {version!r}")
