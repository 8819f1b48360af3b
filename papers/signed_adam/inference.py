"""Adam's two averages as online Gaussian inference (Theorem 4.1): closed form, objective, and a numerical minimiser.

    min over (m, s2)   -log N(g; m, s2) + (1 / lam) KL( N(m_old, s2_old) || N(m, s2) )

The OLD Gaussian is the first argument of the divergence; with the arguments swapped the minimiser is another.
Source: Orvieto and Gower 2025, arXiv 2505.21829, Theorem 4.1.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from shared.base.seeding import numpy_generator


@dataclass(frozen=True)
class Case:
    """One new gradient g and the belief N(m, s2) held before it; beta = 1 / (1 + lam)."""

    g: float
    m: float
    s2: float
    beta: float

    @property
    def lam(self) -> float:
        return 1 / self.beta - 1


WORKED = Case(g=1.3, m=0.2, s2=0.5, beta=0.9)


def closed_form(case: Case) -> tuple[float, float]:
    """(m, s2) after the gradient: m <- beta m + (1 - beta) g, s2 <- beta s2 + beta (1 - beta) (m_old - g)^2."""
    b = case.beta
    return b * case.m + (1 - b) * case.g, b * case.s2 + b * (1 - b) * (case.m - case.g) ** 2


def objective(m: float, s2: float, case: Case, swapped: bool = False) -> float:
    """Negative log-likelihood plus the divergence over lam, without the constant 0.5 log(2 pi)."""
    likelihood = 0.5 * math.log(s2) + (case.g - m) ** 2 / (2 * s2)
    top, bottom = (s2, case.s2) if swapped else (case.s2, s2)
    divergence = 0.5 * (top / bottom + (case.m - m) ** 2 / bottom - 1 - math.log(top / bottom))
    return likelihood + divergence / case.lam


def minimiser(case: Case, swapped: bool = False) -> tuple[float, float]:
    """(m, s2) that minimise the objective: Nelder-Mead over (m, log s2), the best of four starts."""
    from scipy.optimize import minimize

    found = []
    for start in ((case.m, case.s2), (case.g, case.s2), (0.0, 1.0), (case.m, 10 * case.s2)):
        options = {"xatol": 1e-11, "fatol": 1e-15, "maxiter": 4000, "maxfev": 8000}
        point = (start[0], math.log(start[1]))
        found.append(
            minimize(
                lambda p: objective(p[0], math.exp(p[1]), case, swapped), point, method="Nelder-Mead", options=options
            )
        )
    best = min(found, key=lambda result: result.fun).x
    return float(best[0]), math.exp(float(best[1]))


def cases(number: int) -> list[Case]:
    """The worked example and `number` random ones, beta in [0.6, 0.9].

    For beta <= 1/2 the swapped problem has no minimum; for beta to 1 both meet, at a distance of order lam^2.
    """
    draw = numpy_generator(0, "inference")
    columns = (
        draw.normal(size=number),
        draw.normal(size=number),
        draw.uniform(0.2, 2, number),
        draw.uniform(0.6, 0.9, number),
    )
    return [WORKED, *(Case(*map(float, row)) for row in zip(*columns, strict=True))]


def inference_rows(number: int) -> Iterator[dict]:
    """Closed form of Theorem 4.1 against numerical minimisers of both orders of the divergence, for `cases(number)`."""
    for index, case in enumerate(cases(number)):
        exact, numeric, swapped = closed_form(case), minimiser(case), minimiser(case, swapped=True)
        yield {
            "case": "worked" if case is WORKED else f"random {index}",
            "g": case.g,
            "m_old": case.m,
            "s2_old": case.s2,
            "beta": case.beta,
            "m": exact[0],
            "s2": exact[1],
            "error": math.dist(exact, numeric),
            "swapped_distance": math.dist(exact, swapped),
        }
