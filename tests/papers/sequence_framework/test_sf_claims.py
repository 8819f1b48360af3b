"""Claims on small tables made by hand: each holds, fails, and is within noise where it should."""

import pandas as pd
import pytest

from papers.sequence_framework.claims import (
    evolution_structure_orders_overwriting,
    halfspace_selectivity_beats_linear,
    linear_readout_is_finite,
    positions_restore_order,
    readout_zero_set_drives_recall,
    unstable_evolution_costs_recall,
)
from shared.artifacts.checks import FAILS, HOLDS, NOISE, verdict_of

JITTER = (-0.002, 0.001, 0.001)
RECALL = "in-context recall"


def seeds(study, task, accuracies, n=None, near_zero=None, jitter=JITTER):
    """Three seeds per variant around its accuracy; variants and seeds jitter apart."""
    rows = []
    for index, (variant, accuracy) in enumerate(accuracies.items()):
        for seed, shift in enumerate(jitter):
            row = {"study": study, "task": task, "variant": variant, "seed": seed, "n": n}
            row |= {
                "accuracy": accuracy + shift * (index + 1),
                "near_zero": (near_zero or {}).get(variant, 0.1) + shift,
            }
            rows.append(row)
    return pd.DataFrame(rows)


def readouts(exp, near_zero_exp=0.6):
    parts = []
    for study, task in (("readout", RECALL), ("noise", "noisy recall")):
        accuracies = {"exp n=4": exp, "identity n=4": 0.4, "elu1 features n=4": 0.3, "softplus n=4": 0.5}
        parts.append(seeds(study, task, accuracies, 4, {"exp n=4": near_zero_exp, "identity n=4": 0.05}))
    return pd.concat(parts)


@pytest.mark.parametrize(("exp", "zeros", "verdict"), [(0.9, 0.6, HOLDS), (0.42, 0.6, FAILS), (0.9, 0.1, FAILS)])
def test_readout_zero_set_drives_recall(exp, zeros, verdict):
    assert verdict_of(list(readout_zero_set_drives_recall(readouts(exp, zeros)))) == verdict


def test_noisy_recall_and_softplus_do_not_decide():
    table = readouts(0.9)
    table.loc[(table.study == "noise") | table.variant.str.startswith("softplus"), "accuracy"] = 0.1
    assert verdict_of(list(readout_zero_set_drives_recall(table))) == HOLDS


@pytest.mark.parametrize(
    ("scalar", "householder", "verdict"), [(0.8, 1.0, HOLDS), (0.7, 1.0, FAILS), (0.8, 0.8, FAILS)]
)
def test_evolution_structure_orders_overwriting(scalar, householder, verdict):
    table = seeds("structure", "rebinding recall", {"I": 0.7, "scalar": scalar, "Householder": householder})
    stale = pd.DataFrame({"structure": ["I", "scalar", "Householder, beta = 1"], "stale": [1.0, 0.5, 0.0]})
    assert verdict_of(list(evolution_structure_orders_overwriting(table, stale))) == verdict
    left = stale.assign(stale=0.5)  # an erasing evolution that leaves half of the value
    assert verdict_of(list(evolution_structure_orders_overwriting(table, left))) == FAILS


@pytest.mark.parametrize(("unstable", "verdict"), [(0.3, HOLDS), (0.7, FAILS)])
def test_unstable_evolution_costs_recall(unstable, verdict):
    accuracies = {"a=0.9, eta=1": 0.5, "a=1, eta=1": 0.75, "a=1.1, eta=1": unstable}
    accuracies |= {"a=0.9, eta=sum": 0.5, "a=1, eta=sum": 0.7, "a=1.1, eta=sum": 0.3}
    table = seeds("stability", RECALL, accuracies)
    assert verdict_of(list(unstable_evolution_costs_recall(table))) == verdict


def test_few_seeds_far_apart_are_within_noise():
    accuracies = {"I": 0.4, "I + learned positions": 0.7, "rotation": 0.4, "scalar gate": 0.4, "Householder": 0.4}
    table = seeds("position", "selective copying", accuracies)
    assert verdict_of(list(positions_restore_order(table))) == HOLDS
    wide = seeds("position", "selective copying", accuracies, jitter=(-0.2, 0.1, 0.1))
    assert verdict_of(list(positions_restore_order(wide))) == NOISE


def test_a_rank_that_is_off_by_one_fails():
    rows = [("identity", 4, 32, 4, 4, 4), ("square", 4, 32, 10, 10, 10), ("exp", 4, 32, 32, 32, 32)]
    table = pd.DataFrame(rows, columns=["phi", "n", "T", "predicted", "smallest_rank", "largest_rank"])
    assert verdict_of(list(linear_readout_is_finite(table))) == HOLDS
    for phi in table.phi:
        wrong = table.assign(smallest_rank=table.smallest_rank - (table.phi == phi))
        assert verdict_of(list(linear_readout_is_finite(wrong))) == FAILS


def test_half_spaces_have_to_reach_more_subsets_and_ignore_more_keys():
    rows = [
        ("half-space", 4, 8, 0.5, 8),
        ("linear", 4, 8, 0.36, 3),
        ("half-space", 4, 4, 1.0, 4),
        ("linear", 4, 4, 0.94, 3),
    ]
    table = pd.DataFrame(rows, columns=["readout", "n", "T", "exact", "largest_ignored"])
    table = table.assign(measured=table.exact, standard_error=0.01)
    assert verdict_of(list(halfspace_selectivity_beats_linear(table))) == HOLDS
    linear = table.readout == "linear"
    equal = table.assign(exact=table.exact.mask(linear, 0.5), measured=table.measured.mask(linear, 0.5))
    assert verdict_of(list(halfspace_selectivity_beats_linear(equal))) == FAILS
    assert verdict_of(list(halfspace_selectivity_beats_linear(table.assign(largest_ignored=3)))) == FAILS
    assert verdict_of(list(halfspace_selectivity_beats_linear(table.assign(measured=table.measured - 0.04)))) == FAILS
