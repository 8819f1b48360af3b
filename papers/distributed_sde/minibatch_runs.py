"""True mini-batch noise: every client draws from a shard of its own; with several processes each is a client."""

from collections.abc import Iterator

from accelerate import Accelerator

from papers.distributed_sde.clients import Clients, ProcessClients, SimulatedClients, train
from papers.distributed_sde.full_batch import status_of
from papers.distributed_sde.network_settings import MinibatchStudies, Rule, Study
from papers.distributed_sde.problem import Problem
from papers.distributed_sde.rules import build_method


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
    common |= {"status": status_of(first, rows[-1]["loss"])}
    yield from (common | row for row in rows)
