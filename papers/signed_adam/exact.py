"""Step: what is exact and needs no training: variance identity, inference problem, step bounds, filter demo.

python -m papers.signed_adam.exact --scale cpu --shard exact
"""

from collections.abc import Iterator

from papers.signed_adam.inference import inference_rows
from papers.signed_adam.settings import Exact
from papers.signed_adam.variance import bound_rows, filter_rows, identity_rows
from shared.artifacts.step import step


@step
def exact(settings: Exact) -> dict[str, Iterator[dict]]:
    """Compute the exact checks and curves."""
    pairs = [(beta, beta) for beta in settings.betas] + settings.unequal
    return {
        "identity": identity_rows(pairs, settings.num_steps),
        "inference": inference_rows(settings.inference_cases),
        "bound": bound_rows(pairs),
        "filter": filter_rows(settings.filter_betas, settings.filter_steps),
    }


if __name__ == "__main__":
    exact.main()
