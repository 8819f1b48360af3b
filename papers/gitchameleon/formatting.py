"""Step: do formatters change what an answer comes to? Answers of the executed systems, formatted and executed again.

python -m papers.gitchameleon.formatting --scale cpu --shard mini
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.harness.harness import Harness, code_id
from papers.gitchameleon.harness.suite_run import executing
from papers.gitchameleon.metrics.lint import STAGES, pylint_scores, stages_of
from papers.gitchameleon.settings import Suite
from papers.gitchameleon.suites.systems import answers_of
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step


def outcomes(harness: Harness, problems: Sequence[Problem], codes: set[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """(example_id, code) -> verdict of the hidden tests; each text of a problem is run once."""
    hidden_only = replace(harness, settings=replace(harness.settings, modes=("hidden",)))
    solutions = [Solution(id, code, code, sample) for sample, (id, code) in enumerate(sorted(codes))]
    verdicts = {(r["example_id"], r["code_id"]): r["hidden"] for r in hidden_only.evaluate(problems, solutions)}
    harness.num_executed += hidden_only.num_executed
    return {(id, code): verdicts[id, code_id(code)] for id, code in codes}


def rows_of(suite: str, harness: Harness, problems: Sequence[Problem], systems: Sequence[str]) -> Iterator[dict]:
    """One row per system, problem and stage."""
    answers = {system: answers_of(system, problems) for system in systems}
    unique = sorted({code for texts in answers.values() for code in texts.values()})
    stages = {stage: dict(zip(unique, texts, strict=True)) for stage, texts in stages_of(unique).items()}
    texts = sorted({text for stage in stages.values() for text in stage.values()})
    scores = dict(zip(texts, pylint_scores(texts), strict=True))
    wanted = {
        (id, stages[stage][code]) for system in systems for id, code in answers[system].items() for stage in STAGES
    }
    found = outcomes(harness, problems, wanted)
    for system in systems:
        for id, code in sorted(answers[system].items()):
            for stage in STAGES:
                text = stages[stage][code]
                row = {"suite": suite, "system": system, "example_id": id, "stage": stage, "changed": text != code}
                yield row | {"hidden": found[id, text], "pylint": scores[text]}


@step(
    reads=("suites/*/*.yaml", "suites/libraries/*.py", "harness/boxed/*.py"),
    after=("runs/execute/{shard}.parquet",),
    threads=2,
)
def formatting(settings: Suite, provenance: Provenance) -> list[dict]:
    """Format the answers of one suite's systems and execute them again; a row per answer and stage."""
    with executing(settings, provenance) as (harness, problems):
        return list(rows_of(settings.name, harness, problems, settings.systems))


if __name__ == "__main__":
    formatting.main()
