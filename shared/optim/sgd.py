"""Stochastic gradient descent; the two momentum conventions have two names.

`SGD`     heavy ball:  m <- momentum * m + g,                    p <- p - lr * m
`SGDEMA`  average:     m <- momentum * m + (1 - momentum) * g,   p <- p - lr * m

Both give one trajectory when lr_EMA = lr_SGD / (1 - momentum) and both buffers start at zero.
"""

import math

from shared.optim.base import RuleOptimizer
from shared.optim.ranges import Range
from shared.optim.rule import CLIP, DECAY, L2, LR, Rule, beta, decayed, first, switch, with_l2
from shared.optim.vectors import average, clamp, near


def _clipped(buffer, limit):
    return buffer if isinstance(limit, float) and math.isinf(limit) else clamp(buffer, -limit, limit)


def _sgd(p, g, s, h, loss):
    g = with_l2(g, p, h)
    begin = first(s["step"])
    kept = h["momentum"] * (1 - begin)
    taken = 1 - h["dampening"] * (1 - begin)
    m = near(kept, p) * s["momentum_buffer"] + near(taken, p) * g
    ahead = h["nesterov"] * h["momentum"]
    u = m if isinstance(ahead, float) and ahead == 0 else near(h["nesterov"], p) * (g - m) + near(1 + ahead, p) * m
    u = _clipped(u, h["clip_value"])
    return decayed(p, h) - near(h["lr"], p) * u, {"momentum_buffer": m}


def _sgd_ema(p, g, s, h, loss):
    m = average(s["exp_avg"], g, h["momentum"])
    return decayed(p, h) - near(h["lr"], p) * _clipped(m, h["clip_value"]), {"exp_avg": m}


def _check_nesterov(values):
    if values["nesterov"] and (values["momentum"] == 0 or values["dampening"] != 0):
        raise ValueError(
            "nesterov of optimiser 'sgd' needs momentum > 0 and dampening 0; "
            f"got momentum {values['momentum']:g} and dampening {values['dampening']:g}"
        )


SGD_RULE = Rule(
    "sgd",
    _sgd,
    {
        "lr": LR.meant("step length per unit of gradient"),
        "momentum": beta(0.0, "factor on the buffer"),
        "dampening": Range(0.0, high=1.0, closed_high=True, meaning="share of a gradient left out, as in torch"),
        "nesterov": switch(False, "look ahead; needs momentum > 0 and dampening 0"),
        "weight_decay": DECAY,
        "l2": L2,
        "clip_value": CLIP,
    },
    vectors=("momentum_buffer",),
    check=_check_nesterov,
)
SGD_EMA_RULE = Rule(
    "sgd_ema",
    _sgd_ema,
    {
        "lr": LR.meant("step length per unit of averaged gradient"),
        "momentum": beta(0.9),
        "weight_decay": DECAY,
        "clip_value": CLIP,
    },
    vectors=("exp_avg",),
)


class SGD(RuleOptimizer):
    """Heavy-ball SGD: m <- momentum * m + (1 - dampening) * g;  p <- (1 - lr * weight_decay) * p - lr * clip(m).

    As in torch, the first buffer is the undamped gradient. With `nesterov` the step is g + momentum * m.
    torch.optim.SGD's `weight_decay` is `l2` here.
    """

    rule = SGD_RULE


class SGDEMA(RuleOptimizer):
    """SGD on an average of gradients: m <- momentum * m + (1 - momentum) * g;  p <- p - lr * clip(m).

    A gradient whose global norm was limited to 1 keeps every |coordinate| of m below 1, so `clip_value = 1` then
    changes nothing here, while it does act on the heavy-ball buffer.
    """

    rule = SGD_EMA_RULE
