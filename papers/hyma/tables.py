"""Records -> tables and intermediates; a function gets what its parameters name."""

import numpy as np
import pandas as pd

from papers.hyma.comparing import PAIR, RUN, against_grid, agreements, authors, deltas, over_seeds, points

ALONE = ["true_preface", "zeros"]  # what a language model is given


def scores(records) -> pd.DataFrame:
    """One row per method, depth, seed and pair of the contrastive search."""
    return records("search", "scores").astype({"depth": int, "seed": int})


def caption_scores(records) -> pd.DataFrame:
    """The same of captioning, with score = -perplexity."""
    frame = records("caption", "scores").rename(columns={"language_model": "text"}).astype({"seed": int})
    return frame.assign(score=-frame.perplexity)


def unimodal(records) -> dict[str, pd.Series]:
    """Modality -> score of each encoder."""
    return {kind: part.set_index("encoder").score for kind, part in records("embed").groupby("kind")}


def unit_1(unimodal, records) -> dict[str, tuple[str, str]]:
    """Objective -> the pair of the encoders that are best alone; of language models, that of least perplexity."""
    found = {"contrastive": (unimodal["image"].idxmax(), unimodal["text"].idxmax())}
    own = records("caption", "scores")
    best = unimodal["image"][own.image.unique()].idxmax()
    alone = records("caption")
    if "alone" in set(alone.part):
        models = records("caption", "alone").set_index("language_model").true_preface
        found["captioning"] = (best, models.idxmin())
    return found


def named_pairs(unit_1, records) -> dict[str, dict[str, tuple[str, str]]]:
    """Objective -> baseline -> the pair that it names without any stitching; Ask-LLM's where an answer is recorded."""
    found = {objective: {"UniT-1": pair} for objective, pair in unit_1.items()}
    search = records("search")
    for answer in search[search.part == "asked"].itertuples():
        found["contrastive"]["Ask-LLM"] = (answer.image, answer.text)
    return found


def fig_unimodal(scores, unimodal, unit_1, reported) -> pd.DataFrame:
    """Scores of encoders alone and of their pairs under grid search, beside the poster's."""
    rows = [{"part": k, "name": n, "score": s} for k, own in unimodal.items() for n, s in own.items()]
    grid = scores[scores.method == "grid"]
    for row in grid.itertuples():
        role = "UniT-1" if (row.image, row.text) == unit_1["contrastive"] else ""
        named = {"part": "pair", "name": f"{row.image} + {row.text}", "depth": row.depth, "seed": row.seed}
        rows.append(named | {"score": row.score, "role": role})
    table = reported.beside(pd.DataFrame(rows), "unimodal", rows="name", columns={"score": "reported"})
    ours = table.reported.isna()
    theirs = np.where(table.name.str.contains(r"\+"), "pair", np.where(table.name.str.contains("-L$"), "image", "text"))
    return table.assign(part=table.part.where(ours, theirs), role=table.role.fillna(""))


def tab_ranking(scores, caption_scores, settings, reported) -> pd.DataFrame:
    """How each method's order of the pairs agrees with grid search's."""
    k = settings.search.num_ranked
    rows = [{"objective": "contrastive"} | row for row in agreements(scores, RUN, k)]
    few = caption_scores.assign(depth=settings.captioning.depth, gain=1 / caption_scores.perplexity)
    rows += [{"objective": "captioning"} | r for r in agreements(few, RUN, settings.captioning.num_ranked, "gain")]
    nine = scores[scores.image.isin(scores.image.unique()[:3]) & scores.text.isin(scores.text.unique()[:3])]
    nine = nine[(nine.depth == settings.captioning.depth) & nine.method.isin(["grid", "hyma"])]
    rows += [{"objective": "contrastive, 9 pairs"} | row for row in agreements(nine, RUN, k)]
    where = {"rows": "objective", "columns": {"ndcg@7": "reported_ndcg"}, "where": {"method": "hyma"}}
    return reported.beside(pd.DataFrame(rows), "ranking", **where)


def tab_methods(scores, tab_ranking) -> pd.DataFrame:
    """Each method's cost, its pick's value under grid search and under its own connector; mean over seeds."""
    frame = tab_ranking[tab_ranking.objective == "contrastive"].copy()
    frame["pick_under_grid"] = frame.grid_best - frame.regret
    oracle = frame[frame.method == "hyma"].assign(
        method="grid", pick_under_grid=lambda f: f.grid_best, own_score=lambda f: f.grid_best
    )
    oracle["mean_score"] = oracle.merge(
        scores[scores.method == "grid"].groupby(RUN).score.mean().reset_index(), on=RUN
    ).score.to_numpy()
    frame = pd.concat([frame[frame.method != "grid, another seed"], oracle])
    measures = ["pick_under_grid", "own_score", "mean_score"]
    table = over_seeds(frame, ["depth", "method"], measures)
    costs = scores.groupby(["depth", "method"]).flops.first().rename("flops")
    return table.join(costs, on=["depth", "method"]).sort_values(["depth", "flops"])


def tab_efficiency(scores, records, reported) -> pd.DataFrame:
    """Training FLOPs of each search, by the formula: ours, and at the authors' settings."""
    ours = scores.groupby(["depth", "method"]).flops.first().reset_index().assign(setting="ours")
    caption = records("caption", "scores").groupby("method").flops.first().reset_index()
    rows = [ours, caption.assign(setting="ours, captioning", depth=-1), pd.DataFrame(authors())]
    table = pd.concat(rows, ignore_index=True)
    keys = ["setting", "depth"]
    hyma = table[table.method == "hyma"].set_index(keys).flops.rename("own")
    table["over_hyma"] = table.flops / table.join(hyma, on=keys).own
    columns = {"rows": "setting", "columns": {"ratio": "reported_ratio"}, "where": {"method": "grid"}}
    return reported.beside(table, "efficiency", **columns).sort_values([*keys, "flops"])


def tab_bench(scores, settings) -> pd.DataFrame:
    """Each benchmark: the pair that grid search picks with its connector, Hyma's pick with the generated one."""
    names = ["r1", "r5", "r10", *[c for c in scores if c.startswith("zero_shot_")]]
    found = []
    for (depth, seed), part in scores.groupby(RUN):
        row = {m: p.loc[p.score.idxmax()] for m, p in part[part.method.isin(["grid", "hyma"])].groupby("method")}
        for name in names:
            pair = {m: row[m][name] for m in row} | {"difference": row["hyma"][name] - row["grid"][name]}
            found.append({"depth": depth, "seed": seed, "benchmark": name} | pair)
    return over_seeds(pd.DataFrame(found), ["depth", "benchmark"], ["grid", "hyma", "difference"])


def tab_delta(scores, caption_scores, named_pairs, settings, reported) -> pd.DataFrame:
    """Hyma's pick with its own connector less each baseline's, per seed; captioning in perplexity."""
    captions = caption_scores.assign(depth=settings.captioning.depth)
    rows = [*deltas(scores, "contrastive", named_pairs["contrastive"])]
    rows += deltas(captions, "captioning", named_pairs.get("captioning", {}))
    how = {"rows": "baseline", "across": "objective", "value": "reported_delta"}
    return reported.beside(pd.DataFrame(rows), "delta", **how)


def fig_curve_vlm(records, settings, reported) -> pd.DataFrame:
    """Mean score over training cost for a few pairs; the poster's points in its own units."""
    frame = records("search", "curves").astype({"depth": int, "seed": int, "step": int})
    ours = frame[frame.depth == settings.search.curve_depth].rename(columns={"mean_score": "score"})
    return pd.concat([ours.assign(study="ours"), points(reported, "curve_vlm")], ignore_index=True)


def fig_curve_mllm(records, reported) -> pd.DataFrame:
    """Mean perplexity over training cost; the poster's points in its own units."""
    frame = records("caption", "curves").astype({"seed": int, "step": int})
    ours = frame.rename(columns={"mean_perplexity": "score"}).assign(study="ours")
    return pd.concat([ours, points(reported, "curve_mllm")], ignore_index=True)


def tab_scaling(scores, records) -> pd.DataFrame:
    """Hypernetworks for fewer pairs: score, agreement with grid search, cost."""
    grid, hyma = (scores[scores.method == m] for m in ("grid", "hyma"))
    both = grid.groupby(RUN).flops.first().rename("grid_flops")
    whole = hyma.assign(num_pairs=len(hyma.drop_duplicates(PAIR))).join(both, on=RUN)
    frame = pd.concat([records("search", "subsets").astype({"depth": int, "seed": int}), whole])
    rows = against_grid(frame.assign(ratio=frame.grid_flops / frame.flops), grid, ["num_pairs", "depth"])
    measures = ["hyma", "grid", "spearman", "ndcg_minmax", "ratio"]
    return over_seeds(rows.astype({"num_pairs": int}), ["depth", "num_pairs"], measures)


def tab_extend(scores, records, reported) -> pd.DataFrame:
    """An image encoder added to a frozen hypernetwork, beside connectors of its own."""
    frame = records("search", "extension").astype({"depth": int, "seed": int})
    grid = scores[scores.method == "grid"]
    frame = frame.merge(grid[[*RUN, *PAIR, "score"]], on=[*RUN, *PAIR], suffixes=("_extended", "_grid"))
    frame["ratio"] = frame.grid_flops / frame.flops
    frame["pair"] = frame.image + " + " + frame.text
    frame = frame.rename(columns={"score_extended": "extended", "score_grid": "grid"})
    columns = {name: f"reported_{name}" for name in ("extended", "grid", "ratio")}
    return reported.beside(frame[["pair", "seed", *columns]], "extend", rows="pair", columns=columns)


def tab_variants(scores, records, settings) -> pd.DataFrame:
    """Changed hypernetworks beside the one that is used."""
    own = scores[scores.depth == settings.search.variant_depth]
    base = own[own.method == "hyma"].assign(variant="as used")
    frame = pd.concat([base, records("search", "variants").astype({"depth": int, "seed": int})])
    rows = against_grid(frame, own[own.method == "grid"], ["variant", "depth"]).rename(columns={"hyma": "mean_score"})
    table = over_seeds(rows, ["variant", "flops"], ["mean_score", "best", "spearman", "regret"])
    return table.sort_values("mean_score", ascending=False)


def tab_batch(scores, settings, reported) -> pd.DataFrame:
    """Score by batch size, linear connectors: ours beside the author's notes."""
    batches = {"grid": settings.search.grid.batch_size, "matched": settings.search.hyma.batch_size}
    batches |= {"hyma": settings.search.hyma.batch_size}
    frame = scores[(scores.depth == 0) & scores.method.isin(batches)].copy()
    frame["run"] = [f"{'hyma' if m == 'hyma' else 'grid'} {batches[m]}" for m in frame.method]
    means = frame.groupby(["run", "seed"], as_index=False).agg(score=("score", "mean"), flops=("flops", "first"))
    table = over_seeds(means, ["run", "flops"], ["score"])
    columns = {"accuracy": "reported_accuracy", "tflops": "reported_tflops"}
    return reported.beside(table, "batch", rows="run", columns=columns)


def tab_captioning(caption_scores, records) -> pd.DataFrame:
    """Perplexity of each image encoder with each language model, and of these with the true preface or none."""
    wide = over_seeds(caption_scores, ["image", "text", "method"], ["perplexity"])
    grid, hyma = (wide[wide.method == m].drop(columns="method").set_index(PAIR) for m in ("grid", "hyma"))
    table = grid.add_prefix("grid_").join(hyma.add_prefix("hyma_")).reset_index()
    table = table.rename(columns={"text": "language_model", "grid_num_seeds": "num_seeds"})
    frame = records("caption")
    alone = frame[frame.part == "alone"].set_index("language_model")
    return table.drop(columns="hyma_num_seeds").join(alone.reindex(columns=ALONE), on="language_model")


def tab_exact(records) -> pd.DataFrame:
    """Costs and orders against logged, counted and closed values."""
    frame = records("exact").rename(columns={"part": "check"})
    return frame.assign(relative_error=frame.value / frame.expected - 1)


def fig_tuning(records) -> pd.DataFrame:
    """Validation scores, for captioning perplexities, over the learning rates that were tried."""
    search, captioning = records("tune"), records("caption", "rates")
    studies = [
        search.assign(study="depth " + search.depth.astype(int).astype(str), value=search.mean_score),
        captioning.assign(study="captioning", value=captioning.mean_perplexity),
    ]
    return pd.concat(studies, ignore_index=True)


def fig_retrieval(records) -> pd.DataFrame:
    """The nearest images of some captions."""
    return records("search", "retrieved").astype({"rank": int, "height": int, "width": int})
