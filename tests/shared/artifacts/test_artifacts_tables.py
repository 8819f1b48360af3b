"""Tables: six digits, words that stay words, just the declared columns, and cells that Markdown and LaTeX survive."""

import importlib
import math

import numpy as np
import pandas as pd
import pytest
from toy_repository import edit, forget_toy

from shared.artifacts.csv_files import read_csv, to_csv
from shared.artifacts.paper import Artifact
from shared.artifacts.records import read_record
from shared.artifacts.reported import Reported
from shared.artifacts.tables import Tables, build_tables, check_columns, write_table


def artifact(keys, *columns) -> Artifact:
    columns = dict.fromkeys(columns, "exact")
    return Artifact(caption="A table of the tests.", paper_item="-", keys=keys, columns=columns, scales=["smoke"])


def test_floats_are_written_with_six_significant_digits():
    frame = pd.DataFrame({"x": [1 / 3, 1e-12 / 3, 123456789.0, np.float32(0.1)], "n": [1, 2, 3, 1234567]})
    assert to_csv(frame) == "x,n\n0.333333,1\n3.33333e-13,2\n1.23457e+08,3\n0.1,1234567\n"


def test_only_an_empty_field_is_missing(tmp_path):
    frame = pd.DataFrame({"word": ["None", "nan", "NA", None], "x": [math.inf, -math.inf, math.nan, 1.0]})
    (tmp_path / "t.csv").write_text(to_csv(frame), encoding="utf-8")
    back = read_csv(tmp_path / "t.csv")
    assert back.word.tolist()[:3] == ["None", "nan", "NA"] and back.word.isna().tolist() == [False] * 3 + [True]
    assert back.x.tolist()[:2] == [math.inf, -math.inf] and math.isnan(back.x[2]) and back.x[3] == 1.0


def test_writing_what_was_read_gives_the_same_bytes(toy):
    for file in (toy.results / "tables" / "tab_final.csv", toy.results / "figures" / "fig_loss.csv"):
        assert to_csv(read_csv(file)) == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", 'a,b\n"1,2\n', "a,b\n1,2\n1,2,3\n"])
def test_a_broken_table_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"t\.csv is not a CSV table .*; delete it and build again"):
        read_csv(tmp_path / "t.csv")


def test_just_the_declared_columns_are_accepted():
    frame = pd.DataFrame({"k": [1, 2], "x": [1, 2]})
    check_columns(frame, artifact(["k"], "x"), "tab")
    with pytest.raises(ValueError, match=r"tab: .* undeclared \['x'\], missing \['y'\]"):
        check_columns(frame, artifact(["k"], "y"), "tab")


def test_two_rows_with_the_same_keys_are_refused():
    frame = pd.DataFrame({"k": [1, 1], "m": [2, 2], "x": [1, 2]})
    with pytest.raises(ValueError, match=r"tab: two rows have the same keys \(k=1, m=2\)"):
        check_columns(frame, artifact(["k", "m"], "x"), "tab")
    with pytest.raises(ValueError, match=r"two rows have the same keys \(none declared\)"):
        check_columns(frame, artifact([], "k", "m", "x"), "tab")


def test_columns_and_their_order_are_those_of_paper_yaml(toy, repository):
    """The function's frame has `part` of the record and a column more; it may stand in any order."""
    edit(
        repository / "papers" / "toy" / "paper.yaml",
        "    exact: [label]",
        "    exact: [label]\n    order: [label, step, loss, curvature]",
    )
    build_tables("toy", "smoke")
    header = (toy.results / "figures" / "fig_loss.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "label,step,loss,curvature"


def test_a_missing_column_stops_the_build_and_names_the_nearest(toy, repository):
    edit(repository / "papers" / "toy" / "paper.yaml", "    exact: [label]", "    exact: [lable]")
    with pytest.raises(
        ValueError,
        match=r"papers/toy/tables\.py, fig_loss: its frame has no column 'lable', which paper.yaml declares",
    ):
        build_tables("toy", "smoke")


def test_a_table_gets_what_its_parameters_name_built_once(toy):
    (toy.folder / "tables.py").write_text(
        "calls = []\n"
        "def descents(records):\n    calls.append(1)\n    return records('descend')\n"
        "def tab_final(descents, fig_loss, reported):\n"
        "    assert list(fig_loss) == ['curvature', 'step', 'loss', 'label']\n"
        "    last = descents.groupby('curvature').last().reset_index()\n"
        "    return last.assign(reported=reported('tab_final', 1, 'loss'))\n"
        "def fig_loss(descents, settings):\n    descents['loss'] = 0.0\n    return descents.assign(label='x')\n",
        encoding="utf-8",
    )
    forget_toy()
    tables = Tables("toy", "smoke")
    assert (tables("tab_final").loss > 0).all() and (tables("fig_loss").loss == 0).all()  # each has a copy of its own
    assert importlib.import_module("papers.toy.tables").calls == [1]


def test_tables_that_need_each_other_and_unknown_names_are_refused(toy):
    edit(toy.folder / "tables.py", "def tab_final(descents, reported)", "def tab_final(fig_loss, descents, reported)")
    edit(toy.folder / "tables.py", "def fig_loss(descents, settings)", "def fig_loss(tab_final, descents, settings)")
    forget_toy()
    with pytest.raises(ValueError, match="need each other: tab_final -> fig_loss -> tab_final"):
        build_tables("toy", "smoke")
    edit(toy.folder / "tables.py", "def tab_final(fig_loss, descents,", "def tab_final(descnets,")
    forget_toy()
    with pytest.raises(ValueError, match=r"papers/toy/tables, tab_final names 'descnets', .* did you mean 'descents'"):
        build_tables("toy", "smoke")


def test_an_artifact_may_be_a_record_or_a_part_of_one_without_code(toy):
    edit(toy.folder / "paper.yaml", "    keys: [curvature, step]\n", "    from: descend\n    keys: [curvature, step]\n")
    edit(toy.folder / "paper.yaml", "    exact: [label]\n", "")
    edit(toy.folder / "tables.py", "def fig_loss(descents, settings)", "def _unused(descents, settings)")
    forget_toy()
    build_tables("toy", "smoke")
    rows = [r for f in sorted(toy.runs.glob("descend/*.parquet")) for r in read_record(f).to_dict("records")]
    figure = read_csv(toy.results / "figures" / "fig_loss.csv")
    assert len(figure) == len(rows) and list(figure) == ["curvature", "step", "loss"]
    edit(toy.folder / "paper.yaml", "from: descend", "from: descend/late")
    with pytest.raises(ValueError, match=r"step 'descend' in \S+ have no part 'late'"):
        build_tables("toy", "smoke")
    edit(toy.folder / "paper.yaml", "from: descend/late", "from: decend")
    with pytest.raises(ValueError, match=r"'from: decend' is neither a table nor a record; did you mean 'descend'"):
        build_tables("toy", "smoke")


def test_a_function_of_the_method_may_make_a_table_from_what_its_parameters_name(toy, repository):
    caption = "    caption: Final loss by curvature."
    edit(toy.folder / "paper.yaml", caption, f"    from: method.final\n{caption}")
    final = "def final(descend):\n    last = descend.groupby('curvature').last().reset_index()\n"
    final += "    return last.assign(reported=1.0)\n"
    (toy.folder / "method.py").write_text(final, encoding="utf-8")
    forget_toy()
    table = Tables("toy", "smoke")("tab_final")
    assert table.curvature.tolist() == [1, 10] and list(table) == ["curvature", "loss", "reported"]
    for wrong, sentence in (
        ("method.finale", "names no function; did you mean 'final'"),
        ("methd.final", "no such file: papers/toy/methd.py"),
    ):
        edit(toy.folder / "paper.yaml", "method.final", wrong)
        forget_toy()
        with pytest.raises(ValueError, match=sentence):
            Tables("toy", "smoke")("tab_final")
        edit(toy.folder / "paper.yaml", wrong, "method.final")


def test_a_figure_may_be_columns_of_a_table_without_code(toy):
    edit(
        toy.folder / "paper.yaml",
        "    keys: [curvature, step]\n    computed: [loss]\n    exact: [label]",
        "    from: tab_final\n    keys: [curvature]\n    computed: [loss]",
    )
    edit(toy.folder / "tables.py", "def fig_loss(descents, settings)", "def _unused(descents, settings)")
    forget_toy()
    build_tables("toy", "smoke")
    table, figure = (read_csv(toy.results / f) for f in ("tables/tab_final.csv", "figures/fig_loss.csv"))
    assert figure.equals(table[["curvature", "loss"]])


def test_pipes_do_not_split_a_markdown_cell(tmp_path):
    write_table(pd.DataFrame({"name": ["p(x|y)", "two\nlines"]}), tmp_path / "t.csv", "Caption.")
    lines = (tmp_path / "t.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Caption."
    assert [line.replace(" ", "") for line in lines if "p(x" in line] == ["|p(x\\|y)|"]
    assert any("two lines" in line for line in lines)


def test_numbers_keep_their_digits_in_markdown(tmp_path):
    write_table(pd.DataFrame({"x": [0.123456, math.nan], "n": [1234567, 8]}), tmp_path / "t.csv", "c")
    assert "0.1235" in (tmp_path / "t.md").read_text(encoding="utf-8") and "1234567" in (tmp_path / "t.md").read_text(
        encoding="utf-8"
    )
    assert "nan" not in (tmp_path / "t.md").read_text(encoding="utf-8")


def test_latex_specials_are_escaped(tmp_path):
    write_table(pd.DataFrame({"a_b": ["50% & $1 #2 {x} ~ ^ \\"]}), tmp_path / "t.csv", "With 5% of x_1.")
    text = (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert r"\caption{With 5\% of x\_1.}" in text
    assert r"a\_b" in text
    cell = r"50\% \& \$1 \#2 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    assert cell in text


def test_a_table_is_written_three_times_and_a_figures_only_as_csv(toy):
    assert sorted(p.name for p in (toy.results / "tables").iterdir()) == [
        f"tab_final.{k}" for k in ("csv", "md", "tex")
    ]
    assert sorted(p.suffix for p in (toy.results / "figures").iterdir()) == [".csv", ".json", ".png", ".svg"]


# reported numbers


def reported_with(toy, *rows: str) -> Reported:
    file = toy.folder / "reported.csv"
    file.write_text("\n".join(["table,row,column,value,source,status", *rows]) + "\n", encoding="utf-8")
    return Reported("toy")


def test_a_reported_number_is_found_and_an_unavailable_one_is_nan(toy):
    reported = Reported("toy")
    assert reported("tab_final", 1, "loss") == 0.0642
    assert math.isnan(reported("tab_final", 10, "loss")) and math.isnan(reported("tab_final", 3, "loss"))
    assert len(reported.table("tab_final")) == 2


def test_row_names_are_read_as_written(toy):
    reported = reported_with(toy, "t,1,x,5,s,verified", "t,0.10,x,6,s,verified")
    assert (reported("t", 1, "x"), reported("t", "0.10", "x")) == (5.0, 6.0)


def test_a_reported_number_without_ours_gets_a_row_of_its_own(toy):
    reported = reported_with(toy, "T,a,ppl,5,s,verified", "T,a,std,1,s,verified", "T,c,ppl,7,s,verified")
    ours = pd.DataFrame({"method": ["b", "a"], "loss": [2.0, 1.0]})
    both = reported.beside(ours, "T", rows="method", columns={"ppl": "reported_ppl", "std": "reported_std"})
    assert both.method.tolist() == ["b", "a", "c"]
    assert both.loss.tolist()[:2] == [2.0, 1.0] and math.isnan(both.loss[2])
    assert both.reported_ppl.tolist()[1:] == [5.0, 7.0] and math.isnan(both.reported_ppl[0])
    assert both.reported_std[1] == 1.0 and both.reported_std.isna().tolist() == [True, False, True]


def test_a_reported_grid_stands_beside_a_tidy_table_where_it_is_meant(toy):
    reported = reported_with(toy, "A,0.9,0.95,22.4,s,verified", "A,0.95,0.95,21.9,s,verified")
    ours = pd.DataFrame({"study": ["side", "main"], "beta1": [0.9, 0.9], "beta2": [0.95, 0.95], "loss": [3.0, 4.0]})
    both = reported.beside(ours, "A", rows="beta1", across="beta2", value="theirs", where={"study": "main"})
    assert both.study.tolist() == ["side", "main", "main"] and both.beta1.tolist() == [0.9, 0.9, 0.95]
    assert math.isnan(both.theirs[0]) and both.theirs.tolist()[1:] == [22.4, 21.9]
    with pytest.raises(ValueError, match="no table 'B'"):
        reported.beside(ours, "B", rows="beta1", across="beta2")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["t,1,x,5,s,guessed"], "status 'guessed' is not one of verified, secondary, unverified, not available"),
        (["t,1,x,,s,verified"], "a value is empty exactly if it is 'not available'"),
        (["t,1,x,5,s,not available"], "a value is empty exactly if it is 'not available'"),
        (["t,1,x,5,s,verified", "t,1,x,6,s,verified"], "given twice: t, 1, x"),
        (["t,1,x,5..1,s,verified"], r"the value '5\.\.1' of t is not a number"),
    ],
)
def test_a_contradictory_reported_number_is_refused(toy, rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        reported_with(toy, *rows)


def test_other_columns_of_reported_csv_are_refused(toy):
    (toy.folder / "reported.csv").write_text("table,row,column,value,status\nt,1,x,5,verified\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected"):
        Reported("toy")
