"""Settings of GIDD: two studies (an oracle and real text) on one set of models, losses and samplers.

A study trains a grid of runs on one corpus. The grid is cut into shards; a shard's settings are all that its
jobs read. Nothing here imports torch.
"""

from papers.gidd.settings import Exact, Study, StudyShard
from shared.artifacts.config import PaperConfig
from shared.base.settings import StrictModel


class Config(PaperConfig):
    """All of it."""

    markov: Study
    text: Study
    exact: Exact


STEPS = {"tables": ("markov", "text"), "claims": ("markov", "text")}


def shards(config: Config) -> dict[str, dict[str, StrictModel]]:
    """Step -> shard -> settings. Shards of train, evaluate and sample share their names."""
    found: dict[str, dict] = {s: {} for s in ("data", "verify", "train", "evaluate", "sample")}
    found["verify"]["exact"] = config.exact
    for name in ("markov", "text"):
        study: Study = getattr(config, name)
        found["data"][name] = StudyShard(study=name, corpus=study.corpus)
        runs, size = list(study.all_runs()), study.runs_per_shard
        groups = {f"{name}-{i // size:02d}": runs[i : i + size] for i in range(0, len(runs), size)}
        scorer = next((r for r in runs if r.objective == "ar"), None) if study.sampling.scorer == "ar" else None
        home = next((shard for shard, members in groups.items() if scorer in members), None)
        for shard, members in groups.items():
            sizes = {run.size for run in [*members, *([scorer] if scorer else [])]}
            base = StudyShard(
                study=name,
                corpus=study.corpus,
                noise=study.noise,
                runs=members,
                num_gpus=config.num_gpus,
                sizes={size: study.sizes[size] for size in sorted(sizes)},
            )
            found["train"][shard] = base.model_copy(update={"training": study.training, "stacked": study.stacked})
            found["evaluate"][shard] = base.model_copy(update={"likelihood": study.likelihood})
            sampled = [r for r in members if r.sample]
            if sampled:
                update = {"sampling": study.sampling, "runs": sampled, "scorer_run": scorer, "scorer_shard": home}
                found["sample"][shard] = base.model_copy(update=update)
    return found
