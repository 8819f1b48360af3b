"""Step: scripted solvers over seeds, on the verdicts that `execute` recorded.

python -m papers.gitchameleon.simulate --scale cpu --shard mini
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from papers.gitchameleon.metrics.simulation import Verdicts, expected_after_repair, expected_success, outcomes
from papers.gitchameleon.settings import Solvers
from shared.artifacts.records import read_record
from shared.artifacts.step import step


def verdicts_of(executed: pd.DataFrame) -> Verdicts:
    """Outcomes of both idioms of every problem."""
    part = executed.sort_values("example_id")
    right, wrong = (part[part.system == s] for s in ("reference", "version-blind"))
    return Verdicts(*((p[m] == "pass").to_numpy() for m in ("hidden", "visible") for p in (right, wrong)))


def rows_of(suite: str, verdicts: Verdicts, solvers: Solvers) -> Iterator[dict]:
    """One row per quality, repair rate and overfit rate, in per cent."""
    settings = product(solvers.qualities, solvers.repair_rates, solvers.overfit_rates)
    for q, r, o in settings:
        result = outcomes(verdicts, q, r, solvers.num_seeds, solvers.seed, o)
        means = {name: 100 * values.mean() for name, values in result.items()}
        errors = {name: 100 * v.std(ddof=1) / np.sqrt(solvers.num_seeds) for name, v in result.items()}
        yield {
            "suite": suite,
            "quality": q,
            "repair_rate": r,
            "overfit_rate": o,
            "hidden_percent": means["hidden"],
            "expected_percent": 100 * expected_success(verdicts, q),
            "standard_error_percent": errors["hidden"],
            "hidden_after_percent": means["hidden_after"],
            "expected_after_percent": 100 * expected_after_repair(verdicts, q, r, o),
            "standard_error_after_percent": errors["hidden_after"],
            "visible_percent": means["visible"],
            "visible_after_percent": means["visible_after"],
            "num_seeds": solvers.num_seeds,
        }


@step(inputs={"executed": "runs/execute/{shard}.parquet"})
def simulate(settings: Solvers, shard: str, executed: Path) -> Iterator[dict]:
    """Simulate solvers that know both idioms and take the pinned version's with some probability."""
    return rows_of(shard, verdicts_of(read_record(executed)), settings)


if __name__ == "__main__":
    simulate.main()
