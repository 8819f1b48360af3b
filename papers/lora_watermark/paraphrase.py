"""Paraphrase by another model: a published sequence-to-sequence model rewrites responses sentence by sentence.

Shapes: B texts, P tokens of a prompt, G of a response.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from papers.lora_watermark.language_settings import Paraphrase
from shared.data.tokenizers import Tokenizer

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
Rewrite = Callable[[Sequence[str]], list[str]]


class Paraphraser:
    """Rewrites sentences by beam search, so without a draw.

    Args:
        model, tokenizer: of `transformers`, a sequence-to-sequence model and its tokenizer.
    """

    def __init__(self, model: nn.Module, tokenizer, settings: Paraphrase) -> None:
        self.model, self.tokenizer, self.settings = model.eval(), tokenizer, settings

    @classmethod
    def from_hub(cls, settings: Paraphrase, device: str) -> "Paraphraser":
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        source = {"pretrained_model_name_or_path": settings.name, "revision": settings.revision}
        model = AutoModelForSeq2SeqLM.from_pretrained(**source)
        return cls(model.to(device), AutoTokenizer.from_pretrained(**source), settings)

    @torch.no_grad()
    def __call__(self, sentences: Sequence[str]) -> list[str]:
        """One paraphrase per sentence, in their order."""
        own, found = self.settings, []
        for start in range(0, len(sentences), own.rows_per_pass):
            asked = [own.prefix + sentence for sentence in sentences[start : start + own.rows_per_pass]]
            limits = {"truncation": True, "max_length": own.max_tokens}
            inputs = self.tokenizer(asked, return_tensors="pt", padding=True, **limits).to(self.model.device)
            drawn = self.model.generate(**inputs, num_beams=own.num_beams, do_sample=False, max_length=own.max_tokens)
            found += self.tokenizer.batch_decode(drawn, skip_special_tokens=True)
        return found


def rewritten(texts: Sequence[str], rewrite: Rewrite) -> list[str]:
    """Each text with all its sentences rewritten and joined by blanks; all sentences are asked for together."""
    parts = [[s for s in _SENTENCE_END.split(text.strip()) if s] for text in texts]
    answers = iter(rewrite([sentence for part in parts for sentence in part]))
    return [" ".join(next(answers).strip() for _ in part) for part in parts]


def paraphrased(
    texts: Tensor, num_prompt: int, tokenizer: Tokenizer, rewrite: Rewrite, kept: float
) -> tuple[np.ndarray, Tensor]:
    """Responses of texts (B, P + G) rewritten, cut to round(kept * G) tokens.

    A paraphrase may be shorter than its original, and the score compares texts of one length: what is shorter than the
    cut is left out.

    Returns:
        Which texts are kept (B',), and their prompts with paraphrases, (B', P + round(kept * G)).
    """
    length = round(kept * (texts.shape[1] - num_prompt))
    prompts, responses = texts[:, :num_prompt], texts[:, num_prompt:].cpu().numpy()
    fresh = tokenizer.encode_batch(rewritten([tokenizer.decode(row) for row in responses], rewrite))
    rows = np.array([i for i, row in enumerate(fresh) if len(row) >= length], dtype=np.int64)
    tokens = np.array([fresh[i][:length] for i in rows], dtype=np.int64).reshape(len(rows), length)
    return rows, torch.cat([prompts[torch.as_tensor(rows)], torch.as_tensor(tokens, device=texts.device)], 1)
