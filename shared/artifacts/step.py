"""A step of a paper: the function that yields a record's rows, and everything around it.

    @step(outputs={"weights": "weights/{shard}.safetensors"})
    def train(settings: TrainShard, *, device: str, checkpoints: Path, weights: Path) -> Iterator[dict]:
        \"\"\"Train the runs of one shard.\"\"\"

    if __name__ == "__main__":
        train.main()

Paper and step are those of the module, papers/<slug>/<step>.py. The function gets what its parameters name: the shard's
`settings`, `shard`, `scale`, `device` ("cpu" or "cuda"), `threads`, `checkpoints` (folder to resume from), `provenance`
(to add facts to), and the paths of its declared inputs and outputs. It returns rows, a frame, or a mapping of part ->
rows, which become one record with a column `part`. A process that is not the first of several returns what it likes:
the first one writes.

    python -m papers.gidd.train --scale smoke --shard markov-00

runs one shard and puts its files where Snakemake would; each has an option of its own (see --help).
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from shared.artifacts.config import load_shard, load_shards
from shared.artifacts.declaration import Declaration, declared, fill
from shared.artifacts.devices import device_for
from shared.artifacts.paths import PaperPaths
from shared.artifacts.provenance import Provenance
from shared.artifacts.records import write_record
from shared.base.errors import in_one_sentence
from shared.base.settings import StrictModel, flatten_values

Rows = Iterable[dict] | pd.DataFrame


class Step:
    """A decorated step function; calling it calls the function itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__, self.__name__, self.__wrapped__ = function.__doc__, function.__name__, function
        self.__module__ = function.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def declaration(self) -> Declaration:
        """What the source says of this step."""
        module = self.function.__module__
        if module == "__main__":  # run by `python -m papers.<slug>.<step>`
            module = sys.modules["__main__"].__spec__.name
        _, slug, name = module.split(".")
        return declared(slug, name)

    def run(
        self,
        scale: str,
        shard: str,
        *,
        threads: int = 1,
        out: Path | None = None,
        files: Mapping[str, Path] | None = None,
    ) -> pd.DataFrame | None:
        """Run one shard and write its record.

        Args:
            threads: of tensor operations.
            out: the record; where Snakemake has it if omitted.
            files: other places for declared inputs, outputs and `checkpoints`.
        Returns:
            The record's frame; None in a process that is not the first of several.
        Raises:
            ValueError: unknown scale or shard, an input that is missing, a declared output that was not written.
        """
        declaration = self.declaration
        settings = load_shard(declaration.slug, declaration.name, scale, shard)
        places = places_of(declaration, scale, shard, settings) | dict(files or {})
        out = out or places["record"]
        for name in declaration.inputs:
            if places[name] is not None and not places[name].exists():
                raise ValueError(f"no such {name}: {places[name]}; build it first")
        device = device_for(int(getattr(settings, "num_gpus", 0)))
        threads = int(os.environ.get("ARTIFACTS_THREADS", threads))  # processors.py: as another machine would
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(threads)
        described = {"scale": scale, "shard": shard, "settings": settings.model_dump(mode="json")}
        provenance = Provenance(device=device, num_threads=threads, **described)
        given = {"settings": settings, "shard": shard, "scale": scale, "device": device}
        given |= {"threads": threads, "provenance": provenance, **places}
        rows = self.function(**{name: given[name] for name in declaration.parameters})
        if int(os.environ.get("RANK", "0")) > 0:
            for _ in rows if inspect.isgenerator(rows) else ():
                pass  # a generator does its work while it is read
            return None
        frame = as_frame(rows)
        if (kernels := sys.modules.get("shared.kernels.dispatch")) is not None:
            provenance.add(kernels=kernels.forms_that_ran())
        for name in declaration.outputs:
            if not places[name].exists():
                raise ValueError(f"papers/{declaration.slug}/{declaration.name}.py did not write its output '{name}'")
        return write_record(out, frame, provenance)

    def main(self) -> None:
        """The command line of the step."""
        declaration = self.declaration
        files = [*declaration.inputs, *declaration.outputs, *(["checkpoints"] if declaration.resumes else [])]

        @in_one_sentence
        def command(shard: list[str], scale: str, threads: int, out: Path | None, **given: Path | None) -> None:
            chosen = {name: path for name, path in given.items() if path is not None}
            if len(shard) > 1 and (chosen or out):
                raise ValueError("several shards cannot share one file: leave the options that name files out")
            for each in shard:
                frame = self.run(scale, each, threads=threads, out=out, files=chosen)
                if frame is not None:
                    typer.echo(f"{declaration.slug} {declaration.name} {each}: {len(frame)} rows")

        command.__doc__ = inspect.cleandoc(self.__doc__ or declaration.name)
        options = {
            "shard": (
                list[str],
                typer.Option(help=f"Shard, or several: {_some_shards(declaration)}."),
                inspect.Parameter.empty,
            ),
            "scale": (str, typer.Option(help="Scale in config.yaml."), "cpu"),
            "threads": (int, typer.Option(help="CPU threads of tensor operations."), declaration.threads),
            "out": (Path | None, typer.Option(help="Record to write; results/<scale>/runs/ if omitted."), None),
        }
        for name in files:
            kind = "Input" if name in declaration.inputs else "Output" if name in declaration.outputs else "Folder"
            options[name] = (Path | None, typer.Option(help=f"{kind}; below results/<scale> if omitted."), None)
        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
            for name, (kind, option, default) in options.items()
        ]
        command.__signature__ = inspect.Signature(parameters)
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        typer.run(command)


def step(function: Callable[..., Any] | None = None, **declaration: Any) -> Any:
    """Makes a function a step; see the module. The keywords are those of `Declaration`, as literals."""
    return Step(function) if function is not None else Step


def as_frame(rows: Rows | Mapping[str, Rows]) -> pd.DataFrame:
    """Rows, a frame, or the parts of a record one after another under a column `part`."""
    if isinstance(rows, pd.DataFrame):
        return rows
    if isinstance(rows, Mapping):
        return pd.DataFrame([{"part": part, **row} for part, found in rows.items() for row in found])
    return pd.DataFrame(list(rows))


def places_of(declaration: Declaration, scale: str, shard: str, settings: StrictModel) -> dict[str, Path | None]:
    """`record`, `checkpoints` and the declared inputs and outputs of a shard -> where they lie."""
    results = PaperPaths(declaration.slug, scale).results
    values = flatten_values(settings.model_dump(mode="json"))
    found: dict[str, Path | None] = {
        "record": results / "runs" / declaration.name / f"{shard}.parquet",
        "checkpoints": results / "checkpoints" / declaration.name / shard,
    }
    for name, template in {**declaration.inputs, **declaration.outputs}.items():
        below = fill(template, shard, values)
        found[name] = None if below is None else results / below
    return found


def _some_shards(declaration: Declaration) -> str:
    """Names of shards for the help text; none where the settings do not load."""
    try:
        shards = list(load_shards(declaration.slug, "cpu").get(declaration.name, {}))
    except ValueError:
        return "see config.py"
    return ", ".join(shards[:3]) + (", ..." if len(shards) > 3 else "")
