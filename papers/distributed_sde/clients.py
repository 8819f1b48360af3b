"""N clients with mini-batches of their own, simulated in one process or each a process, behind one interface.

Both give (u, loss) at flat parameters x: u the mean of the compressed noisy gradients, loss the mean of the clients'
mini-batch losses. With streams per client they draw the same numbers.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.nn.utils import vector_to_parameters

from papers.distributed_sde.network_settings import Rule
from papers.distributed_sde.problem import Problem, build_network
from shared.optim.distributed import CAP, DistributedMethod, Normalisation, decay_factor
from shared.optim.draws import client_draws
from shared.train.compressed import flat_gradient, prepare_client

STREAMS = "clients"  # purpose of the clients' streams, in both forms


class Clients(ABC):
    """Where messages come from."""

    @abstractmethod
    def message_mean(self, x: Tensor, step: int) -> tuple[Tensor, float]:
        """(u (P,), mean mini-batch loss in nats) at x."""


class SimulatedClients(Clients):
    """All clients in this process, their gradients under one vmap."""

    def __init__(self, problem: Problem, method: DistributedMethod, batch_size: int, seed: int) -> None:
        self.problem, self.method, self.batch_size, self.seed = problem, method, batch_size, seed
        self.draws = client_draws(seed, method.num_clients, STREAMS, device=problem.device)
        self.gradients = vmap(grad_and_value(problem.loss), in_dims=(None, 0, 0))

    def message_mean(self, x: Tensor, step: int) -> tuple[Tensor, float]:
        count = self.method.num_clients
        batches = [self.problem.batch(i, count, self.batch_size, self.seed, step) for i in range(count)]
        images, labels = (torch.stack(parts) for parts in zip(*batches, strict=True))
        grads, losses = self.gradients(x, images, labels)
        return self.method.client_mean(grads, self.draws), float(losses.mean())


class ProcessClients(Clients):
    """This process is one client; the others are reached through the communication hook."""

    def __init__(
        self, problem: Problem, method: DistributedMethod, batch_size: int, seed: int, accelerator: Accelerator
    ) -> None:
        if accelerator.num_processes != method.num_clients:
            raise ValueError(
                f"every process is one client: {method.num_clients} clients were asked for and"
                f" {accelerator.num_processes} processes joined; start as many"
            )
        self.problem, self.batch_size, self.seed = problem, batch_size, seed
        self.client, self.num_clients = accelerator.process_index, method.num_clients
        network = build_network(problem.spec, seed).to(problem.device)
        self.model = prepare_client(network, accelerator, method.noise, method.compressor, seed, STREAMS)

    def message_mean(self, x: Tensor, step: int) -> tuple[Tensor, float]:
        vector_to_parameters(x, self.model.parameters())
        images, labels = self.problem.batch(self.client, self.num_clients, self.batch_size, self.seed, step)
        self.model.zero_grad()
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        return flat_gradient(self.model).clone(), float(mean) / self.num_clients


@dataclass(frozen=True)
class Step:
    """State of a run after `step` updates; loss is that of the mini-batches drawn there."""

    step: int
    loss: float
    message_norm: float
    diverged: bool
    x: Tensor


@torch.no_grad()
def train(
    clients: Clients, rule: Rule, normalisation: Normalisation | None, x: Tensor, num_steps: int, ema: float = 0.9
) -> Iterator[Step]:
    """x+ = x - h u with the rule's steps; yields before every update and at the end, and stops where a run diverges.

    A server that sees compressed messages alone does not know |grad f|: normalised rules use an exponential average of
    |u| in its place, with factor `ema`, started at the first |u|.
    """
    average = None
    for k in range(num_steps + 1):
        with torch.enable_grad():
            u, loss = clients.message_mean(x, k)
        norm = float(u.norm())
        diverged = not (float(x.abs().max()) <= CAP and norm < float("inf") and loss < float("inf"))
        yield Step(k, float("inf") if diverged else loss, norm, diverged, x)
        if diverged or k == num_steps:
            return
        average = norm if average is None else ema * average + (1 - ema) * norm
        h = rule.lr * decay_factor(rule.decay, k)
        if normalisation is not None:
            h = h * float(normalisation.factor(torch.tensor(average, dtype=torch.float64)))
        x = x - h * u
