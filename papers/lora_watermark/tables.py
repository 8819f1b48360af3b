"""Records -> tables; paper.yaml says which columns each has. Errors are standard errors over seeds."""

import numpy as np
import pandas as pd

from papers.lora_watermark.summaries import in_forty_steps, means_over_seeds, over_seeds, shares_of_scores, with_columns

EXACT, LANGUAGE = "bigram", "language"


def results(records) -> pd.DataFrame:
    """Bigram world: a row per variant, eps, weight, seed and length, and what rises alone would be zero-shot."""
    table = records("world", "results")
    return table.assign(world=EXACT, full=table.length == table.length.max())


def detection(records) -> pd.DataFrame:
    """Language models: a row per pair, kind of text, scorer and length."""
    table = with_columns(records("evaluate", "detection"), "tpr_1", "tpr_01", "flagged", "human_flagged")
    return table.assign(world=LANGUAGE, full=table.length == table.length.max())


def at_home(detection, settings) -> pd.DataFrame:
    """`detection` on the corpus that the pairs were trained on."""
    return detection[detection.data == settings.language.base.text.source]


def quality(records, settings) -> pd.DataFrame:
    """Language models: a row per corpus, pair and kind of text; benchmark_mean over tasks, where any was asked for."""
    table = with_columns(records("evaluate", "quality"), "matched_auc")
    if not settings.language.benchmarks.tasks:
        return table.assign(benchmark_mean=np.nan)
    keys = ["variant", "seed", "texts"]
    means = records("benchmark").groupby(keys).score.mean().rename("benchmark_mean")
    return table.join(means, on=keys)


def tab_objectives(results) -> pd.DataFrame:
    """Every variant of the exact world at full length, mean over seeds."""
    values = ["auc", "llr_auc", "bound", "rise_performer", "rise_observer", "kl", "score_samples", "score_human"]
    table = results[results.full].assign(kl=lambda t: t.kl / t.length)
    return over_seeds(table, ["variant", "eps", "weight"], values)


def tab_roles(results) -> pd.DataFrame:
    """Who is trained, per seed, in the exact world at full length; zero-shot is the base with itself."""
    table = results[results.full & results.variant.isin(["dual", "performer only", "observer only"])]
    return table.assign(roles=table.variant.replace("dual", "pair"))


def tab_main_seeds(detection, quality) -> pd.DataFrame:
    """A row per language pair at full length."""
    keys, full = ["data", "variant", "seed"], detection[detection.full]

    def judged(texts: str, scorer: str) -> pd.DataFrame:
        return full[(full.texts == texts) & (full.scorer == scorer)].set_index(keys)

    table = judged("watermarked", "own pair")
    others = {"untrained": ("base", "untrained pair"), "zero_shot": ("watermarked", "untrained pair")}
    for name, kind in {**others, "llr": ("watermarked", "likelihood ratio")}.items():
        table = table.join(judged(*kind).auc.rename(f"{name}_auc"))
    marked = quality[quality.texts == "watermarked"].set_index(keys)
    return table.join(marked[["rise_performer", "rise_observer"]]).reset_index().rename(columns={"length": "tokens"})


def tab_main(tab_main_seeds, reported) -> pd.DataFrame:
    """A row per variant: means over its pairs, beside the paper's number."""
    table = means_over_seeds(tab_main_seeds, ["data", "variant", "eps", "tokens", "num_texts"])
    return reported.beside(table, "tab_main", rows="variant", columns={"auc": "reported_auc"})


def tab_quality_seeds(quality) -> pd.DataFrame:
    """Looks of texts of each kind, per pair."""
    return quality[quality.texts != "other seed"]


def tab_quality(tab_quality_seeds, reported) -> pd.DataFrame:
    """Looks of texts of each kind, means over pairs; the paper's benchmark scores are not public."""
    table = means_over_seeds(tab_quality_seeds, ["data", "variant", "eps", "texts"])
    return reported.beside(table, "tab_quality", rows="variant", columns={"benchmark_mean": "reported_benchmark"})


def tab_robust(records) -> pd.DataFrame:
    """AUC after attacks, mean over seeds, in both worlds."""
    exact, language = records("world", "robust"), records("evaluate", "attacked")
    exact = exact[(exact.variant == "dual")].assign(world=EXACT)
    table = pd.concat([language.assign(world=LANGUAGE), exact], ignore_index=True)
    return over_seeds(table, ["world", "variant", "eps", "attack", "strength"], ["auc", "base_nll"])


def tab_specificity_seeds(at_home) -> pd.DataFrame:
    """Texts of each kind by each scorer, per pair, at full length."""
    return at_home[at_home.full & (at_home.scorer != "likelihood ratio")]


def tab_specificity(tab_specificity_seeds) -> pd.DataFrame:
    """Texts of each kind by each scorer, means over pairs."""
    return means_over_seeds(tab_specificity_seeds, ["variant", "eps", "texts", "scorer"])


def fig_training(records) -> pd.DataFrame:
    """Scores and rises along training; the constrained pairs."""
    exact = records("world", "history")
    exact = exact[exact.variant == "dual"].assign(world=EXACT, variant=lambda t: "dual " + t.eps.map("{:g}".format))
    table = pd.concat([exact, records("pair").assign(world=LANGUAGE)], ignore_index=True)
    values = ["score_samples", "score_human", "rise_performer", "kl"]
    return over_seeds(in_forty_steps(table, values), ["world", "variant", "step"], values)


def fig_tradeoff(results, at_home, quality) -> pd.DataFrame:
    """AUC at full length over the performer's rise in cross-entropy; the oracle is the likelihood ratio."""
    exact = results[results.full & results.variant.isin(["dual", "barrier", "weighted", "performer only"])]
    keys = ["data", "variant", "seed"]
    own = at_home[at_home.full & (at_home.texts == "watermarked")]
    rise = quality[quality.texts == "watermarked"].set_index(keys).rise_performer
    llr = own[own.scorer == "likelihood ratio"].set_index(keys).auc.rename("llr_auc")
    language = own[own.scorer == "own pair"].join(rise, on=keys).join(llr, on=keys)
    language = language.assign(variant=language.variant.str.replace(r" [\d.]+$", "", regex=True), weight=1.0)
    table = pd.concat([exact, language], ignore_index=True)
    return over_seeds(table, ["world", "variant", "eps", "weight"], ["auc", "llr_auc", "rise_performer"])


def fig_length(results, at_home) -> pd.DataFrame:
    """AUC by scored tokens and seed."""
    exact = results[results.variant == "dual"]
    language = at_home[(at_home.texts == "watermarked") & (at_home.scorer == "own pair")]
    columns = ["world", "variant", "eps", "seed", "length", "auc"]
    table = pd.concat([exact[columns], language[columns]], ignore_index=True)
    return table.assign(kind=table.variant.str.replace(r" [\d.]+$", "", regex=True))


def fig_roc(records, settings) -> pd.DataFrame:
    """Mean ROC over seeds of the pairs that are attacked, by scored tokens."""
    table = records("evaluate", "curves")
    attacked = table.variant.isin(settings.language.evaluation.attacked)
    home = table.data == settings.language.base.text.source
    return over_seeds(table[attacked & home], ["variant", "length", "fpr"], ["tpr"])


def fig_scores(records, settings) -> pd.DataFrame:
    """Share of texts by score, in bins, over all seeds."""
    table, home = records("evaluate", "scores"), settings.language.base.text.source
    return shares_of_scores(table[(table.texts != "other seed") & (table.data == home)])


def fig_texts(records, settings) -> pd.DataFrame:
    """Tokens of a few texts of the first pair that is attacked."""
    table, language = records("evaluate", "shown"), settings.language
    first = (table.seed == language.seeds[0]) & (table.variant == language.evaluation.attacked[0])
    return table[first & (table.data == language.base.text.source)]
