"""What a step says of itself, read from its source without running it: Snakemake plans without importing torch.

The arguments of `@step(...)` are literals, and the names of the function's parameters say the rest (step.py).
"""

import ast
import functools
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.artifacts.paths import PaperPaths
from shared.base.errors import nearest_or_all

# what a step function may ask for by the name of a parameter, besides its declared inputs and outputs
GIVEN = ("settings", "shard", "scale", "device", "threads", "checkpoints", "provenance")
_OPTIONS = ("outputs", "inputs", "after", "reads", "threads", "processes")


@dataclass(frozen=True)
class Declaration:
    """A step: where its shards' files lie, below results/<scale>, and what its jobs need.

    Args:
        slug, name: papers/<slug>/<name>.py.
        function: name of the decorated function.
        parameters: names of its parameters.
        outputs: name -> template of a file that it writes besides the record, e.g. "weights/{shard}.safetensors".
        inputs: name -> template of a file that it reads; absent (None) where the template names a setting that is null.
        after: templates of files that have to exist first and are not handed over.
        reads: files that it reads at run time, patterns relative to the paper's folder; they count as its code.
        threads: of a job.
        processes: the setting that says how many processes a job starts.

    A template holds {shard} and names of the shard's settings, dotted where they are nested.
    """

    slug: str
    name: str
    function: str
    parameters: tuple[str, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    threads: int = 1
    processes: str | None = None

    @property
    def resumes(self) -> bool:
        """Whether a killed job goes on from a folder of checkpoints."""
        return "checkpoints" in self.parameters

    def records(self) -> list[str]:
        """The step's record and those outputs that are records, too: `runs/<name>/{shard}.parquet`."""
        return [self.name, *(name for name, t in self.outputs.items() if t == f"runs/{name}/{{shard}}.parquet")]


def fill(template: str, shard: str, settings: Mapping[str, object]) -> str | None:
    """`template` for one shard; None where it names a setting that is null.

    Args:
        settings: dotted key -> value.
    Raises:
        ValueError: the shard has no setting of such a name.
    """
    values: dict[str, object] = {"shard": shard}
    text = ""
    for literal, key, _, _ in string.Formatter().parse(template):
        text += literal
        if key is None:
            continue
        value = values[key] if key in values else _setting(settings, key, template)
        if value is None:
            return None
        text += str(value)
    return text


def _setting(settings: Mapping[str, object], key: str, template: str) -> object:
    if key not in settings:
        raise ValueError(
            f"'{template}' names '{key}', which is no setting of this step; {nearest_or_all(key, settings)}"
        )
    return settings[key]


def source_of(slug: str, name: str, root: Path | None = None) -> Path:
    """papers/<slug>/<name>.py. Raises: ValueError, there is no such file."""
    paths = PaperPaths(slug, "cpu", root)
    path = paths.folder / f"{name}.py"
    if not path.is_file():
        known = [p.stem for p in paths.folder.glob("*.py") if "@step" in p.read_text(encoding="utf-8")]
        raise ValueError(f"{slug} has no step '{name}': no file {paths.relative(path)}; {nearest_or_all(name, known)}")
    return path


def declared(slug: str, name: str, root: Path | None = None) -> Declaration:
    """The declaration of a step.

    Raises:
        ValueError: no such file, no (or more than one) function under @step, or an argument that is no literal.
    """
    path = source_of(slug, name, root)
    return _read(path, path.stat().st_mtime_ns, slug, name)


@functools.lru_cache(maxsize=256)
def _read(path: Path, modified: int, slug: str, name: str) -> Declaration:
    where = f"papers/{slug}/{name}.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ValueError(f"{where}, line {error.lineno}: not valid Python ({error.msg})") from None
    found = [(node, call) for node in tree.body if isinstance(node, ast.FunctionDef) and (call := _step(node))]
    if len(found) != 1:
        raise ValueError(f"{where}: a step is one function under @step, and there are {len(found)}")
    node, decorator = found[0]
    options = {}
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
        if keyword.arg not in _OPTIONS:
            raise ValueError(
                f"{where}: unknown argument '{keyword.arg}' of @step; {nearest_or_all(keyword.arg, _OPTIONS)}"
            )
        try:
            options[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError):
            raise ValueError(
                f"{where}: '{keyword.arg}' of @step has to be a literal; it is read without running"
            ) from None
    _check_options(options, where)
    for key in ("after", "reads"):
        options[key] = tuple(options.get(key, ()))
    arguments = node.args
    parameters = tuple(a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
    result = Declaration(slug=slug, name=name, function=node.name, parameters=parameters, **options)
    known = (*GIVEN, *result.inputs, *result.outputs)
    for parameter in parameters:
        if parameter not in known:
            raise ValueError(
                f"{where}: nothing is known of parameter '{parameter}' of {node.name}; declare it under inputs or "
                f"outputs of @step, or use one of {', '.join(GIVEN)}"
            )
    return result


def _check_options(options: dict[str, object], where: str) -> None:
    """ValueError for an argument of @step of another kind, or a template that cannot be read."""
    kinds = {
        "outputs": (_is_named, "a mapping of names to templates"),
        "inputs": (_is_named, "a mapping of names to templates"),
        "after": (_is_listed, "a list of templates"),
        "reads": (_is_listed, "a list of patterns"),
        "threads": (lambda value: isinstance(value, int) and value > 0, "a number of threads"),
        "processes": (lambda value: isinstance(value, str | None), "the name of a setting"),
    }
    for key, value in options.items():
        fits, what = kinds[key]
        if not fits(value):
            raise ValueError(f"{where}: '{key}' of @step has to be {what}; it is {value!r}")
        if key in ("outputs", "inputs", "after"):
            for template in value.values() if isinstance(value, dict) else value:
                try:
                    list(string.Formatter().parse(template))
                except ValueError as error:
                    raise ValueError(f"{where}: '{key}' of @step has the template '{template}': {error}") from None


def _is_named(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)


def _is_listed(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _step(node: ast.FunctionDef) -> ast.expr | None:
    """The decorator `@step` or `@step(...)` of a function, if it has one."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Name) and called.id == "step":
            return decorator
    return None
