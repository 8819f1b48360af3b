"""KL and Itakura-Saito terms of the bound in one pass over the logits, for processes with two noise levels.

With alpha, nu = beta_t pi_t(ordinary token), p_k = alpha x_hat_k + nu and q(. | x) = alpha x + nu on ordinary tokens
(the mask has the same probability under both, and drops out):

    KL = (alpha + nu) log((alpha + nu) / p_x) - nu sum_{k not x, not mask} log(1 + (alpha / nu) x_hat_k)
    IS = exp(r) - r - 1,   r = log q(z | x) - log q(z | x_hat),   0 at z = mask

so no table of the size of the logits is needed beyond the logits and, in the backward pass, their gradient: rows are
worked through in pieces of `CHUNK_ELEMENTS`. The gradient follows from s_k = alpha x_hat_k / p_k:

    d KL / d logit_j = x_hat_j H + h_j,  h_j = -(nu + alpha [j = x]) s_j,  H = -sum h
    d IS / d logit_j = (1 - exp(r)) s_z ([j = z] - x_hat_j)

Shapes: R rows (tokens of all sequences), V vocabulary, V' >= V columns of the logits.
"""

import torch
from torch import Tensor

from papers.gidd.categorical import mask_free_logits

CHUNK_ELEMENTS = 1 << 20  # 4 MiB in float32: in a core's cache; on a GPU see `chunk_rows`


def chunk_rows(logits: Tensor) -> int:
    """Rows worked on at a time; larger on a GPU, where launching a kernel costs more than memory traffic."""
    budget = CHUNK_ELEMENTS * (64 if logits.is_cuda else 1)
    return max(1, budget // logits.shape[-1])


class DivergenceTerms(torch.autograd.Function):
    """(logits, x, z, alpha, nu, vocab_size, mask_id) -> (KL, IS), each (R,), in float32 or the logits' wider dtype."""

    @staticmethod
    def forward(ctx, logits, x, z, alpha, nu, vocab_size, mask_id):
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_norm, log_x, log_z, others = (logits.new_empty(len(logits), dtype=dtype) for _ in range(4))
        some = bool((nu > 0).any())  # without uniform noise the sum over other tokens has the factor nu = 0
        shift = torch.where(nu > 0, alpha / nu, 0.0).log().to(dtype)
        for start in range(0, len(logits), chunk_rows(logits)):
            rows = slice(start, start + chunk_rows(logits))
            a = mask_free_logits(logits[rows], vocab_size, mask_id)
            log_norm[rows] = a.logsumexp(-1)
            log_x[rows] = a.gather(-1, x[rows, None]).squeeze(-1)
            log_z[rows] = a.gather(-1, z[rows, None]).squeeze(-1)
            if some:
                a.scatter_(-1, x[rows, None], -torch.inf)
                # exp(a + shift - log_norm) = (alpha / nu) x_hat
                others[rows] = a.add_((shift[rows] - log_norm[rows])[:, None]).exp_().log1p_().sum(-1)
            else:
                others[rows] = 0
        log_x.sub_(log_norm)
        log_z.sub_(log_norm)
        kl, is_, excess = _terms(log_x, log_z, others, x, z, alpha, nu, mask_id, dtype)
        ctx.save_for_backward(logits, x, z, alpha, nu, log_norm, log_x, log_z, excess)
        ctx.vocab_size, ctx.mask_id, ctx.some = vocab_size, mask_id, some
        return kl, is_

    @staticmethod
    def backward(ctx, grad_kl, grad_is):
        logits, x, z, alpha, nu, log_norm, log_x, log_z, excess = ctx.saved_tensors
        dtype, vocab_size = log_norm.dtype, ctx.vocab_size
        grad = torch.empty_like(logits)
        grad[:, vocab_size:] = 0
        ratio = torch.where(nu > 0, alpha / nu, 0.0).to(dtype)
        # coefficients of s_x and s_z; a weight of zero wins over an infinite IS term
        at_x = -grad_kl * (alpha + nu).to(dtype) * _slope(log_x, alpha, nu)
        at_z = torch.where(grad_is == 0, 0.0, -excess * grad_is) * _slope(log_z, alpha, nu)
        at_z = torch.where(z == ctx.mask_id, 0.0, at_z)
        per_token = -grad_kl * nu.to(dtype)
        for start in range(0, len(logits), chunk_rows(logits)):
            rows = slice(start, start + chunk_rows(logits))
            x_hat = mask_free_logits(logits[rows], vocab_size, ctx.mask_id).sub_(log_norm[rows, None]).exp_()
            if ctx.some:
                h = x_hat * ratio[rows, None]
                h.div_(h + 1).mul_(per_token[rows, None])  # -nu s_k, zero where nu is
                h.scatter_(-1, x[rows, None], at_x[rows, None])
                h.scatter_add_(-1, z[rows, None], at_z[rows, None])
                grad[rows, :vocab_size] = h.sub_(x_hat.mul_(h.sum(-1, keepdim=True)))
            else:  # h has the entries x and z alone
                x_hat.mul_(-(at_x + at_z)[rows, None])
                x_hat.scatter_add_(-1, x[rows, None], at_x[rows, None])
                grad[rows, :vocab_size] = x_hat.scatter_add_(-1, z[rows, None], at_z[rows, None])
        return grad, None, None, None, None, None, None


def _terms(log_x, log_z, others, x, z, alpha, nu, mask_id, dtype):
    """KL, IS and exp(r) - 1 from the log-probabilities of x and z and the sum over the other tokens."""
    log_p_x = torch.logaddexp(alpha.log().to(dtype) + log_x, nu.log().to(dtype))
    data_gap = (alpha + nu).log().to(dtype) - log_p_x  # log q(x | x) / q(x | x_hat)
    kl = (alpha + nu).to(dtype) * data_gap - nu.to(dtype) * others
    ratio = torch.where(nu > 0, alpha / nu, 0.0).to(dtype)
    r = torch.where(z == x, data_gap, -torch.log1p(ratio * log_z.exp()))
    excess = torch.expm1(r)
    excess = torch.where(z == mask_id, 0.0, excess)
    is_ = torch.where(z == mask_id, 0.0, excess - r)
    return kl, is_, excess


def _slope(log_p: Tensor, alpha: Tensor, nu: Tensor) -> Tensor:
    """s = alpha x_hat / (alpha x_hat + nu) from log x_hat."""
    return torch.sigmoid(log_p + (alpha.log() - nu.log()).to(log_p.dtype))
