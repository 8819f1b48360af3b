"""A mistake in a paper's own files ends in one sentence: file, function, what is expected; the traceback is kept."""

import shutil

import pandas as pd
import pytest
from toy_repository import edit, forget_toy

from shared.artifacts import digest
from shared.artifacts.accept import accept
from shared.artifacts.build import app
from shared.artifacts.claims import at_most, build_claims, claim, claims_of, judge, note, untestable
from shared.artifacts.config import load_config, load_shards, scales_of
from shared.artifacts.csv_files import read_csv
from shared.artifacts.declaration import declared
from shared.artifacts.figures import build_figures
from shared.artifacts.paper import figure_png, load_paper
from shared.artifacts.paths import paper_slugs
from shared.artifacts.pixels import differing_pixels
from shared.artifacts.summary import cost, summarise, write_summary
from shared.artifacts.tables import build_tables
from shared.artifacts.workflow import (
    check_papers,
    check_recorded,
    check_request,
    check_rules,
    check_snakefile,
    check_targets,
    papers_at,
)


def refused(call, *arguments) -> str:
    """The sentence that a call ends in: one line, no traceback in it."""
    forget_toy()
    digest.shards_at.cache_clear()
    with pytest.raises(ValueError) as error:
        call(*arguments)
    sentence = str(error.value)
    assert "\n" not in sentence and "Traceback" not in sentence
    return sentence


# tables


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    return None\n", "it has to return a frame, not NoneType"),
        ("    return [1, 2]\n", "it has to return a frame, not list"),
        ("    return descents['nothing']\n", "KeyError: 'nothing'; it has to make a frame from what its parameters"),
        ("    return 1 / 0\n", "line 12 of tables.py: ZeroDivisionError: division by zero; it has to make a frame"),
        ("    return descents.assign(label=[[1]] * len(descents))\n", "column 'label' holds [1]; a cell is a number"),
        ("    return pd.concat([descents, descents[['loss']]], axis=1)\n", "its frame has two columns 'loss'"),
    ],
)
def test_a_table_function_is_named_with_what_it_has_to_return(toy, body, sentence):
    edit(toy.folder / "tables.py", "    return descents.assign(label=settings.plot.label)\n", body)
    if "line 12" in sentence:
        lines = (toy.folder / "tables.py").read_text(encoding="utf-8").splitlines()
        sentence = sentence.replace("line 12", f"line {lines.index(body.rstrip()) + 1}")
    told = refused(build_tables, "toy", "smoke")
    assert told.startswith("papers/toy/tables.py, fig_loss") and sentence in told


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("import pandas as pd", "import pandas as pd\nimport nothing_of_this_name", "papers/toy/tables.py.*No module"),
        ("import pandas as pd", "import pandas as pd\ndef broken(:", r"tables\.py: tables\.py, line \d+: not valid"),
        ("def descents(", "def tab_final():\n    pass\n\n\ndef descents(", "defines 'tab_final' 2 times"),
        ("def fig_loss(descents, settings)", "def fig_loss(*descents)", r"fig_loss: '\*descents' names no table"),
    ],
)
def test_a_module_of_tables_that_cannot_be_read_is_named(toy, old, new, sentence):
    edit(toy.folder / "tables.py", old, new)
    told = refused(build_tables, "toy", "smoke")
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(told)


def test_a_missing_module_is_named(toy):
    (toy.folder / "tables.py").unlink()
    shutil.rmtree(toy.folder / "__pycache__", ignore_errors=True)
    assert refused(build_tables, "toy", "smoke") == "no such file: papers/toy/tables.py"


# figures


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    return table.nothing\n", "AttributeError: 'DataFrame' object has no attribute 'nothing'; it has to draw"),
        ("    return [plt.figure()]\n", "it returns list; it has to draw the table it is given and return the figure"),
        (
            "    figure = plt.figure()\n    figure.suptitle('$\\\\frac{1}$')\n    return figure\n",
            "it has to draw the table",
        ),
    ],
)
def test_a_figure_function_is_named_with_what_it_has_to_return(toy, body, sentence):
    edit(toy.folder / "figures.py", "    return figure\n", body)
    told = refused(build_figures, "toy", "smoke")
    assert told.startswith("papers/toy/figures.py, fig_loss") and sentence in told


# claims


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("    yield note(", "    yield 1 / 0\n    yield note(", "ZeroDivisionError: division by zero; it has to yield"),
        ("    yield note(", "    yield None\n    yield note(", "yields None; yield checks"),
        ('"curvatures", len(tab_final)', '"curvatures", [len(tab_final)]', "note 'curvatures' .* give a number or a"),
        ('scales=["paper"]', 'scales=["papr"]', "claim 'fast' names scale 'papr'; did you mean 'paper'"),
        ('scales=["paper"]', "scales=3", "claim 'fast' has scales=3; give a list of scales"),
        ('"descends", ', '"", ', "a claim has to have an id in words; got ''"),
        ("def descends(tab_final", "def descends(tab_fina", "reads 'tab_fina', which paper.yaml does not declare"),
        ("tab_final.loss.max(), ", "float('nan'), ", "the value of check 'worst_final_loss' is nan"),
        ("tab_final.loss.max(), ", "'no', ", "the value of check 'worst_final_loss' is 'no'"),
    ],
)
def test_a_claim_is_named_with_what_it_has_to_yield(toy, old, new, sentence):
    edit(toy.folder / "claims.py", old, new)
    told = refused(build_claims, "toy", "smoke")
    assert told.startswith("papers/toy/claims.py")
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(told)


def test_a_claim_on_a_table_that_its_scale_does_not_build_is_refused_though_an_old_file_is_there(toy):
    edit(toy.folder / "paper.yaml", "    paper_item: Table 1", "    paper_item: Table 1\n    scales: [cpu, gpu, paper]")
    told = refused(build_claims, "toy", "smoke")
    assert "claim 'descends' reads 'tab_final', which is not built at scale smoke" in told


def test_what_an_older_paper_yaml_left_among_the_results_is_removed(toy):
    for name in ("tables/tab_old.csv", "tables/tab_old.md", "figures/fig_old.png", "figures/fig_old.csv"):
        (toy.results / name).write_text("a\n1\n", encoding="utf-8")
    build_tables("toy", "smoke")
    left = {p.stem for kind in ("tables", "figures") for p in (toy.results / kind).iterdir()}
    assert left == {"tab_final", "fig_loss", "drawn_by"}


def test_only_reasons_and_numbers_are_evidence(toy):
    @claim("c", "A statement.", kind="ours")
    def judged(tab_final):
        yield untestable("")

    with pytest.raises(ValueError, match="claim 'c' is untestable without a reason"):
        judge(judged.claim, toy)

    @claim("c", "A statement.", kind="ours")
    def noted(tab_final):
        yield at_most("x", 0, 1)
        yield note("frame", pd.DataFrame())

    with pytest.raises(ValueError, match="note 'frame' of claim 'c'"):
        judge(noted.claim, toy)


# config.py, config.yaml


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "class Config(PaperConfig)",
            "Config = None\n\n\nclass Configuration(PaperConfig)",
            "has no class Config(PaperConfig)",
        ),
        ("def shards(config: Config)", "def shard(config: Config)", "has no function shards(config)"),
        (
            'STEPS = {"tables": ("plot",), "claims"',
            'STEPS = {"table": ("plot",), "claims"',
            "STEPS has the key 'table'",
        ),
        (
            'STEPS = {"tables": ("plot",)',
            'STEPS = {"tables": ("plott",)',
            "names 'plott', no section of Config; did you",
        ),
        ('STEPS = {"tables": ("plot",)', 'STEPS = {"tables": "plot"', "STEPS['tables'] has to be a tuple of sections"),
        ('PUBLISHED = {"descend": "released"}', "PUBLISHED = ['released']", "PUBLISHED has to map a step"),
        (
            "    return {\n",
            "    return None\n    return {\n",
            "it has to return step -> shard -> settings; at scale smoke",
        ),
        ("    problem = config.problem\n", "    problem = config.problm\n", "AttributeError: 'Config' object has no"),
        ('f"curvature={c:g}"', 'f"curvature {c:g}"', "'curvature 1' is no name for a shard of 'descend'"),
        (
            '"released": {"authors": Released(',
            '"released": {"authors": dict(',
            "settings of 'released', authors have to be",
        ),
        ("lr: float = Field(gt=0)", "lr: flaot = Field(gt=0)", "line 15 of config.py: NameError: name 'flaot'"),
    ],
)
def test_a_mistake_in_config_py_is_named(toy, old, new, sentence):
    edit(toy.folder / "config.py", old, new)
    told = refused(load_shards, "toy", "smoke")
    assert told.startswith("papers/toy/config.py") and sentence in told


@pytest.mark.parametrize("scale", ["1", "[a]", "true", "../x", "''"])
def test_a_scale_that_is_no_name_is_refused(toy, scale):
    edit(toy.folder / "config.yaml", "  smoke: {}", f"  smoke: {{}}\n  {scale}: {{}}")
    assert "papers/toy/config.yaml" in refused(load_config, "toy", "smoke")


# paper.yaml


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "    paper_item: Table 1",
            "    paper_item: Table 1\n    scales: [smok]",
            "unknown scale 'smok'; did you mean 'smoke'",
        ),
        ("year: 2026", "year: 2026\nscales: [smoke, cpuu]", "unknown scale 'cpuu'; did you mean 'cpu'"),
        ("year: 2026", "year: 2026\nscales: 3", "scales"),
        ("  computed: {rtol: 1.0e-3, atol: 1.0e-12}", "  - computed", "'tolerances' has to be a mapping"),
        ("  computed: {rtol: 1.0e-3", "  computed: {rtol: .inf", "tolerance 'computed': 'rtol'"),
        ("  computed: {rtol: 1.0e-3", "  computed: {rtol: true", "tolerance 'computed': 'rtol' is no switch"),
        ("tables:\n  tab_final:", "tables:\n  1:", "1 is no name"),
        ("tables:\n  tab_final:", "tables:\n  ../tab:", "'../tab' is no name"),
        ("    exact: [reported]", "    exact: [[reported]]", "['reported'] under 'exact' is no name of a column"),
        ("    exact: [reported]", "    exact: [1]", "1 under 'exact' is no name of a column; quote it"),
        ("tolerances:", "tolerances:\n  keys: exact", "tolerance 'keys' has the name of a key of tables and figures"),
    ],
)
def test_what_paper_yaml_cannot_mean_is_refused_with_its_file(toy, old, new, sentence):
    edit(toy.folder / "paper.yaml", old, new)
    told = refused(load_paper, "toy")
    assert told.startswith("papers/toy/paper.yaml: ") and sentence in told


# Snakefile, steps, requests


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('SLUG = "toy"', 'SLUG = "tyo"', "sets SLUG to 'tyo', and its folder is 'toy'; make them equal"),
        ('SLUG = "toy"', "", 'sets no SLUG; write the line SLUG = "toy"'),
        ('include: "../../workflows/steps.smk"', "", "has no line include:"),
        ('include: "../../workflows/artifacts.smk"', "", "so nothing makes its artifacts"),
    ],
)
def test_a_snakefile_that_makes_nothing_is_refused(toy, old, new, sentence):
    check_snakefile("toy")
    edit(toy.folder / "Snakefile", old, new)
    told = refused(check_papers, ["toy"], "smoke")
    assert told.startswith("papers/toy/Snakefile ") and sentence in told


def test_a_step_that_no_rule_makes_is_refused(toy):
    rules = {f"toy_{name}" for name in ("descend", "released", "tables", "figures")}
    check_rules("toy", "smoke", rules)
    told = refused(check_rules, "toy", "smoke", rules - {"toy_descend"})
    assert told.startswith("papers/toy/Snakefile: no rule makes 'descend'")


@pytest.mark.parametrize(
    ("declaration", "sentence"),
    [
        ("@step(outputs=['a'])", "'outputs' of @step has to be a mapping of names to templates; it is ['a']"),
        ("@step(threads=0)", "'threads' of @step has to be a number of threads; it is 0"),
        ("@step(after='x')", "'after' of @step has to be a list of templates"),
        ("@step(inputs={'a': 'b/{shard'})", "has the template 'b/{shard': "),
    ],
)
def test_a_declaration_of_another_kind_is_refused(toy, declaration, sentence):
    edit(toy.folder / "descend.py", "@step\n", f"{declaration}\n")
    told = refused(declared, "toy", "descend")
    assert told.startswith("papers/toy/descend.py: ") and sentence in told


def test_a_template_that_fits_no_shard_is_refused_before_anything_runs(toy):
    edit(toy.folder / "descend.py", "@step\n", "@step(after=['runs/x/{studdy}.parquet'])\n")
    assert "names 'studdy', which is no setting of this step" in refused(check_papers, ["toy"], "smoke")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("papers/ty/all", "unknown paper 'ty' in papers/ty/all; did you mean 'toy'"),
        ("papers/toy/al", "papers/toy has no target 'al'"),
        ("papers/toy", "papers/toy has no target ''; "),
        ("papers/toy/diff", None),
        ("papers/toy/results/smoke/claims.json", None),
        ("diff", None),
    ],
)
def test_a_target_that_there_cannot_be_names_the_nearest(toy, target, sentence):
    if sentence is None:
        check_targets([target], "smoke")
    else:
        assert sentence in refused(check_targets, [target], "smoke")


def test_a_scale_that_one_paper_has_not_is_refused_for_it(toy):
    assert "toy has no scale 'long'; known are cpu, gpu, paper, smoke" in refused(
        check_targets, ["papers/toy/all"], "long"
    )


def test_a_paper_that_cannot_be_read_stops_only_those_who_ask_for_it(toy):
    shutil.copytree(toy.folder, toy.root / "papers" / "broken")
    (toy.root / "papers" / "broken" / "config.yaml").write_text("base: [", encoding="utf-8")
    assert paper_slugs() == ["broken", "toy"]
    assert check_request({"scale": "smoke"}) == ("smoke", "own") and papers_at("smoke") == ["broken", "toy"]
    check_papers(["toy"], "smoke")
    assert "papers/broken" in refused(check_papers, ["broken"], "smoke")


def test_recorded_runs_that_are_missing_are_counted_and_the_remedy_named(toy):
    told = refused(check_recorded, ["toy"], "gpu")
    assert told.startswith("2 recorded runs of toy at scale gpu are missing below data/recorded/toy/gpu/runs")
    assert told.endswith("run dvc pull, or leave records=dvc out")


# scales, images, files


@pytest.mark.parametrize("call", [build_tables, build_claims, build_figures, write_summary, accept])
def test_a_scale_that_there_is_not_writes_nothing(toy, call):
    assert "unknown scale 'nope'" in refused(call, "toy", "nope")
    assert not (toy.folder / "results" / "nope").exists()


def test_a_broken_picture_is_not_accepted_and_is_named(toy):
    image = figure_png(toy, "fig_loss")
    content = image.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"text"):
        image.write_bytes(broken)
        before = figure_png(toy, "fig_loss", reference=True).read_bytes()
        told = refused(accept, "toy", "smoke", None, True)
        assert "papers/toy/results/smoke/figures/fig_loss.png is no whole image" in told
        assert figure_png(toy, "fig_loss", reference=True).read_bytes() == before
    with pytest.raises(ValueError, match=r"fig_loss\.png is no whole image"):
        differing_pixels(image, content)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("claims.json", b"[1]"),
        ("claims.json", b'{"a": 1}'),
        ("claims.json", b'["'),
        ("runs/descend/curvature=1.provenance.json", b"[]"),
        ("runs/descend/curvature=1.provenance.json", b"{"),
        ("tables/tab_final.csv", b"\xff\xfe"),
        ("runs/descend/curvature=1.parquet", b"PAR1"),
    ],
)
def test_a_damaged_file_is_named(toy, file, content):
    (toy.results / file).write_bytes(content)

    def read_all():
        read_csv(toy.results / "tables" / "tab_final.csv")
        summarise("toy", "smoke")
        build_tables("toy", "smoke")

    assert file.rpartition("/")[2] in refused(read_all)


def test_costs_count_the_records_of_today_s_shards_alone(toy):
    sidecar = toy.runs / "descend" / "curvature=1.provenance.json"
    (toy.runs / "descend" / "curvature=7.provenance.json").write_bytes(sidecar.read_bytes())
    assert cost(toy)["num_records"] == 2


def test_the_traceback_of_an_author_s_mistake_lies_beside_the_log(toy, monkeypatch, tmp_path, capsys):
    edit(toy.folder / "tables.py", "    return descents.assign(", "    1 / 0\n    return descents.assign(")
    forget_toy()
    monkeypatch.setenv("ARTIFACTS_LOG", str(tmp_path / "tables.log"))
    with pytest.raises(SystemExit):
        app(["tables", "toy", "--scale", "smoke"])
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "ZeroDivisionError: division by zero; it has to make a frame" in told
    kept = (tmp_path / "tables.traceback").read_text(encoding="utf-8")
    assert "1 / 0" in kept and "Traceback" in kept


def test_claims_and_scales_of_the_toy_are_known(toy):
    assert [c.id for c in claims_of("toy")] == ["descends", "fast"] and "smoke" in scales_of("toy")
