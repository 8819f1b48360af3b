"""How many data sets of a batch GD cycles on."""

import numpy as np

from papers.logistic_gd.orbits import CYCLE, DIVERGED, UNDECIDED, Fate, follow
from papers.logistic_gd.random_data import Batch
from papers.logistic_gd.reports import counts
from papers.logistic_gd.settings import Census

TOLERANCE = 1e-4  # of convergence, relative to 1 + |w*|; w* is locally stable, so what comes this near stays


def follow_batch(settings: Census, batch: Batch, starts: np.ndarray, gamma: float, device: str = "cpu") -> Fate:
    """Fate of all starts (S, B, d) of a batch at one gamma, in chunks."""
    fates = []
    for first in range(0, len(starts), settings.chunk):
        part = slice(first, first + settings.chunk)
        eta = np.broadcast_to((gamma / batch.sharpness[part])[:, None], starts[part].shape[:2])
        sets = (starts[part], batch.z[part], batch.weights[part], eta, batch.w_star[part])
        fates.append(follow(*sets, tolerance=TOLERANCE, device=device, **settings.rounds))
    return Fate(*(np.concatenate([getattr(f, name) for f in fates]) for name in ("outcome", "period", "point")))


def batch_counts(fate: Fate) -> dict:
    """Runs by outcome, data sets with a cycling start or else with an open one, and the periods seen."""
    cycling, open_runs = fate.outcome == CYCLE, np.isin(fate.outcome, (UNDECIDED, DIVERGED))
    return {
        "num_runs": fate.outcome.size,
        **counts(fate.outcome),
        "num_sets": len(fate.outcome),
        "num_sets_cycling": int(cycling.any(axis=1).sum()),
        "num_sets_undecided": int((open_runs.any(axis=1) & ~cycling.any(axis=1)).sum()),
        "num_sets_cycling_from_zero": int(cycling[:, 0].sum()),
        "periods": " ".join(str(p) for p in np.unique(fate.period[cycling])) or "none",
    }
