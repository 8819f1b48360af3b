"""Step: real processes as clients, beside the in-process simulation of as many.

python -m shared.train.launch --processes 2 -- papers.distributed_sde.processes --scale cpu --shard processes

The simulation repeats each run of the processes with the same streams, and adds runs with others: so the two are
compared draw by draw and in law.
"""

from papers.distributed_sde.clients import ProcessClients, SimulatedClients, Step, train
from papers.distributed_sde.network_settings import Processes
from papers.distributed_sde.problem import Problem
from papers.distributed_sde.rules import process_methods
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.train.compressed import client_accelerator


@step(processes="num_clients")
def processes(settings: Processes, provenance: Provenance) -> list[dict]:
    """Train with processes as clients, then simulate them; the rows are those of the first process."""
    accelerator = client_accelerator()
    provenance.add(num_processes=accelerator.num_processes)
    problem, rows = Problem(settings.network), []
    for name, (rule, method) in process_methods(settings).items():

        def run(clients: type, seed: int, *more: object, rule=rule, method=method) -> list[Step]:
            """Every `every`-th state of a run from the weights of seed 0, so that runs differ by their draws alone."""
            client = clients(problem, method, settings.batch_size, seed, *more)
            states = train(client, rule, None, problem.initial(0), settings.num_steps)
            return [state for state in states if state.step % settings.every == 0]

        real = {seed: run(ProcessClients, seed, accelerator) for seed in settings.seeds}
        if not accelerator.is_main_process:
            continue
        for seed in [*settings.seeds, *settings.law_seeds]:
            for index, state in enumerate(run(SimulatedClients, seed)):
                row = {"method": name, "seed": seed, "step": state.step, "loss_simulated": state.loss}
                if seed in real:
                    other = real[seed][index]
                    row |= {"loss_processes": other.loss, "largest_difference": float((state.x - other.x).abs().max())}
                rows.append(row)
    accelerator.end_training()
    return rows


if __name__ == "__main__":
    processes.main()
