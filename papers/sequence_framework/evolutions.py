"""What A_t, b and eta do: position (principle 3), structure (4), scale of b (5), stability (6). Exact, no training.

Shapes: B draws, T time, n key width.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from papers.sequence_framework.settings import Permutations, Scaling, Stability, Structures
from shared.base.seeding import torch_generator
from shared.models.mixers.dynamics import Cast, Evolution
from shared.models.mixers.readouts import Normaliser, Readout

EVOLUTIONS = ("I", "scalar", "diagonal", "rotation", "Householder", "scalar x Householder")


def _normal(*shape: int, purpose: str, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch_generator(seed, purpose), dtype=torch.float64)


def build_evolution(name: str, log_gate: Tensor, beta: Tensor) -> Evolution:
    """An evolution by name; log_gate (B, T, H, n) below 0, beta (B, T, H)."""
    n = log_gate.shape[-1]
    angles = 10000.0 ** (-torch.arange(0, n, 2, dtype=torch.float64) / n)
    made = {
        "I": Evolution(),
        "scalar": Evolution(log_decay=log_gate[..., :1]),
        "diagonal": Evolution(log_decay=log_gate),
        "rotation": Evolution(angles=-angles),
        "Householder": Evolution(erase=beta),
        "scalar x Householder": Evolution(log_decay=log_gate[..., :1], erase=beta),
    }
    return made[name]


def permutation_rows(settings: Permutations) -> Iterator[dict]:
    """Largest change of the last output when the sources before it (keys, values, gates) are permuted."""
    num_steps, n = settings.seq_len, settings.n
    for name in EVOLUTIONS:
        for readout, kind in (("identity", "one"), ("exp", "sum")):
            worst = least = None
            for seed in range(settings.num_permutations):
                q, k, v, gate = (_normal(1, num_steps, 1, n, purpose=p, seed=seed) for p in ("q", "k", "v", "gate"))
                k = k / k.norm(dim=-1, keepdim=True)
                log_gate, beta = torch.nn.functional.logsigmoid(1 + gate), gate[..., 0].sigmoid()
                order = torch.randperm(num_steps - 1, generator=torch_generator(seed, "permutation"))
                order = torch.cat([order, torch.tensor([num_steps - 1])])  # the query's own place stays
                outputs = []
                for at in (torch.arange(num_steps), order):
                    cast = Cast(
                        q=q,
                        k=k[:, at],
                        v=v[:, at],
                        b=torch.full((1, num_steps, 1), n**-0.5, dtype=torch.float64),
                        evolution=build_evolution(name, log_gate[:, at], beta[:, at]),
                        readout=Readout(readout),
                        normaliser=Normaliser(kind=kind),
                    )
                    outputs.append(cast.heads()[:, -1])
                change = float((outputs[1] - outputs[0]).abs().max())
                worst, least = max(change, worst or 0.0), min(change, np.inf if least is None else least)
            yield {"evolution": name, "phi": readout, "largest_change": worst, "smallest_change": least}


def structure_rows(settings: Structures) -> Iterator[dict]:
    """A key written, then written anew after `lag` steps of unit keys: what a query for it still reads of each value.

    An erasing A_t leaves nothing of the first value; a scalar leaves gamma^lag of it; the identity all of it. radius:
    largest modulus of an eigenvalue of A_t; flops: of one step on an n x d_v state.
    """
    n, lag, d_v = settings.n, settings.lag, settings.n
    kinds = {"I": (0.0, 0.0), "scalar": (settings.decay, 0.0), "diagonal": (settings.decay, 0.0)}
    kinds |= {f"Householder, beta = {beta:g}": (0.0, beta) for beta in settings.betas}
    cost = {"I": 0, "scalar": n * d_v, "diagonal": n * d_v}
    for name, (decay, beta) in kinds.items():
        k = torch.eye(n, dtype=torch.float64)[torch.arange(lag + 1) % lag % n]  # the first key again at the end
        k = k[None, :, None]
        log_decay = None
        if decay:
            own = torch.full((n if name == "diagonal" else 1,), float(np.log(decay)), dtype=torch.float64)
            own[1:] = own[1:] / 2  # a diagonal treats coordinates apart
            log_decay = own.expand(1, lag + 1, 1, -1)
        erase = torch.full((1, lag + 1, 1), beta, dtype=torch.float64) if beta else None
        evolution = Evolution(log_decay=log_decay, erase=erase)
        p = evolution.pre_activations(k, k)[0, 0, -1]  # the query is the key
        radius = torch.linalg.eigvals(evolution.matrices(k)[0, -1, 0]).abs().max()
        row = {"structure": name, "stale": float(p[0]), "fresh": float(p[-1]), "radius": float(radius)}
        yield row | {"flops": cost.get(name, 4 * n * d_v)}


def scaling_rows(settings: Scaling) -> Iterator[dict]:
    """Variance of q.k b for q, k ~ N(0, I_n) and b = n^exponent, with the standard error of a variance over draws."""
    for n in settings.ns:
        q, k = (_normal(settings.num_draws, n, purpose=f"{which} of scaling", seed=n) for which in "qk")
        products = (q * k).sum(-1)
        for exponent in settings.exponents:
            squares = (products * n**exponent) ** 2  # the mean is 0 by symmetry
            error = squares.std() / settings.num_draws**0.5
            row = {"exponent": exponent, "n": n, "variance": float(squares.mean()), "standard_error": float(error)}
            yield row | {"law": float(n) ** (1 + 2 * exponent)}


def square_sum(a: float, i: np.ndarray) -> np.ndarray:
    """E sum_j alpha_ij^2 = (1 - a^(2(i+1))) / (1 - a^2), i + 1 at |a| = 1: A = a I, phi = id, b = n^(-1/2), eta = 1."""
    i = np.asarray(i, float)
    return i + 1 if abs(a) == 1 else (1 - a ** (2 * (i + 1))) / (1 - a**2)


def stability_rows(settings: Stability) -> Iterator[dict]:
    """Mean of sum_j alpha_ij^2 and largest sum_j |alpha_ij| over draws, by i, decay a and normaliser."""
    n, num_steps = settings.n, settings.seq_len
    phis = [("identity", a, kind) for a in settings.decays for kind in ("one", "root", "abs_sum", "floored")]
    phis.append(("exp", 1.0, "sum"))
    for readout, a, kind in phis:
        squares, largest, size = [], np.zeros(num_steps), min(250, settings.num_draws)
        for part in range(settings.num_draws // size):
            # each row's own query and keys: rows of one draw are dependent, draws are not
            q, k = (_normal(size, num_steps, 1, n, purpose=f"{w} of stability {part}") for w in "qk")
            cast = Cast(
                q=q,
                k=k,
                v=k,
                b=torch.full(q.shape[:-1], n**-0.5, dtype=torch.float64),
                evolution=Evolution(log_decay=torch.full_like(q[..., :1], float(np.log(a)))),
                readout=Readout(readout),
                normaliser=Normaliser(kind=kind, values=torch.ones_like(q[..., 0]) if kind == "floored" else None),
            )
            alpha = cast.parallel()[:, 0]
            squares.append(alpha.square().sum(-1))
            largest = np.maximum(largest, alpha.abs().sum(-1).amax(0).numpy())
        squares = torch.cat(squares).numpy()
        mean, error = squares.mean(0), squares.std(0, ddof=1) / len(squares) ** 0.5
        closed = square_sum(a, np.arange(num_steps)) if (readout, kind) == ("identity", "one") else None
        for i in settings.shown:
            row = {"phi": readout, "decay": a, "eta": kind, "i": i, "square_sum": mean[i], "standard_error": error[i]}
            yield row | {"largest_abs_sum": largest[i], "closed_form": None if closed is None else closed[i]}
