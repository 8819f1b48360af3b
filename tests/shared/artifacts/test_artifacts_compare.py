"""Comparing two tables: every column counts, to its declared tolerance and no further."""

import math

import pandas as pd
import pytest

from shared.artifacts.compare import compare_tables
from shared.artifacts.paper import Artifact

ARTIFACT = Artifact.model_validate(
    {
        "caption": "A table of the tests.",
        "paper_item": "-",
        "scales": ["smoke"],
        "keys": ["model", "lr"],
        "columns": {"loss": {"rtol": 0.01, "atol": 0.001}, "steps": "exact", "note": "exact", "ratio": {"rtol": 0.1}},
    }
)
TABLE = pd.DataFrame(
    {
        "model": ["a", "a", "b", "b"],
        "lr": [0.1, 0.2, 0.1, 0.2],
        "loss": [1.0, 2.0, 0.0, 100.0],
        "steps": [10, 20, 30, 40],
        "note": ["x", "y", None, "z"],
        "ratio": [1.0, math.inf, math.nan, -math.inf],
    }
)


def differences(rebuilt: pd.DataFrame, reference: pd.DataFrame = TABLE, artifact: Artifact = ARTIFACT) -> list[str]:
    return compare_tables(reference, rebuilt, artifact)


def with_column_x(keys: list[str], tolerance: object = "exact", **columns: object) -> Artifact:
    """An artifact with a column x."""
    base = {"caption": "A table of the tests.", "paper_item": "-", "scales": ["smoke"]}
    return Artifact.model_validate({**base, "keys": keys, "columns": {"x": tolerance, **columns}})


def changed(column: str, row: int, value: object) -> pd.DataFrame:
    frame = TABLE.astype({column: object}).copy()
    frame.loc[row, column] = value
    return frame if isinstance(value, str) else frame.infer_objects()


def test_a_table_equals_itself_in_any_row_order():
    assert differences(TABLE) == []
    assert differences(TABLE.sample(frac=1, random_state=0)) == []


@pytest.mark.parametrize("column", TABLE.columns)
def test_no_column_is_ignored(column):
    value = "other" if TABLE[column].dtype.kind not in "if" else 77
    found = differences(changed(column, 0, value))
    assert found and any(column in sentence for sentence in found)


@pytest.mark.parametrize("column", TABLE.columns)
def test_no_column_may_be_missing_undeclared_or_renamed(column):
    assert differences(TABLE.drop(columns=column)) == [f"column '{column}' is missing in the rebuilt table"]
    assert differences(TABLE, reference=TABLE.drop(columns=column)) == [
        f"column '{column}' is missing in the reference table"
    ]
    assert len(differences(TABLE.rename(columns={column: "new"}))) == 2


def test_an_undeclared_column_is_drift_even_if_both_have_it():
    both = TABLE.assign(extra=1)
    assert differences(both, reference=both) == [
        f"column 'extra' of the {name} table is not declared in paper.yaml" for name in ("reference", "rebuilt")
    ]


def test_a_dropped_and_an_added_row_are_named():
    assert differences(TABLE.drop(2)) == ["row (model=b, lr=0.1) is missing"]
    assert differences(TABLE, reference=TABLE.drop(2)) == ["row (model=b, lr=0.1) is new"]


def test_the_first_changed_value_is_shown_with_its_row_and_tolerance():
    (sentence,) = differences(changed("steps", 3, 41))
    assert sentence == "column 'steps': 1 of 4 values differ (exact); first at (model=b, lr=0.2): 40 -> 41"


@pytest.mark.parametrize(
    ("row", "inside", "outside"), [(0, 1.0109, 1.0111), (2, -0.00099, 0.0011), (3, 98.9991, 98.99)]
)
def test_noise_inside_the_tolerance_passes_and_just_outside_does_not(row, inside, outside):
    """Bound 0.001 + 0.01 |reference|: 0.011 around 1, 0.001 around 0, 1.001 around 100."""
    assert differences(changed("loss", row, inside)) == []
    assert len(differences(changed("loss", row, outside))) == 1


def test_the_tolerance_is_relative_to_the_reference():
    reference = TABLE.assign(loss=[1.0, 2.0, 0.0, 1e-9])
    assert differences(TABLE.assign(loss=[1.0, 2.0, 0.0, 1e9]), reference=reference)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (math.inf, math.inf, True),
        (-math.inf, -math.inf, True),
        (math.nan, math.nan, True),
        (math.inf, -math.inf, False),
        (math.inf, 5.0, False),
        (5.0, math.inf, False),
        (math.nan, 5.0, False),
        (5.0, math.nan, False),
        (math.inf, math.nan, False),
        (math.nan, math.inf, False),
    ],
)
def test_infinities_and_missing_values_equal_only_themselves(old, new, same):
    assert (differences(TABLE.assign(ratio=new), reference=TABLE.assign(ratio=old)) == []) is same


@pytest.mark.parametrize(
    ("old", "new", "same"), [("diverged", "diverged", True), ("diverged", 1.0, False), (1.0, "diverged", False)]
)
def test_a_word_among_numbers_is_compared_as_it_stands(old, new, same):
    tables = [pd.DataFrame({**TABLE, "loss": [value, 2.0, 0.0, 100.0]}) for value in (old, new)]
    assert (differences(tables[1], reference=tables[0]) == []) is same


def test_the_word_nan_is_not_a_missing_value():
    assert differences(changed("note", 2, "nan")) != []
    assert differences(TABLE.assign(loss=["nan", 1, 1, 1]), reference=TABLE.assign(loss=[None, 1, 1, 1])) != []


def test_repeated_keys_are_refused_in_either_table():
    twice = pd.concat([TABLE, TABLE.iloc[[1]]])
    assert "two rows of the rebuilt table have the keys" in differences(twice)[0]
    assert "two rows of the reference table have the keys" in differences(TABLE, reference=twice)[0]


def test_a_row_with_a_single_key_is_named_like_any_other():
    artifact = with_column_x(["lr"])
    one, two = pd.DataFrame({"lr": [0.25, 10.0], "x": [1, 2]}), pd.DataFrame({"lr": [10.0, 300.0], "x": [3, 4]})
    assert differences(two, reference=one, artifact=artifact) == [
        "row (lr=0.25) is missing",
        "row (lr=300.0) is new",
        "column 'x': 1 of 1 values differ (exact); first at (lr=10.0): 2 -> 3",
    ]


def test_a_table_without_keys_is_compared_by_position():
    artifact = with_column_x([])
    one = pd.DataFrame({"x": [1]})
    assert differences(one, reference=one, artifact=artifact) == []
    assert differences(pd.DataFrame({"x": [2]}), reference=one, artifact=artifact) != []


def test_a_column_declared_as_not_compared_may_differ_and_has_to_exist():
    columns = {**ARTIFACT.columns, "loss": {"compare": "none", "reason": "seconds"}}
    free = Artifact.model_validate({**ARTIFACT.model_dump(), "columns": columns})
    assert differences(TABLE.assign(loss=9.0), artifact=free) == []
    assert differences(TABLE.drop(columns="loss"), artifact=free) != []


def test_a_value_may_move_by_multiples_of_the_spread_in_its_own_row():
    """2 standard errors: 0.2 in the first row, 2 in the second; nothing where the spread is missing."""
    artifact = with_column_x(["k"], {"within": 2, "of": "se"}, se={"compare": "none", "reason": "noise of noise"})
    reference = pd.DataFrame({"k": [1, 2, 3], "x": [1.0, 1.0, 1.0], "se": [0.1, 1.0, math.nan]})
    assert compare_tables(reference, reference.assign(x=[1.19, 2.9, 1.0]), artifact) == []
    assert "2 se" in compare_tables(reference, reference.assign(x=[1.21, 1.0, 1.0]), artifact)[0]
    assert compare_tables(reference, reference.assign(x=[1.0, 3.1, 1.0]), artifact)
    assert compare_tables(reference, reference.assign(x=[1.0, 1.0, 1.001]), artifact)


def test_the_larger_spread_of_both_tables_counts():
    artifact = with_column_x(["k"], {"within": 1, "of": "se"}, se={"rtol": 100.0})
    one, two = (pd.DataFrame({"k": [1], "x": [x], "se": [se]}) for x, se in ((1.0, 0.1), (1.5, 0.6)))
    assert compare_tables(one, two, artifact) == compare_tables(two, one, artifact) == []


def test_a_share_of_the_rows_may_differ_and_no_more():
    artifact = with_column_x(["k"], {"share": 0.75, "rtol": 0.01})
    reference = pd.DataFrame({"k": [1, 2, 3, 4], "x": [1.0, 1.0, 1.0, 1.0]})
    assert compare_tables(reference, reference.assign(x=[1.0, 9.0, 1.0, 1.0]), artifact) == []
    assert "75%" in compare_tables(reference, reference.assign(x=[9.0, 9.0, 1.0, 1.0]), artifact)[0]


@pytest.mark.parametrize(
    ("tolerance", "sentence"),
    [
        ({"within": 3}, "give 'within' and 'of' together"),
        ({"rtol": math.inf}, "finite"),
        ({"share": 0.5}, "give rtol, atol or within"),
        ({"within": 3, "of": "spread"}, "compared within 'spread', which it has not"),
    ],
)
def test_a_tolerance_that_means_nothing_is_refused(tolerance, sentence):
    with pytest.raises(ValueError, match=sentence):
        with_column_x(["k"], tolerance)


def test_a_grid_that_grows_may_have_other_ends_and_no_other_gaps():
    about = {"caption": "A table of the tests.", "paper_item": "-", "scales": ["smoke"], "columns": {"loss": "exact"}}
    grown = Artifact.model_validate({**about, "keys": ["model", "lr"], "grows": "lr"})
    rows = [(model, lr, lr) for model in ("a", "b") for lr in (0.1, 0.2, 0.4)]
    table = pd.DataFrame(rows, columns=["model", "lr", "loss"])
    longer = pd.concat([table, pd.DataFrame([("a", 0.8, 1.0), ("b", 0.05, 1.0)], columns=table.columns)])
    assert compare_tables(table, longer, grown) == compare_tables(longer, table, grown) == []
    gap = table.drop(index=1)
    assert compare_tables(table, gap, grown) == ["row (model=a, lr=0.2) is missing"]
    assert compare_tables(gap, table, grown) == ["row (model=a, lr=0.2) is new"]
    assert len(compare_tables(table, table[table.model == "a"], grown)) == 3  # another line altogether
    assert len(compare_tables(table, longer, grown.model_copy(update={"grows": None}))) == 2
    worse = longer.assign(loss=longer.loss + 1)
    assert "6 of 6 values differ" in compare_tables(table, worse, grown)[0]
    alone = Artifact.model_validate({**about, "keys": ["lr"], "grows": "lr"})
    one = table[table.model == "a"].drop(columns="model")
    assert compare_tables(one, one[:2], alone) == []
    with pytest.raises(ValueError, match="'grows' names 'rate', which is no key"):
        Artifact.model_validate({**about, "keys": ["lr"], "grows": "rate"})
