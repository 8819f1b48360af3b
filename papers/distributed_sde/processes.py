"""Step: real processes as clients, beside the in-process simulation of as many.

python -m shared.train.launch --processes 2 -- papers.distributed_sde.processes --shard processes --out RECORD

The simulation repeats each run of the processes with the same streams, and adds runs with others: so the two are
compared draw by draw and in law.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

from papers.distributed_sde.clients import ProcessClients, SimulatedClients, Step, train
from papers.distributed_sde.config import Processes, Rule
from papers.distributed_sde.problem import Problem
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.optim.compression import Bernoulli, Sign
from shared.optim.distributed import DistributedMethod
from shared.optim.gradient_noise import GradientNoise
from shared.train.compressed import client_accelerator


def methods(settings: Processes) -> dict[str, tuple[Rule, DistributedMethod]]:
    """The two methods by name."""
    affine, cauchy = GradientNoise(relative=settings.s1), GradientNoise(additive=settings.sign_scale, nu=1.0)
    count = settings.num_clients
    dcsgd, dsign = settings.dcsgd_rule, settings.dsign_rule
    return {
        "DCSGD": (dcsgd, DistributedMethod(dcsgd.lr, count, affine, Bernoulli.with_omega(settings.omega), dcsgd.decay)),
        "DSignSGD": (dsign, DistributedMethod(dsign.lr, count, cauchy, Sign(), dsign.decay)),
    }


def logged(states: list[Step], every: int) -> list[Step]:
    return [state for state in states if state.step % every == 0]


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="processes, the only one.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Train with processes as clients, then simulate them."""
    settings: Processes = load_shard("distributed_sde", "processes", scale, shard)
    torch.set_num_threads(1)
    accelerator = client_accelerator()
    provenance = Provenance(num_processes=accelerator.num_processes)
    problem, rows = Problem(settings.network), []
    for name, (rule, method) in methods(settings).items():

        def run(seed: int, real: bool, rule: Rule = rule, method: DistributedMethod = method) -> list[Step]:
            """Every `every`-th state of a run from the weights of seed 0, so that runs differ by their draws alone."""
            arguments = (problem, method, settings.batch_size, seed)
            clients = ProcessClients(*arguments, accelerator) if real else SimulatedClients(*arguments)
            return logged(list(train(clients, rule, None, problem.initial(0), settings.num_steps)), settings.every)

        real = {seed: run(seed, True) for seed in settings.seeds}
        if not accelerator.is_main_process:
            continue
        for seed in [*settings.seeds, *settings.law_seeds]:
            simulated = run(seed, False)
            for index, state in enumerate(simulated):
                row = {"method": name, "seed": seed, "step": state.step, "loss_simulated": state.loss}
                if seed in real:
                    other = real[seed][index]
                    row |= {"loss_processes": other.loss, "largest_difference": float((state.x - other.x).abs().max())}
                rows.append(row)
    if accelerator.is_main_process:
        write_record(out, rows, provenance)
    accelerator.end_training()


if __name__ == "__main__":
    typer.run(main)
