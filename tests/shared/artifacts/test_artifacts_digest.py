"""Digests: editing a module changes the digests of just the modules that import it, directly or not."""

import json
from pathlib import Path

import pytest
from toy_repository import make_repository, run_in

from shared.artifacts.digest import depends_on, shown

DIGESTS = """
import json, sys
from pathlib import Path
sys.path.insert(0, ".")
from shared.artifacts.digest import _graph, source_digest
modules = sorted(_graph(Path(".").resolve()).modules)
watched = [m for m in modules if m.startswith(("papers", "shared.artifacts", "shared.kernels"))]
print(json.dumps({m: source_digest(m) for m in watched}))
"""


def digests(root: Path) -> dict[str, str]:
    result = run_in(root, "-c", DIGESTS)
    assert result.returncode == 0, result.stdout
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    root = make_repository(tmp_path_factory.mktemp("digest") / "repository")
    return root, digests(root)


@pytest.fixture
def changed_by(original):
    """Modules whose digest differs after a line is added to a file of the repository, which is then restored."""
    root, before = original
    edited = []

    def change(name: str) -> set[str]:
        file = root / name
        edited.append((file, file.read_text(encoding="utf-8")))
        file.write_text(file.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
        after = digests(root)
        return {module for module in before if after[module] != before[module]}

    yield change
    for file, text in edited:
        file.write_text(text, encoding="utf-8")


def test_a_registry_that_walks_its_package_depends_on_all_of_it():
    found = depends_on("shared.models.language_model")
    assert {"shared.models.mixers.attention", "shared.models.mixers.mamba", "shared.kernels.selective"} <= set(found)


def test_an_edit_changes_the_digests_of_its_importers_and_no_others(changed_by):
    users = {"shared.kernels.quadratic", "papers.toy.method", "papers.toy.descend"}
    packages = {"shared.kernels", "papers", "papers.toy"}  # a package stands for all that is in it
    assert changed_by("shared/kernels/quadratic.py") == users | packages


def test_the_header_of_the_compiled_kernels_counts_for_the_users_of_all(changed_by):
    changed = changed_by("shared/kernels/compiled.h")
    assert {"shared.kernels.compiled", "shared.kernels.diagonal", "shared.kernels.selective"} <= changed
    assert not {"papers.toy.method", "papers.toy.descend", "shared.artifacts.digest"} & changed


def test_the_source_of_a_compiled_kernel_counts_for_its_own_users(changed_by):
    changed = changed_by("shared/kernels/compiled_selective.cpp")
    assert "shared.kernels.selective" in changed
    assert not {"shared.kernels.compiled", "shared.kernels.diagonal", "papers.toy.method"} & changed


def test_a_package_counts_for_the_modules_in_it_and_their_importers(changed_by):
    changed = changed_by("shared/kernels/__init__.py")
    assert {"papers.toy.descend", "shared.kernels.quadratic", "shared.kernels.attention"} <= changed
    assert not {"papers.toy.tables", "papers.toy.figures", "papers.toy.claims", "shared.artifacts.claims"} & changed


def test_drawing_code_does_not_make_tables_stale(changed_by):
    changed = changed_by("papers/toy/figures.py")
    assert changed == {"papers.toy.figures", "papers.toy", "papers"}


def test_an_unknown_module_names_the_nearest(original):
    root, _ = original
    code = "from shared.artifacts.digest import source_digest; source_digest('papers.toy.descent')"
    result = run_in(root, "-c", code)
    assert "ValueError: no module papers.toy.descent; did you mean 'papers.toy.descend'?" in result.stdout


def test_a_long_value_is_shown_by_its_digest_under_its_whole_key():
    key = "training." + "name_" * 20
    one, other = (shown(key, str([start, *range(4000)])) for start in (1, 2))
    assert one != other and one.startswith(f"{key}=") and len(one) < len(key) + 60
    assert shown("lr", "0.1") == "lr=0.1"
