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
from shared.train.loop import fit
from shared.train.task import TrainingTask

SETTINGS = {"num_steps": 40, "batch_size": 16, "lr": 1e-2, "weight_decay": 0.1, "log_every": 7, "eval_every": 15}
SETTINGS |= {"schedule": "cosine", "warmup_steps": 5, "clip_grad_norm": 0.5, "checkpoint_every": 6, "seed": 3}


def toy_config(**changes):
    return TrainingConfig(**{**SETTINGS, **changes})


def toy_model(dropout=0.1, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1))


class ToyTask(TrainingTask):
    """Regression on Gaussian rows; `seen` lists (step, first row, digest of the rows) in the order of asking."""

    tokens_per_row = 8

    def __init__(self, seed=3, batch_size=16, kill_at=None, signal_number=signal.SIGKILL, poison_at=None):
        self.seed, self.batch_size = seed, batch_size
        self.kill_at, self.signal_number, self.poison_at = kill_at, signal_number, poison_at
        self.seen = []

    def batch(self, step, rows):
        if step == self.kill_at:
            os.kill(os.getpid(), self.signal_number)
        x = torch.randn(self.batch_size, 8, generator=torch_generator(self.seed, "x", step))[rows.start : rows.stop]
        self.seen.append([step, rows.start, hashlib.sha256(x.numpy().tobytes()).hexdigest()[:12]])
        return {"x": x * float("nan") if step == self.poison_at else x}

    def loss(self, model, batch):
        error = model(batch["x"]) - batch["x"].sum(dim=1, keepdim=True).sin()
        return error.square().mean(), {"mae": error.detach().abs().mean()}

    def evaluate(self, model, step):
        x = torch.randn(32, 8)  # from the global generator, which the loop seeds
        return {"val_loss": (model(x) - x.sum(dim=1, keepdim=True).sin()).square().mean()}


def main(folder, settings, disturbance):
    folder = Path(folder)
    if disturbance.pop("kill_while_saving", False):
        checkpoint.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    dropout = disturbance.pop("dropout", 0.1)
    task, model = ToyTask(**disturbance), toy_model(dropout)
    result = fit(model, task, toy_config(**settings), checkpoint_dir=folder / "checkpoints")
    rank = os.environ.get("RANK", "0")
    report = {"pid": os.getpid(), "seen": task.seen, "rows": result.rows, "provenance": result.provenance}
    (folder / f"rank-{rank}.json").write_text(json.dumps(report))
    checkpoint.save_weights(model, folder / f"weights-{rank}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3]))
