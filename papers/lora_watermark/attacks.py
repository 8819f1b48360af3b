"""What is done to watermarked texts, and to the open weights that write them.

Shapes: B texts, P tokens of a prompt, G of a response. Prompts stay as they are.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from papers.lora_watermark.pair_training import nll
from shared.models.lora.adapters import layers, merged


def chosen(shape: tuple[int, int], share: float, draw: np.random.Generator) -> np.ndarray:
    """True at round(share * G) random places of each text, (B, G)."""
    count = round(share * shape[1])
    return np.argsort(draw.random(shape), axis=1) < count


def substitute(responses: np.ndarray, share: float, pool: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A share of tokens replaced by tokens of `pool`, drawn uniformly: of the vocabulary, or of a corpus."""
    fresh = draw.choice(pool, size=responses.shape)
    return np.where(chosen(responses.shape, share, draw), fresh, responses)


def delete(responses: np.ndarray, share: float, draw: np.random.Generator) -> np.ndarray:
    """A share of tokens left out, (B, G - round(share * G))."""
    keep = ~chosen(responses.shape, share, draw)
    return responses[keep].reshape(len(responses), -1)


def mix(responses: np.ndarray, human: np.ndarray, share: float) -> np.ndarray:
    """The last share of each response is the human text's."""
    cut = responses.shape[1] - round(share * responses.shape[1])
    return np.concatenate([responses[:, :cut], human[:, cut:]], 1)


def resample_spans(
    texts: Tensor,
    num_prompt: int,
    share: float,
    write: Callable[[Tensor, int], Tensor],
    draw: np.random.Generator,
    *,
    span: int = 8,
) -> Tensor:
    """A share of spans written anew by another model that sees what stands before: a crude paraphrase.

    Args:
        texts: (B, P + G). write: (texts so far, number of tokens) -> texts with so many tokens more.
    """
    starts = range(num_prompt, texts.shape[1] - span + 1, span)
    again = draw.random((len(texts), len(starts))) < share
    for place, start in enumerate(starts):
        rows = np.flatnonzero(again[:, place])
        if len(rows):
            fresh = write(texts[rows, :start], span)[:, start:]
            texts = texts.index_put((torch.as_tensor(rows)[:, None], torch.arange(start, start + span)[None]), fresh)
    return texts


@contextlib.contextmanager
def altered(model: nn.Module, performer: str, change: Callable[[Tensor], Tensor] | None = None) -> Iterator[nn.Module]:
    """The model with the performer merged into its weights, each adapted weight then changed; restored afterwards."""
    with merged(model, performer):
        if change is not None:
            with torch.no_grad():
                for layer in layers(model).values():
                    layer.base.weight.copy_(change(layer.base.weight))
        yield model


def with_noise(scale: float, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Gaussian noise of `scale` times the standard deviation of each weight matrix."""

    def change(weight: Tensor) -> Tensor:
        noise = torch.randn(weight.shape, generator=generator, device=weight.device, dtype=torch.float32)
        return weight + (scale * weight.float().std() * noise).to(weight.dtype)

    return change


def quantized(weight: Tensor) -> Tensor:
    """Rounded to int8 with one scale per output row, and back."""
    scale = (weight.abs().amax(1, keepdim=True) / 127).clamp_min(1e-12)
    return (weight / scale).round().clamp(-127, 127) * scale


@contextlib.contextmanager
def finetuned(
    model: nn.Module, performer: str, batches: Callable[[int], Tensor], num_prompt: int, num_steps: int, lr: float
) -> Iterator[nn.Module]:
    """Merged weights trained on clean text (Adam, all adapted matrices); restored afterwards.

    Args:
        batches: update -> clean texts (B, P + G).
    """
    weights = [layer.base.weight for layer in layers(model).values()]
    with merged(model, performer):
        optimizer = torch.optim.Adam([weight.requires_grad_(True) for weight in weights], lr=lr)
        with torch.enable_grad():
            for step in range(num_steps):
                tokens = batches(step)
                loss = nll(model(tokens[:, :-1])[:, num_prompt - 1 :], tokens[:, num_prompt:]).mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
        for weight in weights:
            weight.requires_grad_(False)
            weight.grad = None
        yield model
