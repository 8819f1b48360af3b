"""A text corpus that every installation already has: docstrings of the pinned packages.

About 16 MB of technical English, extracted with `ast` (nothing is imported) at first use into the cache. The same
package versions give the same bytes on every machine and under Python 3.11 to 3.13. The text belongs to the packages'
authors: it stays in the cache and is not redistributed; the manifest names each package's version and licence.

A document is one docstring. Whole modules go to training or validation, and a paragraph of 80 characters or more
is kept where it comes first only: copied boilerplate (a tenth of the raw text) stands on one side at most.

    python -m shared.data.docstrings      build (or find) the corpus and print its manifest's summary
"""

import ast
import gc
import hashlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shared.base.cache import build_once, cache_dir, sha256_of, short_key

# import name -> subfolders to read (empty: all). Of torch only the documented public parts: the compiler's
# internals say little, and files such as torch/version.py differ between CPU and CUDA builds.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "numpy": (),
    "scipy": (),
    "pandas": (),
    "sklearn": (),
    "matplotlib": (),
    "skimage": (),
    "networkx": (),
    "torch": ("autograd", "distributions", "linalg", "nn", "optim", "sparse", "utils/data"),
}
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "skimage": "scikit-image"}
# tests hold little prose, vendored code belongs to others, the rest is written at build time
_SKIPPED_FOLDERS = {"tests", "testing", "_vendor", "vendored", "externals", "_externals"}
_SKIPPED_FILES = {
    "conftest.py",
    "version.py",
    "_version.py",
    "_version_meson.py",
    "__config__.py",
    "_distributor_init.py",
}
_OLDEST_PYTHON = "3.11"  # whose files are the corpus
_MIN_CHARACTERS = 80  # shorter documents are labels rather than text
_MIN_PARAGRAPH = 80  # shorter paragraphs ("Examples") may repeat
_CONTROL = {code: None for code in [*range(32), 127]}  # line ends and tabs are handled before
_VALIDATION_PER_MILLE = 50
_FORMAT = 1  # raise it when extraction changes, so that old caches are left alone


@dataclass(frozen=True)
class Corpus:
    """Documents in a folder: train.jsonl, validation.jsonl and manifest.json."""

    folder: Path

    @cached_property
    def manifest(self) -> dict:
        """Versions, licences, counts and SHA-256 sums."""
        return json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))

    @property
    def sha256(self) -> str:
        """Identity of the corpus: the same sum means the same documents in the same order."""
        return self.manifest["sha256"]

    def documents(self, split: str = "train") -> list[str]:
        """Documents of one split (train or validation) in their fixed order."""
        if split not in self.manifest["splits"]:
            raise ValueError(f"the corpus has the splits {', '.join(self.manifest['splits'])}, not '{split}'")
        with (self.folder / f"{split}.jsonl").open(encoding="utf-8") as stream:
            return [json.loads(line)["text"] for line in stream]


def docstring_corpus() -> Corpus:
    """The corpus of `PACKAGES`, built at first use (about 12 s on one core)."""
    folders, details = {}, {}
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(f"the docstring corpus needs the package {name}; install the project's dependencies")
        folders[name] = Path(next(iter(spec.submodule_search_locations)))
        details[name] = _package_details(name)
    if not (folders["numpy"] / "distutils").is_dir():
        folders["numpy"] = _numpy_of(_OLDEST_PYTHON, details["numpy"]["version"])
    return build_corpus(folders, PACKAGES, details)


def _numpy_of(python: str, version: str) -> Path:
    """Python files of numpy's release for another Python, fetched by pip once, into the cache.

    Of the packages' files just `numpy/distutils` differs between Pythons: releases for 3.12 and newer lack it.

    Raises:
        ValueError: pip cannot get it; says what pip said.
    """

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        with tempfile.TemporaryDirectory() as scratch:
            command += ["--python-version", python, "--dest", scratch, f"numpy=={version}"]
            result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
            wheels = list(Path(scratch).glob("numpy-*.whl"))
            if result.returncode or not wheels:
                said = " ".join(result.stderr.split()[-40:]) or f"exit status {result.returncode}"
                raise ValueError(
                    f"the docstring corpus is that of Python {python}, whose numpy {version} pip has to download: "
                    f"{said}; go online for the first build, or use Python {python}"
                )
            with zipfile.ZipFile(wheels[0]) as wheel:
                wheel.extractall(folder, [name for name in wheel.namelist() if name.endswith(".py")])

    return build_once(cache_dir() / "docstrings" / f"numpy-{version}-python-{python}", build) / "numpy"


def build_corpus(
    folders: Mapping[str, Path], parts: Mapping[str, tuple[str, ...]], details: Mapping[str, dict]
) -> Corpus:
    """Corpus of the packages in `folders`, taken from the cache if just these files were seen before.

    The key holds every file's name and hash, so that an installation with other files has an entry of its own.

    Args:
        folders: package name -> folder of its modules.
        parts: package name -> subfolders to read, empty for all of it.
        details: package name -> version and licence, for the manifest; they also name the cache entry.
    """
    listed = [
        (f"{name}/{path.relative_to(folders[name]).as_posix()}", sha256_of(path))
        for name in sorted(folders)
        for path in _modules(folders[name], parts.get(name, ()))
    ]
    versions = sorted((name, each["version"]) for name, each in details.items())
    key = short_key(_FORMAT, sorted(folders), sorted(parts.items()), versions, listed)

    def build(folder: Path) -> None:
        folder.mkdir()
        collected = gc.isenabled()
        gc.disable()  # syntax trees are many small objects that live briefly: collection costs a third of the time
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about invalid escapes in others' sources; as errors they lose files
                _write(folder, folders, parts, details)
        finally:
            if collected:
                gc.enable()

    return Corpus(build_once(cache_dir() / "docstrings" / key, build))


def _write(
    folder: Path, folders: Mapping[str, Path], parts: Mapping[str, tuple[str, ...]], details: Mapping[str, dict]
) -> None:
    seen: set[bytes] = set()
    lines: dict[str, list[str]] = {"train": [], "validation": []}
    counts = {split: {"documents": 0, "characters": 0} for split in lines}
    files, packages = {}, {}
    for name in sorted(folders):
        before = sum(c["characters"] for c in counts.values())
        for path in _modules(folders[name], parts.get(name, ())):
            source = path.read_bytes()
            relative = f"{name}/{path.relative_to(folders[name]).as_posix()}"
            split = split_of(relative)
            for qualified, docstring in extract(source):
                text = _without_repeats(docstring, seen)
                if len(text) < _MIN_CHARACTERS:
                    continue
                files[relative] = hashlib.sha256(source).hexdigest()
                record = {"source": f"{relative}:{qualified}", "text": text}
                lines[split].append(json.dumps(record, ensure_ascii=False) + "\n")
                counts[split]["documents"] += 1
                counts[split]["characters"] += len(text)
        characters = sum(c["characters"] for c in counts.values()) - before
        packages[name] = {**details[name], "characters": characters}
    whole = hashlib.sha256()
    for split, content in lines.items():
        encoded = "".join(content).encode()
        (folder / f"{split}.jsonl").write_bytes(encoded)
        counts[split]["sha256"] = hashlib.sha256(encoded).hexdigest()
        whole.update(encoded)
    manifest = {"sha256": whole.hexdigest(), "splits": counts, "packages": packages, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def split_of(module_path: str) -> str:
    """train or validation, from the hash of the module's path below site-packages: stable across versions."""
    value = int.from_bytes(hashlib.sha256(module_path.encode()).digest()[:8], "big")
    return "validation" if value % 1000 < _VALIDATION_PER_MILLE else "train"


def extract(source: bytes) -> Iterator[tuple[str, str]]:
    """Docstrings of a module, its classes and functions as (qualified name, cleaned text), in source order."""
    if b'"""' not in source and b"'''" not in source:
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # templates and files for other Python versions
        return
    stack: list[tuple[str, ast.AST]] = [("", tree)]
    while stack:
        qualified, node = stack.pop()
        # own cleaning: what inspect.cleandoc does to blank lines depends on the Python version
        text = _clean(ast.get_docstring(node, clean=False) or "")
        if len(text) >= _MIN_CHARACTERS:
            yield qualified, text
        inner = [
            (f"{qualified}.{child.name}".lstrip("."), child)
            for child in node.body
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        stack.extend(reversed(inner))


def _clean(text: str) -> str:
    """Docstring without its indentation, trailing blanks, control characters and outer empty lines."""
    lines = [line.translate(_CONTROL) for line in text.expandtabs().split("\n")]
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    cleaned = [lines[0].strip(), *(line[margin:].rstrip() for line in lines[1:])]
    return "\n".join(cleaned).strip("\n")


def _without_repeats(text: str, seen: set[bytes]) -> str:
    """`text` without the long paragraphs in `seen`, to which its own are added."""
    kept = []
    for paragraph in text.split("\n\n"):
        if len(paragraph) >= _MIN_PARAGRAPH:
            digest = hashlib.blake2b(paragraph.encode(), digest_size=16).digest()
            if digest in seen:
                continue
            seen.add(digest)
        kept.append(paragraph)
    return "\n\n".join(kept).strip("\n")


def _modules(folder: Path, parts: tuple[str, ...]) -> list[Path]:
    """Python files below `folder` (or its `parts`) worth reading, in an order that no file system decides."""
    roots = [folder / part for part in parts] or [folder]
    found = {path for root in roots for path in root.rglob("*.py") if path.is_file()}
    kept = [
        path
        for path in found
        if path.name not in _SKIPPED_FILES and not _SKIPPED_FOLDERS & set(path.relative_to(folder).parts)
    ]
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def _package_details(name: str) -> dict:
    """Version (without a build suffix such as +cpu) and licence of an installed package."""
    metadata = importlib.metadata.metadata(_DISTRIBUTIONS.get(name, name))
    classifiers = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    licence = metadata.get("License-Expression") or ", ".join(classifiers) or "see the package"
    return {"version": metadata["Version"].split("+")[0], "licence": licence}


if __name__ == "__main__":
    corpus = docstring_corpus()
    print(json.dumps({k: v for k, v in corpus.manifest.items() if k != "files"}, indent=1))
    print(corpus.folder)
