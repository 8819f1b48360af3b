"""Step: what is exact and needs no training: variance identity, inference problem, step bounds, filter demo.

python -m papers.signed_adam.exact --scale cpu --shard exact --out RECORD
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer

from papers.signed_adam.config import Exact
from papers.signed_adam.inference import WORKED, cases, closed_form, minimiser
from papers.signed_adam.variance import (
    adam_filter,
    demo_signal,
    emasign_filter,
    identity_error,
    largest_step,
    moments,
    radius_limit,
    signum_filter,
    square_completion_gap,
    streams,
    worst_stream,
)
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence


def identity_rows(settings: Exact) -> Iterator[dict]:
    """Error of Proposition 1 for every stream, on the diagonal and off it; and the remainder of Proposition 2."""
    pairs = [(beta, beta) for beta in settings.betas] + settings.unequal
    for (beta1, beta2), (stream, gradients) in itertools.product(pairs, streams(settings.num_steps).items()):
        yield {
            "beta1": beta1,
            "beta2": beta2,
            "case": stream,
            "error": identity_error(gradients, beta1, beta2),
            "remainder": square_completion_gap(beta1, beta2),
        }


def inference_rows(settings: Exact) -> Iterator[dict]:
    """Closed form of Theorem 4.1 against numerical minimisers of both orders of the divergence."""
    for index, case in enumerate(cases(settings.inference_cases)):
        exact, numeric, swapped = closed_form(case), minimiser(case), minimiser(case, swapped=True)
        yield {
            "case": "worked" if case is WORKED else f"random {index}",
            "g": case.g,
            "m_old": case.m,
            "s2_old": case.s2,
            "beta1": case.beta,
            "m": exact[0],
            "s2": exact[1],
            "error": math.dist(exact, numeric),
            "swapped_distance": math.dist(exact, swapped),
        }


def bound_rows(settings: Exact) -> Iterator[dict]:
    """Longest possible step of a coordinate: formula, and Adam run on the sequence that attains it."""
    pairs = [(beta, beta) for beta in settings.betas] + settings.unequal
    for (beta1, beta2), steps in itertools.product(pairs, (1, 10, 100)):
        m, v, _ = moments(worst_stream(steps, beta1, beta2), beta1, beta2)
        yield {
            "beta1": beta1,
            "beta2": beta2,
            "step": steps,
            "value": (m[-1].abs() / v[-1].sqrt()).item(),
            "bound": largest_step(steps, beta1, beta2),
            "limit": radius_limit(beta1, beta2),
        }


def filter_rows(settings: Exact) -> Iterator[dict]:
    """The demo signal and what each method makes of it; every fourth step."""
    signal = demo_signal(settings.filter_steps)
    middle = settings.filter_betas[len(settings.filter_betas) // 2]
    outputs = [("signal", math.nan, signal)]
    outputs += [("Adam", beta, adam_filter(signal, beta)) for beta in settings.filter_betas]
    outputs += [("Signum", middle, signum_filter(signal, middle)), ("EMASign", middle, emasign_filter(signal, middle))]
    for name, beta, values in outputs:
        for step in range(0, settings.filter_steps, 4):
            yield {"case": name, "beta1": beta, "step": step, "value": values[step].item()}


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="exact, the only one.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu, paper or paper-lite.")] = "cpu",
) -> None:
    """Compute the exact checks and curves."""
    settings: Exact = load_shard("signed_adam", "exact", scale, shard)
    torch.set_num_threads(1)
    provenance = Provenance()
    checks = {
        "identity": identity_rows(settings),
        "inference": inference_rows(settings),
        "bound": bound_rows(settings),
        "filter": filter_rows(settings),
    }
    write_record(out, [{"check": name, **row} for name, rows in checks.items() for row in rows], provenance)


if __name__ == "__main__":
    typer.run(main)
