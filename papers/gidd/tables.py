"""Records -> tables and intermediates; a function gets what its parameters name."""

import numpy as np
import pandas as pd

from papers.gidd.naming import named_runs
from papers.gidd.truncation import truncation_loss

STUDIES = ("markov", "text")
LOSSES = ("none", "clamp", "dynamic", "dynamic + weight decay")
RUN = ["study", "run"]
CURVE = "val_nats_per_token"
MEASURES = {"mean_nll": "gen_nll", "duplicate_share": "duplicates"}

CHECKS = {  # part of the record -> case, value, expected (0 if None)
    "nll_identity": ("{model} {sequence}", "nelbo", "neg_log_p"),
    "mask_reduction": ("{process}", "max_abs_difference", None),
    "truncation": ("N = {num_ordinary:.0f}", "truncated", "full"),
    "discretisation": ("fixed table", "discrete", "continuous"),
    "sampler": ("total variation", "total_variation", None),
    "minimiser": ("{weighting}", "minimiser", "prior"),
}


def runs(settings) -> pd.DataFrame:
    """Every run of both studies with its settings, its names in the tables, and what it is compared as."""
    return pd.DataFrame([{"study": s} | row for s in STUDIES for row in named_runs(getattr(settings, s))])


def likelihoods(records, runs) -> pd.DataFrame:
    """One row per run: its settings and its likelihood metrics as columns."""
    frame = records("evaluate")
    frame = frame[frame.num_corrupted.isna()]
    metrics = frame.pivot(index=RUN, columns="metric", values="value")
    errors = frame[frame.metric == "nats_per_token"].set_index(RUN).standard_error
    return runs.merge(metrics.join(errors).reset_index(), on=RUN)


def baselines(records, likelihoods) -> pd.DataFrame:
    """What gives a scale to each study: single tokens' frequencies, and the source's own bound or a next-token model's.

    Columns: study, vocab_size, floor, unigram and baseline_nats_per_token, entropy_rate_nats, characters_per_token.
    """
    facts = ["floor_nats_per_token", "entropy_rate_nats", "unigram_nats_per_token", "characters_per_token"]
    table = records("data")[["study", "vocab_size", *facts]]
    autoregressive = table.study.map(likelihoods[likelihoods.objective == "ar"].groupby("study").nats_per_token.min())
    return table.assign(baseline_nats_per_token=table.floor_nats_per_token.fillna(autoregressive))


def clean(records) -> pd.DataFrame:
    """Held-out sequences as samples are measured: as many, under the same scorer; one row per study, clean_..."""
    frame = records("sample")
    frame = frame[frame.stage == "held out"].groupby("study", as_index=False).first().rename(columns=MEASURES)
    measures = ["gen_ppl", "gen_nll", "valid", "unigram_entropy", "distinct_2", "duplicates"]
    return frame[["study", *measures]].rename(columns={name: f"clean_{name}" for name in measures})


def tab_exact(records) -> pd.DataFrame:
    """Exact checks as (check, case) with value, expected and error."""
    rows = []
    for check, (case, value, expected) in CHECKS.items():
        frame = records("verify", check)
        if check == "minimiser":
            frame = frame[frame.token == frame.z]  # the token that is itself the evidence
        for row in frame.to_dict("records"):
            named = {"check": check.replace("_", "-"), "case": case.format(**row), "steps": row.get("num_steps")}
            named |= {"p_u": row.get("p_u"), "gamma": row.get("gamma")}
            rows.append(named | {"value": row[value], "expected": row.get(expected, 0.0)})
    table = pd.DataFrame(rows)
    return table.assign(error=table.value - table.expected)


def tab_ppl(likelihoods, baselines, reported) -> pd.DataFrame:
    """Perplexity of the baselines and of GIDD by share of uniform noise; GIDD+ if trained with weight decay."""
    frame = likelihoods[likelihoods.main & likelihoods.model.notna()]
    frame = frame[frame.num_steps == frame.groupby(["study", "model"]).num_steps.transform("max")]
    table = frame.groupby(["study", "model"], as_index=False).agg(
        nats_per_token=("nats_per_token", "mean"),
        seed_std=("nats_per_token", "std"),
        standard_error=("standard_error", "mean"),
        num_seeds=("seed", "size"),
        num_params=("num_params", "first"),
        p_u=("p_u", "first"),
        train_tokens=("tokens", "first"),
    )
    table = table.merge(baselines, on="study")
    pairs = zip(table.p_u, table.vocab_size, strict=True)
    table["optimistic_by"] = [truncation_loss(p_u, vocab_size - 1) for p_u, vocab_size in pairs]
    table["ppl"], table["floor_ppl"] = np.exp(table.nats_per_token), np.exp(table.floor_nats_per_token)
    table["unigram_ppl"] = np.exp(table.unigram_nats_per_token)
    table["bits_per_character"] = table.nats_per_token / table.characters_per_token / np.log(2)
    paper = {"rows": "model", "columns": {"ppl": "reported_ppl"}, "where": {"study": "text"}}
    table = reported.beside(table, "tab_ppl", **paper)
    return table.sort_values(["study", "ppl", "reported_ppl"])


def tab_ablation(likelihoods, reported) -> pd.DataFrame:
    """Perplexity by loss and p_u, mean over seeds of the nats; above: nats over GIDD+ with masks alone."""
    frame = likelihoods[likelihoods.main & likelihoods.usual & (likelihoods.objective == "gidd")]
    table = frame.groupby(["study", "loss", "p_u"], as_index=False).agg(
        weighting=("weighting", "first"),
        nats_per_token=("nats_per_token", "mean"),
        seed_std=("nats_per_token", "std"),
        standard_error=("standard_error", "mean"),
        num_seeds=("seed", "size"),
    )
    table["ppl"], paper = np.exp(table.nats_per_token), {"rows": "loss", "across": "p_u", "value": "reported_ppl"}
    parts = [reported.beside(rows, "tab_ablation", **paper, where={"study": s}) for s, rows in table.groupby("study")]
    table = pd.concat(parts, ignore_index=True)
    for ppl, above in (("ppl", "nats_above"), ("reported_ppl", "reported_nats_above")):
        base = table[(table.loss == "dynamic + weight decay") & (table.p_u == 0)].set_index("study")[ppl]
        table[above] = np.log(table[ppl] / table.study.map(base))
    return table.sort_values(["study", "loss", "p_u"], key=lambda s: s.map(LOSSES.index) if s.name == "loss" else s)


def tab_selfcorr(records, clean, baselines) -> pd.DataFrame:
    """Samples before and after self-correction, one row per run and temperature, beside held-out sequences."""
    frame = records("sample").rename(columns=MEASURES)
    keys = ["study", "size", "p_u", "num_steps", "seed"]
    measures = ["gen_ppl", "gen_nll", "valid", "unigram_entropy", "distinct_2", "duplicates"]
    before, after = frame[frame.stage == "sampled"], frame[frame.stage == "corrected"]
    table = after.merge(before[[*keys, *measures]], on=keys, suffixes=("_after", "_before"))
    accuracy = {
        f"{when}_self_accuracy": f"self_accuracy_{name}" for when, name in (("initial", "before"), ("final", "after"))
    }
    table = table.rename(columns=accuracy)
    table = table.merge(clean, on="study").merge(baselines[["study", "entropy_rate_nats"]], on="study")
    table["change_percent"] = 100 * (table.gen_ppl_after / table.gen_ppl_before - 1)
    return table.sort_values([*keys[:4], "tau", "seed"])


def tab_samples(records) -> pd.DataFrame:
    """Texts with their changes marked, for the most denoising steps, at every temperature."""
    frame = records("texts").infer_objects()  # a shard without texts has columns of no type
    frame = frame[(frame.num_steps == frame.num_steps.max()) & (frame.seed == frame.seed.min())]
    return frame.sort_values(["p_u", "tau", "sample"], ascending=[False, True, True])


def tab_judge(reported) -> pd.DataFrame:
    """Change of an LLM judge's ratings by self-correction, as the paper reports it."""
    return _as_reported(reported, "tab_judge", "criterion", "reported_change_percent")


def tab_zeroshot(reported) -> pd.DataFrame:
    """Mean zero-shot accuracy over seven tasks, as the paper reports it."""
    return _as_reported(reported, "tab_zeroshot", "measure", "reported_accuracy_percent")


def _as_reported(reported, table: str, column: str, value: str) -> pd.DataFrame:
    return reported.table(table).rename(columns={"row": "model", "column": column, "value": value})


def tab_recovery(records, runs) -> pd.DataFrame:
    """Touched, recovered, damaged by number of corrupted tokens; headline runs of the main size."""
    chosen = runs[runs.main & runs.usual & runs.headline]
    frame = records("evaluate").dropna(subset="num_corrupted").merge(chosen[RUN], on=RUN)
    keys = ["study", "p_u", "num_corrupted"]
    table = frame.pivot_table(index=keys, columns="metric", values="value", aggfunc="mean")
    table["num_runs"] = frame.groupby(keys).run.nunique()
    return table.reset_index()


def fig_schedule(records) -> pd.DataFrame:
    """Mass of data, mask and uniform tokens over t."""
    return records("verify", "schedule").rename(columns={"kind": "part"})


def fig_training(records, likelihoods, baselines) -> pd.DataFrame:
    """Learning curves of the ablation's runs; their ends are what the ablation's table averages, over more draws."""
    chosen = likelihoods[likelihoods.main & likelihoods.usual & (likelihoods.objective == "gidd")]
    frame = records("train")
    curves = chosen.drop(columns="nats_per_token").merge(
        frame.loc[frame.phase == "eval", [*RUN, "step", CURVE]], on=RUN
    )
    curves = curves[curves.step < curves.num_steps].rename(columns={CURVE: "nats_per_token"})
    frame = pd.concat([curves, chosen.assign(step=chosen.num_steps)]).merge(baselines, on="study")
    return frame.sort_values(["study", "p_u", "loss", "step", "seed"])


def fig_genppl_steps(records, runs, clean, reported) -> pd.DataFrame:
    """Generative perplexity of uncorrected samples, one row per run, with its interval over samples."""
    frame = records("sample")
    frame = frame[frame.stage == "sampled"].merge(runs[runs.main][RUN], on=RUN).merge(clean, on="study")
    frame["low"], frame["high"] = np.exp(frame.mean_nll_low), np.exp(frame.mean_nll_high)
    paper = {"rows": "p_u", "across": "num_steps", "value": "reported_ppl", "where": {"study": "text"}}
    table = reported.beside(frame, "fig_genppl_steps", **paper).dropna(subset="p_u")
    return table.sort_values(["study", "p_u", "num_steps", "seed"])


def fig_scaling(likelihoods, baselines) -> pd.DataFrame:
    """Bound against training FLOPs, 6 x parameters in the blocks x tokens; gap: nats above the same run at p_u = 0."""
    table = likelihoods[likelihoods.usual & likelihoods.headline].merge(baselines, on="study")
    table["compute"] = 6.0 * table.num_block_params * table.tokens
    keys = ["study", "size", "seed"]
    base = table[table.p_u == 0].set_index(keys).nats_per_token.rename("base")
    table["gap"] = table.nats_per_token - table.join(base, on=keys).base
    return table.sort_values(["study", "compute", "p_u", "seed"])
