"""Step: search for data on spheres with cycles at the least gamma, and test what was found.

python -m papers.logistic_gd.search --scale cpu --shard plane
"""

from collections.abc import Iterator

import numpy as np

from papers.logistic_gd.families import LINE_CYCLES
from papers.logistic_gd.known_families import known_families, search_starts
from papers.logistic_gd.lp_search import Found, PlaneGrid, along, search_line, search_plane
from papers.logistic_gd.search_checks import found_row, lifted_checks, plane_checks
from papers.logistic_gd.settings import LiftedSearch, PlaneSearch
from shared.artifacts.step import step
from shared.base.seeding import numpy_generator


@step
def search(settings: PlaneSearch | LiftedSearch) -> Iterator[dict]:
    """Search by linear programs and verify by simulation."""
    yield from plane_rows(settings) if isinstance(settings, PlaneSearch) else lifted_rows(settings)


def plane_rows(settings: PlaneSearch) -> Iterator[dict]:
    """Least gamma on the circle of the known families, and of searches from there by the bound on the ratio of weights.

    A family is feasible at its own ratio and beyond, so that no search ends above it there.
    """
    grid = PlaneGrid.of(settings.num_angles)
    known = known_families(grid)
    starts = search_starts([found for _, found in known.values()])
    for name, (ratio, found) in known.items():
        row = {"search": name, "dim": 2, "ratio_bound": ratio, "num_trials": 0}
        yield row | found_row(found, plane_checks, grid, found, numpy_generator(settings.seed, name))

    def feasible(limit: float) -> list[Found]:
        return [found for ratio, found in known.values() if ratio <= limit]

    for name, stable in (("circle", False), ("circle, stable", True)):
        rng = numpy_generator(settings.seed, name)

        def search(ratio, generator, num_trials, starts, best, stable=stable) -> Found | None:
            return search_plane(grid, ratio, num_trials, generator, stable, starts, best)

        limits = sorted(settings.ratios)
        for ratio, found in along(limits, search, rng, settings.num_trials, starts, feasible).items():
            row = {"search": name, "dim": 2, "ratio_bound": ratio, "num_trials": settings.num_trials}
            yield row | found_row(found, plane_checks, grid, found, rng)


def lifted_rows(settings: LiftedSearch) -> Iterator[dict]:
    """Least gamma of a lifted cycle for each dimension, started from those of the data set A on the line."""
    positive = np.logspace(-2.5, 0, settings.num_magnitudes)
    x, rng = np.concatenate([-positive[::-1], positive]), numpy_generator(settings.seed, "lifted")

    def search(dim, generator, num_trials, starts, best) -> Found | None:
        return search_line(x, dim, num_trials, generator, starts, best)

    # curvature across the axis falls with the dimension, so that a cycle in few dimensions is one in more
    for dim, found in along(sorted(settings.dims), search, rng, settings.num_trials, LINE_CYCLES).items():
        row = {"search": "lifted", "dim": dim, "ratio_bound": np.nan, "num_trials": settings.num_trials}
        yield row | found_row(found, lifted_checks, x, found, dim, rng)


if __name__ == "__main__":
    search.main()
