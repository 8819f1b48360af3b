"""Records that the authors released, in the form of our own."""

from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence


@in_one_sentence
def main(
    scale: Annotated[str, typer.Option()], shard: Annotated[str, typer.Option()], out: Annotated[Path, typer.Option()]
) -> None:
    """Write the record."""
    provenance, released = Provenance(), load_shard("toy", "released", scale, shard).losses
    rows = [
        {"curvature": c, "step": k, "loss": loss} for c, losses in released.items() for k, loss in enumerate(losses)
    ]
    write_record(out, rows, provenance)


if __name__ == "__main__":
    typer.run(main)
