"""Synthetic text whose entropy is known: a sparse random Markov chain.

Shapes: V symbols, S = V**order contexts, K successors of a context, N sequences, L tokens.
A context is the number whose base-V digits are its symbols, oldest first.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shared.base.seeding import numpy_generator
from shared.data.config import MarkovConfig
from shared.data.counter import check_rows, row_uniforms

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class MarkovSource:
    """Stationary Markov chain in which few symbols may follow each context.

    Args:
        successors: symbols that may follow a context, (S, K), distinct within a row.
        probabilities: their probabilities, (S, K), float64, rows sum to 1.
        num_states: V.
        order: symbols in a context.
    """

    successors: np.ndarray
    probabilities: np.ndarray
    num_states: int
    order: int = 1

    @property
    def vocab_size(self) -> int:
        return self.num_states

    @cached_property
    def transition_matrix(self) -> np.ndarray:
        """Probability of each next symbol given the context, (S, V)."""
        dense = np.zeros((len(self.successors), self.num_states))
        np.put_along_axis(dense, self.successors, self.probabilities, axis=1)
        return dense

    @cached_property
    def stationary(self) -> np.ndarray:
        """Stationary distribution over contexts, (S,); contexts that are never revisited have 0."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        contexts, num_successors = self.successors.shape
        following = self._next_context(np.arange(contexts)[:, None], self.successors)  # (S, K)
        start = np.repeat(np.arange(contexts), num_successors)
        chain = csr_array((self.probabilities.ravel(), (start, following.ravel())), shape=(contexts, contexts))
        num_classes, label = connected_components(chain, connection="strong")
        leaving = np.unique(label[start][label[start] != label[following.ravel()]])
        closed = np.setdiff1d(np.arange(num_classes), leaving)
        if len(closed) != 1:
            raise ValueError(f"the chain has {len(closed)} closed classes, so no unique stationary law; draw another")
        inside = np.flatnonzero(label == closed[0])
        balance = chain.toarray()[np.ix_(inside, inside)].T - np.eye(len(inside))
        balance[-1] = 1.0  # one balance equation is redundant: the masses sum to 1 instead
        mass = np.linalg.solve(balance, np.eye(len(inside))[-1])
        law = np.zeros(contexts)
        law[inside] = np.clip(mass, 0.0, None) / np.clip(mass, 0.0, None).sum()
        return law

    @cached_property
    def entropy_rate(self) -> float:
        """Entropy of the next symbol given the past, nats per token: no model does better on long sequences."""
        p = self.probabilities
        terms = np.where(p > 0, -p * np.log(np.where(p > 0, p, 1.0)), 0.0)
        return float(self.stationary @ terms.sum(1))

    def sequence_log_likelihood(self, tokens: "np.ndarray | torch.Tensor", epsilon: float = 0.0) -> np.ndarray:
        """Natural log of the probability of each whole sequence, (N, L) -> (N,); -inf if it cannot occur.

        Args:
            tokens: symbols, L >= order.
            epsilon: weight of the uniform law mixed into every factor (start and transitions); keeps the value
                finite for sequences with impossible transitions.
        """
        context, following = self._split(tokens)
        start = (1 - epsilon) * self.stationary + epsilon / len(self.stationary)
        step = (1 - epsilon) * self.transition_matrix + epsilon / self.num_states
        with np.errstate(divide="ignore"):
            return np.log(start)[context[:, 0]] + np.log(step)[context[:, :-1], following].sum(1)

    def nll(self, tokens: "np.ndarray | torch.Tensor", epsilon: float = 1e-3) -> np.ndarray:
        """Negative log-likelihood under the smoothed chain, nats per token, (N, L) -> (N,)."""
        return -self.sequence_log_likelihood(tokens, epsilon) / np.shape(tokens)[1]

    def illegal_rate(self, tokens: "np.ndarray | torch.Tensor") -> np.ndarray:
        """Share of transitions that the chain never makes, (N, L) -> (N,)."""
        context, following = self._split(tokens)
        if following.shape[1] == 0:
            raise ValueError(f"a sequence of {np.shape(tokens)[1]} tokens has no transition at order {self.order}")
        return (self.transition_matrix[context[:, :-1], following] == 0).mean(1)

    def sample(self, num: int, seq_len: int, generator: "torch.Generator") -> "torch.Tensor":
        """Stationary sequences, (num, seq_len), int64."""
        import torch

        uniforms = torch.rand(num, seq_len, generator=generator, device=generator.device, dtype=torch.float64)
        return torch.from_numpy(self.paths(uniforms.cpu().numpy()))

    def crops(self, seed: int, step: int, rows: range, batch_size: int, seq_len: int) -> "torch.Tensor":
        """Rows `rows` of the training batch of `step`, (len(rows), seq_len), int64.

        A pure function of (seed, step, row); see `TokenDataset.crops`.
        """
        import torch

        check_rows(rows, batch_size)
        return torch.from_numpy(self.paths(row_uniforms(seed, "markov_crops", step, rows, seq_len)))

    def windows(self, seq_len: int, num: int, seed: int = 0) -> "torch.Tensor":
        """Validation sequences, (num, seq_len), int64; never among the crops of any training seed."""
        import torch

        return torch.from_numpy(self.paths(row_uniforms(seed, "markov_windows", 0, range(num), seq_len)))

    def paths(self, uniforms: np.ndarray) -> np.ndarray:
        """Stationary sequences by inverting the cumulative law at each position: uniforms (N, L) -> (N, L), int64."""
        seq_len = uniforms.shape[1]
        if seq_len < self.order:
            raise ValueError(f"seq_len is {seq_len}, shorter than the order {self.order} of the chain")
        cumulative, last = self._cumulative
        # the first uniform draws a whole context, those of its other symbols stay unused
        context = np.minimum(np.searchsorted(cumulative, uniforms[:, 0], side="right"), last)
        tokens = np.empty((len(uniforms), seq_len), np.int64)
        tokens[:, : self.order] = context[:, None] // self.num_states ** np.arange(self.order)[::-1] % self.num_states
        bounds = np.cumsum(self.probabilities, axis=1)[:, :-1]  # (S, K-1): rounding cannot lead past the last one
        for position in range(self.order, seq_len):
            choice = (uniforms[:, position, None] >= bounds[context]).sum(1)
            tokens[:, position] = self.successors[context, choice]
            context = self._next_context(context, tokens[:, position])
        return tokens

    @cached_property
    def _cumulative(self) -> tuple[np.ndarray, int]:
        """Cumulative stationary law and the last context that has mass."""
        return np.cumsum(self.stationary), int(np.flatnonzero(self.stationary)[-1])

    def _next_context(self, context: np.ndarray, symbol: np.ndarray) -> np.ndarray:
        return (context * self.num_states + symbol) % self.num_states**self.order

    def _split(self, tokens: "np.ndarray | torch.Tensor") -> tuple[np.ndarray, np.ndarray]:
        """Contexts at each position, (N, L-order+1), and the symbols that follow, (N, L-order)."""
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or tokens.shape[1] < self.order:
            raise ValueError(f"tokens must be (N, L) with L >= {self.order}; got shape {tokens.shape}")
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < self.num_states):
            raise ValueError(f"tokens must lie in 0..{self.num_states - 1}; got {tokens.min()}..{tokens.max()}")
        positions = tokens.shape[1] - self.order + 1
        digits = [tokens[:, i : i + positions] * self.num_states ** (self.order - 1 - i) for i in range(self.order)]
        return sum(digits), tokens[:, self.order :]


def markov_source(config: MarkovConfig) -> MarkovSource:
    """The chain that `config` describes: K random successors per context, probabilities Dirichlet(1).

    At order 1 one of the successors runs along a random cycle through all states, so that every state recurs. At
    higher orders a draw with more than one closed class is rejected and the next one taken.
    """
    num_contexts, k = config.num_states**config.order, config.num_successors
    for attempt in range(100):
        generator = numpy_generator(config.seed, "markov_chain", attempt)
        ranks = generator.random((num_contexts, config.num_states))
        if config.order == 1:
            cycle = generator.permutation(config.num_states)
            ranks[cycle, np.roll(cycle, -1)] = -1.0  # first in rank: always among the successors
        successors = np.argsort(ranks, axis=1, kind="stable")[:, :k]
        # spacings of sorted uniforms are Dirichlet(1) and need no libm: the same bits on every platform
        cuts = np.sort(generator.random((num_contexts, k - 1)), axis=1)
        probabilities = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
        source = MarkovSource(successors, probabilities, config.num_states, config.order)
        try:
            _ = source.stationary
        except ValueError:
            continue
        return source
    raise ValueError(f"no ergodic chain in 100 draws for {config}; raise num_successors")
