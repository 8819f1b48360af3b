"""pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import subprocess
import tomllib

import yaml
from packaging.requirements import Requirement

from shared.base.paths import repo_root

ROOT = repo_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", requirement).lower()


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return {name(n): v for n, v in (line.split("==") for line in lines if line and not line.startswith("#"))}


def test_every_locked_line_is_an_exact_pin():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert [x for x in lines if x and not x.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.!+]+", x)] == []


def test_torch_is_pinned_to_the_version_the_project_is_tested_with():
    assert locked()["torch"] == "2.13.0"


def test_the_lock_satisfies_every_dependency_and_extra_but_triton():
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == {"gpu", "hub", "dev", "cluster", "peers", "benchmarks"}
    pins = locked()
    apart = {"peers", "benchmarks"}  # other projects to compare with or to be judged by; no build needs them
    for text in [
        *PROJECT["dependencies"],
        *(r for name_, group in extras.items() for r in group if name_ not in apart),
    ]:
        requirement = Requirement(text)
        if name(requirement.name) == "triton":
            continue  # CUDA builds of torch bring their own; `make env` adds it beside a CPU build
        assert requirement.specifier.contains(pins[name(requirement.name)]), text


def test_environment_yml_has_the_lock_s_pins_and_the_package_itself():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    pip = next(d["pip"] for d in content["dependencies"] if isinstance(d, dict))
    assert pip[-1] == "-e ."
    assert {name(n): v for n, v in (line.split("==") for line in pip[:-1])} == locked()


def test_the_makefile_names_one_triton():
    assert re.search(r"^TRITON := triton==\d+\.\d+\.\d+$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)


def test_make_hands_snakemake_the_target_before_the_settings():
    # `snakemake --config scale=cpu TARGET` takes TARGET for a setting
    for target in ("papers/gidd/all", "diff", "all"):
        command = ["make", "--dry-run", "--always-make", target, "SCALE=smoke", "RECORDS=dvc", "PYTHON=python3"]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert f"snakemake {target} --config scale=smoke records=dvc" in printed
