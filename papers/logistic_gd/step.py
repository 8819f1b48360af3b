"""The command line that all steps of this paper share: read the shard, compute its rows, write the record."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.base.settings import StrictModel


def device_of(num_gpus: int) -> str | None:
    """Device of the batched steps: the leased GPU, or numpy on one thread."""
    return "cuda" if num_gpus else None


def step_command(name: str, rows: Callable[[StrictModel], Iterable[dict]]) -> Callable[..., None]:
    """`python -m papers.logistic_gd.<name> --scale ... --shard ... --out RECORD`.

    Args:
        rows: settings of a shard -> the record's rows.
    """

    @in_one_sentence
    def main(
        shard: Annotated[str, typer.Option(help="One of the step's shards; see config.py.")],
        out: Annotated[Path, typer.Option(help="Record to write.")],
        scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
    ) -> None:
        settings = load_shard("logistic_gd", name, scale, shard)
        provenance = Provenance(device=device_of(getattr(settings, "num_gpus", 0)) or "cpu")
        write_record(out, rows(settings), provenance)

    main.__doc__ = (rows.__doc__ or "").splitlines()[0]
    return main
