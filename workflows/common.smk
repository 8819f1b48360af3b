"""What a paper's Snakefile uses; include it first, after SLUG is set."""

from pathlib import Path

from shared.artifacts.digest import shards_of, source_digest
from shared.artifacts.workflow import shard_parameters

SCALE, RECORDS = config["scale"], config["records"]


wildcard_constraints:
    scale="[a-z][a-z-]*",
    shard="[A-Za-z0-9_.=-]+",


def settings(step):
    """Parameters of a rule with the wildcards scale and shard: one per setting that the shard's job reads."""
    return shard_parameters(SLUG, step)


def code(step):
    """Parameter of a rule: digest over the step's module and all it imports."""
    return source_digest(f"papers.{SLUG}.{step}")


def records(step):
    """Input function: the records of every shard of a step."""
    return lambda wildcards: [
        f"results/{wildcards.scale}/runs/{step}/{shard}.parquet" for shard in shards_of(SLUG, step, wildcards.scale)
    ]
