"""Settings of Fixed-Point RNNs: exact checks, and studies that train models on a task. No torch here."""

from typing import Any

from papers.fixed_point_rnn.settings import Entry, Exact, ModelSettings, Study
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel, merge


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


def entries_of(study: Study) -> list[Entry]:
    """The study's models, one per training l_max where several are asked for."""
    found = []
    for name, own in study.models.items():
        if own is None:
            continue
        values: dict[str, Any] = merge(study.model.model_dump(), own)
        limits = study.l_max.get(name) or (values["solver"]["l_max"],)
        for l_max in limits:
            changed = merge(values, {"solver": {"l_max": l_max}})
            label = name if len(limits) == 1 else f"{name}, l_max {l_max}"
            found.append(Entry(name=label, model=ModelSettings(**changed), gamma=study.gamma.get(name)))
    return found


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings."""
    found: dict[str, dict[str, StrictModel]] = {"verify": {"exact": config.exact}, "train": {}}
    for name, study in config.present().items():
        entries, size = entries_of(study), study.models_per_shard
        own = study.model_copy(update={"models": {}, "l_max": {}, "gamma": {}, "model": ModelSettings()})
        for start in range(0, len(entries), size):
            part = tuple(entries[start : start + size])
            shard = TrainShard(name=name, study=own, entries=part, num_gpus=config.num_gpus)
            found["train"][f"{name}-{start // size:02d}"] = shard
    return found
