"""Claims: checks with their noise, the verdicts they come to, and an entry that JSON and a reader can take."""

import hashlib
import json
import math

import numpy as np
import pytest
from toy_repository import edit

from shared.artifacts.checks import FAILS, HOLDS, NOISE, NOT_TESTABLE, verdict_of
from shared.artifacts.claims import (
    at_least,
    at_most,
    build_claims,
    claim,
    claims_of,
    greater,
    judge,
    less,
    note,
    untestable,
    within,
)
from shared.artifacts.estimates import UNKNOWN, Estimate
from shared.artifacts.paths import SCALES
from shared.artifacts.summary import print_summary, summarise
from shared.artifacts.wording import check_text, deciding_check


def one_claim(*findings, **options):
    @claim("c", "A statement.", kind="paper", reported="twice as good", **options)
    def judged(tab_final, fig_loss):
        assert (list(tab_final), list(fig_loss)[-1]) == (["curvature", "loss", "reported"], "label")
        yield from findings

    return judged.claim


# verdicts


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (at_most("x", 1, 1), HOLDS),
        (less("x", 1, 1), FAILS),
        (at_least("x", np.float64(2), 1), HOLDS),
        (greater("x", 1, 1), FAILS),
        (within("x", 1, 1, 2), HOLDS),
        (within("x", 3, 1, 2), FAILS),
        (at_most("x", math.inf, 1), FAILS),
        (at_most("x", 0.5, 1, noise=0.1), HOLDS),
        (at_most("x", 0.9, 1, noise=0.1), NOISE),
        (at_most("x", 1.1, 1, noise=0.1), NOISE),
        (at_most("x", 1.5, 1, noise=0.1), FAILS),
        (at_most("x", -9, 1, noise=UNKNOWN), NOISE),
        (at_most("x", 9, 1, noise=UNKNOWN), NOISE),
        (within("x", 1.5, 1, 2, noise=0.1), HOLDS),
        (within("x", 1.9, 1, 2, noise=0.1), NOISE),
    ],
)
def test_one_check_decides_where_it_is_clear_of_its_threshold(check, verdict):
    assert verdict_of([check]) == verdict


def test_few_repetitions_are_read_with_students_t():
    """0.4 is 2.8 standard errors from 0: clear for many repetitions, not for two (t = 12.7) or four (t = 3.18)."""
    for dof, verdict in ((1, NOISE), (3, NOISE), (30, HOLDS), (math.inf, HOLDS)):
        assert verdict_of([greater("x", Estimate(0.4, 1 / 7, dof), 0.0)]) == verdict


def test_a_claim_holds_if_all_checks_are_clear_and_fails_if_one_is():
    good, noisy, bad = at_most("a", 0, 1), at_most("b", 0, 1, noise=9.0), at_most("c", 2, 1)
    assert verdict_of([good, good]) == HOLDS and verdict_of([good, noisy]) == NOISE
    assert verdict_of([good, bad, noisy]) == FAILS
    assert verdict_of([good, at_most("d", 2, 1, decisive=False)]) == HOLDS
    assert verdict_of([bad, untestable("nothing was released")]) == NOT_TESTABLE


@pytest.mark.parametrize("value", [True, np.bool_(False), "no", None, math.nan, [1.0]])
def test_a_check_takes_numbers_alone(value):
    with pytest.raises(ValueError, match="check 'x'"):
        at_most("x", value, 1)


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="threshold of check 'x' is nan"):
        at_most("x", 1, math.nan)


# entries


def test_an_entry_has_every_key_in_order(toy):
    entry = judge(one_claim(at_most("x", 1 / 3, 1, noise=0.1), note("n", np.int64(3))), toy)
    keys = ["id", "statement", "kind", "scale", "verdict", "checks", "evidence", "judged", "reported", "chosen_after"]
    assert list(entry) == keys
    assert (entry["verdict"], entry["scale"], entry["reported"]) == (HOLDS, "smoke", "twice as good")
    assert entry["evidence"] == {"n": 3}
    (check,) = entry["checks"]
    assert (check["value"], check["noise"], check["standard_errors"]) == (0.333333, 0.1, 6.66667)
    assert math.isclose(check["half_width"], 0.195996)
    json.dumps(entry, allow_nan=False)


def test_a_scale_where_it_cannot_be_tested_gives_the_reason_and_what_can_be_computed(toy):
    entries = build_claims("toy", "smoke")
    assert [e["verdict"] for e in entries] == [HOLDS, NOT_TESTABLE]
    assert entries[1]["evidence"] == {"reason": "needs the paper's number of steps"}
    assert entries[1]["checks"][0]["name"] == "worst_final_loss" and not entries[1]["checks"][0]["satisfied"]


def test_a_value_that_a_scale_cannot_give_is_left_out_there_and_an_error_where_it_is_needed(toy):
    @claim("c", "A statement.", kind="ours", scales=["paper"], needs="too small")
    def judged(tab_final):
        yield at_most("x", tab_final.not_there.max(), 1)

    assert judge(judged.claim, toy)["checks"] == []
    everywhere = claim("c", "A statement.", kind="ours")(judged).claim
    with pytest.raises(
        ValueError, match=r"test_artifacts_claims\.py, judged, claim 'c'.*: AttributeError: .*; it has to yield checks"
    ):
        judge(everywhere, toy)


def test_tables_that_cannot_decide_give_the_reason_and_are_named(toy):
    entry = judge(one_claim(untestable("no runs of this kind were released")), toy)
    assert entry["verdict"] == NOT_TESTABLE and len(entry["judged"]) == 2
    assert entry["evidence"] == {"reason": "no runs of this kind were released"}


def test_a_table_without_rows_decides_nothing(toy):
    (toy.results / "tables" / "tab_final.csv").write_text("curvature,loss,reported\n", encoding="utf-8")
    entry = judge(one_claim(at_most("x", 0, 1)), toy)
    assert (entry["verdict"], entry["evidence"]) == (NOT_TESTABLE, {"reason": "tab_final has no rows here"})


@pytest.mark.parametrize(
    ("findings", "sentence"),
    [
        ((), "yields no decisive check, so nothing could make it fail"),
        ((note("n", 1),), "yields no decisive check"),
        ((at_most("x", 0, 1), at_most("x", 0, 2)), "two findings called 'x'"),
        ((True,), "yields True; yield checks"),
    ],
)
def test_a_claim_that_nothing_could_make_fail_is_refused(toy, findings, sentence):
    with pytest.raises(ValueError, match=sentence):
        judge(one_claim(*findings), toy)


def test_leaving_a_scale_out_needs_a_reason():
    with pytest.raises(ValueError, match="claim 'c' is not tested at every scale; say in needs= what the others lack"):
        claim("c", "s", kind="paper", scales=["paper"])
    claim("c", "s", kind="paper", scales=["paper"], needs="too small")
    claim("c", "s", kind="paper", scales=SCALES)


def test_an_unknown_kind_names_the_kinds():
    with pytest.raises(ValueError, match="claim 'c' has kind 'papr'; did you mean 'paper'"):
        claim("c", "s", kind="papr")


def test_two_claims_with_one_id_are_refused(toy):
    edit(toy.folder / "claims.py", '    "fast",', '    "descends",')
    with pytest.raises(ValueError, match=r"papers/toy/claims\.py: two claims have the id 'descends'"):
        claims_of("toy")


def test_a_claim_on_a_table_that_is_not_declared_names_the_nearest(toy):
    @claim("c", "A statement.", kind="ours")
    def judged(tab_fina):
        yield at_most("x", 0, 1)

    (toy.results / "tables" / "tab_fina.csv").write_text("a\n1\n", encoding="utf-8")  # left by an older build
    with pytest.raises(
        ValueError, match=r"reads 'tab_fina', which paper.yaml does not declare; did you mean 'tab_final'"
    ):
        judge(judged.claim, toy)


def test_what_was_judged_is_named_with_its_hash(toy):
    judged = judge(one_claim(at_most("x", 0, 1)), toy)["judged"]
    assert [j["file"] for j in judged] == ["tables/tab_final.csv", "figures/fig_loss.csv"]
    for entry in judged:
        assert entry["sha256"] == hashlib.sha256((toy.results / entry["file"]).read_bytes()).hexdigest()


def test_claims_json_is_what_was_judged(toy):
    entries = build_claims("toy", "smoke")
    assert json.loads((toy.results / "claims.json").read_text(encoding="utf-8")) == entries


# in words


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (at_most("error", 1.25e-13, 1e-12), "error 1.25e-13 ≤ 1e-12"),
        (greater("gap", Estimate(0.5, 0.1), 0), "gap 0.5 ± 0.196 > 0"),
        (less("gap", 0.5, 1, noise=UNKNOWN), "gap 0.5 ± ? < 1"),
        (within("slope", 1.0, 0.9, 1.1), "slope 1 in [0.9, 1.1]"),
    ],
)
def test_a_check_reads_as_value_noise_and_threshold(check, text):
    assert check_text(json.loads(json.dumps(check.entry()))) == text


def test_the_deciding_check_is_the_one_that_fails_else_the_closest():
    checks = [at_most("far", 0, 1, noise=0.1), at_most("near", 0.7, 1, noise=0.1), at_most("exact", 0, 1)]
    entry = {"checks": [c.entry() for c in checks]}
    assert deciding_check(entry)["name"] == "near"
    entry["checks"].append(at_most("broken", 3, 1, noise=0.1).entry())
    assert deciding_check(entry)["name"] == "broken"
    entry["checks"].append(at_most("unsure", 3, 1, noise=9.0).entry())  # on the wrong side, but within its noise
    assert deciding_check(entry)["name"] == "broken"


def test_the_summary_has_every_artifact_with_its_hash_and_every_verdict(toy):
    page = summarise("toy", "smoke")
    for file in ("tables/tab_final.csv", "figures/fig_loss.png"):
        assert f"| {file} | `{hashlib.sha256((toy.results / file).read_bytes()).hexdigest()}` |" in page
    assert "| descends | paper | **holds** |" in page and "| fast | ours | **not testable at this scale** |" in page
    assert "paper: 1 holds; ours: 1 not testable at this scale" in page and "2 records" in page


def test_the_printed_summary_takes_evidence_as_it_stands(toy, capsys):
    file = toy.results / "claims.json"
    entries = json.loads(file.read_text(encoding="utf-8"))
    entries[0]["evidence"] = {"order": "[a] < [/b]"}
    file.write_text(json.dumps(entries), encoding="utf-8")
    print_summary("toy", "smoke")
    assert "[a] < [/b]" in capsys.readouterr().out
