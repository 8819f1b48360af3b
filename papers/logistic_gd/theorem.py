"""Step: rows of one magnitude on the line, where GD converges for every gamma < 2, and the parts of the proof.

python -m papers.logistic_gd.theorem --scale cpu --shard line --out RECORD
"""

from collections.abc import Iterator

import numpy as np
import typer

from papers.logistic_gd.config import Theorem
from papers.logistic_gd.scalar_map import (
    cycle_multiplier,
    doubling_gamma,
    gap,
    iterate,
    period_two_roots,
    step,
    step_ratios,
    two_cycle,
)
from papers.logistic_gd.step import step_command

ON_FIXED_POINT = 1e-12  # a start this near to an unstable fixed point may stay there; it is counted apart


def convergence_rows(settings: Theorem) -> Iterator[dict]:
    """Largest distance from u*, and for gamma > 2 from the closed-form 2-cycle, over a grid of starts."""
    starts = np.linspace(-60, 60, settings.num_starts)
    for c in settings.cs:
        target = np.log(c)
        for gamma in settings.gammas:
            on_fixed = np.abs(starts - target) < ON_FIXED_POINT
            u, steps = iterate(starts[~on_fixed], c, gamma, settings.num_steps)
            row = {"c": c, "gamma": gamma, "num_starts": len(u), "num_on_fixed_point": int(on_fixed.sum())}
            row |= {"num_steps": steps, "max_error": np.abs(u - target).max()}
            if gamma > 2:
                low, high = two_cycle(c, gamma)
                here = np.stack([u, step(u, c, gamma)])
                row["cycle_low"], row["cycle_high"] = low, high
                row["cycle_error"] = max(np.abs(here.min(0) - low).max(), np.abs(here.max(0) - high).max())
            yield row


def ratio_rows(settings: Theorem) -> Iterator[dict]:
    """Largest shrinking of the distance to u* in one step and in two, right and left of u*."""
    distances = np.logspace(-4, 3, settings.num_distances)
    for c in settings.ratio_cs:
        for gamma in settings.ratio_gammas:
            sups = {
                f"{name}_{place}": step_ratios(c, gamma, distances, side, count).max()
                for name, count in (("two_step", 2), ("one_step", 1))
                for place, side in (("right", 1), ("left", -1))
            }
            yield {"c": c, "gamma": gamma, **sups}


def proof_rows(settings: Theorem) -> Iterator[dict]:
    """Least of h(delta) / (2 delta / (p (1 - p))) - 1 over delta, for every p."""
    num = settings.proof_grid
    fractions = np.arange(1, num + 1) / (num + 1)
    for p in (np.arange(num) + 0.5) / num:
        delta = fractions * min(p, 1 - p)
        excess = gap(delta, p) * p * (1 - p) / (2 * delta) - 1
        yield {"p": p, "num_delta": num, "min_excess": excess.min(), "at_delta": delta[excess.argmin()]}


def root_rows(settings: Theorem) -> Iterator[dict]:
    """Roots of T(T(u)) - u by interval bisection: one means that no 2-cycle exists."""
    for c in settings.root_cs:
        for gamma in settings.root_gammas:
            count, width = period_two_roots(c, gamma)
            yield {"c": c, "gamma": gamma, "num_roots": count, "expected_roots": 3 if gamma > 2 else 1, "width": width}


def doubling_rows(settings: Theorem) -> Iterator[dict]:
    """Where the 2-cycle doubles."""
    for c in settings.doubling_cs:
        gamma = doubling_gamma(c)
        low, high = two_cycle(c, gamma)
        yield {"c": c, "gamma": gamma, "low": low, "high": high, "multiplier": cycle_multiplier(c, gamma)}


def cobweb_rows(settings: Theorem) -> Iterator[dict]:
    """Orbits of T."""
    for start in settings.cobweb_starts:
        u = float(start)
        for t in range(settings.cobweb_steps + 1):
            yield {"c": settings.cobweb_c, "gamma": settings.cobweb_gamma, "start": start, "t": t, "u": u}
            u = float(step(u, settings.cobweb_c, settings.cobweb_gamma))


def rows(settings: Theorem) -> Iterator[dict]:
    """Check the one-dimensional theorem and its proof."""
    checks = {
        "convergence": convergence_rows,
        "ratio": ratio_rows,
        "proof": proof_rows,
        "roots": root_rows,
        "doubling": doubling_rows,
        "cobweb": cobweb_rows,
    }
    for name, function in checks.items():
        for row in function(settings):
            yield {"check": name, **row}


main = step_command("theorem", rows)

if __name__ == "__main__":
    typer.run(main)
