"""Digests that make a Snakemake job rerun when, and only when, what it depends on has changed.

Snakemake sees neither Python imports nor the settings a step reads, nor the files that it opens. So each rule carries
as parameters a digest over its step's module, all modules of this repository that it imports, transitively (grimp
finds them without running anything), and the files it declares to read; and one `key=value` per setting it reads.
"""

import functools
import hashlib
import importlib
import sys
from pathlib import Path

import grimp

from shared.artifacts.config import Settings, load_shards
from shared.artifacts.declaration import declared
from shared.artifacts.paths import PaperPaths
from shared.base.cache import cache_dir
from shared.base.errors import nearest
from shared.base.paths import repo_root
from shared.base.settings import flatten

PACKAGES = ("papers", "shared")
_LONGEST = 120  # characters of a setting that is shown as it stands; a longer one is shown by a digest


@functools.cache
def _graph(root: Path) -> grimp.ImportGraph:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    here = root / ".cache" if root != repo_root() else cache_dir()
    return grimp.build_graph(*PACKAGES, cache_dir=str(here / "grimp"))


def depends_on(module: str, root: Path | None = None) -> list[str]:
    """`module`, the modules of this repository it imports transitively, and the packages these lie in; sorted.

    A package stands for all modules in it. A module that imports `pkgutil` is taken to import, by name and at run time,
    all modules of its package.

    Raises:
        ValueError: no such module in papers/ or shared/.
    """
    root = root or repo_root()
    graph = _graph(root)
    if module not in graph.modules:
        raise ValueError(f"no module {module}{nearest(module, graph.modules)}")
    start = {module, *graph.find_descendants(module)}
    found = start.union(*(graph.find_upstream_modules(name) for name in start))
    for package in {name.rpartition(".")[0] for name in found if _walks_its_package(root, name)}:
        for part in graph.find_children(package):
            found |= {part} | graph.find_upstream_modules(part)
    packages = {".".join(name.split(".")[:depth]) for name in found for depth in range(1, name.count(".") + 1)}
    return sorted(found | packages)


@functools.cache
def source_digest(*modules: str, root: Path | None = None) -> str:
    """Twelve hex digits over the sources of `modules` and of all they import from this repository.

    A C++ file or header beside a module of the same name is part of that module.
    """
    root = root or repo_root()
    digest = hashlib.sha256()
    for name in sorted({found for module in modules for found in depends_on(module, root)}):
        digest.update(f"{name}\0".encode())
        digest.update(_hash(_source(root, name)))
        for suffix in (".cpp", ".h"):  # what a module builds at run time
            if (compiled := _source(root, name).with_suffix(suffix)).is_file():
                digest.update(_hash(compiled))
    return digest.hexdigest()[:12]


def step_digest(slug: str, name: str, root: Path | None = None) -> str:
    """`source_digest` of a step, with the files that it declares to read at run time.

    Raises:
        ValueError: a declared pattern matches no file.
    """
    code = source_digest(f"papers.{slug}.{name}", root=root)
    reads = declared(slug, name, root).reads
    if not reads:
        return code
    folder, digest = PaperPaths(slug, "cpu", root).folder, hashlib.sha256(code.encode())
    for pattern in reads:
        files = sorted(p for p in folder.glob(pattern) if p.is_file() and "__pycache__" not in p.parts)
        if not files:
            raise ValueError(f"papers/{slug}/{name}.py reads '{pattern}', and no file of papers/{slug} matches it")
        for file in files:
            digest.update(f"{file.relative_to(folder)}\0".encode())
            digest.update(_hash(file))
    return digest.hexdigest()[:12]


@functools.cache
def _walks_its_package(root: Path, module: str) -> bool:
    file = _source(root, module)
    return file.is_file() and "import pkgutil" in file.read_text(encoding="utf-8").splitlines()


def _source(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _hash(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest()


@functools.cache
def shards_at(slug: str, scale: str) -> dict[str, dict[str, dict[str, str]]]:
    """Step -> shard -> dotted key -> value, of a paper at a scale; read once per process."""
    return {
        step: {name: flatten(shard.model_dump(mode="json")) for name, shard in shards.items()}
        for step, shards in load_shards(slug, scale).items()
    }


@functools.cache
def settings_of(slug: str, reader: str, scale: str) -> dict[str, str]:
    """Dotted key -> value of every setting that "tables" or "claims" read."""
    return Settings(slug, reader, scale).flat()


def shard_settings_of(slug: str, step: str, scale: str, shard: str) -> dict[str, str]:
    """Dotted key -> JSON text of every setting that one shard of a step reads; empty for an unknown shard."""
    return shards_at(slug, scale).get(step, {}).get(shard, {})


@functools.cache
def shard_keys(slug: str, step: str, scale: str) -> list[str]:
    """The settings that any shard of a step reads at a scale, sorted."""
    return sorted({key for shard in shards_at(slug, scale).get(step, {}).values() for key in shard})


def shown(key: str, value: str) -> str:
    """`key=value` as Snakemake remembers it and gives it as its reason; a long value by a digest."""
    if len(value) > _LONGEST:
        value = f"{hashlib.sha256(value.encode()).hexdigest()[:12]} ({len(value)} characters)"
    return f"{key}={value}"
