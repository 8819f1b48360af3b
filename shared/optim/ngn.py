"""NGN step sizes: the learning rate c damped by 1 / (1 + c |g|^2 / (2 f)), with momentum and preconditioners.

f is the batch loss >= 0 before the update, g its gradient over ALL parameters. `lr` is c. Momentum is kept as the
last displacement, `momentum_buffer` = x_k - x_{k+1}, which is the heavy-ball form with x_{-1} = x_0.

Source: Orvieto and Xiao 2024, arXiv 2407.04358 (NGN); Islamov et al. 2025, arXiv 2508.15071, Algorithms 1-3.
"""

import torch
from torch import Tensor

from shared.optim.base import RuleOptimizer
from shared.optim.rule import DECAY, EPS, LR, Rule, beta, is_zero
from shared.optim.vectors import Leaves, above_zero, average, clamp, inner, near


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
    return (v / near(1 - h["beta2"] ** s["step"], like)).sqrt() + above_zero(h["eps"], like)


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


C = LR.meant("c, the largest step size")
APART = DECAY.meant("decoupled decay, multiplied by lr; does not enter gamma")
MOMENTUM = beta(0.9, "factor on the last displacement; 0 is NGN")
BETA2 = beta(0.999, "averaging factor of g^2")
_DIAGONAL = {
    "lr": C.meant("c, the largest step size before preconditioning"),
    "beta1": beta(0.9, "factor on the last displacement"),
    "beta2": BETA2,
    "eps": EPS,
    "weight_decay": APART,
}
_GLOBAL = {"scalars": ("effective_lr",), "needs_loss": True}  # one gamma for the whole model
_MOMENTS = ("exp_avg_sq", "momentum_buffer")

NGN_RULE = Rule("ngn", _ngn, {"lr": C, "weight_decay": APART}, **_GLOBAL)
NGN_M_RULE = Rule(
    "ngn_m", _ngn_m, {"lr": C, "momentum": MOMENTUM, "weight_decay": APART}, ("momentum_buffer",), **_GLOBAL
)
NGN_M_V2_RULE = Rule(
    "ngn_m_v2", _ngn_m_v2, {"lr": C, "momentum": beta(0.9, "averaging factor of g")}, ("exp_avg",), **_GLOBAL
)
NGN_D_RULE = Rule(
    "ngn_d",
    _ngn_d,
    {name: limits for name, limits in _DIAGONAL.items() if name != "beta1"},
    ("exp_avg_sq",),
    needs_loss=True,
)
NGN_MD_RULE = Rule("ngn_md", _ngn_md, _DIAGONAL, _MOMENTS, **_GLOBAL)
NGN_MD_V2_RULE = Rule("ngn_md_v2", _ngn_md_v2, _DIAGONAL, _MOMENTS, needs_loss=True)
NGN_MDW_RULE = Rule(
    "ngn_mdw",
    _ngn_mdw,
    _DIAGONAL | {"weight_decay": DECAY.meant("strength of the decay in the model that is minimised")},
    _MOMENTS,
    **_GLOBAL,
)


class NGN(RuleOptimizer):
    """x <- x - gamma g - lr * weight_decay * x,  gamma = lr / (1 + lr |g|^2 / (2 f)).

    Call `step(loss=loss)`.

    Source: Orvieto and Xiao 2024, arXiv 2407.04358.
    """

    rule = NGN_RULE


class NGNM(RuleOptimizer):
    """x_{k+1} = x_k - (1 - momentum) gamma g_k + momentum (x_k - x_{k-1}); gamma as in `NGN`, on the new gradient.

    Source: Islamov et al. 2025, arXiv 2508.15071, Algorithm 1.
    """

    rule = NGN_M_RULE


class NGNMv2(RuleOptimizer):
    """The rejected design of `NGNM`: m <- EMA[g];  x <- x - gamma m with gamma from |m|^2. It has no weight decay.

    Source: Islamov et al. 2025, arXiv 2508.15071, version 2 of Figure 1.
    """

    rule = NGN_M_V2_RULE


class NGND(RuleOptimizer):
    """One NGN step per coordinate with c_j = lr / D_j, D = eps + sqrt(EMA_beta2[g^2] / (1 - beta2**step)).

    Source: Islamov et al. 2025, arXiv 2508.15071, Algorithm 2.
    """

    rule = NGN_D_RULE


class NGNMD(RuleOptimizer):
    """Diagonal NGN with momentum: x_{k+1} = x_k - (1 - beta1) u_k - lr * weight_decay * x_k + beta1 (x_k - x_{k-1}).

    u = gamma g / D with one gamma = c / (1 + c |g|^2_{D^-1} / (2 f)) for the whole model and
    D = eps + sqrt(EMA_beta2[g^2] / (1 - beta2**step)): precondition first, average afterwards.

    Source: Islamov et al. 2025, arXiv 2508.15071, Algorithm 3 (version 1).
    """

    rule = NGN_MD_RULE


class NGNMDv2(RuleOptimizer):
    """`NGNMD` with NGN's step per coordinate: u_j = gamma_j g_j, c_j = c / D_j.

    Source: Islamov et al. 2025, arXiv 2508.15071, Algorithm 3 (version 2).
    """

    rule = NGN_MD_V2_RULE


class NGNMDW(RuleOptimizer):
    """`NGNMD` whose weight decay wd is part of the model that NGN minimises.

    x_{k+1} = x_k / (1 + wd c) - (1 - beta1) q g / D + beta1 (x_k - x_{k-1}), with ct = c / (1 + wd c) and
    q = ct [1 - ct wd <g, x> / (2 f)]_+ / (1 + ct |g|^2_{D^-1} / (2 f)). The source leaves open where (1 - beta1) stands
    relative to the shrink factor; it multiplies the step alone here.

    Source: Islamov et al. 2025, arXiv 2508.15071, Appendix G.
    """

    rule = NGN_MDW_RULE
