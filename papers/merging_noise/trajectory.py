"""Step: stochastic weight averaging, the average of one run over its own past, beside its last weights.

Source: Izmailov et al. 2018 (arXiv 1803.05407), with a constant learning rate.

python -m papers.merging_noise.trajectory --scale cpu --shard digits
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from papers.merging_noise.merging import on_cpu, with_own_statistics
from papers.merging_noise.methods import half
from papers.merging_noise.settings import Trajectory
from papers.merging_noise.task import MergeTask
from shared.artifacts.step import step
from shared.train.checkpoint import load_tree, run_folder, save_tree
from shared.train.ensemble.state import EnsembleRun
from shared.train.loop.interrupt import InterruptLater
from shared.train.loop.progress import ProgressReport
from shared.train.loop.runtime import limited_threads, own_random_state
from shared.train.run import Run
from shared.weightspace.batchnorm import has_statistics
from shared.weightspace.interpolation import evaluate_states
from shared.weightspace.task_vectors import average

STACK = 20


@step
def trajectory(settings: Trajectory, *, device: str, threads: int, checkpoints: Path) -> Iterator[dict]:
    """Accuracy (%) and loss (nats) of each run's last weights and of its average, on the half that methods report."""
    task = MergeTask(
        settings.images.model_copy(update={"schedule": "constant"}), {}, settings.batch_size, device=device
    )
    how = {"optimizer": "sgd", "batch_size": settings.batch_size, "num_steps": settings.num_steps}
    keys = [(lr, seed) for lr in settings.lrs for seed in range(settings.seeds)]
    runs = [Run(name=f"lr={lr:g} seed={seed}", settings={"lr": lr}, seed=seed, **how) for lr, seed in keys]
    described = settings.model_dump(mode="json")
    folder = run_folder(checkpoints.parent, checkpoints.name, described)
    with limited_threads(threads), own_random_state(torch.device(device)):
        ensemble = EnsembleRun(
            task, runs, task.settings.training_for(runs[0]), directory=folder / "runs", settings=described,
            device=device, stack=settings.images.stack or STACK,
        )  # fmt: skip
        points = list(visited(ensemble, settings.points, folder))
    template, judged = task.build(0).to(device).eval(), half(task, 1)
    for index, (lr, seed) in enumerate(keys):
        if not bool(ensemble.alive[index]):
            continue
        past = [states[index] for states in points]
        for method, state in (("last weights", past[-1]), ("weight averaging", average(past))):
            state = with_own_statistics(task, template, state) if has_statistics(template) else state
            (found,) = evaluate_states(judged, [state], template, device=device)
            row = {"method": method, "lr": lr, "seed": seed, "num_averaged": 1 if method[0] == "l" else len(past)}
            yield row | {"accuracy": 100 * found["val_accuracy"], "loss": found["val_loss"]}


def visited(ensemble: EnsembleRun, points: range, folder: Path) -> Iterator[list[dict[str, Tensor]]]:
    """States of all members after some updates; those of an earlier session are read from the folder."""
    ensemble.resume()
    report = ProgressReport("averaged", ensemble.num_steps, start=ensemble.step)
    with report, InterruptLater() as interrupt:
        for point in points:
            saved = folder / f"after-{point:07d}.safetensors"
            if saved.is_file():
                yield load_tree(saved)["states"]
                continue
            ensemble.train(report, interrupt, point)
            states = [on_cpu(ensemble.model.member_state(i)) for i in range(len(ensemble.runs))]
            save_tree({"states": states}, saved)
            yield states


if __name__ == "__main__":
    trajectory.main()
