"""Every claim of every paper can hold and can fail: its reference tables are altered until it does both.

They are taken as they are, and without their noise (standard errors near zero, every repetition there three times), so
that what decides is the value. Then one column after another is turned, scaled, shifted, reversed or replaced, alone
and for the rows of one value of a key; some alteration has to make the claim fail, and some, or none, has to make it
hold.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.artifacts.checks import FAILS, HOLDS, verdict_of
from shared.artifacts.claims import Claim, claims_of
from shared.artifacts.config import Settings, scales_of
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import artifact_csv, load_paper
from shared.artifacts.paths import PaperPaths, paper_slugs

HERE = Path(__file__).parent
NOISE = re.compile(r"(^|_)(standard_error|std|sigma|sem|se)($|_)")
LOOSE = re.compile(NOISE.pattern + r"|_error$")  # gain_error is the noise of a gain, max_error is a value of its own
REPEATED = ("seed", "draw")
# Several rows have to change at once; tables made by hand in the paper's own tests make these hold and fail.
BY_HAND = {
    "ar_scaling": [
        "two-layer-attention-solves",
        "conv-k-or-v-not-q",
        "mamba-needs-conv-at-depth-one",
        "one-layer-attention-at-baseline",
        "deltanet-robust",
        "recurrent-gain-from-width",
    ],
    "distributed_sde": ["dsign-heavy-tail-converges", "dsign-mlp-robust"],
    "fixed_point_rnn": [
        "interpolates-with-lmax",
        "diagonal-fails-lstm-solves",
        "fp-solves-tracking",
        "hidden-dependence-needed",
        "adaptive-iterations",
        "trained-short-does-not-converge",
        "sequential-equals-parallel",
        "more-reflections-help",
        "kronecker-best-tracking",
        "householder-better-text",
        "iterations-on-text",
    ],
    "gidd": ["dynamic-beats-clamp-beats-none", "selfcorr-helps-hybrid", "selfcorr-not-mask", "selfacc-rises"],
    "gitchameleon": ["rag-lift", "se-binomial", "dataset-stats", "pins-decide", "visible-ranks-real"],
    "lora_watermark": ["wm-no-collapse", "wm-without-collapse"],
    "merging_noise": [
        "momentum-equal-noise",
        "ta-init-reversal",
        "wd-scale-invariant",
        "moderate-lr-best-merged",
        "language-large-lr",
    ],
    "ngn_m": ["mdv1-lm-large-lr"],
    "optimizer_gap": ["quadratic-noise-gap"],
    "sequence_framework": [
        "readout-zero-set-drives-recall",
        "positions-restore-order",
        "evolution-structure-orders-overwriting",
        "unstable-evolution-costs-recall",
    ],
    "signed_adam": ["het-quadratic-order", "optimizer-order", "betas-correlated"],
}
FEW = 1e-9
MOST = 150  # alterations of one claim's tables, of each base
CHANGES = {  # the blunt ones first
    "huge": lambda x: 1e6 * (1 + abs(x)),
    "minus huge": lambda x: -1e6 * (1 + abs(x)),
    "zero": lambda x: 0 * x,
    "reversed": lambda x: x[::-1],
    "negated": lambda x: -x,
    "one": lambda x: np.ones_like(x),
    "the mean": lambda x: np.full_like(x, np.nanmean(x)),
    "in order": np.sort,
    "against the order": lambda x: -np.sort(-x),
    "tenfold": lambda x: 10 * x,
    "a tenth": lambda x: x / 10,
    "plus one": lambda x: x + 1,
    "minus one": lambda x: x - 1,
}


def claims() -> Iterator:
    for slug in paper_slugs():
        for claim in claims_of(slug):
            yield pytest.param(slug, claim, id=f"{slug}-{claim.id}")


def without_noise(frame: pd.DataFrame, noise: re.Pattern) -> pd.DataFrame:
    """Standard errors near zero, counts of repetitions at least three, and every repetition there three times."""
    frame = frame.copy()
    for column in frame.columns:
        if noise.search(column) and pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = FEW * (1 + frame[column].abs().fillna(0))
        if column in ("num_seeds", "n", "num_runs"):
            frame[column] = pd.to_numeric(frame[column]).fillna(3).clip(lower=3)
    for name in [name for name in REPEATED if name in frame]:
        copies = [frame.assign(**{name: frame[name] + 1000 * k}) for k in range(3)]
        numeric = [c for c in frame.select_dtypes("float").columns if c not in REPEATED]
        for k, copy in enumerate(copies):
            copy[numeric] = copy[numeric] * (1 + FEW * k)
        frame = pd.concat(copies, ignore_index=True)
    return frame


def altered(frames: dict[str, pd.DataFrame], keys: dict[str, list[str]]) -> Iterator[dict[str, pd.DataFrame]]:
    """The frames as they are; then with one column changed in all rows, then in the rows of one value of a key."""
    yield frames
    for change, (table, frame) in itertools.product(CHANGES.values(), frames.items()):
        for column in _numbers(frame):
            yield frames | {table: _changed(frame, column, np.ones(len(frame), bool), change)}
    for table, frame in frames.items():
        for column in frame.columns:
            if frame[column].dtype == bool:
                yield frames | {table: frame.assign(**{column: ~frame[column]})}
            elif column not in keys[table] and not pd.api.types.is_numeric_dtype(frame[column]):
                for value in [*frame[column].dropna().unique()[:6], "something else"]:
                    yield frames | {table: frame.assign(**{column: value})}
    for change, (table, frame) in itertools.product(list(CHANGES.values())[:5], frames.items()):
        for key in keys[table]:
            for value in frame[key].unique()[:5]:
                for column in _numbers(frame):
                    yield frames | {table: _changed(frame, column, (frame[key] == value).to_numpy(), change)}


def _numbers(frame: pd.DataFrame) -> list[str]:
    return list(frame.select_dtypes("number").columns)


def _changed(frame: pd.DataFrame, column: str, rows: np.ndarray, change) -> pd.DataFrame:
    values = frame[column].to_numpy(float).copy()
    if rows.any() and not np.isnan(values[rows]).all():
        values[rows] = change(values[rows])
    return frame.assign(**{column: values})


def verdicts(claim: Claim, slug: str, scale: str) -> set[str]:
    """All verdicts that alterations of the reference's tables reach; stops when both are there."""
    paths, paper = PaperPaths(slug, scale), load_paper(slug)
    frames = {t: read_csv(artifact_csv(paths, t, reference=True)) for t in claim.tables}
    keys = {t: [k for k in paper.artifacts(scale)[t].keys if k not in REPEATED] for t in claim.tables}
    given = {"settings": Settings(slug, "claims", scale)} if "settings" in claim.parameters else {}
    bases = [frames, *({t: without_noise(f, noise) for t, f in frames.items()} for noise in (NOISE, LOOSE))]
    found: set[str] = set()
    # all bases side by side: the first alteration of each, then the second ...
    turns = itertools.chain(*zip(*(itertools.islice(altered(base, keys), MOST) for base in bases), strict=False))
    for changed in turns:
        try:
            findings = claim.findings(**{p: ({**changed, **given})[p] for p in claim.parameters})
        except Exception:  # a table that makes no sense may break the claim's arithmetic; that is no verdict
            continue
        found.add(verdict_of(findings))
        if {HOLDS, FAILS} <= found:
            return found
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("slug", "claim"), list(claims()))
def test_a_claim_can_hold_and_can_fail(slug, claim):
    scales = [s for s in scales_of(slug) if (PaperPaths(slug, s).reference / "claims.json").is_file()]
    testable = [s for s in ("cpu", "smoke", "paper") if s in scales and s in claim.scales]
    if not testable:
        pytest.skip("no reference at a scale that can test it")
    if claim.id in BY_HAND.get(slug, []):
        tests = "".join(p.read_text(encoding="utf-8") for p in (HERE / slug).glob("test_*.py"))
        assert claim.function.__name__ in tests
        pytest.skip("made to hold and to fail by hand in the paper's own tests")
    reached: set[str] = set()
    for scale in testable:
        reached |= verdicts(claim, slug, scale)
        if {HOLDS, FAILS} <= reached:
            return
    assert {HOLDS, FAILS} <= reached
