"""GIDD's headline statements as checks over the rebuilt tables.

Where a statement is about trained models it is judged on both studies, the Markov oracle and real text. Differences
are in nats per token, which is the logarithm of perplexity; their noise is that between training seeds.
"""

import functools

import numpy as np
import pandas as pd

from shared.artifacts.claims import at_least, at_most, claim, greater, less, note
from shared.artifacts.estimates import Estimate, difference, from_spread, mean_of, paired_difference

TEXT = "The training of text at cpu (2400 steps of 16 sequences at lr 1.5e-3) was chosen after seeing other settings."
ORACLE = (
    "The oracle has 32 states because the order appears there; with 16, tried first, clamp is worse than no rescaling "
    "(1.208 against 1.170 nats per token, 600 steps)."
)
TAU = 0.1  # the released default

_trained = functools.partial(
    claim,
    kind="paper",
    scales=["cpu", "gpu", "paper"],
    needs="smoke trains for 60 steps, which shows no effect of training",
    chosen_after=TEXT,
)


@claim("nll-identity", "For the leave-one-out posterior the bound is tight, for every p_u and gamma.", kind="ours")
def nll_identity(tab_exact):
    rows = tab_exact[tab_exact.check == "nll-identity"]
    yield at_most("largest_gap_nats", rows.error.abs().max(), 1e-3)
    yield note("cases", len(rows))


@claim("mask-reduces-to-mdm", "At p_u = 0 the loss is masked cross-entropy divided by t.", kind="paper")
def mask_reduces_to_mdm(tab_exact):
    yield at_most("largest_difference", tab_exact[tab_exact.check == "mask-reduction"].value.abs().max(), 1e-5)


@_trained(
    "pu-costs-ppl",
    "Uniform noise costs likelihood.",
    reported="dynamic: 23.24 at p_u = 0, 23.90 at 0.1, 24.64 at 0.2",
)
def pu_costs_ppl(tab_ablation):
    for study, nats in _ablation(tab_ablation):
        for p_u in sorted({p_u for _, p_u in nats if p_u > 0}):
            # one row of the ablation for both sides of a comparison
            loss = "dynamic" if ("dynamic", p_u) in nats else "dynamic + weight decay"
            yield greater(f"{study}_nats_{p_u:g}_minus_0", difference(nats[loss, p_u], nats[loss, 0.0]), 0)


@_trained(
    "dynamic-beats-clamp-beats-none",
    "For hybrid noise (p_u = 0.2) dynamic weights beat clamped ones, and those beat the true weights.",
    reported="24.64 < 26.40 < 28.22",
    chosen_after=f"{ORACLE} {TEXT}",
)
def dynamic_beats_clamp_beats_none(tab_ablation):
    for study, nats in _ablation(tab_ablation):
        for better, worse in (("dynamic", "clamp"), ("clamp", "none")):
            yield greater(f"{study}_nats_{worse}_minus_{better}", difference(nats[worse, 0.2], nats[better, 0.2]), 0)


@_trained(
    "rescaling-matters-more-with-pu",
    "The gain of dynamic over the true weights, in nats, is larger at p_u = 0.2 than at 0.",
    reported="perplexity 24.36 -> 23.24 at p_u = 0 (0.047 nats), 28.22 -> 24.64 at p_u = 0.2 (0.136 nats)",
)
def rescaling_matters_more_with_pu(tab_ablation):
    for study, nats in _ablation(tab_ablation):
        gains = [difference(nats["none", p_u], nats["dynamic", p_u]) for p_u in (0.0, 0.2)]
        yield greater(f"{study}_gain_at_0.2_minus_gain_at_0", difference(gains[1], gains[0]), 0)
        yield note(f"{study}_gain_at_0", gains[0].value)


def _ablation(table: pd.DataFrame):
    """(study, {(loss, p_u): nats per token over seeds}) of the rows that were trained."""
    for study, part in table.dropna(subset="nats_per_token").groupby("study"):
        rows = part.to_dict("records")
        yield (
            study,
            {(r["loss"], r["p_u"]): from_spread(r["nats_per_token"], r["seed_std"], r["num_seeds"]) for r in rows},
        )


@_trained(
    "selfcorr-helps-hybrid",
    "Self-correction lowers the generative NLL of samples by a fifth or more if the model knows uniform noise.",
    reported="perplexity 214 -> 93.3 for base, p_u = 0.2 (NLL 5.37 -> 4.54)",
)
def selfcorr_helps_hybrid(tab_selfcorr):
    for name, p_u, rows in _corrections(tab_selfcorr):
        if p_u > 0:
            yield at_most(f"{name}_nll_after_to_before", _nll_ratio(rows), 0.8)


@_trained("selfcorr-not-mask", "Self-correction does not improve the samples of mask-only models.")
def selfcorr_not_mask(tab_selfcorr):
    for name, p_u, rows in _corrections(tab_selfcorr):
        if p_u == 0:
            yield at_least(f"{name}_nll_after_to_before", _nll_ratio(rows), 0.98)


@_trained(
    "selfacc-rises",
    "Self-accuracy rises during correction if the model knows uniform noise, and more than for mask-only models.",
    reported="62.0% -> 73.5% for base, p_u = 0.2",
)
def selfacc_rises(tab_selfcorr):
    table = tab_selfcorr.assign(rise=tab_selfcorr.self_accuracy_after - tab_selfcorr.self_accuracy_before)
    keys = ["study", "size", "num_steps", "tau", "seed"]
    mask = table[table.p_u == 0].set_index(keys).rise.rename("mask_rise")
    for name, p_u, rows in _corrections(table.join(mask, on=keys)):
        if p_u > 0:
            yield greater(f"{name}_rise", mean_of(rows.rise), 0.05)
            yield greater(f"{name}_rise_above_mask_only", paired_difference(rows.rise, rows.mask_rise), 0)


def _corrections(table: pd.DataFrame):
    """(name, p_u, one row per seed) of corrections at the released temperature."""
    for (study, size, p_u, steps), rows in table[np.isclose(table.tau, TAU)].groupby(
        ["study", "size", "p_u", "num_steps"]
    ):
        yield f"{study}_{size}_pu{p_u:g}_T{steps:g}", p_u, rows


def _nll_ratio(rows: pd.DataFrame) -> Estimate:
    return mean_of(rows.gen_nll_after / rows.gen_nll_before)


@claim(
    "hybrid-better-few-steps",
    "At few denoising steps (T = 32) hybrid models have the lower generative perplexity.",
    kind="paper",
    scales=["paper"],
    needs="small hybrid models are under-trained; the effect needs the paper's model and data",
    reported="387 (p_u = 0.1) < 904 (p_u = 0); model size not stated",
)
def hybrid_better_few_steps(fig_genppl_steps):
    table = fig_genppl_steps.dropna(subset="gen_ppl")
    table = table[(table.study == "text") & (table.num_steps == 32)]
    nll = np.log(table.pivot(index="seed", columns="p_u", values="gen_ppl"))
    for p_u in [p for p in nll if p > 0]:
        yield less(f"nll_{p_u:g}_minus_0", paired_difference(nll[p_u], nll[0.0]), 0)


@claim(
    "gidd-beats-mdm",
    "GIDD+ with mask noise alone beats the re-implemented MDM at equal tokens.",
    kind="paper",
    scales=["gpu", "paper"],
    needs="the gain of 1 in 23 is below the noise of minutes of training",
    reported="22.29 < 23.36",
)
def gidd_beats_mdm(tab_ppl):
    rows = tab_ppl[tab_ppl.study == "text"].set_index("model").loc[["GIDD+ (p_u=0)", "MDM"]]
    ours, mdm = (from_spread(r.nats_per_token, r.seed_std, r.num_seeds) for r in rows.itertuples())
    yield less("nats_gidd_minus_mdm", difference(ours, mdm), 0)
    yield note("standard_error_of_evaluation", float(np.hypot(*rows.standard_error)))
