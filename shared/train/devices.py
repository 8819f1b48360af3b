"""Which device a step runs on, and the sentence for a machine that lacks it; imports without torch."""

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
