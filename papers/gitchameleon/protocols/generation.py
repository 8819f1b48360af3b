"""Asking a model about every problem: several at a time, resumable, one JSON line per answer.

A row has `example_id` and `answer`, which is what `evaluate` reads, and everything that the answer depends on. A
problem for which no completion came has no row: it is asked again next time and counts as a failure until then.
"""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from papers.gitchameleon.data.extraction import extract_code
from papers.gitchameleon.data.json_lines import append_lines, read_whole_lines
from papers.gitchameleon.data.parsing import json_object
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.models.base import Completion, Message, Model, ModelError, Sampling, request_key


@dataclass(frozen=True)
class Request:
    """One question to a model about one problem."""

    problem: Problem
    messages: tuple[Message, ...]
    protocol: str
    sampling: Sampling
    templates: str  # hash of the prompt's templates
    seed: int | None = None
    schema: dict | None = None
    show_version: bool = True
    leaky: bool = False  # hidden verdicts had a part in it
    retrieved: tuple[str, ...] = ()  # URLs of the documents in the prompt, best first

    def key(self, model: str) -> str:
        return request_key(model, self.messages, self.sampling, self.seed)


def answer_row(request: Request, model: str, completion: Completion, **more: object) -> dict:
    """The row of an answer."""
    return {
        "example_id": request.problem.example_id,
        "answer": extract_code(completion.text, request.problem.starting_code),
        "explanation": explanation_of(completion.text),
        "text": completion.text,
        "model": model,
        "protocol": request.protocol,
        "seed": request.seed,
        **asdict(request.sampling),
        "templates": request.templates,
        "show_version": request.show_version,
        "leaky": request.leaky,
        "key": request.key(model),
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.usage.prompt_tokens,
        "completion_tokens": completion.usage.completion_tokens,
        "retrieved": list(request.retrieved),
        **more,
    }


def explanation_of(text: str) -> str:
    """What a model said about its answer: `explanation` or `steps` of a JSON object, else the text outside fences."""
    content = json_object(text)
    if content is None:
        parts = text.split("```")
        return "\n".join(p.strip() for p in parts[::2] if p.strip()) if len(parts) > 1 else ""
    said = content.get("explanation") or content.get("steps") or ""
    return "\n".join(map(str, said)) if isinstance(said, list) else str(said)


class AnswerFile:
    """Answers of one run, appended as they come.

    Raises:
        ValueError: the file has answers of another model or protocol.
    """

    def __init__(self, path: Path | None, model: str, protocol: str, resume: bool = True) -> None:
        self.path, self._lock = path, threading.Lock()
        self.rows: dict[tuple[int, int | None], dict] = {}
        if path is None:
            return
        if not resume:
            Path(path).unlink(missing_ok=True)
        for row in read_whole_lines(path):
            if (row["model"], row["protocol"]) != (model, protocol):
                raise ValueError(
                    f"{path} holds answers of {row['model']} under {row['protocol']}, not of {model} under {protocol};"
                    " choose another --out, or start anew there with --no-resume"
                )
            self.rows[row["example_id"], row["seed"]] = row

    def finished(self, request: Request, model: str) -> bool:
        """Whether this very question has its answer."""
        row = self.rows.get((request.problem.example_id, request.seed))
        return row is not None and row["key"] == request.key(model)

    def add(self, row: dict) -> None:
        with self._lock:
            self.rows[row["example_id"], row["seed"]] = row
            if self.path is not None:
                append_lines(self.path, [json.dumps(row)])

    def sorted(self) -> list[dict]:
        """All answers by problem and seed."""
        return [self.rows[k] for k in sorted(self.rows, key=lambda k: (k[0], -1 if k[1] is None else k[1]))]


def ask(model: Model, request: Request) -> dict:
    """One request, one row; ModelError if no completion can be had."""
    sampling = request.sampling
    completion = model.complete(
        request.messages, 1, sampling.temperature, sampling.top_p, sampling.max_tokens, request.seed, request.schema
    )[0]
    return answer_row(request, model.name, completion)


def run_all(
    work: Iterable[tuple[Request, Callable[[], dict]]],
    model: str,
    file: AnswerFile,
    workers: int = 4,
    tell: Callable[[dict], None] = lambda row: None,
) -> list[tuple[Request, str]]:
    """Do what is not finished yet, `workers` at a time; returns requests that got no answer, with the reason."""
    if workers < 1:
        raise ValueError(f"--workers has to be at least 1; got {workers}")
    waiting = [(request, job) for request, job in work if not file.finished(request, model)]
    failed: list[tuple[Request, str]] = []

    def one(item: tuple[Request, Callable[[], dict]]) -> None:
        request, job = item
        try:
            row = job()
        except ModelError as error:
            failed.append((request, str(error)))
            return
        file.add(row)
        tell(row)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, waiting))
    return sorted(failed, key=lambda f: f[0].problem.example_id)


def generate(
    model: Model, requests: Sequence[Request], file: AnswerFile, workers: int = 4, **more
) -> list[tuple[Request, str]]:
    """Ask every request; returns those without an answer. Unexpected errors of a job end the run."""
    return run_all([(r, lambda r=r: ask(model, r)) for r in requests], model.name, file, workers, **more)
