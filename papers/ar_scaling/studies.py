"""Settings: models, tasks, studies, and how they are cut into jobs. No torch here.

A study trains one model on one task over learning rates, widths, depths and seeds; `shown` names the figures and tables
that it enters, `row` what it is called there.
"""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel, merge
from shared.data.synthetic.config import parse_synthetic
from shared.train.recall.config import RecallSettings, RecallShard
from shared.train.sweep.config import SweepBlock, SweepConfig
from shared.train.sweep.packing import sweep_shards

Place = Literal["sweep", "width", "ablation", "position", "copy", "dynamics"]
Size = Annotated[int, Field(ge=1)]


class Own(StrictModel):
    """What a study has of its own of the settings that all share; None: nothing."""

    embedding_std: float | None = Field(default=None, gt=0)
    stack: int | None = Field(default=None, ge=1)


class Study(StrictModel):
    """One sweep of one model on one task."""

    model: str
    tasks: tuple[str, ...] = ("main",)
    row: str  # its name in tables and figures
    shown: tuple[Place, ...]
    layers: tuple[Size, ...] = Field(default=(1,), min_length=1)
    widths: tuple[Size, ...] = Field(min_length=1)
    lrs: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)  # peak learning rates
    seeds: Size | Annotated[tuple[int, ...], Field(min_length=1)]
    num_steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    settings: Own = Own()
    max_members: int = Field(default=64, ge=1)
    job: int = Field(default=0, ge=0)  # that trains it, where the scale does not deal studies itself


class Caps(StrictModel):
    """What a scale cuts off every study; None leaves it."""

    num_steps: int | None = Field(default=None, ge=1)
    seeds: int | None = Field(default=None, ge=1)
    num_lrs: int | None = Field(default=None, ge=1)  # the first of each grid
    width: int | None = Field(default=None, ge=1)  # of every model
    num_tasks: int | None = Field(default=None, ge=1)  # the first of each study

    def cut(self, study: Study) -> Study:
        """The study without what is cut off."""
        own = {"num_steps": self.num_steps, "seeds": self.seeds, "widths": self.width and (self.width,)}
        own |= {"lrs": study.lrs[: self.num_lrs], "tasks": study.tasks[: self.num_tasks]}
        return study.model_copy(update={name: value for name, value in own.items() if value is not None})


class Length(StrictModel):
    """Batch size and updates on a task, in place of a study's own."""

    batch_size: int = Field(ge=1)
    num_steps: int = Field(ge=1)


class TestPlan(StrictModel):
    """What trained models are asked at the end, on examples that neither training nor the choice of a rate has seen."""

    num_examples: int = Field(ge=1)
    num_pairs: tuple[int, ...]  # recall with other numbers of pairs at the same length, of the models of the sweeps
    gap_width: int = Field(ge=1)  # positions of a bin of distances between a key and its query


class Exact(StrictModel):
    """What needs no training."""

    sizes: tuple[tuple[int, int], ...]  # (L, K) of the baselines
    solved: tuple[tuple[int, int], ...]  # (L, K) of the constructions
    vocab_size: int = Field(ge=4)  # of the constructions
    num_examples: int = Field(ge=1)
    num_random: int = Field(ge=1)  # random weights that are tried
    capacity_pairs: tuple[int, ...]
    key_widths: tuple[int, ...]
    num_seeds: int = Field(ge=1)  # of the key directions


class Part(StrictModel):
    """Runs of one shape of one study."""

    study: str
    task: str
    recall: RecallShard
    num_pairs: tuple[int, ...] = ()  # that its models are asked for besides their own


class TrainShard(StrictModel):
    """One job: parts that are trained one after another."""

    parts: tuple[Part, ...] = Field(min_length=1)
    test: TestPlan
    num_gpus: int

    def sweeps(self) -> list[RecallShard]:
        """What `python -m shared.train.sweep plan` counts."""
        return [part.recall for part in self.parts]


class Counted(StrictModel):
    """A model whose parameters are counted."""

    model: str
    task: str
    recall: RecallSettings


class ExactShard(StrictModel):
    """The job."""

    exact: Exact
    counted: tuple[Counted, ...]


class Config(PaperConfig):
    """All of it."""

    jobs: int | None = Field(default=None, ge=1)  # training jobs; None: as the studies say
    common: dict[str, Any]  # RecallSettings that all studies share
    tasks: dict[str, dict[str, Any]]  # synthetic tasks by name
    models: dict[str, dict[str, Any]]  # backbones by name, over the common one
    studies: dict[str, Study | None]
    lengths: dict[str, Length] | None = None  # by task
    caps: Caps | None = None
    thresholds: tuple[Annotated[float, Field(gt=0, le=1)], ...]  # accuracies that count as success, for windows
    test: TestPlan
    exact: Exact

    def present(self) -> dict[str, Study]:
        """The studies of this scale, cut by its caps."""
        present = {name: study for name, study in self.studies.items() if study is not None}
        return present if self.caps is None else {name: self.caps.cut(study) for name, study in present.items()}

    def recall(self, study: Study, task: str, **backbone: Any) -> RecallSettings:
        """Settings of a study's models on one of its tasks.

        Raises:
            ValueError: a model or task that the config does not have.
        """
        for kind, name, known in (("model", study.model, self.models), ("task", task, self.tasks)):
            if name not in known:
                raise ValueError(f"a study names the {kind} '{name}'; known are {', '.join(known)}")
        own, data = merge(self.common, study.settings.model_dump(exclude_none=True)), parse_synthetic(self.tasks[task])
        size = {"num_layers": study.layers[0], "d_model": study.widths[0], "max_seq_len": data.num_positions}
        chosen = merge(merge(own["backbone"], self.models[study.model]), size | backbone)
        return RecallSettings(**own | {"backbone": chosen, "data": data, "num_gpus": self.num_gpus})


def parts_of(config: Config) -> Iterator[Part]:
    """All parts, study by study."""
    for name, study in config.present().items():
        for task in study.tasks:
            settings, own = config.recall(study, task), (config.lengths or {}).get(task, study)
            grid = {"model.num_layers": study.layers, "model.d_model": study.widths, "lr": study.lrs}
            sweep = SweepConfig(
                blocks=(SweepBlock(optimizer="adamw", grid=grid, fixed={"weight_decay": 0.1, "beta2": 0.999}),),
                batch_size=own.batch_size,
                num_steps=own.num_steps,
                seq_len=settings.data.num_positions,
                seeds=study.seeds,
            )
            cut = sweep_shards(RecallShard, settings, sweep, name=f"{name}-{task}", max_members=study.max_members)
            asked = config.test.num_pairs if "sweep" in study.shown else ()
            yield from (Part(study=name, task=task, recall=shard, num_pairs=asked) for shard in cut.values())


def dealt(config: Config) -> dict[str, TrainShard]:
    """Job -> its parts: as the studies say, or dealt in turn to as many jobs as the scale allows."""
    parts = list(parts_of(config))
    if config.jobs is None:
        numbers = [config.studies[part.study].job for part in parts]
    else:
        numbers = [index % config.jobs for index in range(len(parts))]
    own = {"test": config.test, "num_gpus": config.num_gpus}
    jobs: dict[int, list[Part]] = {}
    for number, part in zip(numbers, parts, strict=True):
        jobs.setdefault(number, []).append(part)
    digits = max(2, len(str(max(jobs))))
    return {f"train-{number:0{digits}d}": TrainShard(parts=jobs[number], **own) for number in sorted(jobs)}


def counted(config: Config) -> tuple[Counted, ...]:
    """Every model that a study trains, once."""
    found = {}
    for study in config.present().values():
        for task, layers, width in itertools.product(study.tasks, study.layers, study.widths):
            settings = config.recall(study, task, num_layers=layers, d_model=width)
            found.setdefault((study.model, task, layers, width), settings)
    return tuple(Counted(model=key[0], task=key[1], recall=settings) for key, settings in found.items())
