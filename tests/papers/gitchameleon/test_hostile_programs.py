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
    # each copy waits, so that it is the program itself that is refused a process
    bomb = (
        f"import os, time\nmarker = {marker!r}\nfor _ in range(200):\n    if os.fork() == 0:\n        time.sleep(9)\n"
    )
    verdict = run_hidden(problem, bomb + GOOD, env, level, limits)
    assert (verdict.code, verdict.exception) == ("fail-exception", "BlockingIOError"), verdict
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


def test_an_honest_program_passes_both_stages(level, limits, problem, env):
    assert run_hidden(problem, GOOD, env, level, limits).passed
    assert run_visible(problem, GOOD, env, level, limits).passed


def test_a_program_that_searches_the_interpreter_is_flagged():
    assert flags("import gc\nfor o in gc.get_objects(): pass") == ["gc", "get_objects"]
    assert flags("import sys\nsys._getframe(1).f_back") == ["_getframe", "f_back"]
    assert flags(GOOD) == []
