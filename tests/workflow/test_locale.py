"""A locale that is not UTF-8 changes nothing: files are UTF-8, and the terminal gets what it can show."""

import shutil
import subprocess

import pytest
from toy_repository import edit, run_in

LOCALE = "en_US.ISO-8859-1"


@pytest.fixture
def latin1(tmp_path) -> dict[str, str]:
    """Environment of an ISO-8859-1 locale, compiled here: machines of today bring none."""
    if shutil.which("localedef") is None:
        pytest.skip("no localedef")
    command = ["localedef", "-f", "ISO-8859-1", "-i", "en_US", str(tmp_path / LOCALE)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("the sources of the locales are not installed")
    return {"LOCPATH": str(tmp_path), "LC_ALL": LOCALE, "PYTHONUTF8": "0"}


def test_a_paper_builds_and_tells_its_verdicts_under_iso_8859_1(fresh, latin1):
    asked = run_in(fresh.root, "-c", "import locale; print(locale.getpreferredencoding())", **latin1)
    assert asked.stdout.strip() == "ISO-8859-1"
    edit(fresh.paper / "claims.py", "Gradient descent lowers the loss.", "Gradient descent (Lemaréchal, α ≤ 1) works.")
    edit(fresh.paper / "paper.yaml", "Final loss by curvature.", "Final loss by curvature → ≤ α.")
    settings = ("papers/toy/all", "--config", "scale=smoke")
    result = run_in(fresh.root, "-m", "snakemake", *settings, **latin1)
    assert result.returncode == 0, result.stdout
    assert "worst_final_loss" in result.stdout and "holds" in result.stdout
    for file in ("claims.json", "summary.md"):
        assert "α ≤ 1" in (fresh.results / file).read_text(encoding="utf-8"), file
    assert "→ ≤ α" in (fresh.results / "tables" / "tab_final.md").read_text(encoding="utf-8")
    again = run_in(fresh.root, "-m", "shared.artifacts.status", "toy", "--scale", "smoke", **latin1)
    assert again.returncode == 0 and "1 holds" in again.stdout, again.stdout
