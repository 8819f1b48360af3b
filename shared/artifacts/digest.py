"""Digests that make a Snakemake job rerun when, and only when, what it depends on has changed.

Snakemake sees neither Python imports nor the settings a step reads. So each rule carries as parameters a
digest over its step's module and all modules of this repository that it imports, transitively (grimp finds
them without running anything), and one `key=value` per setting the step reads.
"""

import functools
import hashlib
import importlib
import sys
from pathlib import Path

import grimp

from shared.artifacts.config import Settings, load_shards, scales_of
from shared.base.errors import nearest
from shared.base.paths import repo_root
from shared.base.settings import flatten

PACKAGES = ("papers", "shared")


@functools.cache
def _graph(root: Path) -> grimp.ImportGraph:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    return grimp.build_graph(*PACKAGES, cache_dir=str(root / ".cache" / "grimp"))


def depends_on(module: str, root: Path | None = None) -> list[str]:
    """`module`, the modules of this repository it imports transitively, and the packages these lie in; sorted.

    A module that imports `pkgutil` is taken to import, by name and at run time, all modules of its package.

    Raises:
        ValueError: no such module in papers/ or shared/.
    """
    root = root or repo_root()
    graph = _graph(root)
    if module not in graph.modules:
        raise ValueError(f"no module {module}{nearest(module, graph.modules)}")
    found = {module} | graph.find_upstream_modules(module)
    for package in {name.rpartition(".")[0] for name in found if _walks_its_package(root, name)}:
        for part in graph.find_children(package):
            found |= {part} | graph.find_upstream_modules(part)
    packages = {".".join(name.split(".")[:depth]) for name in found for depth in range(1, name.count(".") + 1)}
    return sorted(found | packages)


@functools.cache
def source_digest(*modules: str, root: Path | None = None) -> str:
    """Twelve hex digits over the sources of `modules` and of all they import from this repository."""
    root = root or repo_root()
    digest = hashlib.sha256()
    for name in sorted({found for module in modules for found in depends_on(module, root)}):
        digest.update(f"{name}\0".encode())
        digest.update(_file_hash(root, name))
    return digest.hexdigest()[:12]


@functools.cache
def _walks_its_package(root: Path, module: str) -> bool:
    file = _file(root, module)
    return file.is_file() and "import pkgutil" in file.read_text().splitlines()


def _file(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _file_hash(root: Path, module: str) -> bytes:
    file = _file(root, module)
    return hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest()


@functools.cache
def shards_at(slug: str, scale: str) -> dict[str, dict[str, dict[str, str]]]:
    """Step -> shard -> dotted key -> value, of a paper at a scale; read once per process."""
    return {
        step: {name: flatten(shard.model_dump(mode="json")) for name, shard in shards.items()}
        for step, shards in load_shards(slug, scale).items()
    }


@functools.cache
def settings_of(slug: str, step: str, scale: str) -> dict[str, str]:
    """Dotted key -> value of every setting that a step without shards reads."""
    return Settings(slug, step, scale).flat()


def shard_settings_of(slug: str, step: str, scale: str, shard: str) -> dict[str, str]:
    """Dotted key -> value of every setting that one shard of a step reads; empty for an unknown shard."""
    return shards_at(slug, scale).get(step, {}).get(shard, {})


@functools.cache
def shard_keys(slug: str, step: str) -> list[str]:
    """The settings that any shard of a step reads at any scale, sorted."""
    shards = [s for scale in scales_of(slug) for s in shards_at(slug, scale).get(step, {}).values()]
    return sorted({key for shard in shards for key in shard})
