"""Step: records that the authors released, in the form of our own."""

from collections.abc import Iterator

from papers.toy.config import Released
from shared.artifacts.step import step


@step
def released(settings: Released) -> Iterator[dict]:
    """One row per released loss."""
    for curvature, losses in settings.losses.items():
        for step, loss in enumerate(losses):
            yield {"curvature": curvature, "step": step, "loss": loss}


if __name__ == "__main__":
    released.main()
