"""What an evaluation comes to: a table in the authors' columns plus ours, and a summary in words."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

from papers.gitchameleon.harness.verdicts import ENV_MISSING, HARNESS_ERROR, NO_ANSWER, PASS
from papers.gitchameleon.metrics.comparison import standard_error_percent
from papers.gitchameleon.metrics.subsets import Subsets, success_by
from shared.base.files import write_json, write_text

# the authors' columns: `output` and `passed` are of the hidden tests, `*_manual` of the visible one
UPSTREAM = {
    "example_id": "example_id",
    "code_id": "code_id",
    "output": "hidden_trace",
    "passed": "hidden_passed",
    "compiled": "hidden_compiled",
    "output_manual": "visible_trace",
    "passed_manual": "visible_passed",
    "compiled_manual": "visible_compiled",
}
OURS = ("sample", "hidden", "hidden_exception", "hidden_tests", "hidden_tests_passed", "visible", "visible_exception")
OURS += (
    "library",
    "version",
    "python_version",
    "type_of_change",
    "upstream_env",
    "env_key",
    "env_lock",
    "level",
    "flags",
)


def results_csv(rows: list[dict]) -> str:
    """The table as text: sorted, without times, so that the same verdicts give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*UPSTREAM, *OURS])
    for row in rows:
        values = [row[source] for source in UPSTREAM.values()] + [row[name] for name in OURS]
        writer.writerow([" ".join(v) if isinstance(v, list) else "" if v is None else v for v in values])
    return text.getvalue().encode("utf-8", "backslashreplace").decode()


SUBSETS = {
    "disjoint": "where they repeat no call of the visible test",
    "overlapping": "where they repeat one",
    "decisive": "where the reference of another version fails",
}


def summarise(rows: list[dict], subsets: Subsets | None = None) -> dict:
    """Counts and rates over all rows; what could not be run counts as a failure and is named.

    Args:
        subsets: problems whose hidden success is also given by itself.
    """
    summary: dict = {"num_problems": len(rows)}
    for mode in ("hidden", "visible"):
        verdicts = [row[mode] for row in rows if row[mode] is not None]
        if not verdicts:
            summary[mode] = None
            continue
        n, passed = len(verdicts), verdicts.count(PASS)
        ran = n - sum(v in (ENV_MISSING, NO_ANSWER, HARNESS_ERROR) for v in verdicts)
        summary[mode] = {
            "passed": passed,
            "num_problems": n,
            "num_run": ran,
            "success_percent": round(100 * passed / n, 4),
            "standard_error_percent": round(standard_error_percent(100 * passed / n, n), 4),
            "verdicts": dict(sorted(Counter(verdicts).items())),
        }
    summary["unavailable"] = sorted(
        {
            (r["library"], r["version"], r["python_version"], _cause(r))
            for r in rows
            if ENV_MISSING in (r["hidden"], r["visible"])
        }
    )
    summary["subsets"] = success_by(rows, subsets or {})
    return summary


def _cause(row: dict) -> str:
    return row["hidden_exception"] if row["hidden"] == ENV_MISSING else row["visible_exception"]


def in_words(summary: dict) -> str:
    """The summary as lines for a terminal."""
    lines = []
    for mode in ("hidden", "visible"):
        part = summary[mode]
        if part is None:
            lines.append(f"{mode}: not run (no {mode} tests here)")
            continue
        lines.append(
            f"{mode}: {part['passed']} of {part['num_problems']} pass = {part['success_percent']:.1f} ±"
            f" {part['standard_error_percent']:.1f} % ({part['num_run']} were run)"
        )
        lines.append("  " + ", ".join(f"{code} {count}" for code, count in part["verdicts"].items()))
    for name, part in summary["subsets"].items():
        lines.append(
            f"hidden, {SUBSETS.get(name, name)}: {part['passed']} of {part['num_problems']} pass ="
            f" {part['success_percent']:.1f} ± {part['standard_error_percent']:.1f} %"
        )
    for library, version, python, cause in summary["unavailable"]:
        lines.append(f"unavailable: {library} {version} on Python {python}: {cause}")
    return "\n".join(lines)


def write_report(folder: Path, rows: list[dict], subsets: Subsets | None = None) -> dict:
    """results.csv and summary.json of an evaluation; returns the summary.

    Args:
        subsets: None takes those that the folder's summary has.
    """
    path = Path(folder) / "summary.json"
    if subsets is None and path.is_file():
        subsets = {
            name: part["ids"] for name, part in json.loads(path.read_text(encoding="utf-8")).get("subsets", {}).items()
        }
    summary = summarise(rows, subsets)
    write_text(Path(folder) / "results.csv", results_csv(rows))
    write_json(path, summary)
    return summary
