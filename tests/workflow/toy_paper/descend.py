"""One run: gradient descent on a one-dimensional quadratic."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from papers.toy.method import loss_path
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence


@in_one_sentence
def main(
    scale: Annotated[str, typer.Option()], shard: Annotated[str, typer.Option()], out: Annotated[Path, typer.Option()]
) -> None:
    """Descend and write the record."""
    settings, provenance = load_shard("toy", "descend", scale, shard), Provenance()
    if os.environ.get("TOY_STALLS") == shard:
        time.sleep(600)  # until a test kills it
    losses = loss_path(settings.curvature, settings.descent.lr, settings.descent.num_steps)
    rows = [{"curvature": settings.curvature, "step": step, "loss": loss} for step, loss in enumerate(losses)]
    write_record(out, rows, provenance)


if __name__ == "__main__":
    typer.run(main)
