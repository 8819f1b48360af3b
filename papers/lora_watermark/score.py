"""The Binoculars score of an observer and a performer.

    log PPL_O(s) = -1/L sum_i log M_O(s_<i)[x_i]        log XPPL(s) = -1/L sum_i sum_v M_O(s_<i)[v] log M_P(s_<i)[v]
    B(s) = log PPL_O(s) / log XPPL(s)

Machine or watermarked text has the lower score. `numerator="performer"` puts the performer's log-perplexity on top, as
the released Binoculars code does; the default is the watermark paper's, as public summaries give it. The same positions
count above and below (the released code averages the denominator over one position more, under an unshifted mask).

Shapes: N positions, V vocabulary, C chunk of the vocabulary; * any leading dimensions, L scored tokens.
Source: Elhassan et al. 2025, arXiv 2504.06446 (as summarised in public; the body was not available); Hans et al. 2024,
arXiv 2401.12070, eq. 1-4.
"""

from typing import Literal

import torch
from torch import Tensor

Numerator = Literal["observer", "performer"]
FLOOR = 1e-6  # added to log XPPL, which is at least the observer's entropy and so at least 0
SMALLEST = 8  # scored tokens of a text that is judged at all


class _TokenTerms(torch.autograd.Function):
    """(observer logits, performer logits, targets) -> -log M_top[x] and -<M_O, log M_P> of each position, (N,) each.

    One pass over V keeps a running maximum and sum of both softmaxes and the sum of e^o p: no softmax of shape (N, V)
    is held. With o, p logits, n = -log M_top[x] and d the cross-entropy, the backward pass is

        dn/d(top logits) = M_top - onehot(x)     dd/do = -M_O (log M_P + d)     dd/dp = M_P - M_O
    """

    @staticmethod
    def forward(ctx, o: Tensor, p: Tensor, targets: Tensor, numerator: Numerator, chunk: int):
        top_o = o.new_full(o.shape[:1], -torch.inf)
        top_p, sum_o, sum_p, dot = top_o.clone(), o.new_zeros(len(o)), o.new_zeros(len(o)), o.new_zeros(len(o))
        for start in range(0, o.shape[1], chunk):
            o_c, p_c = o[:, start : start + chunk], p[:, start : start + chunk]
            new_o, new_p = torch.maximum(top_o, o_c.amax(1)), torch.maximum(top_p, p_c.amax(1))
            shrink, weight = (top_o - new_o).exp(), (o_c - new_o[:, None]).exp()
            sum_o = sum_o * shrink + weight.sum(1)
            dot = dot * shrink + (weight * p_c).sum(1)
            sum_p = sum_p * (top_p - new_p).exp() + (p_c - new_p[:, None]).exp().sum(1)
            top_o, top_p = new_o, new_p
        lse_o, lse_p = top_o + sum_o.log(), top_p + sum_p.log()
        cross = lse_p - dot / sum_o
        logits, lse = (o, lse_o) if numerator == "observer" else (p, lse_p)
        ctx.save_for_backward(o, p, targets, lse_o, lse_p, cross)
        ctx.numerator, ctx.chunk = numerator, chunk
        return lse - logits.gather(1, targets[:, None])[:, 0], cross

    @staticmethod
    def backward(ctx, grad_nll: Tensor, grad_cross: Tensor):
        o, p, targets, lse_o, lse_p, cross = ctx.saved_tensors
        grad_o, grad_p = torch.empty_like(o), torch.empty_like(p)
        on_top = ctx.numerator == "observer"
        for start in range(0, o.shape[1], ctx.chunk):
            part = slice(start, start + ctx.chunk)
            log_p = p[:, part] - lse_p[:, None]
            m_o, m_p = (o[:, part] - lse_o[:, None]).exp(), log_p.exp()
            grad_o[:, part] = -grad_cross[:, None] * m_o * (log_p + cross[:, None])
            grad_p[:, part] = grad_cross[:, None] * (m_p - m_o)
            (grad_o if on_top else grad_p)[:, part] += grad_nll[:, None] * (m_o if on_top else m_p)
        (grad_o if on_top else grad_p).scatter_add_(1, targets[:, None], -grad_nll[:, None])
        return grad_o, grad_p, None, None, None


def token_terms(
    observer: Tensor, performer: Tensor, tokens: Tensor, *, numerator: Numerator = "observer", chunk: int = 8192
) -> tuple[Tensor, Tensor]:
    """Terms of log PPL and of log XPPL at each position, (*, L) each, in nats.

    Args:
        observer, performer: logits, (*, L, V); computed in float32 at least.
        tokens: what was drawn there, (*, L) int64.
        chunk: columns of the vocabulary that are worked on at once.
    Raises:
        ValueError: the roles have different vocabularies, or shapes do not fit.
    """
    if observer.shape != performer.shape:
        raise ValueError(
            f"both roles need one tokenizer; got logits {tuple(observer.shape)} and {tuple(performer.shape)}"
        )
    if observer.shape[:-1] != tokens.shape:
        raise ValueError(f"logits (*, L, V) need tokens (*, L); got {tuple(observer.shape)} and {tuple(tokens.shape)}")
    precise = [
        x.flatten(0, -2) if x.dtype == torch.float64 else x.flatten(0, -2).float() for x in (observer, performer)
    ]
    nll, cross = _TokenTerms.apply(*precise, tokens.reshape(-1), numerator, chunk)
    return nll.view(tokens.shape), cross.view(tokens.shape)


def plain_terms(observer: Tensor, performer: Tensor, tokens: Tensor, numerator: Numerator = "observer"):
    """`token_terms` by two whole softmaxes: the specification."""
    log_o, log_p = observer.log_softmax(-1), performer.log_softmax(-1)
    top = log_o if numerator == "observer" else log_p
    return -top.gather(-1, tokens[..., None])[..., 0], -(log_o.exp() * log_p).sum(-1)


def ratio(nll: Tensor, cross: Tensor, mask: Tensor | None = None) -> Tensor:
    """B(s) of texts from the terms of their tokens: (*, L) -> (*).

    Args:
        mask: True where a position counts, (*, L); all if omitted.
    Raises:
        ValueError: a text without a scored token, or logits that were not numbers.
    """
    if mask is None:
        above, below = nll.mean(-1), cross.mean(-1)
    else:
        counts = mask.sum(-1)
        if bool((counts == 0).any()):
            raise ValueError("a text has no scored token: an empty response has no score")
        above, below = ((x * mask).sum(-1) / counts for x in (nll, cross))
    if not bool(torch.isfinite(above.detach() + below.detach()).all()):
        raise ValueError("a score is not finite: some logits were nan or infinite")
    return above / (below + FLOOR)
