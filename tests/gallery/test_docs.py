"""Pages at the top and in docs/: links resolve, commands exist, numbers and versions agree with their sources."""

import re
import subprocess
import tomllib
from datetime import date

import pytest
import torch
import yaml

from shared.artifacts.paths import paper_slugs
from shared.artifacts.readme import matrix_block, with_results
from shared.base.paths import repo_root
from shared.gallery.readme_parts import read_parts
from shared.optim.registry import OPTIMIZERS

ROOT = repo_root()
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_of_a_page_resolve(page):
    text = page.read_text(encoding="utf-8")
    for address in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", address):
            continue
        file, _, anchor = address.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {address}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.M)
            known = {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
            assert anchor in known, f"{page.name}: {address} is none of {sorted(known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_runs_exists(page):
    for module in re.findall(r"python -m ((?:shared|benchmarks)(?:\.\w+)+)", page.read_text(encoding="utf-8")):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"{page.name}: {module}"


def test_every_target_of_make_that_a_page_names_is_in_make_help():
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^  (\w+)", printed, flags=re.M))
    assert {"gallery", "test", "smoke", "env", "lint"} <= known
    for page in PAGES:
        named = set(re.findall(r"(?:^|`)make (\w+)", page.read_text(encoding="utf-8"), flags=re.M))
        assert named - {"papers"} <= known | {"help"}, page.name


def test_the_matrix_of_the_readme_is_the_one_of_the_references():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_results(text, matrix_block(), "README.md") == text, "run python -m shared.artifacts.readme"


def test_the_picture_of_the_readme_is_small():
    assert (ROOT / "docs" / "images" / "gallery.png").stat().st_size < 250_000


def test_the_citation_file_is_whole_and_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    assert citation["title"] and citation["message"]
    assert all("name" in author or "family-names" in author for author in citation["authors"])
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("slug", paper_slugs())
def test_every_paper_has_a_question_and_a_bibtex_entry_of_its_title(slug):
    folder = ROOT / "papers" / slug
    parts, title = read_parts(folder), yaml.safe_load((folder / "paper.yaml").read_text(encoding="utf-8"))["title"]
    assert len(parts["question"]) > 150 and parts["differs"]
    entry = parts["bibtex"]
    assert re.match(r"@\w+\{[\w:-]+,\n", entry) and entry.count("{") == entry.count("}")
    for field in ("title", "author", "year"):
        assert re.search(rf"^\s*{field}\s*= *[{{\"0-9]", entry, flags=re.M), field
    words = [re.findall(r"[a-z0-9]+", re.sub(r"[{}$\\]", "", text).lower()) for text in (title, entry)]
    assert set(words[0]) <= set(words[1])


def test_the_optimiser_of_the_page_is_signum():
    text = (ROOT / "docs" / "how-do-i.md").read_text(encoding="utf-8")
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, flags=re.S).group(1), names)
    start, gradients = torch.linspace(-1, 1, 5), torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    ends = []
    for build in (names["MySignum"], OPTIMIZERS["signum"]):
        parameter = torch.nn.Parameter(start.clone())
        optimizer = build([parameter], lr=0.1, weight_decay=0.1)
        for gradient in gradients:
            parameter.grad = gradient.clone()
            optimizer.step()
        ends.append(parameter.detach())
    assert torch.equal(*ends) and not torch.equal(ends[0], start)


def test_the_results_log_names_every_date_newest_first():
    heads = re.findall(r"^## (\S+):", (ROOT / "docs" / "results-log.md").read_text(encoding="utf-8"), flags=re.M)
    days = [date.fromisoformat(head) for head in heads]
    assert days and days == sorted(days, reverse=True)


def test_the_container_recipe_copies_what_is_there_and_runs_targets_of_make():
    recipe = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"^FROM python:3\.(1[1-9])", recipe, flags=re.M)
    for line in re.findall(r"^COPY (.*) \./$", recipe, flags=re.M):
        assert [name for name in line.split() if not (ROOT / name).exists()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in {
        t for line in re.findall(r"make ((?:env|data)(?: \w+)*)$", recipe, flags=re.M) for t in line.split()
    }:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
