"""Wrong answers that end as if all were well, report outcomes of their own, or search for what reports them."""

WRONG = "\ndef answer():\n    return 0\n"


def inside(*lines: str) -> str:
    """A wrong answer whose function does something first."""
    return (
        "\ndef answer():\n" + "".join(f"    {line}\n" for text in lines for line in text.split("\n")) + "    return 0\n"
    )


ALL_FDS = "import os\nfor fd in range(3, 64):\n    try:\n        {}\n    except OSError:\n        pass\n"
SEARCH = """
while frame:
    seen = frame.f_locals
    if 'end' in seen and 'name' in seen:
        seen['end'](seen['name'])
    result = seen.get('result')
    if hasattr(result, 'addSuccess'):
        fail, succeed = result.addFailure, result.addSuccess
        result.addFailure = lambda test, error: succeed(test) if 'Answer' in str(test) else fail(test, error)
        break
    frame = frame.f_back
"""  # from a frame on: a test has reached its end, and its failure is reported as a pass; those of canaries are not
FORGERIES = {  # name -> (style of the tests, program)
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
    "frames-of-a-traceback": (
        "unittest",
        inside(
            "try:\n    raise ValueError\nexcept ValueError as error:\n    frame = error.__traceback__.tb_frame", SEARCH
        ),
    ),
    "frames-of-a-generator": (
        "unittest",
        inside("def own():\n    yield running.gi_frame.f_back\nrunning = own()\nframe = next(running)", SEARCH),
    ),
    "frames-by-way-of-logging": ("unittest", inside("import logging\nframe = logging.currentframe()", SEARCH)),
    "frames-of-a-debugger": (
        "unittest",
        inside(
            "import bdb\nclass Debugger(bdb.Bdb):\n    def user_line(self, frame):"
            + SEARCH.replace("\n", "\n        ")
            + "\n        self.set_quit()\nDebugger().set_trace()\nx = 1"
        ),
    ),
    "searching-under-an-installed-name": (
        "unittest",
        inside(
            f"text = {'import sys' + chr(10) + 'frame = sys._getframe()' + SEARCH!r}\n"
            "exec(compile(text, '/usr/lib/python3/os.py', 'exec'), {})"
        ),
    ),
    "code-with-another-file-name": (
        "unittest",
        "def look():\n    import sys\n    frame = sys._getframe()" + SEARCH.replace("\n", "\n    ") + "\nimport types\n"
        "look = types.FunctionType(look.__code__.replace(co_filename='/usr/lib/x.py'), globals())\n" + inside("look()"),
    ),
    "noise-that-hides-a-search": (
        "unittest",
        "import sys, threading\ndef noise():\n    for _ in range(20000):\n        compile('1', 'x', 'eval')\n"
        "sys.setswitchinterval(1e-6)\nfor _ in range(3):\n    threading.Thread(target=noise, daemon=True).start()\n"
        + inside("import sys\nframe = sys._getframe()", SEARCH),
    ),
}
