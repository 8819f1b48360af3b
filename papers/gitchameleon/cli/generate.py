"""Ask a model about every problem under one protocol, and write a solution file that `evaluate` reads.

    python -m papers.gitchameleon.generate greedy --data mini --model scripted:mixture,0.7 --out greedy.jsonl
    python -m papers.gitchameleon.generate temperature --model openai:NAME --base-url URL --out t08.jsonl
    python -m papers.gitchameleon.generate selfdebug --greedy greedy.jsonl --model hf:FOLDER --out sd.jsonl
    python -m papers.gitchameleon.generate --config settings.yaml --out answers.jsonl

Models: scripted:SOLVER, recorded:FILE, openai:NAME (with --base-url; the key is read from the environment) and
hf:FOLDER. Stopped, it goes on where it was. Exit status: 0 all answered, 1 some were not, 2 bad input, 4 no box.
"""

import sys
from pathlib import Path

import typer

from papers.gitchameleon.cli import options
from papers.gitchameleon.cli.from_settings import command_of
from papers.gitchameleon.cli.settings import GenerateSettings
from papers.gitchameleon.environments.spec import CUTOFF
from papers.gitchameleon.harness.choosing import harness_of, level_of, store_of
from papers.gitchameleon.models.base import Model
from papers.gitchameleon.models.by_name import make_model
from papers.gitchameleon.models.endpoint import Endpoint
from papers.gitchameleon.models.recorded import Cached
from papers.gitchameleon.protocols.generation import AnswerFile
from papers.gitchameleon.protocols.jobs import Executor, Job, first_answers
from papers.gitchameleon.protocols.single import rag_requests, requests
from shared.sandbox.box import Limits

SOME_UNANSWERED = 1  # exit status


def run(settings: GenerateSettings) -> None:
    """Generate answers under one protocol."""
    chosen = options.problems_of(settings.data, settings.hidden_tests, settings.problems, settings.library)
    narrowed = settings.problems or settings.library
    known = options.problems_of(settings.data, None, "", None) if narrowed else chosen
    model = make_model(settings.model, known, settings.endpoint, settings.local)
    asked = model if settings.cache is None else Cached(model, settings.cache)

    def answers(name: str) -> AnswerFile:
        return AnswerFile(settings.out, asked.name, name, settings.resume)

    job = Job(asked, chosen, known, answers, settings.workers, lambda: _executor(settings))
    _report(settings.out, len(chosen), _ask(job, settings), model)


def _executor(settings: GenerateSettings) -> Executor:
    boxes = settings.boxes
    store = store_of(settings.data, boxes.envs, boxes.wheelhouse, CUTOFF, False, None)
    level = level_of(boxes.sandbox, boxes.unsafe)
    return Executor(harness_of(store, level, Limits(), settings.workers, "both", CUTOFF, True))


def _ask(job: Job, settings: GenerateSettings) -> list:
    """Requests that got no answer, with the reason."""
    protocol, how = settings.protocol, settings.asking
    if protocol == "selfdebug":
        return job.selfdebug(first_answers(how.greedy), how.retry_on)
    if protocol == "agent":
        return job.agent(how.steps, how.use_sandbox)
    if protocol == "sek":
        return job.sek()
    if protocol == "prompt-search":
        return job.prompt_search()
    if protocol == "rag":
        return job.single(rag_requests(job.problems, job.index, how.k, how.show_version))
    seeds = range(how.seeds) if protocol == "temperature" else (None,)
    return job.single(requests(job.problems, protocol, seeds, how.show_version))


def _report(out: Path, num_problems: int, failed: list, model: Model) -> None:
    typer.echo(f"{out}: answers to {num_problems} problems, {len(failed)} requests without one")
    if isinstance(model, Endpoint):
        typer.echo(model.meter.in_words())
    for request, why in failed[:5]:
        print(f"problem {request.problem.example_id}: {why}", file=sys.stderr)
    if failed:
        raise typer.Exit(SOME_UNANSWERED)


main = options.exits(command_of(GenerateSettings, run))
