"""A process that is one client: python -m compressed_clients FOLDER COMPRESSOR ... Writes its updates."""

import os
import sys
from pathlib import Path

import torch
from torch import nn

from shared.optim.compression import Bernoulli, Identity, Quantise, RandK, Sign
from shared.optim.gradient_noise import GradientNoise
from shared.train.compressed import client_accelerator, flat_gradient, prepare_client

COMPRESSORS = {
    "identity": Identity(), "bernoulli": Bernoulli(0.3), "rand_k": RandK(4), "quantise": Quantise(2), "sign": Sign(),
}  # fmt: skip
NOISE = GradientNoise(additive=0.3, relative=0.1)
LR, NUM_STEPS = 0.05, 6


def tiny_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def loss(model: nn.Module) -> torch.Tensor:
    x = torch.linspace(-1, 1, 15, dtype=torch.float64).view(5, 3)
    return (model(x) - x.sum(1, keepdim=True).sin()).square().mean()


def main(folder: str, *names: str) -> None:
    torch.set_num_threads(1)
    accelerator, updates = client_accelerator(), {name: [] for name in names}
    for name in names:
        model = prepare_client(tiny_model(), accelerator, NOISE, COMPRESSORS[name], 7, "clients")
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)
        for _ in range(NUM_STEPS):
            optimizer.zero_grad()
            loss(model).backward()
            updates[name].append(flat_gradient(model).clone())
            optimizer.step()
    stacked = {name: torch.stack(steps) for name, steps in updates.items()}
    torch.save(stacked, Path(folder) / f"rank-{os.environ['RANK']}.pt")
    accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
