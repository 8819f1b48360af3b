"""Step: judge the pairs of a shard on held-out prompts.

python -m papers.lora_watermark.evaluate --scale cpu --shard seeds-0-to-3
"""

from pathlib import Path

from papers.lora_watermark.attacking import attacked
from papers.lora_watermark.language_settings import EvaluateShard
from papers.lora_watermark.measures import Judged
from papers.lora_watermark.page import write_page
from papers.lora_watermark.paraphrase import Paraphraser
from papers.lora_watermark.texts import Bench
from shared.artifacts.step import step


@step(
    inputs={"base": "weights/base-{base_shard}.safetensors", "adapters": "weights/pair-{pair_shard}.safetensors"},
    outputs={"page": "pages/{shard}.html"},
)
def evaluate(
    settings: EvaluateShard, device: str, base: Path | None, adapters: Path, page: Path
) -> dict[str, list[dict]]:
    """Detection, quality, attacks and coloured texts of every pair."""
    asked = settings.evaluation.attacks.paraphrase
    at_home = settings.source == settings.base.text.source
    rewrite = Paraphraser.from_hub(asked, device) if asked is not None and at_home else None
    parts = {name: [] for name in ("detection", "curves", "scores", "quality", "attacked", "shown")}
    for seed in settings.seeds:
        bench = Bench(settings, seed, base, adapters, device)
        for judged in (Judged(bench, member) for member in settings.members(seed)):
            for name in ("detection", "curves", "scores", "quality"):
                parts[name] += getattr(judged, name)()
            if judged.member.variant.name in settings.evaluation.attacked and at_home:
                parts["attacked"] += attacked(judged, rewrite)
            if seed == settings.seeds[0]:
                parts["shown"] += judged.shown()
    write_page(parts["shown"], page)
    return parts


if __name__ == "__main__":
    evaluate.main()
