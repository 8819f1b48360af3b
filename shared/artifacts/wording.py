"""Checks and verdicts in words, the same on every page."""

import math
from collections import Counter

SIGNS = {"at most": "≤", "at least": "≥", "less than": "<", "greater than": ">"}
MARKS = {"holds": "✓", "fails": "✗", "within noise": "~", "not testable at this scale": "·"}


def number(value: object) -> str:
    """A number to three significant digits; words as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def check_text(check: dict) -> str:
    """`largest_error 1.2e-15 ≤ 1e-12`, with the half width of its interval where it has one."""
    value = number(check["value"])
    if check["noise"] is not None:
        known = math.isfinite(float(check["half_width"]))
        value += f" ± {number(check['half_width'])}" if known else " ± ?"
    if check["relation"] == "within":
        low, high = check["threshold"]
        return f"{check['name']} {value} in [{number(low)}, {number(high)}]"
    return f"{check['name']} {value} {SIGNS[check['relation']]} {number(check['threshold'])}"


def evidence_text(entry: dict) -> str:
    """All checks of a claim and its notes, on one line."""
    parts = [check_text(check) for check in entry.get("checks", [])]
    parts += [f"{name}: {number(value)}" for name, value in entry["evidence"].items()]
    return "; ".join(parts)


def deciding_check(entry: dict) -> dict | None:
    """The check that a verdict hangs on: clearly on the wrong side, or least clearly on the right one."""
    checks = [check for check in entry.get("checks", []) if check["decisive"]]
    if not checks:
        return None

    def distance(check: dict) -> tuple:
        errors = check["standard_errors"]
        sure = float("inf") if not isinstance(errors, int | float) else abs(errors)
        right = check["satisfied"]
        return (right, check["clear"] == right, sure if right else -sure)

    return min(checks, key=distance)


def count_text(entries: list[dict]) -> str:
    """`paper: 5 hold, 1 fails; ours: 3 hold`: verdicts counted per kind."""
    words = {"holds": ("holds", "hold"), "fails": ("fails", "fail")}
    parts = []
    for kind in dict.fromkeys(entry["kind"] for entry in entries):
        counts = Counter(entry["verdict"] for entry in entries if entry["kind"] == kind)
        told = [f"{n} {words.get(v, (v, v))[n > 1]}" for v, n in counts.items()]
        parts.append(f"{kind}: {', '.join(told)}")
    return "; ".join(parts)
