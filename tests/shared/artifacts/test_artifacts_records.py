"""Records: the same rows give the same bytes, written whole or not at all."""

import json
import os
import stat

import pandas as pd
import pytest

from shared.artifacts.provenance import Provenance, sidecar
from shared.artifacts.records import Records, read_record, write_record
from shared.base.files import atomic_path, read_json, write_text

ROWS = [{"lr": 0.1, "step": step, "loss": 1 / (step + 1), "diverged": False} for step in range(50)]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    write_record(one, ROWS, Provenance(num_threads=1))
    write_record(two, pd.DataFrame(ROWS, index=range(7, 57)), Provenance(num_threads=2, device="other"))
    assert one.read_bytes() == two.read_bytes()


def test_other_rows_give_other_bytes(tmp_path):
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    write_record(one, ROWS)
    write_record(two, [*ROWS[:-1], ROWS[-1] | {"loss": 0.5}])
    assert one.read_bytes() != two.read_bytes()


def test_a_record_is_read_as_it_was_written(tmp_path):
    rows = [{"a": float("inf"), "b": None, "c": "x"}, {"a": float("nan"), "b": 2.0, "c": "nan"}]
    written = write_record(tmp_path / "r.parquet", rows)
    pd.testing.assert_frame_equal(read_record(tmp_path / "r.parquet"), written, check_dtype=False)


def test_a_failing_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "r.parquet"
    write_record(path, ROWS)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"[Cc]onvert|Expected"):
        write_record(path, [{"a": 1}, {"a": "text"}, {"a": [1]}])
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.parquet"]


def test_a_written_file_has_the_permissions_of_an_ordinary_one(tmp_path):
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "text", "x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "text").stat().st_mode) == 0o644


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_record_is_refused_in_one_sentence(tmp_path, share):
    path = tmp_path / "r.parquet"
    write_record(path, ROWS)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"r\.parquet is not a whole Parquet file .* delete it and build again"):
        read_record(path)


def test_a_record_with_a_damaged_page_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "r.parquet"
    write_record(path, ROWS)
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a whole Parquet file"):
        read_record(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "results").write_text("a file", encoding="utf-8")
    with pytest.raises(OSError, match=r"cannot write into .*results/runs: .*; make the folder writable"):
        write_record(tmp_path / "results" / "runs" / "r.parquet", ROWS)


def test_only_the_shards_of_today_are_read(tmp_path):
    for name in ("lr=1", "lr=2", "lr=3"):
        write_record(tmp_path / "train" / f"{name}.parquet", [{"shard": name}])
    records = Records(tmp_path, {"train": ["lr=3", "lr=1"]})
    assert records("train").shard.tolist() == ["lr=3", "lr=1"]


def test_a_missing_shard_and_an_unknown_step_are_named(tmp_path):
    records = Records(tmp_path, {"train": ["lr=1"]})
    with pytest.raises(ValueError, match=r"no record at .*lr=1\.parquet; build it first"):
        records("train")
    with pytest.raises(ValueError, match="no step 'trian' has records; did you mean 'train'"):
        records("trian")


def test_a_table_function_cannot_change_the_records_of_the_next(tmp_path):
    write_record(tmp_path / "train" / "a.parquet", [{"loss": 1.0}])
    records = Records(tmp_path, {"train": ["a"]})
    frame = records("train")
    frame.loc[0, "loss"] = 2.0
    assert records("train").loss.tolist() == [1.0]


def test_wall_and_cpu_seconds_are_those_of_their_clocks(monkeypatch):
    clocks = {"perf_counter": 100.0, "process_time": 7.0}
    for name in clocks:
        monkeypatch.setattr(f"shared.artifacts.provenance.time.{name}", lambda name=name: clocks[name])
    provenance = Provenance()
    clocks.update(perf_counter=112.5, process_time=9.25)
    content = provenance.finish()
    assert (content["wall_seconds"], content["cpu_seconds"]) == (12.5, 9.25)  # CPU time counts the imports before


def test_what_varies_is_in_the_sidecar_and_not_in_the_record(tmp_path):
    path = tmp_path / "r.parquet"
    provenance = Provenance(device="cuda", num_threads=3, note="here")
    provenance.add(resumed=True)
    write_record(path, ROWS, provenance)
    content = read_json(sidecar(path))
    assert json.loads(sidecar(path).read_text(encoding="utf-8")) == content
    expected = {"revision", "dirty", "packages", "num_cores", "started", "wall_seconds", "cpu_seconds"}
    assert expected <= content.keys() and content["wall_seconds"] >= 0
    assert (content["device"], content["num_threads"], content["note"], content["resumed"]) == ("cuda", 3, "here", True)
    assert set(read_record(path)) == {"lr", "step", "loss", "diverged"}
