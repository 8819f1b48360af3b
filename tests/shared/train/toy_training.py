"""A small regression whose every source of randomness matters, and ways to disturb it.

As a module: python -m toy_training FOLDER '{"checkpoint_every": 5, ...}' '{"kill_at": 7}'
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from shared.base.seeding import torch_generator
from shared.train import checkpoint
from shared.train.config import TrainingConfig
from shared.train.loop.fit import fit
from shared.train.run import Run
from shared.train.task import Task

SETTINGS = {"log_every": 7, "eval_every": 15, "schedule": "cosine", "warmup_steps": 5, "checkpoint_every": 6}
RUN = {"name": "toy", "optimizer": "adamw", "num_steps": 40, "batch_size": 16, "data_seed": 3, "clip_norm": 0.5}
RULE = {"lr": 1e-2, "weight_decay": 0.1, "eps": 1e-8}


def toy_config(**changes):
    return TrainingConfig(**{**SETTINGS, **changes})


def toy_run(settings=None, **changes):
    return Run(**{**RUN, "settings": RULE | (settings or {}), **changes})


def toy_model(dropout=0.1, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1))


class ToyTask(Task):
    """Regression on Gaussian rows; `seen` lists (step, first row, digest of the rows) in the order of asking."""

    tokens_per_row = 8

    def __init__(self, batch_size=16, dropout=0.1, kill_at=None, signal_number=signal.SIGKILL, poison_at=None):
        self.batch_size, self.dropout = batch_size, dropout
        self.kill_at, self.signal_number, self.poison_at = kill_at, signal_number, poison_at
        self.seen = []

    def build(self, seed):
        return toy_model(self.dropout, seed)

    def batch(self, step, rows, seed):
        if step == self.kill_at:
            os.kill(os.getpid(), self.signal_number)
        x = torch.randn(self.batch_size, 8, generator=torch_generator(seed, "x", step))[rows.start : rows.stop]
        self.seen.append([step, rows.start, hashlib.sha256(x.numpy().tobytes()).hexdigest()[:12]])
        return {"x": x * float("nan") if step == self.poison_at else x}

    def loss(self, model, batch, values):
        error = model(batch["x"]) - batch["x"].sum(dim=1, keepdim=True).sin()
        return error.square().mean(), {"mae": error.detach().abs().mean()}

    def evaluate(self, model, step):
        x = torch.randn(32, 8)  # from the global generator, which the loop seeds
        return {"val_loss": (model(x) - x.sum(dim=1, keepdim=True).sin()).square().mean()}


def main(folder, settings, disturbance):
    folder = Path(folder)
    if disturbance.pop("kill_while_saving", False):
        checkpoint.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    run = Run(**disturbance.pop("run")) if "run" in disturbance else toy_run()
    task = ToyTask(**disturbance)
    result = fit(task, run, toy_config(**settings), checkpoint_dir=folder / "checkpoints")
    rank = os.environ.get("RANK", "0")
    report = {"pid": os.getpid(), "seen": task.seen, "rows": result.rows, "provenance": result.provenance}
    (folder / f"rank-{rank}.json").write_text(json.dumps(report), encoding="utf-8")
    checkpoint.save_weights(result.model, folder / f"weights-{rank}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3]))
