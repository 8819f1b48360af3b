"""FMoW of WILDS as Parquet files, which the loaders of images read from a mirror.

    python -m shared.data.fmow FOLDER TARGET    from what the archive of the registry unpacks to

FOLDER holds `rgb_metadata.csv`, a row per image with its `category`, its `timestamp` and the `split` of the first
release, and `images/rgb_img_<row>.png`. The official split of WILDS goes by time: it is trained before 2013 and
tested from 2016 on.

Source: Christie et al. 2018 (arXiv 1711.07846); Koh et al. 2021 (arXiv 2012.07421), the split.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

NUM_CLASSES = 62
BATCH = 1000  # images of a row group


def split_of(metadata: pd.DataFrame, split: str) -> pd.DataFrame:
    """Rows of train or test with `label`, the place of the category in alphabetical order.

    Args:
        metadata: with `category`, `timestamp`, `split`; its index is the number of the image.
    Raises:
        ValueError: another number of categories than FMoW has.
    """
    names, labels = np.unique(metadata.category, return_inverse=True)
    if len(names) != NUM_CLASSES:
        raise ValueError(f"FMoW has {NUM_CLASSES} categories; the metadata names {len(names)}")
    years = pd.to_datetime(metadata.timestamp, format="ISO8601", utc=True).dt.year
    chosen = years < 2013 if split == "train" else years >= 2016
    return metadata.assign(label=labels)[chosen & (metadata.split == split)]


def write_split(folder: Path, split: str, target: Path) -> Path:
    """One split as `<split>.parquet` with `image` (the file as it is) and `label`, below `target`.

    Raises:
        ValueError: the folder holds no metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet

    listed = folder / "rgb_metadata.csv"
    if not listed.is_file():
        raise ValueError(f"{folder} has no rgb_metadata.csv; name the folder that fmow_v1.1.tar.gz was unpacked into")
    rows, path = split_of(pd.read_csv(listed), split), target / f"{split}.parquet"
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), ("label", pa.int64())])
    target.mkdir(parents=True, exist_ok=True)
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(rows), BATCH):
            part = rows.iloc[start : start + BATCH]
            files = (folder / "images" / f"rgb_img_{number}.png" for number in part.index)
            cells = [{"bytes": file.read_bytes(), "path": None} for file in files]
            writer.write_table(pa.table({"image": cells, "label": part.label.to_numpy()}, schema=schema))
    return path


def main(folder: Path, target: Path) -> None:
    """Write train.parquet and test.parquet of the images in FOLDER to TARGET."""
    try:
        for split in ("train", "test"):
            print(write_split(folder, split, target))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    import typer

    typer.run(main)
