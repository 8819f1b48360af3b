"""Whether this machine has an accelerator; costs no torch import."""

import glob


def has_gpu() -> bool:
    """Whether this machine shows an accelerator's device file."""
    return bool(glob.glob("/dev/nvidia[0-9]*") or glob.glob("/dev/kfd"))


def device_for(num_gpus: int) -> str:
    """ "cuda" for a job that asks for GPUs, else "cpu".

    Raises:
        ValueError: it asks for GPUs and this machine shows none.
    """
    if not num_gpus:
        return "cpu"
    if not has_gpu():
        raise ValueError(
            "this job needs a GPU and this machine shows none; run at scale cpu, or rebuild the tables and figures "
            "from recorded runs with --config scale=gpu records=dvc"
        )
    return "cuda"
