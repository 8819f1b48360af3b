"""Settings and registry load quickly: no torch, no HF datasets, no scikit-learn."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "datasets", "sklearn", "tokenizers", "pyarrow", "pandas", "scipy")


@pytest.mark.parametrize(
    "module",
    ["config", "registry", "sources", "loaders", "docstrings", "markov", "tokenizers", "text", "digits", "build"],
)
def test_importing_loads_no_heavy_library(module):
    code = f"import sys, shared.data.{module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
