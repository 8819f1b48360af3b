"""Third-party files are checked, refused when wrong, and offline use fails in one sentence."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from shared.data import loaders, sources
from shared.data.registry import SOURCES, Source, SourceFile

MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")
needs_mirror = pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror of third-party data here")


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A registry with one source, an empty cache, and no mirror."""
    digest = hashlib.sha256(b"to be or not to be").hexdigest()
    file = SourceFile(name="play.txt", path="play.txt", sha256=digest)
    entry = Source(
        name="toy",
        title="Toy",
        kind="text",
        url="https://example.org/",
        revision="1",
        files=(file,),
        splits={"train": "play.txt"},
        size="18 B",
        licence="none",
        citation="none",
    )
    monkeypatch.setitem(sources.REGISTRY, "toy", entry)
    monkeypatch.setenv("ARTIFACTS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ARTIFACTS_MIRROR", raising=False)
    return entry


def serve(monkeypatch, content: bytes) -> list[str]:
    """Answer every download with `content`; returns the list of addresses asked for."""
    import io

    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


def test_a_download_is_checked_and_made_once(toy, monkeypatch):
    asked = serve(monkeypatch, b"to be or not to be")
    assert loaders.load_text("toy") == "to be or not to be"
    assert sources.fetch("toy", "play.txt").read_bytes() == b"to be or not to be"
    assert asked == ["https://example.org/play.txt"]


def test_a_wrong_download_is_refused_and_not_kept(toy, monkeypatch, tmp_path):
    serve(monkeypatch, b"to be")
    with pytest.raises(sources.ChecksumError, match=r"toy/play\.txt has a wrong checksum"):
        sources.fetch("toy", "play.txt")
    assert not list(tmp_path.rglob("play.txt"))


def test_a_corrupt_mirror_file_is_refused_with_name_and_both_sums(toy, monkeypatch, tmp_path):
    copy = tmp_path / "mirror" / "toy" / "play.txt"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"to be or not to be")
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path / "mirror"))
    assert sources.fetch("toy", "play.txt") == copy
    copy.write_bytes(b"to be or not to bE")
    with pytest.raises(sources.ChecksumError) as refusal:
        sources.fetch("toy", "play.txt")
    message = str(refusal.value)
    assert "toy/play.txt" in message
    assert toy.files[0].sha256 in message
    assert hashlib.sha256(b"to be or not to bE").hexdigest() in message


def test_a_cached_file_that_rots_is_refused(toy, monkeypatch):
    serve(monkeypatch, b"to be or not to be")
    sources.fetch("toy", "play.txt").write_bytes(b"rot")
    with pytest.raises(sources.ChecksumError):
        sources.fetch("toy", "play.txt")


def test_the_mirror_forbids_downloads(toy, monkeypatch, tmp_path):
    asked = serve(monkeypatch, b"to be or not to be")
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path))
    with pytest.raises(ValueError, match=r"has no toy/play\.txt"):
        sources.fetch("toy", "play.txt")
    assert asked == []


def test_the_mirror_edition_counts_in_the_mirror_only(toy, monkeypatch, tmp_path):
    other = b"TO BE"
    file = toy.files[0].model_copy(update={"mirror_sha256": hashlib.sha256(other).hexdigest()})
    monkeypatch.setitem(sources.REGISTRY, "toy", toy.model_copy(update={"files": (file,)}))
    serve(monkeypatch, other)
    with pytest.raises(sources.ChecksumError):
        sources.fetch("toy", "play.txt")
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "play.txt").write_bytes(other)
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path))
    assert sources.fetch("toy", "play.txt").read_bytes() == other


def test_no_network_is_one_sentence_that_names_file_address_and_way_out(toy, monkeypatch):
    def urlopen(url, timeout):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(ValueError) as refusal:
        sources.fetch("toy", "play.txt")
    message = str(refusal.value)
    for part in ("toy/play.txt", "https://example.org/play.txt", "ARTIFACTS_MIRROR"):
        assert part in message
    assert "\n" not in message


def test_an_unpinned_file_passes_with_a_warning_that_names_its_sum(toy, monkeypatch):
    loose = toy.model_copy(update={"files": (SourceFile(name="play.txt", path="play.txt"),)})
    monkeypatch.setitem(sources.REGISTRY, "toy", loose)
    serve(monkeypatch, b"anything")
    with pytest.warns(UserWarning, match=hashlib.sha256(b"anything").hexdigest()):
        sources.fetch("toy", "play.txt")


def test_unknown_names_are_refused_with_the_nearest(toy):
    with pytest.raises(ValueError, match="did you mean 'cifar10'"):
        sources.source("cifar-10")
    with pytest.raises(ValueError, match=r"no file 'x'; its files: play\.txt"):
        sources.fetch("toy", "x")
    with pytest.raises(ValueError, match="no text split 'test'"):
        loaders.load_text("toy", "test")


def test_a_mirror_that_is_no_folder_is_refused(toy, monkeypatch, tmp_path):
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="is no folder"):
        sources.fetch("toy", "play.txt")


def test_streamed_sets_come_from_the_mirror_in_order(toy, monkeypatch, tmp_path):
    streamed = toy.model_copy(update={"hub": "nobody/toy", "files": (), "splits": {"train": "train"}})
    monkeypatch.setitem(sources.REGISTRY, "toy", streamed)
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path))
    with pytest.raises(ValueError, match=r"has no toy/train\*\.parquet"):
        next(loaders.stream_text("toy"))
    (tmp_path / "toy").mkdir()
    for shard, words in [("train-1.jsonl", ["c"]), ("train-0.jsonl", ["a", "b"]), ("test-0.jsonl", ["x"])]:
        (tmp_path / "toy" / shard).write_text("".join(f'{{"text": "{word}"}}\n' for word in words), encoding="utf-8")
    assert list(loaders.stream_text("toy")) == ["a", "b", "c"]


def test_registry_entries_are_unique_and_well_formed():
    assert len(sources.REGISTRY) == len(SOURCES)
    for entry in SOURCES:
        known = "[0-9a-f]{40}|0x[0-9a-f]{32}"  # of git, of a bundle of CodaLab
        assert entry.revision is None or re.fullmatch(known, entry.revision), entry.name
        if entry.url:
            assert entry.revision in entry.url, f"{entry.name}: the URL does not contain the revision"
        for file in entry.files:
            for digest in (file.sha256, file.mirror_sha256):
                assert digest is None or re.fullmatch("[0-9a-f]{64}", digest), file.name
        if entry.files and entry.kind == "text":
            assert set(entry.splits.values()) <= {file.name for file in entry.files}


@needs_mirror
def test_every_file_of_the_real_mirror_passes(monkeypatch):
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(MIRROR))
    present = [(s.name, f.name) for s in SOURCES for f in s.files if (MIRROR / s.name / f.name).is_file()]
    assert len(present) >= 5
    for name, file in present:
        sources.fetch(name, file)


@needs_mirror
def test_cifar10_decodes_to_ten_balanced_classes(monkeypatch):
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(MIRROR))
    images, labels = loaders.load_cifar10("test")
    assert images.shape == (10000, 32, 32, 3)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [1000] * 10
    assert 110 < images.mean() < 130  # the data set's mean is 0.473 * 255


@needs_mirror
def test_text_and_tasks_load_from_the_mirror(monkeypatch):
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(MIRROR))
    assert loaders.load_text("tinyshakespeare").startswith("First Citizen:")
    assert "<unk>" in loaders.load_text("wikitext-2", "test")
    assert len(loaders.load_jsonl("gitchameleon", "dataset.jsonl")) == 328
