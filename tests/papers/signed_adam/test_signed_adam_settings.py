"""Settings are checked, shards have just what their jobs read, and dropped seeds are counted."""

import json
import math
from collections import Counter

import pytest
import torch

from papers.signed_adam.config import Config, shards
from papers.signed_adam.descents import best_row, final_rows, landscape_parts, rule_of, run, run_mollified, variances
from shared.artifacts.config import load_config
from shared.optim.quadratics import LANDSCAPES, Descents, block_quadratic


def changed(scale="smoke", **sections) -> Config:
    return Config.model_validate(load_config("signed_adam", scale).model_dump() | sections)


def test_an_unknown_setup_is_refused():
    studies = load_config("signed_adam", "smoke").model_dump()["studies"]
    studies["main"]["setup"] = "huge"
    with pytest.raises(ValueError, match="study 'main' names setup 'huge'; known: small"):
        changed(studies=studies)


def test_released_files_of_a_study_that_is_left_out_are_refused():
    released = {"source": "secretsauce", "files": {"larger": ["a.pkl"]}, "max_ppl": 1000, "curve_points": 5}
    with pytest.raises(ValueError, match="released names study 'larger', which this scale does not have"):
        changed(released=released)


def test_a_study_that_is_null_has_no_jobs_and_changes_none():
    studies = load_config("signed_adam", "smoke").model_dump()["studies"]
    before = shards(changed())["sweep"]
    after = shards(changed(studies=studies | {"adavar": None}))["sweep"]
    assert set(before) - set(after) == {"adavar-00"}
    assert all(after[name] == before[name] for name in after)


@pytest.mark.parametrize("scale", ["cpu", "gpu"])
def test_every_method_has_one_tuning_budget(scale):
    """Settings times seeds, before grids are widened; Adam's are those with equal betas."""
    number = Counter()
    for name, shard in shards(load_config("signed_adam", scale))["sweep"].items():
        for r in shard.runs if name.startswith("main") else ():
            equal = r.settings.get("beta1") == r.settings.get("beta2")
            number[r.optimizer, r.clip_norm, r.settings.get("clip_value")] += r.optimizer != "adamw" or equal
    methods, budget = (7, 25 * 2) if scale == "cpu" else (8, 15)
    assert len(number) == methods and set(number.values()) == {budget}


def test_sections_of_a_sweep_s_shard_are_one_setting_each():
    shard = shards(changed())["sweep"]["main-00"]
    dumped = shard.model_dump(mode="json")
    assert json.loads(dumped["backbone"])["d_model"] == 16 and json.loads(dumped["text"])["source"] == "docstrings"
    assert shard.backbone.d_model == 16  # in Python it stays a model


def test_dropped_seeds_are_counted_and_cost_a_rate_its_place():
    final = torch.tensor([[1.0, 2.0, 3.0], [0.1, 0.2, math.inf]], dtype=torch.float64)
    highest = torch.tensor([[5.0, 5.0, 5.0], [5.0, 5.0, math.inf]], dtype=torch.float64)
    found = Descents([0], final[None], highest, {})
    rows = list(final_rows(found, [1e-3, 1e-2], max_loss=1e8))
    assert [row["num_dropped"] for row in rows] == [0, 1] and rows[1]["median"] == pytest.approx(0.15)
    assert best_row(rows, [1e-3, 1e-2]) == rows[0] | {"edge": "low"}


def test_parts_of_a_landscape_agree_and_pictures_are_of_the_first_rotation():
    short = {"num_steps": 20, "num_seeds": 2, "log_every": 10, "draws": [0, 1]}
    settings = changed(quadratics=load_config("signed_adam", "smoke").quadratics.model_dump() | short)
    first, second = (landscape_parts("het", shards(settings)["quadratics"][f"draw-{draw}"]) for draw in (0, 1))
    assert first["curve"] and first["hessian"] and not second["curve"] and "hessian" not in second
    for best in first["best"]:
        losses = [row["median"] for row in first["final"] if row["method"] == best["method"]]
        assert best["median"] == min(losses)
    assert first["best_constant"][0]["adam_median"] == next(r["median"] for r in first["best"] if r["method"] == "Adam")
    lines = {r["line"]: r["value"] for r in first["curve"] if r["kind"] == "sigma2" and r["step"] == 10}
    middle = sorted(lines[f"block 2, coordinate {i}"] for i in (4, 5, 6))[1]
    assert [row["step"] for row in first["variance"]] == [10] * 3 and first["variance"][1]["sigma2"] == middle


def test_methods_share_one_beta_and_have_no_bias_correction():
    shard = shards(changed())["quadratics"]["draw-0"]
    rules = {method: rule_of(method, 0.1, shard) for method in ("SGD", "Signum", "Adam")}
    assert {settings.get("beta", settings.get("momentum")) for _, settings in rules.values()} == {0.95}
    assert rules["Adam"][0] == "adam_sigma2" and rules["Adam"][1]["bias_correction"] == 0.0


def test_an_update_of_the_quadratics_sees_some_of_the_rows():
    """Seeds differ in the rows that they draw; with all nine in every update they could not."""
    shard = shards(changed())["quadratics"]["draw-0"].model_copy(update={"num_steps": 20, "num_seeds": 3})
    found = run(block_quadratic(LANDSCAPES["het"], 0, "eig"), "SGD", 0.05, shard)
    assert shard.batch_size == 3 and all(len(set(losses.tolist())) == 3 for losses in found.final)


def test_a_seed_that_was_ever_too_high_is_dropped_though_it_came_back():
    final = torch.tensor([[1.0, 2.0, 3.0, 4.0, 1e-3]], dtype=torch.float64)
    highest = torch.tensor([[5.0, 5.0, 5.0, 5.0, 1e9]], dtype=torch.float64)
    (row,) = final_rows(Descents([0], final[None], highest, {}), [1e-3], max_loss=1e8)
    assert row == {"lr": 1e-3, "num_seeds": 5, "num_dropped": 1, "low": 1.75, "median": 2.5, "high": 3.25}


def test_descents_on_all_rows_are_those_of_the_equations():
    """Without gradient noise, step by step: warm-up from 0, cosine to 0, averages from zero."""
    shard = shards(changed())["quadratics"]["draw-0"].model_copy(update={"batch_size": 9, "num_seeds": 1})
    problem = block_quadratic(LANDSCAPES["het"], 0, "eig")
    hessian, steps, ramp = problem.hessian, shard.num_steps, round(0.05 * shard.num_steps)
    rise = [k / (ramp - 1) for k in range(ramp)]
    rates = rise + [0.5 * (1 + math.cos(math.pi * k / (steps - ramp))) for k in range(steps - ramp)]

    def loss(direction, lr):
        w, m, sigma2 = torch.ones(9, dtype=torch.float64), torch.zeros(9, dtype=torch.float64), 0.0
        for rate in rates:
            g = hessian @ w
            sigma2 = 0.95 * sigma2 + 0.95 * 0.05 * (g - m).square()
            m = 0.95 * m + 0.05 * g
            w = w - lr * rate * direction(m, sigma2)
        return (0.5 * w @ hessian @ w).item()

    directions = {
        "SGD": lambda m, _: m,
        "Signum": lambda m, _: m.sign(),
        "Adam": lambda m, sigma2: m / ((m.square() + sigma2).sqrt() + 1e-8),
    }
    for method, direction in directions.items():
        final = run(problem, method, 0.05, shard).final[1, 0].item()
        assert final == pytest.approx(loss(direction, shard.lrs[method][1]), rel=1e-6)
    softened = run_mollified(problem, 0.1, shard).final[1, 0].item()
    assert softened == pytest.approx(loss(lambda m, _: m / (m.abs() + 0.1), shard.lrs["Signum"][1]), rel=1e-6)


def test_the_radius_is_the_length_of_a_coordinate_s_step():
    watched = {"exp_avg": torch.full((1, 1, 3, 9), 3.0), "exp_avg_var": torch.full((1, 1, 3, 9), 16.0)}
    found = Descents([0], torch.ones(1, 1, 3), torch.ones(1, 3), watched)
    sigma2, radius = variances(found, 0)
    assert sigma2.tolist() == [[16.0] * 9] and radius.tolist()[0] == pytest.approx([0.6] * 9)


def of_main(**sweep) -> dict:
    """The studies at smoke, with changes to the sweep of the main one."""
    studies = load_config("signed_adam", "smoke").model_dump()["studies"]
    studies["main"]["sweep"] |= sweep
    return studies


@pytest.mark.parametrize(
    ("section", "given", "message"),
    [
        ("quadratics", {"lrs": {"SGD": [0.1], "Signum": [0.1]}}, "'lrs' has no learning rates for Adam"),
        ("quadratics", {"draws": [1, 1]}, "has a value twice"),
        ("quadratics", {"warmup_fractions": [1.0]}, "less than 1"),
        ("exact", {"betas": [0.0]}, "greater than 0"),
        ("exact", {"unequal": [[1.5, 0.9]]}, "less than 1"),
        ("exact", {"unequal": [[0.9, 0.9]]}, "equal betas 0.9 stand under 'unequal'"),
    ],
)
def test_what_the_exact_checks_and_quadratics_cannot_use_is_refused(section, given, message):
    settings = load_config("signed_adam", "smoke").model_dump()[section]
    with pytest.raises(ValueError, match=message):
        changed(**{section: settings | given})


def test_what_could_not_be_judged_is_refused_before_it_is_trained():
    lion = of_main(blocks=[{"optimizer": "lion", "grid": {"lr": [0.1]}}])
    with pytest.raises(ValueError, match="no method of the paper is the optimiser 'lion'; known are adam"):
        changed(studies=lion)
    with pytest.raises(ValueError, match="seed 2 tunes, so it cannot be among fresh_seeds"):
        changed(studies=of_main(seeds=[0, 2]))
    widened = of_main()
    widened["main"]["widen"] = ["lr", "betta"]
    with pytest.raises(ValueError, match="widen has 'betta', which no block varies; did you mean 'beta'"):
        changed(studies=widened)
    with pytest.raises(ValueError, match="study 'main' is what the tables compare"):
        changed(studies=of_main() | {"main": None})
