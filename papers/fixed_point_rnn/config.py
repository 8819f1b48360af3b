"""Settings of Fixed-Point RNNs: exact checks, and studies that train models on a task. No torch here."""

from papers.fixed_point_rnn.settings import Entry, Exact, ModelSettings, Study, entries_of
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class TrainShard(StrictModel):
    """Some models of one study."""

    name: str  # of the study
    study: Study
    entries: tuple[Entry, ...]
    num_gpus: int


class Config(PaperConfig):
    """All of it."""

    exact: Exact
    studies: dict[str, Study | None]

    def present(self) -> dict[str, Study]:
        """The studies of this scale."""
        return {name: study for name, study in self.studies.items() if study is not None}


STEPS = {"tables": ("studies",), "claims": ("studies",)}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    found: dict[str, dict[str, StrictModel]] = {"verify": {"exact": config.exact}, "train": {}}
    for name, study in config.present().items():
        entries, size = entries_of(study), study.models_per_shard
        unused = {"models": {}, "reference": None, "l_max": {}, "gamma": {}, "model": ModelSettings()}
        own = study.model_copy(update=unused)
        for start in range(0, len(entries), size):
            part = tuple(entries[start : start + size])
            shard = TrainShard(name=name, study=own, entries=part, num_gpus=config.num_gpus)
            found["train"][f"{name}-{start // size:02d}"] = shard
    return found
