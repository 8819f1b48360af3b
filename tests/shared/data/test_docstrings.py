"""The docstring corpus is the same bytes whenever the packages are the same."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.data.docstrings import build_corpus, docstring_corpus, extract, split_of

LONG = "This sentence is long enough to count as a document of the corpus, and so it goes on. "
FILES = {
    "alpha.py": f'"""{LONG}Alpha."""\n\ndef f():\n    """Short."""\n\nclass C:\n    """{LONG}C.\n\n    In.\n    """\n',
    "beta/gamma.py": f'def g():\n    """{LONG}G."""\n\n    def inner():\n        """{LONG}Inner."""\n',
    "copy.py": f'"""{LONG}Alpha."""\n',
    "broken.py": f'"""{LONG}"""\ndef (:\n',
    "version.py": f'"""{LONG}Generated."""\n',
    "tests/test_alpha.py": f'"""{LONG}Test."""\n',
}


def write_package(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILES[name], encoding="utf-8")
    return folder


def corpus_of(folder: Path, cache: Path, monkeypatch):
    monkeypatch.setenv("ARTIFACTS_CACHE", str(cache))
    return build_corpus({"toy": folder}, {"toy": ()}, {"toy": {"version": "1", "licence": "MIT"}})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_bytes_do_not_depend_on_the_order_in_which_files_were_made(monkeypatch, tmp_path):
    first = corpus_of(write_package(tmp_path / "a", list(FILES)), tmp_path / "cache_a", monkeypatch)
    second = corpus_of(write_package(tmp_path / "b", list(FILES)[::-1]), tmp_path / "cache_b", monkeypatch)
    assert contents(first.folder) == contents(second.folder)


def test_documents_are_whole_docstrings_once_each(monkeypatch, tmp_path):
    corpus = corpus_of(write_package(tmp_path / "toy", list(FILES)), tmp_path / "cache", monkeypatch)
    found = sorted(corpus.documents("train") + corpus.documents("validation"))
    expected = [f"{LONG}Alpha.", f"{LONG}C.\n\nIn.", f"{LONG}G.", f"{LONG}Inner."]
    assert found == sorted(expected)  # neither short ones, nor copies, nor tests, nor generated or broken files


def test_manifest_names_versions_and_the_hash_of_every_file_used(monkeypatch, tmp_path):
    folder = write_package(tmp_path / "toy", list(FILES))
    manifest = corpus_of(folder, tmp_path / "cache", monkeypatch).manifest
    assert manifest["packages"]["toy"]["version"] == "1"
    assert manifest["packages"]["toy"]["licence"] == "MIT"
    digest = hashlib.sha256((folder / "alpha.py").read_bytes()).hexdigest()
    assert manifest["files"]["toy/alpha.py"] == digest
    assert set(manifest["files"]) == {"toy/alpha.py", "toy/beta/gamma.py"}


def test_another_version_is_another_cache_entry(monkeypatch, tmp_path):
    folder = write_package(tmp_path / "toy", ["alpha.py"])
    monkeypatch.setenv("ARTIFACTS_CACHE", str(tmp_path / "cache"))
    entries = [
        build_corpus({"toy": folder}, {"toy": ()}, {"toy": {"version": v, "licence": "MIT"}}).folder for v in ("1", "2")
    ]
    assert entries[0] != entries[1]


def test_only_the_named_parts_are_read(monkeypatch, tmp_path):
    folder = write_package(tmp_path / "toy", list(FILES))
    monkeypatch.setenv("ARTIFACTS_CACHE", str(tmp_path / "cache"))
    corpus = build_corpus({"toy": folder}, {"toy": ("beta",)}, {"toy": {"version": "1", "licence": "MIT"}})
    assert set(corpus.manifest["files"]) == {"toy/beta/gamma.py"}


def test_a_module_lies_on_one_side_of_the_split_whatever_its_text():
    sides = [split_of(f"toy/module_{i}.py") for i in range(4000)]
    assert sides == [split_of(f"toy/module_{i}.py") for i in range(4000)]
    share = sides.count("validation") / 4000
    assert share == pytest.approx(0.05, abs=0.014)  # four standard errors of a share of 0.05 among 4000


def test_docstrings_lose_indentation_and_control_characters():
    source = b'def f():\n    """Head ' + b"x" * 80 + b'.\n\n        Deep\\x0c.\n    Flat.   \n    """\n'
    assert [text for _, text in extract(source)] == ["Head " + "x" * 80 + ".\n\n    Deep.\nFlat."]


def test_two_processes_build_one_cache_entry_without_clashing(tmp_path):
    folder = write_package(tmp_path / "toy", list(FILES))
    code = (
        "import sys; from pathlib import Path; from shared.data.docstrings import build_corpus;"
        "c = build_corpus({'toy': Path(sys.argv[1])}, {'toy': ()}, {'toy': {'version': '1', 'licence': 'MIT'}});"
        "print(c.sha256)"
    )
    environment = os.environ | {"ARTIFACTS_CACHE": str(tmp_path / "cache")}
    root = Path(__file__).parents[3]
    jobs = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=-1, text=True, env=environment, cwd=root)
        for _ in range(3)
    ]
    answers = {job.communicate()[0] for job in jobs}
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert len(answers) == 1
    left = {path.name for path in (tmp_path / "cache" / "docstrings").iterdir() if path.is_dir()}
    assert len(left) == 1  # no unfinished folder stays behind


def test_the_real_corpus_is_large_and_its_sums_are_true():
    corpus = docstring_corpus()
    splits = corpus.manifest["splits"]
    assert 10e6 < splits["train"]["characters"] < 25e6
    for split in splits:
        content = (corpus.folder / f"{split}.jsonl").read_bytes()
        assert hashlib.sha256(content).hexdigest() == splits[split]["sha256"]
    assert "torch/version.py" not in corpus.manifest["files"]
    first = json.loads((corpus.folder / "train.jsonl").read_text(encoding="utf-8").split("\n", 1)[0])
    assert first["text"] == corpus.documents("train")[0]
    with pytest.raises(ValueError, match="not 'test'"):
        corpus.documents("test")


def test_pinned_packages_give_the_recorded_bytes():
    """Recorded with these versions on Linux; whoever changes a pin or the extraction records anew."""
    recorded = {
        "matplotlib": "3.11.2",
        "networkx": "3.6.1",
        "numpy": "2.4.6",
        "pandas": "3.1.1",
        "scipy": "1.17.1",
        "skimage": "0.26.0",
        "sklearn": "1.9.1",
        "torch": "2.13.0",
    }
    manifest = docstring_corpus().manifest
    if {name: entry["version"] for name, entry in manifest["packages"].items()} != recorded:
        pytest.skip("other package versions than those recorded")
    listed = Path(__file__).with_name("docstring_files.txt").read_text(encoding="utf-8").splitlines()
    files = {file: digest for digest, file in (line.split(" ", 1) for line in listed)}
    found = {file: digest[:16] for file, digest in manifest["files"].items()}
    assert sorted(files.items() ^ found.items()) == []
    assert manifest["sha256"] == "4164d2de21b49df606bdd56df220f31de50824c7e77d3ff407fa9838bb18f8d8"


def test_long_paragraphs_never_stand_on_both_sides():
    corpus = docstring_corpus()
    sides = [
        {paragraph for text in corpus.documents(split) for paragraph in text.split("\n\n") if len(paragraph) >= 80}
        for split in ("train", "validation")
    ]
    shared = sides[0] & sides[1]
    assert not shared, next(iter(shared))


def test_a_file_more_under_the_same_versions_is_another_entry_of_the_cache(tmp_path, monkeypatch):
    """Another Python may bring other files of one release."""
    monkeypatch.setenv("ARTIFACTS_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "package"
    package.mkdir()
    text = '"""' + "A sentence that is long enough to be kept as a document of its own. " * 3 + '"""\n'
    (package / "a.py").write_text(text, encoding="utf-8")
    arguments = {"package": package}, {"package": ()}, {"package": {"version": "1.0", "licence": "MIT"}}
    first = build_corpus(*arguments)
    assert build_corpus(*arguments).folder == first.folder
    (package / "b.py").write_text(text.replace("sentence", "paragraph"), encoding="utf-8")
    second = build_corpus(*arguments)
    assert second.folder != first.folder and second.sha256 != first.sha256
