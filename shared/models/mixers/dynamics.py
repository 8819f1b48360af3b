"""A causal mixer as coefficient dynamics: alpha_ij = phi(q_i^T A_i A_{i-1} ... A_{j+1} b_j k_j) / eta_i for j <= i.

Each source j has a state of its own: zero before j, hit by the impulse b_j k_j at j (A_j does not act on it), moved by
A_t at every t > j, read by the query through phi. The head's output is sum_j alpha_ij v_j. So a mixer is four objects:
the evolution A_t, the input scaling b_j, the readout phi, the normaliser eta_i. Source: Sieber, Orvieto, Zeilinger and
Amo Alonso 2025 (arXiv 2510.09389); the index convention is the one under which all implementations agree.

Three evaluations of one cast: `impulse` (the definition, dense matrices), `parallel` (closed forms, T x T), `recurrent`
(a state of K rows; linear phi only). Shapes: B batch, T time, H heads, K key width, V value width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.models.mixers.coefficients import (
    householder_coefficients,
    linear_attention_coefficients,
    shift_coefficients,
    turned,
)
from shared.models.mixers.readouts import Normaliser, Readout


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """A_t. Without arguments the identity; `log_decay` goes with `angles` and `erase` where it is a scalar.

    Args:
        log_decay: (B, T, H, 1) a scalar, (B, T, H, K) a diagonal, real or complex; A_t has its exponential.
        angles: radians per step of each plane (m, m + K/2), (K/2,); the planes turn.
        erase: strength beta, (B, T, H): I - beta_t k_t k_t^T along the mixer's keys, which have unit length.
        shear: (B, T, H): adds shear_t times the last coordinate but one to the last one.
        shift: coordinate m moves to m + 1, the last one is forgotten.
    """

    log_decay: Tensor | None = None
    angles: Tensor | None = None
    erase: Tensor | None = None
    shear: Tensor | None = None
    shift: bool = False

    @property
    def name(self) -> str:
        """Its structure in words."""
        factors = []
        if self.log_decay is not None:
            kind = "scalar" if self.log_decay.shape[-1] == 1 else "diagonal"
            factors.append(f"complex {kind}" if self.log_decay.is_complex() else kind)
        factors += ["rotation"] * (self.angles is not None) + ["Householder"] * (self.erase is not None)
        factors += ["shear"] * (self.shear is not None) + ["shift"] * self.shift
        return " x ".join(factors) or "I"

    def matrices(self, k: Tensor) -> Tensor:
        """All A_t as dense matrices, (B, T, H, K, K), for keys k (B, T, H, K)."""
        eye = torch.eye(k.shape[-1], dtype=k.dtype, device=k.device)
        a = eye.expand(*k.shape, -1).clone()
        if self.shift:
            a = torch.diag_embed(torch.ones_like(eye[0, 1:]), -1).expand_as(a).clone()
        if self.shear is not None:
            a[..., -1, -2] += self.shear
        if self.angles is not None:
            cos, sin = (torch.diag_embed(part.to(k.dtype)) for part in (self.angles.cos(), self.angles.sin()))
            a = torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)]).expand_as(a)
        if self.erase is not None:
            a = a - self.erase[..., None, None] * k.unsqueeze(-1) * k.unsqueeze(-2)
        return a if self.log_decay is None else self.log_decay.exp().unsqueeze(-1) * a

    def pre_activations(self, q: Tensor, k: Tensor) -> Tensor:
        """q_i^T A_i ... A_{j+1} k_j in closed form where j <= i, (B, H, T, T)."""
        if self.shift:
            return shift_coefficients(q, k)
        if self.shear is not None:
            total = self.shear.transpose(1, 2).cumsum(-1)  # (B, H, T)
            grown = (total.unsqueeze(-1) - total.unsqueeze(-2)) * torch.einsum("bih,bjh->bhij", q[..., -1], k[..., -2])
            return (torch.einsum("bihk,bjhk->bhij", q, k) + grown).tril()
        log_decay = self.log_decay
        if log_decay is not None and log_decay.shape[-1] == 1:
            log_decay = log_decay.squeeze(-1)
        if self.erase is not None:
            return householder_coefficients(q, k, self.erase, log_decay)
        if self.angles is not None:
            q, k = turned(q, self.angles, -1), turned(k, self.angles, -1)
        if log_decay is None:
            return torch.einsum("bihk,bjhk->bhij", q, k).tril()
        return linear_attention_coefficients(q, k, log_decay)


@dataclass(frozen=True, kw_only=True)
class Cast:
    """One mixer on one input.

    Args:
        q, k: queries and keys after feature maps and key normalisation, (B, T, H, K). v: values, (B, T, H, V).
        b: input scaling, (B, T, H); it multiplies the key.
        evolution, readout, normaliser: see there.
        direct: a memoryless path beside the coefficients, y_i += direct_i v_i, (B, T, H); none if omitted.
        state_dependent: A_t, b_j or v_j read the mixer's own state, as in an LSTM: exact along this one trajectory, but
            outside of the framework, where they depend on the input at that time alone.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    b: Tensor
    evolution: Evolution
    readout: Readout
    normaliser: Normaliser
    direct: Tensor | None = None
    state_dependent: bool = False

    def pre_activations(self) -> Tensor:
        """p_ij by closed forms, (B, H, T, T); 0 where j > i."""
        return self.evolution.pre_activations(self.q, self.k) * self.b.transpose(1, 2).unsqueeze(-2)

    def impulse(self) -> Tensor:
        """alpha by simulating T systems of K states, O(T^2 K^2): the definition."""
        a, driven = self.evolution.matrices(self.k), self.k * self.b.unsqueeze(-1)
        batch, num_steps, heads, width = self.k.shape
        h = torch.zeros(batch, heads, num_steps, width, dtype=driven.dtype, device=driven.device)  # a state per source
        rows = []
        for t in range(num_steps):
            h = torch.einsum("bhmn,bhjn->bhjm", a[:, t].to(h.dtype), h)
            h[:, :, t] = h[:, :, t] + driven[:, t]
            rows.append(torch.einsum("bhn,bhjn->bhj", self.q[:, t].to(h.dtype), h))
        return self.weights(torch.stack(rows, dim=2))

    def parallel(self) -> Tensor:
        """alpha by closed forms, (B, H, T, T)."""
        return self.weights(self.pre_activations())

    def weights(self, p: Tensor) -> Tensor:
        """phi(p) / eta, masked after phi: phi(0) is not 0 for exp, softplus, sigmoid."""
        return self.normaliser.divide(p, self.readout)

    def heads(self, alpha: Tensor | None = None) -> Tensor:
        """sum_j alpha_ij v_j with the memoryless path, (B, T, H, V); alpha is the parallel one if omitted."""
        alpha = self.parallel() if alpha is None else alpha
        heads = torch.einsum("bhij,bjhv->bihv", alpha.to(torch.promote_types(alpha.dtype, self.v.dtype)), self.v)
        return heads if self.direct is None else heads + self.direct.unsqueeze(-1) * self.v

    def recurrent(self) -> Tensor:
        """Head outputs (B, T, H, V) from one state of K rows per head, S_t = A_t S_{t-1} + b_t k_t v_t^T.

        Raises:
            ValueError: a readout that is not linear, or a normaliser that the state cannot follow.
        """
        self.readout.require_linear()
        a, driven = self.evolution.matrices(self.k), self.k * self.b.unsqueeze(-1)
        values = torch.cat([self.v, torch.ones_like(self.v[..., :1])], dim=-1)  # the last column sums the row
        dtype = torch.promote_types(driven.dtype, values.dtype)
        state = torch.zeros(*driven[:, 0].shape, values.shape[-1], dtype=dtype, device=driven.device)
        outputs = []
        for t in range(driven.shape[1]):
            state = a[:, t].to(dtype) @ state + driven[:, t].unsqueeze(-1) * values[:, t].unsqueeze(-2)
            outputs.append(self.readout.linear(torch.einsum("bhn,bhnv->bhv", self.q[:, t].to(dtype), state)))
        outputs = torch.stack(outputs, dim=1)
        heads = outputs[..., :-1] / self.normaliser.from_row_sum(outputs[..., -1]).unsqueeze(-1)
        return heads if self.direct is None else heads + self.direct.unsqueeze(-1) * self.v


def channel_cast(log_decay: Tensor, b: Tensor, v: Tensor, *, state_dependent: bool = False) -> Cast:
    """h_t = exp(log_decay_t) h_{t-1} + b_t v_t, all (B, T, D), real or complex: every channel is a head of width 1."""
    v = v.unsqueeze(-1)
    return Cast(
        q=torch.ones_like(v),
        k=torch.ones_like(v),
        v=v,
        b=b,
        evolution=Evolution(log_decay=log_decay.unsqueeze(-1)),
        readout=Readout("identity"),
        normaliser=Normaliser(),
        state_dependent=state_dependent,
    )
