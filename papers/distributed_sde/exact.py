"""Step: what needs no random draws. Gradient descent beside its ODEs, orders, and the theorems' bounds on a grid.

python -m papers.distributed_sde.exact --scale cpu --shard exact
"""

from collections.abc import Iterable

from papers.distributed_sde.closed_forms import bound_rows, order_rows, sanity_rows
from papers.distributed_sde.settings import Exact
from shared.artifacts.step import step


@step
def exact(settings: Exact) -> dict[str, Iterable[dict]]:
    """Compute closed forms and ordinary differential equations."""
    return {"sanity": sanity_rows(settings), "order": order_rows(settings), "bounds": bound_rows(settings.bounds)}


if __name__ == "__main__":
    exact.main()
