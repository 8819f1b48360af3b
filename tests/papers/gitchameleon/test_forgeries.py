"""Wrong answers that forge a pass: none of them passes. Styles of tests: unittest, pytest, script; and helpers."""

import sys
from functools import cache
from pathlib import Path

import forged_looks
import forged_patches
import forged_reports
import pytest
from forged_reports import SEARCH, WRONG, inside
from honest_looks import HONEST

from papers.gitchameleon.environments.store import Env
from papers.gitchameleon.harness.execution import flags, run_hidden, run_visible

FORGERIES = forged_reports.FORGERIES | forged_patches.FORGERIES | forged_looks.FORGERIES
RIGHT = "\ndef answer():\n    return 42\n"
UNITTEST = """
import unittest
import sample_1000

class TestAnswer(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(sample_1000.answer(), 42)
    def test_true(self):
        self.assertTrue(sample_1000.answer() > 40)
"""
PYTEST = """
import pytest
from sample_1000 import answer

def test_equal():
    assert answer() == 42

def test_raises():
    with pytest.raises(ZeroDivisionError):
        1 / (answer() - 42)
"""
SCRIPT = "assert isinstance(answer(), int)\nassert answer() == 42\n"
CASES = {  # other test modules of unittest
    "subtests": """
import unittest
import sample_1000

class TestAnswer(unittest.TestCase):
    def test_equal(self):
        for number in (42, 42):
            with self.subTest(number):
                self.assertEqual(sample_1000.answer(), number)
""",
    "set-up": """
import unittest
import sample_1000

class TestAnswer(unittest.TestCase):
    def setUp(self):
        self.assertEqual(sample_1000.answer(), 42)
    def test_nothing(self):
        pass
""",
    "clean-up": """
import unittest
import sample_1000

class TestAnswer(unittest.TestCase):
    def check(self):
        self.assertEqual(sample_1000.answer(), 42)
    def test_nothing(self):
        self.addCleanup(self.check)
""",
    "coroutine": """
import unittest
import sample_1000

class TestAnswer(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.number = 42
    async def test_equal(self):
        self.assertEqual(sample_1000.answer(), self.number)
""",
    "constants": """
import unittest
import sample_1000

NUMBER = 42

class TestAnswer(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(sample_1000.answer(), NUMBER)
""",
    "shared": """
import json
import unittest
import sample_1000

class TestAnswer(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(json.loads(str(sample_1000.answer())), 42)
""",
    "mock": """
import unittest
from unittest import mock
import sample_1000

class TestAnswer(unittest.TestCase):
    def test_told(self):
        told = mock.Mock()
        sample_1000.answer(told)
        told.assert_called_once_with(42)
""",
}
PROGRAM = """
import unittest

class TestAnswer(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(answer(), 42)

unittest.main()
"""
HELPERS = {
    "numpy": "import numpy as np\nnp.testing.assert_allclose([answer()], [42.0])\nassert np.allclose(answer(), 42)\n",
    "pandas": "import pandas as pd\npd.testing.assert_series_equal(pd.Series([answer()]), pd.Series([42]))\n",
    "torch": "import torch\ntorch.testing.assert_close(torch.tensor([answer()]), torch.tensor([42]))\n",
}


@pytest.fixture(scope="module")
def run(level, limits, problem, env):
    """(style, program) -> verdict. Other styles than unittest run in this process's own environment."""
    own = Env(env.spec, Path(sys.prefix), (), "", "")
    large = type(limits)(**vars(limits) | {"memory_mb": 2048, "address_space_mb": 16384, "processes": 64})

    def verdict(style: str, program: str):
        if style == "unittest" or style in CASES:
            changed = problem.model_copy(update={"runner": "unittest", "hidden_test": CASES.get(style, UNITTEST)})
            return run_hidden(changed, program, env, level, limits)
        if style in ("pytest", "unittest-by-pytest"):
            test = PYTEST if style == "pytest" else UNITTEST
            changed = problem.model_copy(update={"runner": "pytest", "hidden_test": test})
            return run_hidden(changed, program, own, level, large)
        test = {"script": SCRIPT, "program": PROGRAM}.get(style) or HELPERS[style]
        changed = problem.model_copy(update={"test": test})
        return run_visible(changed, program, own if style in HELPERS else env, level, large)

    return verdict


@pytest.fixture(scope="module")
def verdict_of(run):
    """Verdict of a forgery, by its name."""
    return cache(lambda name: run(*FORGERIES[name]))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_pass_does_not_pass(name, verdict_of):
    assert not verdict_of(name).passed, verdict_of(name)


def test_there_are_forgeries_in_every_style():
    styles = [style for style, _ in FORGERIES.values()]
    others = {"unittest", "pytest", "script", "program", "unittest-by-pytest"}
    assert len(styles) > 130 and set(styles) | {"shared"} == {*others, *CASES, *HELPERS}


STYLES = ["unittest", "pytest", "script", "numpy", "pandas", "program", "unittest-by-pytest", *CASES]


@pytest.mark.parametrize("style", STYLES)
def test_a_right_answer_passes_and_a_wrong_one_fails_in_every_style(style, run):
    told = style == "mock"
    found = run(style, "def answer(told):\n    told(42)\n" if told else RIGHT)
    assert found.passed, found
    wrong = run(style, WRONG.replace("()", "(told)") if told else WRONG)
    assert wrong.code in ("fail-assert", "fail-exception"), wrong


TAMPERED = ("garbage-collector", "frames", "inspect-stack", "trace-function", "patched-and-put-back", "numpy-put-back")
TAMPERED += ("protocol-before-import-ends", "planted-distribution")
FOUND = {  # what is named of forgeries that would pass if nothing looked for it
    "frames-of-a-traceback": "tb_frame",
    "frames-of-a-generator": "gi_frame",
    "frames-by-way-of-logging": "sys._getframe",
    "frames-of-a-debugger": "sys.settrace",
    "searching-under-an-installed-name": "code named as an installed file",
    "code-with-another-file-name": "code named as an installed file",
    "noise-that-hides-a-search": "sys._getframe",
    "builtin-of-the-guard": "builtins.all",
    "added-init-subclass": "unittest.case.TestCase.__init_subclass__",
    "added-getattribute": "unittest.case.TestCase.__getattribute__",
    "another-class-of-a-module": "sys.modules.unittest",
    "another-table-of-modules": "sys.modules",
    "test-exchanged-by-a-thread": "test_sample.TestAnswer.test_equal",
    "test-exchanged-by-a-thread-that-nothing-holds-back": "test_sample.TestAnswer.test_equal",
    "later-test-exchanged": "test_sample.TestAnswer.test_true",
    "later-name-exchanged": "test_sample.answer",
    "added-to-pytest-items": "_pytest.python.Function.__getattribute__",
    "plugin-exchanged-at-registration": "pluggy._manager.PluginManager.register",
    "hooks-of-pluggy": "pluggy._callers._multicall",
    "swallowing-context": "contextlib._GeneratorContextManager.__exit__",
    "reading-own-memory": "memory of a process",
    "constants-of-a-test": "code of a test",
    "constants-by-way-of-dis": "code of a test",
    "constants-by-a-thread": "code of a test",
    "constants-of-a-module": "names of the tests",
    "constants-in-a-dictionary": "names of the tests",
    "test-run-beforehand": "names of the tests",
    "frames-of-all-threads": "sys._current_frames",
    "frames-of-all-threads-without-their-name": "sys._current_frames",
    "objects-by-a-thread": "gc.get_objects",
    "referrers-by-a-thread": "gc.get_referrers",
    "frames-by-way-of-a-formatter": "tb_frame",
    "frames-of-a-profiler": "sys.setprofile",
    "frames-of-a-work-item": "sys._getframe",
    "frames-of-a-work-item-by-inspect": "sys._getframe",
    "frames-of-a-debugger-that-is-off": "tb_frame",
    "frames-after-the-fact": "tb_frame",
    "frames-of-a-task": "cr_frame",
    "frames-of-a-walk": "tb_frame",
    "frames-by-way-of-pytest": "tb_frame",
    "code-by-a-loader": "sys._getframe",
    "code-without-source": "sys._getframe",
    "asserting-of-a-mock": "unittest.mock.NonCallableMock.assert_called_once_with",
    "inner-part-of-numpy": "numeric.less_equal",
}


@pytest.mark.parametrize("name", [*TAMPERED, *FOUND])
def test_what_was_tampered_with_is_named(name, verdict_of):
    verdict = verdict_of(name)
    assert verdict.code == "tampered" and FOUND.get(name, "") in verdict.detail, verdict


SILENT = [name for name in forged_looks.FORGERIES if name.startswith("stop-in")]


@pytest.mark.parametrize("name", SILENT)
def test_a_test_that_is_stopped_has_not_reached_its_end(name, verdict_of):
    verdict = verdict_of(name)
    if name == "stop-in-program-of-test-cases":
        assert verdict.code == "fail-assert" and "_ShouldStop" in verdict.trace, verdict
    else:
        assert (verdict.code, verdict.exception) == ("fail-exception", "_ShouldStop"), verdict


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_look_is_no_tampering(name, run):
    body = "".join(f"    {line}\n" for line in HONEST[name].splitlines()).replace("__name__", "'sample_1000'")
    found = run("unittest", f"{HONEST[name]}def answer():\n{body}    return 42\n")
    assert found.passed, found


@pytest.mark.parametrize("name", ["plugins-variable", "main-module"])
def test_what_a_candidate_cannot_reach_has_no_effect(name, verdict_of):
    assert verdict_of(name).code == "fail-assert", verdict_of(name)


REMAINING = {  # programs that do pass, as the harness's documentation says
    "equal-to-everything": (
        "unittest",
        "class Same:\n    __eq__ = __gt__ = lambda *a: True\ndef answer():\n    return Same()\n",
        "__eq__",
    ),
    "frame-of-a-signal": (
        "unittest",
        inside(
            "import os, signal\ndef look(number, frame):" + SEARCH.replace("\n", "\n    "),
            "signal.signal(signal.SIGUSR1, look)\nos.kill(os.getpid(), signal.SIGUSR1)",
        ),
        "signal",
    ),
    "test-of-a-list-of-subclasses": (
        "unittest",
        "import unittest\ncalls = []\ndef answer():\n    calls.append(1)\n    if len(calls) > 1:\n        return None\n"
        "    kinds = {c.__name__: c for c in unittest.TestCase.__subclasses__()}\n"
        "    case = kinds['TestAnswer']('test_equal')\n    try:\n        case.test_equal()\n"
        "    except AssertionError as error:\n"
        "        number = str(error).split('!= ')[1]\n"
        "    calls.clear()\n    return int(number)\n",
        "__subclasses__",
    ),
    "function-that-answer-and-test-share": (
        "shared",
        "import json\njson.loads = lambda text: 42\ndef answer():\n    return '0'\n",
        "sets json.loads",
    ),
}


@pytest.mark.parametrize("name", REMAINING)
def test_what_remains_possible_is_flagged(name, run):
    style, program, flag = REMAINING[name]
    assert run(style, program).passed and flag in flags(program)


def test_copies_that_a_candidate_forks_say_nothing(run):
    for _ in range(3):
        assert run("unittest", "import os\nos.fork()\nos.fork()\n" + RIGHT).passed
        assert run("unittest", "import os\nos.fork()\nos.fork()\n" + WRONG).code == "fail-assert"


@pytest.mark.parametrize("word", ["tb_frame", "f_back", "__dict__", "__eq__", "ctypes", "gc", "signal", "bdb"])
def test_constructs_are_flagged(word):
    program = (
        f"import {word}"
        if word in ("ctypes", "gc", "signal", "bdb")
        else f"x.{word}"
        if word != "__eq__"
        else "def __eq__(): 0"
    )
    assert flags(program) == [word]
