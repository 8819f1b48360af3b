"""Step: exact checks of score, gradients and estimator, by enumeration, closed forms and finite differences.

python -m papers.lora_watermark.verify --scale cpu --shard exact
"""

from collections.abc import Iterator

import torch

from papers.lora_watermark import bigram
from papers.lora_watermark.enumeration import (
    estimated_gradients,
    exact_gradients,
    finite_differences,
    largest_z,
    tables,
)
from papers.lora_watermark.score import plain_terms, ratio, token_terms
from papers.lora_watermark.settings import Exact
from shared.artifacts.step import step
from shared.base.seeding import torch_generator


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch_generator(0, "verify", *shape))


def of_the_score() -> Iterator[dict]:
    """Score against closed forms: equal roles, Gibbs' inequality, the fused pass, its gradient."""
    logits, tokens = _normal(4, 10, 17), torch.arange(40).reshape(4, 10) % 17
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    cross = token_terms(logits, logits, tokens, chunk=5)[1]
    yield {"check": "equal roles: log XPPL minus entropy", "value": (cross - entropy).abs().max().item()}
    other = _normal(4, 10, 17, 1)[..., 0]
    gibbs = token_terms(logits, other, tokens)[1] - entropy
    yield {"check": "Gibbs: least log XPPL minus entropy", "value": gibbs.min().item()}
    fused, plain = (f(logits, other, tokens) for f in (token_terms, plain_terms))
    yield {
        "check": "fused minus plain",
        "value": max((a - b).abs().max().item() for a, b in zip(fused, plain, strict=True)),
    }
    small = _normal(2, 3, 5)

    def score(x: torch.Tensor) -> torch.Tensor:
        return ratio(*token_terms(x[0], x[1], tokens[0, :3] % 5, chunk=2))

    small.requires_grad_()
    gradient = torch.autograd.grad(score(small), small)[0]
    differences = finite_differences(lambda x: score(x).detach(), small.detach())
    yield {"check": "gradient minus finite differences", "value": (gradient - differences).abs().max().item()}


def of_the_gradient(settings: Exact) -> Iterator[dict]:
    """Unbiasedness and the symmetry of the start, in a world of V = 3 and L = 3."""
    human = _normal(3, 3)
    logits = human + 0.3 * _normal(2, 3, 3)
    exact = exact_gradients(logits, human, 3)
    size = exact["whole"].abs().max()
    for name, sampling in (("both paths", True), ("scores only", False)):
        estimates = estimated_gradients(logits, human, 3, settings.num_batches, 20, 0, sampling=sampling)
        yield {"check": f"estimator, {name}: largest z", "value": largest_z(estimates, exact["whole"])}
    bias = (exact["scores only"] - exact["whole"]).abs().max() / size
    yield {"check": "bias without the sampling path, of the largest entry", "value": bias.item()}
    start = exact_gradients(human.expand(2, 3, 3), human, 3)
    pathwise = (start["scores only"] - start["human"]).abs().max()
    yield {"check": "start: gradient of J through scores", "value": pathwise.item()}
    yield {"check": "start: gradient of J by sampling", "value": (start["whole"] - start["human"]).abs().max().item()}


def of_length(settings: Exact) -> Iterator[dict]:
    """E[B] tends to 1 where both roles are the human chain: cross-entropy over entropy of the same law."""
    human = bigram.human_logits(8).double()
    pair, law = tables(human.expand(2, 8, 8)), bigram.stationary(human)
    for length in settings.lengths:
        draw = torch_generator(0, "verify", "length", length)
        start = bigram.draw_start(law, (1, settings.num_texts), draw)
        uniforms = torch.rand(1, length, settings.num_texts, generator=draw)
        values = ratio(*pair.terms(bigram.chain(pair.performer, start, uniforms), torch.tensor([False])))
        yield {"check": f"mean B of the chain's own texts minus 1, {length} tokens", "value": values.mean().item() - 1}


@step
def verify(settings: Exact) -> list[dict]:
    """Every check as a row."""
    return [*of_the_score(), *of_the_gradient(settings), *of_length(settings)]


if __name__ == "__main__":
    verify.main()
