"""A loop over chunks of time that keeps one state per chunk and recomputes the rest in the backward pass.

The chunk's arithmetic is given as a function; its gradient comes from torch. Everything a chunk needs fits into the
processor's cache, and memory is the inputs, the outputs and T / C states.
Shapes: B batch, T time, C chunk size.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from shared.kernels.batching import BatchFunction, GradientFunction

# (state, constants and inputs of the chunk) -> (outputs of the chunk (B, C, ...), state after it)
ChunkStep = Callable[..., tuple[Tensor, Tensor]]


def chunk_loop(
    step: ChunkStep,
    chunk_size: int,
    state: Tensor,
    inputs: tuple[Tensor, ...],
    constants: tuple[Tensor, ...] = (),
    *,
    recompute_single: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run `step` over consecutive chunks of `inputs`.

    Args:
        step: called as step(state, *constants, *chunks); differentiable torch operations.
        chunk_size: time steps per call; the last call may get fewer.
        state: before the first step, (B, ...).
        inputs: each (B, T, ...), cut along T.
        constants: each (B, ...), handed whole to every call.
        recompute_single: treat a single chunk as any other. Otherwise torch differentiates its step: a third to a half
            faster, for what the step keeps of each layer. The step then has to work under torch.func itself.
    Returns:
        outputs (B, T, ...); state after the last step (B, ...).
    """
    with _as_given(state.device.type):
        if inputs[0].shape[1] <= chunk_size and not recompute_single:
            outputs, final_state = step(state, *constants, *inputs)
            return outputs.contiguous(), final_state.contiguous()
        outputs, final_state, _ = _ChunkLoop.apply(step, chunk_size, len(constants), state, *constants, *inputs)
    return outputs, final_state


def _as_given(device_type: str) -> AbstractContextManager:
    """Without autocast: a state is carried in its own precision, and triangles have no solver in bfloat16."""
    available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if available else nullcontext()


def _chunks(num_steps: int, chunk_size: int) -> list[slice]:
    return [slice(begin, min(begin + chunk_size, num_steps)) for begin in range(0, num_steps, chunk_size)]


class _ChunkLoop(BatchFunction):
    @staticmethod
    def forward(step: ChunkStep, chunk_size: int, num_constants: int, state: Tensor, *tensors: Tensor) -> tuple:
        constants, inputs = tensors[:num_constants], tensors[num_constants:]
        spans = _chunks(inputs[0].shape[1], chunk_size)
        states = state.new_empty(state.shape[0], len(spans), *state.shape[1:])
        outputs = None
        for n, span in enumerate(spans):
            states[:, n] = state
            out, state = step(state, *constants, *(z[:, span] for z in inputs))
            if outputs is None:
                outputs = out.new_empty(out.shape[0], inputs[0].shape[1], *out.shape[2:])
            outputs[:, span] = out
        return outputs, state.clone(), states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.step, ctx.chunk_size, ctx.num_constants, _, *tensors = inputs
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(output[2], *tensors)

    @staticmethod
    def backward(ctx: Any, d_outputs: Tensor, d_state: Tensor, _: Tensor) -> tuple:
        states, *tensors = ctx.saved_tensors
        wanted = tuple(ctx.needs_input_grad[4:])
        grads = _ChunkLoopBackward.apply(
            ctx.step, ctx.chunk_size, ctx.num_constants, wanted, d_outputs, d_state, states, *tensors
        )
        return None, None, None, *grads


class _ChunkLoopBackward(GradientFunction):
    """Gradients of state, constants and inputs."""

    @staticmethod
    def forward(
        step: ChunkStep,
        chunk_size: int,
        num_constants: int,
        wanted: tuple[bool, ...],
        d_outputs: Tensor,
        d_state: Tensor,
        states: Tensor,
        *tensors: Tensor,
    ) -> tuple:
        constants, inputs = tensors[:num_constants], tensors[num_constants:]
        d_constants = [torch.zeros_like(z) for z in constants]
        d_inputs = [
            torch.empty_like(z) if wants else None for z, wants in zip(inputs, wanted[num_constants:], strict=True)
        ]
        for n, span in reversed(list(enumerate(_chunks(inputs[0].shape[1], chunk_size)))):
            leaves = [z.detach().requires_grad_() for z in (states[:, n], *constants, *(z[:, span] for z in inputs))]
            with torch.enable_grad():
                results = step(*leaves)
            grads = torch.autograd.grad(results, leaves, (d_outputs[:, span], d_state), materialize_grads=True)
            d_state = grads[0]
            for total, grad in zip(d_constants, grads[1 : 1 + num_constants], strict=True):
                total += grad
            for total, grad in zip(d_inputs, grads[1 + num_constants :], strict=True):
                if total is not None:
                    total[:, span] = grad
        return d_state.clone(), *d_constants, *d_inputs
