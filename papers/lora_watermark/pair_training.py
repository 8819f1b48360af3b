"""Pairs of adapters on a language model: several pairs share the base, and draw their samples in one batch.

Shapes: M members, B texts of each side, P tokens of a prompt, G of a response, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor, nn

from papers.lora_watermark.language_settings import Member, PairTraining
from papers.lora_watermark.models import ROLES, add_pair, continue_prompts, role_name
from papers.lora_watermark.objective import CONSTRAINTS, Measured, Objective
from papers.lora_watermark.score import ratio, token_terms
from shared.base.seeding import torch_generator
from shared.data.text import TextData
from shared.models.lora.adapters import Adapted, adapter_parameters, add_adapter
from shared.train.checkpoint import read_checkpoint, write_checkpoint

SFT = "sft"


def response_logits(model: nn.Module, route: str | Sequence[str] | None, tokens: Tensor, num_prompt: int) -> Tensor:
    """Logits that predict the responses of texts (B, P + G): (B, G, V); the route is that of `Adapted`."""
    return Adapted(model, route)(tokens[:, :-1])[:, num_prompt - 1 :]


def nll(logits: Tensor, tokens: Tensor) -> Tensor:
    """-log M(x) of responses, (B, G)."""
    return token_terms(logits, logits, tokens)[0]


def kl(performer: Tensor, base: Tensor, tokens: Tensor) -> Tensor:
    """KL(M_P || M_base) at each position, (B, G): cross-entropy minus entropy, without a softmax in memory."""
    return token_terms(performer, base, tokens)[1] - token_terms(performer, performer, tokens)[1]


def measure(
    model: nn.Module, members: Sequence[Member], reference: str | None, human: Tensor, samples: Tensor, num_prompt: int
) -> Measured:
    """What an update of M members with one numerator reads of texts (M, B, P + G) of both sides.

    Each role runs once over the texts of all members, every group of rows under its own adapter.
    """
    count, tokens = human.shape[1], torch.cat([human, samples], 1)
    shape, flat, target = tokens.shape[:2], tokens.flatten(0, 1), tokens[..., num_prompt:]

    def logits(route: str | Sequence[str] | None, texts: Tensor = flat, shape: torch.Size = shape) -> Tensor:
        return response_logits(model, route, texts, num_prompt).unflatten(0, shape)

    p, o = (logits([role_name(member, role) for member in members]) for role in ROLES)
    with torch.no_grad():
        of_reference = logits(reference)
        of_base = of_reference[:, count:]
        if reference is not None:
            of_base = logits(None, samples.flatten(0, 1), samples.shape[:2])
        plain = nll(of_reference, target)
    scores = ratio(*token_terms(o, p, target, numerator=members[0].variant.numerator))
    nll_p, nll_o = nll(p, target), nll(o[:, :count], target[:, :count])
    return Measured(
        scores=scores[:, count:],
        human_scores=scores[:, :count],
        log_likelihood=-nll_p[:, count:].sum(-1),
        ce=torch.stack([nll_p[:, :count].mean((1, 2)), nll_o.mean((1, 2))], 1),
        reference=plain[:, :count].mean((1, 2)),
        kl=kl(p[:, count:], of_base, target[:, count:]).mean(-1),
        plain_nll=plain[:, count:].mean(-1),
    )


@dataclass(frozen=True)
class Processes:
    """Which share of every batch is this process's, and the mean over all of them."""

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> "Processes":
        if not torch.distributed.is_initialized():
            return cls()
        return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())

    def rows(self, batch_size: int) -> range:
        """Rows of a batch of this process."""
        if batch_size % self.count or batch_size < 2 * self.count:
            raise ValueError(f"a batch of {batch_size} texts cannot be shared by {self.count} processes")
        own = batch_size // self.count
        return range(self.rank * own, (self.rank + 1) * own)

    def mean(self, tensor: Tensor) -> Tensor:
        """Mean over processes, in place."""
        if self.count > 1:
            torch.distributed.all_reduce(tensor)
            tensor /= self.count
        return tensor


def _parts(members: Sequence[Member], most: int) -> list[list[Member]]:
    """Members in their order, at most `most` with one numerator at a time."""
    alike = [list(group) for _, group in groupby(members, key=lambda member: member.variant.numerator)]
    return [own[start : start + most] for own in alike for start in range(0, len(own), most)]


class PairTrainer:
    """Trains the pairs of one job. A step depends on (seed, step) and the adapters alone, so a killed run resumes.

    Args:
        model: the base, to which the pairs are added.
        data: texts; a human text is a crop of P + G tokens of the training split, a prompt the start of another one.
        device: where the model is.
    """

    def __init__(
        self, model: nn.Module, data: TextData, training: PairTraining, members: list[Member], device: str
    ) -> None:
        self.model, self.data, self.training, self.members, self.device = model, data, training, members, device
        self.processes = Processes.here()
        self.reference = None
        if training.reference == "sft":
            self.reference = SFT
            add_adapter(model, SFT, training.lora, torch_generator(0, "adapter", SFT))
        for member in members:
            add_pair(model, member, training.lora)
        self.parts = _parts(members, training.members_per_pass)
        self.objectives = [Objective([m.variant for m in part], training.ascent, device) for part in self.parts]
        trained = {m.name: [r for r in ROLES if m.variant.roles in ("pair", r)] for m in members}
        self.groups = [
            [p for role in trained[m.name] for p in adapter_parameters(model, role_name(m, role))] for m in members
        ]
        self.optimizer = torch.optim.Adam([{"params": group} for group in self.groups], lr=training.lr)
        self.step, self.rows = 0, []

    def train(self, checkpoints: Path | None = None) -> list[dict]:
        """All updates; returns a row per member and logged update."""
        found = None if checkpoints is None else read_checkpoint(checkpoints)
        if found is not None:
            self._load(found[1])
        elif self.reference:
            self._train_reference()
        total, every = self.training.num_steps, self.training.checkpoint_every
        while self.step < total:
            self.update()
            first = self.processes.rank == 0 and checkpoints is not None
            if first and (self.step == total or (every and self.step % every == 0)):
                write_checkpoint(checkpoints, self.step, self._state())
        return self.rows

    def update(self) -> None:
        """One update of every member."""
        size, prompt = self.training.batch_size, self.training.num_prompt
        samples = iter(self._samples())
        self.optimizer.zero_grad(set_to_none=True)
        for members, objective in zip(self.parts, self.objectives, strict=True):
            human = [self._crops(member.seed, self.step, self.processes.rows(size)) for member in members]
            own = [next(samples) for _ in members]
            measured = measure(self.model, members, self.reference, torch.stack(human), torch.stack(own), prompt)
            objective.loss(measured).sum().backward()
            used = objective.constraints(measured).detach()
            objective.ascend(self.processes.mean(used))
            self._log(members, measured, used + objective.eps[:, None], objective.multipliers)
        for group in self.groups:
            for parameter in group:
                self.processes.mean(parameter.grad)
            torch.nn.utils.clip_grad_norm_(group, 1.0)
        for settings in self.optimizer.param_groups:
            settings["lr"] = self.training.lr * (1 - self.step / self.training.num_steps)
        self.optimizer.step()
        self.step += 1

    def _crops(self, seed: int, step: int, rows: range, kind: str = "human") -> Tensor:
        length = self.training.num_prompt + self.training.num_response
        shift = 0 if kind == "human" else self.training.batch_size
        rows = range(rows.start + shift, rows.stop + shift)
        return self.data.train.crops(seed, step, rows, 2 * self.training.batch_size, length).to(self.device)

    def _samples(self) -> list[Tensor]:
        """Texts of every member's current performer after prompts of its seed, (B, P + G) each."""
        rows = self.processes.rows(self.training.batch_size)
        prompts = [self._crops(m.seed, self.step, rows, "prompts")[:, : self.training.num_prompt] for m in self.members]
        route = [role_name(member, "performer") for member in self.members]
        draw = torch_generator(self.members[0].seed, "samples", self.step, self.processes.rank, device=self.device)
        drawn = continue_prompts(self.model, route, torch.cat(prompts), self.training.num_response, draw)
        return list(drawn.split(len(prompts[0])))

    def _train_reference(self) -> None:
        """Plain fine-tuning with the same updates, batches and learning rate."""
        parameters = adapter_parameters(self.model, SFT)
        optimizer = torch.optim.Adam(parameters, lr=self.training.lr)
        for step in range(self.training.num_steps):
            human = self._crops(0, step, self.processes.rows(self.training.batch_size))
            logits = response_logits(self.model, SFT, human, self.training.num_prompt)
            optimizer.zero_grad(set_to_none=True)
            nll(logits, human[:, self.training.num_prompt :]).mean().backward()
            for parameter in parameters:
                self.processes.mean(parameter.grad)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.param_groups[0]["lr"] = self.training.lr * (1 - step / self.training.num_steps)
            optimizer.step()

    def _log(self, members: Sequence[Member], measured: Measured, used: Tensor, multipliers: Tensor) -> None:
        for m, member in enumerate(members):
            row = {"variant": member.variant.name, "seed": member.seed, "step": self.step + 1}
            row |= {"score_samples": measured.scores[m].mean().item()}
            row |= {"score_human": measured.human_scores[m].mean().item()}
            row |= dict(zip(("rise_performer", "rise_observer", "kl", "predictable"), used[m].tolist(), strict=True))
            row |= {f"multiplier_{n}": value for n, value in zip(CONSTRAINTS, multipliers[m].tolist(), strict=True)}
            self.rows.append(row)

    def trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Adapter parameters by name."""
        return ((name, p) for name, p in self.model.named_parameters() if "lora_" in name)

    def _state(self) -> dict:
        return {
            "step": self.step,
            "adapters": {name: p.detach().cpu() for name, p in self.trainable()},
            "optimizer": {str(k): v for k, v in self.optimizer.state_dict()["state"].items()},
            "multipliers": torch.cat([torch.stack([o.integral, o.multipliers], 1) for o in self.objectives]).cpu(),
            "rows": self.rows,
        }

    def _load(self, state: dict) -> None:
        for name, parameter in self.trainable():
            parameter.data.copy_(state["adapters"][name])
        groups = self.optimizer.state_dict()["param_groups"]
        moments = {int(k): v for k, v in state["optimizer"].items()}
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        values = state["multipliers"].to(self.device).split([len(part) for part in self.parts])
        for objective, value in zip(self.objectives, values, strict=True):
            objective.integral, objective.multipliers = value.unbind(1)
        self.step, self.rows = state["step"], list(state["rows"])
