"""What is measured of a trained run: its likelihood on held-out sequences, and its repairs of corrupted ones."""

import math
from collections.abc import Iterator

from torch import nn

from papers.gidd.likelihood import validation_elbo
from papers.gidd.recovery import recovery_rows
from papers.gidd.settings import Run, StudyShard
from papers.gidd.study import CorpusData, build_process
from papers.gidd.task import next_token_nats
from shared.base.seeding import torch_generator


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
