"""Step: SGD, Adam and Signum on block quadratics over batch sizes, under two models of gradient noise.

python -m papers.optimizer_gap.quadratics --scale cpu --shard descents
"""

import pandas as pd

from papers.optimizer_gap.comparing import ratios_to_adam
from papers.optimizer_gap.descents import descent_rows
from papers.optimizer_gap.problems import Quadratics
from shared.artifacts.step import step


@step
def quadratics(settings: Quadratics) -> dict[str, list[dict]]:
    """Run all descents, on one thread: nine numbers a vector, a second one only waits.

    Parts: `descent`, each of them; by the model of noise (`additive`, `rows`) the best of each method beside Adam's.
    """
    descents = list(descent_rows(settings))
    best = ratios_to_adam(pd.DataFrame(descents))
    found = {noise: table.to_dict("records") for noise, table in best.groupby("noise")}
    return {"descent": descents, **found}


if __name__ == "__main__":
    quadratics.main()
