"""Quality and diversity of samples.

Generative perplexity is exp of the token-averaged negative log-likelihood that a reference model (the scorer) gives
to samples. A position counts if its *target* token counts; the released evaluation tests the position before it, which
counts one padding target per shorter text. Read it beside the diversity measures: repetition lowers it too.

Shapes: S samples, L tokens per sample, T = L - 1 scored targets.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from papers.gidd.checks import check_ids, check_positive_count


@dataclass(frozen=True)
class TokenScores:
    """What a scorer says of each target.

    Attributes:
        nll: negative log-likelihood in nats, (S, T), float64.
        correct: the target is the scorer's most likely token, (S, T), bool.
        counted: the target is a token and not padding, (S, T), bool.
    """

    nll: Tensor
    correct: Tensor
    counted: Tensor


class Scorer(Protocol):
    """A reference model."""

    def score(self, tokens: Tensor) -> TokenScores:
        """Scores of samples (S, L)."""
        ...


class MarkovScorer:
    """The true chain, smoothed so that an illegal transition costs a finite amount.

    Args:
        transitions: row-stochastic matrix, (V0, V0).
        smoothing: share of a uniform transition mixed in.
    """

    def __init__(self, transitions: Tensor, *, smoothing: float = 1e-3) -> None:
        rows = transitions.double()
        if rows.ndim != 2 or rows.shape[0] != rows.shape[1] or bool(((rows.sum(-1) - 1).abs() > 1e-6).any()):
            raise ValueError(f"transitions must be a square matrix with rows that sum to 1; got {tuple(rows.shape)}")
        self.transitions = rows
        self.smoothed = (1 - smoothing) * rows + smoothing / len(rows)

    def score(self, tokens: Tensor) -> TokenScores:
        """Scores of transitions; the first token of a sample is given, not scored."""
        check_ids(tokens, "tokens", len(self.transitions))
        before, target = tokens[:, :-1].cpu(), tokens[:, 1:].cpu()
        nll = -self.smoothed[before, target].log()
        return TokenScores(
            nll, self.transitions.argmax(-1)[before] == target, torch.ones_like(target, dtype=torch.bool)
        )

    def illegal_rate(self, tokens: Tensor) -> float:
        """Share of transitions that the chain cannot make."""
        check_ids(tokens, "tokens", len(self.transitions))
        return (self.transitions[tokens[:, :-1].cpu(), tokens[:, 1:].cpu()] == 0).double().mean().item()


class AutoregressiveScorer:
    """A next-token model over the same vocabulary as the samples.

    Args:
        model: tokens (B, L) -> logits (B, L, V'), those at j for token j + 1.
        padding_id: targets with this id do not count.
        batch_size: samples per call.
    """

    def __init__(
        self, model: Callable[[Tensor], Tensor], *, padding_id: int | None = None, batch_size: int = 32
    ) -> None:
        check_positive_count(batch_size, "batch_size")
        self.model, self.padding_id, self.batch_size = model, padding_id, batch_size

    @torch.no_grad()
    def score(self, tokens: Tensor) -> TokenScores:
        """Scores of tokens 1..L-1."""
        counted = torch.ones_like(tokens, dtype=torch.bool) if self.padding_id is None else tokens != self.padding_id
        parts = [
            score_next_tokens(self.model(tokens[rows]), tokens[rows], counted[rows])
            for rows in torch.arange(len(tokens)).split(self.batch_size)
        ]
        return _joined(parts)


class TextScorer:
    """A causal language model with a tokenizer of its own, such as one from the Hugging Face hub.

    Args:
        model: transformers-style causal model, called with input_ids and attention_mask, returning `.logits`.
        tokenizer: its tokenizer, transformers-style, with a padding token.
        decode: one sample (L,) -> text, special tokens skipped.
        max_tokens: texts are cut to this many of the model's tokens.
        batch_size: texts per call.
    """

    def __init__(
        self, model, tokenizer, decode: Callable[[Tensor], str], *, max_tokens: int = 512, batch_size: int = 8
    ) -> None:
        check_positive_count(batch_size, "batch_size")
        self.model, self.tokenizer, self.decode = model, tokenizer, decode
        self.max_tokens, self.batch_size = max_tokens, batch_size

    @classmethod
    def from_hub(
        cls, name: str, decode: Callable[[Tensor], str], *, revision: str | None = None, device: str = "cpu", **settings
    ) -> "TextScorer":
        """Loads model and tokenizer `name` (the paper's: google/gemma-2-9b) through `transformers`."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        tokenizer.padding_side = "right"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        model = AutoModelForCausalLM.from_pretrained(name, revision=revision, dtype="auto").to(device).eval()
        return cls(model, tokenizer, decode, **settings)

    @torch.no_grad()
    def score(self, tokens: Tensor) -> TokenScores:
        """Scores of the samples' texts in the model's own tokens; T is that of the longest text."""
        texts = [self.decode(sample) for sample in tokens.cpu()]
        device = next(self.model.parameters()).device
        encoded = self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=self.max_tokens)
        ids, attention = encoded["input_ids"].to(device), encoded["attention_mask"].to(device)
        parts = []
        for rows in torch.arange(len(ids)).split(self.batch_size):
            logits = self.model(input_ids=ids[rows], attention_mask=attention[rows]).logits
            parts.append(score_next_tokens(logits, ids[rows], attention[rows].bool()))
        return _joined(parts)


def score_next_tokens(logits: Tensor, tokens: Tensor, is_token: Tensor) -> TokenScores:
    """Scores of tokens 1..L-1 from next-token logits (S, L, V'); `is_token` (S, L) is False at padding."""
    logits, targets = logits[:, :-1].float(), tokens[:, 1:]
    nll = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    correct = logits.argmax(-1) == targets
    return TokenScores(nll.view_as(targets).double().cpu(), correct.cpu(), is_token[:, 1:].bool().cpu())


def _joined(parts: list[TokenScores]) -> TokenScores:
    return TokenScores(*(torch.cat([getattr(part, name) for part in parts]) for name in ("nll", "correct", "counted")))


@dataclass(frozen=True)
class GenerativeQuality:
    """Generative perplexity of a set of samples.

    Attributes:
        gen_ppl: exp(mean_nll).
        mean_nll: nats per counted token, over all samples at once.
        mean_nll_low, mean_nll_high: bootstrap interval over samples.
        median_nll: median over counted tokens.
        top1_accuracy: share of counted tokens that the scorer ranks first.
        num_tokens: tokens counted.
        num_samples: S.
    """

    gen_ppl: float
    mean_nll: float
    mean_nll_low: float
    mean_nll_high: float
    median_nll: float
    top1_accuracy: float
    num_tokens: int
    num_samples: int


def generative_quality(
    scorer: Scorer, tokens: Tensor, generator: torch.Generator, *, num_resamples: int = 1000, level: float = 0.95
) -> GenerativeQuality:
    """Scores samples (S, L); `generator` drives the bootstrap.

    Raises:
        ValueError: no sample, or samples without a single counted target.
    """
    scores = scorer.score(tokens)
    counts = scores.counted.sum(-1).double()
    if counts.sum() == 0:
        raise ValueError(
            f"samples of shape {tuple(tokens.shape)} have no target to score; they need two tokens or more"
        )
    sums = (scores.nll * scores.counted).sum(-1)
    mean = (sums.sum() / counts.sum()).item()
    low, high = bootstrap_interval(sums, counts, generator, num_resamples=num_resamples, level=level)
    return GenerativeQuality(
        gen_ppl=math.exp(mean),
        mean_nll=mean,
        mean_nll_low=low,
        mean_nll_high=high,
        median_nll=scores.nll[scores.counted].median().item(),
        top1_accuracy=scores.correct[scores.counted].double().mean().item(),
        num_tokens=int(counts.sum()),
        num_samples=len(tokens),
    )


def bootstrap_interval(
    sums: Tensor, counts: Tensor, generator: torch.Generator, *, num_resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of sum(sums) / sum(counts) when whole samples are drawn with replacement; both (S,)."""
    check_positive_count(num_resamples, "num_resamples")
    if not 0 < level < 1:
        raise ValueError(f"level is the interval's coverage, in (0, 1); got {level}")
    draws = torch.randint(len(sums), (num_resamples, len(sums)), generator=generator, device=generator.device).cpu()
    ratios = sums.cpu().double()[draws].sum(-1) / counts.cpu().double()[draws].sum(-1)
    low, high = torch.quantile(ratios, torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64))
    return low.item(), high.item()


@dataclass(frozen=True)
class Diversity:
    """How varied a set of samples is.

    Attributes:
        unigram_entropy: of the pooled token frequencies, nats.
        distinct_2: distinct valid pairs of neighbours over all pairs; errors, which differ, are no variety.
        duplicate_share: share of samples that equal an earlier one.
    """

    unigram_entropy: float
    distinct_2: float
    duplicate_share: float


def diversity(tokens: Tensor | Sequence[Sequence[int]], valid: Tensor | None = None) -> Diversity:
    """Measures of samples (S, L), all positions counted.

    Args:
        valid: which pairs of neighbours data can have, (V, V), bool; all of them if omitted.
    Raises:
        ValueError: no tokens, or samples of one token, which have no neighbours.
    """
    tokens = torch.as_tensor(tokens).cpu()
    if tokens.ndim != 2 or tokens.shape[0] < 1 or tokens.shape[1] < 2:
        raise ValueError(f"diversity needs samples of two or more tokens, shape (S, L); got {tuple(tokens.shape)}")
    frequency = tokens.unique(return_counts=True)[1].double() / tokens.numel()
    pairs = torch.stack([tokens[:, :-1].flatten(), tokens[:, 1:].flatten()], dim=-1)
    distinct = pairs.unique(dim=0)
    num_distinct = len(distinct) if valid is None else int(valid[distinct[:, 0], distinct[:, 1]].sum())
    return Diversity(
        unigram_entropy=-(frequency * frequency.log()).sum().item(),
        distinct_2=num_distinct / len(pairs),
        duplicate_share=1 - len(tokens.unique(dim=0)) / len(tokens),
    )
