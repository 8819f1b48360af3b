"""Every way to search the pairs of a zoo, on one problem: rows of benchmarks with what the whole search cost.

Costs are training alone, by the formula of flops.py; embedding the data is on nobody's bill.
"""

from collections.abc import Iterator, Sequence

import torch

from papers.hyma.connectors import Layers
from papers.hyma.embeddings import Embeddings
from papers.hyma.flops import contrastive_flops, generation_flops, search_flops
from papers.hyma.retrieval import Alignment
from papers.hyma.settings import Grid, Hyma, Search
from papers.hyma.shapes import connector_shapes, largest_shapes
from papers.hyma.training import Diverged, extend, groups, train_grid, train_halving, train_hyma


class Study:
    """The searches of one depth and one seed."""

    def __init__(self, zoo: Embeddings, search: Search, depth: int, seed: int, device: str = "cpu") -> None:
        self.zoo, self.search, self.depth, self.seed = zoo, search, depth, seed
        self.plan = search.plan(depth)
        self.images, self.texts = list(zoo.images), list(zoo.texts)
        pairs = [(i, t) for i in range(len(self.images)) for t in range(len(self.texts))]
        widths = [(zoo.texts[self.texts[t]].dim, zoo.images[self.images[i]].dim) for i, t in pairs]
        shapes = [connector_shapes(depth, into, out, search.hidden) for into, out in widths]
        self.problem = Alignment(zoo, pairs, shapes, search.logit_scale, device)
        self.pairs = list(range(len(pairs)))

    def within(self, num_images: int, num_texts: int) -> list[int]:
        """The pairs of the first encoders of both kinds."""
        return [p for p in self.pairs if self.problem.pairs[p][0] < num_images and self.problem.pairs[p][1] < num_texts]

    def rows(self, pairs: Sequence[int], layers: Layers, split: str = "test", **columns: object) -> Iterator[dict]:
        """A row per pair: benchmarks, and as `score` the one that ranks."""
        for pair, found in zip(pairs, self.problem.benchmarks(pairs, layers, split), strict=True):
            image, text = self.problem.pairs[pair]
            named = {"depth": self.depth, "seed": self.seed, "image": self.images[image], "text": self.texts[text]}
            yield named | columns | {"score": found[self.search.score]} | found

    def cost(self, pairs: Sequence[int], batch: int, steps: int, hyma: Hyma | None = None) -> float:
        """FLOPs of a search over `pairs`; see `search_flops`."""
        shapes = [self.problem.shapes[p] for p in pairs]
        if hyma is None:
            return search_flops(shapes, batch, steps, None, None)
        return search_flops(shapes, batch, steps, hyma.network, min(hyma.pairs_per_step, len(pairs)))

    def checkpoints(self, num_steps: int) -> list[int]:
        """Steps of a learning curve's points, as many as can be told apart."""
        count = self.search.num_checkpoints
        return sorted({max(1, round(num_steps * k / count)) for k in range(1, count + 1)})

    # -- searches ---------------------------------------------------------------------------------------------------

    def grids(self) -> Iterator[tuple[str, Grid, int]]:
        """name, settings, steps: at its own batch, at Hyma's with the same number of samples, and a short one."""
        grid, small, plan = self.search.grid, self.search.hyma.batch_size, self.plan
        matched = grid.model_copy(update={"batch_size": small})
        yield "grid", grid, plan.grid_steps
        yield "matched", matched, max(1, round(plan.grid_steps * grid.batch_size / small))
        yield "short", matched, plan.short_steps

    def all_grids(self) -> Iterator[dict]:
        """Scores of the three grids over all pairs."""
        for name, settings, steps in self.grids():
            *_, (_, layers) = train_grid(self.problem, self.pairs, settings, steps, self.seed)
            flops = self.cost(self.pairs, settings.batch_size, steps)
            self.connectors = getattr(self, "connectors", {}) | {name: layers}
            yield from self.rows(self.pairs, layers, method=name, flops=flops)

    def joint(self, pairs: Sequence[int], hyma: Hyma, num_steps: int, at: Sequence[int] = ()):
        """(step, connectors of `pairs`) of one hypernetwork, or of one per group of equal widths, each its share."""
        shapes = [self.problem.shapes[p] for p in pairs]
        parts = groups(shapes, hyma.group_by_dims)
        if len(parts) == 1:
            yield from ((s, layers) for s, layers, _ in train_hyma(self.problem, pairs, hyma, num_steps, self.seed, at))
            return
        whole = [(torch.zeros(len(pairs), o, i), torch.zeros(len(pairs), o)) for o, i in largest_shapes(shapes)]
        for part in parts:
            # as many draws of each pair as with one network for all
            drawn = min(hyma.pairs_per_step, len(part))
            steps = max(1, round(num_steps * hyma.pairs_per_step * len(part) / len(pairs) / drawn))
            *_, (_, layers, _) = train_hyma(self.problem, [pairs[k] for k in part], hyma, steps, self.seed)
            for (w, b), (own_w, own_b) in zip(whole, layers, strict=True):
                w[part, : own_w.shape[1], : own_w.shape[2]], b[part, : own_b.shape[1]] = own_w.cpu(), own_b.cpu()
        yield num_steps, [(w.to(self.problem.device), b.to(self.problem.device)) for w, b in whole]

    def hyma(self) -> Iterator[dict]:
        """Scores of the hypernetwork's connectors over all pairs."""
        hyma, steps = self.search.hyma, self.plan.hyma_steps
        *_, (_, layers) = self.joint(self.pairs, hyma, steps)
        self.connectors = getattr(self, "connectors", {}) | {"hyma": layers}
        flops = self.cost(self.pairs, hyma.batch_size, steps, hyma)
        yield from self.rows(self.pairs, layers, method="hyma", flops=flops)

    def halving(self) -> Iterator[dict]:
        """AutoPair, read as successive halving in Hyma's batches: each round has its share of Hyma's cost."""
        hyma, rounds, score = self.search.hyma, self.search.halving_rounds, self.search.score
        budget = self.cost(self.pairs, hyma.batch_size, self.plan.hyma_steps, hyma)

        def steps(left: Sequence[int]) -> int:
            return int(budget / rounds / self.cost(left, hyma.batch_size, 1))

        def validate(pairs: Sequence[int], layers: Layers) -> list[float]:
            return [row[score] for row in self.problem.benchmarks(pairs, layers, "validation")]

        args = (self.search.grid, hyma.batch_size, rounds, steps, self.seed, validate)
        found, ran = train_halving(self.problem, self.pairs, *args)
        spent = sum(self.cost(left, hyma.batch_size, count) for left, count in ran)
        for pair, (round_, layers) in sorted(found.items()):
            yield from self.rows([pair], layers, method="halving", flops=spent, round=round_)

    # -- further studies --------------------------------------------------------------------------------------------

    def curve(self) -> Iterator[dict]:
        """Mean score over the first subset's pairs along a grid search."""
        pairs, grid, steps = self.within(*self.search.scaling[0]), self.search.grid, self.plan.grid_steps
        for step, layers in train_grid(self.problem, pairs, grid, steps, self.seed, self.checkpoints(steps)):
            yield self._point("grid", step, self.cost(pairs, grid.batch_size, step), pairs, layers)

    def _point(self, method: str, step: int, flops: float, pairs: Sequence[int], layers: Layers) -> dict:
        scores = [row["score"] for row in self.rows(pairs, layers)]
        named = {"depth": self.depth, "seed": self.seed, "method": method, "num_pairs": len(pairs)}
        return named | {"step": step, "flops": flops, "mean_score": sum(scores) / len(scores), "best": max(scores)}

    def subset(self, size: tuple[int, int]) -> tuple[list[dict], list[dict]]:
        """Points of the curve and final scores of a hypernetwork for fewer pairs, with as many steps as for all."""
        hyma, steps, pairs, points = self.search.hyma, self.plan.hyma_steps, self.within(*size), []
        at = self.checkpoints(steps) if size == self.search.scaling[0] else []
        for step, layers in self.joint(pairs, hyma, steps, at):
            if at:
                points.append(self._point("hyma", step, self.cost(pairs, hyma.batch_size, step, hyma), pairs, layers))
        columns = {"num_pairs": len(pairs), "flops": self.cost(pairs, hyma.batch_size, steps, hyma)}
        columns |= {"grid_flops": self.cost(pairs, self.search.grid.batch_size, self.plan.grid_steps)}
        return points, list(self.rows(pairs, layers, **columns))

    def extension(self) -> Iterator[dict]:
        """A new image encoder for a hypernetwork that was trained without it: only conditions are learned."""
        hyma, place = self.search.hyma, self.images.index(self.search.extend_image)
        known = [p for p in self.pairs if self.problem.pairs[p][0] != place]
        new = [p for p in self.pairs if p not in known]
        *_, (_, _, network) = train_hyma(self.problem, known, hyma, self.plan.hyma_steps, self.seed)
        layers = extend(self.problem, network, known, new, hyma, self.search.extend_steps, self.seed)
        shapes = [self.problem.shapes[p] for p in new]
        each = generation_flops(hyma.network, network.largest) * 4 / 6  # the network's own weights get no gradient
        each += sum(contrastive_flops(hyma.batch_size, s) for s in shapes) / len(shapes)
        flops = self.search.extend_steps * len(new) * each
        grid_flops = self.cost(new, self.search.grid.batch_size, self.plan.grid_steps)
        yield from self.rows(new, layers, flops=flops, grid_flops=grid_flops)

    def variants(self) -> Iterator[dict]:
        """Scores of changed hypernetworks."""
        for variant in self.search.variants:
            network = self.search.hyma.network.model_validate(
                self.search.hyma.network.model_dump() | dict(variant.network)
            )
            hyma = self.search.hyma.model_copy(update={"network": network, "group_by_dims": variant.group_by_dims})
            try:
                *_, (_, layers) = self.joint(self.pairs, hyma, self.plan.hyma_steps)
            except Diverged:
                continue
            flops = self.cost(self.pairs, hyma.batch_size, self.plan.hyma_steps, hyma)
            yield from self.rows(self.pairs, layers, variant=variant.name, flops=flops)

    def retrieved(self, count: int = 5) -> Iterator[dict]:
        """For the first test captions: the nearest images under both methods, each with its own pick's connector."""
        for method in ("grid", "hyma"):
            layers = self.connectors[method]
            scores = [row["score"] for row in self.rows(self.pairs, layers)]
            pick = max(self.pairs, key=lambda p: scores[p])
            similarity = self.problem.similarity(pick, layers)  # images x texts
            image, text = self.problem.pairs[pick]
            for query in range(self.search.num_queries):
                order = similarity[:, query].argsort(descending=True, stable=True)[:count].tolist()
                for rank, row in enumerate(order, 1):
                    meanings = self.zoo.meanings["test"]
                    pixels = (self.zoo.pixels[row].clamp(0, 1) * 255).round().to(torch.uint8)
                    yield {
                        "method": method,
                        "image": self.images[image],
                        "text": self.texts[text],
                        "query": self.zoo.captions[query],
                        "rank": rank,
                        "right": bool(meanings[row] == meanings[query]),
                        "height": pixels.shape[1],
                        "width": pixels.shape[2],
                        "pixels": pixels.numpy().tobytes().hex(),
                    }
