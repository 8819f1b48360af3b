"""Random compressors of vectors, with the property omega of the unbiased ones.

C is unbiased with variance omega if E C(v) = v and E |C(v) - v|^2 <= omega |v|^2. All act on the last axis of
(..., N, d), independently for every client and run.

Source: Alistarh et al. 2017 (arXiv 1610.02132) for quantisation; Khirirat et al. 2018 (arXiv 1806.06573) and Horvath et
al. 2019 (arXiv 1904.05115) for omega and the sparsifiers.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from shared.optim.draws import Stream, uniform


class Compressor(ABC):
    """A map (..., N, d) -> (..., N, d), random in general."""

    unbiased = True

    @abstractmethod
    def __call__(self, v: Tensor, stream: Stream) -> Tensor:
        """C(v), of v's shape; randomness from `stream`."""

    @abstractmethod
    def omega(self, d: int) -> float | Tensor:
        """Bound on E|C(v) - v|^2 / |v|^2 in dimension d: a number, or (N,) where clients differ.

        Raises:
            ValueError: the compressor is biased, or does not fit dimension d.
        """


class Identity(Compressor):
    """C(v) = v; omega = 0."""

    def __call__(self, v: Tensor, stream: Stream) -> Tensor:
        return v

    def omega(self, d: int) -> float:
        return 0.0


class Bernoulli(Compressor):
    """Keeps each coordinate with probability `keep`, scaled by 1 / keep; omega = 1 / keep - 1, attained by every v.

    Args:
        keep: in (0, 1]; one number per client, or one for all.
    """

    def __init__(self, keep: float | Sequence[float]) -> None:
        self.keep = keep if isinstance(keep, int | float) else tuple(keep)
        values = [self.keep] if isinstance(self.keep, int | float) else self.keep
        if not values or any(not 0 < p <= 1 for p in values):
            raise ValueError(f"the probability to keep a coordinate lies in (0, 1]; got {keep}")

    @classmethod
    def with_omega(cls, omega: float | Sequence[float]) -> "Bernoulli":
        """The sparsifier with the given omega >= 0: keep = 1 / (1 + omega)."""
        values = [omega] if isinstance(omega, int | float) else list(omega)
        if any(not w >= 0 for w in values):
            raise ValueError(f"omega is at least 0; got {omega}")
        return cls(1 / (1 + omega) if isinstance(omega, int | float) else [1 / (1 + w) for w in omega])

    def __call__(self, v: Tensor, stream: Stream) -> Tensor:
        keep = self.keep if isinstance(self.keep, int | float) else v.new_tensor(self.keep).unsqueeze(-1)
        return torch.where(uniform(v, stream) <= keep, v / keep, 0)

    def omega(self, d: int) -> float | Tensor:
        if isinstance(self.keep, int | float):
            return 1 / self.keep - 1
        return 1 / torch.tensor(self.keep, dtype=torch.float64) - 1


class RandK(Compressor):
    """Keeps a uniform subset of k coordinates, scaled by d / k; omega = d / k - 1, attained by every v."""

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ValueError(f"rand-k keeps at least one coordinate; got k = {k}")
        self.k = k

    def __call__(self, v: Tensor, stream: Stream) -> Tensor:
        scale = 1 + self.omega(v.shape[-1])
        kept = uniform(v, stream).topk(self.k, dim=-1).indices
        return torch.zeros_like(v).scatter_(-1, kept, scale * v.gather(-1, kept))

    def omega(self, d: int) -> float:
        if self.k > d:
            raise ValueError(f"rand-k cannot keep k = {self.k} of {d} coordinates; take k <= d")
        return d / self.k - 1


class Quantise(Compressor):
    """Rounds |v_j| / |v|_2 at random to one of its two neighbours in {0, 1/s, ..., 1}; omega <= min(d/s^2, sqrt(d)/s).

    Args:
        levels: s.
    """

    def __init__(self, levels: int) -> None:
        if levels < 1:
            raise ValueError(f"quantisation needs at least one level; got {levels}")
        self.levels = levels

    def __call__(self, v: Tensor, stream: Stream) -> Tensor:
        norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        level = self.levels * v.abs() / torch.where(norm > 0, norm, 1)
        lower = level.floor()
        rounded = lower + (uniform(v, stream) <= level - lower).to(v.dtype)
        return v.sign() * norm * rounded / self.levels

    def omega(self, d: int) -> float:
        return min(d / self.levels**2, d**0.5 / self.levels)


class Sign(Compressor):
    """sign(v) with sign(0) = 0; biased, of length independent of v."""

    unbiased = False

    def __call__(self, v: Tensor, stream: Stream) -> Tensor:
        return v.sign()

    def omega(self, d: int) -> float:
        raise ValueError(
            "the sign is a biased compressor and has no omega; use identity, bernoulli, rand-k or quantise"
        )


class TopK(Compressor):
    """Keeps the k largest coordinates unscaled; biased: what is dropped is never made up for."""

    unbiased = False

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ValueError(f"top-k keeps at least one coordinate; got k = {k}")
        self.k = k

    def __call__(self, v: Tensor, stream: Stream) -> Tensor:
        if self.k > v.shape[-1]:
            raise ValueError(f"top-k cannot keep k = {self.k} of {v.shape[-1]} coordinates; take k <= d")
        kept = v.abs().topk(self.k, dim=-1).indices
        return torch.zeros_like(v).scatter_(-1, kept, v.gather(-1, kept))

    def omega(self, d: int) -> float:
        raise ValueError("top-k is a biased compressor and has no omega; use rand-k in its place")


def require_unbiased(compressor: Compressor) -> Compressor:
    """The compressor itself.

    Raises:
        ValueError: it is biased.
    """
    if not compressor.unbiased:
        raise ValueError(
            f"this method needs an unbiased compressor and {type(compressor).__name__} is biased; use Identity,"
            " Bernoulli, RandK or Quantise"
        )
    return compressor
