"""A sweep as it stands in a config.yaml; imports without torch.

    sweep:
      batch_size: 16
      seq_len: 32
      num_tokens: 262144
      seeds: 2
      fixed: {clip_norm: 1.0}
      blocks:
        - {optimizer: adam, grid: {lr: [3.0e-3, 1.0e-2], beta2: [0.95, 0.999]}}
        - {optimizer: sgd_ema, grid: {lr: [0.3, 1.0, 3.0], momentum: [0.0, 0.9]}}

A name in `grid`, `together` or `fixed` is a hyperparameter of the block's optimiser or one of

    batch_size, num_steps, num_tokens   length and shape of the run
    clip_norm, noise_scale, data_seed   as in `Run`; clip_norm 0 is no bound
    loss.<name>                         a number that the loss reads, e.g. loss.label_smoothing
    model.<name>                        a setting of the model; runs that differ in it go to different ensembles
"""

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from shared.base.settings import StrictModel
from shared.train.run import Run, Value

_LENGTHS = ("num_steps", "num_tokens")
_RUN_KEYS = ("batch_size", *_LENGTHS, "clip_norm", "noise_scale", "data_seed")


def _one_or_more(seeds: int | tuple[int, ...]) -> int | tuple[int, ...]:
    if seeds == () or (isinstance(seeds, int) and seeds < 1):
        raise ValueError(f"a sweep needs a seed; got {seeds}, which gives it no run")
    return seeds


Seeds = Annotated[int | tuple[int, ...], AfterValidator(_one_or_more)]  # their number (0, 1, ...), or themselves


class SweepBlock(StrictModel):
    """The product of `grid`, of the rows of `together` and of the seeds, for one optimiser."""

    optimizer: str  # name of an update rule
    grid: dict[str, tuple[Value, ...]] = {}  # name -> values; every combination is run
    together: dict[str, tuple[Value, ...]] = {}  # names whose values are taken side by side: equally long lists
    fixed: dict[str, Value] = {}  # overrides those of the sweep
    seeds: Seeds | None = None  # the sweep's if None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        lengths = {name: len(values) for name, values in self.together.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ValueError(f"lists under 'together' are read side by side and must be equally long; {listed}")
        for name, values in (*self.grid.items(), *self.together.items()):
            if not values:
                raise ValueError(f"'{name}' of the {self.optimizer} block has no values; give at least one")
            if name in self.grid and len(set(values)) < len(values):
                raise ValueError(f"'{name}' of the {self.optimizer} block lists a value twice: {list(values)}")
        names = [*self.grid, *self.together, *self.fixed]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' of the {self.optimizer} block is given in two places; keep one")
        return self


class SweepConfig(StrictModel):
    """Blocks of runs with what they have in common."""

    blocks: tuple[SweepBlock, ...] = Field(min_length=1)
    batch_size: int = Field(gt=0)  # rows per update
    num_steps: int | None = Field(default=None, gt=0)  # updates of a run; give this or num_tokens
    num_tokens: int | None = Field(default=None, gt=0)  # tokens of a run: num_steps = num_tokens / (batch_size seq_len)
    seq_len: int = Field(default=1, gt=0)  # tokens of a row; 1 where rows are not sequences
    seeds: Seeds = 1
    fixed: dict[str, Value] = {}  # values that all runs share unless their block says otherwise

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.num_steps is None) == (self.num_tokens is None):
            raise ValueError("a sweep needs exactly one of num_steps and num_tokens")
        return self

    @property
    def num_runs(self) -> int:
        return sum(1 for _ in expand(self))


def expand(sweep: SweepConfig) -> Iterator[Run]:
    """All runs, block by block, in the order in which the lists are written; seeds vary fastest."""
    names: set[str] = set()
    for block in sweep.blocks:
        seeds = sweep.seeds if block.seeds is None else block.seeds
        seeds = range(seeds) if isinstance(seeds, int) else seeds
        for varied in _combinations(block):
            chosen = {**sweep.fixed, **block.fixed, **varied}
            for seed in seeds:
                run = _run(sweep, block.optimizer, chosen, varied, seed)
                if run.name in names:
                    raise ValueError(f"two runs of the sweep are called '{run.name}'; blocks must not overlap")
                names.add(run.name)
                yield run


def _combinations(block: SweepBlock) -> Iterator[dict[str, Value]]:
    rows = [dict(zip(block.together, row, strict=True)) for row in zip(*block.together.values(), strict=True)] or [{}]
    for row in rows:
        for values in itertools.product(*block.grid.values()):
            yield {**dict(zip(block.grid, values, strict=True)), **row}


def _run(sweep: SweepConfig, optimizer: str, chosen: dict[str, Any], varied: dict[str, Value], seed: int) -> Run:
    part: dict[str, dict[str, Any]] = {"model": {}, "loss": {}, "run": {}, "rule": {}}
    for key, value in chosen.items():
        head, _, tail = key.partition(".")
        if tail and head in ("model", "loss"):
            part[head][tail] = value
        else:
            part["run" if key in _RUN_KEYS else "rule"][key] = value
    own = part["run"]
    batch_size = int(own.get("batch_size", sweep.batch_size))
    label = " ".join([optimizer, *(f"{k}={_text(v)}" for k, v in varied.items()), f"seed={seed}"])
    clip_norm = float(own.get("clip_norm", 0.0))
    return Run(
        name=label,
        optimizer=optimizer,
        settings=part["rule"],
        batch_size=batch_size,
        num_steps=_num_steps(sweep, own, batch_size, label),
        seq_len=sweep.seq_len,
        seed=seed,
        data_seed=int(own["data_seed"]) if "data_seed" in own else None,
        clip_norm=None if clip_norm in (0.0, math.inf) else clip_norm,
        noise_scale=float(own.get("noise_scale", 0.0)),
        values=part["loss"],
        model=part["model"],
    )


def _num_steps(sweep: SweepConfig, own: dict[str, Any], batch_size: int, label: str) -> int:
    """Updates of a run; its own num_steps or num_tokens goes before the sweep's. At least one."""
    if batch_size < 1:
        raise ValueError(f"'{label}' has batch size {batch_size}; it has to be at least 1")
    if "num_steps" in own or ("num_tokens" not in own and sweep.num_steps is not None):
        return int(own.get("num_steps", sweep.num_steps))
    tokens, per_step = int(own.get("num_tokens", sweep.num_tokens)), batch_size * sweep.seq_len
    if tokens < per_step:
        raise ValueError(f"'{label}' has {tokens} tokens, fewer than one batch of {batch_size} x {sweep.seq_len}")
    return tokens // per_step


def _text(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)
