"""Names of models in tables and figures, in their order; the grid that the paper compares with."""

from collections.abc import Iterable

import pandas as pd

MODELS = {"attention": "Attention", "mamba": "Mamba", "mamba2": "Mamba-2", "deltanet": "DeltaNet", "hyena": "Hyena"}
MODELS |= {"based": "Based", "h3": "H3", "rwkv4": "RWKV-4"}
COARSE = (1.0e-4, 4.64e-4, 2.15e-3, 1.0e-2)  # learning rates of earlier work (Arora et al. 2023, arXiv 2312.04927)


def named(table: pd.DataFrame) -> pd.DataFrame:
    """With `panel` (row, layers, task where there are several), `size` (width) and `label` (panel, width if several).

    A curve is what one label names: two sizes of a model are never joined.
    """
    layers = table.num_layers.map(lambda n: f", {n:g} layer" + ("s" if n > 1 else ""))
    tasks = ", " + table.task if table.task.nunique() > 1 else ""
    panel, size = table.row + layers + tasks, "width " + table.d_model.map("{:g}".format)
    several = size.groupby(panel).transform("nunique") > 1
    return table.assign(panel=panel, size=size, label=panel.where(~several, panel + ", " + size))


def ordered(labels: Iterable[str]) -> list[str]:
    """Labels in the order of the models."""
    names = list(MODELS.values())
    return sorted(set(labels), key=lambda text: ([text.startswith(n) for n in names].index(True), text))
