"""Frames come out of pickles whole; anything that a pickle wants beyond them is refused and not run."""

import os
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.data.pickles import RefusedPickleError, read_frame
from shared.data.registry import SOURCES
from shared.data.sources import fetch

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
RELEASED = next(source for source in SOURCES if source.name == "secretsauce")


def plain_frame() -> pd.DataFrame:
    """Numbers, words and arrays in cells, with object columns: the kinds that released results have."""
    frame = pd.DataFrame({"lr": [1e-3, 2e-3], "name": np.array(["a", "b"], dtype=object)}, index=[3, 5])
    frame["curve"] = pd.Series([np.arange(3.0), np.arange(2.0)], index=[3, 5], dtype=object)
    frame["name"] = frame["name"].astype(object)
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    return frame


class Hostile:
    """Unpickling it would create the file `marker`."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_frame_survives(tmp_path, protocol):
    path = tmp_path / "frame.pkl"
    path.write_bytes(pickle.dumps(plain_frame(), protocol=protocol))
    pd.testing.assert_frame_equal(read_frame(path), plain_frame())


@pytest.mark.parametrize("hidden", ["bare", "in a cell"])
def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path, hidden):
    path, marker = tmp_path / "hostile.pkl", tmp_path / "it-ran"
    content = Hostile(marker) if hidden == "bare" else plain_frame()
    if hidden == "in a cell":
        content["extra"] = pd.Series([Hostile(marker)] * 2, index=content.index, dtype=object)
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(RefusedPickleError, match=rf"{path}.*{os.system.__module__}\.system") as refusal:
        read_frame(path)
    assert not marker.exists() and "\n" not in str(refusal.value)
    pickle.loads(path.read_bytes())
    assert marker.exists()  # so it is hostile, and only the refusal kept it from running


def stack_global(module: str, name: str) -> bytes:
    """A pickle that looks up one name and nothing else."""
    unicode = [bytes([len(text)]) + text.encode() for text in (module, name)]
    return b"\x80\x04" + b"".join(b"\x8c" + text for text in unicode) + b"\x93."


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("numpy.core.numeric", "sys"),
        ("pandas", "read_pickle"),
        ("pandas.core.frame", "DataFrame.to_csv"),
        ("pandas.core.frame", "lib"),
        ("shared.data.pickles", "importlib"),
    ],
)
def test_neighbours_of_the_allowed_names_are_refused(tmp_path, module, name):
    path = tmp_path / "neighbour.pkl"
    path.write_bytes(stack_global(module, name))
    assert [op.name for op, *_ in pickletools.genops(path.read_bytes())][-2:] == ["STACK_GLOBAL", "STOP"]
    with pytest.raises(RefusedPickleError, match=f"{module}.{name}"):
        read_frame(path)


def test_damaged_missing_and_other_objects_are_told_in_one_sentence(tmp_path):
    path = tmp_path / "frame.pkl"
    with pytest.raises(ValueError, match="no pickle at"):
        read_frame(path)
    path.write_bytes(pickle.dumps(plain_frame())[:-20])
    with pytest.raises(ValueError, match="not a whole pickle"):
        read_frame(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="holds a list"):
        read_frame(path)


@pytest.mark.skipif(not (MIRROR / "secretsauce").is_dir(), reason="no mirror of third-party data here")
def test_the_released_results_load_from_the_mirror(monkeypatch):
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(MIRROR))
    frames = [read_frame(fetch("secretsauce", file.name)) for file in RELEASED.files]
    assert sum(len(frame) for frame in frames) == 1430
