"""Records: what a run measured, as a tidy Parquet file. The same command gives the same bytes.

One row per logged step or per final metric, the run's settings as columns. What varies from run to
run (revision, versions, seconds) goes into a sidecar, see provenance.py.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shared.artifacts.provenance import Provenance, sidecar
from shared.base.errors import nearest, nearest_or_all
from shared.base.files import atomic_path, write_json


def write_record(path: Path, rows: pd.DataFrame | Iterable[dict], provenance: Provenance | None = None) -> pd.DataFrame:
    """Write a record and its sidecar, atomically; the record's bytes depend on the rows alone.

    Args:
        path: ends in .parquet.
        rows: a frame, or one mapping per row; columns keep their order, the index is dropped.
        provenance: started by the step; its wall time ends here.
    Returns:
        The frame as written.
    """
    path = Path(path)
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if provenance is not None:
        write_json(sidecar(path), provenance.finish())
    table = pa.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False).replace_schema_metadata(None)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_statistics=False)
    return frame


def read_record(path: Path) -> pd.DataFrame:
    """The frame of one record.

    Raises:
        ValueError: missing, or not a whole Parquet file; says what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no record at {path}; build it first")
    try:
        return pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError):  # a cut in the footer, in a page
        raise ValueError(f"{path} is not a whole Parquet file (cut short?); delete it and build again") from None


class Records:
    """The records of a paper at a scale, read by step.

    records("evaluate") is one frame: the rows of that step's shards, one after another; records("exact", "identity")
    are the rows of one part (column `part`), without the columns that are empty in them. Only the shards that today's
    config names are read; a file left by an older config is not.

    Args:
        runs: folder with one sub-folder per step.
        shards: step -> names of its shards.
        stand_ins: step -> the step whose records answer for it where it has none itself.
    """

    def __init__(self, runs: Path, shards: dict[str, list[str]], stand_ins: dict[str, str] | None = None) -> None:
        self.runs, self.shards, self.stand_ins = Path(runs), shards, stand_ins or {}
        self._frames: dict[str, pd.DataFrame] = {}

    def __call__(self, step: str, part: str | None = None) -> pd.DataFrame:
        """Rows of a step, or of a part of it; a copy.

        Raises:
            ValueError: no such step or part, or a record that is missing or damaged.
        """
        if step not in self.shards:
            step = self.stand_ins.get(step, step)
        if step not in self.shards:
            raise ValueError(f"no step '{step}' has records{nearest(step, self.shards)}")
        if step not in self._frames:
            frames = [read_record(self.runs / step / f"{shard}.parquet") for shard in self.shards[step]]
            self._frames[step] = pd.concat(frames, ignore_index=True)
        frame = self._frames[step].copy()
        if part is None:
            return frame
        parts = frame["part"].unique() if "part" in frame else []
        if part not in parts:
            hint = nearest_or_all(part, parts) if len(parts) else "they have no parts"
            raise ValueError(f"the records of step '{step}' in {self.runs / step} have no part '{part}'; {hint}")
        return frame[frame["part"] == part].drop(columns="part").dropna(axis=1, how="all").reset_index(drop=True)
