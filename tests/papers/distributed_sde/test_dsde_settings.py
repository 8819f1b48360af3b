"""What the settings refuse before a job starts, each in one sentence that names the key."""

import typing

import pytest

from papers.distributed_sde.config import Config
from papers.distributed_sde.network_settings import NUM_IMAGES
from papers.distributed_sde.settings import Function
from papers.distributed_sde.toys import TOYS
from shared.artifacts.config import load_config
from shared.base.settings import validate
from shared.data.digits import load_digits

SIGN_CELL = {"method": "DSignSGD", "decay": "constant", "lr": 0.1, "noise": "cauchy", "scale": 1, "x0": 3}
RULE = {"name": "constant", "lr": 0.03}


def refusal(path: str, value: object) -> str:
    """What the settings of smoke say with one of them changed."""
    content = load_config("distributed_sde", "smoke").model_dump(mode="json")
    *outer, last = path.split(".")
    section = content
    for key in outer:
        section = section[int(key)] if isinstance(section, list) else section[key]
    section[last] = value
    with pytest.raises(ValueError) as error:
        validate(Config, content, "config")
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("exact.order_etas", [0.5, 0.3], "eta 0.3 does not divide the time 1; the last update would end at 0.9"),
        ("exact.bounds.num_clients", [0], "'exact.bounds.num_clients.0': Input should be greater than or equal to 1"),
        ("linear.stable.functions", ["cos"], "'linear.stable.functions.0': Input should be 'parabola'"),
        ("linear.stable.omegas", [-2.0], "'linear.stable.omegas.0': Input should be greater than or equal to 0"),
        (
            "linear.stable.grad_norms",
            [1e4, 0.1],
            "runs from its smaller end to its larger one; got 10000 to 0.1",
        ),
        ("linear.stable.grad_norms", [-1, 10], "'linear.stable.grad_norms.0': Input should be greater than 0"),
        ("linear.bounds_drawn.1.omega", 3.0, "DSignSGD has no omega"),
        ("toys.cells", [SIGN_CELL | {"omega": 3}], "DSignSGD has no omega"),
        ("toys.cells.0.omega", 3.0, "DSGD has no omega"),
        ("paths.cases.0.omega", 3.0, "DSGD has no omega"),
        ("network.network.mlp.widths", [64, 32, 9], "the mlp needs 64 and 10 where it has 64 and 9"),
        ("network.network.mlp.widths", [63, 32, 10], "the mlp needs 64 and 10 where it has 63 and 10"),
        ("network.network.mlp.widths", [64, 0, 10], "'network.network.mlp.widths.1': Input should be greater than or"),
        (
            "network.network",
            {"data": "digits", "vit": {"num_classes": 10}},
            "needs 1 and 8 and 10 where",
        ),
        ("network.network", {"data": "cifar10", "resnet": {"num_classes": 9}}, "needs 3 and 10 where it has 3 and 9"),
        ("network.dcsgd.seeds", [0, 1, 0], "'network.dcsgd.seeds' has 0 twice"),
        ("network.dcsgd.levels", [0, 0], "give each once"),
        ("network.dsign.rules", [RULE, RULE], "give each once"),
        ("network.dsign.rules", [RULE | {"normalised": "plain"}], "steps of DSignSGD are not normalised"),
        ("minibatch.dsign.method", "DCSGD", "'minibatch.dsign': this is a study of DSignSGD; got one of DCSGD"),
        (
            "minibatch.num_clients",
            5000,
            "1438 images of digits give each of 5000 clients 0, too few for",
        ),
        ("minibatch.batch_size", 100_000, "give each of 8 clients 179, too few for mini-batches of 100000"),
        ("processes.batch_size", 800, "give each of 2 clients 719"),
        ("processes.seeds", [0], "'processes.seeds': List should have at least 2 items"),
        ("processes.law_seeds", [1, 100], "law_seeds are other seeds than those of the processes; 1 is in both"),
    ],
)
def test_what_would_end_in_a_traceback_or_pass_unread_is_refused_in_a_sentence(path, value, sentence):
    assert sentence in refusal(path, value)


def test_mini_batches_need_the_steps_between_rows():
    study = load_config("distributed_sde", "smoke").minibatch.dsign.model_dump(mode="json")
    assert "need `every`" in refusal("minibatch.dsign", study | {"every": None, "per_decade": 3})


def test_settings_know_the_functions_and_the_number_of_images():
    assert set(typing.get_args(Function)) == set(TOYS)
    assert len(load_digits().train_images) == NUM_IMAGES["digits"]
