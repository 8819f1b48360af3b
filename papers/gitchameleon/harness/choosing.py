"""A harness from what a user chooses: environments, level of the box, limits."""

from pathlib import Path

from papers.gitchameleon.environments.installers import Index
from papers.gitchameleon.environments.interpreters import parse_map
from papers.gitchameleon.environments.store import EnvStore
from papers.gitchameleon.harness.harness import MODES, Harness, Settings
from papers.gitchameleon.harness.verdict_cache import VerdictCache
from papers.gitchameleon.suites.wheels import write_wheels
from shared.base.cache import cache_dir
from shared.sandbox.box import Limits
from shared.sandbox.levels import choose_level


class NoSandbox(ValueError):
    """No box can be made and none was waived."""


def store_of(
    data: str,
    envs: Path | None,
    wheelhouse: Path | None,
    cutoff: str,
    builds: bool,
    pythons: list[str] | None,
    install_minutes: float = 15.0,
    **more,
) -> EnvStore:
    """The environments that a command uses; the built-in libraries come from wheels written here."""
    if data == "builtin":
        wheelhouse = write_wheels(cache_dir() / "gitchameleon" / "builtin-wheels")
    if wheelhouse is not None and not wheelhouse.is_dir():
        raise ValueError(f"no folder of wheels at {wheelhouse}; make one with 'pip download -d {wheelhouse} ...'")
    if install_minutes <= 0:
        raise ValueError(f"--install-minutes has to be positive; got {install_minutes:g}")
    index = Index(wheelhouse and wheelhouse.absolute(), cutoff or None, builds, timeout_seconds=60 * install_minutes)
    return EnvStore(envs, index, parse_map(pythons), **more)


def level_of(wanted: str, unsafe: bool) -> str:
    """The box's level; NoSandbox if there is none."""
    try:
        return choose_level(wanted, unsafe)
    except ValueError as error:
        raise NoSandbox(str(error)) from None


def harness_of(store: EnvStore, level: str, limits: Limits, jobs: int, tests: str, cutoff: str, cache: bool) -> Harness:
    """A harness as the options say."""
    if jobs < 1:
        raise ValueError(f"--jobs has to be at least 1; got {jobs}")
    if tests not in ("both", *MODES):
        raise ValueError(f"--tests is both, hidden or visible; got '{tests}'")
    settings = Settings(
        level=level,
        limits=limits,
        jobs=jobs,
        modes=MODES if tests == "both" else (tests,),
        cutoff=cutoff or None,
    )
    path = cache_dir() / "gitchameleon" / "verdicts.jsonl" if cache else None
    return Harness(store, VerdictCache(path), settings)
