"""A circuit network of width N as one of width M > N with the same function.

With Q^T Q = I, Q (M, N), the stream becomes x Q^T. Its mean square shrinks by N / M, so what reads is multiplied by
c = sqrt(N / M), shifts are divided by it, and eps becomes eps N / M: without that the function changes a little.

Source: Theus et al. 2025 (arXiv 2506.22712), symmetries by rectangular orthogonal matrices.
"""

from dataclasses import replace

import torch

from shared.weightspace.circuits import STREAM, CircuitTransformer, circuit_symmetry
from shared.weightspace.elements import random_orthogonal
from shared.weightspace.symmetry import move_axis


@torch.no_grad()
def widened(model: CircuitTransformer, d_model: int, generator: torch.Generator) -> CircuitTransformer:
    """The network at width `d_model` in a random frame of its own.

    Raises:
        ValueError: a width below the network's.
    """
    config = model.config
    if d_model < config.d_model:
        raise ValueError(
            f"a network of width {config.d_model} cannot become one of {d_model}; give the wider one first"
        )
    state = model.state_dict()
    frame = random_orthogonal(d_model, config.d_model, generator).to(state["embedding"].dtype)
    ratio = config.d_model / d_model
    found = dict(state)
    for axis in circuit_symmetry(config).of_space(STREAM):
        shift = axis.parameter.split(".")[-1].startswith("shift")
        factor = ratio**-0.5 if shift else ratio**0.5 if axis.reads else 1.0
        found[axis.parameter] = move_axis(found[axis.parameter], axis, factor * frame)
    wide = CircuitTransformer(replace(config, d_model=d_model, eps=config.eps * ratio)).to(frame.dtype)
    wide.load_state_dict(found)
    return wide
