"""Step: everything that is exact and needs no training: the bound, its reductions, the schedule and the weights.

python -m papers.gidd.verify --scale cpu --shard exact
"""

from collections.abc import Iterable

from papers.gidd import exact
from papers.gidd.curves import schedule_rows, weight_rows
from papers.gidd.settings import Exact
from shared.artifacts.step import step


@step
def verify(settings: Exact) -> dict[str, Iterable[dict]]:
    """Compute the exact checks and curves."""
    return {
        "nll_identity": exact.nll_identity_rows(settings.p_us, settings.gammas),
        "mask_reduction": exact.mask_reduction_rows(),
        "truncation": exact.truncation_rows(settings.truncation_vocab, settings.p_us),
        "minimiser": exact.minimiser_rows(),
        "discretisation": exact.discretisation_rows(settings.discretisation_steps),
        "sampler": exact.sampler_rows(settings.num_steps),
        "schedule": schedule_rows(settings.p_us, settings.curve_points, settings.vocab_size),
        "weights": weight_rows(settings.p_us, settings.curve_points, settings.vocab_size),
    }


if __name__ == "__main__":
    verify.main()
