"""Compressed gradient averaging between real processes: one client per process, as a DDP communication hook.

Each process adds its own noise to its own gradient, compresses the sum, and the hook averages what was sent. With
`one_client` streams a run of N processes draws what the in-process simulation with `client_draws` draws for N clients.

Source of the mechanism: torch.nn.parallel.DistributedDataParallel.register_comm_hook.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from shared.optim.compression import Compressor
from shared.optim.draws import ClientDraws, one_client
from shared.optim.gradient_noise import GradientNoise

_ONE_BUCKET_MB = 1 << 20  # larger than any model here: the compressor has to see the whole gradient


@dataclass
class ClientHook:
    """What a process keeps for the hook.

    Args:
        order: the model's parameters in the order of `model.parameters()`, which the flat gradient follows.
        noise, compressor: as of the simulation.
        draws: this client's own streams.
    """

    order: list[nn.Parameter]
    noise: GradientNoise
    compressor: Compressor
    draws: ClientDraws

    def message(self, grad: Tensor) -> Tensor:
        """C(grad + Z) of the flat gradient (P,)."""
        noisy = self.noise(grad.unsqueeze(0), 1, self.draws.noise)
        return self.compressor(noisy, self.draws.masks)[0]


def average_messages(state: ClientHook, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """Communication hook: the mean over processes of their noisy, compressed gradients.

    DDP lays the parameters out in an order of its own, and a compressor sees coordinates in the order of the model; so
    the gradients are brought into that order and back.

    Raises:
        ValueError: the gradient comes in more than one bucket (see `prepare_client`).
    """
    layout = bucket.parameters()
    if not bucket.is_last() or len(layout) != len(state.order):
        raise ValueError(
            "the compressor has to see the whole gradient at once and DDP split it into buckets; build the model with"
            " prepare_client, which asks for one"
        )
    place = {id(p): index for index, p in enumerate(layout)}
    indices = [place[id(p)] for p in state.order]
    grads = bucket.gradients()
    message = state.message(torch.cat([grads[i].flatten() for i in indices]))
    future = dist.all_reduce(message, async_op=True).get_future()
    num_clients = dist.get_world_size()

    def laid_out(done: torch.futures.Future) -> Tensor:
        pieces = (done.value()[0] / num_clients).split([grads[i].numel() for i in indices])
        for i, piece in zip(indices, pieces, strict=True):
            grads[i].copy_(piece.view_as(grads[i]))
        return bucket.buffer()

    return future.then(laid_out)


def client_accelerator(device: str = "cpu") -> Accelerator:
    """Accelerator whose models DDP keeps in one bucket."""
    one_bucket = DistributedDataParallelKwargs(bucket_cap_mb=_ONE_BUCKET_MB)
    return Accelerator(cpu=device == "cpu", kwargs_handlers=[one_bucket])


def prepare_client(
    model: nn.Module,
    accelerator: Accelerator,
    noise: GradientNoise,
    compressor: Compressor,
    seed: int,
    *purpose: str | int,
) -> nn.Module:
    """The model under DDP with the hook; after backward every process holds u, the mean of the clients' messages.

    Args:
        accelerator: from `client_accelerator`, with two or more processes.
        seed, purpose: of the clients' streams, as given to `client_draws` by the simulation.
    Raises:
        ValueError: there is one process only, which averages nothing.
    """
    if accelerator.num_processes < 2:
        raise ValueError(
            "compressed averaging needs two or more processes and one joined; start the step with"
            " python -m shared.train.launch --processes 2 -- MODULE ..."
        )
    order = [p for p in model.parameters() if p.requires_grad]
    wrapped = accelerator.prepare(model)
    draws = one_client(seed, accelerator.process_index, *purpose, device=accelerator.device)
    wrapped.register_comm_hook(ClientHook(order, noise, compressor, draws), average_messages)
    return wrapped


def flat_gradient(model: nn.Module) -> Tensor:
    """Gradient (P,) in the order of `model.parameters()`."""
    return parameters_to_vector([p.grad for p in model.parameters() if p.requires_grad])
