"""Which device a step runs on, and the sentence for a machine that lacks it; imports without torch."""

import os

EXPECTED_PROCESSES = "TRAIN_EXPECTED_PROCESSES"  # set by shared.train.launch, read by the training loop

_NEEDS_GPU = {"smoke": False, "cpu": False, "gpu": True, "cuda": True, "paper": True}


def require_device(scale_or_kind: str) -> str:
    """Device for a scale (smoke, cpu, gpu, paper) or a kind (cpu, cuda): "cpu" or "cuda".

    Raises:
        ValueError: it needs a GPU and this machine has none, or it is unknown.
    """
    if scale_or_kind not in _NEEDS_GPU:
        raise ValueError(f"unknown scale or device {scale_or_kind!r}; known are {', '.join(_NEEDS_GPU)}")
    if not _NEEDS_GPU[scale_or_kind]:
        return "cpu"
    if num_gpus() == 0:
        raise ValueError(
            f"{scale_or_kind!r} needs a CUDA GPU and this machine shows none; run at scale cpu, or rebuild the tables"
            " and figures from recorded runs with --config scale=gpu records=dvc"
        )
    return "cuda"


def num_gpus() -> int:
    """CUDA devices that this process may use (CUDA_VISIBLE_DEVICES is respected)."""
    import torch  # here, so that a CPU job asks for its device without starting torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def available_devices(num_devices: int | None, *, wanted: int) -> list[str]:
    """Devices to lease from: the list that SLURM or the user has set, else all of this node.

    Args:
        num_devices: how many GPUs the node has; None asks the driver.
        wanted: how many the job needs.
    Raises:
        ValueError: there are fewer than wanted.
    """
    if num_devices is None:
        num_devices = num_gpus()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(i) for i in range(num_devices)] if listed is None else [d for d in listed.split(",") if d.strip()]
    devices = devices[:num_devices]  # a list may name devices that do not exist
    if not devices:
        raise ValueError(
            f"--gpus {wanted} was given and this machine shows no GPU; use --gpus 0, or run at scale smoke or cpu"
        )
    if len(devices) < wanted:
        source = "this machine has" if listed is None else f"CUDA_VISIBLE_DEVICES={listed} leaves"
        raise ValueError(f"--gpus {wanted} was given and {source} {len(devices)}; ask for no more than that")
    return devices
