"""What an ensemble cannot do and says so before it starts."""

from torch import nn

from shared.train.config import TrainingConfig


def check_config(config: TrainingConfig) -> None:
    """Refuse what only the training loop can do."""
    if config.precision == "fp16" or config.grad_accumulation_steps != 1:
        raise ValueError("an ensemble takes precision fp32 or bf16 and no gradient accumulation; use the training loop")


def refuse_dropout(model: nn.Module) -> None:
    """Refuse a model that draws masks as it trains."""
    for name, module in model.named_modules():
        rate = module.p if isinstance(module, nn.modules.dropout._DropoutNd) else getattr(module, "dropout", 0.0)
        if isinstance(rate, float) and rate > 0:
            raise ValueError(
                f"an ensemble cannot draw the dropout masks of separate runs; set dropout of '{name}' to 0"
                f" (it is {rate:g}) or train its members one by one"
            )
