"""Step: true mini-batch noise. Every client draws from a shard of its own; with several processes each is a client.

python -m papers.distributed_sde.minibatch --scale cpu --shard mlp
"""

from collections.abc import Iterator

from papers.distributed_sde.minibatch_runs import run_rows
from papers.distributed_sde.network_settings import MinibatchShard, Study
from papers.distributed_sde.problem import Problem
from shared.artifacts.step import step
from shared.train.compressed import client_accelerator


@step
def minibatch(settings: MinibatchShard, device: str) -> Iterator[dict]:
    """Train on mini-batches under every rule at every level."""
    accelerator = client_accelerator(device) if settings.num_gpus > 1 else None
    problem = Problem(settings.network, device if accelerator is None else str(accelerator.device))
    for name in ("dcsgd", "dsign"):
        study: Study = getattr(settings.studies, name)
        for (rule, level), seed in ((cell, seed) for cell in study.grid() for seed in study.seeds):
            found = list(run_rows(problem, settings.studies, study, rule, level, seed, accelerator))
            print(f"{name} {rule.name} {level:g}: loss {found[-1]['loss']:.4g}", flush=True)
            yield from ({"network": settings.name, "study": name, **row} for row in found)


if __name__ == "__main__":
    minibatch.main()
