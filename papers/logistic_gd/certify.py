"""Cycles proved: interval arithmetic of 80 digits around a cycle found in floating point.

The data are exact (decimal norms, angles in degrees). Krawczyk's test (Computing 4, 1969) shows that a box holds
exactly one zero of G^P(w) - w, and another box the minimiser, so that eta = gamma / lambda is enclosed too. Jury's
conditions on an enclosure of the Jacobian show that the cycle is stable. Nothing here rests on rounding.

What is near no cycle is refused before any interval: there Newton's steps grow, and exponentials of what they lead to
would take minutes each.
"""

import math
from dataclasses import dataclass

import numpy as np
from mpmath.ctx_iv import MPIntervalContext
from mpmath.ctx_mp import MPContext

from papers.logistic_gd.families import Row

DIGITS = 80
# Half widths of the boxes. Eighty digits allow the first; the width it leaves to eta has to fit into the second when it
# has gone round. Interval arithmetic widens a box by up to 1 + eta |H| per step, which over 34 steps is 1e10 and more.
MINIMISER_RADIUS, CYCLE_RADIUS = "1e-65", "1e-25"
NEAR = 1e-6  # of the size of a cycle: how far its points in floating point may be off


@dataclass(frozen=True)
class Certificate:
    """What was proved of a cycle at one gamma; bounds are rounded outward to floating point.

    Args:
        exists: a cycle of exactly this minimal period lies within `radius` of the given points.
        stable: both multipliers lie inside the unit circle.
        lambda_low, lambda_high: bounds of the largest eigenvalue at the minimiser.
        distance: lower bound of the distance of all its points from the minimiser.
        determinant, trace: of the cycle's Jacobian, midpoints (in one dimension both are the multiplier).
    """

    exists: bool
    stable: bool
    period: int
    radius: float
    lambda_low: float
    lambda_high: float
    distance: float
    determinant: float
    trace: float

    @property
    def certified(self) -> bool:
        return self.exists and self.stable


class _Problem:
    """Gradient and Hessian on exact rows, in the arithmetic of `ctx` (points or intervals)."""

    def __init__(self, ctx, rows: list[Row]) -> None:
        self.ctx, total = ctx, sum(row.count for row in rows)
        self.rows = [(self._vector(row), ctx.mpf(row.count) / total) for row in rows]
        self.dim = len(self.rows[0][0])

    def _vector(self, row: Row) -> list:
        radius = self.ctx.mpf(row.radius)
        if row.angle is None:
            return [radius]
        if row.angle % 90 == 0:  # the axes, exactly
            cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[int(row.angle % 360)]
            return [radius * cos, radius * sin]
        angle = self.ctx.mpf(str(row.angle)) * self.ctx.pi / 180
        return [radius * self.ctx.cos(angle), radius * self.ctx.sin(angle)]

    def derivatives(self, w: list) -> tuple[list, list]:
        """Gradient and Hessian at w."""
        zero = self.ctx.mpf(0)
        grad, hess = [zero] * self.dim, [[zero] * self.dim for _ in range(self.dim)]
        for z, weight in self.rows:
            ratio = self.ctx.exp(sum((a * b for a, b in zip(z, w, strict=True)), zero))
            pull = weight / (1 + ratio)  # weight sigma(-t)
            bend = pull * (1 - 1 / (1 + ratio))
            for i in range(self.dim):
                grad[i] -= pull * z[i]
                for j in range(self.dim):
                    hess[i][j] += bend * z[i] * z[j]
        return grad, hess

    def sharpness(self, w: list):
        """Largest eigenvalue of the Hessian at w."""
        _, h = self.derivatives(w)
        if self.dim == 1:
            return h[0][0]
        half = (h[0][0] - h[1][1]) / 2
        return (h[0][0] + h[1][1]) / 2 + self.ctx.sqrt(half * half + h[0][1] * h[0][1])

    def return_map(self, w: list, eta, period: int) -> tuple[list, list, list]:
        """G^P(w), its Jacobian, and the points on the way, w first."""
        jacobian = _identity(self.ctx, self.dim)
        points = []
        for _ in range(period):
            points.append(w)
            grad, hess = self.derivatives(w)
            factor = [[(1 if i == j else 0) - eta * hess[i][j] for j in range(self.dim)] for i in range(self.dim)]
            jacobian = _times(factor, jacobian)
            w = [x - eta * g for x, g in zip(w, grad, strict=True)]
        return w, jacobian, points


def _identity(ctx, dim: int) -> list:
    return [[ctx.mpf(1 if i == j else 0) for j in range(dim)] for i in range(dim)]


def _times(a: list, b: list) -> list:
    return [[sum(a[i][k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))] for i in range(len(a))]


def _inverse(a: list) -> list:
    if len(a) == 1:
        return [[1 / a[0][0]]]
    det = a[0][0] * a[1][1] - a[0][1] * a[1][0]
    return [[a[1][1] / det, -a[0][1] / det], [-a[1][0] / det, a[0][0] / det]]


def _newton(mp, function, w: list, near: float) -> tuple[list, list] | None:
    """A zero of `function` (value, Jacobian) to working precision, and the inverse Jacobian there.

    None where w is not near one: the first step is longer than `near`, or a later one not below half of the one before.
    """
    allowed = mp.mpf(near)
    for _ in range(12):  # from 15 digits, three double to 120; the others are spare
        value, jacobian = function(w)
        inverse = _inverse(jacobian)
        change = _times(inverse, [[v] for v in value])
        length = max(abs(c[0]) for c in change)
        if not length <= allowed:
            return None
        w = [x - c[0] for x, c in zip(w, change, strict=True)]
        if length < mp.mpf(10) ** (5 - DIGITS):
            break
        allowed = length / 2
    return w, inverse


def _krawczyk(iv, function, centre: list, inverse: list, radius: str) -> tuple[bool, list]:
    """Whether the box around `centre` holds exactly one zero of `function`, and the box.

    `function` maps a list of intervals to (value, Jacobian); the test is K(X) = x - C f(x) + (I - C f'(X))(X - x)
    inside X, strictly.
    """
    dim, half_width = len(centre), iv.mpf(radius)
    centre = [iv.mpf(str(x)) for x in centre]
    inverse = [[iv.mpf(str(x)) for x in row] for row in inverse]
    spread = iv.mpf([-half_width.b, half_width.b])
    box = [x + spread for x in centre]
    value, _ = function(centre)
    _, jacobian = function(box)
    product = _times(inverse, jacobian)
    moved = _times(inverse, [[v] for v in value])
    inside = True
    for i in range(dim):
        image = centre[i] - moved[i][0]
        for j in range(dim):
            image += ((1 if i == j else 0) - product[i][j]) * (box[j] - centre[j])
        inside = inside and image.a > box[i].a and image.b < box[i].b
    return bool(inside), box


def certify_cycle(rows: list[Row], gamma: str, points: np.ndarray) -> Certificate:
    """Prove a cycle of GD with eta = gamma / lambda.

    Args:
        rows: exact data in one or two dimensions.
        gamma: decimal text.
        points: the cycle in floating point, (P, d).
    Raises:
        ValueError: more than two dimensions, for which Jury's conditions here do not serve.
    """
    period, dim = points.shape
    if dim > 2:
        raise ValueError(f"cycles are certified in one and two dimensions; these points have {dim}")
    mp, iv = MPContext(), MPIntervalContext()
    mp.dps = iv.dps = DIGITS
    near, sure = _Problem(mp, rows), _Problem(iv, rows)
    minimiser = _newton_minimiser(mp, near)
    _, hess = near.derivatives(minimiser)
    has_minimiser, w_star = _krawczyk(iv, sure.derivatives, minimiser, _inverse(hess), MINIMISER_RADIUS)
    sharpness = sure.sharpness(w_star)
    eta = iv.mpf(gamma) / sharpness

    def recurrence(problem: _Problem, step):
        def function(w: list) -> tuple[list, list]:
            image, jacobian, _ = problem.return_map(w, step, period)
            diagonal = [[jacobian[i][j] - (1 if i == j else 0) for j in range(dim)] for i in range(dim)]
            return [a - b for a, b in zip(image, w, strict=True)], diagonal

        return function

    step = mp.mpf(gamma) / near.sharpness(minimiser)
    found = _newton(
        mp, recurrence(near, step), [mp.mpf(float(x)) for x in points[0]], NEAR * (1 + np.abs(points).max())
    )
    low, high = below(sharpness.a), above(sharpness.b)
    if found is None:
        return Certificate(False, False, period, math.inf, low, high, 0.0, math.nan, math.nan)
    centre, inverse = found
    exists, box = _krawczyk(iv, recurrence(sure, eta), centre, inverse, CYCLE_RADIUS)
    _, jacobian, boxes = sure.return_map(box, eta, period)
    determinant, trace = _determinant_trace(jacobian)
    stable = _inside_unit_circle(iv, determinant, trace, dim)
    distances = [_distance(iv, b, w_star) for b in boxes]
    pairs = [_distance(iv, boxes[0], b) for b in boxes[1:]]  # a shorter period would bring the orbit back early
    drift = max(abs(float(x) - float(y)) for x, y in zip(centre, points[0], strict=True))
    return Certificate(
        exists=has_minimiser and exists and all(d.a > 0 for d in pairs + distances),
        stable=stable,
        period=period,
        radius=float(drift + 2e-15 * max(1.0, float(np.abs(points).max()))),
        lambda_low=low,
        lambda_high=high,
        distance=min(below(d.a) for d in distances),
        determinant=float(determinant.mid),
        trace=float(trace.mid),
    )


def below(bound) -> float:
    """The largest float that is no larger than the end of an interval."""
    near = float(bound)
    return near if near <= bound else math.nextafter(near, -math.inf)


def above(bound) -> float:
    """The least float that is no less than the end of an interval."""
    return -below(-bound)


def _newton_minimiser(mp, problem: _Problem) -> list:
    """The minimiser to working precision, by capped steps from zero.

    Raises:
        ValueError: 500 steps do not reach it.
    """
    w = [mp.mpf(0)] * problem.dim
    for _ in range(500):
        grad, hess = problem.derivatives(w)
        change = [c[0] for c in _times(_inverse(hess), [[g] for g in grad])]
        norm = mp.sqrt(sum(c * c for c in change))
        w = [x - c / max(norm, 1) for x, c in zip(w, change, strict=True)]
        if norm < mp.mpf(10) ** (5 - DIGITS):
            return w
    raise ValueError("500 steps of Newton's method do not reach a minimiser; are the data separable?")


def _determinant_trace(jacobian: list) -> tuple:
    if len(jacobian) == 1:
        return jacobian[0][0], jacobian[0][0]
    (a, b), (c, d) = jacobian
    return a * d - b * c, a + d


def _inside_unit_circle(iv, determinant, trace, dim: int) -> bool:
    """Jury's conditions, for every matrix in the enclosure."""
    one = iv.mpf(1)
    if dim == 1:
        return bool(abs(trace).b < one.a)
    return bool(determinant.b < one.a and abs(trace).b < (one + determinant).a)


def _distance(iv, one: list, other: list):
    return iv.sqrt(sum(((a - b) ** 2 for a, b in zip(one, other, strict=True)), iv.mpf(0)))
