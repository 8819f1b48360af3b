"""Step: methods beside their SDE models, and the floor of DSignSGD with a constant step.

python -m papers.distributed_sde.paths --scale cpu --shard paths
"""

from collections.abc import Iterable

from papers.distributed_sde.settings import SimulatedPaths
from papers.distributed_sde.tracking import floor_row, track_rows
from shared.artifacts.step import step


@step
def paths(settings: SimulatedPaths) -> dict[str, Iterable[dict]]:
    """Simulate methods and SDE models side by side."""
    return {
        "track": (row for case in settings.cases for row in track_rows(case, settings)),
        "floor": (floor_row(point, settings) for point in settings.floor_points),
    }


if __name__ == "__main__":
    paths.main()
