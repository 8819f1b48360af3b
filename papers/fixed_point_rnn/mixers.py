"""Channel mixers Q_t = M(z_t): matrices of O(D) to O(D^1.5) parameters per token that are never formed.

A mixer maps its argument z to pre-activations by one weight-normalised linear map, these to coefficients, and
applies Q to vectors. Shapes: B batch, T time, D channels, P pre-activations of a token.

Source: Movahedi, Sarnthein et al. 2025 (arXiv 2503.10799), section 3.2; factor 2 (`reflection_scale`) and Monarch
blocks as in the released code, which the paper's text does not have.
"""

import math
import warnings
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.fixed_point_rnn.settings import MixerSettings

UNIT_EPS = 1e-6  # of the length that a direction is divided by: SiLU(u) may be the zero vector


def unit(u: Tensor, eps: float = UNIT_EPS) -> Tensor:
    """u / max(|u|_2, eps) over the last axis."""
    return u / u.norm(dim=-1, keepdim=True).clamp_min(eps)


class WeightNormLinear(nn.Module):
    """W = gain * v / |v| row by row (Salimans & Kingma 2016); `weight` is formed once per forward pass."""

    def __init__(self, num_in: int, num_out: int, bias: bool = False) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.empty(num_out, num_in))
        nn.init.kaiming_uniform_(self.v, a=math.sqrt(5))
        self.gain = nn.Parameter(self.v.detach().norm(dim=1))
        self.bias = nn.Parameter(torch.zeros(num_out)) if bias else None

    def weight(self) -> Tensor:
        """(out, in)."""
        return unit(self.v, 1e-12) * self.gain.unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight(), self.bias)


class ChannelMixer(nn.Module):
    """Base: Q_t depends on x_t alone, on [x_t, h_{t-1}] or on x_t + h_{t-1}, as `argument` says."""

    num_outputs = 0  # P

    def __init__(self, width: int, settings: MixerSettings) -> None:
        super().__init__()
        self.width, self.settings, self.scale = width, settings, float(settings.reflection_scale)
        self.map: WeightNormLinear | None = None

    def build_map(self) -> None:
        """The map from the argument to P pre-activations."""
        factor = 2 if self.settings.argument == "concat" else 1
        self.map = WeightNormLinear(factor * self.width, self.num_outputs, bias=True)

    @property
    def recurrent(self) -> bool:
        """Whether Q depends on the state."""
        return self.map is not None and self.settings.argument != "input"

    def prepare(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """x (B, T, D) -> what it gives to the pre-activations (B, T, P), and the map of the state (P, D) or None."""
        if self.map is None:
            return None, None
        weight = self.map.weight()
        own, other = (weight, weight) if self.settings.argument == "sum" else (weight[:, : self.width], None)
        if self.settings.argument == "concat":
            other = weight[:, self.width :]
        return F.linear(x, own, self.map.bias), other

    def coefficients(self, pre: Tensor | None) -> tuple[Tensor, ...]:
        """Pre-activations (B, T, P) -> what `apply` needs."""
        raise NotImplementedError

    def apply(self, coefficients: tuple[Tensor, ...], v: Tensor) -> Tensor:
        """Q v for every token; v (B, T, D)."""
        raise NotImplementedError


class Identity(ChannelMixer):
    """Q = I: the diagonal model."""

    def coefficients(self, pre: Tensor | None) -> tuple[Tensor, ...]:
        return ()

    def apply(self, coefficients: tuple[Tensor, ...], v: Tensor) -> Tensor:
        return v


class Constant(ChannelMixer):
    """A trained orthogonal matrix, the same for every token: Cayley transform of a skew matrix."""

    def __init__(self, width: int, settings: MixerSettings) -> None:
        super().__init__(width, settings)
        self.skew = nn.Parameter(torch.randn(width, width) / width)

    def coefficients(self, pre: Tensor | None) -> tuple[Tensor, ...]:
        skew, eye = self.skew - self.skew.mT, torch.eye(self.width, dtype=self.skew.dtype, device=self.skew.device)
        return (torch.linalg.solve(eye + skew, eye - skew),)

    def apply(self, coefficients: tuple[Tensor, ...], v: Tensor) -> Tensor:
        return F.linear(v, coefficients[0])


class Householder(ChannelMixer):
    """Q = prod_i (I - s alpha_i u_i u_i^T), factor 0 applied first; unit u_i = SiLU(.), alpha_i = sigmoid(.)."""

    def __init__(self, width: int, settings: MixerSettings) -> None:
        super().__init__(width, settings)
        self.num_outputs = settings.r * (width + 1)
        self.build_map()

    def coefficients(self, pre: Tensor) -> tuple[Tensor, ...]:
        """Directions (B, T, r, D) and strengths s alpha (B, T, r)."""
        r = self.settings.r
        u, alpha = pre[..., : r * self.width], pre[..., r * self.width :]
        return unit(F.silu(u).unflatten(-1, (r, self.width))), self.scale * alpha.sigmoid()

    def apply(self, coefficients: tuple[Tensor, ...], v: Tensor) -> Tensor:
        for u, alpha in zip(coefficients[0].unbind(-2), coefficients[1].unbind(-1), strict=True):
            v = v - (alpha * (u * v).sum(-1)).unsqueeze(-1) * u
        return v


class DiagonalPlusLowRank(Householder):
    """Q = I - s sum_i alpha_i u_i u_i^T; not contractive for r > 1: the norm of the sum reaches r."""

    def apply(self, coefficients: tuple[Tensor, ...], v: Tensor) -> Tensor:
        u, alpha = coefficients
        along = alpha * (u * v.unsqueeze(-2)).sum(-1)  # (B, T, r)
        return v - (along.unsqueeze(-1) * u).sum(-2)


@cache
def _upper_places(n: int, device: torch.device) -> Tensor:
    """For every entry of an n x n matrix its place in (0, entries of the upper triangle), (n^2,)."""
    rows, columns = torch.triu_indices(n, n, device=device)
    place = torch.zeros(n * n, dtype=torch.long, device=device)
    place[rows * n + columns] = torch.arange(1, len(rows) + 1, device=device)
    return place


def triangular_gram(flat: Tensor, n: int) -> Tensor:
    """C C^T of the upper triangular C with the n (n + 1) / 2 entries `flat` and rows of unit length, (..., n, n)."""
    full = F.pad(flat, (1, 0)).index_select(-1, _upper_places(n, flat.device))
    c = unit(full.unflatten(-1, (n, n)))
    return c @ c.mT


def matrix_power(k: Tensor, exponent: int) -> Tensor:
    """k^exponent, exponent at least 1, of square matrices (..., n, n), as torch.linalg.matrix_power.

    On the CPU, products of small matrices are sums over n of outer products of all matrices at once, stored side by
    side: three to four times as fast as a loop over matrices.
    """
    if k.device.type != "cpu" or k.shape[-1] > 7:
        return torch.linalg.matrix_power(k, exponent)
    square, found = k.reshape(-1, *k.shape[-2:]).permute(1, 2, 0).contiguous(), None  # (n, n, N)
    while exponent:
        if exponent % 2:
            found = square if found is None else _product(found, square)
        exponent //= 2
        square = _product(square, square) if exponent else square
    return found.permute(2, 0, 1).reshape(k.shape)


def _product(a: Tensor, b: Tensor) -> Tensor:
    total = a[:, :1] * b[:1]
    for i in range(1, len(a)):
        total = torch.addcmul(total, a[:, i : i + 1], b[i : i + 1])
    return total


def top_eigenvalue(k: Tensor, iterations: int) -> Tensor:
    """Largest eigenvalue of PSD matrices (..., n, n) with unit diagonal by the power method, from below; (..., 1).

    All iterations at once, K^iterations by squaring: as 1 <= lambda_max <= n, its entries are at most n^iterations.
    """
    n = k.shape[-1]
    with torch.no_grad():
        # the two columns of a 2 x 2 matrix add up to an eigenvector, which may be the lesser one
        columns = k if n > 2 else k[..., :1]
        start = columns.sum(-1, keepdim=True) + 1e-3  # not orthogonal to the top eigenvector but by accident
        vector = matrix_power(k, iterations) @ (n ** (-iterations / 2) * start)  # its squares stay finite
        outer = vector * (vector / vector.square().sum(-2, keepdim=True).clamp_min(1e-36)).mT
    # gradient by the Rayleigh quotient, the vector fixed; over n^2 entries at once, which is faster than over n twice
    return (k.flatten(-2) * outer.flatten(-2)).sum(-1, keepdim=True)


def largest_divisor(width: int) -> int:
    """The largest divisor of `width` that is at most its root."""
    return next(a for a in range(math.isqrt(width), 0, -1) if width % a == 0)


class Kronecker(ChannelMixer):
    """Q = I - s K1 (x) K2 on vectors read as a x b matrices: Q v = v - s vec(K1^T mat(v) K2^T).

    K = diag(sigmoid(.)) C C^T / lambda_max, C upper triangular of SiLU(.) with rows of unit length.
    """

    def __init__(self, width: int, settings: MixerSettings) -> None:
        super().__init__(width, settings)
        a = largest_divisor(width)
        self.sides = (a, n) = (a, width // a)
        most = int(128 / math.log2(n) - 3) if n > 1 else settings.power_iterations
        if settings.power_iterations > most:  # top_eigenvalue adds up squares, together at most n^(iterations + 3)
            raise ValueError(
                f"{settings.power_iterations} power iterations of a Kronecker factor {n} wide overflow float32;"
                f" take power_iterations of at most {most}"
            )
        if a == 1:
            warnings.warn(f"width {width} is prime: one Kronecker factor is a number, the other full", stacklevel=2)
        self.num_outputs = sum(n * (n + 1) // 2 + n for n in self.sides)
        self.build_map()

    def coefficients(self, pre: Tensor) -> tuple[Tensor, ...]:
        """K1 (B, T, a, a) and K2 (B, T, b, b)."""
        found, start = [], 0
        for n in self.sides:
            size = n * (n + 1) // 2
            k = triangular_gram(F.silu(pre[..., start : start + size]), n)
            gate = pre[..., start + size : start + size + n].sigmoid()
            if self.settings.power_iterations:
                # at least 1 where any row has unit length; less is found from an unlucky start, or of rows that vanish
                gate = gate / top_eigenvalue(k, self.settings.power_iterations).clamp_min(1)
            found.append(gate.unsqueeze(-1) * k)
            start += size + n
        return tuple(found)

    def apply(self, coefficients: tuple[Tensor, ...], v: Tensor) -> Tensor:
        k1, k2 = coefficients
        return v - self.scale * (k1.mT @ v.unflatten(-1, self.sides) @ k2.mT).flatten(-2)


class Monarch(ChannelMixer):
    """Q = I - s alpha S, S = R P^T L P R with PSD block-diagonal R, L and the transposition P: symmetric, 0 <= S <= I.

    The order of the factors is ours; the source names "block-diagonal PSD blocks" only.
    """

    def __init__(self, width: int, settings: MixerSettings) -> None:
        super().__init__(width, settings)
        block = settings.block
        if width & (width - 1) or width % block:
            raise ValueError(f"monarch needs a power of two that its block divides; got width {width}, block {block}")
        self.sides = (width // block, block)  # blocks of R, and their width; L has them the other way round
        self.sizes = [g * n * (n + 1) // 2 for g, n in (self.sides, self.sides[::-1])]
        self.num_outputs = sum(self.sizes) + 1
        self.build_map()

    def coefficients(self, pre: Tensor) -> tuple[Tensor, ...]:
        """R (B, T, D / b, b, b), L (B, T, b, D / b, D / b), both divided by the traces' bound; strength (B, T, 1)."""
        r, low, alpha = pre.split([*self.sizes, 1], dim=-1)
        grams = []
        for flat, (groups, n) in ((r, self.sides), (low, self.sides[::-1])):
            k = triangular_gram(F.silu(flat).unflatten(-1, (groups, -1)), n)
            grams.append(k / n)  # rows of unit length: the trace, hence the largest eigenvalue, is at most n
        return grams[0], grams[1], self.scale * alpha.sigmoid()

    def apply(self, coefficients: tuple[Tensor, ...], v: Tensor) -> Tensor:
        r, low, alpha = coefficients
        inner = r @ v.unflatten(-1, self.sides).unsqueeze(-1)  # (B, T, g, b, 1)
        inner = low @ inner.squeeze(-1).mT.unsqueeze(-1)  # (B, T, b, g, 1)
        return v - alpha * (r @ inner.squeeze(-1).mT.unsqueeze(-1)).squeeze(-1).flatten(-2)


_KINDS = {
    "none": Identity,
    "constant": Constant,
    "householder": Householder,
    "dplr": DiagonalPlusLowRank,
    "kronecker": Kronecker,
    "monarch": Monarch,
}


def build_channel_mixer(width: int, settings: MixerSettings) -> ChannelMixer:
    """The mixer that the settings name."""
    return _KINDS[settings.kind](width, settings)


def as_matrix(mixer: ChannelMixer, coefficients: tuple[Tensor, ...], shape: tuple[int, int]) -> Tensor:
    """Q of every token, (B, T, D, D), by applying it to unit vectors; for tests and closed forms.

    Args:
        shape: (B, T) of the coefficients.
    """
    eye = torch.eye(mixer.width, dtype=coefficients[0].dtype) if coefficients else torch.eye(mixer.width).double()
    return torch.stack([mixer.apply(coefficients, e.expand(*shape, -1)) for e in eye], dim=-1)
