"""Mixing processes: tokens turn into noise with marginal q_t(. | x) = alpha_t x + beta_t pi_t.

Shapes: B sequences, L positions, V vocabulary with the mask, N = V - 1 ordinary tokens. Times `t` are (B,), tokens
(B, ...); t = 0 is data, t = 1 pure noise. Schedules are computed in float64 whatever the dtype of `t`, because the
loss weights reach 1e4 at the ends of the time range.

Source: von Rütte et al. 2025, arXiv 2503.04482, general interpolating process.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from papers.gidd.categorical import draw_shared
from papers.gidd.checks import check_ids, check_times, check_vocabulary


def along(t: Tensor, tokens: Tensor) -> Tensor:
    """`t` (B,) with trailing axes of length one, so that it broadcasts against `tokens` (B, ...)."""
    return t.reshape(t.shape + (1,) * (tokens.ndim - t.ndim))


class MixingProcess(ABC):
    """One noising process over a vocabulary that includes a mask token.

    A member defines `alpha` and `beta_pi`; everything else follows. `omega` here is the definition, differentiated by
    forward-mode AD; members with a closed form override it.

    Args:
        vocab_size: V, mask included.
        mask_id: id of the mask; V - 1 if omitted.
    """

    def __init__(self, vocab_size: int, mask_id: int | None = None) -> None:
        self.vocab_size = vocab_size
        self.mask_id = vocab_size - 1 if mask_id is None else mask_id
        check_vocabulary(self.vocab_size, self.mask_id)

    @property
    def num_ordinary(self) -> int:
        """N, the tokens that can be data."""
        return self.vocab_size - 1

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Share of the data token in the marginal, in [0, 1], decreasing; shape of `t`, float64."""

    @abstractmethod
    def beta_pi(self, t: Tensor) -> Tensor:
        """beta_t pi_t, the noise part of the marginal: (*t.shape, V), float64, sums to 1 - alpha."""

    # --- rates -------------------------------------------------------------------------------------------------

    def alpha_rate(self, t: Tensor) -> Tensor:
        """-alpha'_t / alpha_t, the total rate at which a token is renewed; shape of `t`."""
        check_times(t)
        value, slope = torch.func.jvp(self.alpha, (t.double(),), (torch.ones_like(t, dtype=torch.float64),))
        return -slope / value

    def omega_all(self, t: Tensor) -> Tensor:
        """Probability flow per unit time into every token, (*t.shape, V).

        omega_t = beta_t pi'_t - (alpha'_t / alpha_t) pi_t, written without a division by beta_t as
        (beta_t pi_t)' + (-alpha'_t / alpha_t) beta_t pi_t.
        """
        check_times(t)
        value, slope = torch.func.jvp(self.beta_pi, (t.double(),), (torch.ones_like(t, dtype=torch.float64),))
        return slope + MixingProcess.alpha_rate(self, t).unsqueeze(-1) * value

    def omega(self, t: Tensor, z: Tensor) -> Tensor:
        """Probability flow per unit time into token `z`; it does not depend on the token left. Shape of `z`."""
        return _at(self.omega_all(t), z)

    # --- marginals and conditionals ----------------------------------------------------------------------------

    def beta_pi_at(self, t: Tensor, z: Tensor) -> Tensor:
        """Entries z of `beta_pi`, shape of `z`."""
        return _at(self.beta_pi(t), z)

    def marginal(self, t: Tensor, x: Tensor) -> Tensor:
        """q_t(. | x) in full, (*x.shape, V): for small vocabularies."""
        one_hot = torch.nn.functional.one_hot(x, self.vocab_size).double()
        noise = self.beta_pi(t)
        noise = noise.reshape(t.shape + (1,) * (x.ndim - t.ndim) + (self.vocab_size,))
        return along(self.alpha(t), x).unsqueeze(-1) * one_hot + noise

    def marginal_at(self, t: Tensor, z: Tensor, x: Tensor) -> Tensor:
        """q_t(z | x) of the given tokens, shape of `z`."""
        return along(self.alpha(t), z) * (z == x) + self.beta_pi_at(t, z)

    def conditional_alpha(self, s: Tensor, t: Tensor) -> Tensor:
        """alpha_{t|s} = alpha_t / alpha_s for s <= t; shape of `t`."""
        return self.alpha(t) / self.alpha(s)

    def conditional_noise(self, s: Tensor, t: Tensor) -> Tensor:
        """b_{t|s} = beta_t pi_t - alpha_{t|s} beta_s pi_s, (*t.shape, V).

        The forward transition is q_{t|s}(. | z_s) = alpha_{t|s} z_s + b_{t|s}.
        """
        return self.beta_pi(t) - self.conditional_alpha(s, t).unsqueeze(-1) * self.beta_pi(s)

    def conditional_noise_at(self, s: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Entries z of b_{t|s}, shape of `z`; rounding below zero is cut."""
        scale = along(self.conditional_alpha(s, t), z)
        return (self.beta_pi_at(t, z) - scale * self.beta_pi_at(s, z)).clamp_min(0)

    # --- noising -----------------------------------------------------------------------------------------------

    def noise(self, x: Tensor, t: Tensor, uniforms: Tensor) -> Tensor:
        """Noisy tokens z ~ q_t(. | x) as a pure function of `uniforms`, so that data-parallel ranks can slice a batch.

        Args:
            x: tokens, (B, ...).
            t: times in [0, 1], (B,).
            uniforms: numbers in [0, 1), shape of `x`; float64 where a vocabulary is large.
        """
        u, alpha = uniforms.double(), along(self.alpha(t), x)
        rest = ((u - alpha) / (1 - alpha).clamp_min(torch.finfo(torch.float64).tiny)).clamp(0, 1)
        noise = self.beta_pi(t)
        noise = torch.where(self.alpha(t).unsqueeze(-1) < 1, noise, 1.0)  # no noise: nothing of what is drawn is taken
        flat = rest.reshape(noise.shape[0], -1) if t.ndim else rest.reshape(1, -1)
        drawn = torch.stack(
            [draw_shared(row, v) for row, v in zip(noise.reshape(-1, self.vocab_size), flat, strict=True)]
        )
        return torch.where(u < alpha, x, drawn.reshape(x.shape))

    def sample(self, x: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
        """Noisy tokens z ~ q_t(. | x), shape of `x`, with uniforms from `generator`.

        Raises:
            ValueError: `x` is empty, holds ids outside the vocabulary or the mask.
        """
        check_ids(x, "x", self.vocab_size, self.mask_id)
        uniforms = torch.rand(x.shape, generator=generator, dtype=torch.float64, device=generator.device)
        return self.noise(x, t, uniforms.to(x.device))

    def prior(self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device | None = None) -> Tensor:
        """Tokens of pure noise, drawn from pi_1; all masks for every member but the uniform and user-supplied ones."""
        uniforms = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device).to(device)
        probs = self.beta_pi(torch.ones((), dtype=torch.float64, device=uniforms.device))
        return draw_shared(probs, uniforms)

    # --- log-SNR -----------------------------------------------------------------------------------------------

    def log_snr(self, t: Tensor) -> Tensor:
        """lambda_t = log(alpha_t / (1 - alpha_t)), decreasing in t; shape of `t`."""
        return torch.logit(self.alpha(t))

    def time_at_log_snr(self, log_snr: Tensor) -> Tensor:
        """Inverse of `log_snr` by bisection, to float64 rounding of t; shape of `log_snr`."""
        low, high = torch.zeros_like(log_snr, dtype=torch.float64), torch.ones_like(log_snr, dtype=torch.float64)
        for _ in range(1100):  # halving reaches the smallest float64 long before; the loop ends once nothing moves
            middle = (low + high) / 2
            too_early = self.log_snr(middle) > log_snr
            if bool(((middle == low) | (middle == high)).all()):
                break
            low, high = torch.where(too_early, middle, low), torch.where(too_early, high, middle)
        return (low + high) / 2


class ByLogSnr:
    """The same process with lambda = log-SNR as its clock, which schedules of t leave unchanged.

    Rates are per unit of -lambda (noise grows as lambda falls): omega(lambda, z) d(-lambda) = omega_t(z) dt.
    """

    def __init__(self, process: MixingProcess) -> None:
        self.process = process

    def alpha(self, log_snr: Tensor) -> Tensor:
        """sigmoid(lambda)."""
        return torch.sigmoid(log_snr.double())

    def beta_pi(self, log_snr: Tensor) -> Tensor:
        """(1 - sigmoid(lambda)) pi_lambda, (*log_snr.shape, V)."""
        return self.process.beta_pi(self.process.time_at_log_snr(log_snr))

    def speed(self, log_snr: Tensor) -> Tensor:
        """-d lambda / dt at that lambda: (-alpha'/alpha) / (1 - alpha)."""
        t = self.process.time_at_log_snr(log_snr)
        return self.process.alpha_rate(t) / (1 - self.process.alpha(t))

    def omega(self, log_snr: Tensor, z: Tensor) -> Tensor:
        """Probability flow into `z` per unit of -lambda; shape of `z`."""
        return self.process.omega(self.process.time_at_log_snr(log_snr), z) / along(self.speed(log_snr), z)


def _at(table: Tensor, z: Tensor) -> Tensor:
    """table[b, z[b, ...]] for a (B, V) table, or table[z] for a (V,) one."""
    if table.ndim == 1:
        return table[z]
    return table.gather(-1, z.reshape(z.shape[0], -1)).reshape(z.shape)
