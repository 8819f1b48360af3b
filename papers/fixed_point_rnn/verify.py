"""Step: what can be checked exactly, in float64: closed forms, contraction, gradients, complexity.

python -m papers.fixed_point_rnn.verify --scale cpu --shard exact
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from papers.fixed_point_rnn import dense
from papers.fixed_point_rnn.gradients import cosine, direct_gradient, fixed_point, implicit_gradient, truncated_gradient
from papers.fixed_point_rnn.mixers import as_matrix, build_channel_mixer
from papers.fixed_point_rnn.rnn import FPRNN
from papers.fixed_point_rnn.settings import Exact, MixerSettings, ModelSettings, SolverSettings
from papers.fixed_point_rnn.solver import solve
from shared.artifacts.step import step
from shared.base.seeding import torch_generator
from shared.models.initialisation import drawing_from


def random_linear(width: int, length: int, generator: torch.Generator, kind: str = "householder"):
    """lam, v (T, D) and Q (T, D, D) of a mixer that reads the input alone; lam and alpha spread over all of (0, 1)."""
    with drawing_from(generator):
        mixer = build_channel_mixer(width, MixerSettings(kind=kind, argument="input")).double()
    x = 4 * torch.randn(1, length, width, generator=generator, dtype=torch.float64)
    q = as_matrix(mixer, mixer.coefficients(mixer.prepare(x)[0]), (1, length))[0].detach()
    lam = (3 * torch.randn(length, width, generator=generator, dtype=torch.float64)).sigmoid()
    return lam, q, torch.randn(length, width, generator=generator, dtype=torch.float64)


def linear_row(settings: Exact, draw: int) -> dict:
    """One random dense recurrence: the solver against its closed form, and what its transitions A_t are like."""
    lam, q, v = random_linear(settings.width, settings.length, torch_generator(draw, "linear"))
    exact = dense.dense_states(lam, q, v)
    f = dense.diagonal_map(lam, q, v)
    solver = SolverSettings(tol=1e-13, quantile=1.0, l_max=5000)
    found = solve(lambda h: f(h[0]).unsqueeze(0), torch.zeros_like(v).unsqueeze(0), solver)
    a = dense.transition(lam, q)
    values = torch.linalg.eigvals(a)
    product = torch.eye(settings.width, dtype=a.dtype)
    for a_t in a:
        product = a_t @ product
    return {
        "draw": draw,
        "iterations": int(found.iterations),
        "solver_error": float((found.y[0] - exact).abs().max() / exact.abs().max()),
        "two_forms_error": float((a - dense.transition_by_inverse(lam, q)).abs().max()),
        "smallest_eigenvalue": float(values.real.min()),
        "largest_eigenvalue": float(values.real.max()),
        "largest_imaginary": float(values.imag.abs().max()),
        "largest_norm": float(torch.linalg.matrix_norm(a, 2).max()),
        "product_norm": float(torch.linalg.matrix_norm(product, 2)),
    }


def residual_rows(settings: Exact) -> Iterator[dict]:
    """Change per iteration over the first one, constant lam and Q, beside |I - Q|^l; norm of df/dh of the sequence."""
    generator = torch_generator(0, "contraction")
    width, length = settings.width, settings.contraction_length
    u = torch.randn(width, generator=generator, dtype=torch.float64)
    u, v = u / u.norm(), torch.randn(length, width, generator=generator, dtype=torch.float64)
    positive = torch.linspace(0, 0.95, width, dtype=torch.float64)
    for name, lam, alpha in (
        ("lam in [0, 1)", positive, 0.5),
        ("lam in [0, 1)", positive, 0.9),
        ("lam = -0.9", torch.full((width,), -0.9, dtype=torch.float64), 0.5),
        ("lam = -0.9", torch.full((width,), -0.9, dtype=torch.float64), 0.9),
    ):
        q = (torch.eye(width, dtype=torch.float64) - alpha * torch.outer(u, u)).expand(length, -1, -1)
        constant = lam.expand(length, -1)
        norm = float(torch.linalg.matrix_norm(dense.sequence_jacobian(constant, q), 2))
        f, h, first = dense.diagonal_map(constant, q, v), torch.zeros_like(v), None
        for iteration in range(1, 41):
            new = f(h)
            change, h = float((new - h).norm()), new
            first = first or change
            row = {"case": name, "norm_i_minus_q": alpha, "jacobian_norm": norm, "iteration": iteration}
            yield row | {"change": change / first, "bound": alpha ** (iteration - 1)}


def random_layer(settings: Exact, argument: str, scale: int, draw: int) -> tuple[FPRNN, Tensor, Tensor]:
    """An FP-RNN layer of width `width` with its input (1, T, d_model) and the weights of a linear loss."""
    d_model = settings.width // 2
    generator = torch_generator(draw, "layer", argument, scale)
    mixer = MixerSettings(argument=argument, reflection_scale=scale)
    with drawing_from(generator):
        layer = FPRNN(ModelSettings(d_model=d_model, mixer=mixer)).double()
    shape = (1, settings.length, d_model)
    u, weights = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return layer, u, weights


def gradient_rows(settings: Exact) -> Iterator[dict]:
    """Cosine between the truncated and the exact gradient of all parameters, over random initialisations.

    Of the parts through the fixed point: what the read-out gets beside it is the same in both and would hide an angle.
    """
    for scale, argument, draw in (
        (s, a, d) for s in (1, 2) for a in ("concat", "sum", "input") for d in range(settings.num_draws)
    ):
        layer, u, weights = random_layer(settings, argument, scale, draw)
        y, residual = fixed_point(layer, u)
        direct = direct_gradient(layer, u, weights, y)
        exact = implicit_gradient(layer, u, weights, y) - direct
        for num in settings.num_backward:
            found = cosine(truncated_gradient(layer, u, weights, y, num) - direct, exact)
            key = {"scale": scale, "argument": argument, "draw": draw, "num_backward": num}
            yield key | {"cosine": found, "gap": max(1 - found, 1e-16), "converged": residual < 1e-9}


def theorem_rows(settings: Exact) -> Iterator[dict]:
    """Theorem 3.2 where df/dx = df/dh = J: cosine between the one-step and the exact gradient step, |J|_2 = norm.

    The exact gradient is (I - J)^-T d, the step J J^T d: d^T (I - J)^-1 J J^T d = w^T (I - J)^-1 w >= 0, w = J^T d.
    """
    generator = torch_generator(0, "theorem 3.2")
    for norm in (0.5, 0.9, 0.99, 1.5):
        for draw in range(settings.num_jacobians):
            j = torch.randn(settings.width, settings.width, generator=generator, dtype=torch.float64)
            j = norm * j / torch.linalg.matrix_norm(j, 2)
            d = torch.randn(settings.width, generator=generator, dtype=torch.float64)
            exact = torch.linalg.solve((torch.eye(settings.width, dtype=j.dtype) - j).mT, d)
            yield {"norm": norm, "draw": draw, "cosine": cosine(j.mT @ exact, j.mT @ d)}


class _Counter:
    """Counts mixer calls of a layer, and the bytes that autograd keeps."""

    def __init__(self, layer: FPRNN) -> None:
        self.calls, self.bytes, self._apply = 0, 0, layer.mixer.apply
        layer.mixer.apply = self.apply

    def apply(self, *args: object) -> Tensor:
        self.calls += 1
        return self._apply(*args)

    def pack(self, tensor: Tensor) -> Tensor:
        self.bytes += tensor.numel() * tensor.element_size()
        return tensor


def complexity_rows(settings: Exact) -> Iterator[dict]:
    """Scans (one with each mixer call) and bytes kept for the backward pass, over the length and over l_max."""
    for length in (8, 16, 32):
        for l_max in (1, 2, 4, 8, 16):
            with drawing_from(torch_generator(0, "complexity")):
                layer = FPRNN(ModelSettings(d_model=settings.width // 2))
            layer.solver, u = (
                SolverSettings(tol=1e-12, quantile=1.0, l_max=l_max),
                torch.randn(2, length, settings.width // 2, generator=torch_generator(0, "complexity input")),
            )
            counter = _Counter(layer)
            with torch.autograd.graph.saved_tensors_hooks(counter.pack, lambda tensor: tensor):
                _, solution = layer(u)
            key = {"length": length, "l_max": l_max, "iterations": int(solution.iterations)}
            yield key | {"mixer_calls": counter.calls, "kilobytes_kept": counter.bytes / 1024}


@step
def verify(settings: Exact) -> dict:
    """Exact checks of one shard."""
    return {
        "linear": [linear_row(settings, draw) for draw in range(settings.num_linear)],
        "residuals": list(residual_rows(settings)),
        "gradients": list(gradient_rows(settings)),
        "theorem": list(theorem_rows(settings)),
        "complexity": list(complexity_rows(settings)),
    }


if __name__ == "__main__":
    verify.main()
