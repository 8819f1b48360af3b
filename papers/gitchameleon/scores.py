"""Step: scripted solvers asked under every protocol, their answers executed for real: a row per answer.

    python -m papers.gitchameleon.scores --scale cpu --shard mini

The solvers stand where a model would: they see its prompts, and what they know is known (models/solvers.py).
"""

from collections.abc import Iterator

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.data.versions import sibling
from papers.gitchameleon.harness.harness import Harness
from papers.gitchameleon.harness.suite_run import executing
from papers.gitchameleon.metrics.scoring import score_rows
from papers.gitchameleon.models.solvers import make_solver
from papers.gitchameleon.protocols.generation import AnswerFile
from papers.gitchameleon.protocols.jobs import Executor, Job
from papers.gitchameleon.protocols.prompts import Document
from papers.gitchameleon.protocols.retrieval import documents_of
from papers.gitchameleon.protocols.single import document_requests, rag_requests, requests
from papers.gitchameleon.settings import Scores
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step

AGENT_STEPS = 6


def answer_files(solver: str, protocols: list[str], seeds: int, harness: Harness, problems: list[Problem]) -> dict:
    """protocol -> answers of one solver. Self-debug starts from the greedy ones."""
    model, files = make_solver(solver, problems), {}

    def of_other_version(problem: Problem, question: str) -> list[Document]:
        return documents_of([sibling(problem, problems)])

    def new(name: str) -> AnswerFile:
        files[name] = AnswerFile(None, model.name, name)
        return files[name]

    job = Job(model, problems, problems, new, 1, lambda: Executor(harness))
    asks = {
        "greedy": lambda: job.single(requests(problems)),
        "no_version": lambda: job.single(requests(problems, show_version=False)),
        "temperature": lambda: job.single(requests(problems, "temperature", range(seeds))),
        "rag_k1": lambda: job.single(rag_requests(problems, job.index, 1)),
        "rag_k3": lambda: job.single(rag_requests(problems, job.index, 3)),
        "docs_gold": lambda: job.single(document_requests(problems, lambda p, _: documents_of([p]), "docs_gold")),
        "docs_wrong": lambda: job.single(document_requests(problems, of_other_version, "docs_wrong")),
        "selfdebug": lambda: job.selfdebug({r["example_id"]: r for r in files["greedy"].sorted()}, "visible"),
        "agent": lambda: job.agent(AGENT_STEPS, False),
        "agent_sandbox": lambda: job.agent(AGENT_STEPS, True),
    }
    for protocol in protocols:
        if protocol not in asks:
            raise ValueError(f"unknown protocol '{protocol}'; there are: {', '.join(asks)}")
        if asks[protocol]():
            raise ValueError(f"{solver} left problems without an answer under {protocol}")
    return files


def rows_of(settings: Scores, harness: Harness, problems: list[Problem]) -> Iterator[dict]:
    """One row per solver, protocol, seed and problem."""
    for solver, protocols in settings.protocols.items():
        for protocol, file in answer_files(solver, protocols, settings.num_seeds, harness, problems).items():
            samples: dict[int, list[dict]] = {}
            for row in file.sorted():
                samples.setdefault(row["seed"] or 0, []).append(row)
            for seed, rows in samples.items():
                solutions = [Solution(r["example_id"], r["answer"], r["answer"]) for r in rows]
                results = list(harness.evaluate(problems, solutions))
                labels = {"suite": settings.suite.name, "system": rows[0]["model"], "protocol": protocol}
                yield from score_rows(problems, results, **labels, seed=seed)


@step(
    reads=("suites/*/*.yaml", "suites/libraries/*.py", "harness/boxed/*.py", "protocols/templates/v1/*.txt"),
    after=("runs/execute/{shard}.parquet",),
    threads=2,
)
def scores(settings: Scores, provenance: Provenance) -> list[dict]:
    """Ask scripted solvers under every protocol and execute their answers; a row per answer."""
    with executing(settings.suite, provenance) as (harness, problems):
        return list(rows_of(settings, harness, problems))


if __name__ == "__main__":
    scores.main()
