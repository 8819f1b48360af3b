"""Watching a few trainings: slope and sharpness along the step that each optimiser takes, and the gradient's noise.

At chosen updates, with u the update per unit of learning rate and eta the rate of that update,

    gradient correlation     <grad f, u>
    directional sharpness    u^T Hess f u
    f(x + eta u) - f(x)  =   eta <grad f, u> + (eta^2 / 2) u^T Hess f u + O(eta^3)

on held-out windows that are the same throughout and many more than a training batch; the Hessian is never formed. The
remainder is measured in float64 at fractions of the update: it has to vanish as the third power.

Source: Sreckovic et al. 2025, arXiv 2506.12543, section 3.2, eq. 1; a reviewer asked for the noise.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from papers.optimizer_gap.comparing import NAMES
from papers.optimizer_gap.powers import power
from papers.optimizer_gap.settings import ProbeShard
from papers.optimizer_gap.task import GapTask
from shared.models.language_model import token_nll
from shared.train.curvature import directional_terms, gradient
from shared.train.ensemble.state import EnsembleRun
from shared.train.rules import columns_of
from shared.train.run import Run

NOISE_BINS = np.linspace(-4, 1, 51)  # edges of log10(|g| / sigma)


class Watched:
    """An ensemble that is trained update by update, and its loss on given windows as a function of parameters."""

    def __init__(self, settings: ProbeShard, device: str) -> None:
        self.settings, self.device = settings, device
        self.task = GapTask.of_shard(settings)
        training = settings.training_for(settings.runs[0])
        self.run = EnsembleRun(self.task, settings.runs, training, device=device, stack=settings.stack)
        self.model = self.task.build(0).to(device)

    def loss(self, windows: Tensor, dtype: torch.dtype) -> Callable[[dict], Tensor]:
        """Mean next-token loss on windows (N, T + 1)."""
        windows, model = windows.to(self.device), self.model.to(dtype)

        def value(params: dict) -> Tensor:
            return token_nll(functional_call(model, params, (windows[:, :-1],)), windows[:, 1:]).mean()

        return value

    def params(self, flat: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
        """Named parameters of one row of the ensemble's (M, P)."""
        parts = flat.to(dtype).split(self.run.model.sizes)
        return {name: part.view(p.shape) for (name, p), part in zip(self.run.model.named.items(), parts, strict=True)}


def evenly(num_points: int, num_steps: int) -> list[int]:
    """`num_points` updates, the first and the last but one of the schedule among them, where the rate is not zero."""
    return sorted({round(k) for k in np.linspace(0, num_steps - 2, num_points)})


def labels(run: Run, step: int) -> dict:
    """Columns of every row: the run's settings, its optimiser as the tables name it, and how far it is."""
    name = NAMES[run.optimizer]
    return columns_of(run) | {"optimizer": name, "method": name, "step": step, "progress": step / run.num_steps}


def step_rows(watched: Watched, step: int, before: Tensor, check: bool) -> Iterator[dict]:
    """Slope, sharpness, predicted and actual change of the update that was just taken, per run.

    Args:
        check: measure the order of what the two terms leave out as well, for one seed.
    """
    plan, rates = watched.settings.plan, watched.run.updates.lr.tolist()
    windows = watched.task.windows["val"][: plan.windows]
    for index, run in enumerate(watched.settings.runs):
        if not bool(watched.run.alive[index]):
            continue
        eta, start = rates[index], before[index].double()
        update = (watched.run.model.flat[index].double() - start) / eta
        x, u = watched.params(start, torch.float32), watched.params(update, torch.float32)
        loss = watched.loss(windows, torch.float32)
        terms = directional_terms(loss, x, u)
        with torch.no_grad():
            moved = float(loss({name: x[name] + eta * u[name] for name in x}))
        _, grads = gradient(loss, x)
        norm = float(torch.cat([g.reshape(-1) for g in grads.values()]).double().norm())
        yield {
            "part": "step",
            **labels(run, step),
            "eta": eta,
            "loss": terms.value,
            "correlation": terms.slope,
            "cosine": -terms.slope / (norm * float(update.norm())),  # 1: along the negative gradient
            "sharpness": terms.curvature,
            "normalised_sharpness": terms.curvature / float(update.norm()) ** 2,
            "update_norm": float(update.norm()),
            "first_order": eta * terms.slope,
            "second_order": 0.5 * eta**2 * terms.curvature,
            "actual_change": moved - terms.value,
        }
        if check and run.seed == watched.settings.runs[0].seed:
            yield {"part": "taylor", **labels(run, step), **taylor_orders(watched, start, update, eta)}


def taylor_orders(watched: Watched, start: Tensor, update: Tensor, eta: float) -> dict[str, float]:
    """Order in the scale of the update of what the two terms miss, fitted over fractions of it, float64.

    Also of the two smallest fractions alone, and the remainder of the largest, nats.
    """
    plan = watched.settings.plan
    loss = watched.loss(watched.task.windows["val"][: plan.taylor_windows], torch.float64)
    x, u = watched.params(start, torch.float64), watched.params(update, torch.float64)
    terms = directional_terms(loss, x, u)
    scales, missed = sorted(plan.taylor_scales), []
    for scale in scales:
        with torch.no_grad():
            moved = float(loss({name: x[name] + scale * eta * u[name] for name in x}))
        missed.append(abs(moved - terms.value - terms.predicted_change(scale * eta)))
    found = {"order": power(scales, missed), "smallest_scale_order": power(scales[:2], missed[:2])}
    return found | {"remainder": missed[-1]}


def noise_rows(watched: Watched, step: int, before: Tensor) -> Iterator[dict]:
    """Histogram over coordinates of |g| / sigma at fixed weights, sigma that of one row's gradient, per run of Adam.

    From `noise_batches` minibatches that training does not see; |g| itself is known to sigma / sqrt(rows looked at).
    """
    plan, task = watched.settings.plan, watched.task
    for index, run in enumerate(watched.settings.runs):
        if run.optimizer != "adam" or run.seed != watched.settings.runs[0].seed:  # one trajectory is enough
            continue
        x = watched.params(before[index], torch.float32)
        total, squares = 0.0, 0.0
        for batch in range(plan.noise_batches):
            windows = task.data.train.crops(
                1, 10**6 + batch, range(plan.noise_rows), plan.noise_rows, task.settings.seq_len + 1
            )
            _, grads = gradient(watched.loss(windows, torch.float32), x)
            flat = torch.cat([g.reshape(-1) for g in grads.values()]).double()
            total, squares = total + flat, squares + flat.square()
        mean = total / plan.noise_batches
        variance = (squares / plan.noise_batches - mean.square()) * plan.noise_batches / (plan.noise_batches - 1)
        sigma = (variance * plan.noise_rows).clamp_min(0).sqrt()
        fine = sigma > 0
        ratio = (mean.abs()[fine] / sigma[fine]).cpu().numpy()
        logs = np.clip(np.log10(np.maximum(ratio, 1e-30)), NOISE_BINS[0], NOISE_BINS[-1])
        density, _ = np.histogram(logs, NOISE_BINS)
        known = (plan.noise_batches * plan.noise_rows) ** -0.5
        for low, high, count in zip(NOISE_BINS[:-1], NOISE_BINS[1:], density, strict=True):
            yield {
                "part": "noise",
                **labels(run, step),
                "low": low,
                "high": high,
                "share": count / len(ratio),
                "resolution": known,
            }


def watch(settings: ProbeShard, device: str) -> Iterator[dict]:
    """Train all runs of the shard and measure at the chosen updates."""
    watched, plan = Watched(settings, device), settings.plan
    num_steps = settings.runs[0].num_steps
    steps, noisy = evenly(plan.num_points, num_steps), evenly(plan.noise_points, num_steps)
    watched.run.report = _Silent()
    while watched.run.step < num_steps:
        step, due = watched.run.step, watched.run.step in {*steps, *noisy}
        before = watched.run.model.flat.clone() if due else None
        if step in noisy:
            yield from noise_rows(watched, step, before)
        watched.run.update()
        if step in steps:
            yield from step_rows(watched, step, before, step in noisy)


class _Silent:
    """Stands in for the progress report, which a run that is stepped by hand does not have."""

    def note(self, text: str) -> None:
        print(text, flush=True)
