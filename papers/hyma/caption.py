"""Step: image encoders stitched into frozen language models, by grid search and by Hyma.

python -m papers.hyma.caption --scale cpu --shard captions
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from papers.hyma.captioning import CaptionProblem, caption_flops
from papers.hyma.embeddings import Embeddings
from papers.hyma.flops import generation_flops
from papers.hyma.language import CaptionModel, caption_nll, train_language_model
from papers.hyma.scenes import grammar_of, load_pairs
from papers.hyma.settings import Captioning, CaptionShard
from papers.hyma.shapes import largest_shapes
from papers.hyma.training import Diverged, train_grid, train_hyma
from shared.artifacts.step import step


@step(inputs={"embeddings": "zoo/zoo.safetensors"})
def caption(settings: CaptionShard, embeddings: Path, device: str) -> dict[str, list[dict]]:
    """Language models' own perplexities; perplexities of all pairs under both methods; learning curves."""
    plan, cached = settings.captioning, Embeddings.load(embeddings)
    if settings.zoo.data.source == "hub":
        from papers.hyma.pretrained import language_models

        (models, captions), alone = language_models(settings, device), []
    else:
        models, captions, alone = small_models(settings)
    images = {name: cached.images[name].splits for name in plan.images}
    problem = CaptionProblem(images, models, captions, plan.num_soft, plan.depth, plan.hidden, device)
    found = {"alone": alone, "scores": [], "curves": [], "rates": [*_rates(problem, plan)]}
    for seed in plan.seeds:
        for row in _searches(problem, plan, seed):
            found["curves"].append({k: v for k, v in row.items() if k != "perplexities"})
            if row["last"]:
                found["scores"] += _scores(problem, row)
    return found


def small_models(settings: CaptionShard) -> tuple[dict, dict, list[dict]]:
    """Language models of ours, trained on the captions' texts; their tokens by split; what each can do alone.

    Raises:
        ValueError: another number of soft tokens than a preface has.
    """
    zoo, chosen = settings.zoo, settings.captioning.language_models
    grammar, pairs = grammar_of(zoo.data.source), load_pairs(zoo.data)
    captions = {s: torch.from_numpy(p.captions) for s, p in pairs.items()}
    prefaces = {s: torch.from_numpy(grammar.prefaces(p.attributes)) for s, p in pairs.items()}
    if settings.captioning.num_soft != prefaces["train"].shape[1]:
        raise ValueError(f"num_soft has to be {prefaces['train'].shape[1]}, the attributes of {zoo.data.source}")
    size, models = len(grammar.vocabulary) + 1, {}
    for plan in (plan for plan in zoo.language_models if plan.name in chosen):
        args = (prefaces["train"], captions["train"], size, zoo.pretraining, zoo.data.seed)
        models[plan.name] = train_language_model(plan, *args)
    alone = [{"language_model": n, **_alone(m, prefaces["test"], captions["test"])} for n, m in models.items()]
    return models, dict.fromkeys(models, captions), alone


def _alone(model: CaptionModel, prefaces: torch.Tensor, captions: torch.Tensor) -> dict[str, float]:
    """Perplexity with the true preface, and with zeros in its place."""
    found = {}
    with torch.no_grad():
        true = model.embedding(prefaces)
        for name, soft in (("true_preface", true), ("zeros", torch.zeros_like(true))):
            nll, counted = caption_nll(model, soft, captions)
            found[name] = float(torch.exp(nll.double().sum() / counted.sum()))
    return found


def _costs(problem: CaptionProblem, batch: int) -> list[float]:
    """FLOPs of one step of each pair's connector."""
    found = []
    for shapes, (_, name) in zip(problem.shapes, problem.pairs, strict=True):
        model, length = problem.models[name], problem.num_soft + problem.captions[name]["train"].shape[1] - 1
        found.append(caption_flops(batch, shapes, length, model.width, model.num_layers, model.vocab_size))
    return found


def _searches(problem: CaptionProblem, plan: Captioning, seed: int) -> Iterator[dict]:
    """Rows of both methods at their checkpoints, with the perplexities of all pairs."""
    pairs = list(range(len(problem.pairs)))
    one = sum(_costs(problem, plan.grid.batch_size))
    for step_, layers in train_grid(problem, pairs, plan.grid, plan.grid_steps, seed, _at(plan, plan.grid_steps)):
        yield _row("grid", seed, step_, step_ * one, problem.perplexities(pairs, layers), plan.grid_steps)
    hyma = plan.hyma
    mean = sum(_costs(problem, hyma.batch_size)) / len(pairs)
    one = min(hyma.pairs_per_step, len(pairs)) * (mean + generation_flops(hyma.network, largest_shapes(problem.shapes)))
    try:
        for step_, layers, _ in train_hyma(problem, pairs, hyma, plan.hyma_steps, seed, _at(plan, plan.hyma_steps)):
            yield _row("hyma", seed, step_, step_ * one, problem.perplexities(pairs, layers), plan.hyma_steps)
    except Diverged:
        missing = [float("nan")] * len(pairs)
        yield _row("hyma", seed, plan.hyma_steps, plan.hyma_steps * one, missing, plan.hyma_steps)


def _rates(problem: CaptionProblem, plan: Captioning) -> Iterator[dict]:
    """Mean validation perplexity over the pairs for each learning rate; a seed that no result uses."""
    pairs = list(range(len(problem.pairs)))
    for method, lrs, base in (("grid", plan.lrs_grid, plan.grid), ("hyma", plan.lrs_hyma, plan.hyma)):
        for lr in lrs:
            settings = base.model_copy(update={"lr": lr})
            try:
                if method == "grid":
                    *_, (_, layers) = train_grid(problem, pairs, settings, plan.grid_steps, plan.tuning_seed)
                else:
                    *_, (_, layers, _) = train_hyma(problem, pairs, settings, plan.hyma_steps, plan.tuning_seed)
                found = problem.perplexities(pairs, layers, "validation")
            except Diverged:
                found = [float("nan")]
            yield {"method": method, "lr": lr, "used": lr == base.lr, "mean_perplexity": sum(found) / len(found)}


def _at(plan: Captioning, num_steps: int) -> list[int]:
    """Steps of the curve, evenly spaced in their logarithm, as the costs of the figure are."""
    count = plan.num_checkpoints
    return sorted({max(1, round(num_steps ** (k / count))) for k in range(count // 3, count + 1)})


def _row(method: str, seed: int, step_: int, flops: float, perplexities: list[float], num_steps: int) -> dict:
    named = {"method": method, "seed": seed, "step": step_, "flops": flops, "last": step_ == num_steps}
    mean = sum(perplexities) / len(perplexities)
    return named | {"mean_perplexity": mean, "best_perplexity": min(perplexities), "perplexities": perplexities}


def _scores(problem: CaptionProblem, row: dict) -> list[dict]:
    named = {key: row[key] for key in ("method", "seed", "flops")}
    return [
        named | {"image": image, "language_model": model, "perplexity": perplexity}
        for (image, model), perplexity in zip(problem.pairs, row["perplexities"], strict=True)
    ]


if __name__ == "__main__":
    caption.main()
