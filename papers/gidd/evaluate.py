"""Step: likelihood of trained runs, and whether they repair corrupted sequences.

python -m papers.gidd.evaluate --scale cpu --shard markov-00 --weights FILE --out RECORD
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from papers.gidd.config import Run, StudyShard
from papers.gidd.likelihood import validation_elbo
from papers.gidd.recovery import recovery_rows
from papers.gidd.study import CorpusData, build_process, load_networks, run_columns
from papers.gidd.task import next_token_nats
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.base.seeding import torch_generator
from shared.train.launch.devices import require_device


def likelihood_rows(network: nn.Module, data: CorpusData, shard: StudyShard, run: Run, device: str) -> Iterator[dict]:
    """Validation nats per token with the true weights, as metrics with their standard errors.

    `validation_error` is the spread between sequences, which is what limits comparisons with another corpus;
    runs of one study share the sequences.
    """
    x = data.validation().to(device)
    if run.objective == "ar":
        nats, error, num_tokens = next_token_nats(network, x, data.is_token(x))
        data_error = error
    else:
        generator = torch_generator(0, "validation", device=device)
        elbo = validation_elbo(
            network, x, build_process(shard, run, data.vocab_size), generator, is_token=data.is_token(x),
            num_draws=shard.likelihood.num_draws, eps=shard.noise.eps,
        )  # fmt: skip
        nats, error, num_tokens = elbo.elbo_nats_per_token, elbo.standard_error, elbo.num_tokens
        data_error = elbo.data_standard_error
    yield {"metric": "nats_per_token", "value": nats, "standard_error": error}
    yield {"metric": "ppl", "value": math.exp(nats), "standard_error": math.exp(nats) * error}
    yield {"metric": "validation_error", "value": data_error}
    yield {"metric": "num_tokens", "value": float(num_tokens)}
    yield {"metric": "num_params", "value": float(sum(p.numel() for p in network.parameters()))}
    yield {"metric": "num_block_params", "value": float(sum(p.numel() for p in network.backbone.parameters()))}


def repair_rows(network: nn.Module, data: CorpusData, shard: StudyShard, run: Run, device: str) -> Iterator[dict]:
    """Touched, recovered and damaged shares by number of corrupted tokens; nothing for the autoregressive run."""
    if run.objective == "ar":
        return
    likelihood = shard.likelihood
    x = data.validation(likelihood.recovery_sequences).to(device)
    process = build_process(shard, run, data.vocab_size)
    generator = torch_generator(0, "recovery", device=device)
    counts = tuple(likelihood.recovery_counts)
    for row in recovery_rows(network, x, process, generator, counts=counts, t0=likelihood.recovery_t0):
        for metric in ("touched", "recovered", "damaged"):
            yield {"metric": metric, "value": row[metric], "num_corrupted": row["num_corrupted"]}


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="Shard of step evaluate, e.g. markov-00.")],
    weights: Annotated[Path, typer.Option(help="Weights that the train step wrote for this shard.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Evaluate the runs of one shard."""
    settings: StudyShard = load_shard("gidd", "evaluate", scale, shard)
    device = require_device("cuda" if settings.num_gpus else "cpu")
    torch.set_num_threads(threads)
    provenance = Provenance(device=device, num_threads=threads)
    data = CorpusData(settings.corpus)
    networks = load_networks(settings, settings.runs, weights, data.vocab_size, device)
    columns = ["metric", "num_corrupted", "value", "standard_error"]
    rows = [
        run_columns(settings, run) | dict.fromkeys(columns) | row
        for run in settings.runs
        for measure in (likelihood_rows, repair_rows)
        for row in measure(networks[run.id], data, settings, run, device)
    ]
    write_record(out, rows, provenance)


if __name__ == "__main__":
    typer.run(main)
