"""Subcommands about environments: build them ahead, say which are there, write their locks, make room."""

import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.cli import options
from papers.gitchameleon.environments.spec import CUTOFF, group_by_env
from papers.gitchameleon.environments.store import Env, Missing
from papers.gitchameleon.harness.choosing import store_of
from shared.base.files import write_json

app = typer.Typer(help="Environments: build, list, lock, make room.", no_args_is_help=True)


@app.command()
@options.exits
def build(
    data: options.Data = "benchmark",
    problems: options.Ids = "",
    library: options.Library = None,
    python: options.Pythons = None,
    env_root: options.EnvRoot = None,
    wheelhouse: options.Wheelhouse = None,
    cutoff: options.Cutoff = CUTOFF,
    allow_builds: options.Builds = False,
    retry_failed: Annotated[bool, typer.Option(help="Try again what failed before.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Builds at a time.")] = 2,
    install_minutes: Annotated[float, typer.Option(help="For one installation; source builds can take long.")] = 15.0,
) -> None:
    """Build environments ahead of an evaluation; exit status 3 if some cannot be had."""
    store = store_of(
        data, env_root, wheelhouse, cutoff, allow_builds, python, install_minutes, retry_failed=retry_failed
    )
    groups = group_by_env(options.problems_of(data, None, problems, library), cutoff or None)
    with ThreadPoolExecutor(jobs) as pool:
        builds = {pool.submit(store.get, spec): (spec, members) for spec, members in groups.items()}
        try:
            missing = _tell_builds(builds)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    if missing:
        raise typer.Exit(options.ENVIRONMENT_PROBLEM)


def _tell_builds(builds: dict) -> int:
    """A line as each environment is done; returns how many cannot be had."""
    missing = 0
    for number, build in enumerate(as_completed(builds), start=1):
        (spec, members), found = builds[build], build.result()
        state = "ready" if isinstance(found, Env) else f"{found.cause}: {found.message}"
        typer.echo(f"{number} of {len(builds)}: {spec.key} {spec.describe()} ({len(members)} problems): {state}")
        missing += isinstance(found, Missing)
    return missing


@app.command()
@options.exits
def status(data: options.Data = "benchmark", env_root: options.EnvRoot = None) -> None:
    """Say which environments of a data set are built and untouched; builds nothing."""
    store = store_of(data, env_root, None, CUTOFF, False, None)
    groups = group_by_env(options.problems_of(data, None, "", None))
    ready = {spec: store.ready(spec) is not None for spec in groups}
    for spec, is_ready in ready.items():
        typer.echo(f"{spec.key} {'ready' if is_ready else 'not built'}: {spec.describe()}")
    size = sum(size for _, size, _ in store.sizes()) / 1e9
    typer.echo(f"{sum(ready.values())} of {len(ready)} ready; {size:.2f} GB in {store.root}")


@app.command()
@options.exits
def lock(out: Annotated[Path, typer.Option(help="JSON file to write.")], env_root: options.EnvRoot = None) -> None:
    """Write the locks of all built environments: name, version, content hash and kind of each package."""
    store = store_of("benchmark", env_root, None, CUTOFF, False, None)
    markers = sorted(store.root.glob("*/env.json"))
    locks = {
        m.parent.name: {k: v for k, v in json.loads(m.read_text(encoding="utf-8")).items() if k != "tree_digest"}
        for m in markers
    }
    write_json(out, locks)
    typer.echo(f"{len(locks)} locks in {out}")


@app.command()
@options.exits
def gc(
    max_gb: Annotated[float, typer.Option(help="Keep this much.")],
    idle_minutes: Annotated[float, typer.Option(help="Keep what was used within these minutes.")] = 60.0,
    env_root: options.EnvRoot = None,
) -> None:
    """Remove the longest unused environments until the rest fits."""
    if max_gb < 0:
        raise ValueError(f"--max-gb has to be 0 or more; got {max_gb}")
    store = store_of("benchmark", env_root, None, CUTOFF, False, None)
    for folder in store.collect(max_gb, 60 * idle_minutes):
        typer.echo(f"removed {folder}")
