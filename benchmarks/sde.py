"""Euler-Maruyama, paths x steps per second: ours, plain numpy loops, and torchsde where it is installed, in one run.

    python -m benchmarks.sde                          # a table; python -m benchmarks.sde --help

The problem is dX = -(X + X^3) dt + b dW with b = 0.3 (additive) or 0.3 sqrt(1 + X^2), the same step, the same number of
Gaussian increments for all. Ways take turns within a round, so that they share whatever else the machine does. Beside
wall time the CPU time of all threads is shown, which a busy machine disturbs less. torchsde is no dependency: put it on
PYTHONPATH (pip install --target FOLDER --no-deps torchsde trampoline).
"""

import importlib.util
import math
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from shared.base.seeding import numpy_generator, torch_generator
from shared.sde.problem import SDE
from shared.sde.simulate import simulate

DT = 0.01


def split(part: Callable[[int, int], np.ndarray], num_paths: int, threads: int) -> np.ndarray:
    """`part(index, paths)` on every thread, the paths shared out: numpy and torch both let go of Python's lock."""
    if threads == 1:
        return part(0, num_paths)
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(part, range(threads), [num_paths // threads] * threads)))


def numpy_loop(num_paths: int, d: int, num_steps: int, additive: bool, dtype: str, threads: int) -> np.ndarray:
    """The loop that one writes by hand, vectorised over paths."""

    def part(index: int, paths: int) -> np.ndarray:
        rng, x, root = numpy_generator(0, "benchmark", index), np.ones((paths, d), dtype), DT**0.5
        for _ in range(num_steps):
            b = 0.3 if additive else 0.3 * np.sqrt(1 + x * x)
            x = x - (x + x * x * x) * DT + b * root * rng.standard_normal(x.shape, dtype)
        return x

    return split(part, num_paths, threads)


def ours(num_paths: int, d: int, num_steps: int, additive: bool, dtype: str, threads: int) -> np.ndarray:
    diffusion = (lambda x, t: 0.3) if additive else (lambda x, t: 0.3 * (1 + x * x).sqrt())
    sde = SDE(lambda x, t: -(x + x * x * x), diffusion, noise="additive" if additive else "componentwise")
    x0, generator = torch.ones(num_paths, d, dtype=getattr(torch, dtype)), torch_generator(0, "benchmark")
    run = simulate(sde, x0, step_size=DT, num_steps=num_steps, generator=generator, num_threads=threads)
    return run.states[-1].numpy()


def torchsde_loop(num_paths: int, d: int, num_steps: int, additive: bool, dtype: str, threads: int) -> np.ndarray:
    """torchsde.sdeint with its Euler method; its Brownian interval is told the step, as its documentation advises."""
    import torchsde

    class Problem(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, x):
            return -(x + x * x * x)

        def g(self, t, x):
            return torch.full_like(x, 0.3) if additive else 0.3 * (1 + x * x).sqrt()

    def part(index: int, paths: int) -> np.ndarray:
        x0, end = torch.ones(paths, d, dtype=getattr(torch, dtype)), num_steps * DT
        with torch.no_grad():
            motion = torchsde.BrownianInterval(0.0, end, size=x0.shape, dtype=x0.dtype, dt=DT, entropy=index)
            times = torch.tensor([0.0, end], dtype=torch.float64)
            return torchsde.sdeint(Problem(), x0, times, bm=motion, method="euler", dt=DT)[-1].numpy()

    return split(part, num_paths, threads)


def ways(threads: int) -> dict[str, tuple[Callable[..., np.ndarray], int]]:
    """Name -> (function, threads)."""
    found = {"numpy loop, 1 thread": (numpy_loop, 1), "ours, 1 thread": (ours, 1)}
    if threads > 1:
        found |= {f"numpy loop, {threads} threads": (numpy_loop, threads), f"ours, {threads} threads": (ours, threads)}
    if importlib.util.find_spec("torchsde"):
        found |= {f"torchsde, {n} thread{'s' * (n > 1)}": (torchsde_loop, n) for n in sorted({1, threads})}
    return found


def check(name: str, states: np.ndarray, additive: bool) -> None:
    """All ways sample one law: the second moment at the end, within what their Monte Carlo errors allow."""
    moment, error = np.mean(states**2), np.std(states**2) / math.sqrt(states.size)
    reference = ours(4096, 16, 200, additive, "float64", 1)
    spread = math.hypot(error, np.std(reference**2) / math.sqrt(reference.size))
    if abs(moment - np.mean(reference**2)) > 5 * spread:
        raise ValueError(f"{name} samples another law: E x^2 = {moment:.4f}, ours {np.mean(reference**2):.4f}")


def main(
    num_paths: Annotated[int, typer.Option(help="Paths.")] = 2048,
    d: Annotated[int, typer.Option(help="Coordinates per path.")] = 16,
    num_steps: Annotated[int, typer.Option(help="Steps; 200 reach the stationary law.")] = 200,
    rounds: Annotated[int, typer.Option(help="Rounds; medians are shown.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of the threaded ways.")] = 2,
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
) -> None:
    """Measure every way and print a table per kind of noise."""
    torch.set_num_threads(1)
    console = Console(width=110)
    console.print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.processor() or platform.machine()}, torch {torch.__version__}"
    )
    console.print(f"{num_paths} paths x {num_steps} steps, d = {d}, {dtype}; medians of {rounds} rounds")
    for additive in (True, False):
        chosen, wall, cpu = ways(threads), {}, {}
        for turn in range(rounds + 1):  # the first round warms up and is checked
            for name, (function, count) in chosen.items():
                before, used = time.perf_counter(), time.process_time()
                states = function(num_paths, d, num_steps, additive, dtype, count)
                if turn == 0:
                    check(name, states, additive)
                    continue
                wall.setdefault(name, []).append(time.perf_counter() - before)
                cpu.setdefault(name, []).append(time.process_time() - used)
        table = Table(title="additive noise" if additive else "multiplicative noise")
        for column in ("way", "paths x steps / s", "of the numpy loop", "CPU ns per number"):
            table.add_column(column, justify="left" if column == "way" else "right")
        base = statistics.median(wall["numpy loop, 1 thread"])
        for name in chosen:
            seconds, used = statistics.median(wall[name]), statistics.median(cpu[name])
            rate, each = num_paths * num_steps / seconds, used / (num_paths * num_steps * d) * 1e9
            table.add_row(name, f"{rate:.3g}", f"{base / seconds:.2f}", f"{each:.1f}")
        console.print(table)


if __name__ == "__main__":
    typer.run(main)
