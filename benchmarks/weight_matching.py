"""Weight matching of two ViTs and of two GPTs: git re-basin's algorithm written plainly, and ours, in one run.

    python -m benchmarks.weight_matching                    # networks of the paper's sizes, not trained
    python -m benchmarks.weight_matching --trained          # small networks, trained here: barriers as well

Git re-basin (Ainsworth et al. 2023, algorithm 1) visits the permutations in random order and gives each the assignment
that its scores favour, until a pass changes nothing. `plain` computes those scores parameter by parameter, as the
published code does; `permutations` is ours on the same specification; `rotations` is ours in circuit form, with the
stream rotated: what this library recommends for transformers. All take turns on the same pair of networks.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from shared.base.seeding import numpy_generator, torch_generator
from shared.models.config import gpt_config
from shared.models.image_config import ViTConfig
from shared.models.language_model import LanguageModel
from shared.models.vit import VisionTransformer
from shared.train.config import TrainingConfig
from shared.train.ensemble.training import train_ensemble
from shared.train.images.config import ImageSettings
from shared.train.images.task import ImageTask
from shared.train.language.config import LanguageSettings
from shared.train.language.task import LanguageTask
from shared.train.run import Run
from shared.train.task import Task
from shared.weightspace.canonical import to_circuits
from shared.weightspace.circuits import STREAM
from shared.weightspace.interpolation import barrier, evaluate_states, grid, path
from shared.weightspace.specifications import symmetry_of
from shared.weightspace.states import State
from shared.weightspace.symmetry import Symmetry, transform
from shared.weightspace.weight_matching import match_weights


def permutations_of(model: nn.Module) -> Symmetry:
    """What git re-basin knows of a transformer: stream, heads as wholes, hidden units."""
    symmetry = symmetry_of(model)
    return symmetry.restricted(("permutation", "semi-permutation"))


def plain(symmetry: Symmetry, a: State, b: State, seed: int = 0, most: int = 100) -> dict[str, Tensor]:
    """Algorithm 1 as published, in NumPy: no caching, no order but a random one, stop when a pass changes nothing."""
    rng, names = numpy_generator(seed, "order"), list(symmetry.spaces)
    found = {name: np.arange(space.size) for name, space in symmetry.spaces.items()}
    a, b = ({k: v.numpy() for k, v in state.items()} for state in (a, b))

    def stretch(x: np.ndarray, axis) -> np.ndarray:
        """The part of a parameter that an axis moves, its factors unfolded."""
        part = np.take(x, np.arange(axis.start, axis.start + int(np.prod(axis.shape))), axis=axis.dim)
        return part.reshape(*x.shape[: axis.dim], *axis.shape, *x.shape[axis.dim + 1 :])

    def scores(name: str) -> np.ndarray:
        total = np.zeros((symmetry.spaces[name].size,) * 2)
        for axis in symmetry.of_space(name):
            w_a, w_b = a[axis.parameter], b[axis.parameter]
            for other in symmetry.of_parameter(axis.parameter):
                if other is not axis and other.dim != axis.dim:
                    moved = np.take(stretch(w_b, other), found[other.space], axis=other.dim + other.factor)
                    w_b = w_b.copy()
                    view = [slice(None)] * w_b.ndim
                    view[other.dim] = slice(other.start, other.start + int(np.prod(other.shape)))
                    w_b[tuple(view)] = moved.reshape(w_b[tuple(view)].shape)
            rows = [
                np.moveaxis(stretch(w, axis), axis.dim + axis.factor, 0).reshape(total.shape[0], -1) for w in (w_a, w_b)
            ]
            total += rows[0] @ rows[1].T
        return total

    for _ in range(most):
        changed = False
        for name in rng.permutation(names):
            table = scores(name)
            index = linear_sum_assignment(table, maximize=True)[1]
            rows = np.arange(len(index))
            changed |= table[rows, index].sum() > table[rows, found[name]].sum() + 1e-12
            found[name] = index
        if not changed:
            break
    return {name: torch.from_numpy(index) for name, index in found.items()}


def networks(kind: str, trained: bool) -> tuple[nn.Module, State, State, Task | None]:
    """Architecture, two sets of parameters, and the task that they were trained on."""
    if trained:
        return trained_networks(kind)
    model: Callable = {
        "ViT": lambda g: VisionTransformer(ViTConfig(num_classes=10, d_model=256, num_heads=8, mlp_ratio=2.0), g),
        "GPT": lambda g: LanguageModel(
            gpt_config(2048, 256, 6, 4, 256).model_copy(update={"tie_embeddings": False}), g
        ),
    }[kind]
    built = [model(torch_generator(seed, "benchmark")) for seed in (0, 1)]
    return built[0], built[0].state_dict(), built[1].state_dict(), None


def trained_networks(kind: str) -> tuple[nn.Module, State, State, Task]:
    """Two small networks each, a minute of training."""
    if kind == "ViT":
        body = {"patch_size": 2, "d_model": 64, "num_layers": 2, "num_heads": 4, "mlp_ratio": 2.0}
        task: Task = ImageTask(ImageSettings(kind="vit", model=body, validation_rows=360), {}, 64)
    else:
        body = gpt_config(96, 64, 2, 4, 64, mlp_hidden=256).backbone.model_dump()
        text = {"source": "docstrings", "tokenizer": {"kind": "char", "num_ordinary": 96}}
        settings = LanguageSettings(text=text, seq_len=64, backbone=body, validation_windows=128)
        task = LanguageTask(settings, {}, 16)
    runs = [
        Run(name=f"{seed}", optimizer="adamw", settings={"lr": 2e-3, "weight_decay": 1e-3}, batch_size=task.batch_size,
            num_steps=450, seq_len=task.tokens_per_row or 1, seed=seed)
        for seed in (0, 1)
    ]  # fmt: skip
    states = train_ensemble(task, runs, TrainingConfig(schedule="cosine", warmup_steps=30), progress=False).states
    return task.build(0), *states, task


def ways(model: nn.Module, a: State, b: State) -> dict[str, tuple[Callable, Symmetry, nn.Module, State, State]]:
    """Name -> (matching, its symmetry, network in which it is judged, A and B in that network's parameters)."""
    symmetry, circuits = permutations_of(model), [to_circuits(model, state) for state in (a, b)]
    frames = [{k: v.detach() for k, v in c.state_dict().items()} for c in circuits]
    rotated = circuits[0].symmetry()

    def rotate() -> dict[str, Tensor]:
        return match_weights(rotated, *frames, averaged=[STREAM], max_sweeps=2).elements

    return {
        "plain": (lambda: plain(symmetry, a, b), symmetry, model, a, b),
        "permutations": (lambda: match_weights(symmetry, a, b).elements, symmetry, model, a, b),
        "rotations": (rotate, rotated, circuits[0], *frames),
    }


def main(
    rounds: Annotated[int, typer.Option(help="Timings of each way, interleaved.")] = 3,
    trained: Annotated[bool, typer.Option(help="Train small networks and measure barriers.")] = False,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """CPU time (all threads) of each way with its range, the objective it reaches, and the barrier."""
    torch.set_num_threads(threads)
    table = Table("networks", "way", "CPU ms", "range", "speed", "inner product", "barrier, nats")
    for kind in ("ViT", "GPT"):
        model, a, b, task = networks(kind, trained)
        found, seconds = {}, {}
        for _ in range(rounds):
            for name, (match, *_) in ways(model.eval(), a, b).items():
                start = time.process_time()
                found[name] = match()
                seconds.setdefault(name, []).append(time.process_time() - start)
        for name, (_, symmetry, network, first, second) in ways(model, a, b).items():
            moved = transform(symmetry, second, found[name])
            product = float(sum((first[k].double() * moved[k].double()).sum() for k in symmetry.parameters))
            height, lams = "", grid(11)
            if task is not None:
                losses = [row["val_loss"] for row in evaluate_states(task, path(moved, first, lams), network)]
                height = f"{float(barrier(lams, np.array(losses))):.3f}"
            own, base = seconds[name], statistics.median(seconds["plain"])
            spread = f"{1e3 * min(own):.1f} to {1e3 * max(own):.1f}"
            speed = f"{base / statistics.median(own):.1f}x"
            table.add_row(kind, name, f"{1e3 * statistics.median(own):.1f}", spread, speed, f"{product:.1f}", height)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
