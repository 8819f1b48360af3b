"""Third-party data as arrays and strings; every file passes the registry's checks first."""

import io
import json
from collections.abc import Iterator

import numpy as np

from shared.data.sources import fetch, mirror_dir, source


def load_text(name: str, split: str = "train") -> str:
    """Whole text of one split of a text source that is small enough to be fetched as files."""
    entry = source(name)
    file = entry.splits.get(split)
    if file is None:
        known = ", ".join(entry.splits) or "none"
        raise ValueError(f"source {name} has no text split '{split}'; it has: {known}")
    if not entry.files:
        raise ValueError(f"{name} is not a single file; read it with stream_text('{name}', '{split}')")
    return fetch(name, file).read_text(encoding="utf-8")


def stream_text(name: str, split: str = "train") -> Iterator[str]:
    """Documents of one split in the source's order, one by one; nothing is downloaded ahead.

    With `ARTIFACTS_MIRROR` set, documents come from the mirror's Parquet or JSON-lines files in
    `NAME/SPLIT*.{parquet,jsonl}`, sorted by name; these are not checked, since the hub's revision fixes them.
    """
    entry = source(name)
    if split not in entry.splits:
        raise ValueError(f"source {name} has no text split '{split}'; it has: {', '.join(entry.splits) or 'none'}")
    if entry.files:
        yield load_text(name, split)
        return
    import datasets  # half a second, only for hub data

    mirror = mirror_dir()
    if mirror is not None:
        found = sorted(p for ext in ("parquet", "jsonl") for p in (mirror / name).glob(f"{split}*.{ext}"))
        if not found:
            raise ValueError(
                f"the mirror {mirror} has no {name}/{split}*.parquet or .jsonl; put files there, or unset"
                " ARTIFACTS_MIRROR to stream from the hub"
            )
        builder = "parquet" if found[0].suffix == ".parquet" else "json"
        rows = datasets.load_dataset(builder, data_files=[str(p) for p in found], split="train", streaming=True)
    else:
        try:
            rows = datasets.load_dataset(
                entry.hub, entry.hub_config, split=entry.splits[split], revision=entry.revision, streaming=True
            )
        except (OSError, ConnectionError) as error:
            raise ValueError(
                f"{name} cannot be streamed from the hub ({entry.hub}, {type(error).__name__}); connect to the network,"
                f" or set ARTIFACTS_MIRROR to a folder that holds {name}/{split}*.parquet"
            ) from error
    for row in rows:
        yield row[entry.text_column]


def load_cifar10(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10 as (images, labels): uint8 (N, 32, 32, 3) and int64 (N,).

    Args:
        split: train (50,000) or test (10,000).
    """
    return _cifar("cifar10", split, "label")


def load_cifar100(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-100 with its 100 fine classes, in the form of `load_cifar10`."""
    return _cifar("cifar100", split, "fine_label")


def _cifar(name: str, split: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    if split not in ("train", "test"):
        raise ValueError(f"{name.upper().replace('CIFAR', 'CIFAR-')} has the splits train and test, not '{split}'")
    import pyarrow.parquet
    from PIL import Image

    table = pyarrow.parquet.read_table(fetch(name, f"{split}.parquet"), columns=["img", label])
    encoded = table.column("img").combine_chunks().field("bytes")
    images = np.empty((len(encoded), 32, 32, 3), np.uint8)
    for i, scalar in enumerate(encoded):
        with Image.open(io.BytesIO(scalar.as_buffer())) as image:
            images[i] = image.convert("RGB")
    return images, table.column(label).to_numpy().astype(np.int64)


def load_jsonl(name: str, file: str) -> list[dict]:
    """Rows of a JSON-lines file of source `name`."""
    rows = []
    with fetch(name, file).open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"{name}/{file}, line {number}: not JSON ({error.msg})") from error
    return rows
