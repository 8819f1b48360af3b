"""A sweep of 64 runs four ways, side by side: one after another, compiled, as processes, as our ensembles.

    python -m benchmarks.sweep                       # every row; prints a table and writes it as Markdown
    python -m benchmarks.sweep --rows lm-32-1,mlp --rounds 3 --out table.md

Each way lives in worker processes of its own that wait for their turn, so the rounds of all ways interleave and share
whatever else the machine does; the medians over rounds are compared. Start-up and compilation are apart, as "ready".
With `--clock cpu` each process's own CPU seconds count, divided by its threads: as if it had cores to itself.
That is the fairer clock on a shared machine, where two processes get less than twice the share of one.
With `--device cuda` all ways share one GPU, the ensembles in one process, and the memory is the GPU's.

    eager       one model after another, torch eager, fused AdamW; the better of one thread and all
    compiled    the same with the forward and backward pass through torch.compile
    processes   as a shell loop would: one process a core, each eager with one thread
    ensemble    ours: one job a core, its runs stacked
"""

import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from shared.base.seeding import torch_generator
from shared.models.backbone import Backbone
from shared.models.config import BackboneConfig, LanguageModelConfig, MLPConfig
from shared.models.language_model import LanguageModel
from shared.models.mlp import MLP
from shared.train.config import TrainingConfig
from shared.train.ensemble.state import EnsembleRun
from shared.train.run import Run
from shared.train.task import Task

NUM_MEMBERS = 64
_SAMPLED = 8  # of the members, trained by the ways whose cost per member does not depend on the others


class LanguageTask(Task):
    """Two-layer byte-level language model; random bytes cost what text does."""

    def __init__(self, d_model: int, seq_len: int):
        self.tokens_per_row = seq_len
        backbone = BackboneConfig(d_model=d_model, num_layers=2, mlp="swiglu", mlp_hidden=8 * d_model // 3 // 8 * 8)
        self.config = LanguageModelConfig(vocab_size=256, backbone=backbone)

    def build(self, seed: int) -> nn.Module:
        return LanguageModel(self.config, torch_generator(seed, "init"))

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        shape = (len(rows), self.tokens_per_row + 1)
        return {"tokens": torch.randint(0, 256, shape, generator=torch_generator(seed, "batch", step))}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], values: dict[str, Tensor]) -> Tensor:
        tokens = batch["tokens"]
        return F.cross_entropy(model(tokens[:, :-1]).flatten(0, -2), tokens[:, 1:].flatten())


class VisionTransformer(nn.Module):
    """2 x 2 patches of an 8 x 8 image, two bidirectional blocks, mean, linear head."""

    def __init__(self, d_model: int = 32):
        super().__init__()
        settings = {"causal": False, "positional": "learned", "max_seq_len": 16, "mlp_ratio": 2}
        self.embed = nn.Linear(4, d_model)
        self.backbone = Backbone(BackboneConfig(d_model=d_model, num_layers=2, **settings))
        self.head = nn.Linear(d_model, 10)

    def forward(self, images: Tensor) -> Tensor:
        patches = images.unflatten(-1, (4, 2, 4, 2)).transpose(-3, -2).reshape(len(images), 16, 4)
        return self.head(self.backbone(self.embed(patches)).mean(1))


class DigitsTask(Task):
    """scikit-learn's digits, flat (B, 64)."""

    def __init__(self, kind: str):
        from sklearn.datasets import load_digits

        digits = load_digits()
        self.kind = kind
        self.x, self.y = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)

    def build(self, seed: int) -> nn.Module:
        if self.kind == "mlp":
            return MLP(MLPConfig(widths=(64, 100, 100, 10)), torch_generator(seed, "init"))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return VisionTransformer()

    def batch(self, step: int, rows: range, seed: int) -> dict[str, Tensor]:
        chosen = torch.randint(0, len(self.y), (len(rows),), generator=torch_generator(seed, "batch", step))
        return {"x": self.x[chosen], "y": self.y[chosen]}

    def loss(self, model: nn.Module, batch: dict[str, Tensor], values: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch["x"]), batch["y"])


@dataclass(frozen=True)
class Row:
    """One workload: task, rows of an update, and the speed-up over `eager` that we aim at on two cores."""

    make: Callable[[], Task]
    batch_size: int
    goal: float | None = None


ROWS: dict[str, Row] = {
    "lm-32-1": Row(lambda: LanguageTask(32, 32), 1, 8.0),
    "lm-32-4": Row(lambda: LanguageTask(32, 32), 4, 5.0),
    "lm-32-16": Row(lambda: LanguageTask(32, 32), 16, 3.0),
    "lm-64-1": Row(lambda: LanguageTask(64, 64), 1, 3.0),
    "lm-64-4": Row(lambda: LanguageTask(64, 64), 4, 3.0),
    "lm-64-16": Row(lambda: LanguageTask(64, 64), 16),
    "mlp": Row(lambda: DigitsTask("mlp"), 32, 8.0),
    "vit": Row(lambda: DigitsTask("vit"), 32),
}


@dataclass(frozen=True)
class Way:
    """processes: 0 for one a core. threads: 0 for one a core. stack: 0 for plain models one after another."""

    name: str
    processes: int = 1
    threads: int = 1
    stack: int = 0
    compiled: bool = False


def ways(stacks: list[int], compile_plain: bool, device: str) -> list[Way]:
    """The ways to compare."""
    return [
        Way("eager"),
        *([Way("eager", threads=0)] if device == "cpu" else []),
        *([Way("compiled", compiled=True)] if compile_plain else []),
        Way("processes", processes=0),
        *(Way("ensemble", processes=0 if device == "cpu" else 1, stack=s) for s in stacks),
    ]


# --- workers ---------------------------------------------------------------------------------------------------------


def one_after_another(task: Task, batch_size: int, compiled: bool, device: str) -> tuple[Callable[[int], None], int]:
    """Update every sampled member in turn with plain torch; returns the round and its number of members."""
    models = [task.build(seed).to(device) for seed in range(_SAMPLED)]
    optimizers = [torch.optim.AdamW(m.parameters(), lr=1e-3, fused=True) for m in models]

    def evaluate(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return task.loss(model, batch, {})

    loss_of = torch.compile(evaluate, dynamic=False) if compiled else evaluate

    def update(step: int) -> None:
        for seed, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
            optimizer.zero_grad()
            batch = {name: z.to(device) for name, z in task.batch(step, range(batch_size), seed).items()}
            loss_of(model, batch).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return update, _SAMPLED


def as_ensemble(task: Task, batch_size: int, way: Way, share: range, device: str) -> tuple[Callable[[int], None], int]:
    """Update the members `share` as one ensemble: what `train_ensemble` does between two log lines."""
    runs = [
        Run(
            name=str(i),
            optimizer="adamw",
            settings={"lr": 1e-3 * (1 + i), "weight_decay": 0.01},
            batch_size=batch_size,
            num_steps=10**6,
            seed=i,
            clip_norm=1.0,
        )
        for i in share
    ]
    ensemble = EnsembleRun(task, runs, TrainingConfig(), device=device, stack=min(way.stack, len(runs)))
    return lambda step: ensemble.update(), len(runs)


def worker(row: str, way: Way, index: int, count: int, threads: int, device: str, pipe: Any) -> None:
    """Get ready, then time as many updates as each message asks for; on None report the peak memory and leave."""
    torch.set_num_threads(threads)
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    start = time.perf_counter()
    task, batch_size = ROWS[row].make(), ROWS[row].batch_size
    if way.stack:
        share = range(NUM_MEMBERS * index // count, NUM_MEMBERS * (index + 1) // count)
        update, members = as_ensemble(task, batch_size, way, share, device)
    else:
        update, members = one_after_another(task, batch_size, way.compiled, device)
    update(0)
    finish()
    ready = time.perf_counter() - start
    update(1)
    finish()
    pipe.send((ready, members))
    step = 2
    while (num_updates := pipe.recv()) is not None:
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(num_updates):
            update(step)
            step += 1
        finish()
        pipe.send((time.perf_counter() - start, (time.process_time() - cpu) / threads))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pipe.send(torch.cuda.max_memory_reserved() if device == "cuda" else resident)


class Crew:
    """The workers of one way."""

    def __init__(self, row: str, way: Way, cores: int, clock: str, device: str):
        self.clock = clock
        count, threads = way.processes or cores, way.threads or cores
        context = multiprocessing.get_context("spawn")
        self.pipes, self.jobs = [], []
        for index in range(count):
            mine, theirs = context.Pipe()
            job = context.Process(target=worker, args=(row, way, index, count, threads, device, theirs), daemon=True)
            job.start()
            self.pipes.append(mine)
            self.jobs.append(job)
        replies = [pipe.recv() for pipe in self.pipes]
        self.ready = max(seconds for seconds, _ in replies)
        self.members = sum(members for _, members in replies)
        self.rows_of_update = self.members * ROWS[row].batch_size
        self.num_updates = max(1, round(0.7 / self._timed(1)))
        self.rates: list[float] = []

    def _timed(self, num_updates: int) -> float:
        start = time.perf_counter()
        for pipe in self.pipes:
            pipe.send(num_updates)
        replies = [pipe.recv() for pipe in self.pipes]
        return max(cpu for _, cpu in replies) if self.clock == "cpu" else time.perf_counter() - start

    def round(self) -> None:
        self.rates.append(self.num_updates * self.rows_of_update / self._timed(self.num_updates))

    def dismiss(self) -> float:
        """Peak memory of all its processes together, in bytes."""
        for pipe in self.pipes:
            pipe.send(None)
        peak = sum(pipe.recv() for pipe in self.pipes)
        for job in self.jobs:
            job.join()
        return peak


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    row: str
    way: Way
    rate: float  # rows per second of all members together, median
    spread: tuple[float, float]
    ready: float  # seconds before the first update was done
    peak: float  # bytes


def compare(row: str, candidates: list[Way], rounds: int, cores: int, clock: str, device: str) -> list[Line]:
    """All ways on one workload, round by round in turn."""
    crews = []
    for way in candidates:
        crews.append((way, Crew(row, way, cores, clock, device)))
        print(f"{row}: {way} ready in {crews[-1][1].ready:.0f} s", file=sys.stderr, flush=True)
    for _ in range(rounds):
        for _, crew in crews:
            crew.round()
    return [
        Line(row, way, statistics.median(crew.rates), (min(crew.rates), max(crew.rates)), crew.ready, crew.dismiss())
        for way, crew in crews
    ]


def best_of(lines: list[Line]) -> list[Line]:
    """One line per name: the fastest of its variants."""
    names = dict.fromkeys(line.way.name for line in lines)
    return [max((line for line in lines if line.way.name == name), key=lambda line: line.rate) for name in names]


def markdown(lines: list[Line], cores: int, clock: str, device: str) -> str:
    head = [
        f"{datetime.now(UTC):%Y-%m-%d}, {_cpu_name()}, {cores} cores{_gpu_name(device)}, torch {torch.__version__},"
        f" Python {platform.python_version()}; {NUM_MEMBERS} members, AdamW, clipping, float32; medians over"
        f" interleaved rounds, {clock} seconds.",
        "",
        "| row | way | tokens or samples / s | over eager | spread | ready, s | peak, MB | goal |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    body = []
    for row in dict.fromkeys(line.row for line in lines):
        chosen = best_of([line for line in lines if line.row == row])
        eager = next(line.rate for line in chosen if line.way.name == "eager")
        tokens = ROWS[row].make().tokens_per_row or 1
        for line in chosen:
            way = line.way
            label = f"{way.name} ({way.stack})" if way.stack else f"{way.name} ({way.threads or cores} threads)"
            goal = f"{ROWS[row].goal:g}x" if ROWS[row].goal and way.stack else ""
            spread = f"{line.spread[0] / line.rate - 1:+.0%} {line.spread[1] / line.rate - 1:+.0%}"
            body.append(
                f"| {row} | {label} | {line.rate * tokens:,.0f} | {line.rate / eager:.1f}x | {spread} |"
                f" {line.ready:.0f} | {line.peak / 1e6:,.0f} | {goal} |"
            )
    return "\n".join([*head, *body]) + "\n"


def _gpu_name(device: str) -> str:
    return f", {torch.cuda.get_device_name()}" if device == "cuda" else ""


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def main(
    rows: Annotated[str, typer.Option(help="comma-separated, of " + ", ".join(ROWS))] = ",".join(ROWS),
    rounds: Annotated[int, typer.Option(help="interleaved rounds")] = 5,
    stacks: Annotated[str, typer.Option(help="stack sizes tried")] = "8,32",
    compile_plain: Annotated[bool, typer.Option(help="also compile the plain models")] = True,
    clock: Annotated[str, typer.Option(help="wall or cpu")] = "wall",
    device: Annotated[str, typer.Option(help="cpu, or cuda with the wall clock")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="write the table here as Markdown")] = None,
) -> None:
    """Compare and print."""
    if clock not in ("wall", "cpu"):
        raise typer.BadParameter(f"unknown clock '{clock}'; choose wall or cpu")
    if device not in ("cpu", "cuda") or (device, clock) == ("cuda", "cpu"):
        raise typer.BadParameter("--device is cpu, or cuda with the wall clock")
    cores = len(os.sched_getaffinity(0))
    candidates = ways(_numbers(stacks), compile_plain, device)
    lines: list[Line] = []
    for row in rows.split(","):
        if row not in ROWS:
            raise typer.BadParameter(f"unknown row '{row}'; known are {', '.join(ROWS)}")
        lines += compare(row, candidates, rounds, cores, clock, device)
        table = markdown(lines, cores, clock, device)
        print(table, flush=True)
        if out is not None:
            out.write_text(table, encoding="utf-8")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    typer.run(main)
