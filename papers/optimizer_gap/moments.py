"""SGD and SignSGD against their diffusions on f(x) = x^2 / 2: weak errors, stationary variances, loss over time.

The discrete laws are exact (a recursion of moments, the lattice law). Of the equations, SGD's has moments in closed
form and SignSGD's is solved backward on a grid; both are simulated by Euler-Maruyama as well.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.special import erf

from papers.optimizer_gap.backward import diffusion_expectation
from papers.optimizer_gap.lattice import SignWalk, expectation
from papers.optimizer_gap.problems import Decay, Stationary, WeakError, whole_updates
from papers.optimizer_gap.sde import (
    sgd_sde,
    sgd_second_moment,
    sgd_stationary_variance,
    sign_sde,
    sign_stationary_variance,
)
from shared.base.seeding import torch_generator
from shared.sde.simulate import simulate
from shared.sde.weak_error import linear_moments, mean_estimate

EQUATIONS = {"sgd": sgd_sde, "signsgd": sign_sde}


def square(x: np.ndarray) -> np.ndarray:
    return x * x


def discrete_second_moment(method: str, x0: float, num_steps: int, *, eta: float, batch_size: float, sigma: float):
    """E[x_k^2] after `num_steps` updates, exactly."""
    if num_steps == 0:
        return x0**2
    if method == "sgd":
        return sgd_second_moment(x0, num_steps, h=1.0, sigma=sigma, eta=eta, batch_size=batch_size)
    return expectation(SignWalk(eta, batch_size, sigma).law(x0, num_steps), square)


def equation_second_moment(method: str, x0: float, time: float, *, eta: float, batch_size: float, sigma: float):
    """E[X_t^2] of the diffusion, without sampling."""
    if method == "sgd":
        return linear_moments(x0, time, rate=1.0, additive=eta * sigma**2 / batch_size)[1]

    def mean(x: np.ndarray) -> np.ndarray:
        return erf(np.sqrt(batch_size / 2) * x / sigma)

    return diffusion_expectation(lambda x: -mean(x), lambda x: eta * (1 - mean(x) ** 2), square, x0, time)


def simulated(method: str, x0: float, time: float, *, eta: float, batch_size: float, sigma: float, settings):
    """States (K, P, 1) of Euler-Maruyama with steps of eta / steps_per_eta, recorded once per update."""
    equation = EQUATIONS[method](lambda x: x, eta=eta, batch_size=batch_size, sigma=sigma)
    every = settings.steps_per_eta
    paths = simulate(
        equation,
        torch.full((settings.num_paths, 1), x0, dtype=torch.float64),
        step_size=eta / every,
        num_steps=whole_updates(time, eta) * every,
        generator=torch_generator(0, "paths", method, f"{eta:g} {batch_size:g} {sigma:g}"),
        record_every=every,
    )
    return paths.states


def weak_rows(settings: WeakError) -> Iterator[dict]:
    """E x^2 of method and equation at one time, per learning rate."""
    for method in EQUATIONS:
        for eta in settings.etas:
            problem = {"eta": eta, "batch_size": settings.batch_size, "sigma": 1.0}
            discrete = discrete_second_moment(method, settings.x0, whole_updates(settings.time, eta), **problem)
            equation = equation_second_moment(method, settings.x0, settings.time, **problem)
            ends = simulated(method, settings.x0, settings.time, settings=settings, **problem)[-1]
            drawn = mean_estimate(ends.square())
            yield {
                "method": method,
                "eta": eta,
                "discrete": discrete,
                "equation": equation,
                "error": discrete - equation,
                "euler": drawn.mean,
                "euler_standard_error": drawn.standard_error,
            }


def stationary_rows(settings: Stationary) -> Iterator[dict]:
    """Stationary variance of the discrete methods and its small-eta formula, per batch size."""
    for batch_size in settings.batch_sizes:
        problem = {"h": 1.0, "sigma": 1.0, "eta": settings.eta, "batch_size": batch_size}
        walk = expectation(SignWalk(settings.eta, batch_size).stationary_law(), square)
        pairs = {
            "sgd": (sgd_stationary_variance(**problem), sgd_stationary_variance(**problem, discrete=False)),
            "signsgd": (walk, sign_stationary_variance(**problem)),
        }
        for method, (variance, formula) in pairs.items():
            yield {
                "method": method,
                "batch_size": batch_size,
                "eta": settings.eta,
                "variance": variance,
                "formula": formula,
            }


def decay_rows(settings: Decay) -> Iterator[dict]:
    """E f over time: over batch sizes, with simulated diffusions beside the exact laws, and over noise levels."""
    for method in EQUATIONS:
        for batch_size in settings.batch_sizes:
            problem = {"eta": settings.eta, "batch_size": batch_size, "sigma": settings.sigma}
            states = simulated(method, settings.x0, settings.time, settings=settings, **problem)
            for k, discrete in _moments(method, settings.x0, settings.time, settings.num_points, **problem):
                drawn = mean_estimate(states[k].square())
                yield {
                    "panel": "batch size",
                    "method": method,
                    **problem,
                    "time": k * settings.eta,
                    "discrete": 0.5 * discrete,
                    "euler": 0.5 * drawn.mean,
                    "euler_standard_error": 0.5 * drawn.standard_error,
                }
        for sigma in settings.sigmas:
            problem = {"eta": settings.noise_eta, "batch_size": 1, "sigma": sigma}
            for k, discrete in _moments(method, settings.x0, settings.time, settings.num_points, **problem):
                yield {
                    "panel": "noise level",
                    "method": method,
                    **problem,
                    "time": k * settings.noise_eta,
                    "discrete": 0.5 * discrete,
                    "euler": float("nan"),
                    "euler_standard_error": float("nan"),
                }


def _moments(method: str, x0: float, time: float, num_points: int, **problem) -> Iterator[tuple[int, float]]:
    """(update, E x^2) at about `num_points` updates, evenly spread over `time`; the last may lie a little before it."""
    num_steps = whole_updates(time, problem["eta"])
    every = max(1, round(num_steps / (num_points - 1)))
    last = num_steps // every * every
    if method == "sgd":
        for k in range(0, last + 1, every):
            yield k, discrete_second_moment(method, x0, k, **problem)
        return
    walk = SignWalk(problem["eta"], problem["batch_size"], problem["sigma"])
    for index, law in enumerate(walk.laws(x0, last, every)):
        yield index * every, expectation(law, square)
