"""Automatic formatting and its score: Black and isort, then Ruff's fixes; pylint's score per ten.

Source: section 3.6 and Table 13 of the paper, which names the tools and no settings: theirs are the defaults here.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from papers.gitchameleon.data.parsing import NO_PYTHON, parsed

STAGES = ("raw", "black_isort", "ruff")

# What would depend on the packages beside pylint, which are not those of the problem, or on the other files of a run.
PYLINT_OFF = ("import-error", "no-name-in-module", "typecheck", "duplicate-code")


def black_isort(code: str) -> str:
    """The text as Black and isort leave it; unchanged where it does not parse."""
    import black
    import isort

    if parsed(code)[0] is None:
        return code  # deep nesting would end Black and this process with it
    try:
        formatted = black.format_str(code, mode=black.Mode())
    except (black.InvalidInput, *NO_PYTHON):
        return code
    return isort.code(formatted, profile="black")


def ruff_fixed(codes: Sequence[str]) -> list[str]:
    """Each text after Ruff's safe fixes under its default rules; one call for all.

    Raises:
        ValueError: Ruff did not run; its last words are in the message.
    """
    from ruff import find_ruff_bin

    with tempfile.TemporaryDirectory() as folder:
        paths = _written(Path(folder), codes)
        command = [find_ruff_bin(), "check", "--isolated", "--fix", "--exit-zero", "--no-cache", "--quiet", folder]
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        if done.returncode != 0:
            raise ValueError(f"ruff ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
        return [path.read_text(encoding="utf-8") for path in paths]


def stages_of(codes: Sequence[str]) -> dict[str, list[str]]:
    """Stage -> the texts at that stage, in the order of `codes`."""
    formatted = [black_isort(code) for code in codes]
    return dict(zip(STAGES, (list(codes), formatted, ruff_fixed(formatted)), strict=True))


def pylint_scores(codes: Sequence[str]) -> list[float]:
    """Pylint's score of each text, 0 to 10; one process and one run for all."""
    from pylint.lint import Run
    from pylint.reporters import CollectingReporter

    with tempfile.TemporaryDirectory() as folder:
        paths = _written(Path(folder), codes)
        configuration = Path(folder) / "pylintrc"
        configuration.write_text("[MAIN]\n", encoding="utf-8")  # so that none of the working directory is read
        options = [f"--rcfile={configuration}", f"--disable={','.join(PYLINT_OFF)}", "--jobs=1"]
        run = Run([*options, *map(str, paths)], reporter=CollectingReporter(), exit=False)
        return [score(run.linter.stats.by_module[path.stem]) for path in paths]


def score(counts: Mapping[str, int]) -> float:
    """10 - 10 (5 errors + warnings + refactorings + conventions) / statements, at least 0; 0 if it does not parse.

    Source: pylint's default option `evaluation`.
    """
    if counts["fatal"] or not counts["statement"]:
        return 0.0
    weighted = 5 * counts["error"] + counts["warning"] + counts["refactor"] + counts["convention"]
    return max(0.0, 10.0 - 10.0 * weighted / counts["statement"])


def _written(folder: Path, codes: Sequence[str]) -> list[Path]:
    paths = [folder / f"sample_{index}.py" for index in range(len(codes))]
    for path, code in zip(paths, codes, strict=True):
        path.write_text(code, encoding="utf-8")
    return paths


def by_stage(rows: pd.DataFrame) -> pd.DataFrame:
    """What formatting comes to per suite and system.

    Args:
        rows: one per suite, system, example_id and stage: hidden (verdict), changed, pylint.
    Returns:
        suite, system, num_problems, other_verdicts (answers with another verdict after some stage), and for each stage
        passed_<stage>, changed_<stage> (counts), success_<stage> (percent) and pylint_<stage> (mean).
    """
    answer = ["suite", "system", "example_id"]
    raw = rows[rows.stage == "raw"].set_index(answer).hidden.rename("raw")
    rows = rows.join(raw, on=answer)
    rows = rows.assign(passed=rows.hidden == "pass", other=rows.hidden != rows.raw)
    grouped = rows.groupby(["suite", "system", "stage"])
    cells = grouped.agg(passed=("passed", "sum"), changed=("changed", "sum"), pylint=("pylint", "mean"))
    cells = cells.assign(success=100.0 * grouped.passed.mean()).astype(float).unstack("stage")
    cells.columns = [f"{name}_{stage}" for name, stage in cells.columns]
    others = rows.groupby(answer).other.any().groupby(["suite", "system"])
    return cells.assign(num_problems=others.size(), other_verdicts=others.sum().astype(float)).reset_index()
