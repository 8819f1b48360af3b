"""A paper from the template builds, diffs clean and passes the contract: docs/adding-a-paper.md, followed."""

import re
import shutil

import pytest
from toy_repository import ROOT, make_repository, run_in

from shared.artifacts.new import write_paper

PAGE = ROOT / "docs" / "adding-a-paper.md"


def commands() -> list[str]:
    """The lines of the page's first block."""
    return re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S).group(1).splitlines()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Workflow and library without any paper, with the contract that papers are held to."""
    root = make_repository(tmp_path_factory.mktemp("new") / "repository")
    shutil.rmtree(root / "papers" / "toy")
    (root / "tests" / "papers").mkdir(parents=True)
    for file in ("tests/papers/test_contract.py", "README.md", "Makefile"):
        shutil.copyfile(ROOT / file, root / file)
    return root


def test_the_page_followed_to_the_letter_ends_in_a_paper_that_passes_the_contract(repository):
    lines = commands()
    assert len(lines) == 8 and lines[0].endswith("shared.artifacts.new my_paper")
    for line in lines:
        program, *arguments = line.split()
        module = ["-m", "snakemake"] if program == "snakemake" else []
        extra = ["-p", "no:cacheprovider"] if "pytest" in arguments else []
        result = run_in(repository, *module, *arguments, *extra)
        assert result.returncode == 0, f"{line}\n{result.stdout[-3000:]}"
    assert "0 drifted" in result.stdout
    readme = (repository / "papers" / "my_paper" / "README.md").read_text(encoding="utf-8")
    assert "| A larger learning rate ends at a larger loss. | paper |" in readme and "fig_losses.png" in readme


def test_the_written_code_is_formatted_and_linted(repository, tmp_path):
    write_paper("fresh_paper", tmp_path)
    folder = tmp_path / "papers" / "fresh_paper"
    for command in (["check"], ["format", "--check"]):
        result = run_in(ROOT, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(folder))
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("slug", ["My-paper", "1paper", "a b", ""])
def test_a_name_that_cannot_be_imported_is_refused(tmp_path, slug):
    with pytest.raises(ValueError, match="is no slug; use lower-case letters, digits and underscores"):
        write_paper(slug, tmp_path)


def test_a_paper_that_is_there_is_not_overwritten(tmp_path):
    write_paper("a_paper", tmp_path)
    with pytest.raises(ValueError, match="papers/a_paper exists already"):
        write_paper("a_paper", tmp_path)
