"""Brute force on tiny vocabularies: the bound, its optimum and the sampler, exactly.

Everything enumerates all V^L noisy sequences in float64, so keep V^L below a few thousand.

Shapes: V vocabulary with the mask, N = V - 1, L positions, S = V^L states, Q quadrature nodes.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from papers.gidd.checks import check_x_hat
from papers.gidd.loss import reference_terms
from papers.gidd.names import Weighting
from papers.gidd.process import MixingProcess
from papers.gidd.sampling import Network, reverse_probs, time_grid
from papers.gidd.weighting import training_weight


def all_sequences(ids: list[int], length: int) -> Tensor:
    """Every sequence over `ids`, (len(ids) ** length, length), the last position fastest."""
    return torch.tensor(list(itertools.product(ids, repeat=length)), dtype=torch.int64)


def ordinary_ids(process: MixingProcess) -> list[int]:
    """The N ids that can be data, in order."""
    return [k for k in range(process.vocab_size) if k != process.mask_id]


# --- quadrature --------------------------------------------------------------------------------------------------


def time_quadrature(num_nodes: int, *, eps: float = 1e-9, gamma: float = 1.0, eps_high: float | None = None):
    """Nodes and weights (Q,), (Q,) for integrals over t in [eps, 1 - eps_high].

    t = sin^2(phi) removes the t^(-1/2) ends of the hybrid integrand at gamma = 1. At the lower end it behaves like
    t^(gamma / 2 - 1) log t; there phi is a power of the Gauss-Legendre variable, for the logarithm and for gamma < 1.
    """
    power = 3 * max(1.0, 1.0 / gamma)
    high = eps if eps_high is None else eps_high
    first = (math.asin(math.sqrt(eps)) / (math.pi / 2)) ** (1 / power)
    last = (math.asin(math.sqrt(1 - high)) / (math.pi / 2)) ** (1 / power)
    nodes, weights = legendre(num_nodes)
    y = first + (last - first) * (nodes + 1) / 2
    phi = math.pi / 2 * y**power
    slope = math.pi / 2 * power * y ** (power - 1) * torch.sin(2 * phi)
    return torch.sin(phi).square(), weights * (last - first) / 2 * slope


def legendre(num_nodes: int) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes and weights on [-1, 1], float64, from the eigenvalues of the Jacobi matrix."""
    k = torch.arange(1, num_nodes, dtype=torch.float64)
    off = k / torch.sqrt(4 * k * k - 1)
    nodes, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return nodes, 2 * vectors[0].square()


# --- models ------------------------------------------------------------------------------------------------------


class TableModel:
    """x_hat that depends on the current token only: net(z, t) = log table[z].

    Args:
        table: (V, V) rows over predicted tokens, or (V,) for a constant prediction; no mass on the mask.
    """

    def __init__(self, table: Tensor, process: MixingProcess) -> None:
        table = table.double()
        check_x_hat(table, process.vocab_size, process.mask_id)
        self.table = table.expand(process.vocab_size, -1)

    def __call__(self, z: Tensor, t: Tensor) -> Tensor:
        return self.table[z].log()


class LeaveOneOutModel:
    """The optimum: x_hat_i = p(x_i | all other noisy positions, t), from a joint distribution over L tokens.

    Args:
        joint: probabilities, (N,) * L, over the ordinary tokens in the order of their ids.
    """

    def __init__(self, joint: Tensor, process: MixingProcess) -> None:
        self.process = process
        self.states = all_sequences(ordinary_ids(process), joint.ndim)  # (N^L, L)
        self.probs = joint.double().flatten()
        self.uniform = (torch.arange(process.vocab_size) != process.mask_id).double()

    def __call__(self, z: Tensor, t: Tensor) -> Tensor:
        t, length = t.double(), z.shape[1]
        # likelihood of every noisy token under every state: (batch, states, L)
        pairs = self.process.marginal_at(
            t, z.unsqueeze(1).expand(-1, len(self.states), -1).contiguous(), self.states.expand(len(z), -1, -1)
        )
        x_hat = torch.zeros(*z.shape, self.process.vocab_size, dtype=torch.float64)
        for i in range(length):
            others = [j for j in range(length) if j != i]
            posterior = self.probs * pairs[:, :, others].prod(-1)
            x_hat[:, i].index_add_(-1, self.states[:, i], posterior)
        evidence = x_hat.sum(-1, keepdim=True)
        # noisy tokens that the process cannot produce at t (a revealed token at t = 1) carry no evidence at all
        x_hat = torch.where(evidence > 0, x_hat, self.uniform)
        return (x_hat / x_hat.sum(-1, keepdim=True)).log()


# --- the bound ---------------------------------------------------------------------------------------------------


def expected_terms(x: Tensor, net: Network, process: MixingProcess, t: Tensor, *, with_is: bool = True) -> Tensor:
    """E_z[ w (KL + IS) ] summed over the positions of one sequence `x` (L,), at each time (Q,); (Q,), nats.

    `with_is=False` leaves out the IS term: not a bound, there to show what it is for.
    """
    z = all_sequences(list(range(process.vocab_size)), len(x))  # (S, L)
    times = t.double().repeat_interleave(len(z))
    z = z.repeat(len(t), 1)
    data = x.expand_as(z)
    x_hat = net(z, times)[..., : process.vocab_size].softmax(-1)
    terms = reference_terms(x_hat, data, z, times, process)
    probability = process.marginal_at(times, z, data).prod(-1, keepdim=True)
    divergence = terms.kl + (terms.is_ if with_is else 0.0)
    value = torch.where(probability * terms.weight > 0, probability * terms.weight * divergence, 0.0)
    return value.sum(-1).reshape(len(t), -1).sum(-1)


def continuous_nelbo(
    x: Tensor, net: Network, process: MixingProcess, nodes: Tensor, weights: Tensor, *, with_is: bool = True
) -> float:
    """The bound of one sequence, integrated over t, in nats: an upper bound on -log p(x) up to C."""
    return (weights * expected_terms(x, net, process, nodes, with_is=with_is)).sum().item()


def discrete_nelbo(x: int, net: Network, process: MixingProcess, grid: Tensor) -> float:
    """Sum over the steps of `grid` of E_z[ KL(q(z_s | z_t, x) || p(z_s | z_t)) ] for a single token `x`, in nats.

    Enumerates z_t and z_s; written from the definition of the two posteriors and not from the bound.
    """
    s, t = grid[:-1].double(), grid[1:].double()
    every = torch.arange(process.vocab_size)
    x_hat = torch.stack([net(every[:, None], time.expand(len(every)))[:, 0].softmax(-1) for time in t])  # (T, z_t, V)
    alpha_s, alpha_t = process.alpha(s)[:, None, None], process.alpha(t)[:, None, None]
    noise_s, noise_t = process.beta_pi(s), process.beta_pi(t)
    forward = (alpha_t / alpha_s) * torch.eye(process.vocab_size, dtype=torch.float64)
    forward = forward + process.conditional_noise(s, t)[:, :, None]  # (T, z_t, z_s): q(z_t | z_s)
    one_hot = torch.nn.functional.one_hot(torch.tensor(x), process.vocab_size).double().expand_as(x_hat)

    def posterior(data):  # (T, z_t, V) -> (T, z_t, z_s)
        joint = forward * (alpha_s * data + noise_s[:, None])
        return joint / (alpha_t * data + noise_t[:, None]).diagonal(dim1=1, dim2=2)[:, :, None]

    q, p = posterior(one_hot), posterior(x_hat)
    kl = torch.where(q > 0, q * (q / p).log(), 0.0).sum(-1)  # (T, z_t)
    q_t = (alpha_t * one_hot + noise_t[:, None]).diagonal(dim1=1, dim2=2)
    return torch.where(q_t > 0, q_t * kl, 0.0).sum().item()


def minimiser(
    weighting: Weighting, process: MixingProcess, prior: Tensor, z: int, t: float, *, w_max: float = 1.0
) -> Tensor:
    """Constant prediction (V,) that minimises the expected training loss at one noisy token z and time t.

    The data token has distribution `prior` (V,), zero on the mask. L-BFGS on the logits of the ordinary tokens.
    """
    ids = torch.tensor(ordinary_ids(process))
    times = torch.full((len(ids),), t, dtype=torch.float64)
    x, noisy = ids[:, None], torch.full((len(ids), 1), z)
    joint = prior[ids] * process.marginal_at(times, noisy, x)[:, 0]
    weight = training_weight(weighting, process, times, noisy, x, w_max=w_max)[:, 0]
    logits = torch.zeros(len(ids), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [logits], max_iter=2000, tolerance_grad=1e-14, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )

    def predicted() -> Tensor:
        return torch.zeros_like(prior, dtype=torch.float64).index_copy(0, ids, logits.softmax(-1))

    def expected_loss() -> Tensor:
        solver.zero_grad()
        terms = reference_terms(predicted().expand(len(ids), 1, -1), x, noisy, times, process)
        loss = (joint * weight * (terms.kl + terms.is_)[:, 0]).sum() / joint.sum()
        loss.backward()
        return loss

    solver.step(expected_loss)
    return predicted().detach()


# --- the sampler -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Propagation:
    """Exact law of the sampler.

    Attributes:
        states: all sequences, (S, L).
        times: of the rows of `law`, decreasing, (T + 1,).
        law: probability of every state at every time, (T + 1, S).
    """

    states: Tensor
    times: Tensor
    law: Tensor


def propagate(
    net: Network, process: MixingProcess, length: int, num_steps: int, *, eps: float = 1e-4, authors_grid: bool = False
) -> Propagation:
    """Law of `ancestral_sample` over all V^L states, before masks are filled, by multiplying out its transitions."""
    states = all_sequences(list(range(process.vocab_size)), length)
    times = time_grid(num_steps, eps=eps, authors_grid=authors_grid)
    start = process.beta_pi(torch.ones((), dtype=torch.float64))
    law = [start[states].prod(-1)]
    for t, s in itertools.pairwise(times):
        t, s = t.expand(len(states)), s.expand(len(states))
        probs = reverse_probs(net(states, t), states, s, t, process)  # (S, L, V)
        probs = torch.nan_to_num(probs, 0.0)  # from states of probability zero there is no transition
        picked = [probs[:, i, states[:, i]] for i in range(length)]  # each (from, to)
        law.append(law[-1] @ torch.stack(picked).prod(0))
    return Propagation(states, times, torch.stack(law))


def total_variation_to_data(propagation: Propagation, joint: Tensor, process: MixingProcess) -> float:
    """Total variation between the last law and the data's `joint`, (N,) * L; masks count as errors."""
    target = torch.zeros((process.vocab_size,) * joint.ndim, dtype=torch.float64)
    target[torch.meshgrid(*[torch.tensor(ordinary_ids(process))] * joint.ndim, indexing="ij")] = joint.double()
    return (propagation.law[-1] - target.flatten()).abs().sum().item() / 2


# --- the uniform model -------------------------------------------------------------------------------------------


def uniform_model_terms(process: MixingProcess, t: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """{"mask" | "data" | "other": (probability of z of that kind, ELBO there)} at times (Q,), for x_hat uniform over N.

    In closed form, for processes with two noise levels; what a zero-initialised network gives.
    """
    n = process.num_ordinary
    alpha, nu = process.alpha(t), process.token_mass(t)
    p = alpha / n + nu
    kl = (alpha + nu) * ((alpha + nu) / p).log() + (n - 1) * nu * torch.where(nu > 0, nu / p, 1.0).log()
    probability = {"mask": process.mask_mass(t), "data": alpha + nu, "other": (n - 1) * nu}
    q = {"mask": process.mask_mass(t), "data": alpha + nu, "other": nu}
    flow = {"mask": process.omega_mask(t), "data": process.omega_token(t), "other": process.omega_token(t)}
    ratio = {"mask": torch.ones_like(p), "data": (alpha + nu) / p, "other": torch.where(nu > 0, nu / p, 1.0)}
    return {
        kind: (
            probability[kind],
            torch.where(flow[kind] > 0, flow[kind] / q[kind] * (kl + ratio[kind] - ratio[kind].log() - 1), 0.0),
        )
        for kind in probability
    }


def uniform_model_nelbo(process: MixingProcess, nodes: Tensor, weights: Tensor) -> float:
    """The bound of one token under the uniform model, integrated over t, in nats; log N over the whole of (0, 1)."""
    terms = uniform_model_terms(process, nodes).values()
    return sum((weights * probability * elbo).sum().item() for probability, elbo in terms)
