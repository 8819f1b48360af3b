"""Is this text watermarked? A pair of roles, a threshold that was fixed on human text, and a refusal of short texts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from papers.lora_watermark.metrics import threshold_at_fpr
from papers.lora_watermark.score import SMALLEST, ratio

Terms = Callable[[Tensor], tuple[Tensor, Tensor]]  # texts (B, P + G) -> nll and cross-entropy of responses, (B, G)


@dataclass(frozen=True)
class Detector:
    """Flags texts whose score lies below a threshold.

    Args:
        terms: scores tokens under the pair (`pair_training`). threshold: of B(s); see `calibrated`.
        num_tokens: scored tokens of the texts that fixed the threshold: it holds for this length alone.
    """

    terms: Terms
    threshold: float
    num_tokens: int

    @classmethod
    def calibrated(cls, terms: Terms, human: Tensor, fpr: float = 0.01) -> "Detector":
        """Threshold with at most a share `fpr` of held-out human texts (B, P + G) below it.

        Raises:
            ValueError: fewer than 1 / fpr texts, or fewer than 8 scored tokens.
        """
        nll, cross = terms(human)
        check_length(nll.shape[1])
        return cls(terms, threshold_at_fpr(ratio(nll, cross).tolist(), fpr), nll.shape[1])

    def scores(self, texts: Tensor) -> np.ndarray:
        """B(s) of texts (B, P + G). Raises: ValueError, they have another length than the calibration's."""
        with torch.no_grad():
            nll, cross = self.terms(texts)
        check_length(nll.shape[1])
        if nll.shape[1] != self.num_tokens:
            raise ValueError(f"the threshold is that of {self.num_tokens} scored tokens; here are {nll.shape[1]}")
        return ratio(nll, cross).double().cpu().numpy()

    def flags(self, texts: Tensor) -> np.ndarray:
        """Whether each text is taken for watermarked."""
        return self.scores(texts) < self.threshold


def check_length(num_tokens: int) -> None:
    """ValueError for texts that are too short to say anything of."""
    if num_tokens < SMALLEST:
        raise ValueError(f"a text of {num_tokens} scored tokens is too short to judge; {SMALLEST} are needed")
