"""Typed settings of a paper: `base` and `scales` in config.yaml, checked by the paper's own models.

    base: {...}                  every key, with its default
    scales:
      smoke: {...}               only what differs from base
      cpu: {...}
      gpu: {...}
      paper: {...}

`papers/<slug>/config.py` defines `Config` (a `PaperConfig`); `shards(config)`, which cuts the runs of each step
into shards, one Snakemake job each, and gives every shard just the settings its job reads, so that a change elsewhere
cannot make a job stale; and `STEPS`, which names the sections that tables and claims read. Where settings take long to
make, `shards` may give a function of no arguments in their place: a job then makes its own alone.

    python -m shared.artifacts.config show gidd --scale cpu
"""

import functools
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import Field

from shared.artifacts.author import author_code, import_module
from shared.artifacts.declaration import declared
from shared.artifacts.paths import PaperPaths, check_scale
from shared.base.errors import in_one_sentence, nearest, nearest_or_all
from shared.base.settings import StrictModel, flatten, load_yaml, merge, validate

READERS = ("tables", "claims")
_SHARD = re.compile(r"[A-Za-z0-9_.=-]+")  # a part of file names, and a wildcard of Snakemake


class PaperConfig(StrictModel):
    """What every paper's settings have in common."""

    num_gpus: int = Field(default=0, ge=0)  # of one training job; 0: everything runs on the CPU


def config_module(slug: str) -> types.ModuleType:
    """`papers.<slug>.config`, which defines `Config`, `STEPS` and `shards`.

    Raises:
        ValueError: it does not import, or one of them is missing or of another kind.
    """
    module, where = import_module(slug, "config"), f"papers/{slug}/config.py"
    kind = getattr(module, "Config", None)
    if not (isinstance(kind, type) and issubclass(kind, StrictModel) and "num_gpus" in kind.model_fields):
        raise ValueError(f"{where} has no class Config(PaperConfig); define one")
    if not callable(getattr(module, "shards", None)):
        raise ValueError(f"{where} has no function shards(config); it returns step -> shard -> settings")
    _check_steps(getattr(module, "STEPS", None), kind, where)
    published = getattr(module, "PUBLISHED", {})
    if not (isinstance(published, dict) and all(isinstance(x, str) for pair in published.items() for x in pair)):
        raise ValueError(f"{where}: PUBLISHED has to map a step to the step that stands in for it; it is {published!r}")
    return module


def _check_steps(steps: object, config: type[StrictModel], where: str) -> None:
    """STEPS: "tables" and "claims" -> names of the sections of `Config` that they read."""
    example = 'such as {"tables": ("sampling",), "claims": ("thresholds",)}'
    if not isinstance(steps, dict):
        raise ValueError(f"{where}: STEPS has to be a mapping {example}; it is {steps!r}")
    for reader, sections in steps.items():
        if reader not in READERS:
            raise ValueError(f"{where}: STEPS has the key {reader!r}; {nearest_or_all(reader, READERS)}")
        if not isinstance(sections, tuple | list):
            raise ValueError(f"{where}: STEPS['{reader}'] has to be a tuple of sections, {example}; it is {sections!r}")
        for section in sections:
            if section not in config.model_fields:
                hint = nearest_or_all(section, config.model_fields)
                raise ValueError(f"{where}: STEPS['{reader}'] names '{section}', no section of Config; {hint}")


def scales_of(slug: str, root: Path | None = None) -> list[str]:
    """Scales in a paper's config.yaml: the four, and any of its own."""
    paths = PaperPaths(slug, "cpu", root)
    path = paths.folder / "config.yaml"
    state = path.stat() if path.is_file() else None
    return list(_scales_in(path, state and (state.st_mtime_ns, state.st_size), paths.relative(path)))


@functools.lru_cache(maxsize=256)
def _scales_in(path: Path, state: tuple[int, int] | None, source: str) -> tuple[str, ...]:
    """Read once for each state of the file: planning asks for the scales of every paper several times."""
    scales = _section(load_yaml(path), "scales", source)
    for scale in scales:
        if not (isinstance(scale, str) and re.fullmatch(r"[a-z][a-z0-9_-]*", scale)):
            raise ValueError(
                f"{source}: scale {scale!r} is no name; use lower-case letters, digits, _ and -, a letter first"
            )
    return tuple(scales)


def paper_at(slug: str, scale: str, root: Path | None = None) -> PaperPaths:
    """Paths of a paper at a scale that it has. Raises: ValueError, unknown paper, or it has no such scale."""
    paths = PaperPaths(slug, scale, root)
    known = scales_of(slug, root)
    if scale not in known:
        check_scale(scale, tuple(known))
        raise ValueError(f"{slug} has no scale '{scale}'; {nearest_or_all(scale, known)}")
    return paths


def _section(content: dict, key: str, source: str) -> dict:
    """The mapping under `key`, empty if it is absent or null."""
    section = content.get(key)
    if not (section is None or isinstance(section, dict)):
        raise ValueError(f"{source}: '{key}' has to be a mapping of keys to values (given: {section!r})")
    return section or {}


def load_config(slug: str, scale: str, root: Path | None = None) -> PaperConfig:
    """Resolved settings of a paper at a scale.

    Raises:
        ValueError: unknown paper or scale, or config.yaml does not fit the paper's `Config`.
    """
    paths = PaperPaths(slug, scale, root)
    path = paths.folder / "config.yaml"
    content = load_yaml(path)
    source = paths.relative(path)
    unknown = [key for key in content if key not in ("base", "scales")]
    if unknown:
        raise ValueError(f"{source}: unknown key '{unknown[0]}'; known keys: base, scales")
    scales = _section(content, "scales", source)
    check_scale(scale, extra=tuple(scales_of(slug, root)))
    if scale not in scales:
        raise ValueError(f"{source}: scale '{scale}' is missing under 'scales'")
    values = merge(_section(content, "base", source), _section(scales, scale, source))
    return validate(config_module(slug).Config, values, f"{source} at scale {scale}")


class Settings:
    """The sections of a paper's config that tables or claims read; any other is refused.

    Args:
        slug, step, scale: which paper, which entry of its `STEPS` ("tables" or "claims"), which scale.
    """

    def __init__(self, slug: str, step: str, scale: str, root: Path | None = None) -> None:
        self.slug, self.step, self.scale = slug, step, scale
        self.sections = tuple(config_module(slug).STEPS.get(step, ()))
        self._config = load_config(slug, scale, root)

    def __getattr__(self, section: str):
        if section.startswith("_"):
            raise AttributeError(section)
        if section not in self.sections:
            raise AttributeError(
                f"'{self.step}' of {self.slug} reads '{section}', which STEPS in papers/{self.slug}/config.py "
                f"does not list for it; add it there, so that a change of it reruns them"
            )
        return getattr(self._config, section)

    def flat(self) -> dict[str, str]:
        """Dotted key -> JSON value, over this step's sections."""
        return flatten(self._config.model_dump(mode="json", include=set(self.sections)))


def load_shards(slug: str, scale: str, root: Path | None = None) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> the settings of that shard, which are all that its job reads."""
    return {
        step: {name: _made(slug, step, name, value) for name, value in shards.items()}
        for step, shards in _cut(slug, scale, root).items()
    }


def _cut(slug: str, scale: str, root: Path | None) -> dict[str, dict[str, StrictModel | Callable[[], StrictModel]]]:
    """What `shards(config)` of a paper returns, checked."""
    config, module, where = load_config(slug, scale, root), config_module(slug), f"papers/{slug}/config.py, shards"
    with author_code(where, f"it has to cut the settings of scale {scale} into step -> shard -> settings"):
        found = module.shards(config)
    if not (isinstance(found, dict) and found and all(isinstance(each, dict) for each in found.values())):
        raise ValueError(f"{where}: it has to return step -> shard -> settings; at scale {scale} it returns {found!r}")
    for step, shards in found.items():
        for name, settings in shards.items():
            if not (isinstance(name, str) and _SHARD.fullmatch(name)):
                raise ValueError(
                    f"{where}: {name!r} is no name for a shard of '{step}'; make it of letters, digits and _ . = -"
                )
            if not (isinstance(settings, StrictModel) or callable(settings)):
                raise ValueError(f"{where}: settings of '{step}', {name} have to be a StrictModel, not {settings!r}")
    return found


def _made(slug: str, step: str, name: str, value: StrictModel | Callable[[], StrictModel]) -> StrictModel:
    if isinstance(value, StrictModel):
        return value
    where = f"papers/{slug}/config.py, shards"
    with author_code(where, f"the settings of '{step}', {name} have to be a StrictModel or make one"):
        made = value()
        if not isinstance(made, StrictModel):
            raise ValueError(f"the settings of '{step}', {name} are {type(made).__name__}")
    return made


def load_shard(slug: str, step: str, scale: str, shard: str, root: Path | None = None) -> StrictModel:
    """Settings of one shard of a step.

    Raises:
        ValueError: no such step or shard at this scale.
    """
    shards = _cut(slug, scale, root)
    if step not in shards:
        raise ValueError(f"papers/{slug}/config.py: shards() names no step '{step}'{nearest(step, shards)}")
    if shard not in shards[step]:
        known = ", ".join(shards[step])
        raise ValueError(f"step '{step}' of {slug} has no shard '{shard}' at scale {scale}; known: {known}")
    return _made(slug, step, shard, shards[step][shard])


def stand_ins(slug: str, root: Path | None = None) -> dict[str, str]:
    """Step -> the step whose records take its place under `records=published`: the module's PUBLISHED; often empty."""
    return dict(getattr(config_module(slug), "PUBLISHED", {}))


def record_shards(slug: str, scale: str, records_from: str = "own", root: Path | None = None) -> dict[str, list[str]]:
    """Name of a record -> names of its shards: the records that the tables read.

    A step has a record of its own name, and one for each of its outputs that is a record.

    Args:
        records_from: "published" takes each stand-in for the step it replaces; any other source leaves stand-ins out.
    Raises:
        ValueError: published records of a paper that has none at this scale.
    """
    found = {
        record: list(shards)
        for step, shards in _cut(slug, scale, root).items()
        for record in declared(slug, step, root).records()
    }
    pairs = stand_ins(slug, root)
    if records_from != "published":
        return {step: names for step, names in found.items() if step not in pairs.values()}
    if not any(found.get(source) for source in pairs.values()):
        raise ValueError(f"{slug} has no published records at scale {scale}; leave records=published out")
    return {step: names for step, names in found.items() if step not in pairs}


app = typer.Typer(help="Settings of a paper.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _main() -> None:
    """Settings of a paper."""


@app.command()
@in_one_sentence
def show(
    slug: Annotated[str, typer.Argument(help="Paper, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Print the resolved settings as YAML."""
    typer.echo(yaml.safe_dump(load_config(slug, scale).model_dump(mode="json"), sort_keys=False), nl=False)


if __name__ == "__main__":
    app()
