"""Figures: the same table gives the same pixels, whatever the user's matplotlib is set to."""

import hashlib

import matplotlib
import matplotlib.pyplot as plt
import pytest
from toy_repository import edit, run_in

from shared.artifacts.csv_files import read_csv
from shared.artifacts.figures import build_figures, draw
from shared.artifacts.paper import artifact_csv


@pytest.fixture
def table(toy):
    return read_csv(artifact_csv(toy, "fig_loss"))


def test_the_same_table_gives_the_same_bytes_twice(table):
    one, two = draw("toy", "fig_loss", table), draw("toy", "fig_loss", table)
    assert one.keys() == {"png", "svg"} and one == two


def test_another_table_gives_other_pixels(table):
    one = draw("toy", "fig_loss", table)["png"]
    table.loc[5, "loss"] *= 2
    assert draw("toy", "fig_loss", table)["png"] != one


def test_images_carry_no_date_and_no_version(table):
    images = draw("toy", "fig_loss", table)
    assert matplotlib.__version__.encode() not in images["svg"] + images["png"]
    assert b"<dc:date>" not in images["svg"]


def test_settings_of_this_process_have_no_effect_and_are_left_alone(table):
    plain = draw("toy", "fig_loss", table)
    with plt.rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "savefig.dpi": 30}):
        assert draw("toy", "fig_loss", table) == plain
        assert plt.rcParams["lines.linewidth"] == 9
    assert plt.get_fignums() == []


def test_a_users_matplotlibrc_has_no_effect(toy, repository, built, tmp_path):
    settings = tmp_path / "matplotlibrc"
    settings.write_text(
        "lines.linewidth: 9\nfont.size: 30\nsavefig.bbox: tight\naxes.prop_cycle: cycler('color', 'r')\n",
        encoding="utf-8",
    )
    code = (
        "import hashlib, matplotlib; from shared.artifacts.figures import draw;"
        "from shared.artifacts.csv_files import read_csv;"
        "assert matplotlib.rcParams['font.size'] == 30;"
        f"table = read_csv('{artifact_csv(toy, 'fig_loss')}');"
        "print(*(hashlib.sha256(image).hexdigest() for image in draw('toy', 'fig_loss', table).values()))"
    )
    result = run_in(built, "-c", code, MATPLOTLIBRC=str(settings))
    images = draw("toy", "fig_loss", read_csv(artifact_csv(toy, "fig_loss")))
    assert result.stdout.split() == [hashlib.sha256(image).hexdigest() for image in images.values()], result.stdout


def test_a_figure_function_cannot_change_the_table(toy, table):
    (toy.folder / "figures.py").write_text(
        "import matplotlib.pyplot as plt\ndef fig_loss(table):\n    table['loss'] = 0\n    return plt.figure()\n",
        encoding="utf-8",
    )
    before = table.copy()
    draw("toy", "fig_loss", table)
    assert table.equals(before)


def test_a_figure_without_a_function_names_the_nearest(toy):
    edit(toy.folder / "figures.py", "def fig_loss(", "def fig_los(")
    sentence = r"papers/toy/figures\.py has no function 'fig_loss', which paper\.yaml names; did you mean 'fig_los'"
    with pytest.raises(ValueError, match=sentence):
        build_figures("toy", "smoke")


def test_a_function_that_returns_no_figure_is_named(toy):
    edit(toy.folder / "figures.py", "    return figure\n", "")
    with pytest.raises(
        ValueError, match=r"papers/toy/figures\.py, fig_loss: it returns NoneType; it has to .* return the figure"
    ):
        build_figures("toy", "smoke")


def test_a_figure_without_its_table_says_to_build_it(toy):
    artifact_csv(toy, "fig_loss").unlink()
    with pytest.raises(ValueError, match=r"no table at .*fig_loss\.csv; build it first"):
        build_figures("toy", "smoke")
