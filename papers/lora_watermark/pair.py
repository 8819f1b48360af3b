"""Step: train pairs of adapters, seed after seed, all variants of a seed side by side on its base.

python -m papers.lora_watermark.pair --scale cpu --shard seeds-0-to-3
"""

from pathlib import Path

import pandas as pd

from papers.lora_watermark.language_settings import PairShard
from papers.lora_watermark.models import adapter_state, load_base, role_name, seed_name
from papers.lora_watermark.pair_training import ROLES, SFT, PairTrainer
from shared.artifacts.step import step
from shared.data.text import load_text_data
from shared.train.checkpoint import run_folder, save_tree
from shared.train.loop.runtime import limited_threads, make_accelerator


@step(
    inputs={"base": "weights/base-{base_shard}.safetensors"},
    outputs={"adapters": "weights/pair-{shard}.safetensors"},
    processes="processes",
)
def pair(
    settings: PairShard, device: str, threads: int, checkpoints: Path, base: Path | None, adapters: Path
) -> pd.DataFrame:
    """Train the pairs of one shard."""
    accelerator = make_accelerator("fp32", device, None)
    described = settings.model_dump(mode="json", exclude={"seeds", "bases"})
    rows, states = [], {}
    with limited_threads(threads):
        data = load_text_data(settings.base.text)
        for seed in settings.seeds:
            members, own = settings.members(seed), {"seed": seed, "base_seed": settings.base_of(seed)}
            model = load_base(settings.base, base, own["base_seed"], str(accelerator.device))
            trainer = PairTrainer(model, data, settings.training, members, str(accelerator.device))
            rows += trainer.train(run_folder(checkpoints, f"pairs-{seed}", described | own))
            names = [role_name(m, role) for m in members for role in ROLES]
            names += [SFT] if settings.training.reference == "sft" else []
            states[seed_name(seed)] = {name: adapter_state(model, name) for name in names}
        if accelerator.is_main_process:
            save_tree(states, adapters)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    pair.main()
