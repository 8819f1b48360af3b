"""Data sets with cycles, in one dimension and on the circle, given by exact numbers.

The publication's own vectors could not be retrieved; these are found by search and derivation.
"""

import math
from dataclasses import dataclass

import numpy as np

from papers.logistic_gd.logistic import Data


@dataclass(frozen=True)
class Row:
    """A row on the line (angle None) or in the plane, exact in decimal.

    Args:
        radius: decimal text; signed on the line.
        angle: degrees from the first axis, a decimal number, or None on the line.
        count: how often it occurs.
    """

    radius: str
    angle: float | None
    count: int

    def vector(self) -> list[float]:
        if self.angle is None:
            return [float(self.radius)]
        cos, sin = cos_sin(self.angle)
        return [float(self.radius) * cos, float(self.radius) * sin]


def cos_sin(degrees: float) -> tuple[float, float]:
    """Cosine and sine, mirror-symmetric to the last bit and exact on the axes."""
    if degrees < 0:
        cos, sin = cos_sin(-degrees)
        return cos, -sin
    if degrees > 90:
        cos, sin = cos_sin(180 - degrees)
        return -cos, sin
    if degrees == 90:
        return 0.0, 1.0
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def as_data(rows: list[Row]) -> Data:
    """Floating-point form of exact rows."""
    return Data(np.array([row.vector() for row in rows]), np.array([row.count for row in rows]))


def line(**counts: int) -> list[Row]:
    """Rows on the line; used as line(**{"1": 1, "-0.1": 67})."""
    return [Row(value, None, count) for value, count in counts.items()]


# One steep wall at w = 0 from a single large row, a flat valley from many small ones.
UNEQUAL = {
    "A": line(**{"1": 1, "0.1": 28, "-0.1": 67}),
    "C": line(**{"1": 1, "0.02": 50, "-0.02": 42}),
    "D": line(**{"1": 1, "0.01": 100, "-0.01": 92}),
}


def two_walls(theta: float, k: int, heavy: int, light: int) -> list[Row]:
    """S(theta; k, M, m): rows of norm one at +-theta from the horizontal, k each, (0, 1) M times, (0, -1) m times.

    Two tilted curvature ridges stand left and right of the minimiser, which lies on the vertical axis.
    """
    tilted = [Row("1", theta, k), Row("1", 180 - theta, k)]
    return [*tilted, Row("1", 90, heavy), Row("1", -90, light)]


def two_walls_unequal() -> list[Row]:
    """U: like S, but with vertical rows of norm 0.1; n = 24."""
    return [Row("1", 15, 1), Row("1", 165, 1), Row("0.1", 90, 18), Row("0.1", -90, 4)]


# Sets S(theta; k, M, m) with a stable 2-cycle (+-A, r), at a gamma of tab_counterexample.
KNOWN_CYCLES = {
    (14, 5, 3000, 1): (1.9, (3.135136, 9.685700)),
    (14, 5, 10000, 1): (1.8, (3.826166, 11.327020)),
    (20, 4, 165, 1): (1.98, (1.760041, 5.986711)),
}
# 2-cycles (a_1, -a_2) of A with minimiser w*, mirrored to w* > 0, as (log a_1, log a_2, log w*)
LINE_CYCLES = [np.log(cycle) for cycle in [(13.950887, 0.988413, 4.124499), (15.819157, 1.650375, 4.124499)]]


def planar(theta: float | None, k: int, heavy: int, light: int) -> list[Row]:
    """S(theta; k, M, m), or U where no angle is given."""
    return two_walls_unequal() if theta is None else two_walls(theta, k, heavy, light)
