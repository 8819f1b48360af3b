"""The exact law of one-dimensional SignSGD on f(x) = h x^2 / 2 with Gaussian gradient noise.

Every update moves by exactly eta, so the iterate lives on the lattice x_0 + eta Z and

    P(step down | x) = (1 + erf(sqrt(B/2) h x / sigma)) / 2.

Its law is a vector of probabilities that one update spreads to both neighbours: no sampling error.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr


@dataclass(frozen=True)
class SignWalk:
    """SignSGD with learning rate `eta`, batch size `batch_size` and gradient noise of standard deviation `sigma`."""

    eta: float
    batch_size: float
    sigma: float = 1.0
    h: float = 1.0

    def __post_init__(self) -> None:
        if not (self.eta > 0 and self.sigma > 0 and self.h > 0 and self.batch_size >= 1):
            raise ValueError(
                "SignSGD's walk needs eta, sigma and h > 0 and a batch size of at least 1; got "
                f"eta {self.eta}, sigma {self.sigma}, h {self.h}, batch_size {self.batch_size}"
            )

    def signal(self, x: np.ndarray) -> np.ndarray:
        """sqrt(B) h x / sigma: mean over standard deviation of the minibatch gradient."""
        return np.sqrt(self.batch_size) * self.h * x / self.sigma

    def down(self, x: np.ndarray) -> np.ndarray:
        """Probability of a step to x - eta, of the shape of `x`."""
        return ndtr(self.signal(x))

    def law(self, x0: float, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """(places, probabilities) after `num_steps` updates from x0, (2 num_steps + 1,) each."""
        *_, last = self.laws(x0, num_steps)
        return last

    def laws(self, x0: float, num_steps: int, every: int | None = None):
        """Yields the law at update 0, `every`, 2 `every`, ...; start and end only if None."""
        every = every or num_steps
        if num_steps < 1 or num_steps % every:
            raise ValueError(f"'every' must divide a positive number of steps; got {every} and {num_steps}")
        places = x0 + self.eta * np.arange(-num_steps, num_steps + 1)
        down = self.down(places)
        p = (np.arange(len(places)) == num_steps).astype(float)
        yield places, p
        for k in range(1, num_steps + 1):
            falls, rises = p * down, p * (1 - down)
            p = np.zeros_like(p)
            p[:-1] += falls[1:]
            p[1:] += rises[:-1]
            if k % every == 0:
                yield places, p

    def stationary_law(self, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Stationary law on offset + eta Z, by detailed balance: p(x) P(up | x) = p(x + eta) P(down | x + eta).

        The walk alternates between the even and the odd places; this is the mean over both.
        """
        rate = np.sqrt(self.batch_size / 2) * self.h / self.sigma
        width = np.sqrt(self.eta / (2 * rate))  # about the standard deviation where the signal is small
        reach = int(np.ceil(40 * (width + self.eta) / self.eta))
        places = offset + self.eta * np.arange(-reach, reach + 1)
        signal = self.signal(places)
        ratios = log_ndtr(-signal[:-1]) - log_ndtr(signal[1:])
        middle = reach
        log_p = np.zeros(len(places))
        log_p[middle + 1 :] = np.cumsum(ratios[middle:])
        log_p[:middle] = -np.cumsum(ratios[:middle][::-1])[::-1]
        p = np.exp(log_p - log_p.max())
        return places, p / p.sum()


def expectation(law: tuple[np.ndarray, np.ndarray], function) -> float:
    """Mean of `function` under a law."""
    places, p = law
    return float((function(places) * p).sum())
