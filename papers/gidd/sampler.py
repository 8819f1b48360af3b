"""Samples and self-corrections of trained runs, and what is measured on them.

Shapes: S samples, L tokens.
"""

import itertools
import math
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from papers.gidd.common_words import seen_share
from papers.gidd.generative import Scorer, diversity, generative_quality
from papers.gidd.sampling import ancestral_sample
from papers.gidd.self_correction import SelfCorrection, self_correct
from papers.gidd.settings import Run, StudyShard
from papers.gidd.study import CorpusData, build_process, run_columns
from shared.base.seeding import torch_generator


class Sampler:
    """Samples and corrections of one run, with what is measured on them."""

    def __init__(self, shard: StudyShard, run: Run, network: nn.Module, data: CorpusData, scorer: Scorer, device: str):
        self.shard, self.run, self.network, self.data, self.scorer = shard, run, network, data, scorer
        self.device, self.settings = device, shard.sampling
        self.process = build_process(shard, run, data.vocab_size)
        self.texts: list[dict] = []

    def rows(self) -> Iterator[dict]:
        """Held-out sequences first, then a row per number of steps and stage: sampled, corrected per temperature."""
        held_out = self.data.validation(self.settings.num_samples).to(self.device)
        yield {"num_steps": None, "stage": "held out", **self.measure(held_out)}
        for num_steps in self.settings.num_steps:
            # one draw for all p_u: the runs start from the same randomness
            generator = torch_generator(self.run.seed, "sample", num_steps, device=self.device)
            samples = ancestral_sample(
                self.network, self.process, self.settings.num_samples, self.shard.corpus.seq_len, num_steps, generator,
                eps=self.shard.noise.eps, min_p=self.settings.min_p,
            )  # fmt: skip
            yield {
                "num_steps": num_steps, "stage": "sampled", **self.measure(samples.tokens),
                "filled": _mean(samples.num_filled), "revised": _mean(samples.num_revised),
            }  # fmt: skip
            for tau in self.settings.taus if num_steps in self.settings.correct_at else []:
                corrected = self.correct(samples.tokens, num_steps, tau)
                yield {
                    "num_steps": num_steps, "stage": "corrected", "tau": tau, **self.measure(corrected.tokens),
                    "initial_self_accuracy": _mean(corrected.initial_self_accuracy),
                    "final_self_accuracy": _mean(corrected.final_self_accuracy),
                    "num_changed": _mean(corrected.num_changed), "num_iterations": _mean(corrected.num_iterations),
                    "converged": _mean(corrected.converged), "early_stopped": _mean(corrected.early_stopped),
                }  # fmt: skip

    def correct(self, tokens: Tensor, num_steps: int, tau: float) -> SelfCorrection:
        """Self-correction at a temperature; the first samples are kept as text."""
        generator = torch_generator(self.run.seed, "correct", num_steps, device=self.device)
        corrected = self_correct(
            self.network, tokens, self.process, generator, tau=tau, t0=self.settings.t0, budget=self.settings.budget,
            patience=self.settings.patience, tokens_per_step=self.settings.tokens_per_step,
        )  # fmt: skip
        for index in range(min(self.settings.num_texts, len(tokens))):
            before, after = tokens[index], corrected.tokens[index]
            row = {
                "num_steps": num_steps,
                "tau": tau,
                "sample": index,
                "num_changed": int(corrected.num_changed[index]),
            }
            row["text"] = marked_changes(before, after, self.data.decode)
            self.texts.append(run_columns(self.shard, self.run) | row)
        return corrected

    def measure(self, tokens: Tensor) -> dict:
        """Generative perplexity, diversity and the valid share of samples (S, L).

        valid: of a chain's samples, transitions that it can make; of common words, pairs that the training text has.
        """
        quality = generative_quality(self.scorer, tokens, torch_generator(0, "bootstrap"))
        valid = self.data.valid_pairs
        share = math.nan if valid is None else seen_share(tokens, valid)
        return vars(quality) | vars(diversity(tokens, valid)) | {"valid": share}


def marked_changes(before: Tensor, after: Tensor, decode: Callable[[Tensor], str]) -> str:
    """One text for two sequences (L,): what was replaced stands as [-old-]{+new+}, as wdiff writes it.

    A blank at the end of both, which belongs to words, stands behind the marks.
    """
    parts, start = [], 0
    changed = (before != after).tolist()
    for is_changed, group in itertools.groupby(changed):
        stop = start + len(list(group))
        old, new = decode(before[start:stop]), decode(after[start:stop])
        blank = " " if old.endswith(" ") and new.endswith(" ") else ""
        old, new = old.removesuffix(blank), new.removesuffix(blank)
        parts.append((f"[-{old}-]{{+{new}+}}" if is_changed else old) + blank)
        start = stop
    return "".join(parts)


def _mean(values: Tensor) -> float:
    return values.double().mean().item()
