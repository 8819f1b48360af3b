"""Step: everything that needs no training, in float64.

python -m papers.sequence_framework.exact --scale cpu --shard casts
"""

from collections.abc import Iterable

import numpy as np

from papers.sequence_framework import architectures, evolutions, readout_maps
from papers.sequence_framework.settings import ExactShard
from shared.artifacts.step import step


@step
def exact(settings: ExactShard) -> dict[str, Iterable[dict]]:
    """The parts that the shard names."""
    s = settings.exact
    rows = {
        "casts": lambda: architectures.cast_rows(s.casts),
        "maps": lambda: architectures.map_rows(s.casts.map_len),
        "rank": lambda: readout_maps.rank_rows(s.ranks),
        "zero_sets": lambda: readout_maps.zero_set_rows(s.epsilon, np.linspace(-9, 3, s.num_points)),
        "cover": lambda: readout_maps.cover_rows(s.cover),
        "permutation": lambda: evolutions.permutation_rows(s.permutations),
        "structure": lambda: evolutions.structure_rows(s.structures),
        "scaling": lambda: evolutions.scaling_rows(s.scaling),
        "stability": lambda: evolutions.stability_rows(s.stability),
    }
    return {part: list(rows[part]()) for part in settings.parts}


if __name__ == "__main__":
    exact.main()
