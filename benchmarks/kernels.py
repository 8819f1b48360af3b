"""Sequence kernels beside what a user would pick instead, in one run: medians of interleaved repeats.

    python -m benchmarks.kernels                       # all kernels, T = 1024 .. 8192
    python -m benchmarks.kernels --only "delta rule" --steps 1024 --repeats 9
    python -m benchmarks.kernels --memory              # peak memory of training instead
    python -m benchmarks.kernels --first               # first calls in fresh processes instead
    python -m benchmarks.kernels --device cuda --dtype bfloat16 --batch 8

Peers: a plain torch loop, mambapy's parallel scan, torch's associative_scan, the naive and chunkwise torch forms of
flash-linear-attention, on a GPU its Triton kernels. A peer that is not installed, or that the memory or time limit
stops, says so in its row.
"""

import gc
import importlib
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import torch
import typer

from benchmarks.kernel_cases import CASES, FLOAT, BenchmarkCase, loss_and_gradients
from benchmarks.kernel_processes import print_first_calls, print_memory
from shared.kernels import compiled

GIGA = 1e9


@dataclass
class Row:
    """One form of one kernel at one length; seconds per call, or why there are none."""

    name: str
    forward: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)
    note: str = ""

    def median(self, which: str) -> float | None:
        """Median seconds of "forward" or "both"."""
        times = getattr(self, which)
        return statistics.median(times) if times else None

    def ratio(self, other: "Row", which: str) -> float | None:
        """This form's seconds over the other's of the same repeat, median over the repeats that both have."""
        pairs = [own / theirs for own, theirs in zip(getattr(self, which), getattr(other, which), strict=False)]
        return statistics.median(pairs) if pairs else None


def copy_bandwidth(device: str) -> float:
    """Bytes per second, read plus written, of a 256 MB copy (2 GB on a GPU): the median of 7."""
    source = torch.randn(1 << (29 if device == "cuda" else 26), device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * 4 * source.numel() / statistics.median(timed(lambda: target.copy_(source), device) for _ in range(7))


def matmul_rate(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a matrix product of size 2048 (8192 on a GPU): the median of 7."""
    size = 8192 if device == "cuda" else 2048
    a = torch.randn(size, size, device=device, dtype=dtype)
    torch.mm(a, a)
    return 2 * size**3 / statistics.median(timed(lambda: torch.mm(a, a), device) for _ in range(7))


def timed(call: Callable[[], object], device: str) -> float:
    """Seconds of one call: CPU seconds on one thread, which a busy machine stretches less, wall seconds otherwise."""
    on_gpu = device == "cuda"
    clock = time.process_time if not on_gpu and torch.get_num_threads() == 1 else time.perf_counter
    if on_gpu:
        torch.cuda.synchronize()
    begin = clock()
    call()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - begin


@dataclass(frozen=True)
class Where:
    """Device, dtype of all inputs, and how many times the batch of the case."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    batch: int = 1

    def inputs(self, case: BenchmarkCase, num_steps: int) -> list[torch.Tensor]:
        """The case's inputs; those with a time axis have a batch axis before it."""
        found = [z.to(self.device, self.dtype) for z in case.inputs(num_steps)]
        return [z.repeat(self.batch, *[1] * (z.ndim - 1)) if z.shape[1:2] == (num_steps,) else z for z in found]


def measure(
    case: BenchmarkCase, num_steps: int, repeats: int, limit: float, where: Where, peers: set[str] | None = None
) -> list[Row]:
    """Interleave all forms: each repeat runs every form once, so that a busy machine slows all alike.

    On a GPU every form is called once beforehand, since Triton compiles and tries its settings then.

    Args:
        limit: seconds; a form whose first call took longer is not repeated, and its one time stands.
        peers: names of the forms beside ours; all if omitted.
    """
    device, inputs = where.device, where.inputs(case, num_steps)
    leaves = [z.clone().requires_grad_() for z in inputs]
    rows, forms, ones = [], {}, {}
    first = next(iter(case.forms.values())).load()
    loss_and_gradients(first, leaves, ones)  # what a form asks of the system once is not measured
    for name, peer in case.forms.items():
        if device not in peer.devices or (peers is not None and name not in {"ours", *peers}):
            continue
        row = Row(name)
        rows.append(row)
        if where.dtype == torch.float32 and not peer.float32:
            row.note = "does not take float32"
            continue
        try:
            form = peer.load()
        except ImportError as error:
            row.note = f"not installed ({error.name})"
            continue
        forms[name] = form
        if num_steps > peer.longest_forward:
            row.note = "not run: over the time limit"
            del forms[name]
        elif num_steps > peer.longest_backward:
            row.note = "backward not run: keeps every step's state"
        if device == "cuda" and name in forms:
            _warm_up(row, form, first, inputs, leaves if num_steps <= peer.longest_backward else None)
    for repeat in range(repeats):
        for row in rows:
            form = forms.get(row.name)
            if form is None or (repeat and row.forward[0] > limit):
                continue
            with torch.no_grad():
                row.forward.append(timed(lambda form=form: form(*inputs), device))
            if num_steps <= case.forms[row.name].longest_backward:
                row.both.append(timed(lambda form=form: loss_and_gradients(form, leaves, ones), device))
            gc.collect()
    return rows


def _warm_up(row: Row, form: Callable, ours: Callable, inputs: list, leaves: list | None) -> None:
    """Call a form once; its row notes how far its output is from ours, relative to ours' largest."""
    with torch.no_grad():
        expected = ours(*inputs).float()
        off = (form(*inputs).float() - expected).abs().max() / expected.abs().max()
    if leaves is not None:
        loss_and_gradients(form, leaves, {})
    if row.name != "ours":
        row.note = "; ".join(filter(None, [row.note, f"differs by {off.item():.0e}"]))


def print_rows(
    case: BenchmarkCase, num_steps: int, rows: list[Row], bandwidth: float, rate: float, where: Where
) -> None:
    """One markdown row per form; the last columns belong to our own form only."""
    ours = rows[0]
    for row in rows:
        cells = [case.name, str(num_steps), row.name]
        for which in ("forward", "both"):
            seconds, ratio = row.median(which), row.ratio(ours, which)
            cells.append("-" if seconds is None else f"{seconds * 1e3:.{3 if where.device == 'cuda' else 1}f}")
            cells.append("-" if ratio is None or row is ours else f"{ratio:.1f}x")
        note = row.note
        if row is ours:
            seconds = row.median("forward")
            moved = case.bytes_moved(num_steps) * where.batch * where.dtype.itemsize / FLOAT
            flops = case.flops(num_steps) * where.batch
            note = f"{moved / seconds / bandwidth:.0%} of copy bandwidth"
            if flops:
                note += f", {flops / seconds / rate:.0%} of matmul rate"
        print("| " + " | ".join([*cells, note]) + " |", flush=True)


def describe(where: Where, threads: int, bandwidth: float, rate: float) -> str:
    """Date, chip and versions: what the table depends on."""
    device, dtype = where.device, str(where.dtype).removeprefix("torch.")
    chip = torch.cuda.get_device_name() if device == "cuda" else cpu_name()
    clock = "CPU" if device == "cpu" and threads == 1 else "wall"
    packages = []
    for name in ("torch", "triton", "mambapy", "fla-core"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {chip}, {threads} thread(s), {clock} seconds; {', '.join(packages)}; "
        f"compiled by {compiled.attempt()[1] or 'nothing'}; "
        f"{dtype}, {where.batch} times the batch; "
        f"measured copy bandwidth {bandwidth / GIGA:.1f} GB/s, matmul rate {rate / GIGA:.0f} GFLOP/s"
    )


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main(
    steps: Annotated[list[int], typer.Option(help="sequence lengths")] = (1024, 2048, 4096, 8192),
    only: Annotated[list[str] | None, typer.Option(help="names of kernels; all if omitted")] = None,
    peers: Annotated[list[str] | None, typer.Option(help="names of the forms beside ours; all if omitted")] = None,
    repeats: Annotated[int, typer.Option(help="interleaved repeats per form")] = 5,
    limit: Annotated[float, typer.Option(help="seconds; slower forms run once")] = 1.5,
    threads: Annotated[int, typer.Option(help="torch's threads on the CPU; with 1, CPU seconds are counted")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    dtype: Annotated[str, typer.Option(help="of all inputs: float32, bfloat16, float64")] = "float32",
    batch: Annotated[int, typer.Option(help="times the batch of the cases")] = 1,
    memory: Annotated[bool, typer.Option(help="measure the memory of training on the CPU instead of speed")] = False,
    first: Annotated[bool, typer.Option(help="time the first calls of fresh processes instead")] = False,
) -> None:
    """Print one markdown table."""
    warnings.filterwarnings("ignore")  # peers warn about the missing GPU
    unknown = set(only or ()) - set(CASES)
    if unknown:
        raise typer.BadParameter(f"unknown kernels {sorted(unknown)}; known are {', '.join(CASES)}")
    if memory:
        print("peak MB of one forward and backward pass, above the inputs\n")
        print("| kernel | form | " + " | ".join(f"T = {num_steps}" for num_steps in steps) + " |")
        print("| --- | --- |" + " --- |" * len(steps))
        for name in only or CASES:
            print_memory(name, list(steps))
        return
    if first:
        print("forward, one thread, CPU ms; memory counts from the first call on\n")
        print("| kernel | T | form | first call | third call |\n| --- | --- | --- | --- | --- |")
        for name in only or CASES:
            for num_steps in steps:
                print_first_calls(name, num_steps, peers)
        return
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    importlib.invalidate_caches()
    where = Where(device, getattr(torch, dtype), batch)
    bandwidth, rate = copy_bandwidth(device), matmul_rate(device, where.dtype)
    print(describe(where, threads, bandwidth, rate) + "\n")
    print("| kernel | T | form | forward ms | slower by | forward + backward ms | slower by | note |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in only or CASES:
        for num_steps in steps:
            rows = measure(CASES[name], num_steps, repeats, limit, where, set(peers) if peers else None)
            print_rows(CASES[name], num_steps, rows, bandwidth, rate, where)


if __name__ == "__main__":
    typer.run(main)
