"""Exponents of power laws, and how far a simulation is from its equation. No torch here."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

WEAK_UP_TO = 0.05  # learning rates over which the weak order is fitted; above, SignSGD is not in its asymptotic range


def power(x: Sequence[float], y: Sequence[float]) -> float:
    """Exponent of |y| as a power of x: the slope in log-log coordinates, by least squares."""
    return float(np.polyfit(np.log(x), np.log(np.abs(y)), 1)[0])


def power_over_eta(part: pd.DataFrame, up_to: float = math.inf) -> float:
    """Weak order of a method of tab_sde, over learning rates up to a largest one."""
    fine = part[part.eta <= 1.001 * up_to]
    return power(fine.eta, fine.error)


def standard_errors_off(part: pd.DataFrame) -> float:
    """How far the simulation of tab_sde is from its equation, at most, in its standard errors."""
    return ((part.euler - part.equation) / part.euler_standard_error).abs().max()
