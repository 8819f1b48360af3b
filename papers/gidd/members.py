"""Members of the family: mask, uniform, hybrid, and mixing distributions that a user supplies.

The first three give the mask one probability and every ordinary token another, so that q_t(. | x) has three distinct
values. The fused loss and the noising use that.

Source: von Rütte et al. 2025, arXiv 2503.04482, sections 3.2 and 4 (hybrid schedule).
"""

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from papers.gidd.checks import check_times
from papers.gidd.process import MixingProcess, along

P_U_FLOOR = math.exp(-20.0)  # the authors' floor, which keeps log B finite at p_u = 0


class TwoLevelProcess(MixingProcess):
    """A process whose beta_t pi_t is `mask_mass` on the mask and `token_mass` on each ordinary token."""

    @abstractmethod
    def mask_mass(self, t: Tensor) -> Tensor:
        """beta_t pi_t(mask), shape of `t`, float64."""

    @abstractmethod
    def token_mass(self, t: Tensor) -> Tensor:
        """beta_t pi_t(k) of one ordinary token k, shape of `t`, float64."""

    @abstractmethod
    def omega_mask(self, t: Tensor) -> Tensor:
        """Flow into the mask, shape of `t`."""

    @abstractmethod
    def omega_token(self, t: Tensor) -> Tensor:
        """Flow into one ordinary token, shape of `t`."""

    def beta_pi(self, t: Tensor) -> Tensor:
        mask = torch.arange(self.vocab_size, device=t.device) == self.mask_id
        return torch.where(mask, self.mask_mass(t).unsqueeze(-1), self.token_mass(t).unsqueeze(-1))

    def beta_pi_at(self, t: Tensor, z: Tensor) -> Tensor:
        return torch.where(z == self.mask_id, along(self.mask_mass(t), z), along(self.token_mass(t), z))

    def omega(self, t: Tensor, z: Tensor) -> Tensor:
        check_times(t)
        return torch.where(z == self.mask_id, along(self.omega_mask(t), z), along(self.omega_token(t), z))

    def noise(self, x: Tensor, t: Tensor, uniforms: Tensor) -> Tensor:
        """As the parent's, in closed form: data, then mask, then the ordinary tokens in equal shares of [0, 1)."""
        u = uniforms.double()
        keep, token_mass = along(self.alpha(t), x), along(self.token_mass(t), x)
        not_token = keep + along(self.mask_mass(t), x)
        share = (u - not_token) / token_mass.clamp_min(torch.finfo(torch.float64).tiny)
        token = share.clamp(0, self.num_ordinary - 1).long()
        token = token + (token >= self.mask_id)
        # u may exceed alpha + mask mass by rounding where no token has mass
        z = torch.where((u < not_token) | (token_mass == 0), self.mask_id, token)
        return torch.where(u < keep, x, z)


class MaskProcess(TwoLevelProcess):
    """Masking with alpha_t = 1 - (1 - eps) t; eps = 0 is p_u = 0 exactly, eps = 1e-4 MDLM's log-linear schedule.

    Source: Sahoo et al. 2024, arXiv 2406.07524 (log-linear schedule).
    """

    def __init__(self, vocab_size: int, mask_id: int | None = None, *, eps: float = 0.0) -> None:
        super().__init__(vocab_size, mask_id)
        if not 0 <= eps < 1:
            raise ValueError(f"eps is the share of data left at t = 1 and must lie in [0, 1); got {eps}")
        self.eps = eps
        self.uniform_scale, self.gamma = 0.0, 1.0

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - (1 - self.eps) * t.double()

    def mask_mass(self, t: Tensor) -> Tensor:
        return (1 - self.eps) * t.double()

    def token_mass(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t, dtype=torch.float64)

    def alpha_rate(self, t: Tensor) -> Tensor:
        check_times(t)
        return (1 - self.eps) / self.alpha(t)

    def omega_mask(self, t: Tensor) -> Tensor:
        return (1 - self.eps) / self.alpha(t)

    def omega_token(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t, dtype=torch.float64)


class UniformProcess(TwoLevelProcess):
    """pi_t = u over the N ordinary tokens, no mask, alpha_t = 1 - t. The mask keeps its id and has no mass."""

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t.double()

    def mask_mass(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t, dtype=torch.float64)

    def token_mass(self, t: Tensor) -> Tensor:
        return t.double() / self.num_ordinary

    def alpha_rate(self, t: Tensor) -> Tensor:
        check_times(t)
        return 1 / (1 - t.double())

    def omega_mask(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t, dtype=torch.float64)

    def omega_token(self, t: Tensor) -> Tensor:
        return 1 / ((1 - t.double()) * self.num_ordinary)


class HybridProcess(TwoLevelProcess):
    """Mask plus uniform noise: alpha_t = (1 - t) / C_t and beta_t pi_t = (t m + c_t u) / C_t.

    B = 2^gamma p_u / (1 - p_u);  c_t = B (t (1 - t))^(gamma / 2);  C_t = 1 + c_t.

    Args:
        p_u: probability of uniform noise at t = 1/2, its maximum over t; in [0, 1).
        gamma: shape of c_t, in (0, 2]. The formula reads as valid for every gamma > 0, but the flow into an ordinary
            token, c_t (gamma / 2 - t (gamma - 1)) / (t (1 - t) N C_t), turns negative near t = 1 for gamma > 2.
        p_u_floor: p_u is raised to this value; the authors' exp(-20) by default, 0 for none.
    Source: von Rütte et al. 2025, arXiv 2503.04482v2, hybrid mixing schedule; code v1.1.0 for the floor.
    """

    def __init__(
        self,
        vocab_size: int,
        mask_id: int | None = None,
        *,
        p_u: float,
        gamma: float = 1.0,
        p_u_floor: float = P_U_FLOOR,
    ) -> None:
        super().__init__(vocab_size, mask_id)
        if not 0 <= p_u < 1:
            raise ValueError(f"p_u is a probability below 1 (at 1 no data would be left at t = 1/2); got {p_u}")
        if not gamma > 0:
            raise ValueError(f"gamma must be positive, so that there is no uniform noise at t = 0; got {gamma}")
        if gamma > 2:
            entry, turn = int(self.mask_id == 0), gamma / (2 * (gamma - 1))
            raise ValueError(
                f"gamma = {gamma} makes omega_t negative for every ordinary token, entry {entry} among them, "
                f"from t = {turn:.4g} on; choose gamma in (0, 2]"
            )
        self.p_u, self.gamma = p_u, gamma
        floored = max(p_u, p_u_floor)
        self.uniform_scale = 2**gamma * floored / (1 - floored)  # B

    def uniform_curve(self, t: Tensor) -> Tensor:
        """c_t, the unnormalised mass of uniform noise."""
        t = t.double()
        return self.uniform_scale * (t * (1 - t)) ** (self.gamma / 2)

    def alpha(self, t: Tensor) -> Tensor:
        return (1 - t.double()) / (1 + self.uniform_curve(t))

    def mask_mass(self, t: Tensor) -> Tensor:
        return t.double() / (1 + self.uniform_curve(t))

    def token_mass(self, t: Tensor) -> Tensor:
        c = self.uniform_curve(t)
        return c / ((1 + c) * self.num_ordinary)

    def alpha_rate(self, t: Tensor) -> Tensor:
        check_times(t)
        t, c = t.double(), self.uniform_curve(t)
        slope = self.gamma / 2 * (1 - 2 * t) / (t * (1 - t)) * c  # dc/dt
        return 1 / (1 - t) + slope / (1 + c)

    def omega_mask(self, t: Tensor) -> Tensor:
        return 1 / ((1 + self.uniform_curve(t)) * (1 - t.double()))

    def omega_token(self, t: Tensor) -> Tensor:
        t, c = t.double(), self.uniform_curve(t)
        numerator = c * (self.gamma / 2 - t * (self.gamma - 1))  # t (1 - t) (c' + c / (1 - t))
        return numerator / (t * (1 - t) * (1 + c) * self.num_ordinary)


class CustomProcess(MixingProcess):
    """A user's alpha_t and pi_t, checked on a grid of times when it is made.

    Args:
        alpha: differentiable torch function of t, any shape to the same shape; 1 at t = 0, 0 at t = 1, decreasing.
        pi: differentiable torch function of t, (...) to (..., V); a distribution at every t.
        num_checked: times of the grid in (0, 1).
    Raises:
        ValueError: one of these fails, or omega_t(k) < 0 for some t and entry k, which are named.
    """

    def __init__(
        self,
        alpha: Callable[[Tensor], Tensor],
        pi: Callable[[Tensor], Tensor],
        vocab_size: int,
        mask_id: int | None = None,
        *,
        num_checked: int = 999,
    ) -> None:
        super().__init__(vocab_size, mask_id)
        self._alpha, self._pi = alpha, pi
        self._check(torch.arange(1, num_checked + 1, dtype=torch.float64) / (num_checked + 1))

    def alpha(self, t: Tensor) -> Tensor:
        return self._alpha(t.double())

    def beta_pi(self, t: Tensor) -> Tensor:
        return (1 - self.alpha(t)).unsqueeze(-1) * self._pi(t.double())

    def _check(self, grid: Tensor) -> None:
        ends = self.alpha(torch.tensor([0.0, 1.0], dtype=torch.float64))
        if abs(ends[0].item() - 1) > 1e-9 or abs(ends[1].item()) > 1e-9:
            raise ValueError(f"alpha must be 1 at t = 0 and 0 at t = 1; got {ends[0].item()} and {ends[1].item()}")
        rate = self.alpha_rate(grid)
        if bool((rate < 0).any()):
            raise ValueError(f"alpha must decrease; it grows at t = {grid[rate.argmin()].item():.4g}")
        pi = self._pi(grid)
        if pi.shape != (*grid.shape, self.vocab_size):
            raise ValueError(
                f"pi must return (..., {self.vocab_size}); got {tuple(pi.shape)} for {tuple(grid.shape)} times"
            )
        for what, size in (("a negative entry", -pi.amin(-1)), ("a sum other than 1", (pi.sum(-1) - 1).abs())):
            if size.max().item() > 1e-9:
                raise ValueError(
                    f"pi must be a distribution at every t; it has {what} at t = {grid[size.argmax()]:.4g}"
                )
        omega = self.omega_all(grid)
        # rounding of the two cancelling terms, relative to the total flow
        if bool((omega < -1e-9 * rate.unsqueeze(-1).clamp_min(1)).any()):
            row, entry = divmod(omega.argmin().item(), self.vocab_size)
            raise ValueError(
                f"omega_t is negative at t = {grid[row].item():.4g} for entry {entry} ({omega[row, entry]:.3g}), "
                "so no Markov chain has these marginals; let pi leave that entry more slowly, or alpha fall faster"
            )
