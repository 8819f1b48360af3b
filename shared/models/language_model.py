"""Autoregressive language model on the backbone, or on layers of LSTMs.

Shapes: B batch, T time, D model width, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.models.backbone import Backbone
from shared.models.config import LanguageModelConfig, LSTMStackConfig
from shared.models.initialisation import drawing_from
from shared.models.lstm_stack import LSTMStack
from shared.models.mixers.base import count_parameters

IGNORED_TARGET = -100  # targets with this value have loss 0, as in torch


def token_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """-log p(target) in nats of every position, 0 where the target is `IGNORED_TARGET`.

    Args:
        logits: (B, T, V), contiguous (a view of them is taken, never a copy).
        targets: (B, T) int64, aligned with `logits`.
    Returns:
        (B, T), dtype of `logits`.
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"logits (B, T, V) need targets (B, T); got {tuple(logits.shape)} and {tuple(targets.shape)}")
    losses = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none", ignore_index=IGNORED_TARGET)
    return losses.view(targets.shape)


class LanguageModel(nn.Module):
    """Token embedding, causal backbone, linear head."""

    def __init__(self, config: LanguageModelConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        d_model = config.backbone.d_model
        with drawing_from(generator):
            self.embedding = nn.Embedding(config.vocab_size, d_model)
            nn.init.normal_(self.embedding.weight, std=config.embedding_std)
            lstm = isinstance(config.backbone, LSTMStackConfig)
            self.backbone = (LSTMStack if lstm else Backbone)(config.backbone)
            self.head = nn.Linear(d_model, config.vocab_size, bias=config.head_bias)
            nn.init.normal_(self.head.weight, std=config.embedding_std)
        if config.head_bias:
            nn.init.zeros_(self.head.bias)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) int64 -> logits (B, T, V) of the token after each position."""
        return self.head(self.hidden(tokens))

    def hidden(self, tokens: Tensor) -> Tensor:
        """Normalised states before the head, (B, T, D); `head` maps any selection of them to logits."""
        if tokens.ndim != 2:
            raise ValueError(f"tokens have the shape (batch, time); got {tuple(tokens.shape)}")
        return self.backbone(self._embed(tokens))

    def token_nll(self, tokens: Tensor) -> Tensor:
        """-log p(token_t | tokens before t) in nats for t = 2..T: (B, T) -> (B, T - 1)."""
        return token_nll(self(tokens[:, :-1]), tokens[:, 1:])

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """log p(tokens 2..T | token 1) in nats, (B,)."""
        return -self.token_nll(tokens).sum(-1)

    def initial_cache(self, batch_size: int, device=None, dtype=None):
        return self.backbone.initial_cache(batch_size, device, dtype)

    def prefill(self, tokens: Tensor, cache):
        """tokens (B, T) after those in `cache` -> (logits (B, T, V), cache after them)."""
        hidden, cache = self.backbone.prefill(self._embed(tokens), cache)
        return self.head(hidden), cache

    def step(self, token: Tensor, cache):
        """token (B,) -> (logits (B, V) of the next one, cache after it)."""
        hidden, cache = self.backbone.step(self._embed(token), cache)
        return self.head(hidden), cache

    @property
    def num_params(self) -> int:
        return count_parameters(self)

    def _embed(self, tokens: Tensor) -> Tensor:
        return F.dropout(self.embedding(tokens), self.config.embedding_dropout, self.training)


@torch.no_grad()
def generate(
    model: LanguageModel,
    prompt: Tensor,
    num_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    stop_token: int | None = None,
) -> Tensor:
    """Continue every prompt by `num_tokens` tokens with the model's step form.

    Args:
        prompt: (B, T) int64 with T >= 1.
        temperature: divides the logits; 0 takes the most likely token.
        top_k: keep the k most likely tokens. top_p: then keep the smallest set of probability >= p.
        generator: source of the draws, on the model's device; needed unless temperature is 0.
        stop_token: a sequence that has drawn it repeats it to the end.
    Returns:
        Prompt and continuation, (B, T + num_tokens). Dropout acts if the model is in training mode.
    """
    if prompt.ndim != 2 or prompt.shape[1] == 0:
        raise ValueError(f"prompt has the shape (batch, time) with at least one token; got {tuple(prompt.shape)}")
    if temperature > 0 and generator is None:
        raise ValueError("sampling needs a generator; pass a torch.Generator, or temperature 0 for the likeliest token")
    logits, cache = model.prefill(prompt, model.initial_cache(prompt.shape[0], prompt.device))
    logits, tokens = logits[:, -1], [prompt]
    stopped = torch.zeros(prompt.shape[0], dtype=torch.bool, device=prompt.device)
    for index in range(num_tokens):
        token = draw_token(logits, temperature, top_k, top_p, generator)
        if stop_token is not None:
            token = token.masked_fill(stopped, stop_token)
            stopped = stopped | (token == stop_token)
        tokens.append(token[:, None])
        if index + 1 < num_tokens:
            logits, cache = model.step(token, cache)
    return torch.cat(tokens, dim=1)


def draw_token(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, generator: torch.Generator | None
) -> Tensor:
    """One token per row of logits (B, V), (B,); arguments as in `generate`."""
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError(f"needs temperature >= 0, top_k >= 1, 0 < top_p <= 1; got {temperature}, {top_k}, {top_p}")
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits.float() / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], float("-inf"))
    if top_p is not None and top_p < 1:
        ordered, order = logits.softmax(-1).sort(descending=True)
        dropped = ordered.cumsum(-1) - ordered >= top_p  # the mass before a token already suffices
        logits = logits.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), float("-inf"))
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
