"""The law of what the server of DCSGD gets, in closed form.

A coordinate of the mean message is u = (1/N) sum_i m_i (g + s z_i) / p with m_i = 1 with probability p, else 0, and z_i
standard normal, all independent: one of the gradient, of N clients, s the noise's standard deviation.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MessageLaw:
    """Law of u, coordinate by coordinate.

    Args:
        num_clients: N. keep: p, 1 / (1 + omega). noise: s, the same in every coordinate.
    """

    num_clients: int
    keep: float
    noise: float

    def log_exponential_mean(self, g: np.ndarray, theta: float) -> np.ndarray:
        """log E exp(theta u) for each g: N log(1 - p + p exp(theta g / (p N) + (theta s / (p N))^2 / 2)).

        In logs: under strong compression rare draws carry the mean, and it overflows before it matters.
        """
        reach = theta / (self.keep * self.num_clients)
        kept = math.log(self.keep) + reach * g + (reach * self.noise) ** 2 / 2
        dropped = -math.inf if self.keep == 1 else math.log1p(-self.keep)
        return self.num_clients * np.logaddexp(dropped, kept)

    def moments(self, g: np.ndarray) -> np.ndarray:
        """E u^k for k = 0 ... 4 and each g, (5, d): those of one client's part, added up over clients."""
        g, var = np.asarray(g, float), self.noise**2
        normal = np.array([g**0, g, g**2 + var, g**3 + 3 * g * var, g**4 + 6 * g**2 * var + 3 * var**2])
        scales = np.array([(self.keep * self.num_clients) ** -k for k in range(5)])
        one = self.keep * scales[:, None] * normal
        one[0] = 1
        found = np.zeros_like(one)
        found[0] = 1
        for _ in range(self.num_clients):
            found = np.array([sum(math.comb(k, i) * found[i] * one[k - i] for i in range(k + 1)) for k in range(5)])
        return found
