"""Step: everything that is exact and needs no training: the bound, its reductions, the schedule and the weights.

python -m papers.gidd.verify --scale cpu --shard exact --out RECORD
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer

from papers.gidd.config import Exact
from papers.gidd.exact import (
    discretisation_rows,
    mask_reduction_rows,
    minimiser_rows,
    nll_identity_rows,
    sampler_rows,
    truncation_rows,
)
from papers.gidd.members import HybridProcess
from papers.gidd.weighting import training_weight
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence

DRAWN_WEIGHTINGS = ("none", "clamp", "dynamic", "dynamic_exact")


def schedule_rows(settings: Exact) -> Iterator[dict]:
    """Mass on data, mask and uniform noise over t, for every p_u at gamma = 1."""
    t = torch.linspace(0, 1, settings.curve_points, dtype=torch.float64)
    for p_u in settings.p_us:
        process = HybridProcess(settings.vocab_size, p_u=p_u)
        masses = {
            "data": process.alpha(t),
            "mask": process.mask_mass(t),
            "uniform": process.num_ordinary * process.token_mass(t),
        }
        for part, mass in masses.items():
            for time, value in zip(t.tolist(), mass.tolist(), strict=True):
                yield {"p_u": p_u, "part": part, "t": time, "mass": value}


def weight_rows(settings: Exact) -> Iterator[dict]:
    """Loss weight of the three kinds of token over t, for every weighting and p_u > 0."""
    t = torch.linspace(0.005, 0.995, settings.curve_points, dtype=torch.float64)
    for p_u in [p for p in settings.p_us if p > 0]:
        process = HybridProcess(settings.vocab_size, p_u=p_u)
        x = torch.zeros(len(t), 1, dtype=torch.int64)
        for kind, token in (("mask", process.mask_id), ("wrong token", 1), ("data token", 0)):
            z = torch.full_like(x, token)
            for weighting in DRAWN_WEIGHTINGS:
                weight = training_weight(weighting, process, t, z, x).squeeze(1)
                for time, value in zip(t.tolist(), weight.tolist(), strict=True):
                    yield {"p_u": p_u, "weighting": weighting, "kind": kind, "t": time, "weight": value}


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="exact, the only one.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Compute the exact checks and curves."""
    settings: Exact = load_shard("gidd", "verify", scale, shard)
    torch.set_num_threads(1)  # tensors of a few numbers: a second thread only waits
    provenance = Provenance()
    checks = {
        "nll_identity": nll_identity_rows(settings.p_us, settings.gammas),
        "mask_reduction": mask_reduction_rows(),
        "truncation": truncation_rows(settings.truncation_vocab, settings.p_us),
        "minimiser": minimiser_rows(),
        "discretisation": discretisation_rows(settings.discretisation_steps),
        "sampler": sampler_rows(settings.num_steps),
        "schedule": schedule_rows(settings),
        "weights": weight_rows(settings),
    }
    write_record(out, [{"check": name, **row} for name, rows in checks.items() for row in rows], provenance)


if __name__ == "__main__":
    typer.run(main)
