"""Typed settings: frozen models that refuse unknown keys, the YAML they come from, and what is wrong in a sentence."""

import functools
import json
import types
import typing
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from shared.base.errors import nearest, nearest_or_all

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Factor = Annotated[float, Field(ge=0, lt=1)]  # an averaging factor
Share = Annotated[float, Field(ge=0, le=1)]


def rising(values: tuple[float, float]) -> tuple[float, float]:
    """The ends of a range, if the first lies below the second.

    Raises:
        ValueError: it does not.
    """
    if not values[0] < values[1]:
        raise ValueError(f"a range runs from its smaller end to its larger one; got {values[0]:g} to {values[1]:g}")
    return values


PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(rising)]

_UNKNOWN, _WRONG = "unknown_key", "wrong_value"


class StrictModel(BaseModel):
    """Frozen settings; pydantic's `ValidationError`, a `ValueError`, on what they cannot mean.

    That is an unknown key (the nearest one is named), true or false where a number or a text stands, a number that is
    not finite (unless its field says `allow_inf_nan=True`), an empty list where the field has no default, and a seed
    twice in a list of them (a field `seeds` or `*_seeds`): a run and its copy have no spread, and pass for sure.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        unboolean, filled = _refusals(cls)
        for key, value in data.items():
            if key not in cls.model_fields:
                context = {"model": cls.__name__, "key": str(key), "hint": nearest_or_all(key, cls.model_fields)}
                raise PydanticCustomError(_UNKNOWN, "unknown {model} key '{key}'; {hint}", context)
            if key in unboolean and (found := _first_boolean(value)) is not None:
                what = {"key": key, "what": f"is no switch, and {str(found).lower()} is neither a number nor a text"}
                raise PydanticCustomError(_WRONG, "'{key}' {what}", what)
            if key in filled and (value in ([], ()) or (key in unboolean and _has_empty_list(value))):
                raise PydanticCustomError(_WRONG, "'{key}' {what}", {"key": key, "what": "is an empty list; fill it"})
            if (key == "seeds" or key.endswith("_seeds")) and (seed := _first_repeated(value)) is not None:
                what = {"key": key, "what": f"has {seed} twice, and the same run again tells nothing new; keep one"}
                raise PydanticCustomError(_WRONG, "'{key}' {what}", what)
        return data


@functools.cache
def _refusals(model: type[BaseModel]) -> tuple[frozenset[str], frozenset[str]]:
    """Fields of a model that take no boolean, and those that take no empty list."""
    fields = model.model_fields.items()
    unboolean = {name for name, field in fields if not _mentions_boolean(field.annotation)}
    return frozenset(unboolean), frozenset(name for name, field in fields if field.is_required())


def _mentions_boolean(annotation: Any) -> bool:
    """Whether a boolean may stand somewhere in a value of this kind, as far as the kind says."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return any(isinstance(argument, bool) for argument in arguments)
    if typing.get_origin(annotation) is Annotated:
        return _mentions_boolean(arguments[0])
    if arguments:
        return any(_mentions_boolean(argument) for argument in arguments)
    numbers_and_texts = (int, float, str, bytes, type(None), Ellipsis)
    return annotation not in numbers_and_texts


def _first_repeated(value: Any) -> Any:
    """The first entry of a list that has been there before; None if there is none."""
    values = list(value) if isinstance(value, list | tuple) else []
    return next((each for index, each in enumerate(values) if each in values[:index]), None)


def _first_boolean(value: Any) -> bool | None:
    """The first boolean in a value, a list or the values of a mapping; None if there is none."""
    if isinstance(value, bool):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((found for each in inner if (found := _first_boolean(each)) is not None), None)


class _UniqueKeyLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that refuses a key written twice, which YAML would silently let win.

    The one in C, where PyYAML has it: a build with nothing to do spent half of its time in the other.
    """

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue  # `<<: *anchor`: what the mapping says itself goes before what it merges in
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the base class refuses it
            if key in seen:
                mark = key_node.start_mark
                raise ValueError(f"{mark.name}, line {mark.line + 1}: key '{key}' appears twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _has_empty_list(value: Any) -> bool:
    """Whether a value is an empty list, or a list or mapping with one."""
    if isinstance(value, list | tuple):
        return not value or any(isinstance(each, list | tuple) and _has_empty_list(each) for each in value)
    return isinstance(value, dict) and any(isinstance(v, list | tuple) and _has_empty_list(v) for v in value.values())


def load_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises:
        ValueError: no such file, not YAML, a key written twice, or not a mapping; names file and line.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    try:
        with path.open(encoding="utf-8") as file:
            content = yaml.load(file, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', error)})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping at the top level, found {type(content).__name__}")
    return content


def of_its_kind(value: Any, kinds: dict[str, type[StrictModel]], what: str) -> StrictModel:
    """Settings of one of several kinds: from its name, or from {"name": ..., option: ...}.

    Raises:
        ValueError: neither, no such kind, or an option that does not fit it; `what` says of what there are kinds.
    """
    options = {"name": value} if isinstance(value, str) else value
    if not isinstance(options, dict) or not isinstance(options.get("name"), str):
        raise ValueError(f"a {what} is a name or a mapping with the key 'name' (given: {value!r})")
    if options["name"] not in kinds:
        raise ValueError(f"unknown {what} {options['name']!r}; {nearest_or_all(options['name'], kinds)}")
    return kinds[options["name"]].model_validate(options)


def merge(base: dict, override: dict) -> dict:
    """`base` with `override` laid over it: mappings merge key by key, anything else is replaced."""
    merged = dict(base)
    for key, value in override.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def flatten(content: dict) -> dict[str, str]:
    """Dotted key -> JSON text; mappings are walked, lists are one value."""
    return {key: json.dumps(value) for key, value in _walk(content)}


def flatten_values(content: dict) -> dict[str, Any]:
    """Dotted key -> value; mappings are walked, lists are one value."""
    return dict(_walk(content))


def _walk(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _walk(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, content


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
        raise ValueError(f"{source}: {in_words(error, model)}") from None


def in_words(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """What pydantic found, a clause per key; `model` gives the names that an unknown key may mean."""
    return "; ".join(_explain(model, each) for each in error.errors())


def _explain(model: type[BaseModel] | None, error: dict) -> str:
    location = [str(part) for part in error["loc"]]
    if error["type"] == _UNKNOWN:
        return _unknown(location, error["ctx"]["key"], _field_names(model, location)) if model else error["msg"]
    if error["type"] == "extra_forbidden":
        return _unknown(location[:-1], location[-1], _field_names(model, location[:-1]))
    dotted = ".".join(location)
    if error["type"] == _WRONG:
        return f"'{'.'.join([*location, error['ctx']['key']])}' {error['ctx']['what']}"
    if error["type"] == "missing":
        return f"key '{dotted}' is missing"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if isinstance(error["input"], dict | list) else f" (given: {error['input']!r})"
    return f"'{dotted}': {message}{given}" if dotted else message


def _unknown(section: list[str], key: str, known: list[str]) -> str:
    choices = nearest(key, known) or (f"; known keys: {', '.join(known)}" if known else "")
    where = f" in '{'.'.join(section)}'" if section else ""
    return f"unknown key '{key}'{where}{choices}"


def _field_names(model: type[BaseModel] | None, section: list[str]) -> list[str]:
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
