"""What the searches cost and which samples they see, on a zoo made by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from papers.hyma.contrastive import unit
from papers.hyma.embeddings import Cached, Embeddings
from papers.hyma.flops import contrastive_flops, generation_flops
from papers.hyma.searching import Study
from papers.hyma.training import extend, train_hyma
from shared.artifacts.config import load_config
from shared.base.seeding import torch_generator

SPLITS = {"train": 40, "validation": 12, "test": 12}


def study(dims: tuple[int, int] = (6, 4)) -> Study:
    """Two image encoders of these widths, two text encoders of widths 5 and 6, random embeddings."""
    search = load_config("hyma", "smoke").search
    hyma = search.hyma.model_copy(update={"batch_size": 10, "pairs_per_step": 2})
    grid = search.grid.model_copy(update={"batch_size": 20})
    changed = {"hyma": hyma, "grid": grid, "score": "r1", "hidden": 7, "extend_image": "i1"}
    g, ids = torch_generator(0, "zoo"), dict.fromkeys(SPLITS, "same")

    def cached(dim: int) -> Cached:
        return Cached({s: unit(torch.randn(n, dim, generator=g)) for s, n in SPLITS.items()}, ids, 0.5, "d")

    zoo = Embeddings(
        images={f"i{k}": cached(dim) for k, dim in enumerate(dims)},
        texts={f"t{k}": cached(dim) for k, dim in enumerate((5, 6) if dims[0] != dims[1] else dims)},
        attributes={},
        meanings={s: torch.arange(n) for s, n in SPLITS.items()},
        pixels=torch.zeros(12, 3, 2, 2),
        captions=[""] * 12,
    )
    return Study(zoo, search.model_copy(update=changed), 1, 0)


def test_the_grids_see_as_many_samples_and_cost_the_sum_over_pairs_and_steps():
    own = study()
    grids = {name: (settings.batch_size, steps) for name, settings, steps in own.grids()}
    assert grids["grid"] == (20, own.plan.grid_steps) and grids["matched"] == (10, 2 * own.plan.grid_steps)
    assert grids["short"] == (10, own.plan.short_steps)
    rows = {row["method"]: row["flops"] for row in own.all_grids()}
    for name, (batch, steps) in grids.items():
        assert rows[name] == pytest.approx(steps * sum(contrastive_flops(batch, s) for s in own.problem.shapes))


def test_hyma_costs_its_draws_and_halving_no_more_than_hyma():
    own = study()
    cost = next(iter(own.hyma()))["flops"]
    mean = sum(contrastive_flops(10, s) for s in own.problem.shapes) / 4
    each = mean + generation_flops(own.search.hyma.network, [(7, 6), (6, 7)])
    assert cost == pytest.approx(own.plan.hyma_steps * 2 * each)
    spent = {row["flops"] for row in own.halving()}
    assert len(spent) == 1 and 0.8 * cost < spent.pop() <= cost


def test_an_extension_costs_what_torch_counts():
    """Encoders of one width, as torch counts padding, too."""
    own = study((8, 8))
    hyma, problem = own.search.hyma, own.problem
    *_, (_, _, network) = train_hyma(problem, [0, 1], hyma, 1, 0)
    counts = []
    for steps in (0, 1):
        with FlopCounterMode(display=False) as counter:
            extend(problem, network, [0, 1], [2, 3], hyma, steps, 0)
        counts.append(counter.get_total_flops())
    row = next(iter(own.extension()))
    assert row["flops"] == pytest.approx(own.search.extend_steps * (counts[1] - counts[0]), rel=1e-12)
    assert row["image"] == "i1"
