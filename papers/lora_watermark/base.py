"""Step: train the base language model.

python -m papers.lora_watermark.base --scale cpu --shard base
"""

from pathlib import Path

import pandas as pd

from papers.lora_watermark.language_settings import BaseShard
from shared.artifacts.step import step
from shared.train.checkpoint import run_folder, save_weights
from shared.train.config import TrainingConfig
from shared.train.language.task import LanguageTask
from shared.train.loop.fit import fit
from shared.train.run import Run


@step(outputs={"weights": "weights/base-{shard}.safetensors"})
def base(settings: BaseShard, device: str, threads: int, checkpoints: Path, weights: Path) -> pd.DataFrame:
    """Train the base on the text."""
    own = settings.base
    hyperparameters = {"lr": own.lr, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95}
    run = Run(
        name="base",
        optimizer="adamw",
        settings=hyperparameters,
        batch_size=own.batch_size,
        num_steps=own.num_steps,
        seq_len=own.seq_len,
        clip_norm=1.0,
    )
    how = {"warmup_steps": max(1, own.num_steps // 20), "log_every": max(1, own.num_steps // 20)}
    training = TrainingConfig(
        schedule="cosine",
        min_lr_ratio=0.1,
        precision=own.precision,
        eval_every=max(1, own.num_steps // 4),
        checkpoint_every=max(1, own.num_steps // 4),
        **how,
    )
    described = own.model_dump(mode="json")
    result = fit(
        LanguageTask(own.language, {}, own.batch_size),
        run,
        training,
        checkpoint_dir=run_folder(checkpoints, "base", described),
        settings=described,
        device=device,
        num_threads=threads,
    )
    save_weights(result.model, weights)
    return result.table()


if __name__ == "__main__":
    base.main()
