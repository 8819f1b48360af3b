"""Updates of all members: noise, clipping and each member's own rule and hyperparameters.

Shapes: M members, P parameters, S members of one stack.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from shared.optim.clipping import clip_factor
from shared.optim.rule import Rule
from shared.optim.vectors import above_zero
from shared.train.rules import clip_bound, gradient_noise, hyperparameters, is_fused_adam, rule_of
from shared.train.run import Run

_BLOCK_ELEMENTS = 2**17  # numbers that one pass of a formula works on: its temporaries then stay in a core's cache


class MemberUpdates:
    """State and hyperparameters of the update rules of M runs.

    Args:
        runs: in the order of the rows of `flat`.
        flat: parameters (M, P), updated in place.
        stacks: the members whose gradients arrive together; no block of updates crosses them.
        schedules: per member, finished updates -> multiplier of its peak lr; one for all if of length 1.
        decay_mask: (P,) of zeros and ones, or None.
        lr_scales: (P,), multiples of the learning rate; None if all are 1.
    Raises:
        ValueError: rates of their own under a rule that is not torch's Adam.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        flat: Tensor,
        stacks: Sequence[range],
        schedules: Sequence[Callable[[int], float]],
        decay_mask: Tensor | None,
        lr_scales: Tensor | None = None,
    ):
        self.runs, self.flat, self.schedules, self.decay_mask = runs, flat, schedules, decay_mask
        self.blocks = _blocks(runs, flat, stacks, whole=flat.device.type != "cpu")
        self.states = [rule.init(flat[rows.start : rows.stop]) for rule, rows in self.blocks]
        self._settings = [hyperparameters(run) for run in runs]
        self._served = [all(is_fused_adam(rule, self._settings[i]) for i in rows) for rule, rows in self.blocks]
        self._fixed = [self._hyper(rule, rows) for rule, rows in self.blocks]
        none = torch.empty(0, dtype=torch.int64, device=flat.device)
        self._exempt = none if decay_mask is None else torch.nonzero(decay_mask == 0)[:, 0]
        self._scaled = none if lr_scales is None else torch.nonzero(lr_scales != 1)[:, 0]
        self._scales = None if lr_scales is None else lr_scales[self._scaled]
        if lr_scales is not None and not all(self._served):
            raise ValueError("parameters with a learning rate of their own are stacked under adam and adamw only")
        self._peaks = torch.tensor([run.lr for run in runs], dtype=torch.float64, device=flat.device)
        self._clip = torch.tensor([clip_bound(run) for run in runs], dtype=torch.float64, device=flat.device)[:, None]
        self._clips = bool(torch.isfinite(self._clip).any())
        self._noisy = [i for i, run in enumerate(runs) if run.noise_scale > 0]
        self.lr = self._peaks

    def _hyper(self, rule: Rule, rows: range) -> dict[str, Any]:
        hyper = {name: column([self._settings[i][name] for i in rows], self.flat.device) for name in rule.hyper}
        return hyper | ({} if self.decay_mask is None else {"decay_mask": self.decay_mask})

    def begin(self, step: int) -> None:
        """Set the learning rates of update `step` (counted from 0)."""
        multipliers = [schedule(step) for schedule in self.schedules]
        self.lr = self._peaks * torch.tensor(multipliers, dtype=torch.float64, device=self.flat.device)

    def add_noise(self, grads: Tensor, rows: range, step: int) -> None:
        """Gaussian noise of each member's scale, from (its data seed, step), in place."""
        for i in self._noisy:
            if i in rows:
                noise = gradient_noise(self.runs[i], step, grads.shape[1], grads.dtype).to(grads.device)
                grads[i - rows.start].add_(noise, alpha=float(self.runs[i].noise_scale))

    def apply(self, rows: range, grads: Tensor, norms: Tensor, losses: Tensor, alive: Tensor | None) -> None:
        """Update members `rows`.

        Args:
            grads: (S, P), overwritten. norms: their global norms, (S, 1). losses: before the update, (S, 1).
            alive: (S, 1) of booleans, members without it keep parameters and state; None if all are.
        """
        for index, (rule, block) in enumerate(self.blocks):
            if block.start < rows.start or block.stop > rows.stop:
                continue
            part = slice(block.start - rows.start, block.stop - rows.start)
            self._apply_block(
                index, rule, block, grads[part], norms[part], losses[part], None if alive is None else alive[part]
            )

    def _apply_block(self, index, rule, block, grads, norms, losses, alive) -> None:
        if alive is not None and not bool(alive.any()):
            return
        params, state = self.flat[block.start : block.stop], self.states[index]
        if self._clips:
            grads.mul_(clip_factor(self._clip[block.start : block.stop], norms).to(grads.dtype))
        state["step"] += 1
        hyper = self._fixed[index] | {"lr": self.lr[block.start : block.stop, None]}
        if not self._served[index]:
            _step(rule, params, grads, state, hyper, losses, alive)
            return
        exempt, scaled = params[:, self._exempt], params[:, self._scaled]
        lrs, step = hyper["lr"][:, 0].tolist(), torch.tensor(float(state["step"]), device=params.device)
        for k in range(len(block)) if alive is None else torch.nonzero(alive[:, 0])[:, 0].tolist():
            settings = self._settings[block[k]]
            _fused_adam(params, grads, state, k, step, settings | {"lr": lrs[k]})
            if self._exempt.numel() and settings["weight_decay"]:
                params[k, self._exempt] += lrs[k] * settings["weight_decay"] * exempt[k]  # what the kernel took
            if self._scaled.numel():  # an update of Adam, decay and all, is a multiple of its rate
                params[k, self._scaled] = torch.lerp(scaled[k], params[k, self._scaled], self._scales)

    def effective_lr(self) -> Tensor | None:
        """Step sizes that loss-dependent rules used last, (M,), NaN for members whose rule uses lr; None if all do."""
        if not any("effective_lr" in state for state in self.states):
            return None
        parts = [
            state["effective_lr"][:, 0].double()
            if "effective_lr" in state
            else self.lr.new_full((len(rows),), float("nan"))
            for state, (_, rows) in zip(self.states, self.blocks, strict=True)
        ]
        return torch.cat(parts)

    def state_dict(self) -> dict[str, Any]:
        """State of every member under its name, so that the division into blocks may change between sessions."""
        saved: dict[str, Any] = {}
        for state, (rule, rows) in zip(self.states, self.blocks, strict=True):
            for k, i in enumerate(rows):
                own = {name: state[name][k] for name in (*rule.vectors, *rule.scalars)}
                saved[str(i)] = own | {"step": state["step"]}
        return saved

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        for index, (rule, rows) in enumerate(self.blocks):
            names = (*rule.vectors, *rule.scalars)
            stacked = {k: torch.stack([saved[str(i)][k] for i in rows]).to(self.flat.device) for k in names}
            self.states[index] = stacked | {"step": saved[str(rows.start)]["step"]}


def _step(rule: Rule, params: Tensor, grads: Tensor, state: dict, hyper: dict, losses: Tensor, alive) -> None:
    """One update of a block in place; members that are not alive keep parameters and state."""
    names = (*rule.vectors, *rule.scalars)
    updated, new = rule.step(params, grads, state | {"step": state["step"] - 1}, hyper, losses)
    for old, value in ((params, updated), *((state[k], new[k]) for k in names)):
        old.copy_(value if alive is None else torch.where(alive, value, old))


def _fused_adam(params: Tensor, grads: Tensor, state: dict, row: int, step: Tensor, hyper: Mapping[str, float]) -> None:
    """Adam of one member, (P,), in place; several times faster than the passes of a formula."""
    torch._fused_adamw_(
        [params[row]],
        [grads[row]],
        [state["exp_avg"][row]],
        [state["exp_avg_sq"][row]],
        [],
        [step],
        lr=hyper["lr"],
        beta1=hyper["beta1"],
        beta2=hyper["beta2"],
        weight_decay=hyper["weight_decay"],
        eps=above_zero(hyper["eps"], params),
        amsgrad=False,
        maximize=False,
    )


def _blocks(runs: Sequence[Run], flat: Tensor, stacks: Sequence[range], whole: bool) -> list[tuple[Rule, range]]:
    """Spans of one rule within a stack; unless `whole`, cut so that a formula's passes stay in the cache."""
    length = len(runs) if whole else max(1, _BLOCK_ELEMENTS // flat.shape[1])
    blocks = []
    for stack in stacks:
        for rule, span in rule_spans([runs[i] for i in stack]):
            start, stop = stack.start + span.start, stack.start + span.stop
            blocks += [(rule, range(a, min(a + length, stop))) for a in range(start, stop, length)]
    return blocks


def column(numbers: Sequence[float], device: torch.device) -> Tensor | float:
    """(M, 1) in float64; a plain number where all members agree, which lets a formula leave terms out."""
    if all(number == numbers[0] for number in numbers):
        return float(numbers[0])
    return torch.tensor(numbers, dtype=torch.float64, device=device)[:, None]


def rule_spans(runs: Sequence[Run]) -> list[tuple[Rule, range]]:
    """Spans of neighbouring runs with one rule; sort runs by optimiser to keep them few."""
    spans: list[tuple[Rule, range]] = []
    for index, rule in enumerate(map(rule_of, runs)):
        if spans and spans[-1][0] is rule:
            spans[-1] = (rule, range(spans[-1][1].start, index + 1))
        else:
            spans.append((rule, range(index, index + 1)))
    return spans
