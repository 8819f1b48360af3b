"""Step: search the pairs of the zoo by every method, for some depths of the connector and some seeds.

python -m papers.hyma.search --scale cpu --shard d0-s0
"""

from pathlib import Path

from papers.hyma.answers import recorded_pick
from papers.hyma.embeddings import Embeddings
from papers.hyma.searching import Study
from papers.hyma.settings import SearchShard
from shared.artifacts.step import step


@step(inputs={"embeddings": "zoo/zoo.safetensors"}, reads=("answers/*.json",))
def search(settings: SearchShard, embeddings: Path, device: str) -> dict[str, list[dict]]:
    """Scores of all pairs under all methods, learning curves, subsets, an added encoder, variants, retrieved images."""
    zoo, plan = Embeddings.load(embeddings, device), settings.search
    parts: dict[str, list[dict]] = {}
    for depth in settings.depths:
        for seed in settings.seeds:
            study = Study(zoo, plan, depth, seed, device)
            found = {"scores": [*study.all_grids(), *study.hyma(), *study.halving()]}
            if depth in plan.scaling_depths:
                subsets = [study.subset(size) for size in plan.scaling]
                found |= {"curves": [*study.curve(), *(row for points, _ in subsets for row in points)]}
                found |= {"subsets": [row for _, rows in subsets for row in rows]}
            if depth == plan.extend_depth:
                found["extension"] = [*study.extension()]
            if depth == plan.variant_depth and seed in plan.variant_seeds:
                found["variants"] = [*study.variants()]
            if depth == plan.curve_depth and seed == plan.seeds[0]:
                found["retrieved"] = [*study.retrieved()]
                answer = recorded_pick(plan.ask_llm, study.images, study.texts)
                found["asked"] = [] if answer is None else [answer]
            for part, rows in found.items():
                parts.setdefault(part, []).extend(rows)
    return parts


if __name__ == "__main__":
    search.main()
