"""data/ holds what its module makes, data.dvc tracks just that, and the embedded remote delivers it offline."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from shared.data import build

ROOT = Path(__file__).parents[3]
STORE = ROOT / "dvc-store" / "files" / "md5"
needs_store = pytest.mark.skipif(not STORE.is_dir(), reason="the DVC remote is not the embedded one")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build.write(folder)
    return folder


def tracked() -> dict[str, str]:
    """Path below data/ -> MD5, as data.dvc has it."""
    (out,) = yaml.safe_load((ROOT / "data.dvc").read_text(encoding="utf-8"))["outs"]
    listing = (STORE / out["md5"][:2] / out["md5"][2:]).read_bytes()
    assert hashlib.md5(listing).hexdigest() + ".dir" == out["md5"]
    return {entry["relpath"]: entry["md5"] for entry in json.loads(listing)}


@needs_store
def test_built_bytes_equal_what_dvc_tracks(made):
    found = tracked()
    for path in sorted(p for p in made.rglob("*") if p.is_file()):
        name = path.relative_to(made).as_posix()
        assert hashlib.md5(path.read_bytes()).hexdigest() == found.pop(name), name
    assert all(name.startswith("recorded/") for name in found), f"tracked, but made by nobody: {sorted(found)}"


@needs_store
def test_every_tracked_object_is_in_the_store_with_its_own_hash():
    for name, md5 in tracked().items():
        assert hashlib.md5((STORE / md5[:2] / md5[2:]).read_bytes()).hexdigest() == md5, name


@needs_store
def test_pull_in_a_fresh_checkout_needs_no_account_and_no_network(made, tmp_path):
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copytree(STORE.parents[1], clone / "dvc-store")
    shutil.copy(ROOT / "data.dvc", clone)
    (clone / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", clone / ".dvc")
    (clone / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {"HOME": str(tmp_path / "home"), "http_proxy": nowhere, "https_proxy": nowhere}
    pull = subprocess.run(
        [sys.executable, "-m", "dvc", "pull"], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert pull.returncode == 0, pull.stderr
    assert build.differences(clone / "data") == []


def test_check_names_what_is_missing_and_what_differs(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "data")
    assert build.differences(folder) == []
    (folder / "README.md").unlink()
    sequences = folder / "markov" / "v16k3" / "sequences.npy"
    content = bytearray(sequences.read_bytes())
    content[-1] ^= 1
    sequences.write_bytes(bytes(content))
    assert sorted(build.differences(folder)) == ["differs: markov/v16k3/sequences.npy", "missing: README.md"]


@pytest.mark.parametrize("name", build.MARKOV_SETS)
def test_frozen_sequences_come_from_their_chain(made, name):
    chain, sequences = build.load_markov_set(name, made)
    assert sequences.shape == (1024, 64)
    assert chain.illegal_rate(sequences).max() == 0.0
    stated = json.loads((made / "markov" / name / "chain.json").read_text(encoding="utf-8"))[
        "entropy_rate_nats_per_token"
    ]
    assert chain.entropy_rate == pytest.approx(stated, rel=1e-9)  # written with ten digits
    transitions = chain.nll(sequences[:, : chain.order], 0.0) * chain.order
    per_step = (chain.nll(sequences, 0.0) * 64 - transitions) / (64 - chain.order)
    error = per_step.std() / np.sqrt(len(per_step))
    assert abs(per_step.mean() - chain.entropy_rate) < 4 * error


def test_asking_for_data_that_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="dvc pull"):
        build.load_markov_set("v16k3", tmp_path)
    with pytest.raises(ValueError, match="there are v16k3"):
        build.load_markov_set("v15", tmp_path)
