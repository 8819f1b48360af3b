"""Ask a model about every problem under one protocol, and write a solution file that `evaluate` reads.

    python -m papers.gitchameleon.generate greedy --data mini --model scripted:mixture,0.7 --out greedy.jsonl
    python -m papers.gitchameleon.generate temperature --model openai:NAME --base-url URL --out t08.jsonl
    python -m papers.gitchameleon.generate selfdebug --greedy greedy.jsonl --model hf:FOLDER --out sd.jsonl

Models: scripted:SOLVER, recorded:FILE, openai:NAME (with --base-url; the key is read from the environment) and
hf:FOLDER. Stopped, it goes on where it was. Exit status: 0 all answered, 1 some were not, 2 bad input, 4 no box.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from papers.gitchameleon import options
from papers.gitchameleon.agent import request_of as agent_request
from papers.gitchameleon.agent import run_agent, sandbox_tool, search_tool
from papers.gitchameleon.environments import spec_of
from papers.gitchameleon.generation import AnswerFile, Request, generate, run_all
from papers.gitchameleon.harness import Harness
from papers.gitchameleon.keywords import Ranker, run_sek
from papers.gitchameleon.keywords import request_of as sek_request
from papers.gitchameleon.models.base import Message, Model
from papers.gitchameleon.models.endpoint import Endpoint, EndpointConfig
from papers.gitchameleon.models.recorded import Cached, Recorded
from papers.gitchameleon.problems import Problem
from papers.gitchameleon.prompt_search import search
from papers.gitchameleon.protocols import NUM_SEEDS, SINGLE, rag_requests, requests
from papers.gitchameleon.retrieval import BM25, documents_of
from papers.gitchameleon.selfdebug import Run, selfdebug
from papers.gitchameleon.solvers import make_solver
from papers.gitchameleon.verdict_cache import read_whole_lines
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


class Executor:
    """Runs answers for protocols that need it: visible tests, hidden verdicts, programs of an agent."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    def _run(self, problem: Problem, code: str, mode: str):
        env = self.harness.store.get(spec_of(problem, self.harness.settings.cutoff))
        return self.harness.run(problem, code, mode, env)

    def visible(self, problem: Problem, code: str) -> Run:
        verdict = self._run(problem, code, "visible")
        return Run(verdict.passed, verdict.trace or verdict.detail)

    def hidden_passed(self, problem: Problem, code: str) -> bool:
        return self._run(problem, code, "hidden").passed

    def program(self, problem: Problem, code: str) -> str:
        """What a program prints in the problem's environment, and its trace if it fails."""
        # a script alone: the visible test makes way for a statement that does nothing
        verdict = self._run(problem.model_copy(update={"test": "pass\n"}), code, "visible")
        end = "" if verdict.passed else verdict.trace or verdict.detail
        return "\n".join(part for part in (verdict.output, end) if part) or "(no output)"


def first_answers(path: Path | None) -> dict[int, dict]:
    """Rows of the greedy answers that self-debug starts from."""
    if path is None:
        raise ValueError("self-debug starts from greedy answers; name their file with --greedy")
    rows = read_whole_lines(path)
    if not rows:
        raise ValueError(f"no answers in {path}; generate greedy ones first")
    return {row["example_id"]: row for row in rows}


@dataclass
class Job:
    """A model, problems and a file of answers: every protocol is one call."""

    model: Model
    problems: list[Problem]
    known: list[Problem]  # all of the data: what documents are indexed over
    file: Callable[[str], AnswerFile]
    workers: int
    executor: Callable[[], Executor]  # made only where answers are run

    @cached_property
    def index(self) -> BM25:
        return BM25(documents_of(self.known))

    def single(self, todo: list[Request]) -> list:
        """Protocols of one question."""
        return generate(self.model, todo, self.file(todo[0].protocol), self.workers)

    def selfdebug(self, first: dict[int, dict], retry_on: str) -> list:
        runner, file = self.executor(), self.file("selfdebug")
        return selfdebug(
            self.model, self.problems, first, runner.visible, file, retry_on, runner.hidden_passed, self.workers
        )

    def agent(self, steps: int, use_sandbox: bool) -> list:
        tools = [search_tool(lambda query: "\n\n".join(d.text for d in self.index.top(query, 3)))]
        tools += [sandbox_tool(self.executor().program)] if use_sandbox else []
        todo = [agent_request(p, tools, steps) for p in self.problems]
        work = [(r, lambda r=r: run_agent(self.model, r, tools, steps)) for r in todo]
        return run_all(work, self.model.name, self.file(todo[0].protocol), self.workers)

    def sek(self) -> list:
        """Keywords are ranked over the documents of the data; the paper's corpus is larger."""
        ranker = Ranker(d.text for d in self.index.documents)
        todo = [sek_request(p) for p in self.problems]
        work = [(r, lambda r=r: run_sek(self.model, r, ranker)) for r in todo]
        return run_all(work, self.model.name, self.file("sek"), self.workers)

    def prompt_search(self) -> list:
        """Search on a fifth of the problems, then ask all under the best system text."""
        system, rounds = search(self.model, self.problems, self.executor().visible)
        for r in rounds:
            typer.echo(f"round {r.number}: {r.percent:.1f} % visible on the subset")
        todo = [
            replace(r, protocol="prompt_search", messages=(Message("system", system), *r.messages[1:]))
            for r in requests(self.problems)
        ]
        return self.single(todo)


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
        store = options.store_of(data, envs, wheelhouse, options.DEFAULT_CUTOFF, False, None)
        level = options.level_of(sandbox, unsafe)
        return Executor(options.harness_of(store, level, Limits(), workers, "both", options.DEFAULT_CUTOFF, True))

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


if __name__ == "__main__":
    typer.run(main)
