"""Adam and its relatives: an averaged gradient over the root of an averaged square or variance."""

from shared.optim.base import RuleOptimizer
from shared.optim.rule import DECAY, L2, LR, SWITCH, Range, Rule, beta, decayed, first, with_l2
from shared.optim.vectors import average, clamp, near

EPS = Range(1e-8)
BIAS_CORRECTION = Range(1.0, high=1.0, closed_high=True)


def _from_gradient(factor, s, h):
    """Averaging factor that makes the buffer equal the first gradient at the first step where that is asked for."""
    return factor * (1 - h["gradient_init"] * first(s["step"]))


def _correction(factor, s, h):
    """1 - factor**step, or 1 where bias correction is off."""
    return 1 - h["bias_correction"] * factor ** s["step"]


def _adam(p, g, s, h, loss):
    g = with_l2(g, p, h)
    m = average(s["exp_avg"], g, _from_gradient(h["beta1"], s, h))
    v = average(s["exp_avg_sq"], g * g, _from_gradient(h["beta2"], s, h))
    root = (v / near(_correction(h["beta2"], s, h), p)).sqrt() + near(h["eps"], p)
    scale = h["lr"] / _correction(h["beta1"], s, h)
    return decayed(p, h) - near(scale, p) * (m / root), {"exp_avg": m, "exp_avg_sq": v}


def _adam_sigma2(p, g, s, h, loss):
    deviation = g - s["exp_avg"]  # from the OLD average
    decay = h["beta"]
    variance = near(decay, p) * s["exp_avg_var"] + near(decay * (1 - decay), p) * (deviation * deviation)
    m = average(s["exp_avg"], g, decay)
    correction = _correction(decay, s, h)
    root = ((m * m + variance) / near(correction, p)).sqrt() + near(h["eps"], p)
    return decayed(p, h) - near(h["lr"] / correction, p) * (m / root), {"exp_avg": m, "exp_avg_var": variance}


def _adavar(p, g, s, h, loss):
    deviation = g - s["exp_avg"]
    variance = average(s["exp_avg_var"], deviation * deviation, h["tau"])
    m = average(s["exp_avg"], g, h["beta"])
    correction = _correction(h["beta"], s, h)
    root = ((m * m + near(h["gamma"], p) * variance) / near(correction, p)).sqrt() + near(h["eps"], p)
    return decayed(p, h) - near(h["lr"] / correction, p) * (m / root), {"exp_avg": m, "exp_avg_var": variance}


def _adabelief(p, g, s, h, loss):
    eps = near(h["eps"], p)
    m = average(s["exp_avg"], g, h["beta1"])
    deviation = g - m
    variance = average(s["exp_avg_var"], deviation * deviation, h["beta2"]) + eps
    root = (variance / near(1 - h["beta2"] ** s["step"], p)).sqrt() + eps
    scale = h["lr"] / (1 - h["beta1"] ** s["step"])
    return decayed(p, h) - near(scale, p) * (m / root), {"exp_avg": m, "exp_avg_var": variance}


def _adabound(p, g, s, h, loss):
    step = s["step"]
    m = average(s["exp_avg"], g, h["beta1"])
    v = average(s["exp_avg_sq"], g * g, h["beta2"])
    scale = h["lr"] * (1 - h["beta2"] ** step) ** 0.5 / (1 - h["beta1"] ** step)
    final = h["lr"] * h["final_lr_ratio"]
    low = near(final * (1 - 1 / (h["gamma"] * step + 1)), p)
    high = near(final * (1 + 1 / (h["gamma"] * step)), p)
    rates = clamp(near(scale, p) / (v.sqrt() + near(h["eps"], p)), low, high)
    return decayed(p, h) - rates * m, {"exp_avg": m, "exp_avg_sq": v}


ADAM_RULE = Rule(
    "adam",
    _adam,
    {
        "lr": LR,
        "beta1": beta(0.9),
        "beta2": beta(0.999),
        "eps": EPS,
        "weight_decay": DECAY,
        "l2": L2,
        "bias_correction": BIAS_CORRECTION,
        "gradient_init": SWITCH,
    },
    vectors=("exp_avg", "exp_avg_sq"),
)
ADAM_SIGMA2_RULE = Rule(
    "adam_sigma2",
    _adam_sigma2,
    {"lr": LR, "beta": beta(0.95), "eps": EPS, "weight_decay": DECAY, "bias_correction": BIAS_CORRECTION},
    vectors=("exp_avg", "exp_avg_var"),
)
ADAVAR_RULE = Rule(
    "adavar",
    _adavar,
    {
        "lr": LR,
        "beta": beta(0.95),
        "tau": beta(0.95),
        "gamma": Range(0.95),
        "eps": EPS,
        "weight_decay": DECAY,
        "bias_correction": BIAS_CORRECTION,
    },
    vectors=("exp_avg", "exp_avg_var"),
)
ADABELIEF_RULE = Rule(
    "adabelief",
    _adabelief,
    {"lr": LR, "beta1": beta(0.9), "beta2": beta(0.999), "eps": Range(1e-16), "weight_decay": DECAY},
    vectors=("exp_avg", "exp_avg_var"),
)
ADABOUND_RULE = Rule(
    "adabound",
    _adabound,
    {
        "lr": LR,
        "beta1": beta(0.9),
        "beta2": beta(0.999),
        "eps": EPS,
        "final_lr_ratio": Range(100.0),
        "gamma": Range(1e-3, high=1.0, closed_low=False),
        "weight_decay": DECAY,
    },
    vectors=("exp_avg", "exp_avg_sq"),
)


class Adam(RuleOptimizer):
    """m <- EMA_beta1[g], v <- EMA_beta2[g^2];  p <- p - lr * m_hat / (sqrt(v_hat) + eps).

    m_hat = m / (1 - beta1**step) and v_hat = v / (1 - beta2**step) with bias correction, else m and v.
    The method of torch.optim.Adam, whose `weight_decay` is `l2` here.

    Args:
        lr: about the largest step of a coordinate.
        betas: averaging factors of g and of g^2, each in [0, 1).
        eps: added outside the root, in gradient units.
        l2: added to the gradient as l2 * p.
        bias_correction: divide the averages by 1 - beta**step.
        gradient_init: start the averages at the first gradient and its square; goes without bias correction.
    Source: Kingma and Ba 2015, Algorithm 1.
    """

    rule = ADAM_RULE

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, l2=0.0, bias_correction=True, gradient_init=False
    ):
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, l2=l2, bias_correction=bias_correction, gradient_init=gradient_init
        )


class AdamW(RuleOptimizer):
    """Adam after decoupled decay, p <- (1 - lr * weight_decay) * p; the method of torch.optim.AdamW.

    Args: as `Adam`, and
        weight_decay: decoupled, multiplied by lr.
    Source: Loshchilov and Hutter 2019, Algorithm 2.
    """

    rule = ADAM_RULE

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        bias_correction=True,
        gradient_init=False,
    ):
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            bias_correction=bias_correction,
            gradient_init=gradient_init,
        )


class AdamSigma2(RuleOptimizer):
    """Adam with beta1 = beta2 = beta, written with the variance of the gradient about its average.

    sigma2 <- beta * sigma2 + beta * (1 - beta) * (g - m)^2;  m <- beta * m + (1 - beta) * g
    p <- p - lr * m / (sqrt(m^2 + sigma2) + eps), with Adam's bias correction if asked for.

    v - m^2 = sigma2 holds only for equal betas, so this class takes one `beta` and refuses two that differ.
    State: `exp_avg` is m, `exp_avg_var` is sigma2.

    Args:
        lr, eps, weight_decay, bias_correction: as `AdamW`.
        beta: the common averaging factor in [0, 1).
        betas: the same as a pair, for configurations written for Adam; both must be equal.
    Source: Orvieto and Gower 2025, arXiv 2505.21829, Propositions 1 and 2.
    """

    rule = ADAM_SIGMA2_RULE

    def __init__(self, params, lr=1e-3, beta=0.95, eps=1e-8, weight_decay=0.0, bias_correction=True, *, betas=None):
        if betas is not None:
            if betas[0] != betas[1]:
                raise ValueError(
                    f"the sigma2 form of Adam exists only for equal betas (Proposition 2 of arXiv 2505.21829); "
                    f"got {betas[0]:g} and {betas[1]:g}: use Adam, or AdaVar with its own tau and gamma"
                )
            beta = betas[0]
        super().__init__(params, lr=lr, beta=beta, eps=eps, weight_decay=weight_decay, bias_correction=bias_correction)


class AdaVar(RuleOptimizer):
    """p <- p - lr * m / (sqrt(m^2 + gamma * s) + eps),  m = EMA_beta[g],  s = EMA_tau[(m_old - g)^2].

    beta = tau = gamma is Adam with equal betas; gamma = 0 is Signum where m != 0. The source has no bias correction
    for tau != beta; with it on, the denominator is corrected by 1 - beta**step, as Adam's.

    Args:
        lr, eps, weight_decay, bias_correction: as `AdamW`.
        beta, tau: averaging factors of the gradient and of the squared deviation, each in [0, 1).
        gamma: weight of the variance, >= 0.
    Source: Orvieto and Gower 2025, arXiv 2505.21829, Appendix C.4.
    """

    rule = ADAVAR_RULE

    def __init__(
        self, params, lr=1e-3, beta=0.95, tau=0.95, gamma=0.95, eps=1e-8, weight_decay=0.0, bias_correction=True
    ):
        super().__init__(
            params,
            lr=lr,
            beta=beta,
            tau=tau,
            gamma=gamma,
            eps=eps,
            weight_decay=weight_decay,
            bias_correction=bias_correction,
        )


class AdaBelief(RuleOptimizer):
    """Adam with s = EMA_beta2[(g - m)^2] + eps about the NEW average m in place of v; no rectification.

    Args:
        lr, betas, weight_decay: as `AdamW`.
        eps: added to s at every step and again outside the root.
    Source: Zhuang et al. 2020, arXiv 2010.07468, Algorithm 2.
    """

    rule = ADABELIEF_RULE

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


class AdaBound(RuleOptimizer):
    """Adam whose rate per coordinate is clamped into bounds that close on final_lr_ratio * lr.

    Args:
        lr, betas, eps, weight_decay: as `AdamW`.
        final_lr_ratio: final rate over lr; the published default 0.1 at lr 1e-3 is 100. A ratio, so that a
            schedule scales both.
        gamma: how fast the bounds close, in (0, 1).
    Source: Luo et al. 2019, arXiv 1902.09843, Algorithm 2 with bias correction as in its public code.
    """

    rule = ADABOUND_RULE

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, final_lr_ratio=100.0, gamma=1e-3, weight_decay=0.0
    ):
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            final_lr_ratio=final_lr_ratio,
            gamma=gamma,
            weight_decay=weight_decay,
        )
