"""Ask a model about every problem under one protocol, and write a solution file that `evaluate` reads.

    python -m papers.gitchameleon.generate greedy --data mini --model scripted:mixture,0.7 --out greedy.jsonl
    python -m papers.gitchameleon.generate temperature --model openai:NAME --base-url URL --out t08.jsonl
    python -m papers.gitchameleon.generate selfdebug --greedy greedy.jsonl --model hf:FOLDER --out sd.jsonl

Models: scripted:SOLVER, recorded:FILE, openai:NAME (with --base-url; the key is read from the environment) and
hf:FOLDER. Stopped, it goes on where it was. Exit status: 0 all answered, 1 some were not, 2 bad input, 4 no box.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon.cli import options
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments.spec import CUTOFF
from papers.gitchameleon.harness.choosing import harness_of, level_of, store_of
from papers.gitchameleon.models.base import Model
from papers.gitchameleon.models.endpoint import Endpoint, EndpointConfig
from papers.gitchameleon.models.recorded import Cached, Recorded
from papers.gitchameleon.models.solvers import make_solver
from papers.gitchameleon.protocols.generation import AnswerFile
from papers.gitchameleon.protocols.jobs import Executor, Job, first_answers
from papers.gitchameleon.protocols.single import NUM_SEEDS, SINGLE, rag_requests, requests
from shared.sandbox.box import Limits

PROTOCOLS = (*SINGLE, "rag", "selfdebug", "agent", "sek", "prompt-search")
SOME_UNANSWERED = 1  # exit status
KINDS = "scripted:SOLVER, recorded:FILE, openai:NAME or hf:FOLDER"


def make_model(text: str, problems: list[Problem], endpoint: dict, device: str, dtype: str, batch: int) -> Model:
    """The model that `--model` names."""
    kind, _, name = text.partition(":")
    if kind == "scripted":
        return make_solver(name, problems)
    if kind == "recorded":
        return Recorded(Path(name))
    if kind == "openai":
        if not endpoint.get("base_url"):
            raise ValueError("openai:NAME needs --base-url, with its scheme")
        return Endpoint(EndpointConfig(model=name, **endpoint))
    if kind == "hf":
        from papers.gitchameleon.models.huggingface import HuggingFace

        return HuggingFace(name, device, dtype, batch)
    raise ValueError(f"--model is {KINDS}; got '{text}'")


@options.exits
def main(
    protocol: Annotated[str, typer.Argument(help=", ".join(PROTOCOLS))],
    out: Annotated[Path, typer.Option(help="Solution file to write or go on with.")],
    model: Annotated[str, typer.Option(help=KINDS)],
    data: options.Data = "benchmark",
    hidden_tests: options.HiddenTests = None,
    problems: options.Ids = "",
    library: options.Library = None,
    workers: Annotated[int, typer.Option(help="Requests at a time.")] = 4,
    resume: Annotated[bool, typer.Option(help="Go on with what the file has.")] = True,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, ... of the protocol temperature.")] = NUM_SEEDS,
    show_version: Annotated[bool, typer.Option(help="Tell the pin; the ablation does not.")] = True,
    k: Annotated[int, typer.Option("--k", help="Documents per prompt of the protocol rag.")] = 3,
    greedy: Annotated[Path | None, typer.Option(help="Greedy answers that selfdebug starts from.")] = None,
    retry_on: Annotated[str, typer.Option(help="visible, or hidden: rows are then stamped leaky.")] = "visible",
    steps: Annotated[int, typer.Option(help="Turns of an agent.")] = 5,
    use_sandbox: Annotated[bool, typer.Option(help="Give the agent a tool that runs programs.")] = True,
    base_url: Annotated[str, typer.Option(help="Endpoint of openai:NAME, up to /v1.")] = "",
    api_key_variable: Annotated[str, typer.Option(help="Environment variable with its key.")] = "OPENAI_API_KEY",
    reasoning: Annotated[bool, typer.Option(help="The model takes no temperature.")] = False,
    system_role: Annotated[bool, typer.Option(help="The model takes a system text.")] = True,
    structured: Annotated[bool, typer.Option(help="The model can be held to a JSON schema.")] = False,
    request_seconds: Annotated[float, typer.Option(help="Limit of one request.")] = 120.0,
    prompt_price: Annotated[float, typer.Option(help="Per million tokens.")] = 0.0,
    completion_price: Annotated[float, typer.Option(help="Per million tokens.")] = 0.0,
    cache: Annotated[Path | None, typer.Option(help="File that keeps every completion for later runs.")] = None,
    device: Annotated[str, typer.Option(help="Of hf:FOLDER.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="Of hf:FOLDER.")] = "float32",
    batch: Annotated[int, typer.Option(help="Prompts at a time of hf:FOLDER.")] = 8,
    envs: options.EnvRoot = None,
    wheelhouse: options.Wheelhouse = None,
    sandbox: options.Level = "auto",
    unsafe: options.Unsafe = False,
) -> None:
    """Generate answers under one protocol."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol '{protocol}'; there are: {', '.join(PROTOCOLS)}")
    chosen = options.problems_of(data, hidden_tests, problems, library)
    known = chosen if not (problems or library) else options.problems_of(data, None, "", None)
    names = ("base_url", "api_key_variable", "reasoning", "system_role", "structured", "request_seconds")
    names += ("prompt_price", "completion_price")
    values = locals()
    asked = make_model(model, known, {n: values[n] for n in names}, device, dtype, batch)
    inner = asked
    if cache is not None:
        asked = Cached(asked, cache)

    def executor() -> Executor:
        store = store_of(data, envs, wheelhouse, CUTOFF, False, None)
        level = level_of(sandbox, unsafe)
        return Executor(harness_of(store, level, Limits(), workers, "both", CUTOFF, True))

    job = Job(asked, chosen, known, lambda name: AnswerFile(out, asked.name, name, resume), workers, executor)
    if protocol == "selfdebug":
        failed = job.selfdebug(first_answers(greedy), retry_on)
    elif protocol == "agent":
        failed = job.agent(steps, use_sandbox)
    elif protocol == "sek":
        failed = job.sek()
    elif protocol == "prompt-search":
        failed = job.prompt_search()
    elif protocol == "rag":
        failed = job.single(rag_requests(chosen, job.index, k, show_version))
    else:
        failed = job.single(
            requests(chosen, protocol, range(seeds) if protocol == "temperature" else (None,), show_version)
        )
    _report(out, len(chosen), failed, inner)


def _report(out: Path, num_problems: int, failed: list, model: Model) -> None:
    typer.echo(f"{out}: answers to {num_problems} problems, {len(failed)} requests without one")
    if isinstance(model, Endpoint):
        typer.echo(model.meter.in_words())
    for request, why in failed[:5]:
        print(f"problem {request.problem.example_id}: {why}", file=sys.stderr)
    if failed:
        raise typer.Exit(SOME_UNANSWERED)
