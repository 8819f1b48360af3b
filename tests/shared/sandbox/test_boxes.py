"""A program alone in a box: what it may start, reach and keep is limited, and nothing of it is left."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shared.sandbox.box import BoxSpec, Limits, bwrap_arguments, environment
from shared.sandbox.levels import available_levels, choose_level
from shared.sandbox.running import run_boxed

LIMITS = Limits(
    wall_seconds=20, cpu_seconds=10, memory_mb=256, address_space_mb=768, processes=24, file_mb=8, scratch_mb=16
)


ISOLATING = [found for found in available_levels() if found != "rlimit"]


@pytest.fixture(scope="module", params=ISOLATING or [None])
def level(request):
    return request.param or pytest.skip("neither bubblewrap nor namespaces work on this machine")


def run_code(code: str, level: str, limits: Limits = LIMITS):
    """Run by the system's own Python, without an environment."""
    return run_boxed(BoxSpec(level, [sys_python(), "-I", "-S", "-c", code], [sys.base_prefix], limits, environment()))


def sys_python() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")


def test_the_process_limit_holds_for_a_harmless_program(level):
    code = """
import os, time
made = 0
try:
    while made < 40:
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
        made += 1
except OSError:
    print("refused after", made)
"""
    result = run_code(code, level)
    assert result.stopped == "processes" or "refused after" in result.output, result
    assert "refused after 40" not in result.output


def test_a_daemon_does_not_outlive_its_box(level):
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
print("left")
"""
    result = run_code(code, level)  # a daemon that held the box open would be stopped with it
    assert result.exit == 0 and result.stopped is None and "left" in result.output


def test_no_rights_can_be_won_back(level):
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print("unshare", libc.unshare(0x10000000), "mount", libc.mount(b"x", b"/tmp", b"tmpfs", 0, None))
print([l.split()[1] for l in open("/proc/self/status") if l.startswith(("CapEff", "CapPrm", "CapBnd", "NoNewPrivs"))])
try:
    os.setuid(0)
    print("root")
except OSError:
    print("refused")
"""
    result = run_code(code, level)
    none = "0" * 16
    assert "unshare -1 mount -1" in result.output and "refused" in result.output, result
    assert f"['{none}', '{none}', '{none}', '1']" in result.output, result.output


def test_secrets_of_the_environment_and_the_home_are_not_there(level, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    (tmp_path / "secret").write_text("sk-secret", encoding="utf-8")
    code = f"""
import itertools
import os
print(dict(os.environ))
for path in ({str(tmp_path / "secret")!r}, {str(Path(__file__).parent)!r}, "/etc/shadow"):
    print(path, os.path.exists(path))
home = {str(Path.home())!r}  # there as a way to an interpreter at most
print(home, os.path.isdir(home) and len(os.listdir(home)) > 1)
for pid in filter(str.isdigit, os.listdir("/proc")):
    print(open("/proc/%s/cmdline" % pid).read().replace(chr(0), " ")[:200])
    try:
        print(open("/proc/%s/environ" % pid).read())
    except OSError:
        pass
"""
    result = run_code(code, level)
    assert "sk-secret" not in result.output and "True" not in result.output, result.output
    assert result.exit == 0


def test_a_talk_goes_line_by_line_in_both_directions(level):
    code = """
import os
fd, text = int(os.environ["BOX_FD"]), b""
for _ in range(2):
    while b"\\n" not in text:
        text += os.read(fd, 100)
    line, text = text.split(b"\\n", 1)
    os.write(fd, line.upper() + b"\\n")
"""
    spec = BoxSpec(level, [sys_python(), "-I", "-S", "-c", code], [sys.base_prefix], LIMITS, environment())
    result = run_boxed(spec, lambda line: b"two\n" if line == b"ONE" else None, b"one\n")
    assert result.exit == 0 and result.lines == [b"ONE", b"TWO"], result


def test_a_level_that_is_not_there_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr("shared.sandbox.levels.available_levels", lambda: ("rlimit",))
    with pytest.raises(ValueError, match="install bubblewrap"):
        choose_level()
    assert choose_level(unsafe=True) == "rlimit"
    with pytest.raises(ValueError, match="does not work here"):
        choose_level("bwrap")
    with pytest.raises(ValueError, match="unknown sandbox level 'docker'"):
        choose_level("docker")


@pytest.mark.parametrize("ignoring", ["", "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"])
def test_what_uses_up_its_cpu_time_is_told_from_what_ends_itself(level, ignoring):
    short = replace(LIMITS, cpu_seconds=1, wall_seconds=60)
    spent = run_code(ignoring + "while True:\n    pass\n", level, short)
    assert spent.stopped == "cpu" and 0.7 <= spent.cpu_seconds < 3, spent
    ended = run_code("import os\nos.kill(os.getpid(), 9)\n", level, short)
    assert ended.stopped is None and ended.exit in (-9, 128 + 9) and ended.cpu_seconds < 0.7, ended


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="limit memory_mb has to be positive"):
        Limits(memory_mb=0)


def test_bubblewrap_gets_the_talk_and_leaves_nothing_writable_but_the_scratch_space():
    spec = BoxSpec("bwrap", ["/bin/true"], [], LIMITS, environment())
    arguments = bwrap_arguments(spec, {"BOX_FD": "7"})
    assert arguments[arguments.index("--setenv") :][:3] == ["--setenv", "BOX_FD", "7"]
    read_only = [after for option, after in itertools.pairwise(arguments) if option == "--remount-ro"]
    assert read_only == ["/dev", "/"] and arguments.count("--tmpfs") == arguments.count("--size") == 2
