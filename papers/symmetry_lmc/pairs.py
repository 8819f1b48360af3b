"""Pairs of networks: aligned by each method, and the loss along the straight line between them.

lam is the weight of model A: lam = 1 is A, lam = 0 is the aligned B. Every number is of held-out data, of networks in
eval mode and of projected (hard) elements, unless a method is soft by definition.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from papers.symmetry_lmc.names import CIRCUITS, VANILLA
from papers.symmetry_lmc.parents import mean_loss
from papers.symmetry_lmc.settings import Learning, Sampler, Variant
from shared.train.task import Task
from shared.weightspace.activation_matching import match_activations
from shared.weightspace.canonical import to_circuits
from shared.weightspace.circuits import STREAM, CircuitTransformer
from shared.weightspace.elements import Elements
from shared.weightspace.interpolation import barrier, evaluate_states, grid, path
from shared.weightspace.learned_matching import LearnedMatching, learn_matching, mixing
from shared.weightspace.states import State
from shared.weightspace.symmetry import Symmetry, transform
from shared.weightspace.weight_matching import match_weights


class Pairs:
    """Models A and B of several pairs, as trained and in circuit form.

    Args:
        task: data and raw architecture. first, second: parameters of A and of B, one per pair.
        circuits: (A, B) in circuit form, where they are not simply those of the raw models.
        num_points: of lam. coarse_points: of lam where barriers are followed over time.
    """

    def __init__(
        self,
        task: Task,
        first: Sequence[State],
        second: Sequence[State],
        num_points: int,
        coarse_points: int = 5,
        circuits: tuple[list[CircuitTransformer], list[CircuitTransformer]] | None = None,
        device: str = "cpu",
    ) -> None:
        self.task, self.raw, self.device = task, (list(first), list(second)), device  # weights stay on the CPU
        self.architecture = task.build(0).eval()
        if circuits is None:
            circuits = tuple([to_circuits(self.architecture, s) for s in side] for side in self.raw)
        self.template = circuits[0][0].eval().to(device)
        self.a, self.b = ([{k: v.detach() for k, v in m.state_dict().items()} for m in side] for side in circuits)
        self.lams, self.coarse = grid(num_points), grid(coarse_points)
        self.symmetry: Symmetry = self.template.symmetry().squared()  # heads are reordered, not split

    def __len__(self) -> int:
        return len(self.a)

    def losses(self, states: Sequence[State], template: nn.Module | None = None) -> list[dict[str, float]]:
        """Held-out metrics of each state."""
        template = self.template if template is None else template
        return evaluate_states(self.task, states, template, device=self.device, stack=16)

    def paths(
        self, method: str, moved: Sequence[State], first: Sequence[State] | None = None, lams: np.ndarray | None = None
    ) -> Iterator[dict]:
        """Loss and accuracy along the lines from `moved` (lam = 0) to `first` (lam = 1; A in circuit form)."""
        lams = self.lams if lams is None else lams
        template = None if first is None else self.architecture
        for pair, (a, b) in enumerate(zip(self.a if first is None else first, moved, strict=True)):
            found = self.losses(path(b, a, lams), template)
            for lam, values in zip(lams, found, strict=True):
                row = {"method": method, "pair": pair, "lam": float(lam)}
                yield row | {"loss": values["val_loss"], "accuracy": values["val_accuracy"]}

    def barriers(self, moved: Sequence[State]) -> list[float]:
        """Barrier of each pair for a moved B, on the coarse grid."""
        return self.heights(list(self.paths("", moved, lams=self.coarse)))

    def heights(self, rows: Sequence[dict]) -> list[float]:
        """Barrier of each pair from the rows of its coarse path."""
        losses = np.array([row["loss"] for row in rows]).reshape(len(self), -1)
        return barrier(self.coarse, losses).tolist()

    def moved(self, elements: Sequence[Elements]) -> list[dict[str, Tensor]]:
        return [transform(self.symmetry, b, e) for b, e in zip(self.b, elements, strict=True)]

    def plain_paths(self) -> Iterator[dict]:
        """The raw parameters, and the circuits as they are."""
        yield from self.paths(VANILLA, self.raw[1], self.raw[0])
        yield from self.paths(CIRCUITS, self.b)

    def group(self, orthogonal: bool) -> Symmetry:
        """The symmetry with a rotated or with a permuted stream."""
        return self.symmetry if orthogonal else self.symmetry.as_permutations()

    def match(self, orthogonal: bool, num_sweeps: int) -> list[list[Elements]]:
        """Weight matching of each pair: the elements after every sweep, the last of which are the result.

        The stream is compared by blocks that count by the mean over their rows, as in the paper.
        """
        found = []
        for a, b in zip(self.a, self.b, strict=True):
            sweeps: list[Elements] = []
            match_weights(
                self.group(orthogonal), a, b, max_sweeps=num_sweeps, averaged=[STREAM],
                after_sweep=lambda _, elements: sweeps.append(elements),  # noqa: B023
            )  # fmt: skip
            found.append(sweeps)
        return found

    @torch.no_grad()
    def match_activations(self, inputs: Tensor) -> list[Elements]:
        """Activation matching in the circuit frame: permutations only."""
        layers = range(self.template.config.num_layers)
        sites = {STREAM: [f"residual.{k}" for k in range(2 * len(layers) + 1)]}
        sites |= {f"heads.{k}": [f"attention.{k}"] for k in layers} | {f"hidden.{k}": [f"hidden.{k}"] for k in layers}
        return [match_activations(self._seen(a, inputs), self._seen(b, inputs), sites) for a, b in self._both()]

    def _both(self) -> Iterator[tuple[State, State]]:
        return zip(self.a, self.b, strict=True)

    def _seen(self, state: State, inputs: Tensor) -> dict[str, Tensor]:
        """Activations with units last; attention weights have heads as units."""
        model = CircuitTransformer(self.template.config).to(self.device)
        model.load_state_dict(dict(state))
        found = model.activations(inputs.to(self.device))
        return {k: v.movedim(1, -1) if k.startswith("attention") else v for k, v in found.items()}

    def logit_error(self, moved: Sequence[State], inputs: Tensor) -> list[float]:
        """Largest change of a logit of raw B, of each pair."""
        found = []
        for raw, state in zip(self.raw[1], moved, strict=True):
            with torch.no_grad():
                before = torch.func.functional_call(self.architecture, dict(raw), (inputs,))
                after = torch.func.functional_call(self.template, dict(state), (inputs,))
            found.append(float((before - after).abs().max()))
        return found


class Watch:
    """What is measured along a learned matching: barriers at some updates, training losses as means since the last."""

    def __init__(
        self, pairs: Pairs, symmetry: Symmetry, start: Sequence[State], steps: Sequence[int], label: str
    ) -> None:
        self.pairs, self.symmetry, self.start, self.steps, self.label = pairs, symmetry, start, set(steps), label
        self.rows: list[dict] = []
        self.seen: list[Tensor] = []

    def __call__(self, step: int, elements: list[Elements], losses: Tensor | None) -> None:
        if losses is not None:
            self.seen.append(losses)
        if step not in self.steps:
            return
        moved = [transform(self.symmetry, s, one(elements[1], k)) for k, s in enumerate(self.start)]
        rows = list(self.pairs.paths(self.label, moved, lams=self.pairs.coarse))
        middle = {row["pair"]: row["loss"] for row in rows if row["lam"] == 0.5}
        train = torch.stack(self.seen).mean(0)
        for pair, height in enumerate(self.pairs.heights(rows)):
            row = {"method": self.label, "pair": pair, "step": step, "train_loss": float(train[pair])}
            self.rows.append(row | {"test_loss": middle[pair], "barrier": height})
        self.seen = []


def one(elements: Elements, index: int) -> dict[str, Tensor]:
    """The elements of one of several stacked problems, on the CPU."""
    return {name: element[index].cpu() for name, element in elements.items()}


def learn(
    pairs: Pairs, task: Task, variant: Variant, learning: Learning, start: Sequence[State], watch: Watch | None
) -> list[dict[str, Tensor]]:
    """Elements of every moved B, from learned matching of all pairs at once; pair k sees its own order of the data."""
    how = LearnedMatching(
        num_steps=learning.num_steps, lr=learning.lr, permutation_lr=learning.permutation_lr, soft=variant.soft,
        rounds=learning.rounds, spread=learning.spread,
    )  # fmt: skip
    found = learn_matching(
        pairs.template.to(pairs.device), pairs.group(variant.orthogonal),
        [stacked(pairs.a, pairs.device), stacked(start, pairs.device)], [1],
        lambda model, batch: mean_loss(model, batch, task),
        batches(task, len(pairs), learning, pairs.device), sampler_of(variant.sampler), how, watch=watch,
    )  # fmt: skip
    return [one(found[1], k) for k in range(len(pairs))]


def batches(task: Task, num_problems: int, learning: Learning, device: str) -> Iterator[dict[str, Tensor]]:
    """Training batches of the parents' own kind, (P, B, ...), in orders that no parent saw."""
    for step in range(learning.num_steps):
        own = [task.batch(step, range(learning.batch_size), 1000 + k) for k in range(num_problems)]
        yield {name: torch.stack([batch[name] for batch in own]).to(device) for name in own[0]}


def sampler_of(sampler: Sampler):
    """Weights (lam, 1 - lam)."""
    return mixing(sampler.name, sampler.low, sampler.high)


def stacked(states: Sequence[State], device: str) -> dict[str, Tensor]:
    """Entries (P, ...), on the device."""
    return {name: torch.stack([state[name] for state in states]).to(device) for name in states[0]}
