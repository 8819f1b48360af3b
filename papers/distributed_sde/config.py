"""Settings of the paper, and how its steps are cut into jobs.

Steps: exact (closed forms), linear (quadratics), toy (quartic test functions), paths (methods beside their SDEs),
network (synthetic noise on full-batch gradients), minibatch (true mini-batch noise), processes (real ones).
"""

from papers.distributed_sde.network_settings import (
    MinibatchShard,
    MinibatchStudies,
    NetworkStudies,
    Processes,
    network_shards,
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


STEPS = {"claims": ("linear", "paths")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    one, minibatch = min(config.num_gpus, 1), config.minibatch
    return {
        "exact": {"exact": config.exact},
        "linear": {"linear": config.linear},
        "toy": {name: ToyShard(toys=part, num_gpus=one) for name, part in config.toys.parts().items()},
        "paths": {"paths": config.paths},
        "network": network_shards(config.network, one),
        "minibatch": {
            n.name: MinibatchShard(
                name=n.name,
                network=n.spec,
                studies=minibatch.model_copy(update={"networks": []}),
                num_gpus=config.num_gpus,
            )
            for n in minibatch.networks
        },
        "processes": {"processes": config.processes},
    }
