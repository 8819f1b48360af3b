"""Records -> tables and intermediates; a function gets what its parameters name."""

import numpy as np
import pandas as pd

from papers.hyma.flops import contrastive_flops, generation_flops
from papers.hyma.ranking import agreement
from papers.hyma.shapes import connector_shapes
from shared.models.config import HypernetworkConfig

PAIR = ["image", "text"]
RUN = ["depth", "seed"]
AUTHORS = {"batch": 16384, "matched": 512, "samples": 558_128, "epochs": 10, "drawn": 4}  # 4 per step: development code
WIDTHS = [(image, text) for image in (384, 768, 1024) for text in (384, 768, 1024) for _ in range(3)]  # 27 pairs


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


def _agreements(frame: pd.DataFrame, keys: list[str], k: int, truth_column: str = "score") -> list[dict]:
    """A row per setting and seed of each method against grid search of that seed; grid search against its next seed."""
    found = []
    for setting, part in frame.groupby(keys[:-1]) if len(keys) > 1 else [((), frame)]:
        wide = {key: p.set_index(PAIR) for key, p in part.groupby(["method", "seed"])}
        seeds = sorted(part.seed.unique())
        for (method, seed), own in wide.items():
            if method == "grid":
                own = wide["grid", seeds[(seeds.index(seed) + 1) % len(seeds)]]
                if len(seeds) == 1:
                    continue
            truth = wide["grid", seed]
            own = own.loc[truth.index]
            row = dict(zip(keys, [*setting, seed], strict=True))
            row |= {"method": "grid, another seed" if method == "grid" else method, "num_pairs": len(truth)}
            row |= agreement(own.score.to_numpy(), truth[truth_column].to_numpy(), min(k, len(truth)))
            pick = own.score.idxmax()
            row |= {"regret": truth.score.max() - truth.score[pick], "pick": " + ".join(pick)}
            row |= {"grid_pick": " + ".join(truth.score.idxmax()), "own_score": own.score[pick]}
            found.append(row | {"grid_best": truth.score.max(), "mean_score": own.score.mean()})
    return found


def tab_ranking(scores, caption_scores, settings, reported) -> pd.DataFrame:
    """How each method's order of the pairs agrees with grid search's."""
    k = settings.search.num_ranked
    rows = [{"objective": "contrastive"} | row for row in _agreements(scores, RUN, k)]
    few = caption_scores.assign(depth=settings.captioning.depth, gain=1 / caption_scores.perplexity)
    rows += [{"objective": "captioning"} | r for r in _agreements(few, RUN, settings.captioning.num_ranked, "gain")]
    nine = scores[scores.image.isin(scores.image.unique()[:3]) & scores.text.isin(scores.text.unique()[:3])]
    nine = nine[(nine.depth == settings.captioning.depth) & nine.method.isin(["grid", "hyma"])]
    rows += [{"objective": "contrastive, 9 pairs"} | row for row in _agreements(nine, RUN, k)]
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
    table = _over_seeds(frame, ["depth", "method"], measures)
    costs = scores.groupby(["depth", "method"]).flops.first().rename("flops")
    return table.join(costs, on=["depth", "method"]).sort_values(["depth", "flops"])


def _over_seeds(frame: pd.DataFrame, keys: list[str], measures: list[str]) -> pd.DataFrame:
    """Means over seeds, <measure>_error (standard errors) and num_seeds."""
    groups = frame.groupby(keys)
    table = groups[measures].mean()
    for measure in measures:
        table[f"{measure}_error"] = groups[measure].std() / np.sqrt(groups.size())
    return table.assign(num_seeds=groups.size()).reset_index()


def tab_efficiency(scores, records, reported) -> pd.DataFrame:
    """Training FLOPs of each search, by the formula: ours, and at the authors' settings."""
    ours = scores.groupby(["depth", "method"]).flops.first().reset_index().assign(setting="ours")
    caption = records("caption", "scores").groupby("method").flops.first().reset_index()
    rows = [ours, caption.assign(setting="ours, captioning", depth=-1), pd.DataFrame(_authors())]
    table = pd.concat(rows, ignore_index=True)
    keys = ["setting", "depth"]
    hyma = table[table.method == "hyma"].set_index(keys).flops.rename("own")
    table["over_hyma"] = table.flops / table.join(hyma, on=keys).own
    columns = {"rows": "setting", "columns": {"ratio": "reported_ratio"}, "where": {"method": "grid"}}
    return reported.beside(table, "efficiency", **columns).sort_values([*keys, "flops"])


def _authors() -> list[dict]:
    """27 pairs for 10 epochs, and the three pairs of the poster's curve for one epoch."""
    a, network, rows = AUTHORS, HypernetworkConfig(condition_dim=32, widths=(128, 512)), []
    for depth in (0, 1, 2):
        shapes = [connector_shapes(depth, text, image, 1024) for image, text in WIDTHS]
        largest = [(max(s[i][0] for s in shapes), max(s[i][1] for s in shapes)) for i in range(depth + 1)]
        for method, batch in (("grid", a["batch"]), ("matched", a["matched"])):
            steps = a["epochs"] * (a["samples"] // batch)
            cost = steps * sum(contrastive_flops(batch, s) for s in shapes)
            rows.append({"setting": "authors'", "depth": depth, "method": method, "flops": cost})
        each = sum(contrastive_flops(a["matched"], s) for s in shapes) / len(shapes)
        each += generation_flops(network, largest)
        steps = a["epochs"] * (a["samples"] // a["matched"])
        rows.append({"setting": "authors'", "depth": depth, "method": "hyma", "flops": steps * a["drawn"] * each})
    shapes = connector_shapes(1, 384, 384, 1024)
    for method, batch in (("grid", a["batch"]), ("matched", a["matched"])):
        cost = 3 * (a["samples"] // batch) * contrastive_flops(batch, shapes)
        rows.append({"setting": "authors' curve, one epoch", "depth": 1, "method": method, "flops": cost})
    return [*rows, {"setting": "authors' curve, one epoch", "depth": 1, "method": "hyma", "flops": 10.07e12}]


def tab_bench(scores, settings) -> pd.DataFrame:
    """Each benchmark: the pair that grid search picks with its connector, Hyma's pick with the generated one."""
    names = ["r1", "r5", "r10", *[c for c in scores if c.startswith("zero_shot_")]]
    found = []
    for (depth, seed), part in scores.groupby(RUN):
        row = {m: p.loc[p.score.idxmax()] for m, p in part[part.method.isin(["grid", "hyma"])].groupby("method")}
        for name in names:
            pair = {m: row[m][name] for m in row} | {"difference": row["hyma"][name] - row["grid"][name]}
            found.append({"depth": depth, "seed": seed, "benchmark": name} | pair)
    return _over_seeds(pd.DataFrame(found), ["depth", "benchmark"], ["grid", "hyma", "difference"])


def tab_delta(scores, caption_scores, unit_1, settings, reported) -> pd.DataFrame:
    """Hyma's pick with its own connector less each baseline's, per seed; captioning in perplexity."""
    rows = []
    captions = caption_scores.assign(depth=settings.captioning.depth)
    for objective, frame in (("contrastive", scores), ("captioning", captions)):
        sign = 1 if objective == "contrastive" else -1
        for (depth, seed), part in frame.groupby(RUN):
            own = {m: p.set_index(PAIR).score * sign for m, p in part.groupby("method")}
            best = (lambda s: s.max()) if sign > 0 else (lambda s: s.min())
            grid = own["grid"]
            values = {"Random": grid.mean(), "Oracle": best(grid)}
            if objective in unit_1:
                values["UniT-1"] = grid[unit_1[objective]]
            if "halving" in own:
                values["AutoPair"] = best(own["halving"])
            for baseline, value in values.items():
                row = {"objective": objective, "depth": depth, "seed": seed, "baseline": baseline, "value": value}
                rows.append(row | {"delta": best(own["hyma"]) - value})
    how = {"rows": "baseline", "across": "objective", "value": "reported_delta"}
    return reported.beside(pd.DataFrame(rows), "delta", **how)


def fig_curve_vlm(records, settings, reported) -> pd.DataFrame:
    """Mean score over training cost for a few pairs; the poster's points in its own units."""
    frame = records("search", "curves").astype({"depth": int, "seed": int, "step": int})
    ours = frame[frame.depth == settings.search.curve_depth].rename(columns={"mean_score": "score"})
    return pd.concat([ours.assign(study="ours"), _points(reported, "curve_vlm")], ignore_index=True)


def fig_curve_mllm(records, reported) -> pd.DataFrame:
    """Mean perplexity over training cost; the poster's points in its own units."""
    frame = records("caption", "curves").astype({"seed": int, "step": int})
    ours = frame.rename(columns={"mean_perplexity": "score"}).assign(study="ours")
    return pd.concat([ours, _points(reported, "curve_mllm")], ignore_index=True)


def _points(reported, name: str) -> pd.DataFrame:
    """Rows of reported.csv "<method> <number>" with columns tflops and score."""
    wide = reported.table(name).pivot(index="row", columns="column", values="value").astype(float)
    parts = wide.index.str.split(" ")
    table = pd.DataFrame({"study": "paper", "method": parts.str[0], "step": parts.str[1].astype(int), "seed": 0})
    values = {"flops": 1e12 * wide.tflops.to_numpy(), "reported": wide.score.to_numpy()}
    return table.assign(**values).sort_values(["method", "step"])


def tab_scaling(scores, records) -> pd.DataFrame:
    """Hypernetworks for fewer pairs: score, agreement with grid search, cost."""
    grid, hyma = (scores[scores.method == m] for m in ("grid", "hyma"))
    both = grid.groupby(RUN).flops.first().rename("grid_flops")
    whole = hyma.assign(num_pairs=len(hyma.drop_duplicates(PAIR))).join(both, on=RUN)
    frame, rows = pd.concat([records("search", "subsets").astype({"depth": int, "seed": int}), whole]), []
    for (count, depth, seed), own in frame.groupby(["num_pairs", *RUN]):
        pair = own.merge(grid[grid.seed == seed], on=[*RUN, *PAIR], suffixes=("", "_grid"))
        row = agreement(pair.score.to_numpy(), pair.score_grid.to_numpy(), min(7, len(pair)))
        row |= {
            "hyma": pair.score.mean(),
            "grid": pair.score_grid.mean(),
            "ratio": (own.grid_flops / own.flops).iloc[0],
        }
        rows.append({"depth": depth, "num_pairs": int(count), "seed": seed} | row)
    return _over_seeds(pd.DataFrame(rows), ["depth", "num_pairs"], ["hyma", "grid", "spearman", "ndcg_minmax", "ratio"])


def tab_extend(scores, records, reported) -> pd.DataFrame:
    """An image encoder added to a frozen hypernetwork, beside connectors of its own."""
    frame = records("search", "extension").astype({"depth": int, "seed": int})
    grid = scores[scores.method == "grid"]
    frame = frame.merge(grid[[*RUN, *PAIR, "score"]], on=[*RUN, *PAIR], suffixes=("_extended", "_grid"))
    frame["ratio"] = frame.grid_flops / frame.flops
    frame["pair"] = frame.image + " + " + frame.text
    frame = frame.rename(columns={"score_extended": "extended", "score_grid": "grid"})
    frame["difference"] = frame.extended - frame.grid
    table = _over_seeds(frame, ["pair"], ["extended", "grid", "difference", "ratio"])
    columns = {name: f"reported_{name}" for name in ("extended", "grid", "ratio")}
    return reported.beside(table.drop(columns="ratio_error"), "extend", rows="pair", columns=columns)


def tab_variants(scores, records, settings) -> pd.DataFrame:
    """Changed hypernetworks beside the one that is used."""
    depth = settings.search.variant_depth
    base = scores[(scores.depth == depth) & (scores.method == "hyma")].assign(variant="as used")
    frame = pd.concat([base, records("search", "variants").astype({"depth": int, "seed": int})])
    grid, rows = scores[(scores.depth == depth) & (scores.method == "grid")], []
    for (variant, seed), own in frame.groupby(["variant", "seed"]):
        pair = own.merge(grid[grid.seed == seed], on=PAIR, suffixes=("", "_grid"))
        found = agreement(pair.score.to_numpy(), pair.score_grid.to_numpy(), settings.search.num_ranked)
        row = {"variant": variant, "seed": seed, "flops": own.flops.iloc[0], "best": own.score.max()}
        rows.append(row | {"mean_score": own.score.mean()} | {k: found[k] for k in ("spearman", "regret")})
    table = _over_seeds(pd.DataFrame(rows), ["variant", "flops"], ["mean_score", "best", "spearman", "regret"])
    return table.sort_values("mean_score", ascending=False)


def tab_tuning(records) -> pd.DataFrame:
    """Validation score by learning rate."""
    return records("tune").sort_values(["depth", "method", "lr"])


def tab_batch(scores, settings, reported) -> pd.DataFrame:
    """Score by batch size, linear connectors: ours beside the author's notes."""
    batches = {"grid": settings.search.grid.batch_size, "matched": settings.search.hyma.batch_size}
    batches |= {"hyma": settings.search.hyma.batch_size}
    frame = scores[(scores.depth == 0) & scores.method.isin(batches)].copy()
    frame["run"] = [f"{'hyma' if m == 'hyma' else 'grid'} {batches[m]}" for m in frame.method]
    means = frame.groupby(["run", "seed"], as_index=False).agg(score=("score", "mean"), flops=("flops", "first"))
    table = _over_seeds(means, ["run", "flops"], ["score"])
    columns = {"accuracy": "reported_accuracy", "tflops": "reported_tflops"}
    return reported.beside(table, "batch", rows="run", columns=columns)


def tab_captioning(caption_scores, records) -> pd.DataFrame:
    """Perplexity of each image encoder with each language model, and of these with the true preface or none."""
    wide = _over_seeds(caption_scores, ["image", "text", "method"], ["perplexity"])
    grid, hyma = (wide[wide.method == m].drop(columns="method").set_index(PAIR) for m in ("grid", "hyma"))
    table = grid.add_prefix("grid_").join(hyma.add_prefix("hyma_")).reset_index()
    table = table.rename(columns={"text": "language_model", "grid_num_seeds": "num_seeds"}).drop(
        columns="hyma_num_seeds"
    )
    frame = records("caption")
    alone = frame[frame.part == "alone"].set_index("language_model")
    return table.join(
        alone[["true_preface", "zeros"]] if len(alone) else pd.DataFrame(columns=["true_preface", "zeros"]),
        on="language_model",
    )


def tab_exact(records) -> pd.DataFrame:
    """Costs and orders against logged, counted and closed values."""
    frame = records("exact").rename(columns={"part": "check"})
    return frame.assign(relative_error=frame.value / frame.expected - 1)


def fig_heatmap(scores) -> pd.DataFrame:
    """Mean score over the seeds of each pair under both methods."""
    frame = scores[scores.method.isin(["grid", "hyma"])]
    return (
        frame.groupby(["depth", "method", *PAIR], sort=False)
        .agg(score=("score", "mean"), spread=("score", "std"))
        .reset_index()
        .sort_values(["depth", "method"], kind="stable")
    )


def fig_retrieval(records) -> pd.DataFrame:
    """The nearest images of some captions."""
    return records("search", "retrieved").astype({"rank": int, "height": int, "width": int})
