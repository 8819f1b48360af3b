"""Results of one evaluation in a folder: resumable, a line per problem and sample as it is finished."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from papers.gitchameleon.data.json_lines import append_lines, read_whole_lines
from papers.gitchameleon.data.problems import Problem, data_digest
from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.harness.harness import Harness, Settings, code_id
from papers.gitchameleon.harness.verdict_cache import runner_version
from papers.gitchameleon.harness.verdicts import ENV_MISSING, HARNESS_ERROR, NO_ANSWER
from shared.base.files import write_json


class ResultFolder:
    """Results of one evaluation: rows as they come, and what they were made with.

    Raises:
        ValueError: the folder holds results made with other data or other settings.
    """

    def __init__(self, folder: Path, problems: Iterable[Problem], settings: Settings, resume: bool) -> None:
        self.folder, self.rows_file = Path(folder), Path(folder) / "results.jsonl"
        manifest = {
            "data_digest": data_digest(problems),
            "level": settings.level,
            "modes": list(settings.modes),
            "cutoff": settings.cutoff,
            "wall_seconds": settings.limits.wall_seconds,
            "runner_version": runner_version(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "manifest.json"
        if path.is_file() and resume:
            self._check(json.loads(path.read_text(encoding="utf-8")), manifest)
        else:
            self.rows_file.unlink(missing_ok=True)
            write_json(path, manifest)

    def _check(self, found: dict, wanted: dict) -> None:
        changed = [k for k in wanted if found.get(k) != wanted[k]]
        if changed:
            raise ValueError(
                f"{self.folder} holds results made with another {', '.join(changed)}; choose another --out, or start"
                " anew there with --no-resume"
            )

    def finished(self) -> dict[tuple[int, int], dict]:
        """(example_id, sample) -> row. Rows that may come out otherwise next time are not counted as finished."""
        again = (ENV_MISSING, HARNESS_ERROR, NO_ANSWER)
        rows = {}
        for row in read_whole_lines(self.rows_file):
            if row.get("hidden") not in again and row.get("visible") not in again:
                rows[row["example_id"], row["sample"]] = row
        return rows

    def add(self, row: dict) -> None:
        append_lines(self.rows_file, [json.dumps(row)])

    def rows(self) -> list[dict]:
        """The last row of each problem and sample, sorted."""
        last = {(row["example_id"], row["sample"]): row for row in read_whole_lines(self.rows_file)}
        return [last[key] for key in sorted(last)]


def evaluate_into(
    out: ResultFolder,
    harness: Harness,
    problems: list[Problem],
    solutions: list[Solution],
    tell: Callable[[dict], None] = lambda row: None,
) -> list[dict]:
    """Evaluate what `out` does not have yet; returns all rows, sorted."""
    finished = out.finished()
    fresh = [s for s in solutions if finished.get((s.example_id, s.sample), {}).get("code_id") != code_id(s.code)]
    answered = {s.example_id for s in solutions}
    waiting = {s.example_id for s in fresh} | {p.example_id for p in problems if p.example_id not in answered}
    for row in harness.evaluate([p for p in problems if p.example_id in waiting], fresh):
        out.add(row)
        tell(row)
    wanted = {p.example_id for p in problems}
    rows = [row for row in out.rows() if row["example_id"] in wanted]
    lost = {(s.example_id, s.sample) for s in solutions} | {(id, 0) for id in wanted - answered}
    lost -= {(row["example_id"], row["sample"]) for row in rows}
    if lost:
        named = ", ".join(str(id) for id, _ in sorted(lost)[:5])
        raise ValueError(
            f"{out.rows_file} accounts for {len(rows)} rows; {len(lost)} are missing (problems {named}): run it again"
        )
    return rows
