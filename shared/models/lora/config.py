"""Settings of low-rank adapters; imports without torch."""

from pydantic import Field

from shared.base.settings import StrictModel


class LoraConfig(StrictModel):
    """W = W0 + (alpha / rank) B A for each linear map whose name ends in one of `targets`."""

    rank: int = Field(16, ge=1)  # r: rows of A, columns of B; at most the smaller side of each map
    alpha: float = Field(32.0, gt=0)  # the update is scaled by alpha / rank
    targets: tuple[str, ...] = Field(("qkv_proj", "in_proj", "out_proj"), min_length=1)  # last parts of module names

    @property
    def scale(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank
