"""The paper's SGD as one rule of a learning rate and a momentum, so that both can be swept and widened.

Registered as `heavy_ball` where it is imported; the step `sweep` does.
"""

from shared.optim.registry import register_rule
from shared.optim.rule import DECAY, LR, Rule, beta
from shared.optim.sgd import SGD_RULE


def _heavy_ball(p, g, s, h, loss):
    damped = h | {"dampening": 1 - h["momentum"], "nesterov": 0.0, "l2": 0.0}
    return SGD_RULE.update(p, g, s, damped, loss)


HEAVY_BALL_RULE = register_rule(
    Rule(
        "heavy_ball",
        _heavy_ball,
        {
            "lr": LR.meant("step length per unit of gradient"),
            "momentum": beta(0.9, "factor on the buffer and on what enters it"),
            "weight_decay": DECAY,
            "clip_value": SGD_RULE.hyper["clip_value"],
        },
        vectors=("momentum_buffer",),
    )
)
"""buf <- b buf + b g;  p <- (1 - lr weight_decay) p - lr clip(buf): torch's momentum b with dampening 1 - b.

torch's first buffer is the undamped gradient. A coordinate clip acts on this buffer, which is no average.
Source: Orvieto and Gower 2025, arXiv 2505.21829, section 3 ("dampening 1 - b"); their released sweep agrees.
"""
