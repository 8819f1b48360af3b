"""Rules of a paper's steps; include it after SLUG is set, and after rules that the paper writes itself.

Every step of `shards` in config.py gets a rule, made from the declaration in its `@step(...)`: record and other
outputs, inputs, threads, GPUs and processes, log, code and settings. At scale smoke one job runs all shards. A step for which the paper has written a rule
of that name is left out; such a rule may take what it needs from `step_rule(name)`.
"""

import sys

if "scale" not in config:  # a paper's own Snakefile, called by itself
    sys.exit(f"error: run Snakemake at the top of the checkout: cd ../.. && snakemake papers/{SLUG}/all")

from shared.artifacts.digest import shards_at
from shared.artifacts.workflow import StepRule

SCALE, RECORDS = config["scale"], config["records"]
RESULTS = f"results/{SCALE}"


wildcard_constraints:
    shard="[A-Za-z0-9_.=-]+",


def step_rule(name):
    """What the rule of a step consists of."""
    return StepRule(SLUG, name, SCALE)


WRITTEN = {rule.name.removeprefix(f"{SLUG}_") for rule in workflow.rules}

for STEP in [step_rule(name) for name in shards_at(SLUG, SCALE) if name not in WRITTEN]:

    rule:
        name: STEP.name
        input: unpack(STEP.inputs)
        output: **STEP.outputs
        log: STEP.log
        threads: STEP.threads
        resources: gpus=STEP.gpus
        params: **STEP.params  # the command is made when a job runs and this loop is over: all that varies is here
        # a library that starts more threads than the job has only waits for them
        shell: "ARTIFACTS_LOG={log} OMP_NUM_THREADS={threads} {params.start} {params.module} --scale {params.scale} {params.shards} --threads {threads} > {log} 2>&1"
