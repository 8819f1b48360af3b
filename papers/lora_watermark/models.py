"""Base models with pairs of adapters, and texts from them.

Shapes: B texts, P tokens of a prompt, G tokens of a response, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from papers.lora_watermark.language_settings import Base, HubModel, Member
from shared.base.seeding import torch_generator
from shared.models.language_model import LanguageModel, generate
from shared.models.lora.adapters import adapter_parameters, add_adapter, layers, using
from shared.models.lora.config import LoraConfig
from shared.train.checkpoint import load_state, load_tree

ROLES = ("performer", "observer")


class HubLanguageModel(nn.Module):
    """A model of `transformers` with the calls of `LanguageModel`: logits, and decoding with a cache."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @classmethod
    def from_hub(cls, source: HubModel) -> "HubLanguageModel":
        from transformers import AutoModelForCausalLM

        dtype = getattr(torch, source.dtype)
        return cls(AutoModelForCausalLM.from_pretrained(source.name, revision=source.revision, dtype=dtype))

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) -> logits (B, T, V)."""
        return self.model(input_ids=tokens, use_cache=False).logits

    def initial_cache(self, batch_size: int, device=None, dtype=None):
        return None

    def prefill(self, tokens: Tensor, cache):
        """tokens (B, T) after those in `cache` -> (logits (B, T, V), cache after them)."""
        found = self.model(input_ids=tokens, past_key_values=cache, use_cache=True)
        return found.logits, found.past_key_values

    def step(self, token: Tensor, cache):
        """token (B,) -> (logits (B, V), cache after it)."""
        logits, cache = self.prefill(token[:, None], cache)
        return logits[:, -1], cache


def seed_name(seed: int) -> str:
    """Name of what is of a seed in a file of weights: its base, or the adapters of its pairs."""
    return f"seed {seed}"


def load_base(base: Base, weights: Path | None, seed: int, device: str) -> nn.Module:
    """The base of a seed in evaluation mode: read from `weights`, or from the hub where it is published.

    Raises:
        ValueError: `weights` has no base of this seed, or those of another architecture.
    """
    if base.hub is not None:
        model = HubLanguageModel.from_hub(base.hub)
    else:
        model = LanguageModel(base.language.model_config_for({}))
        states = load_tree(weights)
        if seed_name(seed) not in states:
            raise ValueError(f"{weights} has no base of seed {seed}; it has {', '.join(states)}")
        load_state(model, states[seed_name(seed)], weights)
    return model.to(device).eval()


def role_name(member: Member, role: str) -> str:
    """Name of an adapter."""
    return f"{member.name}_{role}"


def add_pair(
    model: nn.Module, member: Member, config: LoraConfig, states: Mapping[str, dict[str, Tensor]] | None = None
) -> None:
    """Adapters of both roles: as trained, by name in `states`, or new; the same draws for every variant of a seed."""
    for role in ROLES:
        name = role_name(member, role)
        add_adapter(model, name, config, torch_generator(member.seed, "adapter", role))
        if states is not None:
            load_adapter_state(model, name, states[name])


def adapter_state(model: nn.Module, name: str) -> dict[str, Tensor]:
    """Tensors of an adapter by path; `load_adapter_state` puts them back."""
    _ = adapter_parameters(model, name)
    found = {}
    for path, layer in layers(model).items():
        found |= {f"{path}.a": layer.lora_a[name].detach().cpu(), f"{path}.b": layer.lora_b[name].detach().cpu()}
    return found


def load_adapter_state(model: nn.Module, name: str, state: dict[str, Tensor]) -> None:
    """Put an adapter's tensors back."""
    for path, layer in layers(model).items():
        layer.lora_a[name].data.copy_(state[f"{path}.a"])
        layer.lora_b[name].data.copy_(state[f"{path}.b"])


@torch.no_grad()
def continue_prompts(
    model: nn.Module,
    route: str | Sequence[str | None] | None,
    prompts: Tensor,
    num_tokens: int,
    generator: torch.Generator,
    **how: float,
) -> Tensor:
    """Prompts and samples after them, (B, P + G); temperature 1 and no truncation unless `how` says otherwise."""
    with using(model, route):
        return generate(model, prompts, num_tokens, generator=generator, **how)
