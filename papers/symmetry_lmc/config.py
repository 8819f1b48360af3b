"""Settings of generalised linear mode connectivity: parents, pairs, triples, narrow into wide. No torch here.

A study is one data set with one architecture. Every scale names the same studies; null leaves one out.
"""

from pydantic import Field, model_validator

from papers.symmetry_lmc.settings import (
    AlignShard,
    MergeShard,
    Merging,
    ParentsShard,
    Study,
    WidenShard,
    Widths,
)
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Thresholds(StrictModel):
    """What claims ask for at a scale."""

    learned_nats: float = Field(gt=0)  # largest barrier of learned matching on image models
    early_step: int = Field(ge=1)  # updates after which starts of learned matching are compared


class Config(PaperConfig):
    """All of it."""

    studies: dict[str, Study | None]
    merging: dict[str, Merging | None]  # by study
    widths: dict[str, Widths | None]  # by study
    thresholds: Thresholds

    @model_validator(mode="after")
    def _enough(self) -> "Config":
        for name, study in self.present().items():
            merging, widths, given = self.merging.get(name), self.widths.get(name), study.parents.num_models
            if merging is not None and 3 * merging.num_triples > given:
                raise ValueError(f"merging.{name}: {merging.num_triples} disjoint triples; there are {given} models")
            if widths is not None and widths.num_pairs > given:
                raise ValueError(f"widths.{name}: {widths.num_pairs} pairs; there are {given} models")
        return self

    def present(self) -> dict[str, Study]:
        """The studies of this scale."""
        return {name: study for name, study in self.studies.items() if study is not None}


STEPS = {"tables": ("studies",), "claims": ("studies", "thresholds")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings. A job of alignments has the name of the job that trained its networks."""
    found: dict[str, dict[str, StrictModel]] = {"train": {}, "align": {}, "merge": {}, "widen": {}}
    gpus, one = {"num_gpus": config.num_gpus}, {"num_gpus": min(1, config.num_gpus)}
    for name, study in config.present().items():
        parents = {"parents": study.parents}
        found["train"][name] = ParentsShard(**study.parents.model_dump(), study=name, width=None, **gpus)
        found["align"][name] = AlignShard(**study.alignment.model_dump(), study=name, **parents, **one)
        merging, widths = config.merging.get(name), config.widths.get(name)
        if merging is not None:
            found["merge"][name] = MergeShard(**merging.model_dump(), study=name, **parents, **one)
        if widths is None:
            continue
        own = study.parents.model_copy(update={"num_models": max(2, widths.num_pairs)}).model_dump()
        for width in (*widths.widths, *([widths.wide] if widths.wide else [])):
            found["train"][f"{name}-width{width}"] = ParentsShard(**own, study=name, width=width, **gpus)
        how = {"study": name, "wide": widths.wide, "wide_shard": f"{name}-width{widths.wide}" if widths.wide else name}
        how |= {"num_pairs": widths.num_pairs, "sampler": widths.sampler, "alignment": study.alignment}
        for width in widths.widths:
            found["widen"][f"{name}-width{width}"] = WidenShard(width=width, **how, **parents, **one)
    return {step: own for step, own in found.items() if own}
