"""Training tasks: a diffusion run and the autoregressive baseline.

A batch is a function of (seed, step, row): the crop, its time and its noise.
Shapes: B sequences, L tokens, V vocabulary.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from papers.gidd.likelihood import validation_elbo
from papers.gidd.loss import autoregressive_loss, mdlm_loss, training_loss
from papers.gidd.settings import Run, StudyShard
from papers.gidd.study import CorpusData, build_network, build_process
from papers.gidd.times import low_discrepancy_times
from shared.base.seeding import numpy_generator, torch_generator
from shared.data.counter import row_uniforms
from shared.train.task import Task

CURVE_DRAWS = 2  # of (t, z) per held-out sequence and point of the learning curve; evaluate.py takes more


class StudyTask(Task):
    """A run of a study on its corpus: what both objectives share."""

    def __init__(self, data: CorpusData, shard: StudyShard, run: Run) -> None:
        self.data, self.shard, self.run = data, shard, run
        self.batch_size, self.tokens_per_row = shard.training.batch_size, data.corpus.seq_len

    def build(self, seed: int) -> nn.Module:
        return build_network(self.shard, self.run.model_copy(update={"seed": seed}), self.data.vocab_size)


class DiffusionTask(StudyTask):
    """Denoising with GIDD's loss under the run's weighting, or with MDLM's."""

    def __init__(self, data: CorpusData, shard: StudyShard, run: Run) -> None:
        super().__init__(data, shard, run)
        self.process, self.noise = build_process(shard, run, data.vocab_size), shard.noise

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """Clean tokens x (B, L), noisy tokens z (B, L) and times t (B,) of rows of the global batch."""
        x = self.data.crops(seed, step, rows, self.batch_size)
        u = numpy_generator(seed, "times", step).random()
        t = low_discrepancy_times(u, self.batch_size, torch.arange(rows.start, rows.stop), eps=self.noise.eps)
        uniforms = torch.from_numpy(row_uniforms(seed, "noise", step, rows, x.shape[1]))
        return {"x": x, "z": self.process.noise(x, t, uniforms), "t": t}

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], values: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over all positions, padding included, as the paper trains."""
        x, z, t = batch["x"], batch["z"], batch["t"]
        logits = model(z, t.to(torch.get_default_dtype()))
        if self.run.objective == "mdlm":
            loss = elbo = mdlm_loss(logits, x, z, t, self.process)
        else:
            loss, elbo = training_loss(logits, x, z, t, self.process, self.run.weighting, w_max=self.noise.w_max)
        return loss.mean(), {"elbo": elbo.detach().mean()}

    def evaluate(self, model: nn.Module, step: int) -> dict[str, float]:
        """Bound of the held-out sequences under the true weights; the draws are the same at every step and p_u."""
        x = self.data.validation().to(next(model.parameters()).device)
        generator = torch_generator(0, "learning curve")
        elbo = validation_elbo(
            model, x, self.process, generator, is_token=self.data.is_token(x), num_draws=CURVE_DRAWS, eps=self.noise.eps
        )
        return {"val_nats_per_token": elbo.elbo_nats_per_token}


class AutoregressiveTask(StudyTask):
    """Next-token prediction on the same crops."""

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        """Tokens x (B, L)."""
        return {"x": self.data.crops(seed, step, rows, self.batch_size)}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], values: Mapping[str, Tensor]) -> Tensor:
        """Mean next-token cross entropy over positions 1..L-1."""
        return autoregressive_loss(model(batch["x"]), batch["x"]).mean()

    def evaluate(self, model: nn.Module, step: int) -> dict[str, float]:
        """Cross entropy of the held-out sequences, nats per predicted token."""
        x = self.data.validation().to(next(model.parameters()).device)
        nats, _, _ = next_token_nats(model, x, self.data.is_token(x))
        return {"val_nats_per_token": nats}


def build_task(data: CorpusData, shard: StudyShard, run: Run) -> StudyTask:
    """Network, batches and loss of a run."""
    return (AutoregressiveTask if run.objective == "ar" else DiffusionTask)(data, shard, run)


@torch.no_grad()
def next_token_nats(model: nn.Module, x: Tensor, is_token: Tensor) -> tuple[float, float, int]:
    """(mean nats per predicted token that is not padding, its standard error over sequences, tokens counted)."""
    nll = torch.cat([autoregressive_loss(model(part), part) for part in x.split(64)]).double()
    counted = is_token[:, 1:]
    mean = ((nll * counted).sum() / counted.sum()).item()
    per_sequence = (nll * counted).sum(1) / counted.sum(1).clamp_min(1)
    return mean, (per_sequence.std() / len(x) ** 0.5).item(), int(counted.sum())
