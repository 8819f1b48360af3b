"""Every random draw comes from a generator derived from (seed, purpose).

No function here touches a global random state, and none depends on how often it was called before:
the generator of (seed, "noise", step) is the same after a resume, on another rank, in another order.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Seed in [0, 2**63) that is a pure function of `seed` and `purpose`.

    Args:
        seed: the run's seed; any integer.
        purpose: what the draw is for, outermost first, e.g. ("train", "noise", step).
    """
    text = "/".join([str(int(seed)), *(f"{type(part).__name__}:{part}" for part in purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def torch_generator(seed: int, *purpose: str | int, device: "str | torch.device" = "cpu") -> "torch.Generator":
    """Fresh `torch.Generator` for (seed, purpose) on `device`."""
    import torch  # here, so that torch-free rooms can import this module

    return torch.Generator(device=device).manual_seed(derive_seed(seed, *purpose))


def numpy_generator(seed: int, *purpose: str | int) -> "np.random.Generator":
    """Fresh `numpy.random.Generator` (PCG64) for (seed, purpose)."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive_seed(seed, *purpose)))
