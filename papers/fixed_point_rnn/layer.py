"""What all implicit layers share: an input part, a map whose fixed point is sought, a read-out.

Shapes: B batch, T time, D inner width.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from papers.fixed_point_rnn.settings import SolverSettings
from papers.fixed_point_rnn.solver import Solution, solve


class Prepared(NamedTuple):
    """All of the map that does not depend on the state.

    timed: tensors (B, T, ...); None where the layer has no such part. fixed: tensors without a time axis.
    """

    timed: dict[str, Tensor | None]
    fixed: dict[str, Tensor | None]

    def at(self, t: int) -> "Prepared":
        """Token `t` alone, as a sequence of length 1."""
        return Prepared({k: None if v is None else v[:, t : t + 1] for k, v in self.timed.items()}, self.fixed)


def shift(y: Tensor, previous: Tensor | None = None) -> Tensor:
    """y_{t-1} at position t; `previous` (B, D), or zero, at the first. y (B, T, D)."""
    first = torch.zeros_like(y[:, :1]) if previous is None else previous.unsqueeze(1)
    return torch.cat([first, y[:, :-1]], dim=1)


class ImplicitLayer(nn.Module):
    """(B, T, d_model) -> (B, T, d_model) through the fixed point y* = f(x, y*) of a diagonal recurrence in time."""

    width: int  # D
    implicit: bool  # whether f depends on y at all; if not, one evaluation is the fixed point
    solver: SolverSettings
    evaluation_solver: SolverSettings

    def prepare(self, u: Tensor) -> Prepared:
        """Everything that comes from the input, u (B, T, d_model)."""
        raise NotImplementedError

    def iterate(self, prepared: Prepared, y: Tensor, carry: Any = None) -> tuple[Tensor, Any]:
        """One evaluation f(x, y), a scan over time: (y' (B, T, D), what a token after the last one needs).

        Args:
            carry: of the tokens before the first one; None if there are none.
        """
        raise NotImplementedError

    def read_out(self, prepared: Prepared, y: Tensor) -> Tensor:
        """The fixed point (B, T, D) -> (B, T, d_model)."""
        raise NotImplementedError

    def start(self, u: Tensor) -> Tensor:
        """y^0 = 0."""
        return u.new_zeros(*u.shape[:2], self.width)

    def fixed_point(self, prepared: Prepared, start: Tensor, l_max: Tensor | int | None = None) -> Solution:
        """The parallel solution; the settings are those of training or of evaluation, as the module's mode says."""
        settings = self.solver if self.training else self.evaluation_solver
        if not self.implicit:
            y, _ = self.iterate(prepared, start)
            zero = torch.zeros_like(y[:, 0, 0])
            return Solution(y, torch.ones_like(zero[0]), zero, zero)
        return solve(lambda y: self.iterate(prepared, y)[0], start, settings, l_max=l_max)

    def forward(self, u: Tensor, l_max: Tensor | int | None = None) -> tuple[Tensor, Solution]:
        """u (B, T, d_model) -> (output of that shape, the solution)."""
        prepared = self.prepare(u)
        solution = self.fixed_point(prepared, self.start(u), l_max)
        return self.read_out(prepared, solution.y), solution

    @torch.no_grad()
    def solve_sequentially(self, prepared: Prepared, start: Tensor, settings: SolverSettings) -> Tensor:
        """Token by token: with all earlier tokens at their fixed point, iterate y_t alone; (B, T, D).

        Source: the paper, appendix E.6.
        """
        carry, found = None, []
        for t in range(start.shape[1]):
            part = prepared.at(t)
            y_t = solve(lambda y, p=part, c=carry: self.iterate(p, y, c)[0], start[:, t : t + 1], settings).y
            y_t, carry = self.iterate(part, y_t, carry)
            found.append(y_t)
        return torch.cat(found, dim=1)
