"""Step: SGD and Adam on block quadratics over batch sizes, under two models of gradient noise, on several rotations.

python -m papers.optimizer_gap.quadratics --scale cpu --shard descents
"""

import pandas as pd

from papers.optimizer_gap.descents import descent_rows
from papers.optimizer_gap.problems import Quadratics
from papers.optimizer_gap.rotations import over_rotations, ratios_by_rotation
from shared.artifacts.step import step


@step
def quadratics(settings: Quadratics) -> dict[str, list[dict]]:
    """Run all descents, on one thread: nine numbers a vector, a second one only waits.

    Parts: `rotation`, the best of each method on each rotation; by the model of noise (`additive`, `rows`) what comes
    of them over the rotations.
    """
    descents = pd.DataFrame(descent_rows(settings))
    found = {noise: table.to_dict("records") for noise, table in over_rotations(descents).groupby("noise")}
    return {"rotation": ratios_by_rotation(descents).to_dict("records"), **found}


if __name__ == "__main__":
    quadratics.main()
