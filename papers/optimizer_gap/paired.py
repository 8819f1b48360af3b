"""Differences of losses seed by seed: between methods, batch sizes, groups of tokens and interventions. No torch here.

Runs that share a seed share their initial weights and their draws of the data, whatever the method and the batch size.
Every standard error below is that of the mean over seeds of the very number it stands beside. Losses in nats per token.
"""

import math

import pandas as pd

from papers.optimizer_gap.comparing import METHODS, PLAIN, of_arms, seeds_of
from papers.optimizer_gap.edges import best_of_arms, best_of_methods
from shared.artifacts.estimates import mean_of

SHORT = {"SGD": "sgd", "Adam": "adam", "Adam, beta2 tuned": "adam_tuned"}
ALLOWED = (2 / 3, 1 / 3)  # share of a group's gap at the largest batch that the smallest may have: frequent, rare half
TUNED_OVER = {"SGD": "SGD, momentum 0", "Adam, beta2 tuned": "Adam, beta2 = 0.95"}  # method -> without what it tunes


def named(name: str, values: pd.Series) -> dict[str, float]:
    """Columns of a mean over seeds: `name` and <name>_error."""
    found = mean_of(values)
    return {name: found.value, f"{name}_error": found.noise}


def ratio_of_means(name: str, above: pd.Series, below: pd.Series) -> dict[str, float]:
    """Columns of mean(above) / mean(below) over seeds, with its standard error to first order."""
    share = above.mean() / below.mean()
    return {name: share, f"{name}_error": mean_of(above - share * below).noise / abs(below.mean())}


def by_seed(seeds: pd.DataFrame, metric: str = "val_loss") -> pd.DataFrame:
    """Losses by seed (rows), batch size and method (columns), the batch sizes ascending."""
    return seeds.pivot(index="seed", columns=["batch_size", "method"], values=metric).sort_index(axis=1)


def gap_table(best: pd.DataFrame, seeds: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Losses of `methods`, SGD first, at each batch size, the gaps between SGD and the others, and how the first grows.

    Returns:
        gap, gap_tuned with their Student-t bounds <gap>_low and _high (95%); growth: the gap less that at the batch
        size before; growth_overall: less that at the smallest.
    """
    loss, rows = by_seed(seeds), []
    sizes = sorted(seeds.batch_size.unique())
    gaps = {b: loss[b, "SGD"] - loss[b, "Adam"] for b in sizes}
    for before, batch_size in zip([None, *sizes], sizes, strict=False):
        own, part = best[best.batch_size == batch_size].set_index("method"), seeds[seeds.batch_size == batch_size]
        row = {"batch_size": batch_size, "num_steps": part.num_steps.iloc[0], "num_seeds": len(loss)}
        row |= {f"{SHORT[m]}_loss": loss[batch_size, m].mean() for m in methods}
        row |= {f"{SHORT[m]}_settings": own.num_settings[m] for m in methods}
        for method, name in zip(methods[1:], ("gap", "gap_tuned"), strict=False):
            gap = mean_of(loss[batch_size, "SGD"] - loss[batch_size, method])
            row |= {name: gap.value, f"{name}_error": gap.noise}
            row |= {f"{name}_low": gap.value - gap.margin(), f"{name}_high": gap.value + gap.margin()}
        row |= {"growth": math.nan, "growth_error": math.nan} | named(
            "growth_overall", gaps[batch_size] - gaps[sizes[0]]
        )
        if before is not None:
            row |= named("growth", gaps[batch_size] - gaps[before])
        edges = {SHORT[m]: own.edge[m] for m in methods if own.edge[m] != "inside"}
        row |= {"ppl_ratio": math.exp(row["gap"])}
        rows.append(row | {"at_edge": "; ".join(f"{name} {edge}" for name, edge in edges.items())})
    return pd.DataFrame(rows)


def learned(table: pd.DataFrame, seeds: pd.DataFrame, unigram: float) -> pd.DataFrame:
    """`table` with what the worse of SGD and Adam has learned at each batch size: the unigram entropy less its loss."""
    loss, found = by_seed(seeds), []
    for batch_size in table.batch_size:
        worse = max(("SGD", "Adam"), key=lambda method, size=batch_size: loss[size, method].mean())
        found.append({"least_learned_by": worse, **named("least_learned", unigram - loss[batch_size, worse])})
    return pd.concat([table, pd.DataFrame(found, index=table.index)], axis=1)


def ranges(tab_best: pd.DataFrame, best_runs: pd.DataFrame) -> pd.DataFrame:
    """How much the best loss of each method varies over the batch sizes.

    The batch sizes with the smallest and the largest loss are those of the seeds that chose the settings.

    Returns:
        lowest_at, highest_at, range, range_error; over_sgd: the range over SGD's, over_sgd_error; edge: optima of the
        method at an end of their grid.
    """
    loss, rows, spans = by_seed(best_runs), [], {}
    for method in METHODS:
        own = tab_best[tab_best.method == method].set_index("batch_size")
        low, high = own.chosen_loss.idxmin(), own.chosen_loss.idxmax()
        spans[method] = loss[high, method] - loss[low, method]
        edges = [f"B{size} {edge}" for size, edge in own.edge.items() if edge != "inside"]
        row = {"method": method, "lowest_at": low, "highest_at": high, "num_seeds": len(loss)}
        row |= named("range", spans[method]) | ratio_of_means("over_sgd", spans[method], spans["SGD"])
        rows.append(row | {"edge": "; ".join(edges) or "inside"})
    return pd.DataFrame(rows)


def tuning_gains(main_runs: pd.DataFrame) -> pd.DataFrame:
    """What SGD gains by its best momentum over none, and Adam by its best beta2 over 0.95, each at its own best rate.

    Returns:
        method, batch_size, value (the best one), gain, lead (the gain at the smallest batch less this one), edge.
    """
    best = best_of_methods(main_runs, METHODS | PLAIN)
    loss, rows = by_seed(seeds_of(best, main_runs)), []
    for method, plain in TUNED_OVER.items():
        own, beside = (best[best.method == name].set_index("batch_size") for name in (method, plain))
        gains = {size: loss[size, plain] - loss[size, method] for size in sorted(own.index)}
        for size, gain in gains.items():
            row = {"method": method, "batch_size": size, "value": own[METHODS[method][2]][size], "num_seeds": len(loss)}
            row |= named("gain", gain) | named("lead", gains[min(gains)] - gain)
            edges = [
                f"{of}{t.edge[size]}" for of, t in (("", own), ("without it ", beside)) if t.edge[size] != "inside"
            ]
            rows.append(row | {"edge": "; ".join(edges) or "inside"})
    return pd.DataFrame(rows)


def group_gaps(seeds: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Losses of the best SGD and the best Adam by frequency group, and their gap, on held-out and on training text.

    `gap_tuned`: to Adam with tuned beta2, on held-out text. `room`, `room_tuned`: what is left to `allowed` times the
    gap at the largest batch; negative where the gap is above that.
    """
    rows, largest = [], seeds.batch_size.max()
    for facts in groups.to_dict("records"):
        loss = {split: by_seed(seeds, f"{split}_group_{facts['group']}") for split in ("val", "train")}
        allowed = ALLOWED[facts["group"] >= len(groups) / 2]
        for batch_size in sorted(seeds.batch_size.unique()):
            row = {"batch_size": batch_size, "num_seeds": len(loss["val"]), "allowed": allowed, **facts}
            for split, found in loss.items():
                row |= {f"{SHORT[m]}_{split}": found[batch_size, m].mean() for m in ("SGD", "Adam")}
                row |= named(f"gap_{split}", _behind(found, batch_size, "Adam"))
            row |= named("gap_tuned", _behind(loss["val"], batch_size, "Adam, beta2 tuned"))
            for name, adam in (("room", "Adam"), ("room_tuned", "Adam, beta2 tuned")):
                gap, most = (_behind(loss["val"], size, adam) for size in (batch_size, largest))
                row |= named(name, allowed * most - gap)
            rows.append(row)
    return pd.DataFrame(rows).sort_values(["batch_size", "group"], ignore_index=True)


def _behind(loss: pd.DataFrame, batch_size: int, adam: str) -> pd.Series:
    """How far SGD is behind `adam`, by seed; `loss` as of `by_seed`."""
    return loss[batch_size, "SGD"] - loss[batch_size, adam]


def closed_gaps(seeds: pd.DataFrame) -> pd.DataFrame:
    """How far each arm is from SGD and from Adam, and the share of the gap between both that it closes.

    Args:
        seeds: arm, seed, val_loss.
    Returns:
        gain (over SGD), behind (Adam), recovered by arm, each with <name>_error; of a ratio of means to first order.
    """
    loss = seeds.pivot(index="seed", columns="arm", values="val_loss")
    rows = {
        arm: named("gain", loss["SGD"] - loss[arm])
        | named("behind", loss[arm] - loss["Adam"])
        | ratio_of_means("recovered", loss["SGD"] - loss[arm], loss["SGD"] - loss["Adam"])
        for arm in loss
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def interventions(tried: pd.DataFrame, best: pd.DataFrame, seeds: pd.DataFrame) -> pd.DataFrame:
    """Best loss of each arm at the batch size of `tried`, beside SGD and Adam; see `closed_gaps`.

    Args:
        tried: runs of the interventions. best, seeds: best settings of the plain methods, and their runs.
    """
    tried, batch_size = of_arms(tried), int(tried.batch_size.iloc[0])
    best, seeds = (t[t.batch_size == batch_size].rename(columns={"method": "arm"}) for t in (best, seeds))
    best, seeds = (t[t.arm != "Adam, beta2 tuned"] for t in (best, seeds))
    found, keys = best_of_arms(tried), ["arm", "lr", "momentum"]
    measuring = tried[tried.fresh] if tried.fresh.any() else tried
    table = pd.concat([best, found.assign(batch_size=batch_size)])
    return table.join(closed_gaps(pd.concat([seeds, measuring.merge(found[keys], on=keys)])), on="arm")
