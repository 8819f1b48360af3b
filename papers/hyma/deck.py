"""Which pairs and which samples a step sees. Both are shuffled, so that no pair is tied to some of the data."""

import torch
from torch import Tensor


class PairDeck:
    """A shuffled deck of pairs: drawn without replacement, reshuffled when it is empty.

    After K draws of k from N pairs each was drawn floor or ceil of K k / N times. A draw that crosses the end of the
    deck takes what is left and goes on with the new deck, past those it has already.

    Raises:
        ValueError: an empty deck.
    """

    def __init__(self, num_pairs: int, generator: torch.Generator) -> None:
        if num_pairs < 1:
            raise ValueError("the deck of pairs is empty; give at least one image encoder and one text encoder")
        self.num_pairs, self.generator, self.left = num_pairs, generator, []

    def draw(self, count: int) -> list[int]:
        """`count` different pairs. Raises: ValueError, more than there are."""
        if not 1 <= count <= self.num_pairs:
            raise ValueError(f"a step can draw 1 to {self.num_pairs} of the pairs; asked for {count}")
        taken = self.left[:count]
        self.left = self.left[count:]
        if len(taken) < count:
            deck = torch.randperm(self.num_pairs, generator=self.generator).tolist()
            new = [pair for pair in deck if pair not in taken][: count - len(taken)]
            self.left = [pair for pair in deck if pair not in new]
            taken = taken + new
        return taken


class SampleOrder:
    """Batches of rows, shuffled anew in each epoch; an incomplete last batch is dropped.

    Raises:
        ValueError: a batch larger than the data.
    """

    def __init__(self, num_rows: int, batch_size: int, generator: torch.Generator) -> None:
        if batch_size > num_rows:
            raise ValueError(f"a batch of {batch_size} needs as many samples; there are {num_rows}")
        self.num_rows, self.batch_size, self.generator, self.left = num_rows, batch_size, generator, None

    def draw(self) -> Tensor:
        """Rows of the next batch, (B,) int64."""
        if self.left is None or len(self.left) < self.batch_size:
            self.left = torch.randperm(self.num_rows, generator=self.generator)
        rows, self.left = self.left[: self.batch_size], self.left[self.batch_size :]
        return rows
