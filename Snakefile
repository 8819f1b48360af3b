"""Every paper's figures, tables and claims.

snakemake [papers/<slug>/all | papers/<slug>/diff | diff | claims | gallery] [--config scale=smoke|cpu|gpu|paper records=own|dvc|published]
"""

import shlex
import sys
import time
from pathlib import Path

sys.path.insert(0, workflow.basedir)  # this checkout's code, whether or not it is installed

from shared.artifacts.paths import PaperPaths
from shared.artifacts.workflow import (
    check_checkout,
    check_device,
    check_papers,
    check_published,
    check_recorded,
    check_request,
    check_rules,
    check_targets,
    check_writable,
    papers_at,
    requested,
    targets,
)
from shared.base.errors import print_anything

STARTED = time.time()
print_anything()
try:
    check_checkout(Path.cwd())
    SCALE, RECORDS = check_request(config)
    check_targets(sys.argv[1:], SCALE)
    SLUGS = requested(sys.argv, papers_at(SCALE, records=RECORDS))
    if RECORDS == "published":
        check_published(sys.argv, SCALE)
    check_papers(SLUGS, SCALE)
    if RECORDS == "dvc":
        check_recorded(SLUGS, SCALE)
    TARGETS = {slug: targets(slug, SCALE, RECORDS) for slug in SLUGS}
except ValueError as error:
    sys.exit(f"error: {error}")  # just the sentence; Snakemake adds a traceback to an exception
config.update(scale=SCALE, records=RECORDS)
COMPARE = "python -m shared.gallery.diff {params.slugs} --scale {params.scale} --compare"
# jobs run this interpreter, and write UTF-8 whatever the locale is
shell.prefix(f"export PYTHONUTF8=1 PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


rule all:
    default_target: True
    input:
        [target for slug in SLUGS for target in TARGETS[slug]],


rule claims:
    input:
        rules.all.input,
    params:
        slugs=SLUGS,
        scale=SCALE,
    shell:
        "for slug in {params.slugs}; do python -m shared.artifacts.summary $slug --scale {params.scale}; done"


rule diff:
    input:
        rules.all.input,
    params:
        slugs=SLUGS,
        scale=SCALE,
    shell:
        COMPARE


include: "workflows/gallery.smk"


for slug in SLUGS:
    prefix = f"{slug}_"

    module:
        name:
            slug
        snakefile:
            f"papers/{slug}/Snakefile"
        config:
            config
        prefix:
            f"papers/{slug}"

    use rule * from slug as prefix*

    rule:
        name:
            f"papers/{slug}/all"
        input:
            TARGETS[slug],

    rule:
        name:
            f"papers/{slug}/diff"
        input:
            TARGETS[slug],
        params:
            slugs=slug,
            scale=SCALE,
        shell:
            COMPARE


try:
    for slug in SLUGS:
        check_rules(slug, SCALE, {each.name for each in workflow.rules})
except ValueError as error:
    sys.exit(f"error: {error}")


onstart:
    try:
        running = [job.rule.name for job in workflow._dag.needrun_jobs()]
        check_device(running, SCALE, RECORDS)
        check_writable([slug for slug in SLUGS if any(name.startswith(f"{slug}_") for name in running)], SCALE)
    except ValueError as error:
        sys.exit(f"error: {error}")


onsuccess:
    from shared.artifacts.summary import print_summary  # imports pandas, which a build with nothing to do need not wait for

    for slug in SLUGS:
        summary = PaperPaths(slug, SCALE).summary
        if summary.is_file() and summary.stat().st_mtime >= STARTED - 1:
            print_summary(slug, SCALE)
    print(f"done in {time.time() - STARTED:.0f} s")
