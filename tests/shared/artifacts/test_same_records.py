"""Two versions of the code: every value of every record is compared, and a missing record is told."""

import shutil

import pandas as pd
import pytest
import typer

from shared.artifacts.records import read_record, write_record
from shared.artifacts.same_records import compare, main, records_of


@pytest.fixture
def sides(toy, tmp_path):
    """Two checkouts with the toy's records."""
    other = tmp_path / "other"
    shutil.copytree(toy.root / "papers", other / "papers")
    return toy.root, other


def differing(sides, renamed=None) -> dict[str, list[str]]:
    found = compare(*(records_of(side, [], "smoke") for side in sides), renamed or {})
    return {name: sentences for name, sentences in found if sentences}


def change(root, edit) -> None:
    path = root / "papers" / "toy" / "results" / "smoke" / "runs" / "descend" / "curvature=1.parquet"
    write_record(path, edit(read_record(path)))


def test_copies_are_the_same(sides, capsys):
    assert differing(sides) == {}
    main(*map(str, sides), scale="smoke")
    assert "2 of 2 records are the same" in capsys.readouterr().out


def test_one_changed_value_is_named_with_its_row(sides, capsys):
    change(sides[1], lambda frame: frame.assign(loss=[*frame.loss[:-1], frame.loss.iloc[-1] * 1.5]))
    ((name, (sentence,)),) = differing(sides).items()
    assert name == "toy/descend/curvature=1" and "'loss': 1 of 21 values differ; first in row 20" in sentence
    assert "largest relative change 0.5" in sentence
    with pytest.raises(typer.Exit):
        main(*map(str, sides), scale="smoke")


def test_a_renamed_column_is_no_difference_if_it_is_named(sides):
    change(sides[1], lambda frame: frame.rename(columns={"loss": "value"}))
    assert len(differing(sides)["toy/descend/curvature=1"]) == 2
    assert differing(sides, {"loss": "value"}) == {}


def test_missing_values_equal_missing_values_alone(sides):
    for side, last in zip(sides, (None, None), strict=True):
        change(side, lambda frame, last=last: frame.assign(note=pd.Series([last] * len(frame), dtype=object)))
    assert differing(sides) == {}
    change(sides[1], lambda frame: frame.assign(note="x"))
    assert "21 of 21 values differ" in differing(sides)["toy/descend/curvature=1"][0]


def test_a_missing_record_and_other_rows_are_told(sides):
    change(sides[1], lambda frame: frame.head(3))
    (sides[0] / "papers/toy/results/smoke/runs/descend/curvature=10.parquet").unlink()
    found = differing(sides)
    assert found["toy/descend/curvature=1"] == ["21 rows became 3"]
    assert found["toy/descend/curvature=10"] == ["only in the new version"]


def test_what_is_neither_a_folder_nor_a_revision_is_refused(sides, capsys):
    with pytest.raises(typer.Exit):
        main("no-such-revision", str(sides[1]), scale="smoke")
    assert "'no-such-revision' is neither a folder nor a git revision" in capsys.readouterr().err
