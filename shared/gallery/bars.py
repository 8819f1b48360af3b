"""A check of a claim as a small bar: value, 95 % interval, threshold, and the side on which the check is satisfied."""

import math

from shared.artifacts.wording import SIGNS, number

WIDTH, HEIGHT = 240, 26  # user units of the drawing


def finite(value: object) -> float | None:
    """A number of claims.json, where JSON has no word for nan and inf; None if it is not finite."""
    try:
        converted = float(value)
    except (TypeError, ValueError):
        return None
    return converted if math.isfinite(converted) else None


def bar_of(check: dict) -> dict:
    """Where things lie on the bar of a check.

    Returns:
        Positions in user units of the drawing, None for what does not lie on it: `value`, `interval` (low, high),
        `thresholds`, `good` (left, right) of the satisfied side; `exact`, `unknown` (a noise that was not measured),
        and `text`, all of it in words.
    """
    limits = check["threshold"] if check["relation"] == "within" else [check["threshold"]]
    value, margin = finite(check["value"]), finite(check["half_width"])
    exact = check["noise"] is None
    points = [finite(x) for x in (check["value"], *limits)]
    if not exact and value is not None and margin is not None:
        points += [value - margin, value + margin]
    points = [x for x in points if x is not None]
    low, high = (min(points), max(points)) if points else (0.0, 1.0)
    pad = 0.14 * (high - low) or 0.5 * max(abs(high), 1e-300)

    def place(x: float | None) -> float | None:
        return None if x is None else round(4 + (WIDTH - 8) * (x - low + pad) / (high - low + 2 * pad), 1)

    places = [place(finite(x)) for x in limits]
    interval = None if exact or value is None or margin is None else (place(value - margin), place(value + margin))
    return {
        "value": place(value),
        "interval": interval,
        "thresholds": [x for x in places if x is not None],
        "good": _good(check["relation"], places),
        "exact": exact,
        "unknown": not exact and margin is None,
        "text": _in_words(check, exact, margin),
    }


def _good(relation: str, places: list[float | None]) -> tuple[float, float]:
    """Left and right end of the side on which the check is satisfied."""
    first, last = places[0], places[-1]
    if relation in ("at most", "less than"):
        return 0, WIDTH if last is None else last
    if relation in ("at least", "greater than"):
        return 0 if first is None else first, WIDTH
    return 0 if first is None else first, WIDTH if last is None else last


def _in_words(check: dict, exact: bool, margin: float | None) -> str:
    noise = "exact" if exact else "spread not measured" if margin is None else f"plus or minus {number(margin)}"
    return f"{number(check['value'])}, {noise}; wanted {wanted(check)}"


def wanted(check: dict) -> str:
    """`≤ 0.5` or `in [1, 2]`."""
    if check["relation"] == "within":
        return f"in [{number(check['threshold'][0])}, {number(check['threshold'][1])}]"
    return f"{SIGNS[check['relation']]} {number(check['threshold'])}"


def measured(check: dict) -> str:
    """`0.25 ± 0.04`, `0.25 ± ?` where the spread was not measured, `3` where the value is exact."""
    value = number(check["value"])
    if check["noise"] is None:
        return value
    return f"{value} ± {number(check['half_width']) if finite(check['half_width']) is not None else '?'}"
