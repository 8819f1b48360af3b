"""Methods that move every coordinate by a bounded amount: the sign of a gradient or of an average."""

from shared.optim.base import RuleOptimizer
from shared.optim.rule import DECAY, LR, SWITCH, Range, Rule, beta, decayed, first
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


SIGNSGD_RULE = Rule("signsgd", _signsgd, {"lr": LR, "weight_decay": DECAY})
SIGNUM_RULE = Rule(
    "signum",
    _signum,
    {"lr": LR, "beta": beta(0.9), "weight_decay": DECAY, "gradient_init": SWITCH},
    vectors=("exp_avg",),
)
SOFT_SIGNUM_RULE = Rule(
    "soft_signum",
    _soft_signum,
    {
        "lr": LR,
        "beta": beta(0.9),
        "eps": Range(0.0),
        "eps_inside": Range(1e-6),
        "weight_decay": DECAY,
        "gradient_init": SWITCH,
    },
    vectors=("exp_avg",),
    check=_check_mollifier,
)
EMASIGN_RULE = Rule("emasign", _emasign, {"lr": LR, "beta": beta(0.9), "weight_decay": DECAY}, vectors=("exp_avg",))
LION_RULE = Rule(
    "lion",
    _lion,
    {"lr": LR, "beta1": beta(0.9), "beta2": beta(0.99), "weight_decay": DECAY},
    vectors=("exp_avg",),
)


class SignSGD(RuleOptimizer):
    """Sign descent: p <- (1 - lr * weight_decay) * p - lr * sign(g); sign(0) is 0.

    Args:
        lr: step length in parameter units; every coordinate with a gradient moves by exactly lr.
        weight_decay: decoupled, multiplied by lr.
    Source: Bernstein et al. 2018.
    """

    rule = SIGNSGD_RULE

    def __init__(self, params, lr, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)


class Signum(RuleOptimizer):
    """Sign of an exponential moving average of the gradient.

    m <- beta * m + (1 - beta) * g;  p <- (1 - lr * weight_decay) * p - lr * sign(m)

    Args:
        lr: step length in parameter units; every coordinate moves by exactly lr.
        beta: averaging factor in [0, 1); 0 gives sign descent.
        weight_decay: decoupled, multiplied by lr as in AdamW.
        gradient_init: start m at the first gradient, not at zero.
    Source: Bernstein et al. 2018 (Signum), decoupled decay added.
    """

    rule = SIGNUM_RULE

    def __init__(self, params, lr, beta=0.9, weight_decay=0.0, gradient_init=False):
        super().__init__(params, lr=lr, beta=beta, weight_decay=weight_decay, gradient_init=gradient_init)


class SoftSignum(RuleOptimizer):
    """Signum with a constant in place of a variance: p <- p - lr * m / (sqrt(m^2 + eps_inside) + eps).

    eps_inside = 0 gives m / (|m| + eps).

    Args:
        lr: largest step length of a coordinate.
        beta: averaging factor in [0, 1).
        eps: added outside the root, in gradient units.
        eps_inside: added inside the root, in squared gradient units.
        weight_decay: decoupled, multiplied by lr.
        gradient_init: start m at the first gradient, not at zero.
    Source: Orvieto and Gower 2025, arXiv 2505.21829, Figs. 4 and 7.
    """

    rule = SOFT_SIGNUM_RULE

    def __init__(self, params, lr, beta=0.9, eps=0.0, eps_inside=1e-6, weight_decay=0.0, gradient_init=False):
        super().__init__(
            params,
            lr=lr,
            beta=beta,
            eps=eps,
            eps_inside=eps_inside,
            weight_decay=weight_decay,
            gradient_init=gradient_init,
        )


class EMASign(RuleOptimizer):
    """Momentum after the sign: m <- beta * m + (1 - beta) * sign(g);  p <- p - lr * m.

    Args:
        lr: largest step length of a coordinate.
        beta: averaging factor in [0, 1); 0 gives sign descent.
        weight_decay: decoupled, multiplied by lr.
    Source: Orvieto and Gower 2025, arXiv 2505.21829, section 3.
    """

    rule = EMASIGN_RULE

    def __init__(self, params, lr, beta=0.9, weight_decay=0.0):
        super().__init__(params, lr=lr, beta=beta, weight_decay=weight_decay)


class Lion(RuleOptimizer):
    """p <- (1 - lr * weight_decay) * p - lr * sign(beta1 * m + (1 - beta1) * g);  m <- beta2 * m + (1 - beta2) * g.

    Args:
        lr: step length in parameter units.
        betas: (interpolation for the step, averaging of the buffer), each in [0, 1).
        weight_decay: decoupled, multiplied by lr.
    Source: Chen et al. 2023, arXiv 2302.06675, Algorithm 2.
    """

    rule = LION_RULE

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)
