"""Language models of a sweep as they stand in a config.yaml; imports without torch."""

from typing import Any, Self

from pydantic import Field, model_validator

from shared.data.config import TextConfig
from shared.models.config import LanguageBackbone, LanguageModelConfig, LSTMStackConfig
from shared.train.sweep.cost import ModelCost
from shared.train.sweep.shard import SweepSettings, SweepShard


class LanguageSettings(SweepSettings):
    """What all language models of a sweep have in common."""

    text: TextConfig = TextConfig()
    vocab_size: int | None = Field(default=None, ge=2)  # None: as many as the tokenizer has; needed for kind hub
    seq_len: int = Field(ge=2)  # tokens of a row that are predicted
    backbone: LanguageBackbone
    tie_embeddings: bool = False
    embedding_std: float = Field(default=0.02, gt=0)  # normal init of embedding and head

    validation_windows: int = Field(ge=1)  # held-out windows of seq_len + 1 tokens, the same for every run
    validation_rows: int = Field(default=128, ge=1)  # windows of one forward pass; divides validation_windows

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
            backbone=type(self.backbone).model_validate(self.backbone.model_dump() | overrides),
            tie_embeddings=self.tie_embeddings,
            embedding_std=self.embedding_std,
        )

    def model_cost(self, overrides: dict[str, Any]) -> ModelCost:
        """Parameters and FLOPs of a model, counted for softmax attention or for LSTMs.

        FLOPs of an update per token: 6 per parameter of the matrix products plus, with attention,
        12 * layers * seq_len * d_model (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
        """
        backbone = self.model_config_for(overrides).backbone
        width, layers = backbone.d_model, backbone.num_layers
        if isinstance(backbone, LSTMStackConfig):
            table = self.num_symbols * width
            matrices, biases = backbone.matrix_size, 8 * sum(backbone.widths[1:])
            tables = (1 if self.tie_embeddings else 2) * table
            return ModelCost(num_params=matrices + biases + tables, flops_per_token=6 * (matrices + table))
        mlp = (3 if backbone.mlp == "swiglu" else 2) * width * backbone.mlp_width
        matrices = layers * (4 * width * width + mlp)
        table = self.num_symbols * width
        return ModelCost(
            num_params=matrices + (1 if self.tie_embeddings else 2) * table + (2 * layers + 1) * width,
            flops_per_token=6 * (matrices + table) + 12 * layers * self.seq_len * width,
        )


class LanguageShard(SweepShard, LanguageSettings):
    """One job of a sweep of language models."""

    @model_validator(mode="after")
    def _rows_of_one_length(self) -> Self:
        run = self.runs[0]
        if run.seq_len != self.seq_len:
            raise ValueError(
                f"the sweep counts {run.seq_len} tokens a row and the models {self.seq_len}; make them equal"
            )
        return self
