"""Records -> tables. One function per artifact of paper.yaml, each (records, settings) -> tidy frame."""

import math

import numpy as np
import pandas as pd

from shared.artifacts.config import Settings
from shared.artifacts.records import Records
from shared.artifacts.reported import Reported

REPORTED_MODELS = {  # ours -> the paper's row at its own scale
    "MDLM": "MDLM",
    "MDM": "MDM (re-implemented)",
    "GIDD+ (p_u=0)": "GIDD+ (p_u=0.0)",
    "AR": "Llama 110M (retrained)",
}


def _loss_name(weighting: pd.Series, weight_decay: pd.Series) -> pd.Series:
    """Row of the ablation: none, clamp, dynamic (of either form), dynamic + weight decay."""
    name = weighting.where(~weighting.str.startswith("dynamic"), "dynamic")
    return name.where(weight_decay == 0, name + " + weight decay")


def _main_size(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Runs of the size that each study's headline experiments use: that of the first group of the grid."""
    sizes = {study: getattr(settings, study).runs[0].size[0] for study in ("markov", "text")}
    return frame[frame["size"] == frame.study.map(sizes)]


def _headline(frame: pd.DataFrame, settings: Settings) -> pd.Series:
    """Which runs have each study's headline recipe: weighting and weight decay of the group that is sampled."""
    chosen = {s: next(g for g in getattr(settings, s).runs if g.sample) for s in ("markov", "text")}
    weighting = frame.study.map({study: group.weighting[0] for study, group in chosen.items()})
    weight_decay = frame.study.map({study: group.weight_decay[0] for study, group in chosen.items()})
    return (frame.objective == "gidd") & (frame.weighting == weighting) & (frame.weight_decay == weight_decay)


def _usual_length(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Runs as long as their study's training says; others are for the headline perplexities alone."""
    lengths = {study: getattr(settings, study).training.num_steps for study in ("markov", "text")}
    return frame[frame.num_steps == frame.study.map(lengths)]


def _likelihoods(records: Records) -> pd.DataFrame:
    """One row per run: its settings and its likelihood metrics as columns."""
    frame = records("evaluate")
    frame = frame[frame.num_corrupted.isna()]
    columns = [c for c in frame if c not in ("metric", "num_corrupted", "value", "standard_error")]
    wide = frame.pivot(index=columns, columns="metric", values="value").reset_index()
    errors = frame[frame.metric == "nats_per_token"].set_index("run").groupby(["study", "run"]).standard_error.first()
    wide["standard_error"] = [errors[key] for key in zip(wide.study, wide.run, strict=True)]
    wide["loss"] = _loss_name(wide.weighting, wide.weight_decay)
    return wide


def tab_exact(records: Records, settings: Settings) -> pd.DataFrame:
    """Exact checks as (check, case) with value, expected and error."""
    frame = records("verify").set_index("check")

    def rows(check: str, case, value: str, expected, steps="") -> pd.DataFrame:
        part = frame.loc[[check]]
        return pd.DataFrame(
            {
                "check": check.replace("_", "-"),
                "case": case(part),
                "p_u": part.p_u,
                "gamma": part.gamma,
                "steps": part[steps] if steps else np.nan,
                "value": part[value],
                "expected": part[expected] if isinstance(expected, str) else expected,
            }
        )

    parts = [
        rows("nll_identity", lambda f: f.model + " " + f.sequence, "nelbo", "neg_log_p"),
        rows("mask_reduction", lambda f: f.process, "max_abs_difference", 0.0),
        rows("truncation", lambda f: "N = " + f.num_ordinary.astype(int).astype(str), "truncated", "full"),
        rows("discretisation", lambda f: "fixed table", "discrete", "continuous", "num_steps"),
        rows("sampler", lambda f: "total variation", "total_variation", 0.0, "num_steps"),
        rows("minimiser", lambda f: f.weighting, "minimiser", "prior").loc[
            lambda f: np.isclose(f.expected, frame.loc["minimiser"].prior.min())
        ],
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(error=table.value - table.expected)


def tab_ppl(records: Records, settings: Settings) -> pd.DataFrame:
    """Perplexity of the baselines and of GIDD by share of uniform noise; GIDD+ if trained with weight decay."""
    frame = _main_size(_likelihoods(records), settings)
    own_name = np.where(frame.weight_decay > 0, "GIDD+", "GIDD")
    is_mdm = (frame.objective == "gidd") & (frame.p_u == 0) & (frame.loss == "none")
    frame["model"] = np.select(
        [frame.objective == "ar", frame.objective == "mdlm", is_mdm, _headline(frame, settings)],
        ["AR", "MDLM", "MDM", own_name + " (p_u=" + frame.p_u.map("{:g}".format) + ")"],
        default="",
    )
    frame = frame[frame.model != ""]
    frame = frame[frame.num_steps == frame.groupby(["study", "model"]).num_steps.transform("max")]
    table = frame.groupby(["study", "model"], sort=False).agg(
        nats_per_token=("nats_per_token", "mean"),
        standard_error=("standard_error", "mean"),
        num_seeds=("seed", "size"),
        num_params=("num_params", "first"),
        p_u=("p_u", "first"),
        num_steps=("num_steps", "first"),
    )
    table = table.reset_index().merge(records("data")[["study", "vocab_size", "floor_nats_per_token"]], on="study")
    table["ppl"] = np.exp(table.nats_per_token)
    table["floor_ppl"] = np.exp(table.floor_nats_per_token)
    table["train_tokens"] = table.num_steps * [_tokens_per_step(settings, study) for study in table.study]
    table["optimistic_by"] = [
        truncation_loss(p_u, vocab_size - 1) for p_u, vocab_size in zip(table.p_u, table.vocab_size, strict=True)
    ]
    table["reported_model"] = table.model.map(REPORTED_MODELS)
    reported = Reported("gidd")
    table["reported_ppl"] = [reported("tab_ppl", model, "ppl") for model in table.reported_model]
    table = table.sort_values(["study", "ppl"])
    columns = "study model ppl nats_per_token standard_error num_seeds train_tokens num_params optimistic_by floor_ppl"
    return table[[*columns.split(), "reported_model", "reported_ppl"]]


def _tokens_per_step(settings: Settings, study: str) -> int:
    chosen = getattr(settings, study)
    return chosen.training.batch_size * chosen.corpus.seq_len


def truncation_loss(p_u: float, num_ordinary: int, eps: float = 1e-4, num_nodes: int = 400) -> float:
    """Nats per token of a uniform model's bound that lie outside [eps, 1 - eps]; gamma = 1.

    For x_hat = u, E_z[w (KL + IS)] has the closed form used here, with the four noise levels of z and x spelt out;
    the integral over t runs in phi with t = sin^2(phi), which the square-root ends need; 400 nodes give ten digits.
    """
    if p_u == 0:
        return 2 * eps * math.log(num_ordinary)  # the integrand is log N at every t
    n, scale = num_ordinary, 2 * p_u / (1 - p_u)
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)

    def integral(low: float, high: float) -> float:
        a, b = math.asin(math.sqrt(low)), math.asin(math.sqrt(high))
        phi = a + (b - a) * (nodes + 1) / 2
        t = np.sin(phi) ** 2
        c = scale * np.sqrt(t * (1 - t))
        # masses times C_t, which cancels: the data token, any other ordinary one, and either under x_hat = u
        data, other, model = (1 - t) + c / n, c / n, (1 - t) / n + c / n
        total = 1 + c
        kl = (data * np.log(data / model) + (n - 1) * other * np.log(other / model)) / total
        flow_mask, flow_other = 1 / ((1 - t) * total), c / (2 * t * (1 - t) * n * total)
        is_data = data / model - np.log(data / model) - 1
        is_other = other / model - np.log(other / model) - 1
        rate = flow_mask + n * flow_other
        integrand = rate * kl + flow_other * (is_data + (n - 1) * is_other)
        return float((weights * integrand * 2 * np.sin(phi) * np.cos(phi)).sum() * (b - a) / 2)

    return integral(1e-12, eps) + integral(1 - eps, 1 - 1e-12)


def tab_ablation(records: Records, settings: Settings) -> pd.DataFrame:
    """Perplexity by loss and p_u; mean over seeds of the nats, the perplexity of that mean."""
    frame = _usual_length(_main_size(_likelihoods(records), settings), settings)
    frame = frame[frame.objective == "gidd"]
    table = frame.groupby(["study", "loss", "p_u"]).agg(
        weighting=("weighting", "first"),
        nats_per_token=("nats_per_token", "mean"),
        seed_std=("nats_per_token", "std"),
        num_seeds=("seed", "size"),
    )
    table = table.reset_index()
    table.insert(4, "ppl", np.exp(table.nats_per_token))
    reported = Reported("gidd")
    table["reported_ppl"] = [
        reported("tab_ablation", loss, f"{p_u:g}") for loss, p_u in zip(table.loss, table.p_u, strict=True)
    ]
    order = ["none", "clamp", "dynamic", "dynamic + weight decay"]
    return table.sort_values(["study", "loss", "p_u"], key=lambda s: s.map(order.index) if s.name == "loss" else s)


PAIRED = {
    "gen_ppl": "gen_ppl", "gen_nll": "mean_nll", "illegal": "illegal_rate", "unigram_entropy": "unigram_entropy",
    "distinct_2": "distinct_2",
}  # fmt: skip


def tab_selfcorr(records: Records, settings: Settings) -> pd.DataFrame:
    """Samples before and after self-correction, means over the runs of a p_u."""
    frame = records("sample")
    if "illegal_rate" not in frame:
        frame["illegal_rate"] = np.nan
    by_run = ["study", "size", "run", "p_u", "num_steps"]
    before = frame[frame.stage == "sampled"].set_index(by_run)[list(PAIRED.values())]
    after = frame[frame.stage == "corrected"].set_index(by_run)
    merged = after.join(before, rsuffix="_before")
    columns = {"self_accuracy_before": "initial_self_accuracy", "self_accuracy_after": "final_self_accuracy"}
    columns |= {"num_changed": "num_changed", "converged": "converged", "duplicates_after": "duplicate_share"}
    columns |= {f"{name}_before": f"{source}_before" for name, source in PAIRED.items()}
    columns |= {f"{name}_after": source for name, source in PAIRED.items()}
    keys = ["study", "size", "p_u", "num_steps", "tau"]
    grouped = merged.reset_index().groupby(keys)
    table = grouped[list(columns.values())].mean().rename(columns={source: name for name, source in columns.items()})
    # perplexities are exp of mean nats, so that runs weigh equally
    for when in ("before", "after"):
        table[f"gen_ppl_{when}"] = np.exp(table[f"gen_nll_{when}"])
    table["change_percent"] = 100 * (table.gen_ppl_after / table.gen_ppl_before - 1)
    table["num_samples"], table["num_runs"] = grouped.num_samples.first(), grouped.run.nunique()
    return table.reset_index()


def tab_samples(records: Records, settings: Settings) -> pd.DataFrame:
    """Texts with their changes marked, for the most denoising steps, at every temperature."""
    frame = records("texts")
    frame = frame[(frame.num_steps == frame.num_steps.max()) & (frame.seed == frame.seed.min())]
    frame = frame.sort_values(["p_u", "tau", "sample"], ascending=[False, True, True])
    return frame[["p_u", "num_steps", "tau", "sample", "num_changed", "text"]]


def tab_recovery(records: Records, settings: Settings) -> pd.DataFrame:
    """Touched, recovered, damaged by number of corrupted tokens; headline runs of the main size."""
    frame = _usual_length(_main_size(records("evaluate"), settings), settings)
    frame = frame[frame.num_corrupted.notna() & _headline(frame, settings)]
    keys = ["study", "p_u", "num_corrupted"]
    table = frame.pivot_table(index=keys, columns="metric", values="value", aggfunc="mean")
    table["num_runs"] = frame.groupby(keys).run.nunique()
    table = table.reset_index().astype({"num_corrupted": int})
    return table[[*keys, "touched", "recovered", "damaged", "num_runs"]]


def fig_schedule(records: Records, settings: Settings) -> pd.DataFrame:
    frame = records("verify")
    return frame[frame.check == "schedule"][["p_u", "part", "t", "mass"]]


def fig_weights(records: Records, settings: Settings) -> pd.DataFrame:
    frame = records("verify")
    return frame[frame.check == "weights"][["p_u", "weighting", "kind", "t", "weight"]]


def fig_training(records: Records, settings: Settings) -> pd.DataFrame:
    """Learning curves of the ablation's runs."""
    frame = _usual_length(_main_size(records("train"), settings), settings)
    frame = frame[(frame.phase == "eval") & (frame.objective == "gidd")]
    frame = frame.assign(loss=_loss_name(frame.weighting, frame.weight_decay))
    curves = frame.groupby(["study", "p_u", "loss", "step"]).val_nats_per_token.mean()
    return curves.rename("nats_per_token").reset_index()


def fig_genppl_steps(records: Records, settings: Settings) -> pd.DataFrame:
    """Generative perplexity of uncorrected samples; seeds pooled, the interval is the mean of theirs."""
    frame = _main_size(records("sample"), settings)
    frame = frame[frame.stage == "sampled"]
    grouped = frame.groupby(["study", "p_u", "num_steps"])
    table = np.exp(grouped[["mean_nll", "mean_nll_low", "mean_nll_high"]].mean())
    table.columns = ["gen_ppl", "low", "high"]
    return table.assign(num_samples=grouped.num_samples.sum()).reset_index()


MEASURES = {
    "generative NLL (nats per token)": "gen_nll_after",
    "self-accuracy": "self_accuracy_after",
    "distinct pairs (share)": "distinct_2_after",
}


def fig_selfcorr(records: Records, settings: Settings) -> pd.DataFrame:
    """Correction over tau at the middle T of each study; tau = 0 stands for the samples before it."""
    table = _main_size(tab_selfcorr(records, settings), settings)
    chosen = {study: sorted(getattr(settings, study).sampling.correct_at) for study in table.study.unique()}
    table = table[table.num_steps == table.study.map({s: steps[len(steps) // 2] for s, steps in chosen.items()})]
    keys = ["study", "p_u", "tau"]
    after = table.melt(keys, list(MEASURES.values()), "measure")
    before = table.rename(columns=lambda c: c.replace("_before", "_after") if c.endswith("_before") else f"old_{c}")
    before = before.rename(columns={f"old_{k}": k for k in keys}).melt(keys, list(MEASURES.values()), "measure")
    before = before.groupby(["study", "p_u", "measure"], as_index=False).value.first().assign(tau=0.0)
    names = {source: name for name, source in MEASURES.items()}
    both = pd.concat([before, after])
    both["measure"] = both.measure.map(names)
    return both.sort_values([*keys, "measure"])[[*keys, "measure", "value"]]


def fig_scaling(records: Records, settings: Settings) -> pd.DataFrame:
    """Bound against training FLOPs, 6 x parameters in the blocks x tokens; gap: nats above p_u = 0 at that size."""
    frame = _usual_length(_likelihoods(records), settings)
    frame = frame[_headline(frame, settings)]
    grouped = frame.groupby(["study", "size", "p_u"])
    table = grouped.agg(nats_per_token=("nats_per_token", "mean"), params=("num_block_params", "first")).reset_index()
    tokens = {
        study: _tokens_per_step(settings, study) * getattr(settings, study).training.num_steps
        for study in table.study.unique()
    }
    table["compute"] = 6.0 * table.params * table.study.map(tokens)
    base = table[table.p_u == 0].set_index(["study", "size"]).nats_per_token
    table["gap"] = [
        nats - base.get((study, size), math.nan)
        for study, size, nats in zip(table.study, table["size"], table.nats_per_token, strict=True)
    ]
    return table.sort_values(["study", "compute", "p_u"])[["study", "size", "p_u", "compute", "nats_per_token", "gap"]]
