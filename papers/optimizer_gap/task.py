"""The language-model task of this paper: validation and training loss, in all and by frequency group.

Shapes: B rows, T predicted tokens, V vocabulary, G groups.
"""

import functools
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from papers.optimizer_gap import adaptive_clip, grafting  # noqa: F401  (registers the rules that runs are named after)
from papers.optimizer_gap.settings import GapShard
from shared.data.frequency import frequency_groups, token_counts
from shared.train.language.task import LanguageTask

SPLITS = ("val", "train")


class GapTask(LanguageTask):
    """Next-token cross-entropy in nats; held-out and training windows are broken down by the target's frequency."""

    settings: GapShard

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """Occurrences of each token in the training text, (V,)."""
        return token_counts(self.data.train.tokens, self.config.vocab_size)

    @functools.cached_property
    def groups(self) -> Tensor:
        """Frequency group of each token, (V,) int64; 0 is the most frequent."""
        return torch.from_numpy(frequency_groups(self.counts, self.settings.num_groups))

    @functools.cached_property
    def windows(self) -> dict[str, Tensor]:
        """Fixed windows of each split, (num, T + 1)."""
        length = self.settings.seq_len + 1
        return {
            "val": self.data.validation.windows(length, self.settings.validation_windows),
            "train": self.data.train.windows(length, self.settings.train_windows),
        }

    @functools.cached_property
    def shares(self) -> dict[str, list[float]]:
        """Share of each group among the predicted tokens of a split's windows, G numbers."""
        groups = {split: self.groups[windows[:, 1:]] for split, windows in self.windows.items()}
        return {
            split: [float((of == g).double().mean()) for g in range(int(self.groups.max()) + 1)]
            for split, of in groups.items()
        }

    def evaluation(self) -> Iterable[dict[str, Tensor]]:
        """Passes over both splits: tokens, the groups of the targets, and each row's weight in either mean.

        The weights have mean 1 over all rows for each split, so that a mean over passes is the mean over that split.
        """
        rows = self.settings.validation_rows
        total = sum(len(windows) for windows in self.windows.values())
        for split, windows in self.windows.items():
            for tokens in windows.split(rows):
                weights = {
                    f"{name}_weight": torch.full((len(tokens),), total / len(windows) if name == split else 0.0)
                    for name in SPLITS
                }
                yield {"tokens": tokens, "groups": self.groups[tokens[:, 1:]], **weights}

    def metrics(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        nll = self.nll(model, batch["tokens"])  # (B, T)
        found = {}
        for split in SPLITS:
            weighted = nll * batch[f"{split}_weight"].to(nll.dtype)[:, None]
            found[f"{split}_loss"] = weighted.mean()
            for g, share in enumerate(self.shares[split]):
                found[f"{split}_group_{g}"] = (weighted * (batch["groups"] == g)).mean() / share
        return found
