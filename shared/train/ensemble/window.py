"""Means of logged scalars over the updates since the last row, for all members at once."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class WindowMeans:
    """Sums and counts of scalars, (M,) each in float64; numbers that are not finite are left out of a mean.

    Args:
        saved: a former `state_dict`, its tensors moved to `device`; nothing summed yet if omitted.
    """

    def __init__(self, saved: Mapping[str, Any] | None = None, device: torch.device | None = None):
        saved = {"sums": {}, "counts": {}} if saved is None else saved
        self.sums: dict[str, Tensor] = {name: value.to(device) for name, value in saved["sums"].items()}
        self.counts: dict[str, Tensor] = {name: value.to(device) for name, value in saved["counts"].items()}

    def add(self, scalars: Mapping[str, Tensor], alive: Tensor) -> None:
        """Count one update of the members that are alive.

        Args:
            scalars: (M,) per name. alive: (M,) of booleans.
        """
        for name, values in scalars.items():
            counted = alive & torch.isfinite(values)
            total, count = torch.where(counted, values.double(), 0.0), counted.double()
            self.sums[name] = self.sums[name] + total if name in self.sums else total
            self.counts[name] = self.counts[name] + count if name in self.counts else count

    def means(self) -> dict[str, list[float]]:
        """Name -> mean of each member; NaN where nothing was counted."""
        return {name: (total / self.counts[name]).tolist() for name, total in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts}
