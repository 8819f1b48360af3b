"""Step: SGD and SignSGD against their diffusions on f(x) = x^2 / 2: weak errors, stationary variances, loss over time.

python -m papers.optimizer_gap.simulate --scale cpu --shard sde
"""

from collections.abc import Iterator

from papers.optimizer_gap.moments import decay_rows, stationary_rows, weak_rows
from papers.optimizer_gap.problems import Sde
from shared.artifacts.step import step


@step
def simulate(settings: Sde) -> dict[str, Iterator[dict]]:
    """Compute laws, simulate diffusions."""
    return {
        "weak": weak_rows(settings.weak),
        "stationary": stationary_rows(settings.stationary),
        "decay": decay_rows(settings.decay),
    }


if __name__ == "__main__":
    simulate.main()
