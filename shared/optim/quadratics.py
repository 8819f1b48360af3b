"""Quadratics whose Hessian has blocks, two models of gradient noise, and many descents on them at once. All float64.

f(w) = 0.5 w^T H w with its optimum at 0. H has a block for each group of eigenvalues, rotated at random; two Hessians
with one spectrum differ in how alike their blocks are. Shapes: d dimensions, R settings, S seeds, K updates.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from shared.base.seeding import torch_generator
from shared.optim.registry import get_rule
from shared.optim.rule import Hyper, Rule

Design = Literal["eig", "sqrt"]

# Nine eigenvalues in three blocks: every block spans all scales, or each has a scale of its own.
# Source: Orvieto and Gower 2025, arXiv 2505.21829, section 5 and appendix D.
HOMOGENEOUS = ((1.0, 99.0, 4998.0), (2.0, 100.0, 4999.0), (3.0, 101.0, 5000.0))
HETEROGENEOUS = ((1.0, 2.0, 3.0), (99.0, 100.0, 101.0), (4998.0, 4999.0, 5000.0))
LANDSCAPES = {"hom": HOMOGENEOUS, "het": HETEROGENEOUS}

_DRAWN_AHEAD = 256  # updates whose noise is drawn in one call


@dataclass(frozen=True)
class Quadratic:
    """f(w) = 0.5 w^T H w as the mean of d squared projections.

    Args:
        hessian: H, (d, d), symmetric and positive definite.
        samples: x_1..x_d as rows, (d, d), with H = samples^T samples / d; f(w) = mean_i 0.5 (x_i . w)^2.
    """

    hessian: Tensor
    samples: Tensor

    @property
    def dim(self) -> int:
        return len(self.hessian)

    def loss(self, w: Tensor) -> Tensor:
        """f(w), (...,) for w (..., d): as a sum of squares, which cannot turn negative by rounding."""
        return 0.5 * (w @ self.samples.T).square().mean(-1)

    def gradient(self, w: Tensor) -> Tensor:
        """H w, (..., d)."""
        return w @ self.hessian

    def row_gradient(self, w: Tensor, rows: Tensor) -> Tensor:
        """Mean over sampled rows of x_i (x_i . w), (..., S, d), for w (..., S, d) and rows (S, B) of indices."""
        drawn = self.samples[rows]  # (S, B, d)
        projected = (drawn @ w.unsqueeze(-1)).squeeze(-1)  # (..., S, B)
        return (projected.unsqueeze(-2) @ drawn).squeeze(-2) / rows.shape[-1]


def rotation(size: int, generator: torch.Generator) -> Tensor:
    """Eigenvectors of the Gram matrix of `size` Gaussian vectors of length 2 `size`, (size, size), orthogonal.

    Their signs are LAPACK's, so this is not exactly a Haar draw; spectra do not depend on that.
    """
    a = torch.randn(size, 2 * size, generator=generator, dtype=torch.float64) / (2 * size)
    return torch.linalg.eigh(a @ a.T).eigenvectors


def block_quadratic(blocks: Sequence[Sequence[float]], draw: int = 0, design: Design = "eig") -> Quadratic:
    """Block-diagonal Hessian with the eigenvalues `blocks`, each block rotated at random, and its d samples.

    Args:
        blocks: positive eigenvalues, block by block.
        draw: which random rotation.
        design: "eig": samples are the columns of sqrt(d) U L^{1/2}, scaled eigenvectors.
            "sqrt": samples are the rows of sqrt(d) H^{1/2}, symmetric. Both have one and the same Hessian.
    Source: arXiv 2505.21829, section 5 (text: sqrt) and its authors' notebook (eig).
    """
    if design not in ("eig", "sqrt"):
        raise ValueError(f"unknown design '{design}'; choose eig or sqrt")
    flat = [value for block in blocks for value in block]
    if not flat or min(flat) <= 0:
        raise ValueError(f"eigenvalues must be positive, at least one; got {[list(b) for b in blocks]}")
    generator = torch_generator(draw, "quadratic_rotation")
    parts, vectors = [], []
    for block in blocks:
        u, values = rotation(len(block), generator), torch.tensor(block, dtype=torch.float64)
        parts.append(u.T @ (values[:, None] * u))
        vectors.append(u.T)  # eigenvectors of the block as columns
    hessian, basis = torch.block_diag(*parts), torch.block_diag(*vectors)
    root = math.sqrt(len(flat)) * torch.tensor(flat, dtype=torch.float64).sqrt()
    columns = basis * root  # sqrt(d) U L^{1/2}
    return Quadratic((hessian + hessian.T) / 2, (columns if design == "eig" else columns @ basis.T).T.contiguous())


class GradientNoise(Protocol):
    """Where a stochastic gradient comes from. One draw per (seed, update), whatever the settings."""

    def draw(self, dim: int, generator: torch.Generator, num_steps: int) -> Tensor: ...

    def gradient(self, problem: Quadratic, w: Tensor, drawn: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class RowSampling:
    """Mean over `batch_size` of the d samples, drawn without replacement. Vanishes at the optimum."""

    batch_size: int

    def draw(self, dim: int, generator: torch.Generator, num_steps: int) -> Tensor:
        """Indices of sampled rows, (num_steps, batch_size)."""
        if not 1 <= self.batch_size <= dim:
            raise ValueError(f"{self.batch_size} rows cannot be drawn without replacement from {dim}; give 1 to {dim}")
        return torch.rand(num_steps, dim, generator=generator).argsort(-1)[:, : self.batch_size]

    def gradient(self, problem: Quadratic, w: Tensor, drawn: Tensor) -> Tensor:
        return problem.row_gradient(w, drawn)


@dataclass(frozen=True)
class AdditiveNoise:
    """H w + sigma z / sqrt(batch_size), z ~ N(0, I): noise that stays at the optimum, for any batch size."""

    sigma: float
    batch_size: int = 1

    def __post_init__(self) -> None:
        if not self.sigma >= 0 or self.batch_size < 1:
            raise ValueError(f"needs sigma >= 0 and a batch of at least 1; got {self.sigma} and {self.batch_size}")

    def draw(self, dim: int, generator: torch.Generator, num_steps: int) -> Tensor:
        """Noise of the mean gradient, (num_steps, d)."""
        scale = self.sigma / math.sqrt(self.batch_size)
        return scale * torch.randn(num_steps, dim, generator=generator, dtype=torch.float64)

    def gradient(self, problem: Quadratic, w: Tensor, drawn: Tensor) -> Tensor:
        return problem.gradient(w) + drawn


def warmup_cosine(num_steps: int, warmup_steps: int) -> list[float]:
    """Multipliers of the peak learning rate, a line from 0 to 1 whose FIRST is 0, then half a cosine down to 0.

    `shared.optim.schedules.cosine` wastes no first update; this is the form of the published toy experiments.
    """
    if not 0 <= warmup_steps < num_steps:
        raise ValueError(f"warmup_steps must lie in [0, {num_steps}); got {warmup_steps}")
    rise = torch.linspace(0, 1, warmup_steps, dtype=torch.float64).tolist()
    rest = num_steps - warmup_steps
    return rise + [0.5 * (1 + math.cos(math.pi * k / rest)) for k in range(rest)]


@dataclass(frozen=True)
class Descents:
    """What `descend` saw after `steps` updates.

    steps: logged numbers of updates, 0 first, (L,).
    losses: f(w), (L, R, S); infinity where an iterate is no number.
    highest: largest loss over all updates, logged or not, (R, S).
    watched: name of a state entry -> its values at the logged steps, (L, R, S, d); zeros at step 0.
    """

    steps: list[int]
    losses: Tensor
    highest: Tensor
    watched: dict[str, Tensor]

    @property
    def final(self) -> Tensor:
        """Loss after the last update, (R, S)."""
        return self.losses[-1]


@torch.no_grad()
def descend(
    problem: Quadratic,
    noise: GradientNoise,
    optimizer: str,
    settings: Sequence[Mapping[str, float]],
    multipliers: Sequence[float],
    seeds: Sequence[int],
    *,
    start: float = 1.0,
    log_every: int = 1,
    watch: Sequence[str] = (),
) -> Descents:
    """Run one optimiser with R settings on S seeds side by side; settings see the same noise, seed by seed.

    Args:
        optimizer: name of an update rule, settings: R sets of its hyperparameters, peak `lr` among them.
        multipliers: of the peak learning rate, one per update.
        seeds: of the gradient noise.
        start: every coordinate of w_0.
        log_every: updates between logged ones; the last is always logged.
        watch: entries of the rule's state to log, e.g. "exp_avg_var".
    Raises:
        ValueError: no settings or seeds, or what the rule refuses.
    """
    if not settings or not seeds or not multipliers:
        raise ValueError("a descent needs at least one setting, one seed and one update")
    rule = get_rule(optimizer)
    columns = _columns(rule, settings)
    w = torch.full((len(settings), len(seeds), problem.dim), float(start), dtype=torch.float64)
    state, num_steps = rule.init(w), len(multipliers)
    steps, losses, seen = [0], [_finite(problem.loss(w))], {name: [state[name]] for name in watch}
    highest = losses[0].clone()
    for step, drawn in enumerate(_draws(noise, problem.dim, seeds, num_steps), start=1):
        hyper = columns | {"lr": columns["lr"] * multipliers[step - 1]}
        w, state = rule.step(w, noise.gradient(problem, w, drawn), state, hyper)
        loss = _finite(problem.loss(w))
        highest = torch.maximum(highest, loss)
        if step % log_every == 0 or step == num_steps:
            steps.append(step)
            losses.append(loss)
            for name, values in seen.items():
                values.append(state[name])
    watched = {name: torch.stack(values) for name, values in seen.items()}
    return Descents(steps, torch.stack(losses), highest, watched)


def _finite(loss: Tensor) -> Tensor:
    return loss.nan_to_num(nan=math.inf, posinf=math.inf)


def _columns(rule: Rule, settings: Sequence[Mapping[str, float]]) -> Hyper:
    """Hyperparameters as (R, 1, 1), or as numbers where all settings agree."""
    resolved = [rule.resolve(each) for each in settings]
    found: dict[str, float | Tensor] = {}
    for name in resolved[0]:
        values = [float(each[name]) for each in resolved]
        same = all(value == values[0] for value in values)
        found[name] = values[0] if same else torch.tensor(values, dtype=torch.float64)[:, None, None]
    return found


def _draws(noise: GradientNoise, dim: int, seeds: Sequence[int], num_steps: int) -> Iterator[Tensor]:
    """(S, ...) per update; each seed has a stream of its own, so adding a seed changes none of the others."""
    generators = [torch_generator(seed, "quadratic_noise") for seed in seeds]
    for first in range(0, num_steps, _DRAWN_AHEAD):
        length = min(_DRAWN_AHEAD, num_steps - first)
        yield from torch.stack([noise.draw(dim, generator, length) for generator in generators], dim=1)
