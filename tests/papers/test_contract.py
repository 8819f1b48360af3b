"""What every paper folder keeps, held to by existing: docs/adding-a-paper.md says it in prose."""

import ast
import re
import subprocess
import sys

import pandas as pd
import pytest

from shared.artifacts.accept import reference_cost
from shared.artifacts.claims import claims_of, judge
from shared.artifacts.compare import compare_tables
from shared.artifacts.config import load_config, load_shards, scales_of
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import artifact_csv, figure_png, load_paper, paper_function
from shared.artifacts.paths import SCALES, PaperPaths, paper_slugs
from shared.artifacts.readme import results_block, with_results
from shared.artifacts.reported import Reported
from shared.artifacts.tables import check_columns
from shared.base.files import read_json
from shared.base.paths import repo_root

ROOT = repo_root()
FILES = ["README.md", "paper.yaml", "config.yaml", "config.py", "Snakefile", "reported.csv"]
FILES += ["__init__.py"]
MODULES = ["tables", "figures", "claims"]  # files or packages
README_SECTIONS = ["Question", "Run it", "Results", "What differs from the paper", "Data and licences", "Citation"]
COMMAND = re.compile(
    r"(make|snakemake)( -n)?( papers/[a-z][a-z0-9_]*/(all|diff))?( SCALE=\w+)?( --config( \w+=\w+)+)?"
    r"( --workflow-profile \S+)?"
)

pytestmark = pytest.mark.parametrize("slug", paper_slugs())


def source(slug: str, file: str) -> str:
    return (ROOT / "papers" / slug / file).read_text(encoding="utf-8")


def keys_of(content: object) -> object:
    """Nested mapping keys; lists and values count as leaves."""
    return {k: keys_of(v) for k, v in content.items()} if isinstance(content, dict) else None


def same_keys(one: object, other: object, path: str = "") -> list[str]:
    """Dotted keys that only one of two key trees has; an optional section that is null in one may be absent."""
    if one is None or other is None:
        return []
    only = [f"{path}{k}" for k in one.keys() ^ other.keys()]
    return only + [m for k in one.keys() & other.keys() for m in same_keys(one[k], other[k], f"{path}{k}.")]


def test_the_files_exist(slug):
    folder = ROOT / "papers" / slug
    assert [f for f in FILES if not (folder / f).is_file()] == []
    forms = {m: (folder / f"{m}.py", folder / m / "__init__.py") for m in MODULES}
    assert [m for m, paths in forms.items() if sum(p.is_file() for p in paths) != 1] == []


def test_the_snakefile_is_short(slug):
    assert len(source(slug, "Snakefile").splitlines()) <= 60


def test_the_four_scales_resolve_and_have_the_same_keys(slug):
    trees = {scale: keys_of(load_config(slug, scale).model_dump()) for scale in SCALES}
    for scale, tree in trees.items():
        # free-form mappings, such as model sizes by name, may have entries of their own
        free = (".sizes.", ".variants.", ".tasks.", ".models.")
        assert [k for k in same_keys(trees["cpu"], tree) if not any(name in f".{k}." for name in free)] == [], scale


def test_every_scale_has_shards_with_settings(slug):
    for scale in SCALES:
        shards = load_shards(slug, scale)
        assert shards and all(shards.values()), scale


def test_cpu_and_smoke_need_no_gpu(slug):
    assert [load_config(slug, scale).num_gpus for scale in ("smoke", "cpu")] == [0, 0]


def test_every_artifact_has_a_table_function_and_every_figure_a_drawing(slug):
    paper = load_paper(slug)
    assert paper.tables or paper.figures
    for name, artifact in {**paper.tables, **paper.figures}.items():
        assert artifact.source or paper_function(slug, "tables", name)
    for name in paper.figures:
        assert paper_function(slug, "figures", name)


def test_every_artifact_has_a_caption_a_source_and_tolerances(slug):
    paper = load_paper(slug)
    for name, artifact in {**paper.tables, **paper.figures}.items():
        compared = [c for c, tolerance in artifact.columns.items() if tolerance.compare != "none"]
        assert compared or artifact.keys, name
    assert paper.headline, "name the numbers in which a change of 5% has to be seen"


def test_every_claim_has_a_sentence_scales_and_known_tables(slug):
    paper, claims = load_paper(slug), claims_of(slug)
    assert claims
    for claim in claims:
        assert claim.statement.endswith(".") and len(claim.statement) > 20, claim.id
        assert claim.scales and set(claim.tables) <= {*paper.tables, *paper.figures}, claim.id


def references(slug: str) -> list[PaperPaths]:
    """The scales that have a reference."""
    paths = [PaperPaths(slug, scale) for scale in scales_of(slug)]
    return [p for p in paths if p.reference.is_dir()]


def test_a_change_of_five_per_cent_in_a_headline_number_is_drift(slug):
    """In every reference: tolerances let another processor through, and no more."""
    paper = load_paper(slug)
    for paths in references(slug):
        for table, column in (entry.split(".") for entry in paper.headline):
            if table not in paper.artifacts(paths.scale):
                continue
            reference = read_csv(artifact_csv(paths, table, reference=True))
            planted = reference.assign(**{column: 1.05 * pd.to_numeric(reference[column], errors="coerce")})
            found = compare_tables(reference, planted, paper.artifacts(paths.scale)[table])
            assert any(sentence.startswith(f"column '{column}'") for sentence in found), (paths.scale, table, column)


def test_the_readme_says_what_the_references_say(slug):
    text = source(slug, "README.md")
    assert with_results(text, results_block(slug), "README.md") == text, "python -m shared.artifacts.readme " + slug


def test_verdicts_and_pictures_of_every_reference_follow_from_its_tables(slug):
    """The pictures are compared by every diff; here the verdicts are."""
    for paths in references(slug):
        entries = read_json(paths.reference / "claims.json")
        assert [judge(c, paths, reference=True)["verdict"] for c in claims_of(slug)] == [e["verdict"] for e in entries]


def test_the_plumbing_of_a_paper_is_short(slug):
    """600 lines that are not its method: settings, tables, figures, claims, Snakefile."""
    folder = ROOT / "papers" / slug
    files = [folder / f for f in ("config.py", "Snakefile")]
    for name in ("tables", "figures", "claims"):
        files += [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/**/*.py")]
    assert sum(len(p.read_text(encoding="utf-8").splitlines()) for p in files) <= 600


def test_reported_numbers_are_well_formed(slug):
    assert len(Reported(slug).frame)


@pytest.mark.parametrize("scale", ["smoke", "cpu"])
def test_references_exist_and_fit_paper_yaml(slug, scale):
    paths, paper = PaperPaths(slug, scale), load_paper(slug)
    for name, artifact in paper.artifacts(scale).items():
        check_columns(read_csv(artifact_csv(paths, name, reference=True)), artifact, name)
        if name in paper.figures:
            assert figure_png(paths, name, reference=True).is_file(), name
    assert (paths.reference / "claims.json").is_file()
    assert {"cpu_minutes", "compute_minutes"} <= reference_cost(paths).keys()


def test_no_paper_imports_another(slug):
    for path in (ROOT / "papers" / slug).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert [n for n in names if n.startswith("papers.") and n.split(".")[1] != slug] == [], path


def test_the_readme_has_its_sections(slug):
    headings = re.findall(r"^## (.+)$", source(slug, "README.md"), flags=re.M)
    assert [s for s in README_SECTIONS if s not in headings] == []


def test_every_command_line_of_the_readme_parses(slug):
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", source(slug, "README.md"), flags=re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    modules = {m for line in lines for m in re.findall(r"python -m ([\w.]+)", line)}
    assert any(line.startswith("make papers/") for line in lines)
    assert any(line.startswith("snakemake papers/") for line in lines)
    for module in modules:
        if module.startswith("papers"):
            assert slug in module
        result = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    for line in lines:
        if line.startswith(("make ", "snakemake ")):
            assert COMMAND.fullmatch(line), line
