"""Step: results that the paper's authors released, in the form of our own records of step `sweep`.

python -m papers.signed_adam.released --scale paper --shard main

What the files do not say, or say in a way of their own (read in the paper, or inferred where it is marked):
- ppl_all is a training curve of equally spaced points; its spacing is taken as num_steps / points (inferred).
- Signum files are named after 2B tokens and hold runs of 6200 and 24800 steps; the records say what num_steps says.
- SGD files for plain and globally clipped runs record 4800 steps beside a name that says 3B tokens; kept as recorded.
- The 410M file records the batch of one of eight GPUs.
- `clip` 1000 means none; Adam's files have no such column and were clipped at 1. clipSGD also clips coordinates at 1.
- SGD's buffer is b buf + b g: torch's momentum b with dampening 1 - b (inferred from the sweep itself).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from papers.signed_adam.settings import ReleasedShard
from shared.artifacts.step import step
from shared.data.pickles import read_frame
from shared.data.sources import fetch

OPTIMIZERS = {"adamw": "adamw", "signSGD": "signum", "sgd": "sgd", "clipSGD": "sgd"}
UNCLIPPED = 1000.0  # what the files write for no clipping
GPUS_410M = 8


def settings_of(row: dict[str, Any], file: str) -> dict[str, Any]:
    """Settings of one released run under the names of our records."""
    optimizer = OPTIMIZERS.get(row["optim"])
    if optimizer is None:
        raise ValueError(f"{file} has a run of optimiser '{row['optim']}'; known are {', '.join(OPTIMIZERS)}")
    clip = float(row.get("clip", 1.0))
    found = {
        "optimizer": optimizer,
        "lr": float(row["lr"]),
        "weight_decay": float(row["wd"]),
        "clip_norm": math.inf if clip == UNCLIPPED else clip,
        "batch_size": int(row["bs"]) * (GPUS_410M if "410M" in file else 1),
        "num_steps": int(row["num_steps"]),
        "seed": 0,
    }
    momentum = float(row["beta1"])
    if optimizer == "adamw":
        return found | {"beta1": momentum, "beta2": float(row["beta2"])}
    if optimizer == "signum":
        return found | {"beta": momentum}
    limit = 1.0 if row["optim"] == "clipSGD" else math.inf
    return found | {"momentum": momentum, "dampening": 1 - momentum, "clip_value": limit}


def run_rows(row: dict[str, Any], index: int, file: str, settings: ReleasedShard) -> Iterator[dict]:
    """A training curve, thinned, and the final validation loss of one run."""
    columns = settings_of(row, file)
    columns["num_tokens"] = columns["num_steps"] * columns["batch_size"] * settings.seq_len
    diverged = not row["ppl_test"] <= settings.max_ppl
    common = {"study": settings.study, "run": f"{file} {index}", "diverged": diverged, **columns}
    curve = [math.log(value) for value in np.ravel(row["ppl_all"]).tolist()]
    points = settings.curve_points if len(curve) >= settings.curve_points else 0  # a few runs have no curve
    for k in range(1, points + 1):
        place = k * len(curve) // points
        window = curve[(k - 1) * len(curve) // points : place]
        mean = sum(window) / len(window)
        step = columns["num_steps"] * place // len(curve)
        yield {**common, "phase": "train", "step": step, "loss": mean}
    yield {**common, "phase": "eval", "step": columns["num_steps"], "val_loss": math.log(row["ppl_test"])}


def tidy(frame: pd.DataFrame, file: str, settings: ReleasedShard) -> list[dict]:
    """Rows of all runs of a file; a setting that the file has twice keeps its first row."""
    names = [name for name in frame.columns if not name.startswith("ppl")]
    rows = frame.drop_duplicates(names).to_dict("records")
    return [line for index, row in enumerate(rows) for line in run_rows(row, index, file, settings)]


@step
def released(settings: ReleasedShard) -> list[dict]:
    """Fetch, check and convert the files of one study."""
    files = settings.files
    return [row for file in files for row in tidy(read_frame(fetch(settings.source, file)), file, settings)]


if __name__ == "__main__":
    released.main()
