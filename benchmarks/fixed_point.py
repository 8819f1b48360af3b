"""Dense recurrence of an FP-RNN layer: parallel fixed point against token-by-token forms, forward and backward.

    python -m benchmarks.fixed_point                  # a minute of one core; --help for other sizes

Q_t = I - alpha u u^T of the input alone, so that all ways compute the same states (checked). Ways: the parallel
iteration to a tolerance of 1e-3 with the gradient of its last step; a loop over tokens that solves a D x D system; a
loop that uses that the system is diagonal plus rank one. The loops backpropagate exactly. Ways take turns within a
round; seconds are CPU seconds of one thread, medians over the rounds.
"""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.kernels import cpu_name
from papers.fixed_point_rnn.settings import SolverSettings
from papers.fixed_point_rnn.solver import solve
from shared.base.seeding import torch_generator
from shared.kernels.diagonal import diagonal_recurrence
from shared.kernels.dispatch import forms_that_ran

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]  # lam, v, u (B, T, D), alpha (B, T)


def inputs(batch: int, length: int, width: int) -> Inputs:
    """Random ones; unit directions u, lam and alpha in (0, 1), float32."""
    generator = torch_generator(0, "benchmark", length)
    lam, v, u = (torch.randn(batch, length, width, generator=generator) for _ in range(3))
    alpha = torch.rand(batch, length, generator=generator)
    return tuple(z.requires_grad_() for z in (lam.sigmoid(), v, torch.nn.functional.normalize(u, dim=-1), alpha))


def parallel(lam: Tensor, v: Tensor, u: Tensor, alpha: Tensor, tol: float = 1e-3) -> Tensor:
    """The fixed point by diagonal scans; (B, T, D)."""

    def f(h: Tensor) -> Tensor:
        difference = v - h
        mixed = difference - (alpha * (u * difference).sum(-1)).unsqueeze(-1) * u + h
        return diagonal_recurrence(lam, (1 - lam) * mixed)[0]

    return solve(f, torch.zeros_like(v), SolverSettings(tol=tol, quantile=1.0, l_max=1000)).y


def dense_loop(lam: Tensor, v: Tensor, u: Tensor, alpha: Tensor) -> Tensor:
    """h_t from (I - (I - L)(I - Q)) h_t = L h_{t-1} + (I - L) Q v_t, by a D x D solve at every token."""
    h, states = torch.zeros_like(v[:, 0]), []
    eye = torch.eye(v.shape[-1])
    for t in range(v.shape[1]):
        keep, u_t, a_t = 1 - lam[:, t], u[:, t], alpha[:, t, None]
        driven = lam[:, t] * h + keep * (v[:, t] - a_t * (u_t * v[:, t]).sum(-1, keepdim=True) * u_t)
        system = eye - (keep * a_t * u_t).unsqueeze(-1) * u_t.unsqueeze(-2)
        h = torch.linalg.solve(system, driven)
        states.append(h)
    return torch.stack(states, 1)


def rank_one_loop(lam: Tensor, v: Tensor, u: Tensor, alpha: Tensor) -> Tensor:
    """The same by Sherman and Morrison's formula, O(D) a token."""
    h, states = torch.zeros_like(v[:, 0]), []
    for t in range(v.shape[1]):
        keep, u_t, a_t = 1 - lam[:, t], u[:, t], alpha[:, t, None]
        driven = lam[:, t] * h + keep * (v[:, t] - a_t * (u_t * v[:, t]).sum(-1, keepdim=True) * u_t)
        column = keep * a_t * u_t
        h = driven + column * (u_t * driven).sum(-1, keepdim=True) / (1 - (u_t * column).sum(-1, keepdim=True))
        states.append(h)
    return torch.stack(states, 1)


WAYS: dict[str, Callable[..., Tensor]] = {
    "parallel fixed point": parallel,
    "loop, dense solve": dense_loop,
    "loop, rank one": rank_one_loop,
}


def seconds(way: Callable[..., Tensor], given: Inputs, backward: bool) -> float:
    """CPU seconds of one call, with its backward pass if asked for."""
    started = time.process_time()
    states = way(*given)
    if backward:
        torch.autograd.grad(states.sum(), given)
    return time.process_time() - started


def wins_from(medians: dict[int, dict[str, float]], rivals: tuple[str, ...]) -> int | None:
    """The length from which on the parallel form takes less time than every one of `rivals`; None if at no length."""
    found = None
    for length in sorted(medians, reverse=True):
        own, *others = (medians[length][name] for name in ("parallel fixed point", *rivals))
        if own >= min(others):
            break
        found = length
    return found


def main(
    lengths: Annotated[str, typer.Option(help="Sequence lengths, with commas.")] = "8,32,128,512,2048",
    batch: Annotated[int, typer.Option(help="Sequences.")] = 8,
    width: Annotated[int, typer.Option(help="Channels.")] = 64,
    rounds: Annotated[int, typer.Option(help="Timings of each way.")] = 3,
) -> None:
    """Time the three ways on one thread; markdown."""
    torch.set_num_threads(1)
    medians = ({}, {})
    rows = ["| T | way | forward, ms | with backward, ms |", "| --- | --- | --- | --- |"]
    for length in map(int, lengths.split(",")):
        given, taken = inputs(batch, length, width), {name: ([], []) for name in WAYS}
        exact = rank_one_loop(*given)
        for name, way in WAYS.items():
            error = float((way(*given) - exact).detach().abs().max() / exact.detach().abs().max())
            if error > 0.02:
                raise ValueError(f"'{name}' is off by {error:.2g} at T = {length}; lower the tolerance")
        for _ in range(rounds):
            for name, way in WAYS.items():
                for kind in (0, 1):
                    taken[name][kind].append(seconds(way, given, backward=bool(kind)))
        for kind in (0, 1):
            medians[kind][length] = {name: 1000 * statistics.median(parts[kind]) for name, parts in taken.items()}
        for name in WAYS:
            rows.append(f"| {length} | {name} | {medians[0][length][name]:.1f} | {medians[1][length][name]:.1f} |")
    chip = f"{cpu_name()}, torch {torch.__version__}, {forms_that_ran()}"
    typer.echo(f"{datetime.now(UTC):%Y-%m-%d}, {chip}; B {batch}, D {width}, CPU ms of one thread\n")
    typer.echo("\n".join(rows) + "\n")
    for rivals in (("loop, dense solve",), tuple(WAYS)[1:]):
        forward, both = (wins_from(part, rivals) for part in medians)
        typer.echo(f"faster than {' and '.join(rivals)}: forward from T = {forward}, with backward from T = {both}")


if __name__ == "__main__":
    typer.run(main)
