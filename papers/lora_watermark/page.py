"""Texts side by side with the per-token score as colour: one HTML file without scripts, and lines for a picture."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd

from shared.base.files import write_text

STRONGEST = 3.0  # nats: full colour
_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Watermarked texts</title>
<style>
body { font: 14px/1.5 sans-serif; margin: 2em; max-width: 80em }
td { font-family: monospace; vertical-align: top; padding: .4em; border-top: 1px solid #ccc; word-break: break-all }
.given { color: #888 }
</style>
<h1>Texts and what each token adds to the score</h1>
<p>Colour: -log M<sub>O</sub>(token) minus its expectation -sum M<sub>O</sub> log M<sub>P</sub>, in nats. Blue is below
(as watermarked text is on average), red above. Grey: the prompt, which is not scored.</p>
{% for variant, rows in tables %}<h2>{{ variant }}</h2>
<table>
<tr>{% for kind in kinds %}<th>{{ kind }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>
{% for cell in row %}<td>{% for token in cell %}{% if token.colour -%}
<span style="background:{{ token.colour }}" title="{{ token.excess }}">{% else %}<span class="given">{% endif -%}
{{ token.text }}</span>{% endfor %}</td>
{% endfor %}</tr>{% endfor %}
</table>
{% endfor %}</html>
""",
    autoescape=True,
)


def colour(excess: float) -> str:
    """CSS colour of an excess in nats: blue below zero, red above, full at `STRONGEST`."""
    strength = min(abs(excess) / STRONGEST, 1.0)
    return f"rgba({'40,90,200' if excess < 0 else '210,60,40'},{strength:.2f})"


def write_page(shown: Sequence[dict], path: Path) -> None:
    """A table per variant; in it one row per prompt, one column per kind of text.

    Args:
        shown: rows with variant, prompt, texts, position, token and excess (nan in the prompt), sorted by position.
    """
    variants, prompts, kinds = (
        list(dict.fromkeys(row[key] for row in shown)) for key in ("variant", "prompt", "texts")
    )

    def cell(*place: str | int) -> list[dict]:
        found = []
        for row in shown:
            if (row["variant"], row["prompt"], row["texts"]) == place:
                scored = row["excess"] == row["excess"]
                colours = {"excess": f"{row['excess']:.2f}", "colour": colour(row["excess"])} if scored else {}
                found.append({"text": row["token"]} | colours)
        return found

    tables = [(v, [[cell(v, p, k) for k in kinds] for p in prompts]) for v in variants]
    write_text(path, _PAGE.render(kinds=kinds, tables=tables) + "\n")


def placed(block: pd.DataFrame, width: int) -> list[tuple[int, int, str, float]]:
    """(column, line, text, excess) of each token, in lines of at most `width` characters."""
    found, x, row = [], 0, 0
    for token, excess in zip(block.token.fillna("nan").astype(str), block.excess, strict=True):
        text = token[:width]
        if x + len(text) > width:
            x, row = 0, row + 1
        found.append((x, row, text, excess))
        x += len(text)
    return found
