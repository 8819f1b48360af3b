"""Third-party data as arrays and strings; every file passes the registry's checks first."""

import io
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.data.registry import Source
from shared.data.sources import fetch, mirror_dir, source

if TYPE_CHECKING:
    import datasets


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
    for row in _hub_rows(entry, split, streaming=True):
        yield row[entry.text_column]


def _hub_rows(entry: Source, split: str, streaming: bool) -> Any:
    """Rows of a split as HF datasets has them, from the mirror where there is one, else from the hub."""
    import datasets  # half a second, only for hub data

    name, mirror = entry.name, mirror_dir()
    if mirror is not None:
        found = sorted(p for ext in ("parquet", "jsonl") for p in (mirror / name).glob(f"{split}*.{ext}"))
        if not found:
            hint = "put files there, or unset ARTIFACTS_MIRROR to read from the hub" if entry.hub else entry.note
            raise ValueError(f"the mirror {mirror} has no {name}/{split}*.parquet or .jsonl; {hint}")
        builder = "parquet" if found[0].suffix == ".parquet" else "json"
        files = [str(p) for p in found]
        return datasets.load_dataset(builder, data_files=files, split="train", streaming=streaming)
    if entry.hub is None:
        raise ValueError(f"{name} is not on the hub; {entry.note}")
    try:
        return datasets.load_dataset(
            entry.hub, entry.hub_config, split=entry.splits[split], revision=entry.revision, streaming=streaming
        )
    except (OSError, ConnectionError) as error:
        raise ValueError(
            f"{name} cannot be streamed from the hub ({entry.hub}, {type(error).__name__}); connect to the network,"
            f" or set ARTIFACTS_MIRROR to a folder that holds {name}/{split}*.parquet"
        ) from error


def load_cifar10(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10 as (images, labels): uint8 (N, 32, 32, 3) and int64 (N,).

    Args:
        split: train (50,000) or test (10,000).
    """
    return _from_parquet("cifar10", split, "img", "label", (32, 32, 3))


def load_cifar100(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-100 with its 100 fine classes, in the form of `load_cifar10`."""
    return _from_parquet("cifar100", split, "img", "fine_label", (32, 32, 3))


def load_mnist(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """MNIST, uint8 (N, 28, 28, 1) and int64 (N,): 60,000 for train, 10,000 for test."""
    return _from_parquet("mnist", split, "image", "label", (28, 28, 1))


def _from_parquet(
    name: str, split: str, column: str, label: str, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    if split not in ("train", "test"):
        raise ValueError(f"{source(name).title.partition(',')[0]} has the splits train and test, not '{split}'")
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(fetch(name, f"{split}.parquet"), columns=[column, label])
    files = table.column(column).combine_chunks().field("bytes")
    images = decoded((scalar.as_buffer() for scalar in files), len(files), shape)
    return images, table.column(label).to_numpy().astype(np.int64)


def decoded(files: Iterable, num: int, shape: tuple[int, int, int]) -> np.ndarray:
    """`num` image files of one `shape` (S, S, C) as uint8 (num, S, S, C): grey where C is 1, else red, green, blue.

    Raises:
        ValueError: an image of another size.
    """
    from PIL import Image

    images = np.empty((num, *shape), np.uint8)
    for i, file in enumerate(files):
        with Image.open(io.BytesIO(file)) as image:
            if image.size != shape[:2]:
                raise ValueError(
                    f"image {i} has {image.width} x {image.height} pixels; {shape[0]} x {shape[1]} are wanted"
                )
            images[i] = np.asarray(image.convert("L" if shape[2] == 1 else "RGB")).reshape(shape)
    return images


def load_rows(name: str, split: str) -> tuple["datasets.Dataset", np.ndarray]:
    """One split of a hub set of images with random access, images undecoded, and its labels (N,) int64.

    With `ARTIFACTS_MIRROR` set, rows come from the mirror's `NAME/SPLIT*.parquet`, unchecked as in `stream_text`.
    """
    import datasets

    entry = source(name)
    if split not in entry.splits:
        raise ValueError(f"source {name} has no split '{split}'; it has: {', '.join(entry.splits) or 'none'}")
    rows = _hub_rows(entry, split, streaming=False).cast_column("image", datasets.Image(decode=False))
    return rows, rows.data.column("label").to_numpy().astype(np.int64)


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
