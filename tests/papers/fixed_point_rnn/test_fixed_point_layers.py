"""Layers: the dense closed form, limits that reduce to known models, causality, the sequential solution."""

import pytest
import torch

from papers.fixed_point_rnn import dense
from papers.fixed_point_rnn.mamba import FPMamba, FPMamba2
from papers.fixed_point_rnn.mixers import as_matrix
from papers.fixed_point_rnn.network import SequenceModel
from papers.fixed_point_rnn.rnn import FPRNN
from papers.fixed_point_rnn.settings import MixerSettings, ModelSettings, SolverSettings
from shared.base.seeding import torch_generator
from shared.models.config import MixerContext
from shared.models.initialisation import drawing_from
from shared.models.mixers.registry import build_mixer

EXACT = SolverSettings(tol=1e-12, quantile=1.0, l_max=3000)
LAYERS = {"fp_rnn": FPRNN, "fp_mamba": FPMamba, "fp_mamba2": FPMamba2}


def built(layer="fp_rnn", seed=0, d_model=4, **settings):
    settings = {"d_state": 3, "head_dim": 4} | settings
    with drawing_from(torch_generator(seed, "layer")):
        own = LAYERS[layer](ModelSettings(layer=layer, d_model=d_model, **settings)).double()
    own.solver = own.evaluation_solver = EXACT
    return own


def sample(length=6, d_model=4, seed=0, batch=2):
    return torch.randn(batch, length, d_model, generator=torch_generator(seed, "u"), dtype=torch.float64)


@pytest.mark.parametrize(
    "mixer", [{"kind": "householder", "r": 2}, {"kind": "kronecker"}, {"kind": "monarch", "block": 4}]
)
def test_without_the_state_in_q_the_fixed_point_is_the_dense_recurrence(mixer):
    layer, u = built(mixer={"argument": "input", **mixer}), sample()
    prepared = layer.prepare(u)
    found = layer.fixed_point(prepared, layer.start(u)).y
    q = as_matrix(layer.mixer, layer.mixer.coefficients(prepared.timed["pre"]), u.shape[:2])
    for row in range(len(u)):
        expected = dense.dense_states(prepared.timed["lam"][row], q[row], prepared.timed["v"][row])
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-10)


def test_both_forms_of_the_transition_and_its_eigenvalues():
    generator = torch_generator(0, "transition")
    lam = torch.rand(50, 4, generator=generator, dtype=torch.float64).clamp(0.01, 0.99)
    u = torch.nn.functional.normalize(torch.randn(50, 4, generator=generator, dtype=torch.float64), dim=-1)
    q = torch.eye(4, dtype=torch.float64) - 0.9 * u.unsqueeze(-1) * u.unsqueeze(-2)
    a = dense.transition(lam, q)
    torch.testing.assert_close(a, dense.transition_by_inverse(lam, q))
    values = torch.linalg.eigvals(a)
    assert values.imag.abs().max() < 1e-10 and values.real.min() > 0 and values.real.max() <= 1


def test_norm_of_the_sequence_jacobian_is_bounded_for_lam_in_the_unit_interval_only():
    eye, u = torch.eye(4, dtype=torch.float64), torch.full((4,), 0.5, dtype=torch.float64)
    q = (eye - 0.5 * torch.outer(u, u)).expand(20, -1, -1)
    for value in (0.0, 0.5, 0.99):
        jacobian = dense.sequence_jacobian(torch.full((20, 4), value, dtype=torch.float64), q)
        assert torch.linalg.matrix_norm(jacobian, 2) <= 0.5 + 1e-9
    jacobian = dense.sequence_jacobian(torch.full((20, 4), -0.9, dtype=torch.float64), q)
    assert torch.linalg.matrix_norm(jacobian, 2) > 5


def test_the_identity_is_the_diagonal_model_in_one_evaluation():
    layer, u = built(mixer={"kind": "none"}), sample()
    prepared = layer.prepare(u)
    lam, v = prepared.timed["lam"], prepared.timed["v"]
    h, states = torch.zeros_like(v[:, 0]), []
    for t in range(u.shape[1]):
        h = lam[:, t] * h + (1 - lam[:, t]) * v[:, t]
        states.append(h)
    solution = layer.fixed_point(prepared, layer.start(u))
    assert int(solution.iterations) == 1
    torch.testing.assert_close(solution.y, torch.stack(states, 1))


def test_without_decay_the_fixed_point_is_the_input_whatever_q_is():
    layer, u = built(), sample()
    with torch.no_grad():
        layer.lam_proj.bias.fill_(-800.0)
        layer.lam_proj.weight.zero_()
    prepared = layer.prepare(u)
    torch.testing.assert_close(layer.fixed_point(prepared, layer.start(u)).y, prepared.timed["v"])


def test_one_iteration_from_zero_is_the_diagonal_model_driven_by_q_v():
    layer, u = built(mixer={"argument": "input"}), sample()
    prepared = layer.prepare(u)
    q = as_matrix(layer.mixer, layer.mixer.coefficients(prepared.timed["pre"]), u.shape[:2])
    driven = (q @ prepared.timed["v"].unsqueeze(-1)).squeeze(-1)
    h = torch.zeros_like(driven[:, 0])
    found, _ = layer.iterate(prepared, layer.start(u))
    for t in range(u.shape[1]):
        lam = prepared.timed["lam"][:, t]
        h = lam * h + (1 - lam) * driven[:, t]
        torch.testing.assert_close(found[:, t], h)


def test_fp_mamba_without_mixer_dependence_and_norms_is_mamba():
    bare = {"hidden": [], "normalise_bc": False, "norm_in_loop": False, "conv_width": 4, "mixer": {"kind": "none"}}
    layer, u = built("fp_mamba", **bare), sample()
    mamba = build_mixer({"name": "mamba", "d_state": 3, "conv_width": 4}, MixerContext(d_model=4)).double()
    mamba.load_state_dict(layer.core.state_dict())
    out, solution = layer(u)
    assert torch.equal(out, mamba(u)) and int(solution.iterations) == 1


def test_fp_mamba_2_without_mixer_and_dependence_is_mamba_2():
    bare = {"hidden": [], "normalise_bc": False, "gate_in_loop": True, "conv_width": 4, "mixer": {"kind": "none"}}
    layer, u = built("fp_mamba2", **bare), sample()
    options = {"name": "mamba2", "d_state": 3, "head_dim": 4, "conv_width": 4}
    mamba = build_mixer(options, MixerContext(d_model=4)).double()
    mamba.load_state_dict(layer.core.state_dict() | {"norm_weight": layer.norm.weight.detach()})
    torch.testing.assert_close(layer(u)[0], mamba(u), rtol=1e-5, atol=1e-6)  # the step size is float32 there


@pytest.mark.parametrize("layer", ["fp_rnn", "fp_mamba", "fp_mamba2"])
def test_past_states_ignore_the_future_and_prefixes_have_the_prefix_as_solution(layer):
    own, u = built(layer), sample(8)
    changed = u.clone()
    changed[:, 5:] = sample(3, seed=1)
    whole, other, prefix = (own(z)[0] for z in (u, changed, u[:, :5]))
    torch.testing.assert_close(whole[:, :5], other[:, :5], rtol=0, atol=1e-8)
    torch.testing.assert_close(whole[:, :5], prefix, rtol=0, atol=1e-8)
    assert (whole - other)[:, 5:].abs().min() > 1e-6


@pytest.mark.parametrize("layer", ["fp_rnn", "fp_mamba", "fp_mamba2"])
def test_token_by_token_it_is_a_fixed_point_of_the_sequence(layer):
    own, u = built(layer), sample()
    prepared, start = own.prepare(u), own.start(u)
    parallel = own.fixed_point(prepared, start).y
    sequential = own.solve_sequentially(prepared, start, EXACT)
    again, _ = own.iterate(prepared, sequential)
    torch.testing.assert_close(again, sequential, rtol=0, atol=1e-8)  # it is a fixed point of the whole map, too
    if layer != "fp_mamba2":  # whose norm of small outputs has several
        torch.testing.assert_close(sequential, parallel, rtol=0, atol=1e-8)


@pytest.mark.parametrize("layer", ["fp_rnn", "fp_mamba", "fp_mamba2"])
def test_the_state_reaches_every_later_token(layer):
    own, u = built(layer), sample(5).requires_grad_()
    (gradient,) = torch.autograd.grad(own(u)[0][:, -1].square().sum(), u)
    assert (gradient[:, -1].abs() > 0).all() and (gradient[:, 1].abs().sum(-1) > 0).all()


def test_what_depends_on_the_state_is_what_hidden_names():
    for hidden, maps in (([], ()), (["b"], ("bc_map",)), (["lam", "gate"], ("step_map", "gate_map"))):
        own = built("fp_mamba", hidden=hidden, mixer={"argument": "input"})
        found = [name for name in ("bc_map", "step_map", "gate_map") if getattr(own, name) is not None]
        assert tuple(found) == maps
    with pytest.raises(ValueError, match="disagree on whether Q depends"):
        built("fp_mamba", hidden=["b"])


@pytest.mark.parametrize(("reads", "moves"), [(("b",), "b"), (("c",), "c"), (("b", "c"), "bc"), (("lam",), "s")])
def test_each_coefficient_reads_the_last_output_only_where_it_is_named(reads, moves):
    layer, u = built("fp_mamba", mixer={"kind": "none"}, hidden=reads), sample()
    prepared = layer.prepare(u)
    y = torch.randn(2, 6, layer.width, generator=torch_generator(1, "previous"), dtype=torch.float64)
    still, moved = (layer._coefficients(prepared, z)[:3] for z in (torch.zeros_like(y), y))
    for name, before, after in zip("sbc", still, moved, strict=True):
        assert torch.equal(before, after) == (name not in moves), name


@pytest.mark.parametrize("layer", ["fp_mamba", "fp_mamba2"])
@pytest.mark.parametrize("normalise", [True, False])
def test_b_and_c_have_unit_length_where_that_is_asked(layer, normalise):
    own, u = built(layer, normalise_bc=normalise), sample()
    _, b, c, _ = own._coefficients(own.prepare(u), torch.ones(*u.shape[:2], own.width, dtype=u.dtype))
    for z in (b, c):
        assert torch.allclose(z.norm(dim=-1), torch.ones(u.shape[:2], dtype=u.dtype)) is normalise


def test_gates_and_read_outs_see_the_output_before_not_their_own():
    y = torch.randn(1, 6, 8, generator=torch_generator(2, "output"), dtype=torch.float64)
    changed = y.clone()
    changed[:, 3] += 1
    rnn = built("fp_rnn")
    prepared = rnn.prepare(u := sample(batch=1))
    difference = rnn.read_out(prepared, changed) - rnn.read_out(prepared, y)
    assert difference[:, 4].any() and not difference[:, [0, 1, 2, 5]].any()
    gated = built("fp_mamba", hidden=("Q", "b", "c", "gate"), gate_in_loop=False)
    prepared = gated.prepare(u)
    difference = gated.read_out(prepared, changed) - gated.read_out(prepared, y)
    assert difference[:, 4].any() and not difference[:, [0, 1, 2, 5]].any()


@pytest.mark.parametrize("layer", ["fp_mamba", "fp_mamba2"])
def test_a_gate_inside_the_loop_reads_the_output_before(layer):
    own, u = built(layer, mixer={"kind": "none"}, hidden=("gate",), gate_in_loop=True, norm_in_loop=False), sample()
    y = torch.randn(2, 6, own.width, generator=torch_generator(3, "output"), dtype=torch.float64)
    changed = y.clone()
    changed[:, 3] += 1
    difference = (own.iterate(own.prepare(u), changed)[0] - own.iterate(own.prepare(u), y)[0]).abs()
    assert difference[:, 4].max() > 1e-4
    assert difference[:, [0, 1, 2, 3, 5]].max() < 1e-12  # (u - y) + y is u but for rounding


def test_decay_stays_in_the_unit_interval_and_long_sequences_finite():
    layer = built(d_model=8)
    u = 5 * sample(300, d_model=8)
    prepared = layer.prepare(u)
    assert (prepared.timed["lam"] >= 0).all() and (prepared.timed["lam"] <= 1).all()
    assert layer(u)[0].isfinite().all()


def test_parameters_do_not_depend_on_l_max_and_evaluation_has_its_own_cap():
    tokens = torch.randint(3, (2, 7), generator=torch_generator(0, "tokens"))
    counts = set()
    for l_max in (1, 4, 16):
        settings = ModelSettings(d_model=8, solver={"l_max": l_max, "tol": 1e-6, "quantile": 1.0})
        model = SequenceModel(settings, 3, cap=200, generator=torch_generator(0, "init"))
        assert int(model(tokens).iterations) <= l_max + 1
        assert int(model.eval()(tokens).iterations) > 5
        counts.add(sum(p.numel() for p in model.parameters()))
    assert len(counts) == 1


def test_a_baseline_is_no_fixed_point_layer():
    with pytest.raises(ValueError, match="layer 'baseline'"):
        ModelSettings(layer="fp_rnn", baseline={"name": "lstm"})
    assert MixerSettings().argument == "concat"
