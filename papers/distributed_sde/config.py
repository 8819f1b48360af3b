"""Settings of the paper, and how its steps are cut into jobs.

Steps: exact (closed forms), linear (quadratics), toy (quartic test functions), paths (methods beside their SDEs),
network (synthetic noise on full-batch gradients), minibatch (true mini-batch noise), processes (real ones).
"""

from papers.distributed_sde import network_settings as networks
from papers.distributed_sde.settings import Exact, Linear, SimulatedPaths, Toys, ToyShard
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Config(PaperConfig):
    """All of it."""

    exact: Exact
    linear: Linear
    toys: Toys
    paths: SimulatedPaths
    network: networks.NetworkStudies
    minibatch: networks.MinibatchStudies
    processes: networks.Processes


STEPS = {"claims": ("linear", "paths")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    one = min(config.num_gpus, 1)
    return {
        "exact": {"exact": config.exact},
        "linear": {"linear": config.linear},
        "toy": {name: ToyShard(toys=part, num_gpus=one) for name, part in config.toys.parts().items()},
        "paths": {"paths": config.paths},
        "network": networks.network_shards(config.network, one),
        "minibatch": networks.minibatch_shards(config.minibatch, config.num_gpus),
        "processes": {"processes": config.processes},
    }
