"""Settings of the paper, and how its steps are cut into jobs.

Steps: exact (closed forms), linear (quadratics), toy (quartic test functions), paths (methods beside their SDEs),
network (synthetic noise on full-batch gradients), minibatch (true mini-batch noise), processes (real ones).
"""

from papers.distributed_sde.network_settings import (
    MinibatchShard,
    MinibatchStudies,
    NetworkShard,
    NetworkStudies,
    Processes,
)
from papers.distributed_sde.settings import Exact, Linear, SimulatedPaths, Toys, ToyShard
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Config(PaperConfig):
    """All of it."""

    exact: Exact
    linear: Linear
    toys: Toys
    paths: SimulatedPaths
    network: NetworkStudies
    minibatch: MinibatchStudies
    processes: Processes


STEPS: dict[str, tuple[str, ...]] = {}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    toys, found = config.toys, {}
    found["exact"] = {"exact": config.exact}
    found["linear"] = {"linear": config.linear}
    found["toy"] = {
        f"toy-{start // toys.cells_per_shard:02d}": ToyShard(
            toys=toys.model_copy(update={"cells": toys.cells[start : start + toys.cells_per_shard]}),
            num_gpus=min(config.num_gpus, 1),
        )
        for start in range(0, len(toys.cells), toys.cells_per_shard)
    }
    found["paths"] = {"paths": config.paths}
    found["network"] = {}
    for study, other in (("dcsgd", "dsign"), ("dsign", "dcsgd")):
        # the other study is replaced by this one, so that a change of it does not rerun this job
        studies = config.network.model_copy(update={other: getattr(config.network, study)})
        found["network"][study] = NetworkShard(studies=studies, study=study, num_gpus=min(config.num_gpus, 1))
    found["minibatch"] = {
        network.name: MinibatchShard(
            name=network.name,
            network=network.spec,
            studies=config.minibatch.model_copy(update={"networks": []}),
            num_gpus=config.num_gpus,
        )
        for network in config.minibatch.networks
    }
    found["processes"] = {"processes": config.processes}
    return found
