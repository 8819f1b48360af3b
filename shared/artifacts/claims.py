"""Claims: statements as named checks over the rebuilt tables, each with its noise.

    @claim("signum-behind-adam", "Tuned Signum stays behind Adam.", kind="paper", scales=["cpu", "paper"],
           needs="smoke trains for too few steps")
    def signum_behind_adam(tab_methods, settings):
        gap = paired_difference(signum_losses, adam_losses)          # shared.artifacts.estimates
        yield greater("signum_minus_adam", gap, 0.0)
        yield note("num_runs", 120)

A claim function gets the tables (and figures' tables) that its parameters name, and `settings`, the sections that STEPS
in config.py lists for "claims". It yields checks and notes. A check is clear of its threshold if the two-sided 95 %
interval of its value does not hold the threshold: by Student's t over the repetitions, for an exact value always. The
verdict is

    holds                         every check is satisfied and clear of its threshold
    fails                         a check is violated and clear of its threshold
    within noise                  neither
    not testable at this scale    the scale is not among `scales` (or the function yields `untestable`); the values that
                                  can be computed are given all the same

A value on trained networks without a spread (noise nan) is never clear. Kinds: `paper`, a statement of the paper judged
on what we ran; `ours`, a check of our own; `audit`, arithmetic on the paper's published numbers.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from shared.artifacts.author import AuthorError, author_code, place_of
from shared.artifacts.checks import (
    NOT_TESTABLE,
    Check,
    Finding,
    Note,
    Untestable,
    at_edges,
    at_least,
    at_most,
    greater,
    less,
    note,
    rounded,
    untestable,
    verdict_of,
    within,
)
from shared.artifacts.config import Settings, paper_at, scales_of
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import artifact_csv, load_paper, paper_functions
from shared.artifacts.paths import SCALES, PaperPaths
from shared.base.errors import nearest, nearest_or_all
from shared.base.files import read_json, write_json

__all__ = ["at_edges", "at_least", "at_most", "greater", "less", "note", "untestable", "within"]  # what claims yield

Kind = Literal["paper", "ours", "audit"]


@dataclass(frozen=True)
class Claim:
    """A statement with the function that checks it."""

    id: str
    statement: str
    kind: Kind
    scales: tuple[str, ...]
    function: Callable[..., Iterator[Finding]]
    needs: str | None  # why it cannot be tested at the other scales
    reported: str | None  # the paper's own value, in words
    chosen_after: str | None  # what was chosen after seeing results

    @property
    def parameters(self) -> list[str]:
        return list(inspect.signature(self.function).parameters)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it reads."""
        return tuple(name for name in self.parameters if name != "settings")

    def findings(self, **given: object) -> list[Finding]:
        """What the function yields.

        Raises:
            ValueError: nothing, or the same name twice, or something that is neither check nor note.
        """
        found = list(self.function(**given) or ())
        for item in found:
            if isinstance(item, Note) and not isinstance(item.value, int | float | str | np.generic):
                raise ValueError(f"note '{item.name}' of claim '{self.id}' is {item.value!r}; give a number or a text")
            if isinstance(item, Untestable) and not item.reason:
                raise ValueError(f"claim '{self.id}' is untestable without a reason; give one")
            if not isinstance(item, Finding):
                raise ValueError(f"claim '{self.id}' yields {item!r}; yield checks (at_most, ...), note or untestable")
        names = [item.name for item in found if not isinstance(item, Untestable)]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"claim '{self.id}' has two findings called '{twice[0]}'; give each a name of its own")
        if not any(isinstance(item, Untestable) or (isinstance(item, Check) and item.decisive) for item in found):
            raise ValueError(f"claim '{self.id}' yields no decisive check, so nothing could make it fail")
        return found


def claim(
    id: str,
    statement: str,
    *,
    kind: Kind,
    scales: list[str] | tuple[str, ...] = SCALES,
    needs: str | None = None,
    reported: str | None = None,
    chosen_after: str | None = None,
) -> Callable[[Callable[..., Iterator[Finding]]], Callable[..., Iterator[Finding]]]:
    """Makes the decorated function a claim.

    Args:
        id: short name, lower case with hyphens. statement: a sentence.
        kind: paper, ours or audit.
        scales: where the claim can be tested.
        needs: what the other scales lack; required if `scales` leaves one of the four out.
        reported: the paper's own value.
        chosen_after: what was chosen after seeing results (a size, a window, a threshold), if anything was.
    """
    for name, value in (("an id", id), ("a statement", statement)):
        if not (isinstance(value, str) and value):
            raise ValueError(f"a claim has to have {name} in words; got {value!r}")
    if not (isinstance(scales, list | tuple) and scales):
        raise ValueError(f"claim '{id}' has scales={scales!r}; give a list of scales, such as ['cpu', 'paper']")
    if kind not in get_args(Kind):
        raise ValueError(f"claim '{id}' has kind '{kind}'; {nearest_or_all(kind, get_args(Kind))}")
    if set(SCALES) - set(scales) and not needs:
        raise ValueError(f"claim '{id}' is not tested at every scale; say in needs= what the others lack")

    def register(function: Callable[..., Iterator[Finding]]) -> Callable[..., Iterator[Finding]]:
        function.claim = Claim(id, statement, kind, tuple(scales), function, needs, reported, chosen_after)
        return function

    return register


def claims_of(slug: str) -> list[Claim]:
    """The claims in `papers/<slug>/claims` (a module or a package), in the order of the files.

    Raises:
        ValueError: the module does not import, two claims share an id, or one names a scale that there is not.
    """
    claims = [f.claim for f in paper_functions(slug, "claims").values() if isinstance(getattr(f, "claim", None), Claim)]
    ids = [c.id for c in claims]
    for id in ids:
        if ids.count(id) > 1:
            raise ValueError(f"papers/{slug}/claims.py: two claims have the id '{id}'")
    known = {*SCALES, *scales_of(slug)}
    for each in claims:
        for scale in each.scales:
            if scale not in known:
                where = place_of(each.function)
                raise ValueError(f"{where}: claim '{each.id}' names scale {scale!r}; {nearest_or_all(scale, known)}")
    return claims


def judge(claim: Claim, paths: PaperPaths, reference: bool = False) -> dict:
    """One entry of claims.json, judged on the tables in results/ (or in reference/).

    Raises:
        ValueError: the claim names no table of paper.yaml, a table is missing or empty, or a finding is malformed.
    """
    paper = load_paper(paths.slug, paths.root)
    testable = paths.scale in claim.scales
    entry = {"id": claim.id, "statement": claim.statement, "kind": claim.kind, "scale": paths.scale}
    entry |= {"verdict": NOT_TESTABLE, "checks": [], "evidence": {}, "judged": []}
    entry |= {"reported": claim.reported, "chosen_after": claim.chosen_after}
    if not testable:
        entry["evidence"]["reason"] = claim.needs
    files, where = {}, place_of(claim.function)
    for table in claim.tables:
        if table not in paper.tables and table not in paper.figures:
            hint = nearest(table, [*paper.tables, *paper.figures])
            raise ValueError(f"{where}: claim '{claim.id}' reads '{table}', which paper.yaml does not declare{hint}")
        if testable and table not in paper.artifacts(paths.scale):
            raise ValueError(
                f"{where}: claim '{claim.id}' reads '{table}', which is not built at scale {paths.scale}; leave that "
                f"scale out of the claim's, or add it to those of the table in paper.yaml"
            )
        files[table] = artifact_csv(paths, table, reference)
    if not testable and not all(table in paper.artifacts(paths.scale) for table in files):
        return entry
    frames: dict[str, object] = {table: read_csv(file) for table, file in files.items()}
    empty = [table for table, frame in frames.items() if not len(frame)]
    if empty and testable:
        entry["evidence"]["reason"] = f"{empty[0]} has no rows here"
        return entry
    if "settings" in claim.parameters:
        frames["settings"] = Settings(paths.slug, "claims", paths.scale, paths.root)
    try:
        with author_code(f"{where}, claim '{claim.id}'", "it has to yield checks, notes or untestable"):
            findings = claim.findings(**{name: frames[name] for name in claim.parameters})
    except AuthorError:
        if testable:
            raise
        return entry  # what this scale lacks may be what the function needs
    base = paths.reference if reference else paths.results
    entry["verdict"] = verdict_of(findings) if testable else NOT_TESTABLE
    entry["checks"] = [item.entry() for item in findings if isinstance(item, Check)]
    entry["evidence"] |= {item.name: rounded(item.value) for item in findings if isinstance(item, Note)}
    for item in findings:
        if isinstance(item, Untestable):
            entry["evidence"]["reason"] = item.reason
    entry["judged"] = [
        {"file": str(f.relative_to(base)), "sha256": hashlib.sha256(f.read_bytes()).hexdigest()} for f in files.values()
    ]
    return entry


def build_claims(slug: str, scale: str, root: Path | None = None) -> list[dict]:
    """Judge every claim on the tables in results/ and write claims.json there."""
    paths = paper_at(slug, scale, root)
    entries = [judge(c, paths) for c in claims_of(slug)]
    write_json(paths.results / "claims.json", entries)
    return entries


_ENTRY = ("id", "statement", "kind", "verdict", "checks", "evidence")


def read_claims(path: Path) -> list[dict]:
    """The entries of a claims.json.

    Raises:
        ValueError: no such file, or not the entries that `build_claims` writes; names the file.
    """
    entries = read_json(path)
    whole = isinstance(entries, list) and all(isinstance(e, dict) and all(k in e for k in _ENTRY) for e in entries)
    if not whole or not all(isinstance(e["checks"], list) and isinstance(e["evidence"], dict) for e in entries):
        raise ValueError(f"{path} holds no verdicts of claims; delete it and build again")
    return entries
