"""Step: true mini-batch noise. Every client draws from a shard of its own; with several processes each is a client.

python -m papers.distributed_sde.minibatch --scale cpu --shard mlp --out RECORD
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from accelerate import Accelerator

from papers.distributed_sde.clients import Clients, ProcessClients, SimulatedClients, train
from papers.distributed_sde.config import MinibatchShard, MinibatchStudies, Rule, Study
from papers.distributed_sde.problem import Problem
from papers.distributed_sde.rules import build_method
from shared.artifacts.config import load_shard
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.train.compressed import client_accelerator
from shared.train.launch.devices import require_device


def run_rows(
    problem: Problem,
    studies: MinibatchStudies,
    study: Study,
    rule: Rule,
    level: float,
    seed: int,
    accelerator: Accelerator | None,
) -> Iterator[dict]:
    """Rows of one run; losses are means over the clients' mini-batches of the last `every` steps."""
    x = problem.initial(seed)
    method, kappa = build_method(study, rule, level, studies, len(x))
    arguments = (problem, method, studies.batch_size, seed)
    clients: Clients = SimulatedClients(*arguments) if accelerator is None else ProcessClients(*arguments, accelerator)
    rows, window, first, largest, average = [], [], None, 0.0, None
    for state in train(clients, rule, method.normalisation, x, study.num_steps, studies.ema):
        first = state.loss if first is None else first
        window.append(state.loss)
        average = state.loss if average is None else 0.9 * average + 0.1 * state.loss
        largest = max(largest, average / first)
        if state.step % study.every == 0 or state.diverged:
            rows.append({"step": state.step, "loss": sum(window) / len(window), "grad_norm": state.message_norm})
            window = []
    common = {"rule": rule.name, "level": level, "seed": seed, "kappa": kappa, "max_over_initial": largest}
    common |= {
        "status": "diverged" if state.diverged else "finite",
        "diverged_at": state.step if state.diverged else -1,
    }
    yield from (common | row for row in rows)


@in_one_sentence
def main(
    shard: Annotated[str, typer.Option(help="Name of the network, e.g. mlp.")],
    out: Annotated[Path, typer.Option(help="Record to write.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Train on mini-batches under every rule at every level."""
    settings: MinibatchShard = load_shard("distributed_sde", "minibatch", scale, shard)
    device = require_device("cuda" if settings.num_gpus else "cpu")
    torch.set_num_threads(1)
    accelerator = client_accelerator(device) if settings.num_gpus > 1 else None
    provenance = Provenance(device=device)
    problem = Problem(settings.network, device if accelerator is None else str(accelerator.device))
    rows = []
    for name in ("dcsgd", "dsign"):
        study: Study = getattr(settings.studies, name)
        for rule in study.rules:
            for level in study.levels:
                for seed in study.seeds:
                    found = list(run_rows(problem, settings.studies, study, rule, level, seed, accelerator))
                    rows += [{"network": settings.name, "study": name, **row} for row in found]
                    print(f"{name} {rule.name} {level:g}: loss {rows[-1]['loss']:.4g}", flush=True)
    if accelerator is None or accelerator.is_main_process:
        write_record(out, rows, provenance)


if __name__ == "__main__":
    typer.run(main)
