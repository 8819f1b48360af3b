"""What the Snakefiles ask: the requested scale, the papers that have it, and the parameters of a step's rule."""

import glob
import os
import re
from collections.abc import Callable
from pathlib import Path

from shared.artifacts.config import scales_of, stand_ins
from shared.artifacts.digest import settings_of, shard_keys, shard_settings_of, shards_at
from shared.artifacts.paper import load_paper
from shared.artifacts.paths import SCALES, PaperPaths, check_records, check_scale, paper_slugs
from shared.base.errors import nearest

REQUEST_KEYS = ("scale", "records")


def check_request(request: dict, root: Path | None = None) -> tuple[str, str]:
    """Scale and source of records of `--config scale=... records=...`, with their defaults cpu and own.

    Raises:
        ValueError: unknown key or value; names the allowed ones.
    """
    for key in request:
        if key not in REQUEST_KEYS:
            raise ValueError(f"unknown --config key '{key}'; use scale=... or records=...{nearest(key, REQUEST_KEYS)}")
    extra = {s for slug in paper_slugs(root) for s in scales_of(slug, root)} - set(SCALES)
    scale = check_scale(str(request.get("scale", "cpu")), extra=tuple(sorted(extra)))
    return scale, check_records(str(request.get("records", "own")))


def papers_at(scale: str, root: Path | None = None, records: str = "own") -> list[str]:
    """Slugs of the papers that have a scale; under records=published those whose authors released records."""
    slugs = [slug for slug in paper_slugs(root) if scale in scales_of(slug, root)]
    return [slug for slug in slugs if stand_ins(slug, root)] if records == "published" else slugs


def check_published(arguments: list[str], scale: str, root: Path | None = None) -> None:
    """ValueError if Snakemake's command line asks under records=published for a paper that has none; names it."""
    without = set(papers_at(scale, root)) - set(papers_at(scale, root, records="published"))
    for slug in sorted(without):
        if any(argument.startswith(f"papers/{slug}/") for argument in arguments):
            raise ValueError(f"{slug} has no published records; leave records=published out")


def check_papers(slugs: list[str], scale: str) -> None:
    """ValueError if one of these papers cannot be planned at all.

    Its paper.yaml or config.yaml is wrong, at any scale, or a file lies where its results go.
    """
    for slug in slugs:
        load_paper(slug)
        for each in scales_of(slug):
            shards_at(slug, each)
        paths = PaperPaths(slug, scale)
        for folder in (paths.results.parent, paths.results):
            if folder.exists() and not folder.is_dir():
                raise ValueError(f"cannot write into {paths.relative(folder)}: it is a file; move it away")


def check_writable(slugs: list[str], scale: str) -> None:
    """ValueError if a folder with results of one of these papers is read-only; names the folder."""
    for slug in slugs:
        paths = PaperPaths(slug, scale)
        outer = next(p for p in (paths.results, *paths.results.parents) if p.exists())
        inner = [p for pattern in ("*", "*/*") for p in paths.results.glob(pattern) if p.is_dir()]
        for folder in [outer, *inner]:
            if not os.access(folder, os.W_OK | os.X_OK):
                raise ValueError(f"cannot write into {paths.relative(folder)}: permission denied; make it writable")


def has_gpu() -> bool:
    """Whether this machine shows an accelerator's device file; costs no torch import."""
    return bool(glob.glob("/dev/nvidia[0-9]*") or glob.glob("/dev/kfd"))


def check_device(rules: list[str], scale: str, records: str) -> None:
    """ValueError if one of these rules runs a step that needs an accelerator and this machine has none.

    Args:
        rules: names of the rules about to run here, `<slug>_<step>`.
    """
    if records == "dvc" or has_gpu():
        return
    for slug in papers_at(scale):
        shards = shards_at(slug, scale)
        needing = {f"{slug}_{s}" for s in shards if any(int(x.get("num_gpus", 0)) for x in shards[s].values())}
        if needing & set(rules):
            raise ValueError(
                f"scale {scale} of {slug} needs a GPU and this machine shows none; choose scale=cpu, rebuild from "
                f"recorded runs with records=dvc, or submit to a cluster with --workflow-profile profiles/slurm"
            )


def settings_parameters(slug: str, step: str, scale: str) -> dict[str, str]:
    """Rule parameters of a step without shards, one per setting that it reads: `plot_label="plot.label=loss"`.

    One parameter each, so that Snakemake's reason for a rerun names just the keys that changed.
    """
    return {_identifier(key): f"{key}={value}" for key, value in settings_of(slug, step, scale).items()}


def shard_parameters(slug: str, step: str) -> dict[str, Callable]:
    """The same for a step whose rule has the wildcards `scale` and `shard`: functions of the wildcards."""

    def parameter(key: str) -> Callable:
        return lambda wildcards: (
            f"{key}={shard_settings_of(slug, step, wildcards.scale, wildcards.shard).get(key, 'absent')}"
        )

    return {_identifier(key): parameter(key) for key in shard_keys(slug, step)}


def _identifier(key: str) -> str:
    return "setting_" + re.sub("[^A-Za-z0-9]", "_", key)
