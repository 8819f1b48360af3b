"""Every registered mixer as coefficient dynamics: three evaluations agree, and the native module with them."""

from dataclasses import replace

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from shared.base.seeding import torch_generator
from shared.models.config import MixerContext
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.readouts import READOUTS, Normaliser, Readout
from shared.models.mixers.registry import build_mixer, mixer_names

D, LENGTH = 12, 9
OPTIONS = {
    "attention": {"num_kv_heads": 1, "conv": ["k"]},
    "linear_attention": {"conv_width": 4},
    "based": {"key_head_dim": 3},
    "mamba": {"d_state": 3},
    "mamba2": {"d_state": 5, "head_dim": 6},
    "lru": {"d_state": 5},
    "s4d": {"d_state": 6, "dt_min": 0.1, "dt_max": 1.0},
    "h3": {"d_state": 4, "head_dim": 2},
    "hyena": {"filter_order": 8},
}
CASES = [*((name, OPTIONS.get(name, {}), "rope") for name in mixer_names())]
CASES += [("attention", {}, "alibi"), ("sigmoid_attention", {"bias": -1.0}, "none")]
CASES += [("deltanet", {"negative_eigenvalues": True}, "none"), ("mamba", {"d_state": 4, "rope": True}, "none")]
EVOLUTIONS = ["constant", "rotation", "scalar", "diagonal", "householder", "gated_householder"]
CASES += [("dynamics", {"evolution": e, "readout": "identity", "normaliser": "one"}, "none") for e in EVOLUTIONS]
CASES += [("dynamics", {"readout": "identity", "normaliser": n}, "none") for n in ("sum", "floored", "root")]
CASES += [("dynamics", {"readout": phi}, "none") for phi in ("softplus", "relu", "elu1")]
LINEAR = ("identity", "real")


def build(name, options, positional="rope", seed=0):
    """A mixer whose parameters have left their initial values."""
    torch.manual_seed(seed)
    context = MixerContext(d_model=D, num_heads=2, max_seq_len=32, positional=positional)
    mixer = build_mixer({"name": name, **options}, context).double()
    with torch.no_grad():
        for index, p in enumerate(mixer.parameters()):
            p.add_(0.3 * torch.randn(p.shape, generator=torch_generator(index, "p"), dtype=p.dtype))
    return mixer


def sample(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed, "x"), dtype=torch.float64)


@pytest.mark.parametrize(("name", "options", "positional"), CASES)
def test_three_evaluations_and_the_native_module_agree(name, options, positional):
    mixer, x = build(name, options, positional), sample(2, LENGTH, D)
    cast = mixer.cast(x)
    alpha = cast.impulse()
    assert alpha.triu(1).abs().max() == 0
    torch.testing.assert_close(cast.parallel(), alpha, rtol=0, atol=1e-11)
    torch.testing.assert_close(mixer.finish(cast.heads(), x), mixer(x), rtol=0, atol=1e-10)
    if cast.readout.name in LINEAR:
        torch.testing.assert_close(cast.recurrent(), cast.heads(alpha), rtol=0, atol=1e-11)
    else:
        with pytest.raises(ValueError, match=f"'{cast.readout.name}' is not linear"):
            cast.recurrent()


@pytest.mark.parametrize(("name", "options", "positional"), CASES)
def test_the_last_decay_does_not_act_on_its_own_key(name, options, positional):
    """A_j moves the states of earlier sources only: alpha_jj depends on q_j, b_j and k_j alone."""
    cast = build(name, options, positional).cast(sample(1, LENGTH, D))
    plain = replace(cast, evolution=Evolution(), normaliser=Normaliser())
    moved = replace(cast, normaliser=Normaliser())
    first, second = (c.impulse().diagonal(0, -2, -1) for c in (plain, moved))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


def inputs(num_keys=4, heads=2):
    q, k, v = (sample(1, LENGTH, heads, num_keys, seed=s) for s in range(3))
    k = k / k.norm(dim=-1, keepdim=True)
    gate = torch.sigmoid(sample(1, LENGTH, heads, num_keys, seed=3))
    return q, k, v, gate


def evolutions():
    _, _, _, gate = inputs()
    scalar = gate[..., :1].log()
    angles = torch.tensor([0.3, 1.1], dtype=torch.float64)
    return {
        "I": Evolution(),
        "scalar": Evolution(log_decay=scalar),
        "diagonal": Evolution(log_decay=gate.log()),
        "complex diagonal": Evolution(log_decay=torch.complex(gate.log(), 5 * gate)),
        "rotation": Evolution(angles=angles),
        "scalar x rotation": Evolution(log_decay=scalar, angles=angles),
        "Householder": Evolution(erase=2 * gate[..., 0]),
        "scalar x Householder": Evolution(log_decay=scalar, erase=gate[..., 1]),
        "shear": Evolution(shear=gate[..., 0].log()),
        "shift": Evolution(shift=True),
    }


@pytest.mark.parametrize("name", list(evolutions()))
def test_closed_form_of_every_structure_is_the_product_of_its_matrices(name):
    q, k, _, _ = inputs()
    evolution = evolutions()[name]
    assert evolution.name == name
    if name == "complex diagonal":
        q, k = torch.complex(q, k), torch.complex(k, q)
    a, p = evolution.matrices(k), evolution.pre_activations(q, k)
    for i in range(LENGTH):
        for j in range(LENGTH):
            expected = torch.zeros(2, dtype=a.dtype)
            if j <= i:
                product = torch.eye(4, dtype=a.dtype).expand(2, 4, 4)
                for t in range(j + 1, i + 1):
                    product = a[0, t] @ product  # later times on the left
                expected = torch.einsum("hn,hnm,hm->h", q[0, i].to(a.dtype), product, k[0, j].to(a.dtype))
            torch.testing.assert_close(p[0, :, i, j].to(a.dtype), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("readout", sorted(set(READOUTS) - {"relu", "relu2", "real", "elu"}))  # kinks at 0
@pytest.mark.parametrize("name", ["I", "diagonal", "scalar x rotation", "scalar x Householder", "shear"])
def test_gradients(name, readout):
    q, k, v, gate = (part[:, :5].clone().requires_grad_() for part in inputs())

    def output(q, k, v, gate):
        scalar, evolution = gate[..., :1].log(), {"I": Evolution(), "diagonal": Evolution(log_decay=gate.log())}
        evolution |= {"scalar x rotation": Evolution(log_decay=scalar, angles=torch.ones(2, dtype=torch.float64))}
        evolution |= {"scalar x Householder": Evolution(log_decay=scalar, erase=gate[..., 1])}
        evolution |= {"shear": Evolution(shear=gate[..., 0].log())}
        cast = Cast(
            q=q, k=k, v=v, b=gate[..., 2], evolution=evolution[name], readout=Readout(readout), normaliser=Normaliser()
        )
        return cast.heads()

    assert torch.autograd.gradcheck(output, (q, k, v, gate), fast_mode=True)


@pytest.mark.parametrize("kind", ["one", "sum", "abs_sum", "sum_exp", "floored", "root", "given"])
def test_normalisers_follow_their_sums(kind):
    p = sample(2, 3, LENGTH, LENGTH)
    values = 0.1 + sample(2, LENGTH, 3).abs() if kind in ("floored", "given") else None
    alpha = Normaliser(kind=kind, values=values).divide(p, Readout("softplus"))
    weights = torch.nn.functional.softplus(p).tril()
    total = weights.sum(-1)
    given = None if values is None else values.transpose(1, 2)
    root = torch.arange(1, LENGTH + 1).double().sqrt().expand_as(total)
    eta = {
        "one": torch.ones_like(total),
        "sum_exp": p.exp().tril().sum(-1),
        "sum": total,
        "abs_sum": total,
        "root": root,
        "given": given,
    }
    eta["floored"] = None if given is None else torch.maximum(total, given)
    torch.testing.assert_close(alpha, weights / eta[kind].unsqueeze(-1))


def test_exp_over_its_sum_survives_large_scores():
    p = 1e4 * sample(1, 1, LENGTH, LENGTH)
    alpha = Normaliser(kind="sum").divide(p.float(), Readout("exp"))
    assert alpha.isfinite().all()
    torch.testing.assert_close(alpha.sum(-1), torch.ones(1, 1, LENGTH))


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown readout 'expp'; did you mean 'exp'"):
        Readout("expp")
    with pytest.raises(ValueError, match="unknown normaliser 'summ'"):
        Normaliser(kind="summ")
    with pytest.raises(ValueError, match="'floored' needs values"):
        Normaliser(kind="floored")
    with pytest.raises(ValueError, match="needs every coefficient"):
        Normaliser(kind="abs_sum").from_row_sum(torch.ones(1, 2, 1))
    with pytest.raises(ValueError, match="build it with causal true"):
        build_mixer("attention", MixerContext(d_model=D, num_heads=2, causal=False)).cast(torch.zeros(1, 2, D))


def copy_projections(ours, native):
    """The same maps in the ablatable mixer and a native one of one head."""
    ours.qkv_proj.load_state_dict(native.qkv_proj.state_dict())
    ours.out_proj.load_state_dict(native.out_proj.state_dict())


@pytest.mark.parametrize("positional", ["none", "rope"])
def test_exp_over_its_sum_is_softmax_attention(positional):
    evolution = "rotation" if positional == "rope" else "identity"
    ours = build("dynamics", {"evolution": evolution, "normaliser": "sum", "conv_width": 0})
    native = build("attention", {"kernel": "matmul"}, positional)
    copy_projections(ours, native)
    x = sample(2, LENGTH, D)
    torch.testing.assert_close(ours(x), native(x), rtol=0, atol=1e-12)


def test_householder_with_a_linear_readout_is_the_delta_rule():
    ours = build("dynamics", {"evolution": "householder", "readout": "identity", "normaliser": "one", "conv_width": 0})
    x = sample(1, LENGTH, D)
    cast = ours.cast(x)
    state, outputs = torch.zeros(2, 6, 6, dtype=torch.float64), []
    for t in range(LENGTH):
        k, v, beta = cast.k[0, t], cast.v[0, t], cast.evolution.erase[0, t]
        recalled = torch.einsum("hnv,hn->hv", state, k)
        state = state + beta[:, None, None] * k.unsqueeze(-1) * (v - recalled).unsqueeze(-2)
        outputs.append(torch.einsum("hnv,hn->hv", state, cast.q[0, t]) * 6**-0.5)
    torch.testing.assert_close(cast.heads()[0], torch.stack(outputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("init_std", [None, 0.02])  # an initialiser of the whole model must not overwrite the bias
def test_gates_of_the_ablatable_mixer_start_near_remember(init_std):
    x, context = 0.1 * sample(1, LENGTH, D), MixerContext(d_model=D, num_heads=2, init_std=init_std)
    for evolution in ("scalar", "diagonal", "gated_householder"):
        torch.manual_seed(0)
        mixer = build_mixer({"name": "dynamics", "evolution": evolution}, context).double()
        assert mixer.cast(x).evolution.log_decay.exp().min() > 0.95


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"evolution": "constant", "decay": 1.1}, "grows without bound"),
        ({"decay": 0.9}, "needs evolution 'constant'"),
        ({"evolution": "rotation", "key_head_dim": 3}, "odd key width 3"),
    ],
)
def test_ablations_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build("dynamics", options)


@pytest.mark.parametrize("name", ["attention", "deltanet", "s4d", "base_conv", "dynamics"])
def test_casts_can_be_mapped_over_members(name):
    members, x = [build(name, OPTIONS.get(name, {}), seed=s) for s in range(2)], sample(1, LENGTH, D)
    params, buffers = stack_module_state(members)

    class Coefficients(torch.nn.Module):
        def __init__(self, mixer):
            super().__init__()
            self.mixer = mixer

        def forward(self, x):
            return self.mixer.coefficients(x)

    holder = Coefficients(members[0])

    def alpha(params, buffers):
        named = {f"mixer.{key}": value for key, value in (params | buffers).items()}
        return functional_call(holder, named, (x,))

    stacked = vmap(alpha)(params, buffers)
    for index, member in enumerate(members):
        torch.testing.assert_close(stacked[index], member.coefficients(x), rtol=0, atol=1e-12)
