"""Models on synthetic token tasks as they stand in a config.yaml; imports without torch."""

from typing import Any, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from shared.data.synthetic.config import SyntheticConfig, parse_synthetic
from shared.models.config import BackboneConfig, LanguageModelConfig
from shared.train.sweep.cost import ModelCost
from shared.train.sweep.shard import SweepSettings, SweepShard


class RecallSettings(SweepSettings):
    """What all models of a sweep have in common."""

    data: SerializeAsAny[SyntheticConfig]
    num_examples: int | None = Field(
        default=None, ge=1
    )  # of the training set, the same for every run; None: fresh ones
    backbone: BackboneConfig
    tie_embeddings: bool = False
    embedding_std: float = Field(default=0.02, gt=0)  # normal init of embedding and head
    validation_examples: int = Field(ge=1)  # the same for every run
    validation_rows: int = Field(default=256, ge=1)  # examples of one forward pass; divides validation_examples

    @field_validator("data", mode="before")
    @classmethod
    def _parse_data(cls, value: Any) -> Any:
        return parse_synthetic(value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.validation_examples % self.validation_rows:
            raise ValueError(
                f"validation_examples {self.validation_examples} is not a multiple of validation_rows"
                f" {self.validation_rows}; unequal passes would weigh examples unequally"
            )
        return self

    def model_config_for(self, overrides: dict[str, Any]) -> LanguageModelConfig:
        """The model of a run; `overrides` (its `model.<name>` values) change settings of the backbone."""
        return LanguageModelConfig(
            vocab_size=self.data.num_symbols,
            backbone=BackboneConfig.model_validate(self.backbone.model_dump() | overrides),
            tie_embeddings=self.tie_embeddings,
            embedding_std=self.embedding_std,
        )

    def model_cost(self, overrides: dict[str, Any]) -> ModelCost:
        """Parameters and FLOPs, counted for softmax attention; logits at scored positions alone.

        FLOPs of an update per token: 6 per parameter of the matrix products plus 12 * layers * length * d_model
        (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
        """
        backbone, length = self.model_config_for(overrides).backbone, self.data.num_positions
        width, layers = backbone.d_model, backbone.num_layers
        mlp = (3 if backbone.mlp == "swiglu" else 2) * width * backbone.mlp_width
        matrices, table = layers * (4 * width * width + mlp), self.data.num_symbols * width
        scored = self.data.max_targets / length
        return ModelCost(
            num_params=matrices + (1 if self.tie_embeddings else 2) * table + (2 * layers + 1) * width,
            flops_per_token=6 * (matrices + scored * table) + 12 * layers * length * width,
        )


class RecallShard(SweepShard, RecallSettings):
    """One job of a sweep of models on a synthetic task."""

    @model_validator(mode="after")
    def _rows_of_one_length(self) -> Self:
        run, length = self.runs[0], self.data.num_positions
        if run.seq_len not in (1, length):
            raise ValueError(f"the sweep counts {run.seq_len} tokens a row and the task {length}; make them equal")
        return self
