"""Progress of a run: a bar on a terminal, plain lines in a log."""

import sys
import time
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_REDRAWS = 0.2


class ProgressReport:
    """Shows steps and the last logged metrics on stderr; shows nothing when `enabled` is False.

    In a log the first and the last row are always written, those between at most every ten seconds.
    """

    def __init__(self, title: str, num_steps: int, *, start: int = 0, enabled: bool = True):
        self.title, self.num_steps = title, num_steps
        self.enabled = enabled
        self._bar = self._make_bar(start) if enabled and sys.stderr.isatty() else None
        self._next_time = 0.0

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, step: int) -> None:
        """`step` updates are done; cheap enough to call after every one."""
        if self._bar is not None and (time.monotonic() >= self._next_time or step == self.num_steps):
            self._next_time = time.monotonic() + _SECONDS_BETWEEN_REDRAWS
            self._bar.update(self._task, completed=step, refresh=True)

    def row(self, row: dict[str, Any]) -> None:
        """A row was logged."""
        if not self.enabled:
            return
        text = "  ".join(f"{k} {v:.5g}" for k, v in row.items() if isinstance(v, int | float) and k != "step")
        if self._bar is not None:
            self._bar.update(self._task, metrics=text, refresh=True)
        elif time.monotonic() >= self._next_time or row["step"] >= self.num_steps:
            self._next_time = time.monotonic() + _SECONDS_BETWEEN_LINES
            print(f"{self.title}: step {row['step']}/{self.num_steps}  {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Something worth a line of its own."""
        if self.enabled:
            print(f"{self.title}: {text}", file=sys.stderr, flush=True)

    def _make_bar(self, start: int) -> Progress:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        bar = Progress(*columns, TextColumn("{task.fields[metrics]}"), console=Console(stderr=True), auto_refresh=False)
        self._task = bar.add_task(self.title, total=self.num_steps, completed=start, metrics="")
        return bar
