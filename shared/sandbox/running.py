"""Runs a program in a box and watches it: time, memory, processes, output, and a line-by-line talk with it."""

import contextlib
import itertools
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shared.sandbox.box import ETC, FIRST_UID, SYSTEM, BoxSpec, bwrap_arguments, launcher

OWN_FOLDERS = ("HOME", "TMPDIR", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")  # at level rlimit: the scratch folder
END_SECONDS = 10.0  # for a box to go once it is killed
POLL_SECONDS = 0.1  # how often memory and processes are counted
CPU_SHARE = 0.7  # of the limit: the kernel ends by ticks, and counts what was used more finely
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # the second as bubblewrap reports it
_COUNTER = itertools.count()
MAX_LINE = 8 << 20  # bytes of one line of the talk; a longer one ends it


class Output:
    """Head and tail of what a program wrote."""

    def __init__(self, keep: int) -> None:
        self._half, self._head, self._tail, self.total = keep // 2, b"", b"", 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head, data = self._head + data[:room], data[room:]
        self._tail = (self._tail + data)[-self._half :]

    @property
    def text(self) -> str:
        left_out = self.total - len(self._head) - len(self._tail)
        middle = f"\n[... {left_out} bytes left out ...]\n".encode() if left_out else b""
        return (self._head + middle + self._tail).decode(errors="replace")


@dataclass
class Result:
    """How a program in a box ended.

    Args:
        exit: its exit status, minus the signal's number if one ended it; None if it was not seen to end.
        stopped: why we ended it: timeout, memory, processes or output, or cpu, where the kernel ended it at the limit
            of CPU time; None if it ended by itself.
        error: why the box could not be made; the program did not run.
    """

    exit: int | None = None
    stopped: str | None = None
    error: str | None = None
    output: str = ""
    output_bytes: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    lines: list[bytes] = field(default_factory=list)  # of the talk


def run_boxed(spec: BoxSpec, talk: Callable[[bytes], bytes | None] | None = None, first: bytes = b"") -> Result:
    """Start the program, watch it until it ends, end all that it started.

    Args:
        talk: gets every line that the program writes to the file descriptor in BOX_FD; what it returns is sent back.
        first: sent to the program at the start.
    """
    scratch = Path(tempfile.mkdtemp(prefix="box-"))
    try:
        return _Run(spec, scratch, talk, first).result()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Run:
    def __init__(self, spec: BoxSpec, scratch: Path, talk, first: bytes) -> None:
        self.spec, self.talk, self.outbox = spec, talk, first
        self.answer = Result()
        self.output = Output(spec.limits.output_kb << 10)
        self.ours, theirs = socket.socketpair()
        status_read, status_write = os.pipe()
        out_read, out_write = os.pipe()
        self.status, self.out = status_read, out_read
        self.status_text, self.talk_text, self.box = b"", b"", None
        command = [*launcher(), json.dumps(self._content(scratch, theirs.fileno(), status_write))]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out_write,
                stderr=out_write,
                pass_fds=[theirs.fileno(), status_write],
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(status_write)
            os.close(out_write)

    def _content(self, scratch: Path, talk_fd: int, status_fd: int) -> dict:
        spec, level = self.spec, self.spec.level
        work = scratch / "work"
        work.mkdir()
        root, outside = os.geteuid() == 0 and level == "namespaces", level == "rlimit"
        env = {**spec.env, "BOX_FD": str(talk_fd)} | (dict.fromkeys(OWN_FOLDERS, str(work)) if outside else {})
        return {
            "level": level,
            "argv": spec.argv,
            "env": env,
            "readonly": [*SYSTEM, *spec.readonly],
            "etc": ETC,
            "root": str(scratch),
            "work": str(work),
            "uid": FIRST_UID + os.getpid() % 10_000 * 1000 + next(_COUNTER) % 1000 if root else None,
            "limits": asdict(spec.limits),
            "bwrap": bwrap_arguments(spec, env) if level == "bwrap" else [],
            "keep_fds": [talk_fd],
            "status_fd": status_fd,
        }

    def result(self) -> Result:
        start = time.monotonic()
        try:
            self._watch(start)
        finally:
            self._end_everything()
        answer = self.answer
        answer.wall_seconds = time.monotonic() - start
        answer.output, answer.output_bytes = self.output.text, self.output.total
        return answer

    def _watch(self, start: float) -> None:
        limits, next_count = self.spec.limits, start
        with selectors.DefaultSelector() as selector:
            for source in (self.status, self.out):
                os.set_blocking(source, False)
                selector.register(source, selectors.EVENT_READ)
            self.ours.setblocking(False)
            selector.register(self.ours, selectors.EVENT_READ | selectors.EVENT_WRITE)
            open_sources = {self.status, self.out}
            while self.status in open_sources:  # the launcher holds it until the box has ended
                now = time.monotonic()
                if now - start > limits.wall_seconds:
                    return self._stop("timeout")
                for key, events in selector.select(timeout=POLL_SECONDS):
                    if key.fileobj is self.ours:
                        self._converse(selector, events)
                    elif not self._read(key.fileobj):
                        selector.unregister(key.fileobj)
                        open_sources.discard(key.fileobj)
                if self.output.total > limits.output_stop_mb << 20:
                    return self._stop("output")
                if now >= next_count and (reason := self._over_limit()):
                    return self._stop(reason)
                next_count = now + POLL_SECONDS if now >= next_count else next_count
            self._drain(selector)
        if self.answer.exit in KILLED and self.answer.cpu_seconds >= CPU_SHARE * limits.cpu_seconds:
            self._stop("cpu")

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """What lies in the pipes when the box has ended."""
        for read in (lambda: self._read(self.out), lambda: self._receive()):
            with contextlib.suppress(OSError):
                while read():
                    pass

    def _read(self, source: int) -> bool:
        """Reads once; False at the end of the stream."""
        try:
            data = os.read(source, 1 << 16)
        except BlockingIOError:
            return source != self.out or self.process.poll() is None
        if source == self.out:
            self.output.add(data)
        else:
            self.status_text += data
            self._read_status()
        return bool(data)

    def _read_status(self) -> None:
        *lines, self.status_text = self.status_text.split(b"\n")
        for line in lines:
            content = json.loads(line)
            self.box = content.get("box", self.box)
            self.answer.exit = content.get("exit", self.answer.exit)
            self.answer.cpu_seconds = content.get("cpu_seconds", self.answer.cpu_seconds)
            self.answer.error = content.get("error", self.answer.error)

    def _converse(self, selector: selectors.BaseSelector, events: int) -> None:
        alive = True
        if events & selectors.EVENT_WRITE and self.outbox:
            try:
                self.outbox = self.outbox[self.ours.send(self.outbox) :]
            except (BrokenPipeError, ConnectionResetError):
                self.outbox = b""
        if events & selectors.EVENT_READ:
            alive = self._receive()
        if not alive:
            selector.unregister(self.ours)
            return
        selector.modify(self.ours, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outbox else 0))

    def _receive(self) -> bool:
        try:
            data = self.ours.recv(1 << 16)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.talk_text += data
        if len(self.talk_text) > MAX_LINE and b"\n" not in self.talk_text:
            return False
        *lines, self.talk_text = self.talk_text.split(b"\n")
        for line in lines:
            self.answer.lines.append(line)
            reply = self.talk(line) if self.talk else None
            self.outbox += reply or b""
        return bool(data)

    def _over_limit(self) -> str | None:
        if self.box is None:
            return None
        pids = descendants(self.box)
        memory = sum(resident_mb(pid) for pid in pids)
        self.answer.peak_mb = max(self.answer.peak_mb, memory)
        if memory > self.spec.limits.memory_mb:
            return "memory"
        # the kernel refuses before that, wherever it counts; how many are seen must not depend on when we look
        return "processes" if len(pids) > self.spec.limits.processes + 6 else None

    def _stop(self, reason: str) -> None:
        self.answer.stopped = reason

    def _end_everything(self) -> None:
        """Kill the box and the launcher; with process 1 of the box, the kernel ends all that is in it."""
        if self.process.poll() is None:
            for pid in descendants(self.process.pid)[1:]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            try:  # the launcher ends when process 1 is gone, and that when all of the box are
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for source in (self.status, self.out):
            os.close(source)
        self.ours.close()


def descendants(pid: int) -> list[int]:
    """`pid` and the processes below it."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        try:
            for task in os.listdir(f"/proc/{current}/task"):
                with open(f"/proc/{current}/task/{task}/children", encoding="utf-8") as file:
                    waiting.extend(int(child) for child in file.read().split())
        except (OSError, ValueError):
            continue
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of a process without what it shares; 0 if it has gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
            _, resident, shared = file.read().split()[:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except (OSError, ValueError):
        return 0.0
