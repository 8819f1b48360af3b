"""Pages that commands write: a paper's README and docs/evidence.md say what the references say."""

import json
import os
import shutil

import pytest
import typer
from toy_repository import edit

from shared.artifacts import evidence, processors
from shared.artifacts.compare import Finding
from shared.artifacts.readme import BEGIN, END, main, results_block, with_results


@pytest.fixture
def readme(toy):
    path = toy.folder / "README.md"
    path.write_text(f"# Toy\n\n{BEGIN}\noutdated\n{END}\n\n## After\n", encoding="utf-8")
    return path


def test_the_block_stands_between_its_markers_and_nothing_else_changes(toy, readme):
    main(["toy"], check=False)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"# Toy\n\n{BEGIN}\n") and text.endswith(f"{END}\n\n## After\n") and "outdated" not in text
    main(["toy"], check=True)


def test_a_page_that_says_something_else_is_found_and_left(toy, readme, capsys):
    with pytest.raises(typer.Exit):
        main(["toy"], check=True)
    assert "toy: README differs from its references" in capsys.readouterr().out and "outdated" in readme.read_text(
        encoding="utf-8"
    )


def test_the_block_has_verdicts_numbers_costs_and_captions(toy):
    block = results_block("toy")
    row = "| Gradient descent lowers the loss. | paper | `worst_final_loss 0.0643 ≤ 0.5` |  | ✓ |"
    assert row in block and "Claims at scale `smoke`: paper: 1 holds; ours: 1 not testable at this scale." in block
    assert "| smoke | 2 |" in block
    assert "![fig_loss](reference/smoke/figures/fig_loss.png)" in block
    assert "*fig_loss* (Figure 1): Loss over steps, by curvature." in block


def test_what_was_chosen_after_seeing_results_is_told(toy):
    file = toy.reference / "claims.json"
    entries = json.loads(file.read_text(encoding="utf-8"))
    entries[0]["chosen_after"] = "the number of steps"
    file.write_text(json.dumps(entries), encoding="utf-8")
    assert "- `descends`: the number of steps" in results_block("toy")


def test_without_markers_the_lines_to_write_are_given():
    with pytest.raises(ValueError, match=r"x\.md has no place for its results; write the lines"):
        with_results("# Toy\n", "block", "x.md")


def test_the_evidence_page_has_a_row_per_check_and_counts_per_paper(toy, monkeypatch):
    monkeypatch.setattr(evidence, "MAIN_SCALE", "smoke")
    page = evidence.page()
    assert "| toy | smoke | 1 | 0 | 0 | 1 |" in page
    assert "| `descends` | paper | **holds** | `worst_final_loss 0.0643 ≤ 0.5` |  | exact | yes |" in page
    assert "| `fast` | ours | **not testable at this scale** |" in page


def test_an_outcome_on_another_processor_is_kept_and_shown(toy):
    note = "verdict changed: holds -> within noise"
    findings = [Finding("smoke", "a", "data"), Finding("smoke", "b", "verdict", note=note)]
    processors.record("toy", "smoke", "sse-1-thread", findings)
    known = json.loads((toy.reference / "processors.json").read_text(encoding="utf-8"))["sse-1-thread"]
    assert (known["checks"], known["drifted"], known["notes"]) == (2, 0, [f"b: {note}"])
    told = "rebuilt as other processors would: sse-1-thread: 2 of 2 checks clean (b: holds → within noise)."
    assert told in results_block("toy")


def test_an_unknown_processor_names_the_nearest():
    with pytest.raises(ValueError, match="unknown processor 'sse'"):
        processors.rebuild("toy", "smoke", "sse")


def test_a_resumed_rebuild_keeps_what_was_built_and_nothing_else_of_the_old_copy(tmp_path, monkeypatch):
    def copy(folder):
        shutil.rmtree(folder)
        write(folder / "papers" / "toy" / "method.py", "new")

    def write(file, text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    monkeypatch.setattr(processors, "copy_checkout", copy)
    made = ["papers/toy/results/cpu/runs/a.parquet", ".snakemake/metadata/a"]
    for name in [*made, "papers/toy/method.py", "papers/toy/results/smoke/runs/a.parquet", "papers/toy/removed.py"]:
        write(tmp_path / "copy" / name, "old")
        os.utime(tmp_path / "copy" / name, ns=(1, 1))
    processors._renew_copy(tmp_path / "copy", "toy", "cpu")
    kept = {p.relative_to(tmp_path / "copy").as_posix(): p for p in (tmp_path / "copy").rglob("*") if p.is_file()}
    assert kept.keys() == {*made, "papers/toy/method.py"}
    assert all(kept[name].stat().st_mtime_ns == 1 for name in made)
    assert kept["papers/toy/method.py"].read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "copy"]


def test_every_emulated_processor_limits_instruction_sets_and_threads():
    for settings in processors.PROCESSORS.values():
        assert {"ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE", processors.THREADS} <= settings.keys()


def test_a_sharper_threshold_changes_the_page(toy):
    from shared.artifacts.accept import derive

    edit(toy.folder / "config.yaml", "thresholds: {loss: 0.5}", "thresholds: {loss: 0.05}")
    derive("toy", "smoke")
    assert "| ✗ |" in results_block("toy")
