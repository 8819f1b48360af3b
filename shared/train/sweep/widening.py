"""Follow the best points of a sweep: beyond the edges of its grids, and to fresh seeds; torch for rules' ranges alone.

A learning rate, and whatever else lies on a logarithmic scale, goes on by the grid's own ratio. An averaging factor
goes on by the ratio of 1 - beta, so it never reaches 1; below it ends at 0, which is no averaging and no edge.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.train.rules import rule_of
from shared.train.run import Run
from shared.train.sweep.packing import cells_of

if TYPE_CHECKING:
    import pandas as pd

AVERAGING = frozenset({"alpha", "beta", "beta1", "beta2", "momentum"})
_HALF_DECADE = math.sqrt(10.0)  # where a grid has one positive value and so no ratio of its own


def follow_best(
    train: Callable[[Sequence[Run], str], "pd.DataFrame"],
    runs: Sequence[Run],
    extensions: int,
    fresh_seeds: Sequence[int],
    *,
    widen: Sequence[str] = ("lr",),
    metric: str = "val_loss",
) -> "pd.DataFrame":
    """Train runs, up to `extensions` times those beyond the edges, then the best of each cell on fresh seeds.

    Args:
        train: trains runs that it gets, under a name, and returns their rows as `beyond_the_edges` takes them.
        fresh_seeds: none: nothing is trained but the grids.
    Returns:
        the rows of all runs with the extension that they came with, and `fresh` where there are fresh seeds.
    """
    import pandas as pd

    known, pending, frames = list(runs), list(runs), []
    for attempt in range(extensions + 1):
        frames.append(train(pending, f"extension-{attempt}" if attempt else "runs").assign(extension=attempt))
        if attempt < extensions:
            pending = beyond_the_edges(known, pd.concat(frames), widen, metric)
            known += pending
        if not pending:
            break
    if fresh_seeds:
        pending = best_on(fresh_seeds, known, pd.concat(frames), widen, metric)
        frames = [frame.assign(fresh=False) for frame in frames]
        frames.append(train(pending, "fresh").assign(extension=0, fresh=True))
    return pd.concat(frames, ignore_index=True)


def beyond_the_edges(
    runs: Sequence[Run], table: "pd.DataFrame", widen: Sequence[str] = ("lr",), metric: str = "val_loss"
) -> list[Run]:
    """Runs that widen each grid whose best seed-mean lies at an end; diverged runs count as infinitely bad.

    A grid is looked at along the line through the best point of its cell, and continued there, at the best values of
    the other hyperparameters. A cell whose every run diverged is widened downwards.

    Args:
        table: logged rows of all `runs`, with `run`, `phase`, `diverged` and `metric` (lower is better).
        widen: hyperparameters; one that a run has not, or that has one value in its cell, is left alone.
    """
    loss = _losses(table, metric)
    return [run for cell in cells_of(runs, widen) for run in _around_best(cell, widen, loss)]


def best_on(
    seeds: Sequence[int],
    runs: Sequence[Run],
    table: "pd.DataFrame",
    widen: Sequence[str] = ("lr",),
    metric: str = "val_loss",
) -> list[Run]:
    """The best point of each cell, by its seed mean, on other seeds: what it is worth where it was not chosen.

    Args:
        table, widen, metric: as of `beyond_the_edges`; a cell is what agrees in all but its seed and `widen`.
    Raises:
        ValueError: a seed that the runs have already.
    """
    if taken := sorted({run.seed for run in runs} & set(seeds)):
        raise ValueError(f"seed {taken[0]} chose the best points and cannot measure them; give fresh_seeds without it")
    loss = _losses(table, metric)
    chosen = [points[best][0] for points, best in (_best(cell, widen, loss) for cell in cells_of(runs, widen))]
    return [_reseeded(run, seed) for run in chosen for seed in seeds]


def _losses(table: "pd.DataFrame", metric: str) -> Callable[[Run], float]:
    """Run -> its last value of the metric; infinite if it diverged."""
    final = table[table.phase == "eval"].groupby("run", sort=False)[metric].last()
    diverged = table.groupby("run")["diverged"].first()

    def loss(run: Run) -> float:
        value = final.get(run.name, math.inf)
        return math.inf if diverged[run.name] or not math.isfinite(value) else value

    return loss


def _best(cell: Sequence[Run], widen: Sequence[str], loss: Callable[[Run], float]) -> tuple[dict, tuple[float, ...]]:
    """The runs of each point of a cell, ascending, and the point with the smallest mean."""
    names = [name for name in widen if name in cell[0].settings]
    points: dict[tuple[float, ...], list[Run]] = {}
    for run in cell:
        points.setdefault(tuple(float(run.settings[name]) for name in names), []).append(run)
    means = {at: sum(map(loss, points[at])) / len(points[at]) for at in sorted(points)}
    return points, min(means, key=means.__getitem__)


def _around_best(cell: Sequence[Run], widen: Sequence[str], loss: Callable[[Run], float]) -> Iterator[Run]:
    """The missing neighbours of the best point of a cell, for each of its seeds."""
    names = [name for name in widen if name in cell[0].settings]
    points, best = _best(cell, widen, loss)
    for axis, name in enumerate(names):
        grid = sorted({at[axis] for at in points})
        if len(grid) < 2:
            continue
        line = sorted(at[axis] for at in points if _without(at, axis) == _without(best, axis))
        for end, low in ((line[0], True), (line[-1], False)):
            value = neighbour(name, grid, best[axis], low=low) if best[axis] == end else None
            if value is not None and rule_of(cell[0]).hyper[name].admits(value):
                yield from (_moved(run, name, value) for run in points[best])


def _without(point: tuple[float, ...], axis: int) -> tuple[float, ...]:
    return point[:axis] + point[axis + 1 :]


def neighbour(name: str, grid: Sequence[float], value: float, *, low: bool) -> float | None:
    """The value next to `value`: of the ascending `grid`, else beyond its end; None where the scale ends.

    Args:
        name: of the hyperparameter, which says its scale.
        grid: two values or more, `value` among them.
    """
    index = grid.index(value) + (-1 if low else 1)
    if 0 <= index < len(grid):
        return grid[index]
    if low and value == 0:
        return None
    if name in AVERAGING:
        return _averaging_beyond(grid, low)
    end, before = (grid[0], grid[1]) if low else (grid[-1], grid[-2])
    return float(f"{end * end / before if before else end * _HALF_DECADE:.3g}")


def _averaging_beyond(grid: Sequence[float], low: bool) -> float | None:
    """One step of the grid's own ratio in 1 - beta; 0 at the lower end."""
    end, before = (1 - grid[0], 1 - grid[1]) if low else (1 - grid[-1], 1 - grid[-2])
    kept = float(f"{end * end / before:.3g}")
    found = 0.0 if kept >= 1 else float(f"{1 - kept:.12g}")
    return found if found < 1 else None  # closer to 1 than numbers are written


def _reseeded(run: Run, seed: int) -> Run:
    """The run on another seed, under the name that the sweep would give it."""
    name = run.name.removesuffix(f"seed={run.seed}") + f"seed={seed}"
    return replace(run, name=name, seed=seed)


def _moved(run: Run, name: str, value: float) -> Run:
    """The run with another value, under the name that the sweep would give it."""
    words, label = run.name.split(" "), f"{name}={value:g}"
    named = [i for i, word in enumerate(words) if word.startswith(f"{name}=")]
    for i in named:
        words[i] = label
    if not named:
        words.insert(-1, label)  # before the seed
    return replace(run, name=" ".join(words), settings={**run.settings, name: value})
