"""Typed settings of a paper: `base` and `scales` in config.yaml, checked by the paper's own models.

    base: {...}                  every key, with its default
    scales:
      smoke: {...}               only what differs from base
      cpu: {...}
      gpu: {...}
      paper: {...}

`papers/<slug>/config.py` defines `Config` (a `PaperConfig`); `shards(config)`, which cuts the runs of each step
into shards, one Snakemake job each, and gives every shard just the settings its job reads; and `STEPS`, which
names the sections that a step without shards reads. So a change elsewhere cannot make a job stale.

    python -m shared.artifacts.config show gidd --scale cpu
"""

import importlib
import json
import types
import typing
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.artifacts.errors import in_one_sentence, nearest
from shared.artifacts.paths import SCALES, PaperPaths, check_scale


class StrictModel(BaseModel):
    """Immutable settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PaperConfig(StrictModel):
    """What every paper's settings have in common."""

    num_gpus: int = Field(default=0, ge=0)  # of one training job; 0: everything runs on the CPU


class _UniqueKeyLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that refuses a key written twice, which YAML would silently let win.

    The one in C, where PyYAML has it: a build with nothing to do spent half of its time in the other.
    """

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the base class refuses it
            if key in seen:
                mark = key_node.start_mark
                raise ValueError(f"{mark.name}, line {mark.line + 1}: key '{key}' appears twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises:
        ValueError: no such file, not YAML, a key written twice, or not a mapping; names file and line.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    try:
        with path.open() as file:
            content = yaml.load(file, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping at the top level, found {type(content).__name__}")
    return content


def merge(base: dict, override: dict) -> dict:
    """`base` with `override` laid over it: mappings merge key by key, anything else is replaced."""
    merged = dict(base)
    for key, value in override.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def validate(model: type[BaseModel], values: dict, source: str) -> BaseModel:
    """`model(**values)`; what is wrong is told in one sentence per key.

    Args:
        source: file the values come from, for the message.
    Raises:
        ValueError: unknown key (the nearest known one is named), missing key, or a value out of range.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{source}: " + "; ".join(_explain(model, e) for e in error.errors())) from None


def _explain(model: type[BaseModel], error: dict) -> str:
    *section, key = [str(part) for part in error["loc"]] or [""]
    dotted = ".".join([*section, key])
    if error["type"] == "extra_forbidden":
        known = _field_names(model, section)
        choices = nearest(key, known) or (f"; known keys: {', '.join(known)}" if known else "")
        where = f" in '{'.'.join(section)}'" if section else ""
        return f"unknown key '{key}'{where}{choices}"
    if error["type"] == "missing":
        return f"key '{dotted}' is missing"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if isinstance(error["input"], dict | list) else f" (given: {error['input']!r})"
    return f"'{dotted}': {message}{given}" if dotted else message


def _field_names(model: type[BaseModel], section: list[str]) -> list[str]:
    """Field names accepted below `section`, a path through nested models, mappings and lists."""
    kinds: list[Any] = [model]
    for part in section:
        kinds = [child for kind in kinds for child in _children(kind, part)]
    return sorted({name for kind in kinds if _is_model(kind) for name in kind.model_fields})


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _children(kind: Any, part: str) -> list[Any]:
    if _is_model(kind):
        return _members(kind.model_fields[part].annotation) if part in kind.model_fields else [kind]
    arguments = typing.get_args(kind)
    return _members(arguments[-1] if typing.get_origin(kind) is dict else arguments[0]) if arguments else []


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, or the annotation itself, without Annotated wrappers."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [member for a in typing.get_args(annotation) for member in _members(a)]
    return [annotation]


def config_module(slug: str) -> types.ModuleType:
    """`papers.<slug>.config`, which defines `Config`, `STEPS` and `shards`."""
    return importlib.import_module(f"papers.{slug}.config")


def scales_of(slug: str, root: Path | None = None) -> list[str]:
    """Scales in a paper's config.yaml: the four, and any of its own."""
    paths = PaperPaths(slug, "cpu", root)
    path = paths.folder / "config.yaml"
    return list(_section(load_yaml(path), "scales", paths.relative(path)))


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
    check_scale(scale, extra=tuple(s for s in scales if s not in SCALES))
    if scale not in scales:
        raise ValueError(f"{source}: scale '{scale}' is missing under 'scales'")
    values = merge(_section(content, "base", source), _section(scales, scale, source))
    return validate(config_module(slug).Config, values, f"{source} at scale {scale}")


class Settings:
    """The sections of a paper's config that a step without shards reads; any other is refused.

    Args:
        slug, step, scale: which paper, which entry of its `STEPS`, which scale.
    """

    def __init__(self, slug: str, step: str, scale: str, root: Path | None = None) -> None:
        steps = config_module(slug).STEPS
        if step not in steps:
            raise ValueError(f"papers/{slug}/config.py: no step '{step}' in STEPS{nearest(step, steps)}")
        self.slug, self.step, self.scale, self.sections = slug, step, scale, steps[step]
        self._config = load_config(slug, scale, root)

    def __getattr__(self, section: str):
        if section.startswith("_"):
            raise AttributeError(section)
        if section not in self.sections:
            raise AttributeError(
                f"step '{self.step}' reads '{section}', which STEPS in papers/{self.slug}/config.py "
                f"does not list for it; add it there, so that a change of it reruns the step"
            )
        return getattr(self._config, section)

    def flat(self) -> dict[str, str]:
        """Dotted key -> JSON value, over this step's sections."""
        return flatten(self._config.model_dump(mode="json", include=set(self.sections)))


def load_shards(slug: str, scale: str, root: Path | None = None) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> the settings of that shard, which are all that its job reads."""
    return config_module(slug).shards(load_config(slug, scale, root))


def stand_ins(slug: str, root: Path | None = None) -> dict[str, str]:
    """Step -> the step whose records take its place under `records=published`: the module's PUBLISHED; often empty."""
    return dict(getattr(config_module(slug), "PUBLISHED", {}))


def record_shards(slug: str, scale: str, records_from: str = "own", root: Path | None = None) -> dict[str, list[str]]:
    """Step -> names of the shards whose records the tables read.

    Args:
        records_from: "published" takes each stand-in for the step it replaces; any other source leaves stand-ins out.
    Raises:
        ValueError: published records of a paper that has none at this scale.
    """
    found = {step: list(shards) for step, shards in load_shards(slug, scale, root).items()}
    pairs = stand_ins(slug, root)
    if records_from != "published":
        return {step: names for step, names in found.items() if step not in pairs.values()}
    if not any(found.get(source) for source in pairs.values()):
        raise ValueError(f"{slug} has no published records at scale {scale}; leave records=published out")
    return {step: names for step, names in found.items() if step not in pairs}


def load_shard(slug: str, step: str, scale: str, shard: str, root: Path | None = None) -> StrictModel:
    """Settings of one shard of a step.

    Raises:
        ValueError: no such step or shard at this scale.
    """
    shards = load_shards(slug, scale, root)
    if step not in shards:
        raise ValueError(f"papers/{slug}/config.py: shards() names no step '{step}'{nearest(step, shards)}")
    if shard not in shards[step]:
        known = ", ".join(shards[step])
        raise ValueError(f"step '{step}' of {slug} has no shard '{shard}' at scale {scale}; known: {known}")
    return shards[step][shard]


def flatten(content: dict) -> dict[str, str]:
    """Dotted key -> JSON value; mappings are walked, lists are one value."""
    return dict(_flatten(content))


def _flatten(content: Any, prefix: str = ""):
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, json.dumps(content)


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
