"""Step: quadratics, where moments are known: stability boundary, typical paths, stationary laws, scaling rule; bounds.

python -m papers.distributed_sde.linear --scale cpu --shard linear
"""

from collections.abc import Iterable

from papers.distributed_sde import bounds, quadratics, stable_steps
from papers.distributed_sde.settings import Linear
from shared.artifacts.step import step


@step
def linear(settings: Linear) -> dict[str, Iterable[dict]]:
    """Simulate quadratics; and, on (L0, L1)-smooth functions, the theorems' bounds and the largest stable steps."""
    return {
        "threshold": quadratics.threshold_rows(settings),
        "typical": quadratics.typical_rows(settings),
        "stationary": quadratics.stationary_rows(settings),
        "scaling": quadratics.scaling_rows(settings),
        "bound": bounds.bound_rows(settings),
        "stable": stable_steps.stable_rows(settings.stable),
    }


if __name__ == "__main__":
    linear.main()
