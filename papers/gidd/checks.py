"""Refusals shared by the modules of this paper: each says what was given, what is accepted, what to do next."""

import torch
from torch import Tensor


def check_vocabulary(vocab_size: int, mask_id: int) -> None:
    """Raises ValueError unless there are at least two ordinary tokens and the mask is one of the `vocab_size` ids."""
    if vocab_size < 3:
        raise ValueError(f"vocab_size counts two or more ordinary tokens plus the mask; got {vocab_size}")
    if not 0 <= mask_id < vocab_size:
        raise ValueError(
            f"mask_id must be one of the {vocab_size} ids 0..{vocab_size - 1}; got {mask_id}: "
            "count the mask in vocab_size or choose an id inside it"
        )


def check_times(t: Tensor, name: str = "t") -> None:
    """Raises ValueError unless all times lie strictly between data (0) and pure noise (1)."""
    outside = ~((t > 0) & (t < 1))
    if bool(outside.any()):
        worst = t[outside].flatten()[0].item()
        raise ValueError(
            f"{name} must lie strictly inside (0, 1), where the rates are finite; got {worst}: "
            "clip it to [eps, 1 - eps]"
        )


def check_ids(tokens: Tensor, name: str, vocab_size: int, mask_id: int | None = None) -> None:
    """Raises ValueError for no tokens, ids outside 0..vocab_size-1 and, given `mask_id`, for masks in `tokens`."""
    if tokens.numel() == 0:
        raise ValueError(f"{name} holds no tokens (shape {tuple(tokens.shape)}); pass sequences of length 1 or more")
    low, high = (bound.item() for bound in torch.aminmax(tokens))
    if low < 0 or high >= vocab_size:
        raise ValueError(f"{name} holds ids {low}..{high}, but the vocabulary has ids 0..{vocab_size - 1}")
    if mask_id is not None and bool((tokens == mask_id).any()):
        raise ValueError(
            f"{name} contains the mask id {mask_id}; it must hold ordinary tokens only: fill the masks first"
        )


def check_x_hat(x_hat: Tensor, vocab_size: int, mask_id: int) -> None:
    """Raises ValueError if a predicted distribution has the wrong width or puts mass on the mask."""
    if x_hat.shape[-1] != vocab_size:
        raise ValueError(f"x_hat has {x_hat.shape[-1]} entries per token, but the vocabulary has {vocab_size}")
    mass = x_hat[..., mask_id].max().item()
    if mass > 0:
        raise ValueError(
            f"x_hat puts mass {mass:.3g} on the mask id {mask_id}, which is never data; "
            "set the mask logit to -inf before the softmax"
        )


def check_positive_count(value: int, name: str) -> None:
    """Raises ValueError unless `value` is an integer of at least one."""
    if int(value) != value or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1; got {value}")


def check_temperature(tau: float) -> None:
    """Raises ValueError unless the softmax temperature is positive."""
    if not tau > 0:
        raise ValueError(f"temperature tau must be positive (a small one such as 1e-6 picks the argmax); got {tau}")


def check_truncation(eps: float) -> None:
    """Raises ValueError unless [eps, 1 - eps] is a non-empty interval of times."""
    if not 0 <= eps < 0.5:
        raise ValueError(f"eps cuts both ends of [0, 1] and must lie in [0, 0.5); got {eps}")
