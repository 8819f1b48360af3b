"""Step: descents on the toy problems.

python -m papers.ngn_m.toys --scale cpu --shard quartic
"""

from collections.abc import Iterator

import numpy as np

from papers.ngn_m.config import ToyShard
from papers.ngn_m.descents import Descent, descend
from papers.ngn_m.landscapes import (
    Landscape,
    diabetes,
    least_squares,
    many_minima,
    quartic,
    rosenbrock,
    rotated_quadratics,
)
from papers.ngn_m.problems import Curves, Toys
from papers.ngn_m.robustness import robustness_rows
from shared.artifacts.step import step
from shared.base.seeding import numpy_generator

START = (-1.2, 1.0)  # of Rosenbrock
DRAWS_AT_ONCE = 20  # quadratics that one descent takes together: more no longer fit a processor's cache
PATH_POINTS, PATHS = 400, ("NGN-M", "SGDM")  # kept of a trajectory, and of which methods
Labelled = tuple[str, dict]  # part of the record, row


def quartic_rows(toys: Toys) -> Iterator[dict]:
    """Updates that each learning rate needs."""
    plan, lrs = toys.quartic, np.array(toys.quartic.lrs)
    start = np.full((len(lrs), 1), plan.start)
    for method in ("NGN-M", "GDM"):
        how = {"beta": toys.beta, "tolerance": plan.tolerance}
        yield from _ends(method, lrs, descend(quartic, method, lrs, start, plan.num_steps, **how))


def rosenbrock_rows(toys: Toys) -> Iterator[Labelled]:
    """Curves and trajectories from (-1.2, 1)."""
    start = np.tile(START, (len(toys.rosenbrock.lrs), 1))
    methods = ("NGN", "NGN-M", "SGDM", "GDM")
    yield from _curves(toys.rosenbrock, toys.beta, rosenbrock, start, methods, 0.0, points=True)


def least_squares_rows(toys: Toys) -> Iterator[Labelled]:
    """Gap to the minimum over the gap at the start, x = 0; diabetes data."""
    a, b = diabetes(toys.eigenvalue)
    landscape, _, minimum = least_squares(a, b)
    start = np.zeros((len(toys.least_squares.lrs), a.shape[1]))
    methods = ("SGDM", "GDM", "NGN", "NGN-M", "NGN-M v2")
    yield from _curves(toys.least_squares, toys.beta, landscape, start, methods, minimum)


def minima_rows(toys: Toys) -> Iterator[dict]:
    """Share of the starts that end near the global minimum."""
    plan = toys.minima
    starts = np.linspace(-20, 20, plan.num_starts)
    lanes = np.tile(starts, len(plan.lrs))[:, None]
    for method in ("NGN-M", "GDM", "SGDM"):
        lrs = np.repeat(plan.lrs, plan.num_starts)
        found = descend(many_minima, method, lrs, lanes, plan.num_steps, beta=toys.beta)
        reached = (np.abs(found.x[:, 0]) < plan.radius) & (found.status != "diverged")
        for lr, own in zip(plan.lrs, reached.reshape(len(plan.lrs), -1), strict=True):
            yield {"method": method, "lr": lr, "share": own.mean(), "num_starts": plan.num_starts}


def quadratics_rows(toys: Toys) -> Iterator[dict]:
    """NGN-M on ill-conditioned quadratics with constant and decaying learning rates."""
    plan, names = toys.quadratics, ["1/sqrt(K)", "1/sqrt(k)", *(f"{c:g}" for c in toys.quadratics.constants)]
    for shift, num_draws in plan.shifts.items():
        for first in range(0, num_draws, DRAWS_AT_ONCE):
            draws = range(first, min(first + DRAWS_AT_ONCE, num_draws))
            rngs = [numpy_generator(draw, "quadratic") for draw in draws]
            drawn = [(rng.standard_normal((plan.size, plan.size)), rng.standard_normal(plan.size)) for rng in rngs]
            a, y = (np.stack(parts) for parts in zip(*drawn, strict=True))
            landscape, conditions = rotated_quadratics(a + shift * np.eye(plan.size), y)
            for num_steps in plan.num_steps:
                at = _log_points(num_steps, plan.num_points)
                for lane, losses in enumerate(_descend_all(landscape, len(draws), num_steps, at, toys)):
                    draw, rate = divmod(lane, len(names))
                    labels = {"draw": draws[draw], "shift": shift, "condition": conditions[draw]}
                    labels |= {"num_steps": num_steps, "rate": names[rate]}
                    yield from (labels | {"step": step, "loss": loss} for step, loss in zip(at, losses, strict=True))


def _descend_all(landscape: Landscape, num_draws: int, num_steps: int, at: list[int], toys: Toys) -> np.ndarray:
    """Losses of NGN-M on every draw at every rate, lanes in that order: (draws * rates, len(at))."""
    plan = toys.quadratics
    start = np.zeros((num_draws * (2 + len(plan.constants)), plan.size))

    def rates(step: int) -> np.ndarray:
        return np.tile([1 / np.sqrt(num_steps), 1 / np.sqrt(step + 1), *plan.constants], num_draws)

    return descend(landscape, "NGN-M", rates, start, num_steps, beta=toys.beta, log_at=at).curves.T


def _log_points(num_steps: int, number: int) -> list[int]:
    """0 and numbers of updates up to num_steps, spaced geometrically."""
    return [0, *np.unique(np.geomspace(1, num_steps, number - 1).round().astype(int)).tolist()]


def _ends(method: str, lrs: np.ndarray, found: Descent) -> Iterator[dict]:
    for lr, updates, status, loss in zip(lrs, found.updates, found.status, found.loss, strict=True):
        yield {"method": method, "lr": lr, "updates": updates, "status": status, "loss": loss}


def _curves(plan: Curves, beta, landscape, start, methods, minimum, points: bool = False) -> Iterator[Labelled]:
    """Rows of parts "end", "curve" and, if wanted, "path" of each method; `gap` is relative to the start."""
    lrs, shown = np.array(plan.lrs), _log_points(plan.num_steps, plan.num_points)
    whole = landscape(start, 0)[0][0] - minimum
    at = sorted({*shown, *range(min(PATH_POINTS, plan.num_steps))}) if points else shown
    for method in methods:
        found = descend(landscape, method, lrs, start, plan.num_steps, beta=beta, log_at=at)
        for row in _ends(method, lrs, found):
            yield "end", row | {"gap": (row["loss"] - minimum) / whole}
        for lane, lr in enumerate(lrs):
            for index, step in enumerate(at):
                labels = {"method": method, "lr": lr, "updates": step}
                loss, point = found.curves[index, lane], found.points[index, lane]
                if step in shown:
                    yield "curve", labels | {"loss": loss, "gap": (loss - minimum) / whole}
                if points and step <= PATH_POINTS and method in PATHS and np.isfinite(point).all():
                    yield "path", labels | {"x": point[0], "y": point[1]}


PARTS = {
    "quartic": quartic_rows,
    "rosenbrock": rosenbrock_rows,
    "least_squares": least_squares_rows,
    "minima": minima_rows,
    "quadratics": quadratics_rows,
    "robustness": robustness_rows,
}


@step
def toys(settings: ToyShard) -> dict[str, list[dict]]:
    """Descend on one toy problem, in float64; parts are the problem's name, with what is shown where it is several."""
    parts: dict[str, list[dict]] = {}
    for row in PARTS[settings.problem](settings.toys):
        kind, own = row if isinstance(row, tuple) else (None, row)
        parts.setdefault("_".join(filter(None, (settings.problem, kind))), []).append(own)
    return parts


if __name__ == "__main__":
    toys.main()
