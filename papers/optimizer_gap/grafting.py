"""Grafting: the length of one optimiser's step on the direction of another's.

    graft(a, u) = (|a| / |u|) u,   0 where u = 0

Norms run over the whole parameter vector; with `sizes` over each tensor by itself. Both optimisers see the same
gradients and keep their own state, whatever is done to the parameters.

Two arms, registered as rules, so that they train in ensembles like any other:

    graft_adam_sgd   Adam's length on SGD's direction   (arm graftA)
    graft_sgd_adam   SGD's length on Adam's direction   (arm graftS)

`lr` multiplies the length; a rate on the direction would cancel. SGD is in its averaged form (`sgd_ema`), so its
lengths are (1 - momentum) times those of the heavy ball.

Source: Sreckovic et al. 2025, arXiv 2506.12543, section 4.1; grafting after Agarwal et al. 2020, arXiv 2002.11803.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.optim.adam import ADAM_RULE
from shared.optim.registry import register_rule
from shared.optim.rule import DECAY, LR, Rule, decayed
from shared.optim.sgd import SGD_EMA_RULE
from shared.optim.vectors import Leaves, Vector, inner, near


def graft(length: Vector, direction: Vector, sizes: Sequence[int] | None = None) -> Vector:
    """`direction` scaled to the Euclidean norm of `length`; zero where `direction` is zero.

    Args:
        length, direction: (P,), (M, P) for M members, or `Leaves`; of one kind and shape.
        sizes: coordinates of each tensor, summing to P: graft tensor by tensor. Flat vectors only.
    """
    if sizes is not None:
        if isinstance(length, Leaves) or sum(sizes) != length.shape[-1]:
            raise ValueError(f"sizes must cut flat vectors completely; got {list(sizes)}")
        parts = zip(length.split(tuple(sizes), -1), direction.split(tuple(sizes), -1), strict=True)
        return torch.cat([graft(a, u) for a, u in parts], dim=-1)
    scale, norm = inner(length, length) ** 0.5, inner(direction, direction) ** 0.5
    ratio = torch.where(norm > 0, scale / torch.where(norm > 0, norm, 1.0), 0.0)
    return direction * near(ratio, direction)


def _zeros(params: Vector) -> Vector:
    return Leaves([torch.zeros_like(p) for p in params.items]) if isinstance(params, Leaves) else params * 0


def graft_rule(name: str, length: Rule, direction: Rule, hyper: Sequence[str]) -> Rule:
    """The rule that takes the length of `length` and the direction of `direction`.

    Args:
        hyper: hyperparameters of the two that the new rule has beside `lr`; the others keep their defaults. A name that
            both have goes to both.
    """
    bases = {"length": length, "direction": direction}
    ranges = {key: (length.hyper | direction.hyper)[key] for key in hyper}

    def update(p, g, s, h, loss):
        steps, changed = {}, {}
        origin = _zeros(p)  # from zero, the new parameters are minus the update at full precision
        for role, base in bases.items():
            state = {"step": s["step"] - 1} | {key: s[f"{role}_{key}"] for key in base.vectors}
            own = base.defaults() | {key: h[key] for key in hyper if key in base.hyper} | {"lr": 1.0}
            steps[role], state = base.step(origin, g, state, own, loss)
            changed |= {f"{role}_{key}": state[key] for key in base.vectors}
        return decayed(p, h) + near(h["lr"], p) * graft(steps["length"], steps["direction"]), changed

    vectors = tuple(f"{role}_{key}" for role, base in bases.items() for key in base.vectors)
    return Rule(name, update, {"lr": LR, "weight_decay": DECAY} | ranges, vectors=vectors)


_HYPER = ("momentum", "beta1", "beta2", "eps")
GRAFT_ADAM_SGD = register_rule(graft_rule("graft_adam_sgd", ADAM_RULE, SGD_EMA_RULE, _HYPER))
GRAFT_SGD_ADAM = register_rule(graft_rule("graft_sgd_adam", SGD_EMA_RULE, ADAM_RULE, _HYPER))


def step_of(rule: Rule, grads: Tensor, state: dict, hyper: dict) -> tuple[Tensor, dict]:
    """The update that `rule` would subtract, (P,) or (M, P), and the new state; parameters play no part."""
    moved, state = rule.step(torch.zeros_like(grads), grads, state, hyper)
    return -moved, state
