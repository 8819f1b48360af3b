"""Our own suites: that they are what numbers were made with, and what their loader refuses."""

import shutil

import pytest
import yaml

from papers.gitchameleon.data.problems import data_digest
from papers.gitchameleon.suites.loader import SUITES, load_suite
from papers.gitchameleon.suites.tasks import FOLDER, read_suite

# of every field of every problem but Python's version; a changed task changes all numbers that are made from it
DIGESTS = {
    "builtin": "0cffa25b34f7b4bfdb8e13654ab67ede2393a68b8fac1c2d86aa217e28b90a3a",
    "mini": "9cf882c1f401876e609d82aa6dac6a13a6d459b3e01b5b39bca8371f83e12ef3",
}
IDS = {"builtin": range(1000, 1024), "mini": range(2000, 2050)}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_is_what_its_numbers_were_made_with(name):
    problems = load_suite(name)
    assert [p.example_id for p in problems] == list(IDS[name])
    assert data_digest(p.model_copy(update={"python_version": "3.11"}) for p in problems) == DIGESTS[name]


@pytest.mark.parametrize("name", SUITES)
def test_a_task_gives_one_problem_per_version(name):
    problems = load_suite(name)
    for old, new in zip(problems[::2], problems[1::2], strict=True):
        assert old.task == new.task and old.starting_code == new.starting_code
        assert old.library_pin != new.library_pin and old.answer != new.answer
    assert len({p.task for p in problems}) == len(problems) / 2


@pytest.fixture
def suite(tmp_path):
    """A copy of the built-in suite, to be spoilt."""
    return shutil.copytree(FOLDER / "builtin", tmp_path / "builtin")


def test_an_unknown_key_of_a_task_is_refused_with_the_nearest_name(suite):
    path = suite / "cheapest.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("visible:", "visibel:"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"cheapest.yaml.*'visibel'.*did you mean 'visible'"):
        read_suite(suite)


def test_a_task_that_the_suite_does_not_name_is_refused(suite):
    index = yaml.safe_load((suite / "suite.yaml").read_text(encoding="utf-8"))
    (suite / "suite.yaml").write_text(yaml.safe_dump(index | {"tasks": index["tasks"][:-1]}), encoding="utf-8")
    with pytest.raises(ValueError, match=f"does not name the task '{index['tasks'][-1]}'"):
        read_suite(suite)


def test_a_task_without_its_file_is_refused(suite):
    (suite / "ages.yaml").unlink()
    with pytest.raises(ValueError, match=r"no such file.*ages.yaml"):
        read_suite(suite)
