"""Claims: a paper's headline statements as predicates over the rebuilt tables.

    @claim("pu-costs-ppl", "Uniform noise costs likelihood.", tables=["tab_ablation"], scales=["cpu", "paper"])
    def pu_costs_ppl(tab_ablation: pd.DataFrame) -> Judgement: ...

A claim function gets the tables it names, in that order, and says whether the statement holds and by which
numbers. Its verdict is `holds`, `fails` or `not testable at this scale`; nothing else counts as an answer.

    python -m shared.artifacts.claims gidd --scale cpu
"""

import hashlib
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from shared.artifacts.paper import artifact_csv
from shared.artifacts.paths import SCALES, PaperPaths
from shared.artifacts.tables import read_csv
from shared.base.errors import in_one_sentence
from shared.base.files import write_json

HOLDS, FAILS, NOT_TESTABLE = "holds", "fails", "not testable at this scale"


@dataclass(frozen=True)
class Judgement:
    """What a claim function returns.

    Args:
        holds: the predicate's value; None where these tables cannot decide it, with the reason as evidence["reason"].
        evidence: name -> number (or short text) behind it, thresholds included.
    """

    holds: bool | None
    evidence: dict[str, float | int | str | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.holds is None and "reason" not in self.evidence:
            raise ValueError("a claim that cannot be decided needs a 'reason' in its evidence")

    @property
    def verdict(self) -> str:
        return NOT_TESTABLE if self.holds is None else HOLDS if self.holds else FAILS


@dataclass(frozen=True)
class Claim:
    """A statement of a paper with the predicate that tests it."""

    id: str
    statement: str
    tables: tuple[str, ...]
    scales: tuple[str, ...]
    judge: Callable[..., Judgement]
    reported: str | None  # the paper's own value, in words
    untestable_because: str | None  # reason, for the scales not in `scales`


def claim(
    id: str,
    statement: str,
    *,
    tables: list[str],
    scales: list[str] | tuple[str, ...] = SCALES,
    reported: str | None = None,
    untestable_because: str | None = None,
) -> Callable[[Callable[..., Judgement]], Callable[..., Judgement]]:
    """Registers the decorated function as the predicate of a claim.

    Args:
        tables: artifacts whose tables the function receives, in order.
        scales: where the claim can be tested.
        untestable_because: required if `scales` leaves one of the four scales out.
    """
    if set(SCALES) - set(scales) and not untestable_because:
        raise ValueError(f"claim '{id}' is not tested at every scale; say in untestable_because why")

    def register(function: Callable[..., Judgement]) -> Callable[..., Judgement]:
        function.claim = Claim(id, statement, tuple(tables), tuple(scales), function, reported, untestable_because)
        return function

    return register


def claims_of(slug: str) -> list[Claim]:
    """The claims in `papers/<slug>/claims.py`, in the order of the file.

    Raises:
        ValueError: two claims share an id.
    """
    module = importlib.import_module(f"papers.{slug}.claims")
    claims = [f.claim for f in vars(module).values() if callable(f) and isinstance(getattr(f, "claim", None), Claim)]
    ids = [c.id for c in claims]
    for id in ids:
        if ids.count(id) > 1:
            raise ValueError(f"papers/{slug}/claims.py: two claims have the id '{id}'")
    return claims


def judge(claim: Claim, paths: PaperPaths) -> dict:
    """One entry of claims.json: id, statement, scale, verdict, evidence, judged, reported."""
    entry = {"id": claim.id, "statement": claim.statement, "scale": paths.scale}
    if paths.scale not in claim.scales:
        evidence = {"reason": claim.untestable_because}
        return entry | {"verdict": NOT_TESTABLE, "evidence": evidence, "judged": [], "reported": claim.reported}
    files = [artifact_csv(paths, table) for table in claim.tables]
    judgement = claim.judge(*(read_csv(f) for f in files))
    judged = [
        {"file": str(f.relative_to(paths.results)), "sha256": hashlib.sha256(f.read_bytes()).hexdigest()} for f in files
    ]
    return entry | {
        "verdict": judgement.verdict,
        "evidence": {name: _plain(value) for name, value in judgement.evidence.items()},
        "judged": judged,
        "reported": claim.reported,
    }


def _plain(value: object) -> object:
    """JSON has no nan or infinity and knows no numpy; floats are rounded as the tables are."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    return value


def build_claims(slug: str, scale: str, root: Path | None = None) -> list[dict]:
    """Judge every claim on the tables in results/ and write claims.json there."""
    paths = PaperPaths(slug, scale, root)
    entries = [judge(c, paths) for c in claims_of(slug)]
    write_json(paths.results / "claims.json", entries)
    return entries


@in_one_sentence
def main(
    slug: Annotated[str, typer.Argument(help="Paper, e.g. gidd.")],
    scale: Annotated[str, typer.Option(help="smoke, cpu, gpu or paper.")] = "cpu",
) -> None:
    """Judge the claims of a paper on its built tables."""
    for entry in build_claims(slug, scale):
        typer.echo(f"{entry['verdict']:<28} {entry['id']}: {entry['evidence']}")


if __name__ == "__main__":
    from shared.artifacts.claims import main  # `Claim` of the imported module, which papers use, not of __main__

    typer.run(main)
