"""RMSprop and Adagrad: the gradient over the root of its averaged or summed square."""

from shared.optim.base import RuleOptimizer
from shared.optim.rule import DECAY, LR, SWITCH, Range, Rule, beta, decayed
from shared.optim.vectors import average, near


def _rmsprop(p, g, s, h, loss):
    v = average(s["square_avg"], g * g, h["alpha"])
    correction = 1 - h["bias_correction"] * h["alpha"] ** s["step"]
    u = g / ((v / near(correction, p)).sqrt() + near(h["eps"], p))
    m = near(h["momentum"], p) * s["momentum_buffer"] + u
    return decayed(p, h) - near(h["lr"], p) * m, {"square_avg": v, "momentum_buffer": m}


def _adagrad(p, g, s, h, loss):
    total = s["sum"] + g * g
    rate = h["lr"] / (1 + (s["step"] - 1) * h["lr_decay"])
    return decayed(p, h) - near(rate, p) * (g / (total.sqrt() + near(h["eps"], p))), {"sum": total}


RMSPROP_RULE = Rule(
    "rmsprop",
    _rmsprop,
    {
        "lr": LR,
        "alpha": beta(0.99),
        "eps": Range(1e-8),
        "momentum": beta(0.0),
        "weight_decay": DECAY,
        "bias_correction": SWITCH,
    },
    vectors=("square_avg", "momentum_buffer"),
)
ADAGRAD_RULE = Rule(
    "adagrad",
    _adagrad,
    {"lr": LR, "lr_decay": Range(0.0), "eps": Range(1e-10), "weight_decay": DECAY},
    vectors=("sum",),
)


class RMSprop(RuleOptimizer):
    """v <- EMA_alpha[g^2];  m <- momentum * m + g / (sqrt(v) + eps);  p <- p - lr * m; torch.optim.RMSprop's method.

    With `bias_correction` and momentum 0 it is Adam with beta1 = 0.

    Args:
        lr: about the largest step of a coordinate once v has settled.
        alpha: averaging factor of g^2 in [0, 1); 0 gives sign descent.
        eps: added outside the root.
        momentum: heavy ball on the scaled gradient, in [0, 1).
        weight_decay: decoupled, multiplied by lr.
        bias_correction: divide v by 1 - alpha**step.
    """

    rule = RMSPROP_RULE

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0, bias_correction=False):
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            momentum=momentum,
            weight_decay=weight_decay,
            bias_correction=bias_correction,
        )


class Adagrad(RuleOptimizer):
    """sum <- sum + g^2;  p <- p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(sum) + eps); torch.optim.Adagrad's.

    Args:
        lr: length of the first step of a coordinate.
        lr_decay: decay of lr per step.
        eps: added outside the root.
        weight_decay: decoupled, multiplied by lr.
    Source: Duchi et al. 2011.
    """

    rule = ADAGRAD_RULE

    def __init__(self, params, lr=1e-2, lr_decay=0.0, eps=1e-10, weight_decay=0.0):
        super().__init__(params, lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay)
