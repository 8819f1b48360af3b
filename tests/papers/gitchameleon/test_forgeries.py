"""Wrong answers that forge a pass: none of them passes. Styles of tests: unittest, pytest, script; and helpers."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from papers.gitchameleon.environments.store import Env
from papers.gitchameleon.harness.execution import flags, run_hidden, run_visible

WRONG = "\ndef answer():\n    return 0\n"
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
HELPERS = {
    "numpy": "import numpy as np\nnp.testing.assert_allclose([answer()], [42.0])\nassert np.allclose(answer(), 42)\n",
    "pandas": "import pandas as pd\npd.testing.assert_series_equal(pd.Series([answer()]), pd.Series([42]))\n",
    "torch": "import torch\ntorch.testing.assert_close(torch.tensor([answer()]), torch.tensor([42]))\n",
}


def inside(*lines: str) -> str:
    """A wrong answer whose function does something first."""
    return (
        "\ndef answer():\n" + "".join(f"    {line}\n" for text in lines for line in text.split("\n")) + "    return 0\n"
    )


ALL_FDS = "import os\nfor fd in range(3, 64):\n    try:\n        {}\n    except OSError:\n        pass\n"
PATCH = "import unittest\nunittest.TestCase.{} = lambda self, *a, **k: None\n"
OVERWRITE = (
    "import os, time\ntext = 'def test_equal(): pass\\ndef test_raises(): pass\\n'\n"
    "def overwrite():\n    end = time.time() + 2\n    while time.time() < end:\n"
    "        for name in os.listdir('.'):\n            if name == 'test_sample.py':\n"
    "                open(name, 'w').write(text)\n"
)
HOOK = (
    "\ndef pytest_runtest_makereport(item, call):\n    if 'sample' in item.nodeid:\n        call.excinfo = None\n"
    "def pytest_pyfunc_call(pyfuncitem):\n    return True if 'sample' in pyfuncitem.nodeid else None\n"
)
# name -> (style, program)
FORGERIES = {
    # ends that look like success
    "os-exit-at-import": ("unittest", "import os\nos._exit(0)\n"),
    "sys-exit-at-import": ("unittest", "import sys\nsys.exit(0)\n"),
    "raise-system-exit": ("unittest", "raise SystemExit(0)\n"),
    "os-exit-in-function": ("unittest", inside("import os\nos._exit(0)")),
    "sys-exit-in-function": ("unittest", inside("raise SystemExit(0)")),
    "skip-in-function": ("unittest", inside("import unittest\nraise unittest.SkipTest('no')")),
    "skip-at-import": ("unittest", "import unittest\nraise unittest.SkipTest('no')\n"),
    "pytest-skip-at-import": ("pytest", "import pytest\npytest.skip('no', allow_module_level=True)\n"),
    "pytest-skip-in-function": ("pytest", inside("import pytest\npytest.skip('no')")),
    "pytest-exit-in-function": ("pytest", inside("import pytest\npytest.exit('done', returncode=0)")),
    "pytest-xfail-in-function": ("pytest", inside("import pytest\npytest.xfail('no')")),
    "atexit": ("unittest", "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit\n"),
    "alarm": (
        "unittest",
        "import os, signal\nsignal.signal(14, lambda *a: os._exit(0))\nsignal.alarm(1)\nsignal.pause()",
    ),
    "thread-that-exits": (
        "unittest",
        "import os, threading\nthreading.Timer(0.2, os._exit, (0,)).start()\n" + inside("import time\ntime.sleep(1)"),
    ),
    "output": ("unittest", "print('..\\nRan 2 tests in 0.01s\\n\\nOK')\nimport os\nos._exit(0)\n"),
    "killed-parent": (
        "unittest",
        "import os, signal\nfor pid in (os.getppid(), 1):\n    try:\n        os.kill(pid, signal.SIGKILL)\n"
        "    except OSError:\n        pass\nos.kill(0, signal.SIGKILL)\n",
    ),
    "parent-leaves-copy-goes-on": ("unittest", "import os\nif os.fork():\n    os._exit(0)\n" + WRONG),
    "keyboard-interrupt": ("unittest", inside("raise KeyboardInterrupt")),
    # reports of one's own
    "protocol-before-import-ends": (
        "unittest",
        ALL_FDS.format('os.write(fd, b\'{"event": "imported"}\\n{"event": "done", "replaced": []}\\n\')')
        + "import time\ntime.sleep(0.3)\nos._exit(0)\n",
    ),
    "reports-without-token": (
        "unittest",
        ALL_FDS.format("os.write(fd, b\"''\\t'imported'\\t''\\t''\\n''\\t'done'\\t''\\n\")") + "os._exit(0)\n",
    ),
    "reports-in-function": (
        "unittest",
        inside(ALL_FDS.format("os.write(fd, b\"''\\t'test'\\t'TestAnswer.test_equal'\\t'passed'\\t''\\t''\\n\")")),
    ),
    "garbage-on-every-descriptor": ("unittest", ALL_FDS.format("os.write(fd, b'x\\n')") + WRONG),
    "closed-descriptors": ("unittest", "import os\nos.closerange(3, 256)\n" + WRONG),
    "exchanged-descriptors": (
        "unittest",
        "import os\nnull = os.open('/dev/null', 2)\n"
        + ALL_FDS.format("os.dup2(null, fd) if fd != null else 0")
        + WRONG,
    ),
    "reading-the-orders": (
        "unittest",
        "import os, select\nfound = b''\n"
        + ALL_FDS.format("found += os.read(fd, 999) if select.select([fd], [], [], 0.05)[0] else b''")
        + WRONG,
    ),
    "main-module": (
        "unittest",
        "import __main__\nfor name, value in list(vars(__main__).items()):\n    if isinstance(value, type):\n"
        "        for method in ('addFailure', 'addError', '_tell', 'tell'):\n"
        "            setattr(value, method, lambda self, test, *a: self.addSuccess(test))\n" + WRONG,
    ),
    "subclasses-of-the-result": (
        "unittest",
        inside(
            "import unittest\nfor kind in unittest.TestResult.__subclasses__() + [unittest.TestResult]:\n"
            "    kind.addFailure = lambda self, test, error: 'Answer' in str(test) and self.addSuccess(test)"
        ),
    ),
    "all-classes-that-tell": (
        "pytest",
        inside(
            "for kind in object.__subclasses__():\n    if hasattr(kind, 'tell') and 'judging' in str(kind):\n"
            "        kind.tell = lambda *a, **k: None"
        ),
    ),
    # searching the interpreter
    "garbage-collector": (
        "unittest",
        inside(
            "import gc\nfor cell in gc.get_objects():\n    if getattr(cell, '__name__', '') == 'send':\n"
            "        [cell('test', n, 'passed', '', '') for n in ('TestAnswer.test_equal', 'TestAnswer.test_true')]"
        ),
    ),
    "frames": (
        "unittest",
        inside(
            "import sys\nframe = sys._getframe()\nwhile frame:\n    tell = frame.f_locals.get('tell')\n"
            "    if tell:\n        [tell('TestAnswer.' + n, 'passed') for n in ('test_equal', 'test_true')]\n"
            "    frame = frame.f_back"
        ),
    ),
    "inspect-stack": (
        "unittest",
        inside(
            "import inspect\nfor info in inspect.stack():\n    send = info.frame.f_locals.get('send')\n"
            "    for name in ('test_equal', 'test_true') if send else ():\n"
            "        send('test', 'TestAnswer.' + name, 'passed', '', '')"
        ),
    ),
    "frames-at-import": (
        "unittest",
        "try:\n    raise ValueError\nexcept ValueError as error:\n    frame = error.__traceback__.tb_frame\n"
        "while frame:\n    for value in list(frame.f_locals.values()):\n"
        "        if callable(value) and getattr(value, '__name__', '') == 'send':\n"
        "            value('imported', '', '')\n    frame = frame.f_back\n" + WRONG,
    ),
    "trace-function": (
        "unittest",
        inside("import sys\nsys.settrace(lambda *a: None)"),
    ),
    # unittest and pytest patched
    "patched-assertion": ("unittest", PATCH.format("assertEqual") + PATCH.format("assertTrue") + WRONG),
    "patched-in-function": (
        "unittest",
        inside(PATCH.format("assertEqual").strip(), PATCH.format("assertTrue").strip()),
    ),
    "patched-run": ("unittest", PATCH.format("run").replace("None", "a[0].addSuccess(self)") + WRONG),
    "patched-and-put-back": (
        "unittest",
        inside(
            "import unittest\ncase = unittest.TestCase\nreal = case.assertEqual, case.assertTrue\n"
            "def fake(self, *a):\n    case.assertEqual, case.assertTrue = real\n"
            "case.assertEqual = case.assertTrue = fake"
        ),
    ),
    "code-exchanged-and-put-back": (
        "unittest",
        inside(
            "import unittest\nfor real in (unittest.TestCase.assertEqual, unittest.TestCase.assertTrue):\n"
            "    real.__code__ = (lambda self, *a, **k: None).__code__"
        ),
    ),
    "inner-part-of-an-assertion": (
        "unittest",
        inside("import unittest.case\nunittest.case._Outcome.testPartExecutor = lambda *a, **k: None"),
    ),
    "loader": (
        "unittest",
        "import unittest\nunittest.TestLoader.getTestCaseNames = lambda *a: []\n" + WRONG,
    ),
    "another-unittest": (
        "unittest",
        "import sys, types, unittest as real\nfake = types.ModuleType('unittest')\nfake.__dict__.update(vars(real))\n"
        "class TestCase(real.TestCase):\n    assertEqual = assertTrue = lambda self, *a: None\n"
        "fake.TestCase = TestCase\nsys.modules['unittest'] = fake\n" + WRONG,
    ),
    "patched-compile": ("unittest", "import builtins\nbuiltins.compile = lambda *a, **k: 'pass'\n" + WRONG),
    "patched-import": (
        "unittest",
        "import builtins\nreal = builtins.__import__\nbuiltins.__import__ = lambda *a, **k: real(*a, **k)\n" + WRONG,
    ),
    "planted-tests": (
        "pytest",
        "for name in ('test_sample.py', 'conftest.py', 'unittest.py', 'sitecustomize.py', 'pytest.ini'):\n"
        "    open(name, 'w').write('def test_equal(): pass\\ndef test_raises(): pass\\n')\n" + WRONG,
    ),
    "overwriting-thread": (
        "pytest",
        OVERWRITE + "import threading\nthreading.Thread(target=overwrite, daemon=True).start()\n" + WRONG,
    ),
    "overwriting-copy": ("pytest", OVERWRITE + "if os.fork() == 0:\n    overwrite()\n    os._exit(0)\n" + WRONG),
    "plugins-variable": ("pytest", "import os\nos.environ['PYTEST_PLUGINS'] = 'sample_1000'\n" + HOOK + WRONG),
    "options-variable": (
        "pytest",
        "import os\nos.environ['PYTEST_ADDOPTS'] = '-p sample_1000 --deselect test_sample.py'\n" + HOOK + WRONG,
    ),
    "planted-distribution": (
        "pytest",
        "import os\nos.mkdir('x-1.dist-info')\nopen('x-1.dist-info/METADATA', 'w').write('Name: x\\nVersion: 1\\n')\n"
        "open('x-1.dist-info/entry_points.txt', 'w').write('[pytest11]\\nx = sample_1000\\n')\n" + HOOK + WRONG,
    ),
    "patched-pytest-raises": (
        "pytest",
        "import pytest, contextlib\npytest.raises = lambda *a: contextlib.suppress(BaseException)\n" + WRONG,
    ),
    "patched-pytest-runner": (
        "pytest",
        "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n" + WRONG,
    ),
    "patched-pytest-runner-in-function": (
        "pytest",
        inside("import _pytest.runner\n_pytest.runner.check_interactive_exception = lambda *a: False\nreturn 0"),
    ),
    # visible tests
    "visible-os-exit": ("script", inside("import os\nos._exit(0)")),
    "visible-exit": ("script", "raise SystemExit(0)\n"),
    "visible-patched-isinstance": ("script", "import builtins\nbuiltins.isinstance = lambda *a: True\n" + WRONG),
    "visible-other-main": (
        "script",
        "import sys, types\nother = types.ModuleType('__main__')\nother.answer = lambda: 42\n"
        "sys.modules['__main__'] = None\n" + WRONG,
    ),
    # helpers of libraries
    "numpy-testing": ("numpy", "import numpy as np\nnp.testing.assert_allclose = lambda *a, **k: None\n" + WRONG),
    "numpy-allclose": (
        "numpy",
        inside(
            "import numpy as np\nnp.allclose = lambda *a, **k: True\nnp.testing.assert_allclose = lambda *a, **k: 0"
        ),
    ),
    "numpy-put-back": (
        "numpy",
        inside(
            "import numpy as np\nreal = np.testing.assert_allclose, np.allclose\n"
            "def fake(*a, **k):\n    np.testing.assert_allclose, np.allclose = real\n    return True\n"
            "np.testing.assert_allclose = np.allclose = fake"
        ),
    ),
    "numpy-inner": (
        "numpy",
        "import numpy as np, sys\nfor m in list(sys.modules.values()):\n"
        "    if getattr(m, 'assert_array_compare', None) or getattr(m, 'isclose', None):\n"
        "        m.assert_array_compare = m.isclose = lambda *a, **k: np.True_\n" + WRONG,
    ),
    "another-numpy": (
        "numpy",
        "import sys, types, numpy as real\nfake = types.ModuleType('numpy')\nfake.__dict__.update(vars(real))\n"
        "fake.testing = types.SimpleNamespace(assert_allclose=lambda *a: None)\nfake.allclose = lambda *a: True\n"
        "sys.modules['numpy'] = fake\n" + WRONG,
    ),
    "pandas-testing": ("pandas", inside("import pandas as pd\npd.testing.assert_series_equal = lambda *a: None")),
    "torch-testing": ("torch", "import torch\ntorch.testing.assert_close = lambda *a: None\n" + WRONG),
}


@pytest.fixture(scope="module")
def run(level, limits, problem, env):
    """(style, program) -> verdict. Other styles than unittest run in this process's own environment."""
    own = Env(env.spec, Path(sys.prefix), (), "", "")
    large = type(limits)(**vars(limits) | {"memory_mb": 2048, "address_space_mb": 16384, "processes": 64})

    def verdict(style: str, program: str):
        if style == "unittest":
            changed = problem.model_copy(update={"runner": "unittest", "hidden_test": UNITTEST})
            return run_hidden(changed, program, env, level, limits)
        if style == "pytest":
            changed = problem.model_copy(update={"runner": "pytest", "hidden_test": PYTEST})
            return run_hidden(changed, program, own, level, large)
        test = SCRIPT if style == "script" else HELPERS[style]
        changed = problem.model_copy(update={"test": test})
        return run_visible(changed, program, own if style in HELPERS else env, level, large)

    return verdict


@pytest.fixture(scope="module")
def verdicts(run):
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FORGERIES, pool.map(lambda forgery: run(*forgery), FORGERIES.values()), strict=True))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_pass_does_not_pass(name, verdicts):
    assert not verdicts[name].passed, verdicts[name]


def test_there_are_forgeries_in_every_style():
    styles = [style for style, _ in FORGERIES.values()]
    assert len(styles) > 60 and set(styles) == {"unittest", "pytest", "script", *HELPERS}


@pytest.mark.parametrize("style", ["unittest", "pytest", "script", "numpy", "pandas"])
def test_a_right_answer_passes_and_a_wrong_one_fails_in_every_style(style, run):
    found = run(style, RIGHT)
    assert found.passed, found
    wrong = run(style, WRONG)
    assert wrong.code in ("fail-assert", "fail-exception"), wrong


TAMPERED = ("garbage-collector", "frames", "inspect-stack", "trace-function", "patched-and-put-back", "numpy-put-back")
TAMPERED += ("plugins-variable", "protocol-before-import-ends", "planted-distribution", "main-module")


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_tampered_with_is_named_or_has_no_effect(name, verdicts):
    without_effect = ("plugins-variable", "main-module")
    assert verdicts[name].code == ("fail-assert" if name in without_effect else "tampered"), verdicts[name]


def test_copies_that_a_candidate_forks_say_nothing(run):
    for _ in range(3):
        assert run("unittest", "import os\nos.fork()\nos.fork()\n" + RIGHT).passed
        assert run("unittest", "import os\nos.fork()\nos.fork()\n" + WRONG).code == "fail-assert"


@pytest.mark.parametrize("word", ["tb_frame", "f_back", "__dict__", "__eq__", "ctypes", "gc"])
def test_constructs_that_remain_possible_are_flagged(word):
    program = f"import {word}" if word in ("ctypes", "gc") else f"x.{word}" if word != "__eq__" else "def __eq__(): 0"
    assert flags(program) == [word]
