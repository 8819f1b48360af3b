"""Claims that rest on several rows, on tables made by hand; cells, tables and settings of the paper."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from papers.ar_scaling.claims import (
    coarse_grid_misses,
    conv_k_or_v_not_q,
    copy_width_beats_depth,
    deltanet_robust,
    mamba_needs_conv_at_depth_one,
    one_layer_attention_at_baseline,
    recurrent_gain_from_width,
    recurrent_lr_narrow,
    two_layer_attention_solves,
)
from papers.ar_scaling.runs import best_rates, described, largest_fall, over_seeds, scored
from papers.ar_scaling.studies import Caps, Study
from papers.ar_scaling.tables import tab_bump, tab_coarse, tab_seeds, tab_window
from shared.artifacts.checks import FAILS, HOLDS, NOISE, verdict_of
from shared.artifacts.config import load_config, load_shards
from shared.base.paths import repo_root
from shared.train.sweep.__main__ import sweeps_of

SEEDS = (0, 1, 2)
B = 0.5
CONVS = ["conv on QKV (causal)", "conv on K (causal)", "conv on V (centred)", "conv on Q (causal)"]
CONVS += ["conv on Q (centred)", "conv on V (causal)", "conv on K (centred)"]


def ablation(**accuracies) -> pd.DataFrame:
    """Rows by seed; values a little apart, so that they have a spread."""
    rows = [
        {"row": row, "seed": seed, "accuracy": accuracy + 0.001 * seed, "baseline": B}
        for row, accuracy in accuracies.items()
        for seed in SEEDS
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1, 1, 1, 0.5, 0.5, 0.5, 0.5), HOLDS),
        ((1, 0.6, 1, 0.5, 0.5, 0.5, 0.5), FAILS),  # K does not rescue
        ((1, 1, 1, 0.5, 0.9, 0.5, 0.5), FAILS),  # Q does
    ],
)
def test_convolutions_decide_row_by_row(values, verdict):
    table = ablation(**{f"Attention + {conv}": value for conv, value in zip(CONVS, values, strict=True)})
    assert verdict_of(list(conv_k_or_v_not_q(table))) == verdict


@pytest.mark.parametrize(
    ("without", "with_conv", "verdict"), [(0.5, 0.95, HOLDS), (0.8, 0.95, FAILS), (0.5, 0.6, FAILS)]
)
def test_mamba_is_judged_with_and_without_its_convolution(without, with_conv, verdict):
    table = ablation(**{"Mamba without conv1d": without, "Mamba": with_conv})
    assert verdict_of(list(mamba_needs_conv_at_depth_one(table, SimpleNamespace(scale="cpu")))) == verdict


@pytest.mark.parametrize(("scale", "verdict"), [("cpu", HOLDS), ("gpu", FAILS)])
def test_a_mamba_on_its_way_is_enough_at_cpu_alone(scale, verdict):
    table = ablation(**{"Mamba without conv1d": 0.5, "Mamba": 0.85})
    assert verdict_of(list(mamba_needs_conv_at_depth_one(table, SimpleNamespace(scale=scale)))) == verdict


def attention(one: dict, two: float = 1.0) -> pd.DataFrame:
    """One-layer accuracies by (width, lr), one two-layer accuracy."""
    rows = [{"num_layers": 1, "d_model": width, "lr": lr, "accuracy": a} for (width, lr), a in one.items()]
    rows += [{"num_layers": 2, "d_model": 32, "lr": 1e-3, "accuracy": two}]
    found = pd.concat(
        [pd.DataFrame(rows).assign(study="a", task="main", seed=s, baseline=B) for s in SEEDS], ignore_index=True
    )
    return found.assign(accuracy=found.accuracy + 0.001 * found.seed)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        ({(16, 1e-3): 0.5, (32, 1e-3): 0.48, (32, 1e-2): 0.1}, HOLDS),  # a bad rate of a width does not count
        ({(16, 1e-3): 0.5, (32, 1e-3): 0.7}, FAILS),
        ({(16, 1e-3): 0.7, (32, 1e-3): 0.7, (32, 1e-2): 0.1}, FAILS),  # at every width alike
        ({(16, 1e-3): 0.3, (32, 1e-3): 0.5}, FAILS),  # it rises with width
    ],
)
def test_one_layer_of_attention_is_judged_at_its_best(one, verdict):
    assert verdict_of(list(one_layer_attention_at_baseline(attention(one)))) == verdict
    assert verdict_of(list(two_layer_attention_solves(attention(one, 0.7)))) == FAILS


def test_the_second_layer_counts_only_where_the_first_fails():
    assert verdict_of(list(two_layer_attention_solves(attention({(32, 1e-3): 0.5})))) == HOLDS
    assert verdict_of(list(two_layer_attention_solves(attention({(32, 1e-3): 0.9})))) == FAILS


def test_each_task_has_its_own_baseline_and_two_layers_are_judged_at_their_smallest_width():
    easy = attention({(32, 1e-3): 0.5})
    hard = attention({(32, 1e-3): 0.3}).assign(task="hard", baseline=0.1)
    both = pd.concat([easy, hard])
    assert verdict_of(list(two_layer_attention_solves(both))) == FAILS  # 0.2 above its own, 0.2 below the other's
    wide = attention({(32, 1e-3): 0.5}, two=0.6)
    wider = wide[wide.num_layers == 2].assign(d_model=64, accuracy=lambda t: 0.99 + 0.001 * t.seed)
    assert verdict_of(list(two_layer_attention_solves(pd.concat([wide, wider])))) == FAILS


def widths(**own) -> pd.DataFrame:
    rows = [
        {
            "row": row.replace("_", "-"),
            "num_layers": layers,
            "d_model": 32,
            "seed": seed,
            "threshold": 0.9,
            "width": width + 0.01 * seed,
        }
        for row, (layers, width) in own.items()
        for seed in SEEDS
    ]
    return pd.DataFrame(rows)


def test_windows_are_paired_by_seed():
    assert verdict_of(list(deltanet_robust(widths(DeltaNet=(1, 1.7), Mamba=(1, 0.3))))) == HOLDS
    assert verdict_of(list(deltanet_robust(widths(DeltaNet=(1, 1.7), Mamba=(1, 1.5))))) == FAILS
    assert verdict_of(list(deltanet_robust(widths(DeltaNet=(1, 1.0), Mamba=(1, 0.0))))) == FAILS
    narrow, wide = widths(DeltaNet=(1, 1.7), Mamba=(1, -0.3)), widths(Mamba=(1, 1.5)).assign(d_model=64)
    assert verdict_of(list(deltanet_robust(pd.concat([narrow, wide])))) == FAILS  # of every width, not of their mean
    assert verdict_of(list(recurrent_lr_narrow(widths(Attention=(2, 1.7), Mamba=(2, 0.3))))) == HOLDS
    assert verdict_of(list(recurrent_lr_narrow(widths(Attention=(2, 0.3), Mamba=(1, 0.3))))) == FAILS


def by_width(**accuracies) -> pd.DataFrame:
    """Accuracy of each row at widths 16, 32 and 64, seeds a little apart."""
    rows = [
        {"row": row, "d_model": width, "seed": seed, "accuracy": a + 0.001 * seed}
        for row, values in accuracies.items()
        for width, a in zip((16, 32, 64), values, strict=True)
        for seed in SEEDS
    ]
    return pd.DataFrame(rows).assign(task="dense", baseline=0.03)


@pytest.mark.parametrize(
    ("mamba", "attention", "verdict"),
    [
        ((0.1, 0.5, 1.0), (0.1, 0.1, 0.1), HOLDS),
        ((0.1, 0.2, 0.3), (0.1, 0.1, 0.1), FAILS),  # it rises by too little
        ((0.5, 0.1, 1.0), (0.1, 0.1, 0.1), FAILS),  # not with the width
        ((0.1, 0.5, 1.0), (0.1, 0.3, 0.1), FAILS),  # so does attention
    ],
)
def test_width_counts_where_accuracy_rises_with_it_in_recurrent_models_alone(mamba, attention, verdict):
    table = by_width(Mamba=mamba, Hyena=(0.1, 0.5, 1.0), Attention=attention)
    assert verdict_of(list(recurrent_gain_from_width(table))) == verdict
    assert verdict_of(list(recurrent_gain_from_width(table[table.seed == 0]))) in (
        NOISE,
        FAILS,
    )  # one seed holds nothing


def test_width_is_judged_on_the_densest_task_over_the_seeds_that_all_widths_have():
    table = by_width(Mamba=(0.1, 0.5, 1.0), Hyena=(0.1, 0.5, 1.0), Attention=(0.1, 0.1, 0.1))
    easier = table.assign(task="m64", baseline=0.3, accuracy=1.0)  # where small widths do as well
    more = table[table.d_model == 64].assign(seed=lambda t: t.seed + 3, accuracy=0.0)  # seeds of one width alone
    gains = {
        check.name: check.estimate.value
        for check in recurrent_gain_from_width(pd.concat([easier, table, more]))
        if check.name[:4] == "gain"
    }
    assert gains == pytest.approx({"gain_Mamba": 0.9, "gain_Hyena": 0.9})


def coarse(**gains) -> pd.DataFrame:
    """Best accuracies on the fine grid and on the coarse one, by (row, width)."""
    rows = [
        {"row": row, "d_model": width, "seed": seed, "best_fine": 0.95 + 0.001 * seed, "best_coarse": 0.95 - gain}
        for row, values in gains.items()
        for width, gain in values.items()
        for seed in SEEDS
    ]
    return pd.DataFrame(rows).assign(task="main", num_layers=1, num_coarse=2)


@pytest.mark.parametrize(
    ("mamba", "attention", "verdict"),
    [
        ({32: 0.0, 64: 0.3}, {32: 0.0}, HOLDS),  # one cell is enough
        ({32: 0.0, 64: 0.05}, {32: 0.0}, FAILS),
        ({32: 0.0, 64: 0.3}, {32: 0.0, 64: 0.1}, FAILS),  # attention gains somewhere
    ],
)
def test_a_coarse_grid_misses_recurrent_models_and_not_attention(mamba, attention, verdict):
    assert verdict_of(list(coarse_grid_misses(coarse(Mamba=mamba, Hyena={32: 0.0}, Attention=attention)))) == verdict


def test_copying_needs_the_gap_and_the_same_size():
    def table(deep, params):
        rows = {"row": ["Mamba, wide", "Mamba, deep"], "accuracy": [1.0, deep], "params": [100, params]}
        return pd.DataFrame(rows).assign(standard_error=0.01, num_seeds=3)

    assert verdict_of(list(copy_width_beats_depth(table(0.2, 102)))) == HOLDS
    assert verdict_of(list(copy_width_beats_depth(table(0.9, 102)))) == FAILS
    assert verdict_of(list(copy_width_beats_depth(table(0.2, 150)))) == FAILS


def record(study: str) -> pd.DataFrame:
    """Two rates of one study, two seeds; the larger rate diverged for the second seed, its last answers are good."""
    rows = []
    for lr in (1e-3, 1e-2):
        for seed in (0, 1):
            lost = lr == 1e-2 and seed == 1
            run = {"study": study, "task": "main", "model_num_layers": 1, "model_d_model": 32, "lr": lr}
            run |= {
                "run": f"adamw lr={lr:g} seed={seed}",
                "seed": seed,
                "diverged": lost,
                "params": 10,
                "num_steps": 20,
            }
            for step, loss in ((10, 4.0), (11, 2.0), (20, 1.9)):
                shares = {"previous_0": 0.1, "induction_0": 0.5, "values_0": 0.9}
                rows.append(
                    run | {"phase": "eval", "step": step, "val_loss": loss, "val_accuracy": 20 * lr * step} | shares
                )
            rows.append(
                run
                | {"phase": "test", "step": 20, "measure": "test", "at": 0, "accuracy": 0.9, "loss": 1, "whole": 0.5}
            )
    return pd.DataFrame(rows)


def test_a_diverged_run_counts_as_nothing_and_rates_are_chosen_on_validation():
    config = load_config("ar_scaling", "cpu")
    runs = scored(described(record("attention_2"), config.studies, config.tasks))
    assert runs.run.nunique() == 4 and runs.set_index(["lr", "seed"]).accuracy[1e-2, 1] == 0
    half = runs.set_index(["lr", "seed"]).steps_to_half  # half way from 0.56 to 1; 0.4 at the end is none
    assert half[1e-2, 0] == 10 and np.isnan(half[1e-3, 0])
    means = over_seeds(runs, ["study", "row", "task", "num_layers", "d_model", "lr"])
    assert means.accuracy.tolist() == pytest.approx([0.9, 0.45])
    best = best_rates(means, ["study"])
    assert best.lr.tolist() == [1e-2] and best.edge.tolist() == ["high"]  # 2.0 on average in validation


def test_a_fall_is_counted_within_a_tenth_and_from_a_ceiling_down():
    steps, loss = pd.Series([5, 10, 15, 50, 100]), pd.Series([9.0, 4.0, 2.5, 2.0, 0.5])
    assert largest_fall(steps, loss, 3.0) == pytest.approx((0.5, 0.05))  # from 3 to 2.5 at 15; to 0.5 takes half of all
    assert largest_fall(steps, loss, 9.0) == pytest.approx((6.5, 0.05))
    assert largest_fall(steps, loss, 3.0, share=0.5) == pytest.approx((1.5, 0.5))


def test_a_plateau_of_rates_has_its_best_in_the_middle():
    table = pd.DataFrame({"c": 1, "lr": [1e-4, 1e-3, 1e-2, 1e-1], "val_accuracy": [0.5, 1.0, 0.995, 0.991]})
    assert best_rates(table, ["c"]).lr.tolist() == [1e-2] and best_rates(table, ["c"]).edge.tolist() == ["inside"]


def test_windows_coarse_grids_and_bumps_of_a_record():
    config = load_config("ar_scaling", "cpu")
    table = described(record("attention_2"), config.studies, config.tasks)
    runs = scored(table)
    means = over_seeds(runs, ["study", "row", "task", "num_layers", "d_model", "lr"])
    seeds = tab_seeds(runs, config).set_index(["seed", "threshold"]).width
    assert seeds[0, 0.9] == pytest.approx(1) and seeds[1, 0.9] == 0 and seeds[0, 0.95] == -1
    window = tab_window(runs, config).set_index("threshold")
    assert window.width[0.9] == 0 and window.num_good[0.9] == 1 and np.isnan(window.width[0.95])
    coarse = tab_coarse(runs, means, config).set_index("seed")  # of 1e-3 and 1e-2 the latter alone is coarse
    assert coarse.best_fine.tolist() == coarse.best_coarse.tolist() == pytest.approx([0.9, 0.0])
    assert set(coarse.num_fine) == {2} and set(coarse.num_coarse) == {1} and set(coarse.lr_coarse) == {1e-2}
    table = described(record("attention_long"), config.studies, config.tasks)
    means = over_seeds(scored(table), ["study", "row", "task", "num_layers", "d_model", "lr"])
    bump = tab_bump(table, means, config)
    falls = [np.log(32) - 2.0] * 2  # from 4 nats, of which those above ln(64 / 2) tell values from other symbols only
    assert bump.largest_fall.tolist() == pytest.approx(falls) and bump.at_share.tolist() == [0.5, 0.5]


def test_every_part_is_dealt_once():
    shards = load_shards("ar_scaling", "cpu")["train"]
    parts = [
        (p.study, run.name, tuple(run.model.items())) for s in shards.values() for p in s.parts for run in p.recall.runs
    ]
    assert len(parts) == len(set(parts)) and len(shards) == 8
    rates = [len({run.lr for run in p.recall.runs}) for s in shards.values() for p in s.parts if p.study == "mamba"]
    assert rates == [7]


def test_what_is_compared_has_the_same_updates():
    studies = {n: s for n, s in load_config("ar_scaling", "cpu").studies.items() if s is not None}
    swept = [s for s in studies.values() if "sweep" in s.shown]
    assert len({(s.num_steps, s.lrs, s.batch_size) for s in swept}) == 1
    assert len({(s.num_steps, s.lrs) for name, s in studies.items() if name.startswith("conv_")}) == 1
    one = [s for name, s in studies.items() if name.startswith("attention_1")]
    assert len({(s.num_steps, s.seeds) for s in one}) == 1 and min(len(s.lrs) for s in one) >= 3
    assert len({s.num_steps for s in studies.values() if s.model in ("mamba", "mamba_no_conv", "s6_mlp")
                and "copy" not in s.shown}) == 1  # fmt: skip
    assert studies["attention_1"].num_steps == studies["attention_long"].num_steps


def test_the_best_rate_of_every_width_and_depth_lies_inside_its_grid():
    table = pd.read_csv(repo_root() / "papers" / "ar_scaling" / "reference" / "cpu" / "tables" / "tab_width.csv")
    assert set(table.edge[table.num_lrs > 1]) == {"inside"}, table[["row", "num_layers", "d_model", "edge"]]


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_ablated_models_lack_the_part_that_their_names_say_and_no_other(scale):
    config = load_config("ar_scaling", scale)
    built = {s.model: config.recall(s, s.tasks[0]).backbone for s in config.present().values()}
    whole = built["mamba"].mixer
    parts = {"mamba_no_conv": {"conv_width": 0}, "mamba_no_gate": {"gate": False}, "s6_mlp": {"gate": False}}
    parts |= {"s6_mlp_no_conv": {"gate": False, "conv_width": 0}, "mamba_learned": {}, "mamba_rotary": {"rope": True}}
    assert {name: built[name].mixer for name in parts} == {n: whole.model_copy(update=c) for n, c in parts.items()}
    assert {built[name].mlp for name in ("s6_mlp", "s6_mlp_no_conv")} == {"gelu"} and built["mamba"].mlp == "none"
    assert built["mamba_learned"].positional == "learned"
    for kind, width in (("", 4), ("_centred", 3)):
        for part in ("q", "k", "v", "qkv"):
            mixer = built[f"attention_{part}{kind}"].mixer
            assert (mixer.conv, mixer.conv_width, mixer.conv_padding) == (tuple(part), width, kind[1:] or "causal")


def test_every_run_decays_as_in_the_paper():
    shards = load_shards("ar_scaling", "cpu")["train"].values()
    settings = [run.settings for shard in shards for part in shard.parts for run in part.recall.runs]
    assert {(own["weight_decay"], own["beta2"]) for own in settings} == {(0.1, 0.999)}


def test_caps_cut_and_unknown_models_are_named():
    config = load_config("ar_scaling", "cpu")
    study = config.studies["attention_1_widths"]
    cut = Caps(seeds=1, num_lrs=2, width=8).cut(study)
    assert (cut.seeds, cut.lrs, cut.widths, cut.num_steps) == (1, study.lrs[:2], (8,), study.num_steps)
    with pytest.raises(ValueError, match="names the model 'atention'"):
        config.recall(study.model_copy(update={"model": "atention"}), "main")
    with pytest.raises(ValueError, match="names the task 'maine'"):
        config.recall(study, "maine")


def test_the_papers_sizes_are_configured():
    config = load_config("ar_scaling", "paper")
    tasks = {
        (t["seq_len"], t["num_pairs"]) for t in config.tasks.values() if t["name"] == "mqar" and t["vocab_size"] == 8192
    }
    assert {(64, 4), (128, 8), (256, 16), (512, 64), (256, 64)} == tasks
    assert {
        r.seed for s in load_shards("ar_scaling", "subset")["train"].values() for p in s.parts for r in p.recall.runs
    } == {0}
    assert set(config.studies["attention_1"].widths) == {64, 128, 256, 512, 1024, 2048}


def test_the_plan_counts_every_run_of_every_job():
    shards = load_shards("ar_scaling", "gpu")["train"].values()
    planned = [run.name for own in sweeps_of("ar_scaling", "gpu").values() for shard in own for run in shard.runs]
    assert len(planned) == sum(len(part.recall.runs) for shard in shards for part in shard.parts) > 300


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lrs", [1e-3, -1e-3], "greater than 0"),
        ("lrs", [], "is an empty list"),
        ("widths", [], "is an empty list"),
        ("layers", [0], "greater than or equal to 1"),
        ("seeds", 0, "greater than or equal to 1"),
        ("seeds", [], "is an empty list"),
        ("shown", ["sweeps"], "'sweep'"),
    ],
)
def test_studies_that_cannot_be_run_are_refused(key, value, message):
    study = load_config("ar_scaling", "cpu").studies["mamba"]
    with pytest.raises(ValidationError, match=message):
        Study.model_validate(study.model_dump() | {key: value})
