"""The folder of built environments: built once, moved into place when whole, removed when room is needed.

ROOT/<key>/            the environment, with env.json (lock, interpreter, digest of its files)
ROOT/<key>.log         what the installer said
ROOT/<key>.failed.json why it could not be built; not tried again unless asked, or if the cause passes (no network)
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from papers.gitchameleon.environments import spec as envs
from papers.gitchameleon.environments.installers import (
    NO_INTERPRETER,
    PASSING,
    VERSION_MISMATCH,
    Index,
    InstallError,
    compile_bytecode,
    install,
    make_venv,
    wheelhouse_digest,
)
from papers.gitchameleon.environments.interpreters import Interpreter, NoInterpreter, find_interpreter, inspect
from papers.gitchameleon.environments.spec import EnvSpec, Installed
from shared.base.cache import cache_dir, short_key
from shared.base.files import write_json, write_text


@dataclass(frozen=True)
class Env:
    """An environment that is ready."""

    spec: EnvSpec
    path: Path
    lock: tuple[Installed, ...]
    lock_hash: str
    interpreter_version: str

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"


@dataclass(frozen=True)
class Missing:
    """An environment that cannot be had on this machine, with the cause."""

    spec: EnvSpec
    cause: str
    message: str


class EnvStore:
    """Environments below `root`.

    Args:
        root: folder; by default in the repository's cache.
        index: where packages come from.
        pythons: interpreters named by the user, version -> path.
        retry_failed: build again what failed before.
    """

    def __init__(
        self,
        root: Path | None = None,
        index: Index | None = None,
        pythons: Mapping[str, Path] | None = None,
        retry_failed: bool = False,
    ) -> None:
        self.root = Path(root or cache_dir() / "gitchameleon" / "envs").absolute()
        self.index, self.pythons, self.retry_failed = index or Index(), dict(pythons or {}), retry_failed
        self.num_built = 0

    def folder(self, spec: EnvSpec) -> Path:
        return self.root / self.key(spec)

    def key(self, spec: EnvSpec) -> str:
        """Name of an environment: its specification's, and where it is made of wheels at hand, the content of these."""
        return spec.key if self.index.wheelhouse is None else f"{spec.key}-{self._wheels}"

    @cached_property
    def _wheels(self) -> str:
        return wheelhouse_digest(self.index.wheelhouse)

    def ready(self, spec: EnvSpec, check_files: bool = True) -> Env | None:
        """The environment if it is built and untouched; a changed one is removed with a None."""
        folder = self.folder(spec)
        try:
            content = json.loads((folder / "env.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            return None
        if inspect(folder / "bin" / "python") is None:
            return None  # its interpreter has gone
        if check_files and envs.tree_digest(folder) != content["tree_digest"]:
            return None
        lock = tuple(Installed(**entry) for entry in content["lock"])
        return Env(spec, folder, lock, content["lock_hash"], content["interpreter"])

    def get(self, spec: EnvSpec) -> Env | Missing:
        """The environment, built now if need be; two processes that want one build it once."""
        found = self.ready(spec)
        if found is None:
            from filelock import FileLock  # 20 ms, not needed when the environment is there

            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f"{self.key(spec)}.lock"):
                found = self.ready(spec) or self._failure(spec) or self._build(spec)
        if isinstance(found, Env):
            os.utime(found.path / "env.json")  # last use, for `collect`
        return found

    def _failure(self, spec: EnvSpec) -> Missing | None:
        path = self.root / f"{self.key(spec)}.failed.json"
        if self.retry_failed or not path.is_file():
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["conditions"] != self._conditions():
            return None
        return Missing(spec, content["cause"], content["message"])

    def _conditions(self) -> str:
        """What a failure was met under; under others it is worth trying again."""
        return short_key(self.index, sorted(self.pythons.items()))

    def _build(self, spec: EnvSpec) -> Env | Missing:
        key = self.key(spec)
        failed = self.root / f"{key}.failed.json"
        log: list[str] = [spec.describe() + "\n"]
        with tempfile.TemporaryDirectory(dir=self.root, prefix=f".{key}.") as scratch:
            unfinished = Path(scratch) / key
            try:
                interpreter = find_interpreter(spec.python, self.pythons)
                self._install(spec, interpreter, unfinished, log)
            except NoInterpreter as error:
                return Missing(spec, NO_INTERPRETER, str(error))  # found out in no time: nothing to remember
            except InstallError as error:
                write_text(self.root / f"{key}.log", "".join(log) + error.log)
                missing = Missing(spec, error.cause, f"{error}; log: {self.root / f'{key}.log'}")
                if error.cause in PASSING:
                    return missing
                content = {"cause": missing.cause, "message": missing.message, "spec": spec.describe()}
                write_json(failed, content | {"conditions": self._conditions()})
                return missing
            write_text(self.root / f"{key}.log", "".join(log))
            write_json(unfinished / "env.json", self._marker(spec, interpreter, unfinished, "".join(log)))
            shutil.rmtree(self.folder(spec), ignore_errors=True)
            os.replace(unfinished, self.folder(spec))
        failed.unlink(missing_ok=True)
        self.num_built += 1
        return self.ready(spec, check_files=False)

    def _install(self, spec: EnvSpec, interpreter: Interpreter, folder: Path, log: list[str]) -> None:
        """The problem's pins in one resolve, then the base packages one by one over it, as the authors do."""
        seed = spec.python in envs.SEEDED
        log.append(make_venv(interpreter, folder, seed))
        log.append(install(folder, spec.requirements, self.index))
        for name, version in spec.base:
            log.append(install(folder, [f"{name}=={version}"], self.index))
        wrong = envs.mismatches(folder, spec)
        hard = [w for w in wrong if w.startswith(f"{spec.library[0]} is ")]
        log.extend(f"differs from its pin: {w}\n" for w in wrong)
        if hard:
            raise InstallError(VERSION_MISMATCH, "; ".join(hard) + "\n")
        log.append(compile_bytecode(folder))

    def _marker(self, spec: EnvSpec, interpreter: Interpreter, folder: Path, log: str) -> dict:
        built = re.findall(r"^\s*Built ([\w.-]+)==|Building wheel for ([\w.-]+)", log, re.MULTILINE)
        lock = [asdict(i) for i in envs.installed(folder, {envs.pin_name(a or b) for a, b in built})]
        return {
            "spec": {"python": spec.python, "pins": spec.pins, "base": spec.base, "cutoff": spec.cutoff},
            "interpreter": interpreter.version,
            "lock": lock,
            "lock_hash": short_key(interpreter.version.rsplit(".", 1)[0], [sorted(i.items()) for i in lock]),
            "tree_digest": envs.tree_digest(folder),
        }

    def sizes(self) -> list[tuple[Path, float, float]]:
        """(folder, bytes, time of last use) of every environment, the longest unused first.

        A file with n hard links counts 1/n, since uv's cache and sister environments hold the others.
        """
        found = []
        for marker in self.root.glob("*/env.json"):
            folder = marker.parent
            statuses = [p.lstat() for p in folder.rglob("*")]
            size = sum(s.st_size / max(s.st_nlink, 1) for s in statuses)
            found.append((folder, size, marker.stat().st_mtime))
        return sorted(found, key=lambda entry: entry[2])

    def collect(self, max_gb: float, idle_seconds: float = 3600.0) -> list[Path]:
        """Remove the longest unused environments until the rest fits into `max_gb`; returns what was removed.

        What was used within `idle_seconds` stays: a run may be using it.
        """
        from filelock import FileLock, Timeout

        for left in self.root.glob(".*"):  # of a build that was killed
            if left.is_dir() and time.time() - left.stat().st_mtime > 86400:
                shutil.rmtree(left, ignore_errors=True)
        entries, removed = self.sizes(), []
        total = sum(size for _, size, _ in entries)
        for folder, size, used in entries:
            if total <= max_gb * 1e9 or time.time() - used < idle_seconds:
                continue
            try:
                with FileLock(f"{folder}.lock", timeout=0):
                    shutil.rmtree(folder)
            except Timeout:
                continue
            total -= size
            removed.append(folder)
        return removed
