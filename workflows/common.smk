"""What a paper's Snakefile uses; include it first, after SLUG is set.

    rule train:
        output: record("train"), weights="results/{scale}/weights/{shard}.safetensors"
        log: log("train")
        params: **step("train"), checkpoints=...
        resources: gpus=gpus("train")
        shell: run("train", "--out {output[0]} --weights {output.weights}")
"""

from pathlib import Path

from shared.artifacts.digest import shard_settings_of, source_digest
from shared.artifacts.workflow import shard_parameters

SCALE, RECORDS = config["scale"], config["records"]


wildcard_constraints:
    scale="[a-z][a-z-]*",
    shard="[A-Za-z0-9_.=-]+",


def record(name):
    """Record of a shard of a step."""
    return f"results/{{scale}}/runs/{name}/{{shard}}.parquet"


def log(name):
    """Log of a shard of a step."""
    return f"results/{{scale}}/logs/{name}/{{shard}}.log"


def shard_setting(name, wildcards, key):
    """One resolved setting (JSON text) of a shard of a step, e.g. 'training.lr'; None if it has no such."""
    return shard_settings_of(SLUG, name, wildcards.scale, wildcards.shard).get(key)


def gpus(name):
    """GPUs that a job of a step needs: the shard's setting `num_gpus`."""
    return lambda wildcards: int(shard_setting(name, wildcards, "num_gpus") or 0)


def step(name):
    """Parameters of a step's rule: digest of its code, its settings one by one, and how it is started."""
    count = gpus(name)
    return {
        "code": source_digest(f"papers.{SLUG}.{name}"),
        "start": lambda w: f"python -m shared.train.launch --gpus {count(w)} --" if count(w) else "python -m",
        **shard_parameters(SLUG, name),
    }


def run(name, arguments):
    """Shell command of a step: the module, its shard, its own `arguments`, all output into the log."""
    return (
        f"{{params.start}} papers.{SLUG}.{name} --scale {{wildcards.scale}} --shard {{wildcards.shard}} "
        f"{arguments} > {{log}} 2>&1"
    )
