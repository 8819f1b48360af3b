"""Step: train the base language models, one per seed or one for all.

python -m papers.lora_watermark.base --scale cpu --shard base
"""

from pathlib import Path

import pandas as pd

from papers.lora_watermark.language_settings import BaseShard
from papers.lora_watermark.models import seed_name
from shared.artifacts.step import step
from shared.train.checkpoint import run_folder, save_tree
from shared.train.config import TrainingConfig
from shared.train.ensemble.training import train_ensemble
from shared.train.language.task import LanguageTask
from shared.train.run import Run


@step(outputs={"weights": "weights/base-{shard}.safetensors"})
def base(settings: BaseShard, device: str, threads: int, checkpoints: Path, weights: Path) -> pd.DataFrame:
    """Train the bases on the text; they differ in initial weights and in their batches."""
    own = settings.base
    runs = [
        Run(
            name=seed_name(seed),
            optimizer="adamw",
            settings={"lr": own.lr, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95},
            batch_size=own.batch_size,
            num_steps=own.num_steps,
            seq_len=own.seq_len,
            seed=seed,
            clip_norm=1.0,
        )
        for seed in settings.seeds
    ]
    how = {"warmup_steps": max(1, own.num_steps // 20), "log_every": max(1, own.num_steps // 20)}
    training = TrainingConfig(
        schedule="cosine",
        min_lr_ratio=0.1,
        precision=own.precision,
        eval_every=max(1, own.num_steps // 4),
        checkpoint_every=max(1, own.num_steps // 4),
        **how,
    )
    described = settings.model_dump(mode="json")
    result = train_ensemble(
        LanguageTask(own.language, {}, own.batch_size),
        runs,
        training,
        checkpoint_dir=run_folder(checkpoints, "base", described),
        settings=described,
        device=device,
        num_threads=threads,
        title="bases",
    )
    save_tree({run.name: state for run, state in zip(runs, result.states, strict=True)}, weights)
    return result.table()


if __name__ == "__main__":
    base.main()
