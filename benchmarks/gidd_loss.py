"""Time and peak memory of the fused GIDD loss beside the plain form: python -m benchmarks.gidd_loss --help."""

import json
import resource
import subprocess
import sys
import time
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from papers.gidd.loss import elbo_terms
from papers.gidd.members import HybridProcess
from shared.base.seeding import torch_generator

VARIANTS = ("logits only", "fused", "plain", "cross entropy")


def measure(variant: str, num_tokens: int, vocab_size: int, repeats: int, device: str) -> dict:
    """Forward and backward of one variant in this process: seconds (median) and peak memory in MiB.

    On a CPU the peak is the process's resident set above what it was with the logits made, plus the logits themselves.
    """
    process = HybridProcess(vocab_size, p_u=0.2)
    generator = torch_generator(0, "benchmark")
    length = min(num_tokens, 64)
    logits = torch.randn(num_tokens // length, length, vocab_size, generator=generator).to(device).requires_grad_()
    x = torch.randint(vocab_size - 1, logits.shape[:2], generator=generator)
    t = 0.01 + 0.98 * torch.rand(len(x), generator=generator, dtype=torch.float64)
    z = process.sample(x, t, generator).to(device)
    x, t = x.to(device), t.to(device)
    loss = {
        "fused": lambda: elbo_terms(logits, x, z, t, process, fused=True).elbo.mean(),
        "plain": lambda: elbo_terms(logits, x, z, t, process, fused=False).elbo.mean(),
        "cross entropy": lambda: torch.nn.functional.cross_entropy(logits.flatten(0, 1), x.flatten()),
    }.get(variant)
    before, seconds, value = _peak_mib(device), [], None
    for _ in range(repeats if loss else 0):
        logits.grad = None
        start = time.perf_counter()
        result = loss()
        result.backward()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        value = result.item()
    logits_mib = logits.numel() * logits.element_size() / 2**20
    added = _peak_mib(device) - before
    median = sorted(seconds)[len(seconds) // 2] if seconds else 0.0
    return {"variant": variant, "seconds": median, "mib": logits_mib + added, "logits_mib": logits_mib, "value": value}


def _peak_mib(device: str) -> float:
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return torch.cuda.max_memory_allocated() / 2**20


def main(
    num_tokens: Annotated[int, typer.Option(help="Tokens in the batch, a multiple of 64.")] = 512,
    vocab_size: Annotated[int, typer.Option(help="V, mask included.")] = 50_258,
    repeats: Annotated[int, typer.Option(help="Passes; the median time is shown.")] = 5,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    variant: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Compares the losses in float32, each variant in a process of its own, and prints a table."""
    torch.set_num_threads(threads)
    if variant:
        print(json.dumps(measure(variant, num_tokens, vocab_size, repeats, device)))
        return
    rows = []
    for name in VARIANTS:
        options = {"num-tokens": num_tokens, "vocab-size": vocab_size, "repeats": repeats, "threads": threads}
        arguments = [f"--{key}={value}" for key, value in options.items()] + [f"--device={device}", f"--variant={name}"]
        command = [sys.executable, "-m", "benchmarks.gidd_loss", *arguments]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout))
    table = Table(
        title=f"Forward and backward, {num_tokens} tokens, V = {vocab_size}, float32, {threads} thread(s), {device}"
    )
    for column in ("loss", "seconds", "peak MiB", "peak / logits", "value"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:.6g}"
        cells = (f"{row['seconds']:.3f}", f"{row['mib']:.0f}", f"{row['mib'] / row['logits_mib']:.2f}", value)
        table.add_row(row["variant"], *cells)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
