"""The toy training is imported by tests and started by them as a module; both find it beside this file."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))


@pytest.fixture
def environment():
    """Environment of a child process that imports this repository and the toy training, and sees no GPU."""
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_JOB_ID")}
    return kept | {"PYTHONPATH": f"{HERE.parents[2]}{os.pathsep}{HERE}", "CUDA_VISIBLE_DEVICES": ""}
