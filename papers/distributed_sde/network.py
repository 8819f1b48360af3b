"""Step: a network with full-batch gradients and synthetic noise, so that |grad f| is known and the noise is as stated.

python -m papers.distributed_sde.network --scale cpu --shard dcsgd
"""

from collections.abc import Iterator

from papers.distributed_sde.full_batch import run_rows
from papers.distributed_sde.network_settings import NetworkShard
from papers.distributed_sde.problem import Problem
from shared.artifacts.step import step


@step
def network(settings: NetworkShard, device: str) -> dict[str, Iterator[dict]]:
    """Train under every rule at every noise or compression level."""
    return {settings.study: study_rows(settings, Problem(settings.network, device))}


def study_rows(settings: NetworkShard, problem: Problem) -> Iterator[dict]:
    """Rows of all runs of the shard's study."""
    study = getattr(settings.studies, settings.study)
    for rule, level in study.grid():
        rows = list(run_rows(problem, study, rule, level, settings.studies))
        print(f"{rule.name} {level:g}: loss {rows[-1]['loss']:.4g} ({rows[-1]['status']})", flush=True)
        own = {} if settings.study == "dcsgd" else {"label_smoothing": settings.network.label_smoothing}
        yield from (own | row for row in rows)


if __name__ == "__main__":
    network.main()
