"""Updates of all members: noise, clipping and each member's own rule and hyperparameters.

Shapes: M members, P parameters, S members of one stack.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from shared.optim.clipping import clip_global_norm
from shared.optim.rule import Rule
from shared.seeding import torch_generator
from shared.train.members import Member, column, rule_spans

_BLOCK_ELEMENTS = 2**17  # numbers that one pass of a formula works on: its temporaries then stay in a core's cache


class MemberUpdates:
    """State and hyperparameters of the update rules of M members.

    Args:
        members: in the order of the rows of `flat`.
        flat: parameters (M, P), updated in place.
        stacks: the members whose gradients arrive together; no block of updates crosses them.
        schedules: per member, finished updates -> multiplier of its peak lr; one for all if of length 1.
        decay_mask: (P,) of zeros and ones, or None.
    """

    def __init__(
        self,
        members: Sequence[Member],
        flat: Tensor,
        stacks: Sequence[range],
        schedules: Sequence[Callable[[int], float]],
        decay_mask: Tensor | None,
    ):
        self.members, self.flat, self.schedules, self.decay_mask = members, flat, schedules, decay_mask
        self.blocks = _blocks(members, flat, stacks)
        self.states = [rule.init(flat[rows.start : rows.stop]) for rule, rows in self.blocks]
        self._fixed = [self._hyper(rule, rows) for rule, rows in self.blocks]
        self._peaks = torch.tensor([m.settings["lr"] for m in members], dtype=torch.float64, device=flat.device)
        self._clip = torch.tensor([m.clip_norm for m in members], dtype=torch.float64, device=flat.device)[:, None]
        self._clips = bool(torch.isfinite(self._clip).any())
        self._noisy = [i for i, m in enumerate(members) if m.noise_scale > 0]
        self.lr = self._peaks

    def _hyper(self, rule: Rule, rows: range) -> dict[str, Any]:
        settings = [rule.resolve(self.members[i].settings) for i in rows]
        hyper = {name: column([s[name] for s in settings], self.flat.device) for name in rule.hyper}
        return hyper | ({} if self.decay_mask is None else {"decay_mask": self.decay_mask})

    def begin(self, step: int) -> None:
        """Set the learning rates of update `step` (counted from 0)."""
        multipliers = [schedule(step) for schedule in self.schedules]
        self.lr = self._peaks * torch.tensor(multipliers, dtype=torch.float64, device=self.flat.device)

    def add_noise(self, grads: Tensor, rows: range, step: int) -> None:
        """Gaussian noise of each member's scale, from (its data seed, step), in place."""
        for i in self._noisy:
            if i in rows:
                member = self.members[i]
                generator = torch_generator(member.stream_seed, "gradient noise", step)
                noise = torch.randn(grads.shape[1], generator=generator, dtype=grads.dtype).to(grads.device)
                grads[i - rows.start].add_(noise, alpha=member.noise_scale)

    def apply(self, rows: range, grads: Tensor, norms: Tensor, losses: Tensor, alive: Tensor | None) -> None:
        """Update members `rows`.

        Args:
            grads: (S, P). norms: their global norms, (S, 1). losses: before the update, (S, 1).
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
        params = self.flat[block.start : block.stop]
        if self._clips:
            grads = clip_global_norm(grads, self._clip[block.start : block.stop], norms)
        hyper = self._fixed[index] | {"lr": self.lr[block.start : block.stop, None]}
        updated, state = rule.step(params, grads, self.states[index], hyper, losses)
        if alive is not None and not bool(alive.all()):
            updated = torch.where(alive, updated, params)
            old = self.states[index]
            state = state | {k: torch.where(alive, state[k], old[k]) for k in (*rule.vectors, *rule.scalars)}
        params.copy_(updated)
        self.states[index] = state

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


def _blocks(members: Sequence[Member], flat: Tensor, stacks: Sequence[range]) -> list[tuple[Rule, range]]:
    """Spans of one rule within a stack, cut so that a pass stays in the cache; on a GPU they are left whole."""
    length = max(1, _BLOCK_ELEMENTS // flat.shape[1]) if flat.device.type == "cpu" else len(members)
    blocks = []
    for stack in stacks:
        for rule, span in rule_spans([members[i] for i in stack]):
            start, stop = stack.start + span.start, stack.start + span.stop
            blocks += [(rule, range(a, min(a + length, stop))) for a in range(start, stop, length)]
    return blocks
