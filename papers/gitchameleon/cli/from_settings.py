"""A command line made from a settings model: an option per field, and a YAML file under what the options say."""

import copy
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.models import ParameterInfo

from shared.base.settings import load_yaml, merge, validate

CONFIG = Annotated[Path | None, typer.Option(help="YAML file of these settings; an option given here goes before it.")]


def command_of(model: type[BaseModel], run: Callable[[Any], None]) -> Callable[..., None]:
    """A function for typer that fills `model` and calls `run` with it.

    A field of a nested model is an option of its own name, so names have to be unique over all of them. A field's
    description is its help; a typer option or argument in its annotation is taken as it is.

    Raises (the command):
        ValueError: an unknown key in the file, a missing key, a value out of range.
    """
    found = list(leaves(model))
    fields = {path[-1]: (path, field) for path, field in found}
    assert len(fields) == len(found), "two settings share an option's name"

    def command(config: Path | None, **given: Any) -> None:
        values = load_yaml(config) if config else {}
        for name, value in given.items():
            if value is not None and value != []:
                values = merge(values, _nested(fields[name][0], value))
        run(validate(model, values, f"{config} and command line" if config else "command line"))

    parameters = {name: _annotation(name, field) for name, (_, field) in fields.items()} | {"config": CONFIG}
    command.__signature__ = inspect.Signature(
        [
            inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=a)
            for n, a in parameters.items()
        ]
    )
    command.__annotations__ = parameters
    command.__doc__ = run.__doc__
    return command


def leaves(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """(path, field) of every field that is no model itself."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, (*prefix, name))
        else:
            yield (*prefix, name), field


def _nested(path: tuple[str, ...], value: Any) -> dict:
    for name in reversed(path):
        value = {name: value}
    return value


def _annotation(name: str, field: FieldInfo) -> Any:
    """An option that is None unless it is given, so that it can be told from its default."""
    known = next((m for m in field.metadata if isinstance(m, ParameterInfo)), None)
    option = copy.copy(known) if known else typer.Option(help=field.description)
    default = field.get_default()
    if isinstance(default, bool):
        option.show_default = ("" if default else "no-") + name.replace("_", "-")
    elif not field.is_required() and default not in (None, ""):
        option.show_default = str(default)
    return Annotated[field.annotation | None, option]
