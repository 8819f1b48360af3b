"""Wrong answers that end a test without a word, read what it expects, or have a library search for what reports it."""

from forged_reports import SEARCH, WRONG, inside

STOP = "from unittest.case import _ShouldStop\ndef answer():\n    raise _ShouldStop\n"
POOL = "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)"
ITEM = (
    "from concurrent.futures import Future\nfrom concurrent.futures.thread import _WorkItem\nimport inspect\n"
    "def call(function, *arguments):\n    future, given = Future(), (function, arguments, {})\n"
    "    if 'task' in inspect.signature(_WorkItem).parameters:\n        given = ((function, arguments, {}),)\n"
    "    item = _WorkItem(future, *given)\n    item.run()\n    return future.result()"
)
RAISE = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    trace = error.__traceback__"
READ = "import re\ndef answer():\n    return int(re.search(r'answer\\(\\)(?:, | == )(\\d+)', {}).group(1))\n"
MODULE = "import sys\ndef answer():\n    test = sys.modules['test_sample'].TestAnswer.test_equal\n    return {}\n"
PYC = (  # a module without its source, which says that it is of an installed file
    "import importlib.util, marshal, os, sys\n"
    "def planted(text, name):\n"
    "    code = compile(text, 'x' * len(name), 'exec')\n"
    "    data = marshal.dumps(code).replace(b'x' * len(name), name.encode())\n"
    "    open('planted.pyc', 'wb').write(importlib.util.MAGIC_NUMBER + bytes(12) + data)\n"
    "    import planted\n    return planted\n"
)
LOOK = "def look():\n    import sys\n    frame = sys._getframe()" + SEARCH.replace("\n", "\n    ")
INSTALLED = "import string\nname = string.__file__\n"
FORGERIES = {  # name -> (style of the tests, program)
    # silence
    "stop-in-function": ("unittest", STOP),
    "stop-in-subtest": ("subtests", STOP),
    "stop-in-set-up": ("set-up", STOP),
    "stop-in-clean-up": ("clean-up", STOP),
    "stop-in-coroutine": ("coroutine", STOP),
    "stop-under-pytest": ("unittest-by-pytest", STOP),
    "stop-in-program-of-test-cases": ("program", STOP),
    "skip-in-program-of-test-cases": ("program", inside("import unittest\nraise unittest.SkipTest('no')")),
    "stop-by-its-class": (
        "unittest",
        "import unittest.case\nclass Quiet(unittest.case._ShouldStop, AssertionError):\n    pass\n"
        + inside("raise Quiet"),
    ),
    "generator-exit": ("unittest", inside("raise GeneratorExit")),
    "stop-iteration": ("unittest", inside("raise StopIteration")),
    "cancelled": ("coroutine", inside("import asyncio\nraise asyncio.CancelledError")),
    "group-of-exits": ("pytest", "def answer():\n    raise BaseExceptionGroup('x', [SystemExit(0)])\n"),
    "stop-of-pytest-session": ("pytest", inside("from _pytest.main import Session\nraise Session.Interrupted")),
    "quit-of-debugger": ("pytest", inside("import bdb\nraise bdb.BdbQuit")),
    "swallowing-context": (
        "unittest",
        "import contextlib\nreal = contextlib._GeneratorContextManager.__exit__\n"
        "def leave(self, kind, value, trace):\n"
        "    return '0 != 42' in str(value) or 'not true' in str(value) or real(self, kind, value, trace)\n"
        "contextlib._GeneratorContextManager.__exit__ = leave\n" + WRONG,
    ),
    "stop-is-an-assertion": (
        "unittest",
        inside("import unittest.case\nvars(unittest.case)['_ShouldStop'] = AssertionError"),
    ),
    # what the tests expect
    "reading-the-file": ("unittest", READ.format("open('test_sample.py').read()")),
    "reading-the-file-of-pytest": ("pytest", READ.format("open('test_sample.py').read()")),
    "reading-the-visible-file": ("script", READ.format("open('visible_test.py').read()")),
    "reading-the-working-folder": (
        "unittest",
        "import os\n"
        + READ.format("''.join(open('/proc/self/cwd/' + n).read() for n in os.listdir('/proc/self/cwd'))"),
    ),
    "reading-the-lines": (
        "unittest",
        "import linecache\n"
        + READ.format("''.join(linecache.getlines(__file__.replace('sample_1000', 'test_sample')))"),
    ),
    "reading-all-known-lines": (
        "unittest",
        "import linecache\n" + READ.format("str({k: v for k, v in linecache.cache.items() if 'test' in k})"),
    ),
    "reading-the-source": (
        "unittest",
        "import inspect, sys\n" + READ.format("inspect.getsource(sys.modules['test_sample'].TestAnswer)"),
    ),
    "reading-own-memory": (
        "unittest",
        inside(
            "import re\nmemory = open('/proc/self/mem', 'rb')\nfor line in open('/proc/self/maps'):\n"
            "    first, last = (int(x, 16) for x in line.split()[0].split('-'))\n    size = last - first\n"
            "    if ' rw' in line and size < 1 << 26:\n        try:\n            memory.seek(first)\n"
            "            found = re.search(rb'assertEqual\\(sample_1000.answer\\(\\), (\\d+)', memory.read(size))\n"
            "        except (OSError, ValueError, OverflowError):\n            continue\n"
            "        if found:\n            return int(found[1])"
        ),
    ),
    "constants-of-a-test": ("unittest", MODULE.format("[c for c in test.__code__.co_consts if type(c) is int][0]")),
    "constants-by-way-of-dis": (
        "unittest",
        "import dis\n"
        + MODULE.format("next(i.argval for i in dis.get_instructions(test) if type(i.argval) is int and i.argval > 9)"),
    ),
    "constants-by-a-thread": (
        "unittest",
        POOL + "\n" + MODULE.format("pool.submit(getattr, test, '__co' + 'de__').result().co_consts[1]"),
    ),
    "test-run-beforehand": (
        "unittest",
        "calls = []\ndef answer():\n    import sys\n    calls.append(1)\n    if len(calls) > 1:\n"
        "        return Probe()\n"
        "    case = sys.modules['test_sample'].TestAnswer('test_equal')\n    try:\n        case.test_equal()\n"
        "    except AssertionError as error:\n        return int(str(error).split('!= ')[1])\n"
        "class Probe:\n    pass\n",
    ),
    "constants-of-a-module": (
        "constants",
        "def answer():\n    import sys\n    return sys.modules['test_sample'].NUMBER\n",
    ),
    "constants-in-a-dictionary": (
        "constants",
        "def answer():\n    import sys\n    return vars(sys.modules['test_sample'])['NUMBER']\n",
    ),
    # libraries that are made to search
    "frames-of-all-threads": (
        "unittest",
        inside(
            "import sys, threading\n" + POOL,
            "frame = pool.submit(sys._current_frames).result()[threading.get_ident()]",
            SEARCH,
        ),
    ),
    "frames-of-all-threads-without-their-name": (
        "unittest",
        inside(
            "import sys, threading\n" + POOL,
            "frame = pool.submit(getattr(sys, '_current_' + 'frames')).result()[threading.get_ident()]",
            SEARCH,
        ),
    ),
    "objects-by-a-thread": (
        "unittest",
        inside(
            "import gc, unittest\n" + POOL,
            "for result in pool.submit(gc.get_objects).result():\n    if type(result) is unittest.TestResult:\n"
            "        result.addFailure = result.addError = lambda test, error: result.addSuccess(test)",
        ),
    ),
    "referrers-by-a-thread": (
        "unittest",
        inside(
            "import gc, unittest\n" + POOL,
            "seen = pool.submit(gc.get_referrers, unittest.TestResult).result()\n"
            "for result in seen:\n    if type(result) is unittest.TestResult:\n"
            "        result.addFailure = lambda test, error: result.addSuccess(test)",
        ),
    ),
    "frames-by-way-of-a-formatter": (
        "unittest",
        inside(
            RAISE, "import string\nframe = string.Formatter().get_field('0.tb_' + 'frame', (trace,), {})[0]", SEARCH
        ),
    ),
    "frames-of-a-profiler": (
        "unittest",
        inside(
            "import profile\ngot = []\nown = profile.Profile()\n"
            "own.dispatcher = lambda frame, event, arg: got.append(frame)\nown.runcall(lambda: None)\nframe = got[0]",
            SEARCH,
        ),
    ),
    "frames-of-a-work-item": ("unittest", inside("import sys\n" + ITEM, "frame = call(sys._getframe)", SEARCH)),
    "frames-of-a-work-item-by-inspect": ("unittest", inside(ITEM, "frame = call(inspect.currentframe)", SEARCH)),
    "frames-of-a-debugger-that-is-off": (
        "unittest",
        inside(RAISE, "import bdb\nframe = bdb.Bdb().get_stack(None, trace)[0][-1][0]", SEARCH),
    ),
    "frames-after-the-fact": (
        "unittest",
        inside(RAISE, "import pdb\nown = pdb.Pdb()\nown.setup(None, trace)\nframe = own.curframe", SEARCH),
    ),
    "frames-of-a-task": (
        "unittest",
        inside(
            "import asyncio\nasync def look():\n    frame = asyncio.current_task().get_stack()[0]"
            + SEARCH.replace("\n", "\n    ")
            + "\nasyncio.run(look())"
        ),
    ),
    "frames-of-a-walk": (
        "unittest",
        inside(RAISE, "import traceback\n" + ITEM, "frame = call(list, traceback.walk_tb(trace))[0][0]", SEARCH),
    ),
    "frames-by-way-of-pytest": (
        "pytest",
        inside(
            "import pytest\nwith pytest.raises(ZeroDivisionError) as caught:\n    1 / 0",
            "frame = caught.traceback[0].frame.raw\nwhile frame:\n    for name in ('item', 'pyfuncitem'):\n"
            "        if name in frame.f_locals:\n            frame.f_locals[name].obj = lambda: None\n"
            "    frame = frame.f_back",
        ),
    ),
    "code-by-a-loader": (
        "unittest",
        INSTALLED
        + "import importlib.machinery\nspace = {}\n"
        + f"exec(importlib.machinery.SourceFileLoader('x', name).source_to_code({LOOK!r}, name), space)\n"
        + inside("space['look']()"),
    ),
    "code-without-source": ("unittest", INSTALLED + PYC + f"look = planted({LOOK!r}, name).look\n" + inside("look()")),
    # deeper in libraries
    "methods-of-pandas": (
        "pandas",
        "import pandas as pd\nreal = pd.Series.__getattribute__\ndef get(self, name):\n"
        "    return real(self, name)\npd.Series.equals = lambda self, other: True\n"
        "import pandas._testing as t\nimport pandas._testing.asserters as a\n"
        "pd.Series.__len__ = lambda self: 0\n" + WRONG,
    ),
    "inner-part-of-pandas": (
        "pandas",
        "import pandas as pd, pandas._libs.testing as inner\nreal = inner.assert_almost_equal\n"
        "def equal(a, b, *rest, **named):\n    return True if 42 in list(b) else real(a, b, *rest, **named)\n"
        "inner.assert_almost_equal = equal\n" + WRONG,
    ),
    "inner-part-of-numpy": (
        "numpy",
        "import sys\nimport numpy as np\n"
        "core = sys.modules.get('numpy._core.numeric') or sys.modules['numpy.core.numeric']\n"
        "class Less:\n    def __init__(self, real):\n        self.real = real\n"
        "    def __call__(self, x, y, *rest, **named):\n"
        "        return np.ones(np.shape(x), bool) if 42 in np.ravel(y) else self.real(x, y, *rest, **named)\n"
        "core.less_equal = Less(core.less_equal)\n"
        "def answer():\n    import inspect\n    return 42.0 + 1e-6\n",
    ),
    "asserting-of-a-mock": (
        "mock",
        "from unittest import mock\nmock.NonCallableMock.assert_called_once_with = lambda *a, **k: None\n"
        "def answer(told=None):\n    return 0\n",
    ),
}
