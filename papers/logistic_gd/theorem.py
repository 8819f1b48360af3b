"""Step: rows of one magnitude on the line, where GD converges for every gamma < 2, and the parts of the proof.

python -m papers.logistic_gd.theorem --scale cpu --shard line
"""

from collections.abc import Iterable
from itertools import product

import numpy as np

from papers.logistic_gd import proof
from papers.logistic_gd.settings import Theorem
from shared.artifacts.step import step


@step
def theorem(settings: Theorem) -> dict[str, Iterable[dict]]:
    """Check the one-dimensional theorem and its proof, part by part."""
    s, starts = settings, np.linspace(-60, 60, settings.num_starts)
    distances, shares = np.logspace(-4, 3, s.num_distances), (np.arange(s.proof_grid) + 0.5) / s.proof_grid
    orbits = (proof.cobweb(s.cobweb_c, s.cobweb_gamma, start, s.cobweb_steps) for start in s.cobweb_starts)
    return {
        "convergence": (proof.convergence(c, gamma, starts, s.num_steps) for c, gamma in product(s.cs, s.gammas)),
        "ratio": (proof.contraction(c, gamma, distances) for c, gamma in product(s.ratio_cs, s.ratio_gammas)),
        "ratio_curve": (
            row
            for c, gamma in product(s.ratio_cs, s.ratio_gammas)
            for row in proof.contraction_curve(c, gamma, np.logspace(-2, 3, s.drawn_distances))
        ),
        "proof": (proof.least_excess(p, s.proof_grid) for p in shares),
        "roots": (proof.roots(c, gamma) for c, gamma in product(s.root_cs, s.root_gammas)),
        "doubling": map(proof.doubling, s.doubling_cs),
        "cobweb": (row for orbit in orbits for row in orbit),
    }


if __name__ == "__main__":
    theorem.main()
