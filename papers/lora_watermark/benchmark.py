"""Step: task performance on public benchmarks, by EleutherAI's evaluation harness (`pip install -e .[benchmarks]`).

python -m papers.lora_watermark.benchmark --scale paper --shard seeds-0-to-2

The base, the plainly fine-tuned adapter and every performer answer the same questions, merged into the base's weights.
Only published bases can be asked: a character model knows no task.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from papers.lora_watermark.language_settings import Benchmarks, BenchmarkShard, Member
from papers.lora_watermark.models import add_pair, load_adapter_state, load_base, role_name, seed_name
from papers.lora_watermark.pair_training import SFT
from shared.artifacts.step import step
from shared.models.lora.adapters import add_adapter, merged
from shared.train.checkpoint import load_tree

Results = dict[str, dict[str, float]]  # task -> "metric,filter" -> value, as the harness returns them


def scores(results: Results, benchmarks: Benchmarks) -> list[dict]:
    """A row per task: the metric that the settings name, as a fraction of 1, and its standard error.

    Raises:
        ValueError: the harness did not report the metric of a task.
    """
    rows = []
    for task, metric in benchmarks.tasks.items():
        key = f"{metric},none"
        if key not in results.get(task, {}):
            known = sorted(k.removesuffix(",none") for k in results.get(task, {}) if k.endswith(",none"))
            raise ValueError(
                f"task '{task}' has no metric '{metric}'; the harness reports {', '.join(known) or 'none'}"
            )
        error = results[task].get(f"{metric}_stderr,none")  # "N/A" where the harness has none
        error = float(error) if isinstance(error, int | float) else float("nan")
        rows.append({"task": task, "metric": metric, "score": float(results[task][key]), "score_error": error})
    return rows


def asked(model: nn.Module, tokenizer: str, benchmarks: Benchmarks) -> Results:
    """Results of the harness for a model of `transformers`.

    Raises:
        ValueError: the harness is not installed.
    """
    try:
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise ValueError("benchmarks need the evaluation harness; pip install -e .[benchmarks]") from error
    wrapped = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=benchmarks.batch_size)
    how = {"num_fewshot": benchmarks.num_fewshot, "limit": benchmarks.limit}
    found = simple_evaluate(model=wrapped, tasks=list(benchmarks.tasks), **how)
    return {**found["results"], **found.get("groups", {})}  # a group such as mmlu counts by its own mean


def judged(
    settings: BenchmarkShard, model: nn.Module, members: Sequence[Member], ask: Callable[[nn.Module], Results]
) -> list[dict]:
    """Rows of base, fine-tuned adapter and performer of every member; what members share is asked once."""
    kept, rows = {}, []
    for member in members:
        for texts, adapter in (("base", None), ("sft", SFT), ("watermarked", role_name(member, "performer"))):
            if adapter == SFT and settings.training.reference != "sft":
                continue
            if adapter not in kept:
                with merged(model, adapter) if adapter else contextlib.nullcontext():
                    kept[adapter] = scores(ask(model.model), settings.benchmarks)
            named = {"variant": member.variant.name, "eps": member.variant.eps, "seed": member.seed, "texts": texts}
            rows += [named | row for row in kept[adapter]]
    return rows


@step(inputs={"adapters": "weights/pair-{pair_shard}.safetensors"})
def benchmark(settings: BenchmarkShard, device: str, adapters: Path) -> list[dict]:
    """Ask the pairs of a shard."""
    model, trained = load_base(settings.base, None, 0, device), load_tree(adapters)
    members = [member for seed in settings.seeds for member in settings.members(seed)]
    for member in members:
        add_pair(model, member, settings.training.lora, trained[seed_name(member.seed)])
    if settings.training.reference == "sft":
        add_adapter(model, SFT, settings.training.lora)
        load_adapter_state(model, SFT, trained[seed_name(settings.seeds[0])][SFT])
    return judged(settings, model, members, lambda plain: asked(plain, settings.base.hub.name, settings.benchmarks))


if __name__ == "__main__":
    benchmark.main()
