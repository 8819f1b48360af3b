"""What the settings refuse before a job starts, each in one sentence that names the key."""

import numpy as np
import pytest

from papers.logistic_gd.config import Config
from papers.logistic_gd.real_data import LOADERS, on_sphere
from papers.logistic_gd.settings import FEATURES
from shared.artifacts.config import load_config
from shared.base.settings import validate

WALLS = {"theta": 14, "k": 5, "heavy": 3000, "light": 1, "gammas": [1.9], "box": [-8, 8, 4, 14]}
WINE = {"source": "wine", "dims": [50], "label_noise": [0.1], "num_draws": 1}
UNIFORM = {"kind": "uniform", "dims": [2], "sizes": [3], "num_sets": 5}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("theorem.cs", [0.0, 1.0], "'theorem.cs.0': Input should be greater than 0"),
        ("theorem.root_cs", [0.0], "'theorem.root_cs.0': Input should be greater than 0"),
        ("theorem.doubling_cs", [1.0], "'theorem.doubling_cs.0': Input should be greater than 1"),
        ("theorem.gammas", [True], "'theorem.gammas' is no switch"),
        ("bifurcation.cs", [0.0], "'bifurcation.cs.0': Input should be greater than 0"),
        ("bifurcation.gamma_range", [-1, 1.5], "'bifurcation.gamma_range.0': Input should be greater than 0"),
        ("bifurcation.gamma_range", [8, 1.5], "a range runs from its smaller end to its larger one; got 8 to 1.5"),
        ("safe_line.gammas", [1.5], "'safe_line.gammas.0': Input should be less than or equal to 1"),
        ("plane.sets", [WALLS | {"box": [8, -8, 4, 14]}], "'plane.sets.0.box': a range runs from its smaller end"),
        ("basins.sets", [WALLS | {"box": [-8, 8, 14, 14]}], "got 14 to 14"),
        ("plane.sets", [WALLS | {"light": 0}], "S(14;5,3000,0) lacks rows of one of its kinds"),
        ("plane.sets", [WALLS | {"theta": None}], "k, heavy and light belong to S(theta; k, heavy, light)"),
        ("search.lifted.dims", [1], "'search.lifted.dims.0': Input should be greater than or equal to 2"),
        ("search.lifted.dims", [-3], "'search.lifted.dims.0': Input should be greater than or equal to 2"),
        ("search.plane.num_angles", 100, "known families' rows, at even angles, have to be on the grid"),
        ("search.plane.ratios", [0.5], "'search.plane.ratios.0': Input should be greater than or equal to 1"),
        ("frequency.ensembles", [UNIFORM | {"dims": [0]}], "'frequency.ensembles.0.dims.0': Input should be greater"),
        ("frequency.ensembles", [UNIFORM | {"sizes": [1]}], "'frequency.ensembles.0.sizes.0': Input should be greater"),
        ("frequency.real", [WINE], "wine has 13 features, so no 50 principal components"),
    ],
)
def test_what_would_end_in_a_traceback_or_contradict_a_table_is_refused_in_a_sentence(path, value, sentence):
    content = load_config("logistic_gd", "smoke").model_dump(mode="json")
    *outer, last = path.split(".")
    section = content
    for key in outer:
        section = section[key]
    section[last] = value
    with pytest.raises(ValueError) as error:
        validate(Config, content, "config")
    assert sentence in str(error.value)


def test_settings_know_how_many_features_each_source_has():
    assert {source: load(return_X_y=True)[0].shape[1] for source, load in LOADERS.items()} == FEATURES


def test_components_in_which_no_row_differs_are_refused():
    rows = np.outer(np.arange(5.0), [1, 2, 0]) + np.outer([0, 1, 0, 1, 0], [0, 0, 1])
    assert on_sphere(rows, 2).shape == (5, 2)
    with pytest.raises(ValueError, match="spread over 2 dimensions only, so 3 components are too many"):
        on_sphere(rows, 3)
