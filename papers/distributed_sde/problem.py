"""A classification problem as a function of the flat parameter vector (P,)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector

from papers.distributed_sde.network_settings import NetworkSpec, label_entropy
from shared.base.seeding import torch_generator
from shared.data.digits import load_digits
from shared.data.loaders import load_cifar10
from shared.models.mlp import MLP
from shared.models.resnet import ResNet
from shared.models.vit import VisionTransformer


def load_images(spec: NetworkSpec, device: str) -> tuple[Tensor, Tensor]:
    """Training images, standardised, and labels; shuffled once, so that contiguous shards are i.i.d."""
    if spec.data == "digits":
        data = load_digits()
        images, labels = data.train_images, data.train_labels
    else:
        pixels, classes = load_cifar10("train")
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        images = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
        labels = torch.from_numpy(classes)
    order = torch.randperm(len(images), generator=torch_generator(0, "image_order"))[: spec.max_images]
    images = images[order].flatten(1) if spec.mlp is not None else images[order]
    return images.to(device), labels[order].to(device)


def build_network(spec: NetworkSpec, seed: int) -> nn.Module:
    """The network with initial weights of a seed."""
    generator = torch_generator(seed, "network")
    if spec.mlp is not None:
        return MLP(spec.mlp, generator)
    return ResNet(spec.resnet, generator) if spec.resnet is not None else VisionTransformer(spec.vit, generator)


@dataclass
class Problem:
    """Loss and gradient at flat parameters.

    Args:
        spec: network and data.
        device: where everything lives.
    """

    spec: NetworkSpec
    device: str = "cpu"

    def __post_init__(self) -> None:
        self.entropy = label_entropy(self.spec.label_smoothing)
        self.images, self.labels = load_images(self.spec, self.device)
        self.skeleton = build_network(self.spec, 0).to(self.device)
        self.names = [name for name, _ in self.skeleton.named_parameters()]
        self.shapes = [p.shape for p in self.skeleton.parameters()]

    def initial(self, seed: int) -> Tensor:
        """Initial parameters (P,) of a seed."""
        return parameters_to_vector(build_network(self.spec, seed).parameters()).detach().to(self.device)

    def loss(self, x: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy in nats at flat parameters x, above the entropy of the labels where they are smoothed."""
        pieces = x.split([shape.numel() for shape in self.shapes])
        params = {n: p.view(s) for n, p, s in zip(self.names, pieces, self.shapes, strict=True)}
        logits = functional_call(self.skeleton, params, (images,))
        return F.cross_entropy(logits, labels, label_smoothing=self.spec.label_smoothing) - self.entropy

    def full_batch(self, xs: Tensor) -> tuple[Tensor, Tensor]:
        """(gradients (R, P), losses (R,)) over all images, at R parameter vectors.

        One after another: under vmap a small network took three times as long on a CPU.
        """
        grads, losses = torch.empty_like(xs), xs.new_empty(len(xs))
        for index, x in enumerate(xs):
            with torch.enable_grad():
                leaf = x.detach().requires_grad_()
                loss = self.loss(leaf, self.images, self.labels)
            grads[index], losses[index] = torch.autograd.grad(loss, leaf)[0], loss.detach()
        return grads, losses

    def shard(self, client: int, num_clients: int) -> tuple[Tensor, Tensor]:
        """Images and labels of one client: disjoint parts of equal size."""
        size = len(self.images) // num_clients
        part = slice(client * size, (client + 1) * size)
        return self.images[part], self.labels[part]

    def batch(self, client: int, num_clients: int, size: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """A client's mini-batch of one step: drawn with replacement from its own shard, from (seed, client, step)."""
        images, labels = self.shard(client, num_clients)
        rows = torch.randint(len(images), (size,), generator=torch_generator(seed, "batch", client, step))
        return images[rows.to(self.device)], labels[rows.to(self.device)]
