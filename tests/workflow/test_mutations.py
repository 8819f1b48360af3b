"""The planted errors fit the code, and the runner tells a noticed one from an unnoticed one."""

import ast
import subprocess
from pathlib import Path

import pytest
import yaml

from shared.base.paths import repo_root
from tests.mutations import trial
from tests.mutations.__main__ import shares
from tests.mutations.catalogue import Mutation, catalogues, check, chosen

LISTED = [(f"{slug}/{name}", m) for slug, part in catalogues().items() for name, m in part.items()]


@pytest.mark.parametrize("mutation", [m for _, m in LISTED], ids=[name for name, _ in LISTED])
def test_the_patch_applies_once_and_leaves_a_file_that_can_be_read(mutation):
    check(mutation)
    patched = mutation.applied((repo_root() / mutation.file).read_text())
    if mutation.file.endswith(".py"):
        ast.parse(patched)
    elif mutation.file.endswith(".yaml"):
        yaml.safe_load(patched)
    else:  # C++, which a test of the kernels compiles
        assert all(patched.count(left) == patched.count(right) for left, right in ("()", "[]", "{}"))


def mutation(**changes) -> Mutation:
    return Mutation(**{"file": "a.py", "replace": "x", "by": "y", "tests": ["b.py"], "wrong": "It is wrong."} | changes)


@pytest.mark.parametrize("text", ["", "x x"])
def test_a_patch_whose_text_stands_nowhere_or_twice_is_refused(text):
    with pytest.raises(ValueError, match=r"stands (nowhere|2 times) in a\.py"):
        mutation().applied(text)


def test_a_patch_without_effect_and_a_reason_that_is_no_sentence_are_refused():
    with pytest.raises(ValueError, match="replaced by itself"):
        mutation(by="x")
    with pytest.raises(ValueError, match="full stop"):
        mutation(wrong="no sentence")


def test_a_test_that_is_gone_is_named(tmp_path):
    (tmp_path / "a.py").write_text("x")
    (tmp_path / "b.py").write_text("def test_one(): ...\n")
    check(mutation(tests=["b.py", "b.py::test_one", "b.py::test_one[2-3]"]), tmp_path)
    with pytest.raises(ValueError, match=r"no such test: b.py::test_two, c.py"):
        check(mutation(tests=["b.py::test_two", "c.py"]), tmp_path)


def test_an_unknown_paper_or_name_is_met_with_the_nearest():
    known = {"gidd": {"masks-of-zeros": mutation()}}
    assert chosen([], known) == chosen(["gidd"], known) == chosen(["gidd/masks-of-zeros"], known) == known
    with pytest.raises(ValueError, match="did you mean 'gidd'"):
        chosen(["gid"], known)
    with pytest.raises(ValueError, match="did you mean 'masks-of-zeros'"):
        chosen(["gidd/mask-of-zeros"], known)


TESTS = "from method import double\n\ndef test_double():\n    assert double(3) == 6\n\ndef test_nothing():\n    pass\n"


@pytest.fixture
def copy(tmp_path, monkeypatch) -> trial.Copy:
    """A copy of a checkout that is two files."""

    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "method.py").write_text("def double(x):\n    return 2 * x\n")
        (folder / "test_method.py").write_text(TESTS)

    monkeypatch.setattr(trial, "copy_checkout", write)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # five starts of pytest
    return trial.Copy(tmp_path / "copy", limit_s=60)


def planted(by: str, test: str = "test_method.py") -> Mutation:
    return mutation(file="method.py", replace="2 * x", by=by, tests=[test])


def test_an_error_that_a_test_sees_is_killed_and_taken_back(copy):
    copy.check_unpatched(["test_method.py"])
    killed = copy.try_out("toy", "seen", planted("3 * x"))
    assert (killed.outcome, killed.by) == (trial.KILLED, "test_method.py::test_double")
    unseen = copy.try_out("toy", "unseen", planted("4 * x", "test_method.py::test_nothing"))
    assert unseen.outcome == trial.SURVIVED
    assert shares([killed, unseen]) == {"toy": (1, 2)}
    copy.check_unpatched(["test_method.py"])  # both were taken back


def test_a_patch_under_which_no_test_can_be_collected_kills_nothing(copy):
    with pytest.raises(ValueError, match="toy/broken: its tests do not run"):
        copy.try_out("toy", "broken", planted("2 *"))


def test_tests_that_fail_unpatched_judge_nothing(copy):
    (copy.folder / "method.py").write_text("def double(x):\n    return x\n")
    with pytest.raises(ValueError, match="without any patch"):
        copy.check_unpatched(["test_method.py"])


def test_tests_without_end_count_as_killed(copy, monkeypatch):
    def endless(tests):
        raise subprocess.TimeoutExpired("pytest", 1)

    monkeypatch.setattr(copy, "run", endless)
    assert copy.try_out("toy", "endless", planted("3 * x")).noticed
