"""Step sizes from the batch loss: MoMo, MoMo-Adam, MomSPS, ALR-SMAG.

f is the batch loss before the update, g its gradient, `lb` a lower bound of the loss. `lr` caps the step size.
"""

from shared.optim.base import RuleOptimizer
from shared.optim.ngn import exactly, preconditioner, ratio
from shared.optim.ranges import Range
from shared.optim.rule import DECAY, EPS, LR, Rule, beta, decayed, first
from shared.optim.vectors import average, clamp, inner, minimum, near

CAP = LR.meant("the largest step size")
LOWER_BOUND = Range(0.0, low=float("-inf"), meaning="lower bound of the loss")
PROXIMAL = DECAY.meant("proximal decay, multiplied by lr")


def _kept(p, h):
    """1 / (1 + lr * weight_decay), 1 on coordinates without decay: the proximal map of the decay term."""
    rate = h["lr"] * h["weight_decay"]
    return near(1 / (1 + (near(rate, p) * h["decay_mask"] if "decay_mask" in h else rate)), p)


def _momo(p, g, s, h, loss):
    b = h["beta"] * (1 - first(s["step"]))  # averages start at their first values
    d = average(s["exp_avg"], g, b)
    f = b * s["loss_avg"] + (1 - b) * exactly(loss)
    gamma = b * s["grad_dot_param"] + (1 - b) * inner(g, p)
    kept = _kept(p, h)
    hinge = clamp(f - h["lb"] - gamma + inner(kept * d, p), low=0.0)
    tau = minimum(h["lr"], ratio(hinge, inner(kept * d, d), 0.0))
    state = {"exp_avg": d, "loss_avg": f, "grad_dot_param": gamma, "effective_lr": tau}
    return kept * (p - near(tau, p) * d), state


def _momo_adam(p, g, s, h, loss):
    b = h["beta1"]
    d = average(s["exp_avg"], g, b)
    v = average(s["exp_avg_sq"], g * g, h["beta2"])
    f = b * s["loss_avg"] + (1 - b) * exactly(loss)
    gamma = b * s["grad_dot_param"] + (1 - b) * inner(g, p)
    rho = 1 - b ** s["step"]
    scaled = d / preconditioner(v, s, h, p)
    kept = _kept(p, h)
    hinge = clamp(f - rho * h["lb"] - gamma + inner(kept * d, p), low=0.0)
    tau = minimum(h["lr"] / rho, ratio(hinge, inner(kept * d, scaled), 0.0))
    state = {"exp_avg": d, "exp_avg_sq": v, "loss_avg": f, "grad_dot_param": gamma, "effective_lr": tau}
    return kept * (p - near(tau, p) * scaled), state


def _momsps(p, g, s, h, loss):
    gamma = minimum(h["lr"], ratio(clamp(exactly(loss) - h["lb"], low=0.0), h["scale"] * inner(g, g), 0.0))
    v = average(s["momentum_buffer"], near(gamma, p) * g, h["momentum"])
    return p - v, {"momentum_buffer": v, "effective_lr": gamma}


def _alr_smag(p, g, s, h, loss):
    d = near(h["beta"], p) * s["momentum_buffer"] + g
    gamma = minimum(h["lr"], ratio(clamp(exactly(loss) - h["lb"], low=0.0), h["scale"] * inner(d, d), 0.0))
    x = decayed(p, h, gamma * h["weight_decay"]) - near(gamma, p) * d
    return x, {"momentum_buffer": d, "effective_lr": gamma}


_AVERAGES = ("loss_avg", "grad_dot_param", "effective_lr")

MOMO_RULE = Rule(
    "momo",
    _momo,
    {"lr": CAP, "beta": beta(0.9, "averaging factor of g, f and <g, x>"), "lb": LOWER_BOUND, "weight_decay": PROXIMAL},
    ("exp_avg",),
    _AVERAGES,
    needs_loss=True,
)
MOMO_ADAM_RULE = Rule(
    "momo_adam",
    _momo_adam,
    {
        "lr": CAP,
        "beta1": beta(0.9, "averaging factor of g, f and <g, x>"),
        "beta2": beta(0.999, "averaging factor of g^2"),
        "eps": EPS,
        "lb": LOWER_BOUND,
        "weight_decay": PROXIMAL,
    },
    ("exp_avg", "exp_avg_sq"),
    _AVERAGES,
    needs_loss=True,
)
MOMSPS_RULE = Rule(
    "momsps",
    _momsps,
    {
        "lr": CAP,
        "momentum": beta(0.9, "factor on the last displacement; 0 is the stochastic Polyak step SPS_max"),
        "scale": Range(1.0, closed_low=False, meaning="the constant c_0"),
        "lb": LOWER_BOUND,
    },
    ("momentum_buffer",),
    ("effective_lr",),
    needs_loss=True,
)
ALR_SMAG_RULE = Rule(
    "alr_smag",
    _alr_smag,
    {
        "lr": CAP,
        "beta": beta(0.9, "factor on the buffer, which is not normalised"),
        "scale": Range(1.0, closed_low=False, meaning="the constant c"),
        "lb": LOWER_BOUND,
        "weight_decay": DECAY.meant("decoupled decay, multiplied by gamma"),
    },
    ("momentum_buffer",),
    ("effective_lr",),
    needs_loss=True,
)


class MoMo(RuleOptimizer):
    """SGD with momentum whose step size comes from a truncated model of averaged losses.

    d, f_bar, gamma: averages of g, f and <g, x>, begun at their first values;
    tau = min(lr, [f_bar - lb - gamma + <d, x>]_+ / |d|^2);  x <- x - tau d.
    With weight_decay the bracket becomes (1 + lr wd)(f_bar - lb - gamma) + <d, x> and the whole new x is divided by
    1 + lr wd.

    Source: Schaipp et al. 2024, arXiv 2305.07583, Algorithm 1, and its public code.
    """

    rule = MOMO_RULE


class MoMoAdam(RuleOptimizer):
    """MoMo in Adam's metric D = eps + sqrt(v / (1 - beta2**step)); averages begin at zero.

    With rho = 1 - beta1**step,
    tau = min(lr / rho, [(1 + lr wd)(f_bar - rho lb - gamma) + <d, x>]_+ / |d|^2_{D^-1});
    x <- (x - tau d / D) / (1 + lr wd).

    Source: Schaipp et al. 2024, arXiv 2305.07583, Algorithm 2, and its public code.
    """

    rule = MOMO_ADAM_RULE


class MomSPS(RuleOptimizer):
    """x_{k+1} = x_k - (1 - momentum) gamma g + momentum (x_k - x_{k-1}),  gamma = min(lr, (f - lb) / (scale |g|^2)).

    Source: Oikonomou and Loizou 2024, arXiv 2406.04142 (MomSPS_max).
    """

    rule = MOMSPS_RULE


class ALRSMAG(RuleOptimizer):
    """d <- beta d + g;  gamma = min(lr, (f - lb) / (scale |d|^2));  x <- (1 - gamma weight_decay) x - gamma d.

    Source: Wang et al. 2023, arXiv 2305.12939, with the decay of its public code.
    """

    rule = ALR_SMAG_RULE
