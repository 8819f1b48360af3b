"""Step: quadratics, where moments are known: stability boundary, typical paths, stationary laws, scaling rule, bound.

python -m papers.distributed_sde.linear --scale cpu --shard linear
"""

from collections.abc import Iterable

from papers.distributed_sde import quadratics
from papers.distributed_sde.settings import Linear
from shared.artifacts.step import step


@step
def linear(settings: Linear) -> dict[str, Iterable[dict]]:
    """Simulate quadratics."""
    return {
        "threshold": quadratics.threshold_rows(settings),
        "typical": quadratics.typical_rows(settings),
        "stationary": quadratics.stationary_rows(settings),
        "scaling": quadratics.scaling_rows(settings),
        "bound": quadratics.bound_rows(settings),
    }


if __name__ == "__main__":
    linear.main()
