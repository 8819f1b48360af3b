"""(L0, L1)-smooth test functions, separable: sum of a x^2 / 2 + b x^4 / 4 + c (cosh x - 1). Shapes: (..., d)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Toy:
    """One test function.

    Args:
        quadratic, quartic, cosh: a, b and c.
        l0, l1: constants with |f''| <= l0 + l1 |f'| in every coordinate; then also |H|_2 <= l0 + l1 |grad f|_2.
    """

    quadratic: float
    quartic: float
    l0: float
    l1: float
    cosh: float = 0.0

    def value(self, x: Tensor) -> Tensor:
        """f, (...)."""
        value = self.quadratic * x.square() / 2 + self.quartic * x.square().square() / 4
        return (value + self.cosh * (x.cosh() - 1) if self.cosh else value).sum(-1)

    def gradient(self, x: Tensor) -> Tensor:
        gradient = x * (self.quadratic + self.quartic * x.square()) if self.quartic else self.quadratic * x
        return gradient + self.cosh * x.sinh() if self.cosh else gradient

    def hessian_diagonal(self, x: Tensor) -> Tensor:
        curvature = self.quadratic + 3 * self.quartic * x.square()
        return curvature + self.cosh * x.cosh() if self.cosh else curvature

    def check_smoothness(self, radius: float = 50.0, points: int = 200_001) -> None:
        """Verifies the constants on a grid of one coordinate.

        Raises:
            ValueError: they do not hold, with the place where.
        """
        x = torch.linspace(-radius, radius, points, dtype=torch.float64).unsqueeze(-1)
        curvature = self.hessian_diagonal(x).abs()
        excess = (curvature - self.l0 - self.l1 * self.gradient(x).abs()) / (1 + curvature)
        if float(excess.max()) > 1e-9:
            where = float(x[excess.argmax()])
            raise ValueError(
                f"(L0, L1) = ({self.l0:g}, {self.l1:g}) does not hold at x = {where:g}: |f''| is larger by"
                f" {float(excess.max()):g} of 1 + |f''|; give larger constants"
            )


TOYS = {
    "parabola": Toy(1.0, 0.0, l0=1.0, l1=0.0),
    "quartic": Toy(0.0, 1.0, l0=3.0, l1=3.0),
    "mixed": Toy(1.0, 1.0, l0=4.0, l1=3.0),
    "cosh": Toy(0.0, 0.0, l0=1.0, l1=1.0, cosh=1.0),  # f'' = (1 + f'^2)^(1/2): no smaller L1 holds
}


def toy(name: str) -> Toy:
    """A test function by name.

    Raises:
        ValueError: unknown.
    """
    if name not in TOYS:
        raise ValueError(f"unknown test function '{name}'; known are {', '.join(TOYS)}")
    return TOYS[name]
