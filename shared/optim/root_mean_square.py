"""RMSprop and Adagrad: the gradient over the root of its averaged or summed square."""

from dataclasses import replace

from shared.optim.base import RuleOptimizer
from shared.optim.ranges import Range
from shared.optim.rule import DECAY, EPS, LR, Rule, beta, decayed, switch
from shared.optim.vectors import above_zero, average, near


def _rmsprop(p, g, s, h, loss):
    v = average(s["square_avg"], g * g, h["alpha"])
    correction = 1 - h["bias_correction"] * h["alpha"] ** s["step"]
    u = g / ((v / near(correction, p)).sqrt() + above_zero(h["eps"], p))
    m = near(h["momentum"], p) * s["momentum_buffer"] + u
    return decayed(p, h) - near(h["lr"], p) * m, {"square_avg": v, "momentum_buffer": m}


def _adagrad(p, g, s, h, loss):
    total = s["sum"] + g * g
    rate = h["lr"] / (1 + (s["step"] - 1) * h["lr_decay"])
    return decayed(p, h) - near(rate, p) * (g / (total.sqrt() + above_zero(h["eps"], p))), {"sum": total}


RMSPROP_RULE = Rule(
    "rmsprop",
    _rmsprop,
    {
        "lr": LR.meant("about the largest step of a coordinate once v has settled"),
        "alpha": beta(0.99, "averaging factor of g^2; 0 gives sign descent"),
        "eps": EPS,
        "momentum": beta(0.0, "heavy ball on the scaled gradient"),
        "weight_decay": DECAY,
        "bias_correction": switch(False, "divide v by 1 - alpha**step"),
    },
    vectors=("square_avg", "momentum_buffer"),
)
ADAGRAD_RULE = Rule(
    "adagrad",
    _adagrad,
    {
        "lr": LR.meant("length of the first step of a coordinate"),
        "lr_decay": Range(0.0, meaning="decay of lr per step"),
        "eps": replace(EPS, default=1e-10),
        "weight_decay": DECAY,
    },
    vectors=("sum",),
)


class RMSprop(RuleOptimizer):
    """v <- EMA_alpha[g^2];  m <- momentum * m + g / (sqrt(v) + eps);  p <- p - lr * m; torch.optim.RMSprop's method.

    With `bias_correction` and momentum 0 it is Adam with beta1 = 0.
    """

    rule = RMSPROP_RULE


class Adagrad(RuleOptimizer):
    """sum <- sum + g^2;  p <- p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(sum) + eps); torch.optim.Adagrad's.

    Source: Duchi et al. 2011.
    """

    rule = ADAGRAD_RULE
