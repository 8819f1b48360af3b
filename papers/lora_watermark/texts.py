"""Texts of all kinds for an evaluation: human, of the base, watermarked, of another seed, and their scores.

Calibration and evaluation have prompts of their own: windows of the held-out text that do not overlap.

Shapes: B texts, P tokens of a prompt, G of a response.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from papers.lora_watermark.language_settings import EvaluateShard, Member
from papers.lora_watermark.models import add_pair, continue_prompts, load_adapter_state, load_base, role_name, seed_name
from papers.lora_watermark.pair_training import ROLES, SFT, nll, response_logits
from papers.lora_watermark.score import token_terms
from shared.base.seeding import torch_generator
from shared.data.text import TextData, load_text_data
from shared.models.lora.adapters import add_adapter
from shared.train.checkpoint import load_tree

Roles = tuple[str | None, str | None]  # adapters of observer and performer; None is the base


class Bench:
    """A base with the trained pairs of a seed, those of another seed on theirs, and the texts that they are judged on.

    A route is the name of an adapter, of either seed, or None, the base of the seed that is judged.

    Args:
        settings: of the shard. seed: whose pairs are judged. base: file of the bases. adapters: file of the pairs.
    """

    def __init__(self, settings: EvaluateShard, seed: int, base, adapters, device: str) -> None:
        self.settings, self.seed, self.device, self.training = settings, seed, device, settings.training
        self.num_prompt, self.num_response = self.training.num_prompt, self.training.num_response
        self.data: TextData = load_text_data(settings.text)
        trained, other = load_tree(adapters), settings.control_of(seed)
        models = {k: load_base(settings.base, base, k, device) for k in {settings.base_of(s) for s in (seed, other)}}
        self.model, self.other_model = (models[settings.base_of(s)] for s in (seed, other))
        for model, of in ((self.model, seed), (self.other_model, other)):
            for member in settings.members(of):
                add_pair(model, member, self.training.lora, trained[seed_name(of)])
        self._elsewhere = {role_name(member, role) for member in settings.members(other) for role in ROLES}
        states = trained[seed_name(seed)]
        self.reference = SFT if SFT in states else None
        if self.reference:
            add_adapter(self.model, SFT, self.training.lora)
            load_adapter_state(self.model, SFT, states[SFT])

    def other_of(self, member: Member) -> Member:
        """The pair of the other seed, of the same variant."""
        return member.model_copy(update={"seed": self.settings.control_of(self.seed)})

    def model_of(self, route: str | None) -> nn.Module:
        """The base under an adapter, with all its adapters."""
        return self.other_model if route in self._elsewhere else self.model

    @cached_property
    def plain_texts(self) -> dict[str, Tensor]:
        """Texts of the base and of the plainly fine-tuned adapter, (B, P + G); those of all pairs of the seed."""
        _, human = self.windows
        found = {"base": self.write(None, human, "base", self.seed)}
        return found | ({"sft": self.write(self.reference, human, "sft", self.seed)} if self.reference else {})

    @cached_property
    def windows(self) -> tuple[Tensor, Tensor]:
        """Human texts of calibration and of evaluation, (B, P + G); no window of one overlaps one of the other."""
        own = self.settings.evaluation
        total = own.num_calibration + own.num_texts
        windows = self.data.validation.windows(self.num_prompt + self.num_response, total).to(self.device)
        place = np.arange(total) * own.num_calibration // total
        first = np.diff(place, append=own.num_calibration) > 0  # evenly spread over the held-out text
        calibration, evaluation = windows[torch.as_tensor(first)], windows[torch.as_tensor(~first)]
        assert len(calibration) == own.num_calibration and len(evaluation) == own.num_texts
        return calibration, evaluation

    def write(self, route: str | None, prompts: Tensor, *purpose: str | int, num: int | None = None, **how) -> Tensor:
        """Prompts and samples after them; the draws depend on `purpose` alone."""
        draw = torch_generator(0, "texts", *purpose, device=self.device)
        count = self.num_response if num is None else num
        parts = prompts[:, : self.num_prompt if num is None else None].split(self.settings.evaluation.rows_per_pass)
        return torch.cat([continue_prompts(self.model_of(route), route, part, count, draw, **how) for part in parts])

    def terms(self, texts: Tensor, observer: str | None, performer: str | None, numerator="observer"):
        """Terms of B of responses under a pair, (B, G) each, float64 on the CPU."""
        return self.terms_of(texts, [(observer, performer)], numerator)[0]

    def terms_of(self, texts: Tensor, pairs: Sequence[Roles], numerator="observer") -> list[tuple[Tensor, Tensor]]:
        """`terms` under several pairs (observer, performer); the logits of each role are made once."""

        def score(part: Tensor) -> tuple[Tensor, ...]:
            routes, target = dict.fromkeys(chain(*pairs)), part[:, self.num_prompt :]
            logits = {r: response_logits(self.model_of(r), r, part, self.num_prompt) for r in routes}
            found = [token_terms(logits[o], logits[p], target, numerator=numerator) for o, p in pairs]
            return tuple(chain(*found))

        flat = self._by_parts(texts, score)
        return list(zip(flat[::2], flat[1::2], strict=True))

    def own_terms(self, member: Member) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Scorer of a member's own pair."""
        names = [role_name(member, role) for role in ("observer", "performer")]
        return lambda texts: self.terms(texts, *names, numerator=member.variant.numerator)

    def nll(self, texts: Tensor, route: str | None) -> Tensor:
        """-log M(x) of responses under an adapter or the base, (B, G)."""
        target = slice(self.num_prompt, None)
        found = self._by_parts(
            texts,
            lambda part: (nll(response_logits(self.model_of(route), route, part, self.num_prompt), part[:, target]),),
        )
        return found[0]

    @torch.no_grad()
    def _by_parts(self, texts: Tensor, score: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        parts = [score(part.to(self.device)) for part in texts.split(self.settings.evaluation.rows_per_pass)]
        return tuple(torch.cat(columns).double().cpu() for columns in zip(*parts, strict=True))
