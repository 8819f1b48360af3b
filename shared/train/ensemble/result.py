"""What an ensemble leaves behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from shared.train.rules import columns_of
from shared.train.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class EnsembleResult:
    """Outcome of `train_ensemble`.

    runs: as given. rows: logged metrics in the order of logging, with `run` (its name), `step` and `phase`.
        "train" rows hold lr, loss, the task's metrics and grad_norm (before clipping), means over the updates since
        the row before, and the last effective_lr of rules that have their own; "eval" rows what the task measured; a
        "diverged" row ends a run and holds what was refused.
    steps: updates done, per run. diverged: per run.
    states: final parameters per run, under the model's names.
    provenance: what varies between equal runs.
    """

    runs: Sequence[Run]
    rows: list[dict[str, Any]]
    steps: list[int]
    diverged: list[bool]
    states: list[dict[str, Tensor]]
    provenance: dict[str, Any]

    def table(self) -> "pd.DataFrame":
        """Rows as a frame, with all settings of the run and `diverged` as columns."""
        import pandas as pd

        columns = {r.name: columns_of(r) | {"diverged": d} for r, d in zip(self.runs, self.diverged, strict=True)}
        return pd.DataFrame([{**row, **columns[row["run"]]} for row in self.rows])

    def last(self, metric: str) -> dict[str, float]:
        """Newest logged value of `metric` by run; NaN where there is none."""
        values = {run.name: float("nan") for run in self.runs}
        values.update({row["run"]: row[metric] for row in self.rows if metric in row and row["phase"] != "diverged"})
        return values
