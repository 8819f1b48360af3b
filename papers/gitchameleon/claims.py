"""What the harness is proved by (ours), and what the paper says: on published answers that were run, on its data, and
in its tables (audit: arithmetic on them). Scripted solvers validate the harness: kind ours.
"""

from functools import partial

from papers.gitchameleon.metrics.answered import rank_agreement
from papers.gitchameleon.metrics.published import RAG_NAMES, of_paper, plotted_correlations, span, up_down
from papers.gitchameleon.metrics.rates import MEASURED, gains
from shared.artifacts.claims import at_least, at_most, claim, greater, less, note, within
from shared.artifacts.estimates import difference, from_standard_error, share_of
from shared.artifacts.paths import SCALES

EVERYWHERE = (*SCALES, "benchmark", "data")
ours = partial(claim, kind="ours", scales=EVERYWHERE)
paper = partial(claim, kind="paper", scales=EVERYWHERE)
audit = partial(claim, kind="audit", scales=EVERYWHERE)
described = ("cpu", "gpu", "paper", "benchmark", "data")
with_data = partial(claim, scales=described, needs="it is about the 328 problems, and smoke describes our suites")
REASONING = ["o1", "o3-mini", "o4-mini", "codex-mini"]  # they think unasked: chain of thought is no protocol of theirs
DOCUMENTS = ["wrong version", "none", "right"]  # in the order that the claim states
MANY_ERRORS = 4  # standard errors that none of some hundred simulated means should be off


@ours("gt-sound", "Reference solutions pass their own tests.")
def gt_sound(tab_validation, tab_answers):
    benchmark = tab_validation.suite == "benchmark"
    own, theirs = tab_validation[~benchmark], tab_validation[benchmark]
    for tests in ("hidden", "visible"):
        yield at_most(f"own_suites_{tests}_failed", (own.num_problems - own[f"{tests}_passed"]).sum(), 0)
    for row in theirs.itertuples():
        yield at_least("benchmark_visible_share", row.visible_passed / row.num_run, 0.95)
        yield note("benchmark_visible", f"{row.visible_passed} of {row.num_run} run, of {row.num_problems}")
    for row in tab_answers[(tab_answers.model == "reference") & (tab_answers.tests == "hidden")].itertuples():
        yield at_least("benchmark_hidden_share", share_of(row.passed, row.n), 0.95)


@ours(
    "version-swap",
    "Code for one version fails under the sibling version's tests where the change is known to break it, in the "
    "expected way, and passes elsewhere.",
    reported="not in the paper",
)
def version_swap(tab_version_swap):
    own = tab_version_swap.tests == tab_version_swap.code
    passed = tab_version_swap.outcome == "pass"
    yield at_most("outcomes_not_as_expected", (~tab_version_swap.as_expected).sum(), 0)
    yield at_least("crossed_that_fail", (~passed & ~own).sum(), 1)


@ours(
    "pins-decide",
    "Most of the benchmark's tests force the pin: the reference of another version fails under more than half of them.",
    scales=["paper", "benchmark"],
    needs="it is about the pairs among the 328 problems; scale paper has them",
    reported="not in the paper",
    chosen_after="a majority, set after 81 of 147 had been seen; the paper names no threshold",
)
def pins_decide(tab_pairs):
    for row in tab_pairs[(tab_pairs.suite == "benchmark") & (tab_pairs.change == "all")].itertuples():
        yield greater(f"{row.tests}_share_that_fails", share_of(row.num_failed, row.num_run), 0.5)
        yield note(f"{row.tests}_tests", f"{row.num_failed} of {row.num_run} fail, of {row.num_pairs}")


@paper(
    "greedy-real",
    "GPT-4o's published greedy answers pass as many hidden tests here as the paper says, within 1.96 of its errors.",
    reported="49.1 +- 2.8 % of 328 problems",
    chosen_after="the band is the published error, taken after the rate had been seen",
)
def greedy_real(tab_answers):
    rows = tab_answers.query("problems == 'recorded' and protocol == 'greedy' and tests == 'hidden'")
    for row in rows.dropna(subset="published").itertuples():
        margin, rate = 1.96 * row.published_se, from_standard_error(row.percent, (row.high - row.low) / 3.92, row.n)
        yield within(f"{row.model}_percent", rate, row.published - margin, row.published + margin)


@paper(
    "selfdebug-real",
    "One round of self-debug raises a model's hidden success and widens its gap, on its published answers.",
    reported="GPT-4o: +15.8 points, gap from 4.9 to 7.4",
)
def selfdebug_real(fig6_gap):
    for row in fig6_gap[fig6_gap.source == MEASURED].itertuples():
        yield greater(f"{row.system}_gain", from_standard_error(row.gain, row.gain_se, row.n), 0)
        widened = from_standard_error(row.gap_after - row.gap_before, row.widening_se, row.n)
        yield greater(f"{row.system}_gap_widens_by", widened, 0)


@paper(
    "selfdebug-visible-real",
    "One round of self-debug raises a model's visible success on the same problems, by McNemar's test.",
    reported="GPT-4o 54.0 to 72.3 %, GPT-4o-mini 46.3 to 71.6 % of 328",
    chosen_after="the level of 0.01, after GPT-4o's counts on 280 problems had been seen",
)
def selfdebug_visible_real(tab_paired):
    for row in tab_paired.query("tests == 'visible' and protocol == 'selfdebug'").itertuples():
        yield greater(f"{row.model}_gain", from_standard_error(row.difference, (row.high - row.low) / 3.92, row.n), 0)
        yield at_most(f"{row.model}_p", row.mcnemar_p, 0.01)
        yield note(f"{row.model}_pairs", f"{row.only_this} gained, {row.only_greedy} lost of {row.n}")


@paper(
    "visible-ranks-real",
    "The published answers rank self-debugged models by visible success as the published table does.",
    reported="Tables 1 and 8: 17 models from 68.6 to 79.3 % of 328",
    chosen_after="the rates of twelve of the systems had been seen",
)
def visible_ranks_real(tab_answers):
    found, most = rank_agreement(tab_answers)
    yield greater("spearman", found, 0)
    yield note("largest_differences", most)


@ours(
    "version-blind-coin-flip",
    "A solver that knows both idioms but ignores the pin gets just half of the strictly incompatible pairs, and one "
    "that takes the pinned idiom with some probability gets what its closed form says.",
    reported="the best plain models of the paper reach 48 to 51 %",
)
def version_blind_coin_flip(tab_systems, tab_solvers):
    rows = tab_systems[tab_systems.suite != "benchmark"].set_index(["suite", "system"])
    strict, passed = rows.strict_percent.unstack(), rows.passed.unstack()
    yield at_most("strict_points_from_half", (strict[["newest", "oldest"]] - 50).abs().max().max(), 0)
    # each problem is passed by newest or by oldest; by both where the version-blind answer passes, too
    left_over = passed.newest + passed.oldest - passed.reference - passed["version-blind"]
    yield at_most("problems_counted_wrong", left_over.abs().sum(), 0)
    off = (tab_solvers.hidden_percent - tab_solvers.expected_percent).abs()
    error = tab_solvers.standard_error_percent
    yield at_most("simulated_clearly_off_closed_form", (off > MANY_ERRORS * error + 1e-9).sum(), 0)


@ours(
    "format-neutral",
    "Automatic formatting leaves the success of systems with known answers unchanged.",
    reported="Table 13 prints one success rate for all stages",
)
def format_neutral(tab_formatting):
    measured = tab_formatting[tab_formatting.source == "measured"]
    passed = measured[["passed_raw", "passed_black_isort", "passed_ruff"]]
    yield at_most("systems_with_other_passes", (passed.nunique(axis=1) > 1).sum(), 0)
    yield note("systems", len(measured))
    yield note("verdicts_that_changed", int(measured.other_verdicts.sum()))


@audit(
    "selfdebug-up",
    "One round of visible-trace feedback raises hidden success.",
    reported="+11.3 to +33.9 points in Table 1, from +6.4 with Table 8",
)
def selfdebug_up(fig6_gap):
    gain = of_paper(fig6_gap).gain
    yield at_most("models_that_do_not_rise", (gain <= 0).sum(), 0)
    yield note("gain_in_points", span(gain))


@ours(
    "selfdebug-simulated",
    "A scripted solver that may switch idiom after a visible failure gains by it, and its gap widens just if it "
    "special-cases visible tests.",
)
def selfdebug_simulated(tab_solvers):
    frame = tab_solvers[tab_solvers.quality < 1]
    honest, ends = frame.overfit_rate == 0, ("_after", "")
    repairing = frame[honest & (frame.repair_rate > 0)]
    row = repairing.loc[(repairing.hidden_after_percent - repairing.hidden_percent).idxmin()]
    names = [(f"hidden{end}_percent", f"standard_error{end}_percent") for end in ends]
    gain = difference(*(from_standard_error(row[value], row[error], row.num_seeds) for value, error in names))
    yield greater("smallest_gain_in_points", gain, 0)
    after, before = (frame[f"visible{end}_percent"] - frame[f"hidden{end}_percent"] for end in ends)
    yield at_most("honest_that_widen", (after - before > 1e-6)[honest].sum(), 0)
    yield at_most("overfitting_that_do_not_widen", (after - before <= 0)[~honest].sum(), 0)


@ours(
    "tools-and-documents-simulated",
    "More attempts in the sandbox never cost the scripted agent, and the right version's documents serve the scripted "
    "reader better than none, these better than the wrong version's.",
)
def tools_and_documents_simulated(fig_validation):
    for kind, order in (("sandbox", ["1 attempts", "2 attempts", "3 attempts"]), ("documents", DOCUMENTS)):
        part = fig_validation[fig_validation.kind == kind].pivot(index="suite", columns="solver", values="measured")
        steps = part[order].diff(axis=1).iloc[:, 1:]
        yield at_most(f"{kind}_steps_that_fall", (steps < 0).sum().sum(), 0)
        yield at_most(f"{kind}_suites_without_gain", (steps.sum(axis=1) <= 0).sum(), 0)


@audit(
    "selfdebug-gap",
    "Self-debug widens the gap between visible and hidden success.",
    reported="all points of Figure 6 below the line (numbers of Tables 1 and 8)",
)
def selfdebug_gap(fig6_gap):
    widened = of_paper(fig6_gap).gap_after - of_paper(fig6_gap).gap_before
    yield at_most("gaps_that_do_not_widen", (widened <= 0).sum(), 0)


@audit(
    "sandbox-helps",
    "A sandbox helps all agents, with every grounding tool.",
    reported="stated for all in the text; one of the nine cells of Table 2 falls",
)
def sandbox_helps(tab_agents):
    cells = of_paper(gains(tab_agents, "variant", "sandbox", "no sandbox"))
    yield at_most("cells_that_do_not_rise", (cells.gain <= 0).sum(), 0)
    yield note("cells", f"{up_down(cells.gain)}; by more than their errors {up_down(cells.gain[cells.clear])}")
    yield note("worst", f"{cells.system[cells.gain.idxmin()]}: {cells.gain.min():.3g}")


@audit(
    "rag-lift",
    "Retrieved documentation raises success, and k = 3 beats k = 1 in almost all cases.",
    reported="up to about 10 points; 'almost all'",
)
def rag_lift(tab_rag, tab_main):
    plain = of_paper(tab_main).query("protocol == 'greedy'").set_index("system").hidden
    gain = tab_rag[tab_rag.published_in == "Table 4"].set_index("system").success - plain.rename(index=RAG_NAMES)
    more = gains(tab_rag[tab_rag.published_in == "Table 12"], "variant", "k=3", "k=1").gain
    yield at_most("models_that_do_not_gain", (gain <= 0).sum(), 0)
    yield at_least("share_of_models_with_k3_above_k1", (more > 0).mean(), 0.9)
    yield note("gain_over_greedy_in_points", f"{span(gain)}, {gain.count()} models")
    yield note("k3_against_k1", f"{up_down(more)}, {(more == 0).sum()} equal")


@audit("cot-not-uniform", "Zero-shot chain of thought is no uniform gain.", reported="Table 1")
def cot_not_uniform(tab_main):
    models = gains(of_paper(tab_main).query("system not in @REASONING"), "protocol", "cot", "greedy", "hidden")
    clear = models.gain[models.clear]
    yield at_least("models_that_fall_by_more_than_their_errors", (clear < 0).sum(), 1)
    yield note("by_more_than_their_errors", up_down(clear))
    yield note("all", f"{up_down(models.gain)}, {span(models.gain)} points")


@audit(
    "se-binomial",
    "The published +- is the binomial standard error over 328 problems.",
    reported="136 entries of Table 1",
)
def se_binomial(tab_se_audit):
    table = tab_se_audit[tab_se_audit.table == "table1"]
    yield at_most("entries_off_by_more_than_rounding", (~table.agrees).sum(), 0)
    yield note("entries", len(table))
    for protocol, agrees in table.groupby(table.column.str.partition("_")[0], sort=False).agrees:
        yield note(f"{protocol}_that_agree", f"{agrees.sum()} of {len(agrees)}")


@audit(
    "bench-corr",
    "The plotted points give the published correlations, moderate with SWE-bench and weak with LiveCodeBench.",
    reported="SWE-bench: rho 0.550, r 0.675; LiveCodeBench: rho 0.214, r 0.130",
)
def bench_corr(fig3_correlation):
    for row in plotted_correlations(fig3_correlation).itertuples():
        texts = f"spearman {row.spearman:.3f} (p = {row.spearman_p:.2g}), pearson {row.pearson:.3f}"
        yield note(f"{row.benchmark}_{row.points}", f"{texts} (p = {row.pearson_p:.2g}), N = {row.n}")
        if row.points == "plotted":
            yield at_most(f"{row.benchmark}_spearman_off", row.spearman_off, 6e-4)
            yield at_most(f"{row.benchmark}_pearson_off", row.pearson_off, 6e-4)


@with_data(
    "dataset-stats",
    "The data set has the counts of Section 2.3 and Figures 4 and 9, released from 2014 to 2023.",
    kind="paper",
    reported="328 problems, 26 libraries, 2014 to 2023",
)
def dataset_stats(tab_dataset):
    rows = tab_dataset[tab_dataset.dataset == "benchmark"].set_index("quantity")
    both = rows.dropna(subset=["count", "reported"])
    yield at_most("released_after_2023", rows["count"]["released later"], 0)
    yield at_most("counts_that_differ", (both["count"] != both.reported).sum(), 0)
    yield note("counts_compared", len(both))


@with_data(
    "api-hit-ceiling",
    "API hit is a loose proxy: references themselves do not reach 100 %, and stubs that do nothing hit, too.",
    kind="ours",
    reported="not in the paper; 277 of 328 under its rule",
)
def api_hit_ceiling(tab_dataset):
    counts = tab_dataset[tab_dataset.dataset == "benchmark"].set_index("quantity")["count"]
    yield less("references_that_hit", counts["references that hit their API calls"], counts["problems"])
    yield greater("stubs_that_hit", counts["stubs that hit their API calls"], 0)
