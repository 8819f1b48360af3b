"""Records -> tables, where a table is more than columns of a record."""

import pandas as pd

from papers.distributed_sde.measures import above_the_axis, over_corrected, processes_beside_simulation


def fig_compression(records) -> pd.DataFrame:
    """Largest stable steps, over the corrected condition."""
    return over_corrected(records("linear", "stable"))


def fig_dcsgd(records) -> pd.DataFrame:
    """Losses of the compressed network; what has left the axis as infinity."""
    return above_the_axis(records("network", "dcsgd"), ["rule", "omega", "seed"])


def fig_minibatch(records) -> pd.DataFrame:
    """The same of the mini-batch studies."""
    return above_the_axis(records("minibatch"), ["network", "study", "rule", "level", "seed"])


def tab_processes(records) -> pd.DataFrame:
    """Processes beside the simulation."""
    return processes_beside_simulation(records("processes"))
