"""One model, some problems and a file of answers: every protocol is one call, and what runs answers for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import typer

from papers.gitchameleon.data.json_lines import read_whole_lines
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments.spec import spec_of
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.models.base import Message, Model
from papers.gitchameleon.protocols.agent import request_of as agent_request
from papers.gitchameleon.protocols.agent import run_agent, sandbox_tool, search_tool
from papers.gitchameleon.protocols.generation import AnswerFile, Request, generate, run_all
from papers.gitchameleon.protocols.keywords import Ranker, run_sek
from papers.gitchameleon.protocols.keywords import request_of as sek_request
from papers.gitchameleon.protocols.prompt_search import search
from papers.gitchameleon.protocols.retrieval import BM25, documents_of
from papers.gitchameleon.protocols.selfdebug import Run, selfdebug
from papers.gitchameleon.protocols.single import requests


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
