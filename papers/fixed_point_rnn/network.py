"""The models of all studies: embedding, pre-norm residual blocks, final norm, tied head.

Shapes: B batch, T time, D model width, V vocabulary, L layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from papers.fixed_point_rnn.layer import ImplicitLayer
from papers.fixed_point_rnn.mamba import FPMamba, FPMamba2
from papers.fixed_point_rnn.rnn import FPRNN
from papers.fixed_point_rnn.settings import ModelSettings, SolverSettings
from papers.fixed_point_rnn.solver import Solution
from shared.models.backbone import Block, RMSNorm
from shared.models.initialisation import drawing_from
from shared.models.mixers.base import count_parameters

_LAYERS = {"fp_rnn": FPRNN, "fp_mamba": FPMamba, "fp_mamba2": FPMamba2}


@dataclass(frozen=True)
class Output:
    """logits (B, T, V), and the solution of each implicit layer."""

    logits: Tensor
    solutions: list[Solution]

    @property
    def iterations(self) -> Tensor:
        """Evaluations of the map, the largest of the layers, 0-d; 1 without implicit layers."""
        counts = [s.iterations for s in self.solutions]
        return torch.stack(counts).amax(0) if counts else torch.ones_like(self.logits[0, 0, 0])


class ImplicitBlock(nn.Module):
    """x + layer(norm(x))."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.norm = RMSNorm(settings.d_model, eps=1e-6)
        self.layer: ImplicitLayer = _LAYERS[settings.layer](settings)
        self.layer.solver = settings.solver

    def forward(self, x: Tensor, l_max: Tensor | int | None = None) -> tuple[Tensor, Solution]:
        out, solution = self.layer(self.norm(x), l_max)
        return x + out, solution


class SequenceModel(nn.Module):
    """Tokens (B, T) -> logits (B, T, V); the head is the embedding table.

    Args:
        cap: largest number of iterations in evaluation, where all sequences have to meet the tolerance.
        generator: of the initial weights.
    """

    def __init__(
        self, settings: ModelSettings, vocab_size: int, cap: int = 1000, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        with drawing_from(generator):
            self.embedding = nn.Embedding(vocab_size, settings.d_model)
            nn.init.normal_(self.embedding.weight, std=settings.d_model**-0.5)
            if settings.layer == "baseline":
                config = settings.backbone()
                self.blocks = nn.ModuleList(Block(config, layer) for layer in range(settings.num_layers))
            else:
                self.blocks = nn.ModuleList(ImplicitBlock(settings) for _ in range(settings.num_layers))
            self.norm = RMSNorm(settings.d_model, eps=1e-6)
        self.evaluate_with(settings.solver.model_copy(update={"l_max": cap, "quantile": 1.0}))

    def evaluate_with(self, solver: SolverSettings) -> None:
        """Settings of the iteration in evaluation mode."""
        for layer in self.implicit_layers:
            layer.evaluation_solver = solver

    @property
    def implicit_layers(self) -> list[ImplicitLayer]:
        return [block.layer for block in self.blocks if isinstance(block, ImplicitBlock)]

    def forward(self, tokens: Tensor, l_max: Tensor | int | None = None) -> Output:
        """`l_max` replaces the training solver's limit; a number or a 0-d tensor."""
        x, solutions = self.embedding(tokens), []
        for block in self.blocks:
            if isinstance(block, ImplicitBlock):
                x, solution = block(x, l_max)
                solutions.append(solution)
            else:
                x = block(x)
        return Output(nn.functional.linear(self.norm(x), self.embedding.weight), solutions)


def num_parameters(settings: ModelSettings, vocab_size: int) -> int:
    """Trainable numbers of the model, counted on its object."""
    return count_parameters(SequenceModel(settings, vocab_size))
