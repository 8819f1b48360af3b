"""Steps: what is declared is read without running it, and one runner does everything around the function."""

import json

import pandas as pd
import pytest
from toy_repository import forget_toy, run_in

from shared.artifacts import workflow
from shared.artifacts.declaration import declared, fill
from shared.artifacts.digest import step_digest
from shared.artifacts.records import read_record
from shared.artifacts.step import as_frame
from shared.artifacts.workflow import StepRule

HEAD = "import torch_is_not_imported_to_read_this\nfrom shared.artifacts.step import step\n\n"


def written(toy, text: str, name: str = "probe"):
    (toy.folder / f"{name}.py").write_text(text, encoding="utf-8")
    return declared("toy", name)


def test_a_declaration_is_read_without_importing_the_module(toy):
    found = written(
        toy,
        HEAD + "@step(outputs={'weights': 'weights/{shard}.bin'}, inputs={'data': 'runs/data/{study}.parquet'},\n"
        "      after=['x'], reads=['*.txt'], threads=2, processes='num_clients')\n"
        "def probe(settings, *, device, checkpoints, weights, data=None):\n    yield {}\n",
    )
    assert (found.slug, found.name, found.function, found.threads, found.processes) == (
        "toy",
        "probe",
        "probe",
        2,
        "num_clients",
    )
    assert found.outputs == {"weights": "weights/{shard}.bin"} and found.inputs == {"data": "runs/data/{study}.parquet"}
    assert (found.after, found.reads, found.resumes) == (("x",), ("*.txt",), True)
    assert declared("toy", "descend").resumes is False and declared("toy", "descend").outputs == {}


def test_an_output_that_is_a_record_is_one_of_the_steps_records(toy):
    text = "@step(outputs={'texts': 'runs/texts/{shard}.parquet', 'w': 'w/{shard}'})\ndef probe(texts, w):\n    pass\n"
    assert written(toy, HEAD + text).records() == ["probe", "texts"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def probe(settings):\n    pass\n", "a step is one function under @step, and there are 0"),
        ("@step\ndef a(settings):\n    pass\n@step\ndef b(settings):\n    pass\n", "and there are 2"),
        ("@step(output={})\ndef probe():\n    pass\n", "unknown argument 'output' of @step; did you mean 'outputs'"),
        ("N = 2\n@step(threads=N)\ndef probe():\n    pass\n", "'threads' of @step has to be a literal"),
        ("@step\ndef probe(setings):\n    pass\n", "nothing is known of parameter 'setings' of probe"),
        ("def probe(:\n", "line 1: not valid Python"),
    ],
)
def test_what_a_step_cannot_mean_is_refused_with_its_file(toy, text, sentence):
    with pytest.raises(ValueError, match=r"papers/toy/probe\.py" + f".*{sentence}"):
        written(toy, text)


def test_an_unknown_step_names_the_nearest(toy):
    with pytest.raises(
        ValueError, match=r"toy has no step 'decsend': no file papers/toy/decsend\.py; did you mean 'descend'"
    ):
        declared("toy", "decsend")


def test_a_template_takes_the_shard_and_its_settings():
    settings = {"study": "text", "noise.eps": 0.5, "scorer": None}
    assert fill("a/{shard}-{study}-{noise.eps}.x", "s0", settings) == "a/s0-text-0.5.x"
    assert fill("weights/{scorer}.bin", "s0", settings) is None
    assert fill("plain", "s0", settings) == "plain"
    with pytest.raises(ValueError, match="names 'studdy', which is no setting of this step; did you mean 'study'"):
        fill("{studdy}", "s0", settings)


def test_parts_become_one_record_with_a_column():
    frame = as_frame({"one": iter([{"x": 1}]), "two": [{"y": 2.0}, {"y": 3.0}]})
    assert frame.part.tolist() == ["one", "two", "two"] and frame.y.tolist()[1:] == [2.0, 3.0]
    assert as_frame(frame) is frame and as_frame({"x": i} for i in range(3)).x.tolist() == [0, 1, 2]


def run_step(toy, body: str, *arguments: str, declaration: str = "@step"):
    """The toy's step with another function, run as a module in its repository."""
    head = '"""A step."""\nfrom pathlib import Path\nfrom shared.artifacts.step import step\n\n\n'
    text = f"{head}{declaration}\n{body}\n\n\n"
    (toy.folder / "descend.py").write_text(text + 'if __name__ == "__main__":\n    descend.main()\n', encoding="utf-8")
    return run_in(toy.root, "-m", "papers.toy.descend", *arguments)


@pytest.fixture
def whole(toy, built):
    """The toy paper with the library beside it, so that it runs as a process of its own."""
    import shutil

    shutil.copytree(built / "shared", toy.root / "shared")
    shutil.copyfile(built / "papers" / "__init__.py", toy.root / "papers" / "__init__.py")
    return toy


def test_a_step_runs_alone_and_puts_its_files_where_snakemake_would(whole):
    body = (
        "def descend(settings, shard, scale, device, threads, checkpoints: Path, weights: Path, provenance):\n"
        "    weights.parent.mkdir(parents=True, exist_ok=True)\n    weights.write_text(shard)\n"
        "    provenance.add(extra=1)\n"
        "    yield {'curvature': settings.curvature, 'where': checkpoints.name, 'all': f'{scale} {device} {threads}'}\n"
    )
    declaration = "@step(outputs={'weights': 'weights/{shard}.txt'}, threads=2)"
    result = run_step(whole, body, "--scale", "smoke", "--shard", "curvature=1", declaration=declaration)
    assert result.returncode == 0, result.stdout
    assert result.stdout == "toy descend curvature=1: 1 rows\n"
    record = whole.runs / "descend" / "curvature=1.parquet"
    assert read_record(record).to_dict("records") == [{"curvature": 1.0, "where": "curvature=1", "all": "smoke cpu 2"}]
    assert (whole.results / "weights" / "curvature=1.txt").read_text(encoding="utf-8") == "curvature=1"
    sidecar = json.loads(record.with_suffix(".provenance.json").read_text(encoding="utf-8"))
    assert sidecar["settings"]["descent"] == {"lr": 0.05, "num_steps": 20} and sidecar["extra"] == 1
    assert (sidecar["scale"], sidecar["shard"], sidecar["num_threads"]) == ("smoke", "curvature=1", 2)


def test_the_sidecar_says_which_form_of_a_kernel_ran(whole):
    body = (
        "def descend(settings):\n    import torch\n    from shared.kernels.diagonal import diagonal_recurrence\n"
        "    x = torch.ones(1, 2, 3)\n"
        "    diagonal_recurrence(x, x, backend='torch')\n    diagonal_recurrence(x, x, backend='reference')\n"
        "    yield {}\n"
    )
    assert run_step(whole, body, "--scale", "smoke", "--shard", "curvature=1").returncode == 0
    sidecar = (whole.runs / "descend" / "curvature=1.provenance.json").read_text()
    assert json.loads(sidecar)["kernels"] == {"diagonal_recurrence": "reference, torch"}


@pytest.mark.parametrize(
    ("declaration", "body", "sentence"),
    [
        ("@step(outputs={'w': 'w/{shard}'})", "def descend(w):\n    yield {}", "did not write its output 'w'"),
        ("@step(inputs={'w': 'w/{shard}'})", "def descend(w):\n    yield {}", "no such w: "),
        ("@step", "def descend(settings):\n    raise ValueError('too bad')", "error: too bad"),
    ],
)
def test_a_users_error_is_one_sentence_and_leaves_no_record(whole, declaration, body, sentence):
    record = whole.runs / "descend" / "curvature=1.parquet"
    record.unlink()
    result = run_step(whole, body, "--scale", "smoke", "--shard", "curvature=1", declaration=declaration)
    assert result.returncode == 1 and sentence in result.stdout and "Traceback" not in result.stdout, result.stdout
    assert not record.exists()


def test_an_unknown_shard_names_the_known_ones_and_help_names_some(whole):
    result = run_step(whole, "def descend(settings):\n    yield {}", "--scale", "smoke", "--shard", "x")
    assert "no shard 'x' at scale smoke; known: curvature=1, curvature=10" in result.stdout
    shown = run_in(whole.root, "-m", "papers.toy.descend", "--help").stdout
    assert "--shard" in shown and "curvature=1" in shown


def test_a_process_that_is_not_the_first_does_its_work_and_writes_nothing(whole, tmp_path):
    out = tmp_path / "out.parquet"
    body = "def descend(shard):\n    print('worked')\n    yield {'x': 1}"
    (whole.folder / "descend.py").write_text("", encoding="utf-8")
    arguments = ("--scale", "smoke", "--shard", "curvature=1", "--out", str(out))
    run_step(whole, body, *arguments)
    out.unlink()
    result = run_in(whole.root, "-m", "papers.toy.descend", *arguments, RANK="1")
    assert "worked" in result.stdout and not out.exists(), result.stdout


def test_the_rule_names_the_same_files_as_the_runner(toy):
    rule = StepRule("toy", "descend", "cpu")
    assert rule.outputs == {"record": "results/cpu/runs/descend/{shard}.parquet"}
    assert rule.log == "results/cpu/logs/descend/{shard}.log"


def test_at_smoke_one_job_runs_all_shards_of_a_step(toy, monkeypatch):
    monkeypatch.setattr(workflow, "step_digest", lambda slug, name: "0" * 12)  # it needs the whole repository
    rule = StepRule("toy", "descend", "smoke")
    records = [f"results/smoke/runs/descend/curvature={c}.parquet" for c in (1, 10)]
    assert rule.together and rule.outputs == {"record": records}
    assert rule.log == "results/smoke/logs/descend/all.log"
    assert rule.params["shards"](None) == "--shard curvature=1 --shard curvature=10"
    assert rule.params["setting_curvature"](None) == "curvature=1.0 | 10.0"


def test_a_file_that_is_read_at_run_time_counts_as_code(toy):
    """The digest needs the whole repository; only that it changes, and what matches nothing, is asked here."""
    from shared.artifacts import digest

    (toy.folder / "notes").mkdir()
    (toy.folder / "notes" / "a.txt").write_text("one", encoding="utf-8")
    written(toy, HEAD + "@step(reads=['notes/*.txt'])\ndef probe(settings):\n    yield {}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "source_digest", lambda *modules, root=None: "0" * 12)
        one = step_digest("toy", "probe")
        digest._hash.cache_clear()
        (toy.folder / "notes" / "a.txt").write_text("two", encoding="utf-8")
        assert step_digest("toy", "probe") != one
        digest._hash.cache_clear()
        (toy.folder / "notes" / "b.txt").write_text("", encoding="utf-8")
        assert step_digest("toy", "probe") not in (one,)
        (toy.folder / "probe.py").write_text(
            (toy.folder / "probe.py").read_text(encoding="utf-8").replace("notes/*.txt", "nots/*"), encoding="utf-8"
        )
        with pytest.raises(ValueError, match=r"reads 'nots/\*', and no file of papers/toy matches it"):
            step_digest("toy", "probe")
    forget_toy()


def test_parts_of_a_record_are_read_without_their_empty_columns(tmp_path):
    from shared.artifacts.records import Records, write_record

    frame = as_frame({"one": [{"x": 1}], "two": [{"y": 2.0}]})
    write_record(tmp_path / "s" / "a.parquet", frame)
    records = Records(tmp_path, {"s": ["a"]})
    assert list(records("s", "one")) == ["x"] and list(records("s", "two")) == ["y"] and len(records("s")) == 2
    with pytest.raises(ValueError, match=r"records of step 's' in \S+ have no part 'on'; did you mean 'one'"):
        records("s", "on")
    write_record(tmp_path / "plain" / "a.parquet", pd.DataFrame({"x": [1]}))
    with pytest.raises(ValueError, match="have no part 'one'; they have no parts"):
        Records(tmp_path, {"plain": ["a"]})("plain", "one")
