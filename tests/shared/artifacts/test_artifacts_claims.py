"""Claims: a verdict is one of three words, with JSON-safe numbers and the hashes of what it was judged on."""

import hashlib
import json
import math

import numpy as np
import pytest
from toy_repository import edit

from shared.artifacts.claims import FAILS, HOLDS, NOT_TESTABLE, Claim, Judgement, build_claims, claim, claims_of, judge
from shared.artifacts.paths import SCALES
from shared.artifacts.summary import print_summary, summarise


def one_claim(judgement: Judgement) -> Claim:
    @claim("c", "A statement.", tables=["tab_final", "fig_loss"], reported="twice as good")
    def judged(tab_final, fig_loss):
        assert (list(tab_final), list(fig_loss)[-1]) == (["curvature", "loss", "reported"], "label")
        return judgement

    return judged.claim


@pytest.mark.parametrize(("holds", "verdict"), [(True, "holds"), (False, "fails"), (np.bool_(True), "holds")])
def test_the_verdict_is_the_predicates(toy, holds, verdict):
    entry = judge(one_claim(Judgement(holds)), toy)
    assert list(entry) == ["id", "statement", "scale", "verdict", "evidence", "judged", "reported"]
    assert (entry["verdict"], entry["scale"], entry["reported"]) == (verdict, "smoke", "twice as good")


def test_a_scale_where_it_cannot_be_tested_gives_the_reason_and_judges_nothing(toy):
    entries = build_claims("toy", "smoke")
    assert [e["verdict"] for e in entries] == [HOLDS, NOT_TESTABLE]
    assert entries[1]["evidence"] == {"reason": "needs the paper's number of steps"} and entries[1]["judged"] == []
    assert {HOLDS, FAILS, NOT_TESTABLE} == {"holds", "fails", "not testable at this scale"}


def test_tables_that_cannot_decide_give_the_reason_and_are_named(toy):
    entry = judge(one_claim(Judgement(None, {"reason": "no runs of this kind were released"})), toy)
    assert entry["verdict"] == NOT_TESTABLE and len(entry["judged"]) == 2
    assert entry["evidence"] == {"reason": "no runs of this kind were released"}
    with pytest.raises(ValueError, match="needs a 'reason'"):
        Judgement(None)


def test_leaving_a_scale_out_needs_a_reason():
    with pytest.raises(ValueError, match="claim 'c' is not tested at every scale; say in untestable_because why"):
        claim("c", "s", tables=[], scales=["paper"])
    claim("c", "s", tables=[], scales=["paper"], untestable_because="too small")
    claim("c", "s", tables=[], scales=SCALES)


def test_two_claims_with_one_id_are_refused(toy):
    edit(toy.folder / "claims.py", '    "fast",', '    "descends",')
    with pytest.raises(ValueError, match=r"papers/toy/claims\.py: two claims have the id 'descends'"):
        claims_of("toy")


def test_evidence_is_strict_json(toy):
    evidence = {"a": math.inf, "b": math.nan, "c": np.float32(0.1), "d": np.int64(3), "e": np.bool_(True), "f": 1 / 3}
    entry = judge(one_claim(Judgement(False, evidence)), toy)
    assert entry["evidence"] == {"a": "inf", "b": "nan", "c": 0.1, "d": 3, "e": True, "f": 0.333333}
    json.dumps(entry, allow_nan=False)


def test_what_was_judged_is_named_with_its_hash(toy):
    judged = judge(one_claim(Judgement(True)), toy)["judged"]
    assert [j["file"] for j in judged] == ["tables/tab_final.csv", "figures/fig_loss.csv"]
    for entry in judged:
        assert entry["sha256"] == hashlib.sha256((toy.results / entry["file"]).read_bytes()).hexdigest()


def test_claims_json_is_what_was_judged(toy):
    entries = build_claims("toy", "smoke")
    assert json.loads((toy.results / "claims.json").read_text()) == entries


def test_the_summary_has_every_artifact_with_its_hash_and_every_verdict(toy):
    page = summarise("toy", "smoke")
    for file in ("tables/tab_final.csv", "figures/fig_loss.png"):
        assert f"| {file} | `{hashlib.sha256((toy.results / file).read_bytes()).hexdigest()}` |" in page
    assert "| descends | **holds** |" in page and "| fast | **not testable at this scale** |" in page
    assert "2 records" in page


def test_the_printed_summary_takes_evidence_as_it_stands(toy, capsys):
    file = toy.results / "claims.json"
    entries = json.loads(file.read_text())
    entries[0]["evidence"] = {"order": "[a] < [/b]"}
    file.write_text(json.dumps(entries))
    print_summary("toy", "smoke")
    assert "[a] < [/b]" in capsys.readouterr().out
