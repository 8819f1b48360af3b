"""Limits on a gradient: its length over the whole model, or each coordinate. Apply before momentum."""

from shared.optim.vectors import Scalar, Vector, clamp, inner, near


def global_norm(grads: Vector) -> Scalar:
    """Euclidean norm over all coordinates of a model, float64: (M, 1) for M members, 0-d for `Leaves`."""
    return inner(grads, grads) ** 0.5


def clip_global_norm(grads: Vector, max_norm: Scalar, norm: Scalar | None = None) -> Vector:
    """grads * min(1, max_norm / |grads|): exact, with no epsilon added to the norm.

    Args:
        grads: a flat tensor (P,), (M, P) for M members, each with its own norm, or `Leaves`.
        max_norm: > 0; a number or (M, 1). Infinity leaves a member alone, bit for bit.
        norm: `global_norm(grads)` where it is known already.
    """
    norm = global_norm(grads) if norm is None else norm
    return near(clip_factor(max_norm, norm), grads) * grads


def clip_factor(max_norm: Scalar, norm: Scalar) -> Scalar:
    """min(1, max_norm / norm); 1 where the norm is 0."""
    return clamp(max_norm / norm, high=1.0)


def clip_coordinates(vector: Vector, max_abs: Scalar) -> Vector:
    """Each coordinate limited to [-max_abs, max_abs]; a number or (M, 1)."""
    return clamp(vector, -max_abs, max_abs)
