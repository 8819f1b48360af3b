"""Inputs for every recurrent kernel, so that one property can be asked of all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from shared.base.seeding import torch_generator
from shared.kernels.compiled import attempt, library
from shared.kernels.delta import delta_rule, gated_delta_rule
from shared.kernels.diagonal import diagonal_recurrence
from shared.kernels.linear_attention import scalar_decay_attention, vector_decay_attention
from shared.kernels.selective import selective_scan

BATCH, HEADS, KEY, VALUE, CHANNELS, STATES = 2, 2, 3, 5, 6, 3
CHUNK = 8

KERNELS: dict[str, Callable] = {
    "diagonal real": diagonal_recurrence,
    "diagonal complex": diagonal_recurrence,
    "diagonal constant": diagonal_recurrence,
    "scalar decay": scalar_decay_attention,
    "vector decay": vector_decay_attention,
    "selective scan": selective_scan,
    "delta rule": delta_rule,
    "gated delta rule": gated_delta_rule,
}
COMPILED = ("diagonal real", "diagonal complex", "diagonal constant", "selective scan")
CHUNKED = ("scalar decay", "vector decay", "delta rule", "gated delta rule")


@dataclass(frozen=True)
class Case:
    """One kernel with random inputs; `timed` names the inputs that have a time axis."""

    name: str
    inputs: dict[str, Tensor]
    timed: tuple[str, ...]

    def run(self, inputs: dict[str, Tensor] | None = None, **options: object) -> tuple[Tensor, Tensor]:
        """Call the kernel; chunked ones use a small chunk so that short sequences have several."""
        if self.name in CHUNKED:
            options.setdefault("chunk_size", CHUNK)
        return KERNELS[self.name](**(self.inputs if inputs is None else inputs), **options)

    def cut(self, span: slice) -> dict[str, Tensor]:
        """Inputs with their time axis restricted to `span`."""
        return {name: z[:, span] if name in self.timed else z for name, z in self.inputs.items()}


def _diagonal(name: str, num_steps: int, normal: Callable, uniform: Callable) -> dict[str, Tensor]:
    shape = (BATCH, num_steps, CHANNELS)
    if name == "diagonal complex":
        a = torch.polar(uniform(*shape), 3 * normal(*shape))
        return {
            "a": a,
            "x": torch.complex(normal(*shape), normal(*shape)),
            "initial_state": torch.complex(normal(BATCH, CHANNELS), normal(BATCH, CHANNELS)),
        }
    a = 2 * uniform(1, 1, CHANNELS) - 1 if name == "diagonal constant" else 2 * uniform(*shape) - 1
    return {"a": a, "x": normal(*shape), "initial_state": normal(BATCH, CHANNELS)}


def make_case(name: str, num_steps: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Case:
    """Random inputs of `num_steps` steps; the same numbers for the same arguments."""
    generator = torch_generator(seed, "kernel case", name, num_steps)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    steps = (BATCH, num_steps)
    if name.startswith("diagonal"):
        inputs = _diagonal(name, num_steps, normal, uniform)
        timed = ("x",) if name == "diagonal constant" else ("a", "x")
    elif name == "selective scan":
        inputs = {
            "x": normal(*steps, CHANNELS),
            "delta": normal(*steps, CHANNELS),
            "A": -4 * uniform(CHANNELS, STATES),
            "B": normal(*steps, STATES),
            "C": normal(*steps, STATES),
            "D": normal(CHANNELS),
            "initial_state": normal(BATCH, CHANNELS, STATES),
            "delta_bias": normal(CHANNELS),
        }
        timed = ("x", "delta", "B", "C")
    else:
        k = normal(*steps, HEADS, KEY)
        if "delta" in name:
            k = torch.nn.functional.normalize(k, dim=-1)
        inputs = {"q": normal(*steps, HEADS, KEY), "k": k, "v": normal(*steps, HEADS, VALUE)}
        if "delta" in name:
            inputs["beta"] = 2 * uniform(*steps, HEADS)
        if name != "delta rule":
            inputs["log_decay"] = -uniform(*steps, HEADS, *((KEY,) if name == "vector decay" else ()))
        inputs["initial_state"] = normal(BATCH, HEADS, KEY, VALUE)
        timed = tuple(key for key in inputs if key != "initial_state")
    inputs = {key: z.to(dtype.to_complex() if z.is_complex() else dtype) for key, z in inputs.items()}
    return Case(name, inputs, timed)


def run_with_gradients(case: Case, **options: object) -> dict[str, Tensor]:
    """Outputs, final state, and the gradient of one random-weighted sum of both for every input."""
    leaves = {name: z.detach().clone().requires_grad_() for name, z in case.inputs.items()}
    if case.name == "selective scan":
        options.setdefault("delta_softplus", True)
    out, state = case.run(leaves, **options)
    generator = torch_generator(1, "cotangent", case.name)
    loss = 0.0
    for z in (out, state):
        real = torch.view_as_real(z) if z.is_complex() else z
        weights = torch.randn(real.shape, generator=generator, dtype=torch.float64)
        loss = loss + (real.double() * weights.to(real.device)).sum()
    grads = torch.autograd.grad(loss, list(leaves.values()))
    named = {f"gradient of {name}": grad for name, grad in zip(leaves, grads, strict=True)}
    return {"output": out.detach(), "final state": state.detach(), **named}


@pytest.fixture(autouse=True)
def skip_compiled_form_without_compiler(request: pytest.FixtureRequest) -> None:
    """A parameter "compiled" needs the library."""
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    if any(isinstance(value, str) and value == "compiled" for value in parameters) and library() is None:
        pytest.skip(attempt()[2])


@pytest.fixture
def kernel_case() -> Callable[..., Case]:
    return make_case


@pytest.fixture
def with_gradients() -> Callable[..., dict[str, Tensor]]:
    return run_with_gradients


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`kernel` runs over all recurrent kernels, `chunked_kernel` over those with a chunk size.

    With `backend` a test runs over all CPU forms of each kernel, with `form` over those that are not the reference.
    """
    for argument, forms in (("backend", ("reference", "torch")), ("form", ("torch",))):
        if {"kernel", argument} <= set(metafunc.fixturenames):
            has = [(kernel, (*forms, "compiled") if kernel in COMPILED else forms) for kernel in KERNELS]
            pairs = [(kernel, form) for kernel, chosen in has for form in chosen]
            metafunc.parametrize(("kernel", argument), pairs)
            return
    if "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", list(KERNELS))
    if "chunked_kernel" in metafunc.fixturenames:
        metafunc.parametrize("chunked_kernel", CHUNKED)
