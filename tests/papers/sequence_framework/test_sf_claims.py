"""Claims on small tables made by hand: each holds, fails, and is within noise where it should."""

from types import SimpleNamespace

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


@pytest.mark.parametrize("study", ["readout", "noise"])
def test_both_tasks_decide_and_softplus_does_not(study):
    table = readouts(0.9)
    soft = table.variant.str.startswith("softplus")
    low = table.assign(accuracy=table.accuracy.mask(soft, 0.1))
    assert verdict_of(list(readout_zero_set_drives_recall(low))) == HOLDS
    low = table.assign(accuracy=table.accuracy.mask((table.study == study) & (table.variant == "exp n=4"), 0.1))
    assert verdict_of(list(readout_zero_set_drives_recall(low))) == FAILS


def test_a_readout_that_one_study_leaves_out_is_not_asked_for_there():
    table = readouts(0.9)
    without = table[(table.study != "noise") | ~table.variant.str.startswith("softplus")]
    names = {check.name for check in readout_zero_set_drives_recall(without)}
    assert "softplus_minus_identity_readout_n4" in names and "softplus_minus_identity_noise_n4" not in names


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
        ("half-space", 4, 8, 0.5, 6),
        ("linear", 4, 8, 0.36, 3),
        ("half-space", 4, 6, 0.8, 5),
        ("linear", 4, 6, 0.65, 3),
    ]
    table = pd.DataFrame(rows, columns=["readout", "n", "T", "exact", "most_ignored"])
    table = table.assign(measured=table.exact, standard_error=0.01)
    settings = SimpleNamespace(exact=SimpleNamespace(cover=SimpleNamespace(num_subsets=200)))

    def judged(table):
        return verdict_of(list(halfspace_selectivity_beats_linear(table, settings)))

    assert judged(table) == HOLDS
    linear = table.readout == "linear"
    equal = table.assign(exact=table.exact.mask(linear, 0.49), measured=table.measured.mask(linear, 0.49))
    assert judged(equal) == NOISE
    ahead = table.assign(exact=table.exact.mask(linear, 0.6), measured=table.measured.mask(linear, 0.6))
    assert judged(ahead) == FAILS
    assert judged(table.assign(most_ignored=3)) == FAILS
    assert judged(table.assign(measured=table.measured - 0.04)) == FAILS
