"""Settings of the scaling of associative recall: see studies.py for what they are. Imports no torch."""

from papers.ar_scaling.studies import Config as Config
from papers.ar_scaling.studies import ExactShard, counted, dealt
from shared.base.settings import StrictModel

STEPS = {"tables": ("studies", "thresholds", "tasks")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    exact = ExactShard(exact=config.exact, counted=counted(config))
    return {"train": dealt(config), "exact": {"exact": exact}}
