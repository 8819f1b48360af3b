"""Step: train and judge all pairs of the bigram world.

python -m papers.lora_watermark.world --scale cpu --shard bigram
"""

from collections.abc import Iterator

import torch

from papers.lora_watermark import bigram
from papers.lora_watermark.bigram_training import TrainedPairs, train
from papers.lora_watermark.metrics import auc, auc_bound
from papers.lora_watermark.score import ratio
from papers.lora_watermark.settings import Variant, World, WorldShard
from shared.artifacts.step import step
from shared.base.seeding import torch_generator


class Judge:
    """Fresh texts of every member and of the human chain, and their scores.

    Args:
        variants, seeds: of the members, side by side. trained: their tables.
    """

    def __init__(self, world: World, variants: list[Variant], seeds: list[int], trained: TrainedPairs) -> None:
        self.world, self.variants, self.seeds, self.pair = world, variants, seeds, trained.pair
        self.base = bigram.human_logits(world.vocab_size)
        self.on_top = torch.tensor([v.numerator == "performer" for v in variants])
        law = bigram.stationary(self.base)
        distinct = sorted(set(seeds))
        generators = [torch_generator(seed, "bigram", "evaluation") for seed in distinct]
        starts = torch.stack([bigram.draw_start(law, (2, world.num_texts), g) for g in generators])
        uniforms = torch.stack([torch.rand(2, world.length, world.num_texts, generator=g) for g in generators])
        place = torch.tensor([distinct.index(seed) for seed in seeds])
        human = bigram.chain(self.base.expand(len(distinct), -1, -1), starts[:, 0], uniforms[:, 0])
        self.human = human[place]
        self.samples = bigram.chain(self.pair.performer, starts[place, 1], uniforms[place, 1])

    def rows(self) -> Iterator[dict]:
        """A row per member and number of scored tokens; everything but AUC and mean scores is exact."""
        samples, human = (self.pair.terms(texts, self.on_top) for texts in (self.samples, self.human))
        gain = [self._log_ratio(texts) for texts in (self.samples, self.human)]
        rises = {role: bigram.rise(getattr(self.pair, role), self.base) for role in ("performer", "observer")}
        for length in self.world.lengths:
            kl = bigram.exact_kl(self.pair.performer, self.base, length)
            ours, theirs = (ratio(*(t[:, :, :length] for t in pair)) for pair in (samples, human))
            llr = [-x[:, :, :length].sum(-1) for x in gain]
            for m, (variant, seed) in enumerate(zip(self.variants, self.seeds, strict=True)):
                row = {"variant": variant.name, "eps": variant.eps, "weight": variant.weight, "seed": seed}
                row |= {"length": length, "auc": auc(ours[m], theirs[m])}
                row |= {"llr_auc": auc(llr[0][m], llr[1][m]), "kl": kl[m].item(), "bound": auc_bound(kl[m].item())}
                row |= {f"rise_{role}": rise[m].item() for role, rise in rises.items()}
                yield row | {"score_samples": ours[m].mean().item(), "score_human": theirs[m].mean().item()}

    def robustness(self) -> Iterator[dict]:
        """AUC at full length after a share of tokens is replaced by tokens of other texts, or by random ones."""
        human = ratio(*self.pair.terms(self.human, self.on_top))
        fills = {"of other texts": self.human.roll(1, dims=1)}
        draw = torch_generator(0, "bigram", "replaced")
        fills["random"] = torch.randint(self.world.vocab_size, self.samples.shape, generator=draw)
        places = torch.rand(self.samples.shape, generator=draw)
        places[:, :, 0] = 1.0  # prompts stay
        for share in self.world.robust:
            for fill, tokens in fills.items():
                changed = torch.where(places < share, tokens, self.samples)
                scores = ratio(*self.pair.terms(changed, self.on_top))
                for m, (variant, seed) in enumerate(zip(self.variants, self.seeds, strict=True)):
                    row = {"variant": variant.name, "eps": variant.eps, "weight": variant.weight, "seed": seed}
                    yield row | {"attack": f"tokens {fill}", "strength": share, "auc": auc(scores[m], human[m])}

    def _log_ratio(self, texts: torch.Tensor) -> torch.Tensor:
        """log M_P - log M_base of each token, (M, B, L)."""
        base = self.base.log_softmax(-1).expand_as(self.pair.performer)
        return bigram.at_transitions(self.pair.performer - base, texts)


@step
def world(settings: WorldShard) -> dict[str, list[dict]]:
    """Train every variant for every seed, and judge it."""
    members = [(variant, seed) for variant in settings.variants for seed in settings.seeds]
    variants, seeds = [variant for variant, _ in members], [seed for _, seed in members]
    trained = train(settings.world, variants, seeds)
    history = []
    for row in trained.history:
        variant = variants[row["member"]]
        named = {
            "variant": variant.name,
            "eps": variant.eps,
            "weight": variant.weight,
            "seed": seeds[row.pop("member")],
        }
        history.append(named | row)
    judge = Judge(settings.world, variants, seeds, trained)
    return {"results": list(judge.rows()), "robust": list(judge.robustness()), "history": history}


if __name__ == "__main__":
    world.main()
