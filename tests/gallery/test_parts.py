"""Bars, sentences, tables and marks: the small parts of a page."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.artifacts.checks import at_least, at_most, greater, less, within
from shared.artifacts.estimates import Estimate
from shared.gallery.bars import WIDTH, bar_of, measured, wanted
from shared.gallery.csv_tables import read_table, short
from shared.gallery.images import red_where
from shared.gallery.readme_parts import bibtex, first_sentences, html, section

numbers = st.floats(-1e9, 1e9).map(lambda x: float(f"{x:.4g}"))


def entry(check) -> dict:
    return check.entry()


@settings(deadline=None)
@given(numbers, numbers, st.sampled_from([at_most, at_least, less, greater]), st.floats(0.01, 100))
def test_the_value_lies_on_the_shaded_side_exactly_if_the_check_is_satisfied(value, limit, relation, noise):
    check = entry(relation("x", Estimate(value, noise, 5), limit))
    bar = bar_of(check)
    left, right = bar["good"]
    if abs(bar["value"] - bar["thresholds"][0]) > 0.5:  # else they are the same to the eye
        assert (left <= bar["value"] <= right) == check["satisfied"]
    assert all(0 <= x <= WIDTH for x in (bar["value"], *bar["thresholds"], *bar["interval"], *bar["good"]))


@settings(deadline=None)
@given(numbers, numbers, st.floats(1e-3, 1e9), st.floats(0.01, 100))
def test_the_interval_is_drawn_around_the_value_and_to_scale(value, low, width, noise):
    check = entry(within("x", Estimate(value, noise, 4), low, low + width))
    bar = bar_of(check)
    left, right = bar["interval"]
    assert left <= bar["value"] <= right and (right - bar["value"]) == pytest.approx(bar["value"] - left, abs=0.21)
    if bar["thresholds"][1] - bar["thresholds"][0] > 5 and right - left > 5:
        drawn = (right - left) / (bar["thresholds"][1] - bar["thresholds"][0])
        spans = check["threshold"][1] - check["threshold"][0]
        assert drawn == pytest.approx(2 * check["half_width"] / spans, rel=0.1)


def test_an_exact_value_has_no_interval_and_an_unmeasured_one_says_so():
    exact, unknown = bar_of(entry(at_most("x", 1.0, 2.0))), bar_of(entry(at_most("x", 1.0, 2.0, noise=math.nan)))
    assert exact["interval"] is None and exact["exact"] and exact["text"] == "1, exact; wanted ≤ 2"
    assert unknown["interval"] is None and unknown["unknown"] and "spread not measured" in unknown["text"]


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_value_lies_on_no_bar_and_is_told_in_words(value):
    bar = bar_of({**entry(at_most("x", value, 2.0)), "value": str(value)})  # as JSON holds it
    assert bar["value"] is None and bar["thresholds"] and str(value) in bar["text"]


def test_a_value_equal_to_its_threshold_is_drawn_on_it():
    bar = bar_of(entry(at_most("x", 0.0, 0.0)))
    assert bar["value"] == bar["thresholds"][0] == WIDTH / 2


def test_checks_are_written_with_noise_and_relation():
    check = entry(within("x", Estimate(0.25, 0.01, 3), 0.2, 0.3))
    assert measured(check) == "0.25 ± 0.0318" and wanted(check) == "in [0.2, 0.3]"
    assert measured(entry(less("x", 1.0, 2.0, noise=math.nan))) == "1 ± ?"


def test_the_question_is_its_first_three_sentences():
    text = "One claim, e.g. of Orvieto et al. 2025, is (p = 0.5). Is it?\nYes. `Four` never shows.\n\n- no list"
    assert first_sentences(text) == "One claim, e.g. of Orvieto et al. 2025, is (p = 0.5). Is it? Yes."
    assert first_sentences("Alone.\n\n| table |") == "Alone." and first_sentences("no end") == "no end"


def test_sections_and_citations_are_found():
    readme = "## Question\n\nWhy?\n\n## Citation\n\n```bibtex\n@article{a,\n  title = {T}\n}\n```\n"
    assert section(readme, "Question") == "Why?" and section(readme, "Results") == ""
    assert bibtex(readme) == "@article{a,\n  title = {T}\n}"


def test_raw_html_of_a_readme_is_text_and_links_into_the_repository_are_none():
    shown = html("<script>x</script> [here](docs/a.md) [there](https://arxiv.org/abs/1)")
    assert "<script>" not in shown and "docs/a.md" not in shown and 'href="https://arxiv.org/abs/1"' in shown


def test_a_table_is_cut_and_its_reported_columns_are_told_apart(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("method,ppl,reported_ppl\n" + "".join(f"m{i},{i + 1 / 3:.6g},\n" for i in range(50)))
    table = read_table(file, most_rows=10)
    assert [(c.name, c.numeric, c.reported) for c in table.columns] == [
        ("method", False, False),
        ("ppl", True, False),
        ("reported_ppl", False, True),
    ]
    assert len(table.rows) == 10 and table.num_rows == 50 and table.compares
    assert table.rows[3] == [("m3", "m3"), ("3.333", "3.33333"), ("", "")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("131072", "131072"), ("2.4576e+06", "2457600"), ("0.000123456", "0.0001235"), ("inf", "inf"), ("", "")],
)
def test_numbers_are_short_and_words_are_left_alone(text, shown):
    assert short(text) == shown


def test_marks_are_red_where_pixels_differ_and_clear_elsewhere():
    where = np.zeros((9, 12), dtype=bool)
    where[4, 6] = True
    with Image.open(io.BytesIO(red_where(where))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    red = pixels[..., 3] > 0
    assert red.sum() == 9 and red[3:6, 5:8].all() and tuple(pixels[4, 6]) == (214, 39, 40, 255)
