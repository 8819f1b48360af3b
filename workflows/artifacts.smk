"""records -> tables + claims -> figures + summary, the same for every paper; include it last.

Reads SLUG, SCALE and RECORDS. What there is to build comes from paper.yaml and from `shards` in config.py.
"""

from shared.artifacts.captions import report_entry
from shared.artifacts.digest import source_digest
from shared.artifacts.paper import load_paper
from shared.artifacts.workflow import artifact_digest, record_files, settings_parameters

PAPER = load_paper(SLUG)
TABLES, FIGURES = PAPER.table_ids(SCALE), PAPER.figure_ids(SCALE)


rule tables:
    input:
        lambda wildcards: record_files(SLUG, SCALE, RECORDS),
        *[ancient(f) for f in ("paper.yaml", "config.yaml")],
        "reported.csv",
    output:
        # tables of the build before come back if this one fails; claims.json does not, so that the failure is remembered
        [update(report(f"{RESULTS}/tables/{name}.csv", **report_entry(SLUG, SCALE, name))) for name in TABLES],
        update(expand("{results}/tables/{table}.{kind}", results=RESULTS, table=TABLES, kind=["md", "tex"])),
        update(expand("{results}/figures/{figure}.csv", results=RESULTS, figure=FIGURES)),
        claims=f"{RESULTS}/claims.json",
    log:
        f"{RESULTS}/logs/tables.log",
    params:
        code=source_digest(
            "shared.artifacts.tables",
            "shared.artifacts.claims",
            *[f"papers.{SLUG}.{module}" for module in ("tables", "claims", *PAPER.method_modules())],
        ),
        artifacts=artifact_digest(SLUG),
        **settings_parameters(SLUG, SCALE),
    shell:
        f"ARTIFACTS_LOG={{log}} OMP_NUM_THREADS=1 python -m shared.artifacts.build tables {SLUG} --scale {SCALE} --records {RECORDS} > {{log}} 2>&1"


rule figures:
    input:
        expand("{results}/figures/{figure}.csv", results=RESULTS, figure=FIGURES),
        rules.tables.output.claims,
    output:
        [update(report(f"{RESULTS}/figures/{name}.png", **report_entry(SLUG, SCALE, name))) for name in FIGURES],
        update(expand("{results}/figures/{figure}.svg", results=RESULTS, figure=FIGURES)),
        summary=f"{RESULTS}/summary.md",
    log:
        f"{RESULTS}/logs/figures.log",
    params:
        code=source_digest("shared.artifacts.figures", "shared.artifacts.summary", f"papers.{SLUG}.figures"),
    shell:
        f"ARTIFACTS_LOG={{log}} OMP_NUM_THREADS=1 python -m shared.artifacts.build figures {SLUG} --scale {SCALE} --records {RECORDS} > {{log}} 2>&1"
