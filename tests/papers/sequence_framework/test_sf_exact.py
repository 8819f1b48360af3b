"""Casts, ranks, zero sets, counts, permutations, structures, scale and stability against second derivations."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import linprog

from papers.sequence_framework import architectures, evolutions, readout_maps
from papers.sequence_framework.architectures import ROWS, forgetting_attention, randomised, uncast
from papers.sequence_framework.settings import Casts, Cover, Permutations, Ranks, Scaling, Stability, Structures
from shared.base.seeding import numpy_generator, torch_generator
from shared.models.mixers.coefficients import delta_rule_coefficients
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.readouts import READOUTS, Normaliser, Readout

N, T = 4, 9


def normal(*shape, purpose="x", seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, purpose), dtype=torch.float64)


def alpha_of(evolution, b, readout="identity", eta="one", q=None, k=None):
    q = normal(1, T, 1, N, purpose="q") if q is None else q
    k = normal(1, T, 1, N, purpose="k") if k is None else k
    return Cast(q=q, k=k, v=k, b=b, evolution=evolution, readout=Readout(readout), normaliser=Normaliser(kind=eta))


def test_every_registered_mixer_has_a_row():
    assert uncast() == []


def test_a_mixer_without_a_row_is_named(monkeypatch):
    monkeypatch.setattr(architectures, "mixer_names", lambda: ["attention", "a_new_one"])
    assert uncast() == ["a_new_one"]


def test_deviations_of_the_table_notice_a_decay_that_acts_on_its_own_key(monkeypatch):
    """Off by one decay: the usual mistake, visible only against the native module."""
    right = next(r for r in architectures.cast_rows(Casts(seq_len=6, num_seeds=1, map_len=2)) if r["mixer"] == "gla")
    plain = Cast.pre_activations

    def shifted(cast):
        own = plain(cast)
        log_decay = cast.evolution.log_decay
        return own if log_decay is None else own * log_decay.exp().mean(-1).transpose(1, 2).unsqueeze(-2)

    monkeypatch.setattr(Cast, "pre_activations", shifted)
    wrong = next(r for r in architectures.cast_rows(Casts(seq_len=6, num_seeds=1, map_len=2)) if r["mixer"] == "gla")
    assert right["parallel_deviation"] < 1e-12 < 1e-4 < wrong["parallel_deviation"]


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.mixer not in ("s4d", "h3", "hyena")])
def test_coefficients_are_causal_to_the_bit(name):
    """The other three convolve by FFT; their coefficients are causal by construction of the closed form.

    RWKV-4 divides all its exponentials by the largest of the sequence, which rounds them otherwise; it divides out.
    """
    mixer, x = randomised(ROWS[name], 8, 0), normal(1, 8, 12)
    changed = x.clone()
    changed[:, 5:] += 1
    with torch.no_grad():
        before, after = mixer.cast(x).parallel(), mixer.cast(changed).parallel()
    rounding = 1e-12 if name == "RWKV-4" else 0.0
    torch.testing.assert_close(before[..., :5, :5], after[..., :5, :5], rtol=rounding, atol=0.0)
    assert before.triu(1).abs().max() == 0


def test_forgetting_attention_is_dynamics_on_two_more_states():
    cast, expected = forgetting_attention(8, 3, 0)
    torch.testing.assert_close(cast.heads(cast.impulse()), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(cast.heads(), expected, rtol=0, atol=1e-12)


def test_limits_reduce_to_each_other():
    """The six reductions: no gate is no decay, equal gates are a scalar one, no erasing strength writes nothing ..."""
    one = torch.ones(1, T, 1, dtype=torch.float64)
    q, k = normal(1, T, 1, N, purpose="q"), normal(1, T, 1, N, purpose="k")
    unit = k / k.norm(dim=-1, keepdim=True)
    plain = alpha_of(Evolution(), one).parallel()
    zero_gate = Evolution(log_decay=torch.zeros(1, T, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(alpha_of(zero_gate, one).parallel(), plain, rtol=0, atol=1e-12)
    gate = torch.nn.functional.logsigmoid(normal(1, T, 1, 1, purpose="gate"))
    scalar = alpha_of(Evolution(log_decay=gate), one).parallel()
    equal = alpha_of(Evolution(log_decay=gate.expand(-1, -1, -1, N)), one).parallel()
    torch.testing.assert_close(equal, scalar, rtol=0, atol=1e-12)
    beta = torch.sigmoid(normal(1, T, 1, purpose="beta"))
    delta = alpha_of(Evolution(erase=beta), beta, k=unit).parallel()
    gated = Evolution(log_decay=torch.zeros_like(gate), erase=beta)
    torch.testing.assert_close(alpha_of(gated, beta, k=unit).parallel(), delta, rtol=0, atol=1e-12)
    torch.testing.assert_close(delta, delta_rule_coefficients(q, unit, beta, None), rtol=0, atol=1e-12)
    assert alpha_of(Evolution(erase=0 * beta), 0 * beta, k=unit).parallel().abs().max() == 0
    orthonormal = torch.eye(N, dtype=torch.float64)[None, :, None]
    erased = alpha_of(Evolution(erase=one[:, :N]), one[:, :N], q=q[:, :N], k=orthonormal).parallel()
    expected = torch.einsum("bihk,bjhk->bhij", q[:, :N], orthonormal).tril()
    torch.testing.assert_close(erased, expected, rtol=0, atol=1e-12)  # nothing is erased


@pytest.mark.parametrize(("n", "num_keys"), [(4, 32), (5, 20), (6, 4)])
def test_ranks_are_the_predicted_ones(n, num_keys):
    settings = Ranks(shapes=((n, num_keys),), readouts=tuple(READOUTS.keys() - {"real", "relu2", "elu"}),
                     tolerance=1e-10, num_seeds=2)  # fmt: skip
    rows = [row for row in readout_maps.rank_rows(settings) if row["phi"] != "relu" or num_keys >= 4 * n]
    assert all(row["rank"] == row["predicted"] for row in rows)  # of few keys, a relu row may be zero throughout
    assert {row["phi"] for row in rows} >= {"identity", "square", "cube", "exp", "softplus", "sigmoid", "elu1"}


def test_predicted_rank_of_a_power_counts_monomials():
    for n, p in ((3, 2), (4, 3)):
        monomials = len(list(itertools.combinations_with_replacement(range(n), p)))
        assert readout_maps.predicted_rank({2: "square", 3: "cube"}[p], n, 1000) == monomials


@pytest.mark.parametrize("phi", ["identity", "relu", "relu2", "exp", "softplus", "sigmoid", "elu", "elu1"])
def test_near_zero_sets_end_where_the_readout_is_epsilon(phi):
    epsilon = 1e-3
    low, high = readout_maps.near_zero_set(phi, epsilon)
    f = READOUTS[phi]
    for end in (low, high):
        if math.isfinite(end):
            assert abs(float(f(torch.tensor(end, dtype=torch.float64)))) == pytest.approx(epsilon, rel=1e-9)
    inside = torch.linspace(max(low, -30), high, 101, dtype=torch.float64)
    assert (f(inside).abs() <= epsilon * (1 + 1e-9)).all()
    outside = torch.tensor([high + 1e-3, *([low - 1e-3] if math.isfinite(low) else [])], dtype=torch.float64)
    assert (f(outside).abs() > epsilon).all()


def test_near_zero_probabilities_are_integrals_of_the_normal_density():
    rows = {row["phi"]: row for row in readout_maps.zero_set_rows(1e-3, np.linspace(-1, 1, 3))}
    for row in rows.values():
        mass, _ = quad(lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi), max(row["low"], -40), row["high"],
                       points=[-7] if row["low"] < -7 else None, epsabs=1e-16)  # fmt: skip
        assert row["probability"] == pytest.approx(mass, rel=1e-5, abs=1e-17)
    assert rows["identity"]["probability"] == pytest.approx(7.979e-4, rel=1e-3)
    with pytest.raises(ValueError, match="no closed form of the near-zero set of 'cube'"):
        readout_maps.near_zero_set("cube", 1e-3)


@pytest.mark.parametrize("num_keys", [2, 4, 6, 8])
def test_counts_equal_an_enumeration_of_all_subsets(num_keys):
    n = 3
    keys = numpy_generator(0, "enumerated", num_keys).standard_normal((num_keys, n))
    subsets = [np.array(kept) for kept in itertools.product([False, True], repeat=num_keys)]
    assert sum(readout_maps.separable(keys, kept) for kept in subsets) == readout_maps.cover_count(num_keys, n)
    assert sum(readout_maps.ignorable(keys, kept) for kept in subsets) == readout_maps.linear_count(num_keys, n)


def test_separability_agrees_with_a_linear_program():
    rng = numpy_generator(0, "against a program")
    found = []
    for _ in range(60):
        keys, kept = rng.standard_normal((8, 4)), rng.random(8) < 0.5
        signed = np.where(kept[:, None], 1.0, -1.0) * keys
        program = linprog(np.zeros(4), A_ub=-signed, b_ub=-np.ones(8), bounds=[(None, None)] * 4, method="highs")
        found.append(readout_maps.separable(keys, kept))
        assert found[-1] == (program.status == 0)
    assert 0 < sum(found) < 60


def test_half_of_all_subsets_are_cut_off_at_twice_the_width():
    assert [readout_maps.cover_count(2 * n, n) / 4**n for n in (1, 4, 8, 16)] == [0.5] * 4
    assert readout_maps.cover_count(12, 4) / 2**12 == pytest.approx(0.113281, abs=1e-6)
    assert readout_maps.cover_count(32, 8) / 2**32 == pytest.approx(0.001663, abs=1e-6)


def test_a_half_space_reaches_fewer_than_twice_the_subsets_of_a_linear_readout():
    for n, num_keys in itertools.product(range(1, 10), range(2, 40)):
        ratio = readout_maps.cover_count(num_keys, n) / readout_maps.linear_count(num_keys, n)
        assert 1 <= ratio < 2 if num_keys >= n > 1 else ratio <= 2


def test_measured_shares_come_near_the_counts():
    rows = list(readout_maps.cover_rows(Cover(ns=(3,), ratios=(2.0,), num_subsets=300)))
    assert {row["readout"] for row in rows} == {"half-space", "linear"}
    for row in rows:
        assert abs(row["measured"] - row["exact"]) < 4 * row["standard_error"]


def test_a_linear_readout_ignores_fewer_keys_than_their_width_and_a_half_space_more_but_not_all():
    """Of keys all around the origin no query is negative on every one: they would lie in one half-space."""
    half, linear = readout_maps.cover_rows(Cover(ns=(2,), ratios=(5.0,), num_subsets=1500))
    assert linear["most_ignored"] == 1 < half["most_ignored"] < 10


def test_a_share_of_nothing_ignores_nothing(monkeypatch):
    monkeypatch.setattr(readout_maps, "ignorable", lambda keys, kept: False)
    half, linear = readout_maps.cover_rows(Cover(ns=(2,), ratios=(2.0,), num_subsets=20))
    assert linear["most_ignored"] == linear["measured"] == 0 < half["measured"]


def test_a_single_source_before_the_last_cannot_be_permuted():
    settings = Permutations.model_construct(seq_len=2, n=4, num_permutations=4)  # shorter than a config may ask for
    rows = list(evolutions.permutation_rows(settings))
    assert len(rows) > 2 and {row["largest_change"] for row in rows} == {0.0}, rows


def test_permutations_change_every_evolution_but_the_identity():
    rows = list(evolutions.permutation_rows(Permutations(seq_len=8, n=4, num_permutations=4)))
    for row in rows:
        assert row["largest_change"] < 1e-12 if row["evolution"] == "I" else row["smallest_change"] > 1e-3


def test_an_erased_key_leaves_what_its_strength_says():
    rows = {r["structure"]: r for r in evolutions.structure_rows(Structures(n=5, lag=3, decay=0.8, betas=(1.0, 2.5)))}
    assert rows["I"]["stale"] == 1 and rows["scalar"]["stale"] == pytest.approx(0.8**3)
    assert rows["Householder, beta = 1"]["stale"] == pytest.approx(0, abs=1e-15)
    assert rows["Householder, beta = 2.5"]["radius"] == pytest.approx(1.5)  # 1 - beta, in size
    assert rows["Householder, beta = 1"]["radius"] == pytest.approx(1.0)
    assert all(row["fresh"] == pytest.approx(1) for row in rows.values())


def test_keys_in_between_are_orthogonal_or_refused():
    with pytest.raises(ValueError, match="lag 9 exceeds n 8"):
        Structures(n=8, lag=9, decay=0.8, betas=(1.0,))


def test_reflections_make_every_rotation_of_the_plane():
    """Two Householder matrices with beta = 2 are a rotation by twice the angle between their directions."""
    angle = 0.7
    k = torch.tensor([[1.0, 0.0], [math.cos(angle / 2), math.sin(angle / 2)]], dtype=torch.float64)[None, :, None]
    first, second = Evolution(erase=2 * torch.ones(1, 2, 1, dtype=torch.float64)).matrices(k)[0, :, 0]
    rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    torch.testing.assert_close(second @ first, torch.tensor(rotation, dtype=torch.float64), rtol=0, atol=1e-12)


def test_variance_of_pre_activations_is_n_b_squared():
    rows = list(evolutions.scaling_rows(Scaling(ns=(4, 64), exponents=(0.0, -0.5, -1.0), num_draws=8000)))
    for row in rows:
        assert abs(row["variance"] - row["law"]) < 4 * row["standard_error"]
    assert {row["law"] for row in rows if row["exponent"] == -0.5} == {1.0}


def test_closed_forms_of_square_sums():
    for a in (0.9, 1.0, 1.01):
        expected = sum(a ** (2 * lag) for lag in range(64))
        assert evolutions.square_sum(a, np.array([63]))[0] == pytest.approx(expected)
    assert evolutions.square_sum(0.9, np.array([63]))[0] == pytest.approx(5.263, abs=1e-3)


def test_stability_follows_its_closed_forms_and_sums_bound_rows():
    rows = list(evolutions.stability_rows(
        Stability(n=16, seq_len=16, decays=(0.9, 1.0), num_draws=1000, shown=(3, 15))))  # fmt: skip
    for row in rows:
        if row["closed_form"] is not None:
            assert abs(row["square_sum"] / row["closed_form"] - 1) < 0.05
        if row["eta"] in ("abs_sum", "sum"):
            assert row["largest_abs_sum"] < 1 + 1e-9
    softmax = next(row for row in rows if row["phi"] == "exp" and row["i"] == 15)
    assert 16 * softmax["square_sum"] == pytest.approx(2.3, abs=0.3)  # e in the limit of long rows
