"""records -> tables -> figures + claims -> summary, the same for every paper; include it last.

Reads SLUG, SCALE and RECORDS. What there is to build comes from paper.yaml and from `shards` in config.py.
"""

from shared.artifacts.config import record_shards
from shared.artifacts.paper import load_paper
from shared.artifacts.workflow import settings_parameters

PAPER = load_paper(SLUG)
RESULTS = f"results/{SCALE}"
CSV = [f"{RESULTS}/tables/{table}.csv" for table in PAPER.table_ids(SCALE)]
CSV += [f"{RESULTS}/figures/{figure}.csv" for figure in PAPER.figure_ids(SCALE)]


def every_record(wildcards):
    """The records that the tables read: of this build, or those that `dvc pull` brought."""
    base = str(Path(f"data/recorded/{SLUG}/{SCALE}/runs").absolute()) if RECORDS == "dvc" else f"{RESULTS}/runs"
    return [f"{base}/{step}/{s}.parquet" for step, shards in record_shards(SLUG, SCALE, RECORDS).items() for s in shards]


rule tables:
    input:
        every_record,
        *[ancient(f) for f in ("paper.yaml", "config.yaml")],
        "reported.csv",
    output:
        CSV,
        expand("{results}/tables/{table}.{kind}", results=RESULTS, table=PAPER.table_ids(SCALE), kind=["md", "tex"]),
    log:
        f"{RESULTS}/logs/tables.log",
    params:
        code=source_digest("shared.artifacts.tables", f"papers.{SLUG}.tables"),
        artifacts=PAPER.model_dump_json(include={"tables", "figures"}),
        **settings_parameters(SLUG, "tables", SCALE),
    shell:
        f"python -m shared.artifacts.tables {SLUG} --scale {SCALE} --records {RECORDS} > {{log}} 2>&1"


rule figure:
    input:
        f"{RESULTS}/figures/{{figure}}.csv",
    output:
        f"{RESULTS}/figures/{{figure}}.png",
        f"{RESULTS}/figures/{{figure}}.svg",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    params:
        code=source_digest("shared.artifacts.figures", f"papers.{SLUG}.figures"),
    shell:
        f"python -m shared.artifacts.figures {SLUG} {{wildcards.figure}} --scale {SCALE} > {{log}} 2>&1"


rule judge:
    input:
        CSV,
    output:
        f"{RESULTS}/claims.json",
    log:
        f"{RESULTS}/logs/claims.log",
    params:
        code=source_digest("shared.artifacts.claims", f"papers.{SLUG}.claims"),
    shell:
        f"python -m shared.artifacts.claims {SLUG} --scale {SCALE} > {{log}} 2>&1"


rule summary:
    input:
        CSV,
        f"{RESULTS}/claims.json",
        expand("{results}/figures/{figure}.png", results=RESULTS, figure=PAPER.figure_ids(SCALE)),
    output:
        f"{RESULTS}/summary.md",
    log:
        f"{RESULTS}/logs/summary.log",
    params:
        code=source_digest("shared.artifacts.summary"),
    shell:
        f"python -m shared.artifacts.summary {SLUG} --scale {SCALE} --records {RECORDS} > {{log}} 2>&1"
