"""Where this checkout lies."""

import os
from pathlib import Path


def repo_root() -> Path:
    """Folder that holds `shared/` and `papers/`: the checkout this package was imported from."""
    return Path(os.path.abspath(__file__)).parents[2]
