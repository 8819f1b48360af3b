"""What can be scored on MQAR without reading a single key: computed, not trained.

Shapes: S slots, K pairs.
"""

import functools

import numpy as np

from shared.data.synthetic.config import MQARConfig

_NODES = 400  # of the quadrature; the table's digits stand from 150 on


def slot_law(config: MQARConfig) -> np.ndarray:
    """P(the i-th query stands at slot g), (S, K), exact to quadrature (1e-9).

    Slots arrive as exponential clocks of rate w_g = (g + 1)^(a - 1); their order is a draw one by one without
    replacement. So P(slot g is the i-th) = int w_g exp(-w_g t) P(i - 1 others arrived before t) dt, a Poisson-binomial.
    """
    return _slot_law(config.num_slots, config.num_pairs, config.power_a)


@functools.lru_cache(maxsize=32)
def _slot_law(num_slots: int, num_pairs: int, power_a: float) -> np.ndarray:
    weights = np.arange(1, num_slots + 1) ** (power_a - 1.0)
    node, mass = np.polynomial.legendre.leggauss(_NODES)
    x, mass = (node + 1) / 2, mass / 2  # of x = t / (1 + t) on (0, 1)
    time, jacobian = x / (1 - x), 1 / (1 - x) ** 2
    arrived = -np.expm1(-weights[:, None] * time)  # (S, nodes)
    law = np.empty((num_slots, num_pairs))
    for slot in range(num_slots):
        count = np.zeros((num_pairs, _NODES))
        count[0] = 1.0
        for other in range(num_slots):
            if other != slot:
                p = arrived[other]
                count[1:] = count[1:] * (1 - p) + count[:-1] * p
                count[0] *= 1 - p
        law[slot] = count @ (mass * jacobian * weights[slot] * (1 - arrived[slot]))
    return law


def position_only_accuracy(config: MQARConfig) -> float:
    """Expected accuracy of the best rule that sees a query's position alone and answers with a value of the context."""
    return float(slot_law(config).max(1).sum() / config.num_pairs)


def value_guess_accuracy(config: MQARConfig) -> float:
    """Expected accuracy of guessing any value of the context: 1 / K."""
    return 1.0 / config.num_pairs


def position_rule(config: MQARConfig) -> np.ndarray:
    """The pair that the best position-only rule answers with at each slot, (S,)."""
    return slot_law(config).argmax(1)
