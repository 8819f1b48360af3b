"""Step: train the pairs of adapters of a seed on its base, all variants side by side.

python -m papers.lora_watermark.pair --scale cpu --shard seed-0
"""

from pathlib import Path

import pandas as pd

from papers.lora_watermark.language_settings import PairShard
from papers.lora_watermark.models import adapter_state, load_base, role_name
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
    with limited_threads(threads):
        model = load_base(settings.base, base, settings.base_seed, str(accelerator.device))
        data, members = load_text_data(settings.base.text), list(settings.members)
        trainer = PairTrainer(model, data, settings.training, members, str(accelerator.device))
        rows = trainer.train(run_folder(checkpoints, "pairs", settings.model_dump(mode="json")))
        if accelerator.is_main_process:
            names = [role_name(m, role) for m in members for role in ROLES]
            names += [SFT] if settings.training.reference == "sft" else []
            save_tree({name: adapter_state(model, name) for name in names}, adapters)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    pair.main()
