"""What one chunk of each kernel computes, as differentiable torch operations for `chunk_loop`.

Shapes: B batch, C steps in the chunk, H heads, K key size, V value size, D channels, N states; G = B * H groups.
States and inputs share one dtype, float32 or wider.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# exp(-1e6) is zero in every dtype, and differences of sums of it stay finite, unlike those of -inf
LOWEST_LOG_DECAY = -1e6


def _by_group(z: Tensor) -> Tensor:
    """(B, C, H, ...) -> (B * H, C, ...), contiguous: small matrix products want their rows side by side."""
    return z.transpose(1, 2).flatten(0, 1).contiguous()


def _pairwise_decay(log_decay: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Decay between two steps of the chunk, from its begin, and to its end.

    Args:
        log_decay: (G, C).
    Returns:
        (G, C, C) with exp(sum of log_decay over (s, t]) at s <= t and 0 above; (G, C, 1); (G, C, 1).
    """
    # float64: after one strong decay the differences of a float32 sum would be off by more than rounding
    total = log_decay.double().clamp_min(LOWEST_LOG_DECAY).cumsum(-1)
    size = total.shape[-1]
    future = torch.full((size, size), -math.inf, dtype=dtype, device=total.device).triu(1)
    between = ((total.unsqueeze(-1) - total.unsqueeze(-2)).to(dtype) + future).exp()
    return between, total.exp().to(dtype).unsqueeze(-1), (total[:, -1:] - total).exp().to(dtype).unsqueeze(-1)


def scalar_decay_step(state: Tensor, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    """state (B, H, K, V); q, k (B, C, H, K); v (B, C, H, V); log_decay (B, C, H)."""
    batch, heads = state.shape[:2]
    q, k, v, log_decay, state = _by_group(q), _by_group(k), _by_group(v), _by_group(log_decay), state.flatten(0, 1)
    between, since_begin, until_end = _pairwise_decay(log_decay, q.dtype)
    out = torch.baddbmm(torch.bmm(q, state) * since_begin, torch.bmm(q, k.transpose(1, 2)) * between, v)
    state = torch.baddbmm(state * since_begin[:, -1:], (k * until_end).transpose(1, 2), v)
    return out.unflatten(0, (batch, heads)).transpose(1, 2), state.unflatten(0, (batch, heads))


def vector_decay_step(state: Tensor, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    """As `scalar_decay_step`, but log_decay (B, C, H, K)."""
    (batch, heads), steps = state.shape[:2], q.shape[1]
    q, k, v, log_decay, state = _by_group(q), _by_group(k), _by_group(v), _by_group(log_decay), state.flatten(0, 1)
    padding = (1 << (steps - 1).bit_length()) - steps  # the halving needs a power of two; zero keys change nothing
    if padding:
        q, k, v, log_decay = (F.pad(z, (0, 0, 0, padding)) for z in (q, k, v, log_decay))
    scores, since_begin, until_end = _scores_by_halving(q, k, log_decay)
    out = torch.baddbmm(torch.bmm(q * since_begin, state), scores, v)[:, :steps]
    state = torch.baddbmm(state * since_begin[:, -1:].transpose(1, 2), (k * until_end).transpose(1, 2), v)
    return out.unflatten(0, (batch, heads)).transpose(1, 2), state.unflatten(0, (batch, heads))


def _scores_by_halving(q: Tensor, k: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q_t . (decay over (s, t]) k_s for s <= t without exp of a positive number.

    Blocks of m steps merge in pairs. Queries of the later block meet keys of the earlier one at the border between
    them: the decay splits into (s, border] and (border, t], both at most 1. Sums are local to a block, so nothing
    cancels either.

    Args:
        q, k, log_decay: (G, C, K), C a power of two.
    Returns:
        scores (G, C, C), zero above the diagonal; decay from the chunk's begin (G, C, K) and to its end (G, C, K).
    """
    groups, steps, _ = q.shape
    scores = (q * k).sum(-1).view(groups, steps, 1, 1)  # (G, blocks, m, m), the diagonal at first
    prefix, suffix = log_decay.unsqueeze(2), torch.zeros_like(log_decay).unsqueeze(2)  # (G, blocks, m, K)
    size = 1
    while size < steps:
        pairs = (groups, steps // (2 * size), 2, size, -1)
        (early_prefix, late_prefix), (early_suffix, late_suffix) = (
            prefix.view(pairs).unbind(2),
            suffix.view(pairs).unbind(2),
        )
        late_q = q.view(pairs)[:, :, 1] * late_prefix.exp()
        early_k = k.view(pairs)[:, :, 0] * early_suffix.exp()
        across = late_q @ early_k.transpose(-1, -2)
        early_scores, late_scores = scores.view(pairs).unbind(2)
        top = torch.cat([early_scores, torch.zeros_like(early_scores)], dim=-1)
        scores = torch.cat([top, torch.cat([across, late_scores], dim=-1)], dim=-2)
        prefix = torch.cat([early_prefix, late_prefix + early_prefix[:, :, -1:]], dim=2)
        suffix = torch.cat([early_suffix + late_prefix[:, :, -1:], late_suffix], dim=2)
        size *= 2
    return scores.squeeze(1), prefix.squeeze(1).exp(), suffix.squeeze(1).exp()


def delta_step(
    state: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The chunk's corrections u solve a unit triangular system; with them it is linear attention with values u.

    u_t = beta_t (v_t - decay_t k_t S_0 - sum_{s<t} decay_ts (k_t . k_s) u_s). Shapes as in `scalar_decay_step`;
    beta (B, C, H). Without log_decay nothing decays, to the bits of log_decay = 0.
    """
    batch, heads = state.shape[:2]
    q, k, v, beta = (_by_group(z) for z in (q, k, v, beta))
    state, beta = state.flatten(0, 1), beta.unsqueeze(-1)
    overlap = torch.bmm(beta * k, k.transpose(1, 2))  # unitriangular: the solver ignores its diagonal and above
    scores, recalled, read = torch.bmm(q, k.transpose(1, 2)), torch.bmm(k, state), torch.bmm(q, state)
    if log_decay is None:
        scores = scores * scores.new_ones(scores.shape[1:]).tril()
    else:
        between, since_begin, until_end = _pairwise_decay(_by_group(log_decay), q.dtype)
        overlap, scores = overlap * between, scores * between
        recalled, read = since_begin * recalled, read * since_begin
        state, k = state * since_begin[:, -1:], k * until_end
    u = torch.linalg.solve_triangular(overlap, beta * (v - recalled), upper=False, unitriangular=True)
    out, state = torch.baddbmm(read, scores, u), torch.baddbmm(state, k.transpose(1, 2), u)
    return out.unflatten(0, (batch, heads)).transpose(1, 2), state.unflatten(0, (batch, heads))
