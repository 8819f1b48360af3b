"""A sweep of language models as it stands in a config.yaml, and its cut into shards; imports without torch."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from pydantic import Field, model_validator

from shared.base.settings import StrictModel
from shared.data.config import TextConfig
from shared.models.config import BackboneConfig, LanguageModelConfig
from shared.optim.schedules import ScheduleName
from shared.train.config import Precision, TrainingConfig
from shared.train.sweep.config import Run, SweepConfig, expand
from shared.train.sweep.planner import ModelCost


class LanguageSettings(StrictModel):
    """What all language models of a sweep have in common."""

    text: TextConfig = TextConfig()
    vocab_size: int | None = Field(default=None, ge=2)  # None: as many as the tokenizer has; needed for kind hub
    seq_len: int = Field(ge=2)  # tokens of a row that are predicted
    backbone: BackboneConfig
    tie_embeddings: bool = False
    embedding_std: float = Field(default=0.02, gt=0)  # normal init of embedding and head

    schedule: ScheduleName = "cosine"
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)  # of a run's updates, rounded, at least 1 if positive
    min_lr: float | None = Field(default=None, ge=0)  # absolute learning rate where the decay ends; None: 0
    precision: Precision = "fp32"

    num_train_points: int = Field(default=20, ge=1)  # logged rows of a training curve (means over their updates)
    num_evaluations: int = Field(default=1, ge=1)  # validation passes of a run, the last one at its end
    validation_windows: int = Field(ge=1)  # held-out windows of seq_len + 1 tokens, the same for every run
    validation_rows: int = Field(default=128, ge=1)  # windows of one forward pass; divides validation_windows

    num_gpus: int = Field(default=0, ge=0)  # of one job
    stack: int | None = Field(default=None, ge=1)  # members computed together; None: measured on the machine
    extensions: int = Field(default=0, ge=0)  # times a learning-rate grid whose best value is at its edge is widened

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.validation_windows % self.validation_rows:
            raise ValueError(
                f"validation_windows {self.validation_windows} is not a multiple of validation_rows"
                f" {self.validation_rows}; unequal passes would weigh windows unequally"
            )
        if self.vocab_size is None and self.text.tokenizer.kind == "hub":
            raise ValueError("a hub tokenizer's size is not known before it is downloaded; give vocab_size")
        return self

    @property
    def num_symbols(self) -> int:
        """Size of the vocabulary."""
        tokenizer = self.text.tokenizer
        return self.vocab_size or tokenizer.num_ordinary + len(tokenizer.special_tokens)

    def model_config_for(self, overrides: dict[str, Any]) -> LanguageModelConfig:
        """The model of a run; `overrides` (its `model.<name>` values) change settings of the backbone."""
        return LanguageModelConfig(
            vocab_size=self.num_symbols,
            backbone=BackboneConfig.model_validate(self.backbone.model_dump() | overrides),
            tie_embeddings=self.tie_embeddings,
            embedding_std=self.embedding_std,
        )

    def training_for(self, run: Run) -> TrainingConfig:
        """Lengths, schedule and logging of a run; what belongs to a member is left out."""
        warmup = max(1, round(self.warmup_fraction * run.num_steps)) if self.warmup_fraction else 0
        return TrainingConfig(
            num_steps=run.num_steps,
            batch_size=run.batch_size,
            schedule=self.schedule,
            warmup_steps=warmup,
            precision=self.precision,
            log_every=max(1, run.num_steps // self.num_train_points),
            eval_every=0 if self.num_evaluations == 1 else max(1, run.num_steps // self.num_evaluations),
            checkpoint_every=max(1, run.num_steps // 4),
            **({} if self.min_lr is None else {"min_lr": self.min_lr}),
        )


class LanguageShard(LanguageSettings):
    """Settings of one job: runs of one shape, in the order of the sweep."""

    runs: tuple[Run, ...] = Field(min_length=1)


def language_shards(
    settings: LanguageSettings, sweep: SweepConfig, *, name: str = "sweep", max_members: int = 64
) -> dict[str, LanguageShard]:
    """Shard name -> settings; each shard holds runs of one shape.

    Runs that differ in nothing but learning rate and seed stay in one shard, since a job that widens a learning-rate
    grid has to see all of it; with `max_members` 1 each run is a job of its own, and no grid can be widened.

    Raises:
        ValueError: a cell of learning rates and seeds that has more runs than `max_members`.
    """
    if sweep.seq_len != settings.seq_len:
        raise ValueError(
            f"the sweep counts {sweep.seq_len} tokens a row and the models {settings.seq_len}; make them equal"
        )
    if max_members == 1 and settings.extensions:
        raise ValueError(
            "extensions need all learning rates of a cell in one job; raise max_members or set extensions: 0"
        )
    groups: dict[tuple, dict[tuple, list[Run]]] = {}
    for run in expand(sweep):
        groups.setdefault(run.shape, {}).setdefault((run.num_steps,) if max_members == 1 else cell_of(run), []).append(
            run
        )
    found: dict[str, LanguageShard] = {}
    base = settings.model_dump()
    for shape, cells in groups.items():
        label = f"{name}-b{shape[2]}" if len(groups) > 1 else name
        for index, runs in enumerate(_packed(list(cells.values()), max_members)):
            found[f"{label}-{index:02d}"] = LanguageShard(**base, runs=runs)
    return found


def cell_of(run: Run) -> tuple:
    """All that tells a run apart but its learning rate and seed."""
    settings = tuple(sorted((k, v) for k, v in run.settings.items() if k != "lr"))
    return (run.optimizer, settings, tuple(sorted(run.member.items())), tuple(sorted(run.values.items())), run.shape)


def _packed(cells: Sequence[list[Run]], max_members: int) -> list[list[Run]]:
    """Whole cells in order, in as few lists of at most `max_members` as that allows, of nearly equal length."""
    if max_members == 1:
        return [[run] for cell in cells for run in cell]
    largest = max(len(cell) for cell in cells)
    if largest > max_members:
        raise ValueError(
            f"one cell has {largest} learning rates and seeds, and a job may have {max_members} runs; raise it"
        )
    total = sum(len(cell) for cell in cells)
    target = math.ceil(total / math.ceil(total / max_members))
    packed: list[list[Run]] = [[]]
    for cell in cells:
        if packed[-1] and len(packed[-1]) + len(cell) > max(target, largest):
            packed.append([])
        packed[-1] += cell
    return packed


def widened(runs: Sequence[Run], *, low: bool) -> list[Run]:
    """The next learning rate beyond one end of a cell's grid, at the grid's own ratio there, for each of its seeds."""
    rates = sorted({float(run.settings["lr"]) for run in runs})
    if len(rates) < 2:
        raise ValueError(f"'{runs[0].name}' has one learning rate; a grid needs two before it can be widened")
    lr = rates[0] * rates[0] / rates[1] if low else rates[-1] * rates[-1] / rates[-2]
    lr = float(f"{lr:.3g}")
    edge = rates[0] if low else rates[-1]
    return [
        replace(run, name=run.name.replace(f"lr={edge:g}", f"lr={lr:g}"), settings={**run.settings, "lr": lr})
        for run in runs
        if run.settings["lr"] == edge
    ]


def model_cost(settings: LanguageSettings) -> ModelCost:
    """Parameters and FLOPs of the sweep's model, counted for softmax attention.

    FLOPs of an update per token: 6 per parameter of the matrix products plus 12 * layers * seq_len * d_model
    (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
    """
    backbone = settings.backbone
    width, layers = backbone.d_model, backbone.num_layers
    mlp = (3 if backbone.mlp == "swiglu" else 2) * width * backbone.mlp_width
    matrices = layers * (4 * width * width + mlp)
    table = settings.num_symbols * width
    return ModelCost(
        num_params=matrices + (1 if settings.tie_embeddings else 2) * table + (2 * layers + 1) * width,
        flops_per_token=6 * (matrices + table) + 12 * layers * settings.seq_len * width,
    )


def grouped_by_cell(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of each cell, in order of first appearance."""
    cells: dict[tuple, list[Run]] = {}
    for run in runs:
        cells.setdefault(cell_of(run), []).append(run)
    return list(cells.values())
