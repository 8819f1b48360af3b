"""Dense recurrence of an FP-RNN layer: parallel fixed point against token-by-token forms, forward and backward.

    python -m benchmarks.fixed_point                  # a minute of one core; --help for other sizes

Q_t = I - alpha u u^T of the input alone, so that all ways compute the same states (checked). Ways: the parallel
iteration to a tolerance of 1e-3 with the gradient of its last step; a loop over tokens that solves a D x D system; a
loop that uses that the system is diagonal plus rank one. The loops backpropagate exactly. Ways take turns within a
round; times are CPU times of one thread, medians over the rounds, and so are the ratios to the parallel form within a
round.
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
    for lam_t, v_t, u_t, a_t in zip(*(z.unbind(1) for z in (lam, v, u, alpha.unsqueeze(-1))), strict=True):
        keep = 1 - lam_t
        driven = lam_t * h + keep * (v_t - a_t * (u_t * v_t).sum(-1, keepdim=True) * u_t)
        system = eye - (keep * a_t * u_t).unsqueeze(-1) * u_t.unsqueeze(-2)
        h = torch.linalg.solve(system, driven)
        states.append(h)
    return torch.stack(states, 1)


def rank_one_loop(lam: Tensor, v: Tensor, u: Tensor, alpha: Tensor) -> Tensor:
    """The same by Sherman and Morrison's formula, O(D) a token."""
    h, states = torch.zeros_like(v[:, 0]), []
    for lam_t, v_t, u_t, a_t in zip(*(z.unbind(1) for z in (lam, v, u, alpha.unsqueeze(-1))), strict=True):
        keep = 1 - lam_t
        driven = lam_t * h + keep * (v_t - a_t * (u_t * v_t).sum(-1, keepdim=True) * u_t)
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


def wins_from(ratios: dict[int, dict[str, float]], rivals: tuple[str, ...]) -> int | None:
    """The length from which on every one of `rivals` takes longer than the parallel form; None if at no length.

    Args:
        ratios: length -> way -> its time over that of the parallel form.
    """
    found = None
    for length in sorted(ratios, reverse=True):
        if min(ratios[length][name] for name in rivals) <= 1:
            break
        found = length
    return found


def rounds_of(given: Inputs, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Way -> seconds forward and with the backward pass, a pair for each round.

    Raises:
        ValueError: a way whose states differ by more than 2 % of the largest.
    """
    exact = rank_one_loop(*given).detach()
    for name, way in WAYS.items():
        error = float((way(*given).detach() - exact).abs().max() / exact.abs().max())
        if error > 0.02:
            raise ValueError(f"'{name}' is off by {error:.2g} at T = {exact.shape[1]}; lower the tolerance")
    taken = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            taken[name].append((seconds(way, given, backward=False), seconds(way, given, backward=True)))
    return taken


def main(
    lengths: Annotated[str, typer.Option(help="Sequence lengths, with commas.")] = "8,32,128,512,2048",
    batch: Annotated[int, typer.Option(help="Sequences.")] = 8,
    width: Annotated[int, typer.Option(help="Channels.")] = 64,
    rounds: Annotated[int, typer.Option(help="Timings of each way.")] = 5,
) -> None:
    """Time the three ways on one thread; markdown."""
    torch.set_num_threads(1)
    ratios: tuple[dict, dict] = ({}, {})
    rows = ["| T | way | forward ms | slower by | forward + backward ms | slower by |", "|" + " --- |" * 6]
    for length in map(int, lengths.split(",")):
        taken = rounds_of(inputs(batch, length, width), rounds)
        own = taken["parallel fixed point"]
        for name, pairs in taken.items():
            cells = [str(length), name]
            for kind in (0, 1):
                ratio = statistics.median(pair[kind] / base[kind] for pair, base in zip(pairs, own, strict=True))
                ratios[kind].setdefault(length, {})[name] = ratio
                cells += [f"{1000 * statistics.median(pair[kind] for pair in pairs):.1f}"]
                cells += ["-" if pairs is own else f"{ratio:.2f}x"]
            rows.append("| " + " | ".join(cells) + " |")
    chip = f"{cpu_name()}, torch {torch.__version__}, {forms_that_ran()}"
    typer.echo(f"{datetime.now(UTC):%Y-%m-%d}, {chip}; B {batch}, D {width}, CPU ms of one thread\n")
    typer.echo("\n".join(rows) + "\n")
    for rivals in (("loop, dense solve",), tuple(WAYS)[1:]):
        forward, both = (wins_from(part, rivals) for part in ratios)
        typer.echo(f"faster than {' and '.join(rivals)}: forward from T = {forward}, with backward from T = {both}")


if __name__ == "__main__":
    typer.run(main)
