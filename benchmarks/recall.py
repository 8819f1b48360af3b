"""A sweep of small recall models as one stacked program against separate processes.

    python -m benchmarks.recall

For every mixer: CPU seconds of one update of one run in stacks of 1, 3, 6 and 12 runs, and those of a sweep of twelve
runs, stacked in one process or as twelve processes of their own, whose start (imports, first batch) counts.
"""

import subprocess
import sys
import time
from typing import Annotated

import torch
import typer

from shared.train.recall.config import RecallSettings
from shared.train.recall.task import RecallTask
from shared.train.run import Run
from shared.train.sweep.stack import seconds_per_update

STACKS = (1, 3, 6, 12)
MODELS = {
    "attention, 2 layers": {"mixer": "attention", "num_layers": 2, "d_model": 32, "positional": "learned"},
    "attention with conv": {"mixer": {"name": "attention", "conv": ["k"]}, "d_model": 32, "positional": "learned"},
    "mamba": {"mixer": {"name": "mamba", "d_state": 8}, "d_model": 64, "mlp": "none"},
    "deltanet": {"mixer": "deltanet", "d_model": 32},
    "hyena": {"mixer": {"name": "hyena", "filter_order": 16}, "d_model": 32},
}


def settings_of(backbone: dict) -> RecallSettings:
    """Two pairs in sixteen positions of 64 symbols."""
    common = {"num_layers": 1, "num_heads": 1, "positional": "none", "max_seq_len": 16, "norm": "layernorm"}
    data = {"name": "mqar", "vocab_size": 64, "seq_len": 16, "num_pairs": 2}
    return RecallSettings(data=data, num_examples=20000, backbone=common | backbone, validation_examples=256)


def cpu_seconds_of_a_start() -> float:
    """CPU seconds until a process of its own could train: imports and one batch."""
    code = "import resource\nfrom benchmarks.recall import MODELS, RecallTask, settings_of\n"
    code += "RecallTask(settings_of(MODELS['deltanet']), {}, 16).batch(0, range(16), 0)\n"
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_utime)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main(
    num_steps: Annotated[int, typer.Option(help="updates of a run")] = 800,
    batch_size: Annotated[int, typer.Option(help="examples of an update")] = 16,
) -> None:
    """Print one line per mixer."""
    torch.set_num_threads(1)
    start = cpu_seconds_of_a_start()
    print(f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, batch {batch_size}, start {start:.1f} s")
    print("| model | " + " | ".join(f"ms, stack {n}" for n in STACKS) + " | 12 processes, s | best stack, s |")
    print("|---|" + "---:|" * (len(STACKS) + 2))
    for name, backbone in MODELS.items():
        settings = settings_of(backbone)
        task = RecallTask(settings, {}, batch_size)
        runs = [
            Run(
                name=str(i),
                optimizer="adamw",
                settings={"lr": 1e-3},
                batch_size=batch_size,
                num_steps=num_steps,
                seed=i,
            )
            for i in range(max(STACKS))
        ]
        seconds = {n: seconds_per_update(task, runs[:n], settings.training_for(runs[0])) for n in STACKS}
        apart, together = 12 * (seconds[1] * num_steps + start), 12 * min(seconds.values()) * num_steps + start
        cells = [f"{1e3 * s:.1f}" for s in seconds.values()]
        print(f"| {name} | " + " | ".join(cells) + f" | {apart:.0f} | {together:.0f} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
