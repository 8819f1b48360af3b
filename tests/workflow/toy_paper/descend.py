"""One run: gradient descent on a one-dimensional quadratic."""

import time
from pathlib import Path
from typing import Annotated

import typer

from papers.toy.method import loss_path
from shared.artifacts.config import Settings
from shared.artifacts.errors import in_one_sentence
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record


@in_one_sentence
def main(
    scale: Annotated[str, typer.Option()], shard: Annotated[str, typer.Option()], out: Annotated[Path, typer.Option()]
) -> None:
    """Descend and write the record."""
    settings, provenance = Settings("toy", "descend", scale), Provenance()
    curvature = float(shard.split("=")[1])
    time.sleep(settings.descent.pause_seconds)
    rows = loss_path(curvature, settings.descent.lr, settings.descent.num_steps)
    write_record(out, [{"curvature": curvature, "step": i, "loss": loss} for i, loss in enumerate(rows)], provenance)


if __name__ == "__main__":
    typer.run(main)
