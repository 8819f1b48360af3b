"""Methods that move every coordinate by a bounded amount: the sign of a gradient or of an average."""

from dataclasses import replace

from shared.optim.base import RuleOptimizer
from shared.optim.ranges import Range
from shared.optim.rule import DECAY, EPS, GRADIENT_INIT, LR, Rule, beta, decayed, first
from shared.optim.vectors import average, near


def _signsgd(p, g, s, h, loss):
    return decayed(p, h) - near(h["lr"], p) * g.sign(), {}


def _signum(p, g, s, h, loss):
    m = average(s["exp_avg"], g, h["beta"] * (1 - h["gradient_init"] * first(s["step"])))
    return decayed(p, h) - near(h["lr"], p) * m.sign(), {"exp_avg": m}


def _soft_signum(p, g, s, h, loss):
    m = average(s["exp_avg"], g, h["beta"] * (1 - h["gradient_init"] * first(s["step"])))
    inside, outside = near(h["eps_inside"], p), near(h["eps"], p)
    return decayed(p, h) - near(h["lr"], p) * (m / ((m * m + inside).sqrt() + outside)), {"exp_avg": m}


def _emasign(p, g, s, h, loss):
    m = average(s["exp_avg"], g.sign(), h["beta"])
    return decayed(p, h) - near(h["lr"], p) * m, {"exp_avg": m}


def _lion(p, g, s, h, loss):
    u = average(s["exp_avg"], g, h["beta1"]).sign()
    return decayed(p, h) - near(h["lr"], p) * u, {"exp_avg": average(s["exp_avg"], g, h["beta2"])}


def _check_mollifier(values):
    if values["eps"] == 0 and values["eps_inside"] == 0:
        raise ValueError("optimiser 'soft_signum' needs eps > 0 or eps_inside > 0; with both zero use 'signum'")


EXACT = LR.meant("step length in parameter units; every coordinate with a gradient moves by exactly lr")
LARGEST = LR.meant("largest step length of a coordinate, in parameter units")

SIGNSGD_RULE = Rule("signsgd", _signsgd, {"lr": EXACT, "weight_decay": DECAY})
SIGNUM_RULE = Rule(
    "signum",
    _signum,
    {
        "lr": EXACT,
        "beta": beta(0.9, "averaging factor; 0 gives sign descent"),
        "weight_decay": DECAY,
        "gradient_init": GRADIENT_INIT,
    },
    vectors=("exp_avg",),
)
SOFT_SIGNUM_RULE = Rule(
    "soft_signum",
    _soft_signum,
    {
        "lr": LARGEST,
        "beta": beta(0.9),
        "eps": replace(EPS, default=0.0),
        "eps_inside": Range(1e-6, meaning="added inside the root, in squared gradient units"),
        "weight_decay": DECAY,
        "gradient_init": GRADIENT_INIT,
    },
    vectors=("exp_avg",),
    check=_check_mollifier,
)
EMASIGN_RULE = Rule(
    "emasign",
    _emasign,
    {"lr": LARGEST, "beta": beta(0.9, "averaging factor of the signs; 0 gives sign descent"), "weight_decay": DECAY},
    vectors=("exp_avg",),
)
LION_RULE = Rule(
    "lion",
    _lion,
    {
        "lr": EXACT,
        "beta1": beta(0.9, "interpolation for the step"),
        "beta2": beta(0.99, "averaging of the buffer"),
        "weight_decay": DECAY,
    },
    vectors=("exp_avg",),
)


class SignSGD(RuleOptimizer):
    """Sign descent: p <- (1 - lr * weight_decay) * p - lr * sign(g); sign(0) is 0.

    Source: Bernstein et al. 2018.
    """

    rule = SIGNSGD_RULE


class Signum(RuleOptimizer):
    """Sign of an exponential moving average of the gradient.

    m <- beta * m + (1 - beta) * g;  p <- (1 - lr * weight_decay) * p - lr * sign(m)

    Source: Bernstein et al. 2018 (Signum), decoupled decay added.
    """

    rule = SIGNUM_RULE


class SoftSignum(RuleOptimizer):
    """Signum with a constant in place of a variance: p <- p - lr * m / (sqrt(m^2 + eps_inside) + eps).

    eps_inside = 0 gives m / (|m| + eps).

    Source: Orvieto and Gower 2025, arXiv 2505.21829, Figs. 4 and 7.
    """

    rule = SOFT_SIGNUM_RULE


class EMASign(RuleOptimizer):
    """Momentum after the sign: m <- beta * m + (1 - beta) * sign(g);  p <- p - lr * m.

    Source: Orvieto and Gower 2025, arXiv 2505.21829, section 3.
    """

    rule = EMASIGN_RULE


class Lion(RuleOptimizer):
    """p <- (1 - lr * weight_decay) * p - lr * sign(beta1 * m + (1 - beta1) * g);  m <- beta2 * m + (1 - beta2) * g.

    Source: Chen et al. 2023, arXiv 2302.06675, Algorithm 2.
    """

    rule = LION_RULE
