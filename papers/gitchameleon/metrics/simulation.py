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


def outcomes(verdicts: Verdicts, q: float, r: float, seeds: int, seed: int) -> dict[str, np.ndarray]:
    """Hidden and visible success of mixture(q), before and after one round of repair, per seed: shape (seeds,)."""
    n = len(verdicts.right_hidden)
    # the same draws for every q and r: a solver of higher quality differs by its quality alone
    draws = numpy_generator(seed, "mixture").random((seeds, n)), numpy_generator(seed, "repair").random((seeds, n))
    right = draws[0] < q
    visible = np.where(right, verdicts.right_visible, verdicts.wrong_visible)
    repaired = np.where(~visible & (draws[1] < r), ~right, right)
    return {
        "hidden": np.where(right, verdicts.right_hidden, verdicts.wrong_hidden).mean(1),
        "visible": visible.mean(1),
        "hidden_after": np.where(repaired, verdicts.right_hidden, verdicts.wrong_hidden).mean(1),
        "visible_after": np.where(repaired, verdicts.right_visible, verdicts.wrong_visible).mean(1),
    }


def expected_success(verdicts: Verdicts, q: float) -> float:
    """Closed form of mixture(q)'s hidden success."""
    return float((q * verdicts.right_hidden + (1 - q) * verdicts.wrong_hidden).mean())


def expected_after_repair(verdicts: Verdicts, q: float, r: float) -> float:
    """Closed form after one round of repair, from the idiom taken first, problem by problem."""
    first_right = verdicts.right_hidden + ~verdicts.right_visible * r * (
        verdicts.wrong_hidden.astype(float) - verdicts.right_hidden
    )
    first_wrong = verdicts.wrong_hidden + ~verdicts.wrong_visible * r * (
        verdicts.right_hidden.astype(float) - verdicts.wrong_hidden
    )
    return float((q * first_right + (1 - q) * first_wrong).mean())
