"""Environments: a virtual environment per set of pins, built once, locked, shared by all its problems.

The authors name an environment by a hash of Python, library, version and `additional_dependencies`; the second list
of pins is left out, so librosa 0.8.0 has one name and two contents. Ours hashes the normalised, sorted union of all
pins with everything else that decides the content. `upstream_key` gives the authors' name as an alias.
"""

import hashlib
import importlib.metadata
import json
import platform
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from papers.gitchameleon.data.pins import Pin, pin, same_version
from papers.gitchameleon.data.problems import Problem

CUTOFF = "2025-06-06"  # the newest upload that counts; with it 299 of the 309 problems without torch install
SEEDED = ("3.7", "3.9", "3.10")  # the benchmark's interpreters, whose bundled setuptools some old packages need

# Installed one by one over the resolved set unless the problem pins that name: the authors' base packages.
BASE_PINS: dict[str, tuple[Pin, ...]] = {
    version: tuple(pin(name, number) for name, number in pins.items())
    for version, pins in {
        "3.7": {"pytest": "6.2.5", "pytest-cov": "4.1.0", "numpy": "1.21.6", "scipy": "1.7.1"},
        "3.9": {"pytest": "7.1.2", "pytest-cov": "4.1.0", "numpy": "1.21.6", "scipy": "1.9.1"},
        "3.10": {"pytest": "7.2.0", "pytest-cov": "4.1.0", "numpy": "1.23", "scipy": "1.10.1"},
    }.items()
}


# Pins that cannot be resolved together, and what the authors' environment has in the place of the second: their key
# leaves the second list of pins out, so these problems run in the environment of the first problem of that key.
UNRESOLVABLE: dict[tuple[Pin, Pin], Pin] = {(pin("librosa", "0.8.0"), pin("joblib", "0.12")): pin("joblib", "0.14")}


@dataclass(frozen=True)
class EnvSpec:
    """All that decides what an environment contains."""

    python: str  # x.y
    library: Pin
    pins: tuple[Pin, ...]  # of the problem, the library's among them
    base: tuple[Pin, ...] = ()  # laid over the resolved set, one after another
    cutoff: str | None = CUTOFF
    platform: str = f"{sysconfig.get_platform()}-{platform.python_implementation().lower()}"

    @property
    def key(self) -> str:
        """16 hex digits; independent of the order and spelling of the pins."""
        content = [self.python, self.library, sorted(self.pins), sorted(self.base), self.cutoff, self.platform]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def requirements(self) -> list[str]:
        return [f"{name}=={version}" for name, version in self.pins]

    def describe(self) -> str:
        return f"Python {self.python} with {' '.join(self.requirements)}"


def resolvable(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    """The pins, sorted, with those of `UNRESOLVABLE` replaced."""
    pins = set(pins)
    for (first, second), instead in UNRESOLVABLE.items():
        if {first, second} <= pins:
            pins = pins - {second} | {instead}
    return tuple(sorted(pins))


def spec_of(problem: Problem, cutoff: str | None = CUTOFF) -> EnvSpec:
    """Environment of a problem. Only problems that run under pytest get the base packages."""
    pins = resolvable(problem.pins)
    base = BASE_PINS.get(problem.python_version, ()) if problem.runner == "pytest" else ()
    named = {name for name, _ in pins}
    return EnvSpec(
        python=problem.python_version,
        library=problem.library_pin,
        pins=pins,
        base=tuple(p for p in base if p[0] not in named),
        cutoff=cutoff,
    )


def upstream_key(problem: Problem) -> str:
    """The authors' name of a problem's environment; problem 0 has 927f7310e738."""
    parts = [problem.python_version, problem.library, problem.version, problem.additional_dependencies]
    return hashlib.sha256("-".join(parts).encode()).hexdigest()[:12]


def group_by_env(problems: Iterable[Problem], cutoff: str | None = CUTOFF) -> dict[EnvSpec, list[Problem]]:
    """Problems by environment; the largest environments (torch) last, otherwise in the data's order."""
    groups: dict[EnvSpec, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(spec_of(problem, cutoff), []).append(problem)
    heavy = ("torch", "kymatio", "spacy", "lightgbm", "gradio")
    return dict(sorted(groups.items(), key=lambda item: item[0].library[0] in heavy))


@dataclass(frozen=True)
class Installed:
    """One distribution in an environment, as its lock names it."""

    name: str
    version: str
    sha256: str  # over the installed files' own hashes, so that it does not depend on where they lie
    kind: str  # wheel or sdist


def site_packages(env: Path) -> Path:
    """The folder with the installed packages of an environment."""
    found = sorted((env / "lib").glob("python*/site-packages"))
    if len(found) != 1:
        raise ValueError(f"{env} is no environment: it has {len(found)} folders lib/python*/site-packages")
    return found[0]


def installed(env: Path, built: Iterable[str] = ()) -> list[Installed]:
    """What is installed, sorted by name; read from the files, no interpreter is started.

    Args:
        built: normalised names that were built from source.
    """
    sources, found = set(built), {}
    for dist in importlib.metadata.distributions(path=[str(site_packages(env))]):
        name, version = pin_name(dist.metadata["Name"]), dist.version
        found[name] = Installed(name, version, _content_hash(dist), "sdist" if name in sources else "wheel")
    return [found[name] for name in sorted(found)]


def pin_name(name: str) -> str:
    return pin(name, "0")[0]


def _content_hash(dist: importlib.metadata.Distribution) -> str:
    """Over (path, hash) of the files outside dist-info and scripts, which hold the installer's own notes."""
    lines = (dist.read_text("RECORD") or "").splitlines() or [dist.read_text("PKG-INFO") or ""]
    kept = sorted(line for line in lines if ",sha256=" in line and ".dist-info/" not in line and line[:2] != "..")
    return hashlib.sha256("\n".join(kept or lines).encode()).hexdigest()


def mismatches(env: Path, spec: EnvSpec) -> list[str]:
    """Pins that the environment does not have, as sentences: base packages may have moved the library itself."""
    versions = {i.name: i.version for i in installed(env)}
    wrong = []
    for name, version in (*spec.pins, *spec.base):
        found = versions.get(name)
        if found is None or not same_version(found, version):
            wrong.append(f"{name} is {found or 'missing'}, pinned to {version}")
    return wrong


def tree_digest(env: Path) -> str:
    """Over path, size and time of every file that was installed: changes with any later write."""
    root, digest = site_packages(env), hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            status = path.stat()
            digest.update(f"{path.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
