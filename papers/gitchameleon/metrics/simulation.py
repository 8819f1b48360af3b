"""Scripted solvers over seeds, on verdicts that were executed once: right and wrong idiom of every problem.

mixture(q) takes the pinned version's idiom with probability q, else the other's: its expected success is the mean of
q + (1 - q) w over the problems, w being 1 where the other idiom passes too. repairer(q, r) then switches idiom with
probability r where the visible test failed: p + (1 - p) r, if all that fails, fails visibly.
"""

from dataclasses import dataclass

import numpy as np

from shared.base.seeding import numpy_generator


@dataclass(frozen=True)
class Verdicts:
    """Outcomes of both idioms, one entry per problem; all arrays are boolean of shape (num_problems,)."""

    right_hidden: np.ndarray
    wrong_hidden: np.ndarray
    right_visible: np.ndarray
    wrong_visible: np.ndarray


def outcomes(verdicts: Verdicts, q: float, r: float, seeds: int, seed: int, o: float = 0.0) -> dict[str, np.ndarray]:
    """Hidden and visible success of mixture(q), before and after one round of repair, per seed: shape (seeds,).

    Args:
        o: probability that a repair only special-cases what the visible test asks: it passes that and no hidden test.
    """
    n = len(verdicts.right_hidden)
    # the same draws for every q, r and o: a solver of higher quality differs by its quality alone
    draw = {name: numpy_generator(seed, name).random((seeds, n)) for name in ("mixture", "repair", "overfit")}
    right = draw["mixture"] < q
    visible = np.where(right, verdicts.right_visible, verdicts.wrong_visible)
    special = ~visible & (draw["overfit"] < o)
    repaired = np.where(~visible & (draw["repair"] < r), ~right, right)
    after = {
        "hidden": np.where(repaired, verdicts.right_hidden, verdicts.wrong_hidden) & ~special,
        "visible": np.where(repaired, verdicts.right_visible, verdicts.wrong_visible) | special,
    }
    return {
        "hidden": np.where(right, verdicts.right_hidden, verdicts.wrong_hidden).mean(1),
        "visible": visible.mean(1),
        "hidden_after": after["hidden"].mean(1),
        "visible_after": after["visible"].mean(1),
    }


def expected_success(verdicts: Verdicts, q: float) -> float:
    """Closed form of mixture(q)'s hidden success."""
    return float((q * verdicts.right_hidden + (1 - q) * verdicts.wrong_hidden).mean())


def expected_after_repair(verdicts: Verdicts, q: float, r: float, o: float = 0.0) -> float:
    """Closed form after one round of repair, from the idiom taken first, problem by problem."""
    right, wrong = (v.astype(float) for v in (verdicts.right_hidden, verdicts.wrong_hidden))
    first_right = np.where(verdicts.right_visible, right, (1 - o) * (r * wrong + (1 - r) * right))
    first_wrong = np.where(verdicts.wrong_visible, wrong, (1 - o) * (r * right + (1 - r) * wrong))
    return float((q * first_right + (1 - q) * first_wrong).mean())
