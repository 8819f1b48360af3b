"""Functions of a test module are those of its text, whoever had his turn before the module was guarded."""

import os
import subprocess
import sys
import types

import pytest

from papers.gitchameleon.harness.boxed.guarding import guarded_state, made_of_other_code
from papers.gitchameleon.harness.verdicts import undecorated

TEXT = """
import functools
from os.path import join

def helper():
    return 1
def twice():
    return 1
twice = functools.partial(twice)
@functools.lru_cache
def cached():
    return 1
class TestAnswer:
    def test_equal(self):
        assert (lambda: helper())() == 1
    @functools.wraps(helper)
    def test_wrapped(self):
        return 1
    @property
    def value(self):
        return 1
    def __eq__(self, other):
        return True
    for name in ():
        pass
    def name(self):
        return 1
if helper():
    def chosen():
        return 1
@functools.total_ordering
class Ordered:
    def __lt__(self, other):
        return True
    def method(self):
        return 1
"""


@pytest.fixture
def made():
    """(module, code) of the text."""
    module, code = types.ModuleType("made"), compile(TEXT, "made.py", "exec")
    exec(code, module.__dict__)
    return module, code


def others(module, code) -> list[str]:
    return made_of_other_code(guarded_state({"made": module}, {"made": None}), "made", undecorated(TEXT), code)


def test_what_a_text_alone_binds_is_undecorated():
    assert undecorated(TEXT) == ["TestAnswer.test_equal", "helper"]
    assert undecorated("def f(:") == []


def test_a_module_made_of_its_text_has_no_other_code(made):
    assert others(*made) == []


@pytest.mark.parametrize("how", ["function", "class", "code", "missing", "callable"])
def test_what_was_exchanged_before_it_was_guarded_is_named(made, how):
    module, code = made
    same = types.ModuleType("made")
    exec(compile(TEXT, "made.py", "exec"), same.__dict__)
    if how == "function":
        module.TestAnswer.test_equal = lambda self: None
    elif how == "class":  # of the same text, compiled by another
        module.TestAnswer = same.TestAnswer
    elif how == "code":
        module.TestAnswer.test_equal.__code__ = (lambda self: None).__code__
    elif how == "missing":
        del module.TestAnswer.test_equal
    else:
        module.TestAnswer.test_equal = subprocess.Popen
    assert others(module, code) == ["made.TestAnswer.test_equal"]


def test_a_package_that_replaces_functions_when_it_is_imported_is_no_tampering(tmp_path):
    """pytest and AnyIO import exceptiongroup, which before Python 3.11 replaces methods in `traceback`."""
    (tmp_path / "exceptiongroup.py").write_text(
        "import traceback\ntraceback.TracebackException.format = lambda self: []"
    )
    program = """
from papers.gitchameleon.harness.boxed.guarding import guard
_, conduct = guard({}, False)
import exceptiongroup, traceback
print(conduct())
traceback.TracebackException.format = lambda self: []
print(conduct())
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:."},
    )
    assert run.stdout.splitlines() == ["[]", "['traceback.TracebackException.format']"], run.stderr


def test_every_function_of_this_file_is_of_this_file():
    with open(__file__, encoding="utf-8") as file:
        names = undecorated(file.read())
    assert "others" in names and "made" not in names and all(name in vars(sys.modules[__name__]) for name in names)
