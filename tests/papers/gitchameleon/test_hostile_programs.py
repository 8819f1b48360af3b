"""Hostile programs: each is contained, and reported as what it is. All run under small limits."""

import os
import socket
from pathlib import Path

import pytest

from papers.gitchameleon.harness.execution import flags, run_hidden, run_visible
from shared.sandbox.box import FIRST_UID, Limits

HEAD = "import textkit\n\ndef join_with_bar(lines):\n"
GOOD = HEAD + '    return textkit.join_lines(lines, sep="|")\n'


def test_a_fork_bomb_is_contained_and_nothing_of_it_is_left(level, limits, problem, env):
    marker = f"bomb-{os.getpid()}"
    # bounded in itself too: at most 2 ** 7 processes, were every limit to fail
    bomb = f"import os, time\nmarker = {marker!r}\nfor _ in range(7):\n    os.fork()\ntime.sleep(3)\n" + GOOD
    verdict = run_hidden(problem, bomb, env, level, limits)
    # which of its copies is refused a fork is chance: if only later ones are, they wait for ever and the clock ends it,
    # or two of them announce their import, and the harness does not tell a second speaker from a forgery
    assert verdict.code in ("over-limit", "fail-exception", "timeout", "tampered"), verdict
    assert verdict.exception in (None, "BlockingIOError")
    first = FIRST_UID + os.getpid() % 10_000 * 1000  # started as root, this process's boxes have users of their own
    own_boxes = range(first, first + 1000)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:
            continue
        uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])
        assert uid not in own_boxes, "a process of a box is alive"


def test_a_memory_bomb_is_reported_as_out_of_memory(level, limits, problem, env):
    by_address_space = HEAD + "    return bytearray(1 << 30)\n"
    assert run_hidden(problem, by_address_space, env, level, limits).code == "oom"
    by_residence = HEAD + "    import time\n    x = bytearray(b'x' * (400 << 20))\n    time.sleep(10)\n"
    assert run_hidden(problem, by_residence, env, level, limits).code == "oom"


def test_a_full_disk_is_the_programs_own_error(level, limits, problem, env):
    one_file = HEAD + "    open('x', 'wb').write(b'x' * (9 << 20))\n"
    verdict = run_hidden(problem, one_file, env, level, limits)
    assert (verdict.code, verdict.exception) == ("fail-exception", "OSError")
    many_files = HEAD + "    for i in range(40):\n        open(str(i), 'wb').write(b'x' * (1 << 20))\n"
    verdict = run_hidden(problem, many_files, env, level, limits)
    assert (verdict.code, verdict.exception) == ("fail-exception", "OSError")


def test_endless_output_is_stopped_and_kept_short(level, limits, problem, env):
    verdict = run_hidden(problem, HEAD + "    while True:\n        print('x' * 1000)\n", env, level, limits)
    assert verdict.code == "over-limit" and len(verdict.output) < 80_000


def test_much_output_is_cut_in_the_middle_and_does_not_stop_a_pass(level, limits, problem, env):
    loud = GOOD.replace("return", "print('start', 'x' * 200_000, 'end')\n    return")
    verdict = run_hidden(problem, loud, env, level, limits)
    assert verdict.passed and "start" in verdict.output and "bytes left out" in verdict.output


def test_an_endless_loop_and_ignored_signals_end_by_the_clock(level, limits, problem, env):
    short = Limits(**{**vars(limits), "wall_seconds": 1.5})
    ignoring = "import signal\nfor s in (2, 15, 24):\n    signal.signal(s, signal.SIG_IGN)\nwhile True:\n    pass\n"
    assert run_hidden(problem, ignoring + GOOD, env, level, short).code == "timeout"


def test_there_is_no_network_not_even_to_this_machine(level, limits, problem, env):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        for address in (("127.0.0.1", server.getsockname()[1]), ("192.0.2.1", 80)):
            code = HEAD + f"    import socket\n    socket.create_connection({address!r}, 2)\n"
            verdict = run_hidden(problem, code, env, level, limits)
            assert verdict.code == "fail-exception" and verdict.exception in ("OSError", "ConnectionRefusedError")
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


def test_nothing_outside_the_scratch_space_can_be_written(level, limits, problem, env, tmp_path):
    before = sorted(p.name for p in env.path.iterdir())
    targets = [
        str(env.path / "lib" / "planted.py"),
        str(tmp_path / "x"),
        "/usr/x",
        "/etc/x",
        "/x",
        "/dev/x",
        "/proc/sys/kernel/x",
    ]
    for target in targets:
        verdict = run_hidden(problem, HEAD + f"    open({target!r}, 'w')\n", env, level, limits)
        assert verdict.code == "fail-exception", (target, verdict)
        assert verdict.exception in ("OSError", "PermissionError", "FileNotFoundError"), (target, verdict)
    assert sorted(p.name for p in env.path.iterdir()) == before and not (tmp_path / "x").exists()


FORGERIES = {
    "os-exit-at-import": ("early-exit", "import os\nos._exit(0)\n"),
    "sys-exit-at-import": ("early-exit", "import sys\nsys.exit(0)\n"),
    "raise-system-exit": ("early-exit", "raise SystemExit(0)\n"),
    "os-exit-in-function": ("early-exit", HEAD + "    import os\n    os._exit(0)\n"),
    "sys-exit-in-function": ("fail-exception", HEAD + "    import sys\n    sys.exit(0)\n"),
    "skip-in-function": ("fail-exception", HEAD + "    import unittest\n    raise unittest.SkipTest('no')\n"),
    "skip-at-import": ("fail-exception", "import unittest\nraise unittest.SkipTest('no')\n"),
    "atexit": ("early-exit", "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit\n"),
    "patched-assertion": (
        "tampered",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None\n" + HEAD + "    return 0\n",
    ),
    "patched-in-function": (
        "tampered",
        HEAD + "    import unittest\n    unittest.TestCase.assertEqual = lambda *a, **k: None\n",
    ),
    "patched-and-restored-later": (
        "tampered",
        "import unittest\nclass Liar(unittest.TestCase):\n    pass\n"
        "unittest.TestCase.run = lambda self, result: result.addSuccess(self)\n" + HEAD + "    return 0\n",
    ),
    "equal-to-everything": (
        "fail-assert",
        "class Any(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\n"
        + HEAD
        + "    raise AssertionError\n",
    ),
    "forged-report": (
        "tampered",
        "import json, os\nfor fd in range(3, 64):\n    try:\n"
        '        os.write(fd, b\'{"event": "imported"}\\n{"event": "done", "replaced": []}\\n\')\n'
        "    except OSError:\n        pass\nos._exit(0)\n",
    ),
    "forged-output": ("early-exit", "print('1 passed in 0.01s')\nimport os\nos._exit(0)\n"),
    "planted-tests": (
        "fail-exception",
        "for name in ('test_sample.py', 'conftest.py', 'unittest.py', 'sitecustomize.py'):\n"
        "    open(name, 'w').write('def test_a(): pass')\n" + HEAD + "    raise KeyError\n",
    ),
    "killed-parent": (
        "early-exit",
        "import os, signal\nfor pid in (1, os.getppid()):\n    try:\n        os.kill(pid, signal.SIGKILL)\n"
        "    except OSError:\n        pass\nos.kill(0, signal.SIGKILL)\n",
    ),
    "patched-builtins": ("tampered", "import builtins\nbuiltins.compile = lambda *a, **k: 'pass'\n" + HEAD + "    0\n"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_pass_does_not_pass(name, level, limits, problem, env):
    expected, code = FORGERIES[name]
    verdict = run_hidden(problem, code, env, level, limits)
    assert verdict.code == expected, verdict


@pytest.mark.parametrize("name", ["os-exit-at-import", "sys-exit-at-import", "os-exit-in-function", "forged-report"])
def test_no_exit_passes_the_visible_stage(name, level, limits, problem, env):
    verdict = run_visible(problem, FORGERIES[name][1], env, level, limits)
    assert verdict.code in ("early-exit", "tampered"), verdict


def test_an_honest_program_passes_both_stages(level, limits, problem, env):
    assert run_hidden(problem, GOOD, env, level, limits).passed
    assert run_visible(problem, GOOD, env, level, limits).passed


def test_a_program_that_searches_the_interpreter_is_flagged():
    assert flags("import gc\nfor o in gc.get_objects(): pass") == ["gc", "get_objects"]
    assert flags("import sys\nsys._getframe(1).f_back") == ["_getframe", "f_back"]
    assert flags(GOOD) == []
