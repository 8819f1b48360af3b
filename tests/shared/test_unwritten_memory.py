"""The fixture that every test runs under."""

import pytest
import torch

x = torch.ones(2, 3)


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: torch.empty(3),
        lambda: torch.empty(3, dtype=torch.bfloat16, requires_grad=True),
        lambda: torch.empty(2, dtype=torch.complex64),
        lambda: torch.empty_like(x),
        lambda: torch.empty_strided((2, 2), (1, 2)),
        lambda: x.new_empty(4),
        lambda: torch.vmap(torch.empty_like)(x),
    ],
)
def test_what_was_not_written_is_nan(allocate):
    assert torch.isnan(allocate()).all()


def test_integers_and_initialised_layers_are_as_usual():
    assert torch.empty(3, dtype=torch.int64).shape == (3,)
    assert all(p.isfinite().all() for p in torch.nn.Linear(4, 4).parameters())
