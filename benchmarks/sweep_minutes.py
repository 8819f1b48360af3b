"""How long a whole sweep takes: 200 small language models on the docstring corpus, from YAML to the tuned table.

    python -m benchmarks.sweep_minutes

Every run has 2 layers of width 32, 512 BPE tokens, batches of 4 x 32 tokens and 16,384 tokens. Minutes are wall time
of packing, training the jobs with one process a core, and reducing; the corpus is built before.
"""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated

import pandas as pd
import typer
import yaml

from shared.artifacts.sweeps import final_rows, tuned
from shared.data.text import load_text_data
from shared.train.language.config import LanguageSettings, LanguageShard
from shared.train.language.task import LanguageTask
from shared.train.sweep.config import SweepConfig
from shared.train.sweep.packing import sweep_shards
from shared.train.sweep.running import train_shard

SWEEP = """
batch_size: 4
seq_len: 32
num_tokens: 16384
seeds: 2
fixed: {clip_norm: 1.0}
blocks:
  - optimizer: adam
    grid: {lr: [1.0e-3, 2.0e-3, 4.0e-3, 8.0e-3, 1.6e-2], beta1: [0.8, 0.9, 0.95], beta2: [0.9, 0.95, 0.99]}
  - {optimizer: signum, grid: {lr: [3.0e-4, 1.0e-3, 3.0e-3, 1.0e-2, 3.0e-2], beta: [0.0, 0.5, 0.8, 0.9, 0.95]}}
  - {optimizer: sgd_ema, grid: {lr: [0.1, 0.3, 1.0, 3.0, 10.0], momentum: [0.0, 0.5, 0.8, 0.9, 0.95, 0.98]}}
"""
BACKBONE = {"d_model": 32, "num_layers": 2, "num_heads": 4, "mlp": "swiglu", "mlp_hidden": 80, "init_std": 0.02}


def job(shard: LanguageShard) -> pd.DataFrame:
    """What a job of the workflow does."""
    return train_shard(shard, LanguageTask.of_shard(shard), progress=False).table


def main(
    stack: Annotated[int, typer.Option(help="runs computed together; 0 measures what is fastest")] = 0,
    processes: Annotated[int, typer.Option(help="jobs at a time; 0: one a core")] = 0,
    max_members: Annotated[int, typer.Option(help="runs of a job")] = 64,
) -> None:
    """Train and print the minutes and the tuned table."""
    settings = LanguageSettings(
        seq_len=32, backbone=BACKBONE, validation_windows=256, validation_rows=128, stack=stack or None
    )
    sweep = SweepConfig.model_validate(yaml.safe_load(SWEEP))
    load_text_data(settings.text)  # built once per machine
    start = time.perf_counter()
    shards = sweep_shards(LanguageShard, settings, sweep, name="sweep", max_members=max_members)
    count = processes or len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        table = pd.concat(pool.map(job, shards.values()))
    best = tuned(final_rows(table), ["optimizer"], over=["lr", "beta", "beta1", "beta2", "momentum"])
    minutes = (time.perf_counter() - start) / 60
    print(best[["optimizer", "lr", "val_loss", "num_seeds", "num_settings", "edge"]].to_string(index=False))
    tokens = sum(run.num_tokens for shard in shards.values() for run in shard.runs)
    speed = tokens / minutes / 60
    print(f"{sweep.num_runs} runs, {tokens / 1e6:.1f}M tokens, {minutes:.1f} minutes, {speed:,.0f} tokens/s")


if __name__ == "__main__":
    typer.run(main)
