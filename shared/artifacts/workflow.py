"""What the Snakefiles ask: the requested scale, the papers that have it, and the parameters of a step's rule."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from shared.artifacts.config import load_config, record_shards, scales_of, stand_ins
from shared.artifacts.declaration import declared, fill
from shared.artifacts.devices import has_gpu
from shared.artifacts.digest import settings_of, shard_keys, shard_settings_of, shards_at, shown, step_digest
from shared.artifacts.paper import load_paper
from shared.artifacts.paths import SCALES, PaperPaths, check_records, check_scale, paper_slugs
from shared.base.errors import nearest, nearest_or_all

REQUEST_KEYS = ("scale", "records")
_TARGETS = ("all", "diff")  # of a paper
TOGETHER = ("smoke",)  # scales whose shards take less time than the start of Python: one process runs those of a step


def check_request(request: dict, root: Path | None = None) -> tuple[str, str]:
    """Scale and source of records of `--config scale=... records=...`, with their defaults cpu and own.

    Raises:
        ValueError: unknown key or value; names the allowed ones.
    """
    for key in request:
        if key not in REQUEST_KEYS:
            raise ValueError(f"unknown --config key '{key}'; use scale=... or records=...{nearest(key, REQUEST_KEYS)}")
    extra = {s for slug in paper_slugs(root) for s in _scales(slug, root) or ()} - set(SCALES)
    scale = check_scale(str(request.get("scale", "cpu")), extra=tuple(sorted(extra)))
    return scale, check_records(str(request.get("records", "own")))


def papers_at(scale: str, root: Path | None = None, records: str = "own") -> list[str]:
    """Slugs of the papers that have a scale; under records=published those whose authors released records.

    A paper that cannot be read is among them: `check_papers` says what is wrong if it is asked for.
    """
    slugs = [slug for slug in paper_slugs(root) if scale in (_scales(slug, root) or [scale])]
    return [slug for slug in slugs if _has_released(slug, root)] if records == "published" else slugs


def _scales(slug: str, root: Path | None) -> list[str] | None:
    """Scales of a paper; None where its config.yaml cannot be read."""
    try:
        return scales_of(slug, root)
    except ValueError:
        return None


def _has_released(slug: str, root: Path | None) -> bool:
    try:
        return bool(stand_ins(slug, root))
    except ValueError:
        return True  # told when it is asked for


def requested(arguments: list[str], slugs: list[str]) -> list[str]:
    """Of `slugs` those that a command line asks for: the papers of its targets, or all where a target names no paper.

    Only these are loaded, so that a mistake in one paper does not stop the others.
    """
    named = [slug for slug in slugs if any(argument.startswith(f"papers/{slug}/") for argument in arguments)]
    return slugs if not named or {"all", "diff", "claims"} & set(arguments) else named


def check_targets(arguments: list[str], scale: str, root: Path | None = None) -> None:
    """Refuse targets below papers/ that there cannot be.

    Raises:
        ValueError: an unknown paper, a paper without that scale, or another target than all, diff or a file.
    """
    slugs = paper_slugs(root)
    for argument in arguments:
        head, _, below = argument.partition("/")
        slug, _, target = below.partition("/")
        if head != "papers" or not slug or "=" in slug:
            continue
        if slug not in slugs:
            raise ValueError(f"unknown paper '{slug}' in {argument}; {nearest_or_all(slug, slugs)}")
        if "/" not in target and target not in _TARGETS:
            hint = nearest_or_all(target, [f"papers/{slug}/{each}" for each in _TARGETS])
            raise ValueError(f"papers/{slug} has no target '{target}'; {hint}")
        known = scales_of(slug, root)
        if scale not in known:
            raise ValueError(f"{slug} has no scale '{scale}'; {nearest_or_all(scale, known)}")


def check_recorded(slugs: list[str], scale: str) -> None:
    """ValueError under records=dvc for a paper whose recorded runs are not there; counts them."""
    for slug in slugs:
        missing = [file for file in record_files(slug, scale, "dvc") if not Path(file).is_file()]
        if missing:
            folder = PaperPaths(slug, scale).relative(PaperPaths(slug, scale).recorded_runs)
            raise ValueError(
                f"{len(missing)} recorded runs of {slug} at scale {scale} are missing below {folder} (such as "
                f"{os.path.relpath(missing[0], PaperPaths(slug, scale).recorded_runs)}); run dvc pull, or leave "
                f"records=dvc out"
            )


def check_published(arguments: list[str], scale: str, root: Path | None = None) -> None:
    """ValueError if Snakemake's command line asks under records=published for a paper that has none; names it."""
    without = set(papers_at(scale, root)) - set(papers_at(scale, root, records="published"))
    for slug in sorted(without):
        if any(argument.startswith(f"papers/{slug}/") for argument in arguments):
            raise ValueError(f"{slug} has no published records; leave records=published out")


def check_papers(slugs: list[str], scale: str) -> None:
    """ValueError if one of these papers cannot be planned at all.

    Its paper.yaml, config.yaml or Snakefile is wrong, at any scale, or a step of this scale; or a file lies where its
    results go.
    """
    for slug in slugs:
        check_snakefile(slug)
        load_paper(slug)
        for each in scales_of(slug):
            load_config(slug, each)
        for step in shards_at(slug, scale):
            StepRule(slug, step, scale).check()
        paths = PaperPaths(slug, scale)
        for folder in (paths.results.parent, paths.results):
            if folder.exists() and not folder.is_dir():
                raise ValueError(f"cannot write into {paths.relative(folder)}: it is a file; move it away")


def check_snakefile(slug: str, root: Path | None = None) -> None:
    """ValueError unless a paper's Snakefile sets its SLUG and includes the rules of steps and of artifacts."""
    paths = PaperPaths(slug, "cpu", root)
    file = paths.folder / "Snakefile"
    where, text = paths.relative(file), file.read_text(encoding="utf-8")
    found = re.search(r"^SLUG\s*=\s*[\"'](.*?)[\"']\s*(#.*)?$", text, flags=re.MULTILINE)
    if found is None:
        raise ValueError(f'{where} sets no SLUG; write the line SLUG = "{slug}"')
    if found.group(1) != slug:
        raise ValueError(f"{where} sets SLUG to '{found.group(1)}', and its folder is '{slug}'; make them equal")
    for part in ("steps", "artifacts"):
        line = f'include: "../../workflows/{part}.smk"'
        if not re.search(rf"^include:\s*[\"']\.\./\.\./workflows/{part}\.smk[\"']", text, flags=re.MULTILINE):
            raise ValueError(f"{where} has no line {line}, so nothing makes its {part}; write it")


def check_rules(slug: str, scale: str, rules: set[str]) -> None:
    """ValueError if a step of a paper, or its tables or figures, has no rule.

    Args:
        rules: names of all rules, `<slug>_<step>`.
    """
    for name in [*shards_at(slug, scale), "tables", "figures"]:
        if f"{slug}_{name}" not in rules:
            raise ValueError(
                f"papers/{slug}/Snakefile: no rule makes '{name}'; include workflows/steps.smk last but one"
            )


def check_checkout(folder: Path) -> None:
    """ValueError if Snakemake, which keeps its state there even while it plans, cannot write into a checkout."""
    state = folder / ".snakemake"
    if not os.access(state if state.exists() else folder, os.W_OK | os.X_OK):
        raise ValueError(
            f"{folder} cannot be written, and Snakemake keeps its state there (.snakemake); copy the checkout to where "
            f"you can write and run again"
        )


def check_writable(slugs: list[str], scale: str) -> None:
    """ValueError if a folder with results of one of these papers is read-only; names the folder."""
    for slug in slugs:
        paths = PaperPaths(slug, scale)
        outer = next(p for p in (paths.results, *paths.results.parents) if p.exists())
        inner = [p for pattern in ("*", "*/*") for p in paths.results.glob(pattern) if p.is_dir()]
        for folder in [outer, *inner]:
            if not os.access(folder, os.W_OK | os.X_OK):
                raise ValueError(f"cannot write into {paths.relative(folder)}: permission denied; make it writable")


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


class StepRule:
    """What the Snakemake rule of a step consists of; paths are relative to the paper's folder.

    A rule has the wildcard {shard}, or, where shards run `together`, none: then one job makes the files of all shards.

    Args:
        slug, name: the step.
        scale: of this call.
    """

    def __init__(self, slug: str, name: str, scale: str) -> None:
        self.slug, self.name, self.scale = slug, name, scale
        self.declaration = declared(slug, name)
        self.threads = self.declaration.threads
        self.results = f"results/{scale}"
        self.shards = list(shards_at(slug, scale)[name])
        plain = self.declaration.processes is None and not any(self._gpus(shard) for shard in self.shards)
        self.together = scale in TOGETHER and len(self.shards) > 1 and plain

    def check(self) -> None:
        """ValueError if a template of the declaration fits no shard, or a file that it reads is missing."""
        for shard in self.shards:
            settings = self._settings(shard)
            for template in (*self.declaration.inputs.values(), *self.declaration.after):
                fill(template, shard, settings)
            processes = self.declaration.processes
            if processes is not None and not isinstance(settings.get(processes), int):
                where = f"papers/{self.slug}/{self.name}.py"
                raise ValueError(f"{where}: processes='{processes}' is no setting with a number; {_known(settings)}")

    @property
    def log(self) -> str:
        """Where the output of a job goes."""
        return f"{self.results}/logs/{self.name}/{'all' if self.together else '{shard}'}.log"

    @property
    def outputs(self) -> dict[str, str | list[str]]:
        """`record` and the declared outputs."""
        templates = {"record": f"runs/{self.name}/{{shard}}.parquet", **self.declaration.outputs}
        outputs = {name: f"{self.results}/{template}" for name, template in templates.items()}
        if not self.together:
            return outputs
        return {name: [path.replace("{shard}", shard) for shard in self.shards] for name, path in outputs.items()}

    def inputs(self, wildcards) -> dict[str, list[str]]:
        """The declared inputs of a job's shards, and under `after` what only has to be there."""
        found: dict[str, list[str]] = {}
        for shard in self._shards_of(wildcards):
            settings = self._settings(shard)
            templates = [*self.declaration.inputs.items(), *(("after", each) for each in self.declaration.after)]
            for name, template in templates:
                below = fill(template, shard, settings)
                if below is not None:
                    found.setdefault(name, []).append(f"{self.results}/{below}")
        return {name: list(dict.fromkeys(paths)) for name, paths in found.items()}

    def gpus(self, wildcards) -> int:
        """GPUs that a job needs: the setting `num_gpus` of its shard."""
        return max(self._gpus(shard) for shard in self._shards_of(wildcards))

    @property
    def params(self) -> dict[str, object]:
        """Digest of the step's code, its settings one by one, and how it is started."""
        return {
            "code": step_digest(self.slug, self.name),
            "module": f"papers.{self.slug}.{self.name}",
            "scale": self.scale,
            "start": self._start,
            "shards": lambda wildcards: " ".join(f"--shard {shard}" for shard in self._shards_of(wildcards)),
            **{_identifier(key): self._shown(key) for key in shard_keys(self.slug, self.name, self.scale)},
        }

    def _shards_of(self, wildcards) -> list[str]:
        return self.shards if self.together else [wildcards.shard]

    def _start(self, wildcards) -> str:
        if self.declaration.processes is not None:
            number = int(self._settings(wildcards.shard)[self.declaration.processes])
            return f"python -m shared.train.launch --processes {number} --"
        gpus = self.gpus(wildcards)
        return f"python -m shared.train.launch --gpus {gpus} --" if gpus else "python -m"

    def _shown(self, key: str) -> Callable:
        def value(wildcards) -> str:
            settings = [shard_settings_of(self.slug, self.name, self.scale, s) for s in self._shards_of(wildcards)]
            values = [each.get(key, "absent") for each in settings]
            return shown(key, values[0] if len(set(values)) == 1 else " | ".join(values))

        return value

    def _gpus(self, shard: str) -> int:
        return int(self._settings(shard).get("num_gpus") or 0)

    def _settings(self, shard: str) -> dict[str, object]:
        flat = shard_settings_of(self.slug, self.name, self.scale, shard)
        return {key: json.loads(value) for key, value in flat.items()}


def record_files(slug: str, scale: str, records_from: str) -> list[str]:
    """The records that the tables read: of this build, relative to the paper, or those that `dvc pull` brought."""
    recorded = PaperPaths(slug, scale).recorded_runs
    base = str(recorded) if records_from == "dvc" else f"results/{scale}/runs"
    found = record_shards(slug, scale, records_from)
    return [f"{base}/{step}/{shard}.parquet" for step, shards in found.items() for shard in shards]


def targets(slug: str, scale: str, records_from: str) -> list[str]:
    """Everything that a finished build of a paper has, relative to the checkout.

    The records themselves are named: a job that failed has lost its record, and Snakemake does not miss an input of a
    file that is there.
    """
    paper, results = load_paper(slug), f"papers/{slug}/results/{scale}"
    records = record_files(slug, scale, records_from)
    found = [file if file.startswith("/") else f"papers/{slug}/{file}" for file in records]
    found += [f"{results}/tables/{name}.csv" for name in paper.table_ids(scale)]
    found += [f"{results}/figures/{name}.{kind}" for name in paper.figure_ids(scale) for kind in ("csv", "png")]
    return [*found, f"{results}/claims.json", f"{results}/summary.md"]


def artifact_digest(slug: str) -> str:
    """Digest of what paper.yaml says of tables and figures."""
    content = load_paper(slug).model_dump_json(include={"tables", "figures"})
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def settings_parameters(slug: str, scale: str) -> dict[str, str]:
    """Rule parameters of the settings that tables and claims read, one each: `plot_label="plot.label=loss"`.

    One parameter each, so that Snakemake's reason for a rerun names just the keys that changed.
    """
    settings = settings_of(slug, "tables", scale) | settings_of(slug, "claims", scale)
    return {_identifier(key): shown(key, value) for key, value in settings.items()}


def _known(settings: dict[str, object]) -> str:
    return f"its settings are {', '.join(settings)}"


def _identifier(key: str) -> str:
    return "setting_" + re.sub("[^A-Za-z0-9]", "_", key)
