"""What a training run leaves behind."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """Outcome of `fit`.

    model: on the training device, with its last weights.
    rows: logged metrics in the order of logging, one dict each: `step` (updates done), `phase` and the metrics.
        "train" rows hold lr, loss, grad_norm and the task's metrics, means over the updates since the row before, and
        the last effective_lr of rules that have their own; "eval" rows hold what the task's `evaluate` returned; a last
        row "diverged" holds the metrics of the update that was refused. Same settings, same rows, on one machine.
    steps: updates done; the number of steps asked for unless the run diverged.
    diverged: a loss or gradient was not finite; that update was not applied, and the run ended there.
    provenance: what varies between equal runs: device, precision, threads, seconds, throughput, memory, resumptions.
    """

    model: "nn.Module" = field(repr=False, compare=False)
    rows: list[dict[str, Any]]
    steps: int
    diverged: bool
    provenance: dict[str, Any]

    def table(self) -> "pd.DataFrame":
        """Rows as a frame with the columns step, phase, diverged, then the metrics; NaN where a phase has no such."""
        import pandas as pd  # 0.5 s, which a run that only wants its rows need not pay

        metrics = dict.fromkeys(name for row in self.rows for name in row if name not in ("step", "phase"))
        rows = [{**row, "diverged": self.diverged} for row in self.rows]
        return pd.DataFrame(rows, columns=["step", "phase", "diverged", *metrics])

    def last(self, metric: str) -> float:
        """Newest logged value of `metric`; NaN where a run diverged before it was logged.

        Raises:
            KeyError: the run finished and never logged it.
        """
        for row in reversed(self.rows):
            if metric in row:
                return row[metric]
        if self.diverged:
            return float("nan")
        known = sorted({name for row in self.rows for name in row} - {"step", "phase"})
        raise KeyError(f"no row has {metric!r}; logged were {', '.join(known)}")
