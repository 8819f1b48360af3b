"""The symmetric contrastive loss of many pairs of encoders at once.

Shapes: P pairs, B samples, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SAFE_SCALE = 40.0  # exp(-2 * 40) is still a normal float32


def info_nce(images: Tensor, texts: Tensor, scale: float) -> Tensor:
    """Mean of the cross-entropies of both directions, for each pair, (P,).

    Args:
        images, texts: (P, B, D), rows of length one; row b of both belongs together.
        scale: of the cosines (the inverse temperature).
    Source: section 3.2 of the paper; Radford et al. 2021.
    """
    logits = scale * images @ texts.mT  # (P, B, B)
    count, size = logits.shape[:2]
    diagonal = torch.arange(size, device=logits.device).repeat(count)
    # cross-entropy takes dimension 1 of a 3-D input for the classes, so rows are laid out by hand
    losses = [F.cross_entropy(x.reshape(-1, size), diagonal, reduction="none") for x in (logits, logits.mT)]
    return sum(loss.view(count, size).mean(1) for loss in losses) / 2


class _OneExponential(torch.autograd.Function):
    """`info_nce` with one exponential per logit and its gradient at once; images get no gradient."""

    @staticmethod
    def forward(ctx, images: Tensor, texts: Tensor, scale: float) -> Tensor:
        losses, gradients, shift = [], [], images.new_full((), -scale)
        for y, z in zip(images, texts, strict=True):  # one B x B matrix at a time stays in the cache
            logits = torch.addmm(shift, scale * y, z.T)  # cosines are at most 1
            own = logits.diagonal().mean()
            e = logits.exp_()
            rows, columns = e.sum(1), e.sum(0)
            losses.append((rows.log().mean() + columns.log().mean()) / 2 - own)
            half = scale / (2 * len(y))
            e *= (half / rows)[:, None] + (half / columns)[None, :]
            gradients.append(torch.addmm(y, e.T, y, beta=-scale / len(y)))
        ctx.save_for_backward(torch.stack(gradients))
        return torch.stack(losses)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[None, Tensor, None]:
        return None, grad[:, None, None] * ctx.saved_tensors[0], None


def fast_info_nce(images: Tensor, texts: Tensor, scale: float) -> Tensor:
    """`info_nce` of frozen images; where the scale is small enough, by one exponential per logit."""
    if scale > SAFE_SCALE or images.device.type != "cpu":
        return info_nce(images, texts, scale)
    return _OneExponential.apply(images, texts, scale)


def unit(x: Tensor) -> Tensor:
    """Rows of length one."""
    return F.normalize(x, dim=-1)
