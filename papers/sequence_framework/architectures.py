"""Every architecture as coefficient dynamics, held against its own implementation (the cast table).

Rows are the registered mixers, their variants, and mixers that the library has no module for (forgetting attention).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from papers.sequence_framework.settings import Casts
from shared.base.seeding import torch_generator
from shared.models.config import MixerContext
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.readouts import LINEAR, Normaliser, Readout
from shared.models.mixers.registry import build_mixer, mixer_names

D_MODEL, NUM_HEADS = 12, 2


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        mixer: its name in the registry. a, b, eta: the objects in words; phi is the cast's own.
        options: of the mixer. positional: of the model around it.
        note: what the words leave out.
    """

    mixer: str
    a: str
    b: str
    eta: str
    options: dict = field(default_factory=dict)
    positional: str = "none"
    note: str = ""


SHEAR = "shear by -slope on two more states"
SSD = {"d_state": 5, "head_dim": 6}
INNER = "two inner steps per token, T n sources; q = 0 before a token's last"
BEFORE = "two inner steps per token, the token before and the token with its bonus; 2 T sources"
STATE = "gates read the state: exact along a trajectory, outside of the framework"
ROWS = {
    "softmax attention": Row("attention", "I", "1/sqrt(n)", "sum phi"),
    "softmax + RoPE": Row("attention", "R(theta)", "1/sqrt(n)", "sum phi", positional="rope"),
    "softmax + ALiBi": Row("attention", SHEAR, "1/sqrt(n)", "sum phi", positional="alibi"),
    "sigmoid attention": Row("sigmoid_attention", "I", "1/sqrt(n)", "1", note="phi(x) = sigmoid(x - log T_max)"),
    "linear attention": Row("linear_attention", "I", "1", "sum p + 1e-6", note="features elu + 1 on q and k"),
    "Based": Row("based", "I", "1", "sum p + 1e-6", {"key_head_dim": 3}, note="Taylor features on q and k"),
    "norm attention": Row("norm_attention", "I", "1/sqrt(n)", "exp(softplus(w x + c))"),
    "RetNet": Row("retnet", "gamma R(theta)", "1/sqrt(n)", "1"),
    "GLA": Row("gla", "diag(g_t)", "1/sqrt(n)", "1"),
    "mLSTM": Row("mlstm", "f_t I", "exp(i_j)/sqrt(n)", "max(|sum p|, 1)", note="all relative to a running maximum"),
    "DeltaNet": Row("deltanet", "I - beta k k^T", "beta_j/sqrt(n)", "1"),
    "DeltaNet, beta < 2": Row("deltanet", "I - beta k k^T", "beta_j/sqrt(n)", "1", {"negative_eigenvalues": True}),
    "gated DeltaNet": Row("gated_deltanet", "a_t (I - beta k k^T)", "beta_j/sqrt(n)", "1"),
    "DeltaProduct": Row("deltaproduct", "I - beta k k^T", "beta_j/sqrt(n)", "1", note=INNER),
    "RWKV-4": Row("rwkv4", "diag(exp(-w), 0), then I", "exp(k_j), exp(u + k_j)", "sum p", note=BEFORE),
    "Mamba (S6)": Row("mamba", "diag(exp(Delta_t a))", "Delta_j", "1", {"d_state": 3}, note="direct path D"),
    "Mamba-2 (SSD)": Row("mamba2", "exp(Delta_t a) I", "Delta_j", "1", SSD, note="direct path D"),
    "LRU": Row("lru", "lambda, complex", "gamma", "1", {"d_state": 5}, note="a head per state; values B x"),
    "RG-LRU": Row("rglru", "a_t", "sqrt(1 - a^2) i_j", "1"),
    "S4D": Row("s4d", "diag(exp(dt a)), complex", "1", "1", {"d_state": 6}, note="phi = Re; direct path D"),
    "H3": Row("h3", "diag(exp(dt a)), complex", "1", "1", {"d_state": 4, "head_dim": 2}, note="phi = Re; direct path"),
    "Hyena": Row("hyena", "shift of T states", "x1_j", "1", {"filter_order": 8}, note="grows with T; direct path"),
    "BaseConv": Row("base_conv", "shift of 3 states", "1", "1", note="the gate is in the output map"),
    "LSTM": Row("lstm", "diag(f_t)", "i_j", "1", note=STATE),
    "GRU": Row("gru", "diag(z_t)", "1 - z_j", "1", note=STATE),
    "ablatable": Row("dynamics", "a_t (I - beta k k^T)", "beta_j n^s", "max(|sum p|, 1)",
                     {"evolution": "gated_householder", "readout": "identity", "normaliser": "floored"}),
}  # fmt: skip


def uncast() -> list[str]:
    """Registered mixers that no row shows."""
    return sorted(set(mixer_names()) - {row.mixer for row in ROWS.values()})


def randomised(row: Row, seq_len: int, seed: int):
    """A float64 mixer whose parameters have left their initial values."""
    context = MixerContext(d_model=D_MODEL, num_heads=NUM_HEADS, max_seq_len=4 * seq_len, positional=row.positional)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mixer = build_mixer({"name": row.mixer, **row.options}, context).double()
    with torch.no_grad():
        for index, p in enumerate(mixer.parameters()):
            p.add_(0.3 * torch.randn(p.shape, generator=torch_generator(seed, "cast", index), dtype=p.dtype))
    return mixer


def forgetting_attention(seq_len: int, width: int, seed: int) -> tuple[Cast, Tensor]:
    """FoX on random inputs: its cast by a shear of two more states, and its outputs by their definition.

    p_ij = q_i.k_j / sqrt(n) + sum of log f_t over j < t <= i under a softmax (Lin et al. 2025, arXiv 2503.02130).
    """
    draw = torch_generator(seed, "forgetting attention")
    q, k, v = (torch.randn(1, seq_len, 1, width, generator=draw, dtype=torch.float64) for _ in range(3))
    log_f = F.logsigmoid(1 + torch.randn(1, seq_len, 1, generator=draw, dtype=torch.float64))
    zero, one = torch.zeros_like(q[..., :1]), torch.ones_like(q[..., :1])
    cast = Cast(
        q=torch.cat([q, zero, one], dim=-1),
        k=torch.cat([k * width**-0.5, one, zero], dim=-1),
        v=v,
        b=torch.ones_like(log_f),
        evolution=Evolution(shear=log_f),
        readout=Readout("exp"),
        normaliser=Normaliser(kind="sum"),
    )
    scores = torch.full((seq_len, seq_len), float("-inf"), dtype=torch.float64)
    for i in range(seq_len):
        for j in range(i + 1):
            scores[i, j] = q[0, i, 0] @ k[0, j, 0] * width**-0.5 + log_f[0, j + 1 : i + 1, 0].sum()
    return cast, (scores.softmax(-1) @ v[0, :, 0])[None, :, None]


def _gap(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max())


def _compared(cast: Cast) -> dict:
    """Deviations between the evaluations, and the objects' names."""
    impulse = cast.impulse()
    row = {"phi": cast.readout.name, "structure": cast.evolution.name, "num_states": cast.k.shape[-1]}
    row |= {"parallel_deviation": _gap(cast.parallel(), impulse), "recurrent_deviation": None}
    if cast.readout.name in LINEAR:
        row["recurrent_deviation"] = _gap(cast.recurrent(), cast.heads(impulse))
    return row | {"in_framework": not cast.state_dependent}


MAPS = ("softmax attention", "softmax + RoPE", "linear attention", "RetNet", "Mamba-2 (SSD)", "DeltaNet")


def map_rows(seq_len: int) -> Iterator[dict]:
    """Coefficients of the first head of several architectures on one input: what the framework figure draws."""
    x = torch.randn(1, seq_len, D_MODEL, generator=torch_generator(0, "maps"), dtype=torch.float64)
    for name in MAPS:
        with torch.no_grad():
            alpha = randomised(ROWS[name], seq_len, 0).cast(x).parallel()[0, 0]
        for i in range(seq_len):
            for j in range(i + 1):
                yield {"architecture": name, "i": i, "j": j, "alpha": float(alpha[i, j])}


def cast_rows(settings: Casts) -> Iterator[dict]:
    """A row per architecture: four objects, largest deviations over the seeds."""
    for name, own in ROWS.items():
        worst: dict = {}
        for seed in range(settings.num_seeds):
            mixer = randomised(own, settings.seq_len, seed)
            x = torch.randn(2, settings.seq_len, D_MODEL, generator=torch_generator(seed, "x"), dtype=torch.float64)
            with torch.no_grad():
                cast = mixer.cast(x)
                native, expected = mixer(x), mixer.finish(cast.heads(cast.impulse()), x)
                row = _compared(cast) | {"native_deviation": _gap(native, expected)}
                single = mixer.float()(x.float()).double()
                row["float32_deviation"] = _gap(single, expected) / max(1.0, float(expected.abs().max()))
            worst = {k: max(v, worst.get(k, v)) if isinstance(v, float) else v for k, v in row.items()}
        yield {
            "architecture": name,
            "mixer": own.mixer,
            "a": own.a,
            "b": own.b,
            "eta": own.eta,
            "note": own.note,
        } | worst
    cast, native = forgetting_attention(settings.seq_len, 4, 0)
    words = {"architecture": "forgetting attention", "mixer": "none", "a": "shear by log f_t on two more states"}
    words |= {"b": "1/sqrt(n)", "eta": "sum phi", "note": "no module here; against its definition"}
    yield words | _compared(cast) | {"native_deviation": _gap(cast.heads(cast.impulse()), native)}
