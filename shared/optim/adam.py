"""Adam and its relatives: an averaged gradient over the root of an averaged square or variance."""

from shared.optim.base import RuleOptimizer
from shared.optim.ranges import Range
from shared.optim.rule import DECAY, EPS, GRADIENT_INIT, L2, LR, Rule, beta, decayed, first, switch, with_l2
from shared.optim.vectors import above_zero, average, clamp, near

STEP = LR.meant("about the largest step of a coordinate")
BETA1, BETA2 = beta(0.9, "averaging factor of g"), beta(0.999, "averaging factor of g^2")
BIAS_CORRECTION = switch(True, "divide the averages by 1 - beta**step")


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
    root = (v / near(_correction(h["beta2"], s, h), p)).sqrt() + above_zero(h["eps"], p)
    scale = h["lr"] / _correction(h["beta1"], s, h)
    return decayed(p, h) - near(scale, p) * (m / root), {"exp_avg": m, "exp_avg_sq": v}


def _adam_sigma2(p, g, s, h, loss):
    deviation = g - s["exp_avg"]  # from the OLD average
    decay = h["beta"]
    variance = near(decay, p) * s["exp_avg_var"] + near(decay * (1 - decay), p) * (deviation * deviation)
    m = average(s["exp_avg"], g, decay)
    correction = _correction(decay, s, h)
    root = ((m * m + variance) / near(correction, p)).sqrt() + above_zero(h["eps"], p)
    return decayed(p, h) - near(h["lr"] / correction, p) * (m / root), {"exp_avg": m, "exp_avg_var": variance}


def _adavar(p, g, s, h, loss):
    deviation = g - s["exp_avg"]
    variance = average(s["exp_avg_var"], deviation * deviation, h["tau"])
    m = average(s["exp_avg"], g, h["beta"])
    correction = _correction(h["beta"], s, h)
    root = ((m * m + near(h["gamma"], p) * variance) / near(correction, p)).sqrt() + above_zero(h["eps"], p)
    return decayed(p, h) - near(h["lr"] / correction, p) * (m / root), {"exp_avg": m, "exp_avg_var": variance}


def _adabelief(p, g, s, h, loss):
    eps = above_zero(h["eps"], p)
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
    rates = clamp(near(scale, p) / (v.sqrt() + above_zero(h["eps"], p)), low, high)
    return decayed(p, h) - rates * m, {"exp_avg": m, "exp_avg_sq": v}


_ADAM = {
    "lr": STEP,
    "beta1": BETA1,
    "beta2": BETA2,
    "eps": EPS,
    "weight_decay": DECAY,
    "l2": L2,
    "bias_correction": BIAS_CORRECTION,
    "gradient_init": GRADIENT_INIT,
}
ADAM_RULE = Rule("adam", _adam, _ADAM, vectors=("exp_avg", "exp_avg_sq"))
ADAMW_RULE = Rule(
    "adamw",
    _adam,
    _ADAM | {"weight_decay": Range(1e-2, meaning="decoupled decay, multiplied by the current lr")},
    vectors=("exp_avg", "exp_avg_sq"),
)
ADAM_SIGMA2_RULE = Rule(
    "adam_sigma2",
    _adam_sigma2,
    {
        "lr": STEP,
        "beta": beta(0.95, "the common averaging factor"),
        "eps": EPS,
        "weight_decay": DECAY,
        "bias_correction": BIAS_CORRECTION,
    },
    vectors=("exp_avg", "exp_avg_var"),
)
ADAVAR_RULE = Rule(
    "adavar",
    _adavar,
    {
        "lr": STEP,
        "beta": beta(0.95, "averaging factor of g"),
        "tau": beta(0.95, "averaging factor of the squared deviation"),
        "gamma": Range(0.95, meaning="weight of the variance"),
        "eps": EPS,
        "weight_decay": DECAY,
        "bias_correction": BIAS_CORRECTION,
    },
    vectors=("exp_avg", "exp_avg_var"),
)
ADABELIEF_RULE = Rule(
    "adabelief",
    _adabelief,
    {
        "lr": STEP,
        "beta1": BETA1,
        "beta2": beta(0.999, "averaging factor of (g - m)^2"),
        "eps": Range(1e-16, meaning="added to s at every step and again outside the root"),
        "weight_decay": DECAY,
    },
    vectors=("exp_avg", "exp_avg_var"),
)
ADABOUND_RULE = Rule(
    "adabound",
    _adabound,
    {
        "lr": STEP,
        "beta1": BETA1,
        "beta2": BETA2,
        "eps": EPS,
        # a ratio, so that a schedule scales both; the published 0.1 at lr 1e-3 is 100
        "final_lr_ratio": Range(100.0, meaning="final rate over lr"),
        "gamma": Range(1e-3, high=1.0, closed_low=False, meaning="how fast the bounds close"),
        "weight_decay": DECAY,
    },
    vectors=("exp_avg", "exp_avg_sq"),
)


class Adam(RuleOptimizer):
    """m <- EMA_beta1[g], v <- EMA_beta2[g^2];  p <- p - lr * m_hat / (sqrt(v_hat) + eps).

    m_hat = m / (1 - beta1**step) and v_hat = v / (1 - beta2**step) with bias correction, else m and v; `gradient_init`
    goes without it. The method of torch.optim.Adam, whose `weight_decay` is `l2` here.

    Source: Kingma and Ba 2015, Algorithm 1.
    """

    rule = ADAM_RULE


class AdamW(RuleOptimizer):
    """Adam after decoupled decay, p <- (1 - lr * weight_decay) * p; the method of torch.optim.AdamW.

    `weight_decay` is 1e-2 if it is not given, torch's default, here and in sweeps; `Adam` differs in this alone.

    Source: Loshchilov and Hutter 2019, Algorithm 2.
    """

    rule = ADAMW_RULE


class AdamSigma2(RuleOptimizer):
    """Adam with beta1 = beta2 = beta, written with the variance of the gradient about its average.

    sigma2 <- beta * sigma2 + beta * (1 - beta) * (g - m)^2;  m <- beta * m + (1 - beta) * g
    p <- p - lr * m / (sqrt(m^2 + sigma2) + eps), with Adam's bias correction if asked for.

    v - m^2 = sigma2 holds only for equal betas (Proposition 2), so there is one `beta`; for two use `Adam` or `AdaVar`.
    State: `exp_avg` is m, `exp_avg_var` is sigma2.

    Source: Orvieto and Gower 2025, arXiv 2505.21829, Propositions 1 and 2.
    """

    rule = ADAM_SIGMA2_RULE


class AdaVar(RuleOptimizer):
    """p <- p - lr * m / (sqrt(m^2 + gamma * s) + eps),  m = EMA_beta[g],  s = EMA_tau[(m_old - g)^2].

    beta = tau = gamma is Adam with equal betas; gamma = 0 is Signum where m != 0. The source has no bias correction
    for tau != beta; with it on, the denominator is corrected by 1 - beta**step, as Adam's.

    Source: Orvieto and Gower 2025, arXiv 2505.21829, Appendix C.4.
    """

    rule = ADAVAR_RULE


class AdaBelief(RuleOptimizer):
    """Adam with s = EMA_beta2[(g - m)^2] + eps about the NEW average m in place of v; no rectification.

    Source: Zhuang et al. 2020, arXiv 2010.07468, Algorithm 2.
    """

    rule = ADABELIEF_RULE


class AdaBound(RuleOptimizer):
    """Adam whose rate per coordinate is clamped into bounds that close on final_lr_ratio * lr.

    Source: Luo et al. 2019, arXiv 1902.09843, Algorithm 2 with bias correction as in its public code.
    """

    rule = ADABOUND_RULE
