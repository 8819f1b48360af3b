"""Step: arithmetic that needs no training: costs beside logged and counted ones, NDCG of random orders.

python -m papers.hyma.exact --scale cpu --shard arithmetic
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from papers.hyma import flops
from papers.hyma.connectors import apply_connectors, initial_connectors
from papers.hyma.contrastive import info_nce, unit
from papers.hyma.ranking import gains, ndcg, random_ndcg
from papers.hyma.settings import ExactShard
from papers.hyma.shapes import connector_shapes
from shared.artifacts.step import step
from shared.base.seeding import torch_generator
from shared.models.config import HypernetworkConfig
from shared.models.hypernetwork import Hypernetwork

POSTER = np.array([29.4, 30.9, 27.8, 41.5, 42.3, 39.5, 25.6, 30.2, 26.8])  # ImageNet top-1 of the nine pairs
NUM_RANKED = 7


@step
def exact(settings: ExactShard) -> dict[str, list[dict]]:
    """Rows (case, value, expected) of each check."""
    return {
        "logged": [*logged()],
        "counted": [*counted()],
        "orders": [*orders(settings.num_draws, settings.seed)],
    }


def logged() -> Iterator[dict]:
    """The formula against the counts in the author's log, GFLOPs."""
    for case, batch, text, image, matrices, steps, value in flops.LOGGED_STEPS:
        found = steps * flops.contrastive_flops(batch, [(image, text)], matrices) / 1e9
        yield {"case": case, "value": found, "expected": value}
    for text, value in flops.LOGGED_NETWORKS:
        yield {"case": f"network epoch, text {text}", "value": network_epoch(text) / 1e9, "expected": value}
    poster, matched = flops.CURVE
    for batch, value in ((16384, poster), (512, matched)):
        shapes = connector_shapes(1, 384, 384, 1024)
        found = 3 * (flops.NUM_SAMPLES // batch) * flops.contrastive_flops(batch, shapes) / 1e12
        yield {"case": f"GS epoch of 3 pairs, MLP_1, batch {batch} (TFLOPs)", "value": found, "expected": value}


def network_epoch(text: int, batch: int = 512, drawn: int = 4) -> float:
    """An epoch of the author's hypernetwork (32-128-512, largest image width 1024) over encoders of three widths.

    The incomplete last batch counts, and both logit matrices.
    """
    network = HypernetworkConfig(condition_dim=32, widths=(128, 512))
    full, rest = divmod(flops.NUM_SAMPLES, batch)
    total = 0.0
    for rows, steps in ((batch, full), (rest, 1)):
        connector = sum(flops.contrastive_flops(rows, [(image, text)], 2) for image in (384, 768, 1024)) / 3
        total += steps * drawn * (connector + flops.generation_flops(network, [(1024, text)]))
    return total


def counted() -> Iterator[dict]:
    """The formula against torch's own counter over forward and backward, MFLOPs."""
    for depth in (0, 1, 2):
        shapes = connector_shapes(depth, 48, 40, 64)
        images = unit(torch.randn(1, 32, 40, generator=torch_generator(0, "images")))
        texts = unit(torch.randn(1, 32, 48, generator=torch_generator(0, "texts")))
        layers = [tuple(p.requires_grad_() for p in layer) for layer in initial_connectors([shapes], [0], "count")]
        with FlopCounterMode(display=False) as counter:
            info_nce(images, unit(apply_connectors(layers, texts)), 20.0).sum().backward()
        own = flops.contrastive_flops(32, shapes)
        yield {"case": f"connector, {depth} hidden", "value": own / 1e6, "expected": counter.get_total_flops() / 1e6}
    for decoder in ("full", "low_rank", "chunked"):
        config = HypernetworkConfig(condition_dim=8, widths=(16, 24), decoder=decoder)
        network = Hypernetwork(config, [[(40, 48)], [(40, 48)]], torch_generator(0, "network"))
        with FlopCounterMode(display=False) as counter:
            sum(part.sum() for layer in network(torch.tensor([0, 1])) for part in layer).backward()
        own = 2 * flops.generation_flops(config, [(40, 48)])
        yield {"case": f"network, {decoder}", "value": own / 1e6, "expected": counter.get_total_flops() / 1e6}


def orders(num_draws: int, seed: int) -> Iterator[dict]:
    """NDCG@7 of random and of reversed orders of the poster's nine pairs; expected: of the paper's notes, two digits.

    A random order's expectation is also known in closed form: every rank has the mean gain.
    """
    discounts = 1 / np.log2(np.arange(2, NUM_RANKED + 2))
    for kind in ("raw", "minmax"):
        gain = gains(POSTER, kind)
        closed = gain.mean() * discounts.sum() / (np.sort(gain)[::-1][:NUM_RANKED] @ discounts)
        drawn = random_ndcg(POSTER, NUM_RANKED, kind, num_draws, seed)
        noise = float(drawn.std(ddof=1) / np.sqrt(num_draws))
        yield {
            "case": f"random order, {kind} gains",
            "value": drawn.mean(),
            "expected": closed,
            "standard_error": noise,
        }
        reverse = ndcg(-POSTER, POSTER, NUM_RANKED, kind)
        yield {
            "case": f"reversed order, {kind} gains",
            "value": reverse,
            "expected": {"raw": 0.789, "minmax": 0.296}[kind],
        }


if __name__ == "__main__":
    exact.main()
