"""The judge's side of the box: passes reports of the answer's side on to the harness, under the run's secret.

It alone holds the socket to the harness, and no other process may look into it. To its child, the answer's side, lead
two pipes: orders go there as marshalled lists, reports come back one a line, written as Python literals of texts. A
report without the token of its stage ends the run. The harness gets JSON.
"""

import ast
import contextlib
import json
import marshal
import os
import select
import signal


def reader(fd):
    """A function that returns the next line from a descriptor; None at its end."""
    read, rest = os.read, [b""]

    def receive():
        while b"\n" not in rest[0]:
            data = read(fd, 1 << 16)
            if not data:
                return None
            rest[0] += data
        line, rest[0] = rest[0].split(b"\n", 1)
        return line

    return receive


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


def hide():
    """No other process of this user may look into this one's memory or descriptors."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


class Relay:
    """Talks with the harness on `fd` and with the child `pid` on the pipes `reports` and `orders`."""

    def __init__(self, fd, reports, orders, pid):
        self.fd, self.reports, self.orders, self.pid = fd, reports, orders, pid
        self.receive, self.token = reader(fd), os.urandom(16).hex()
        write_all(fd, b'{"event": "ready"}\n')
        self.nonce = json.loads(self.receive().decode())["nonce"]
        self.order([self.token])

    def tell(self, event, **content):
        """One report to the harness."""
        write_all(self.fd, (json.dumps(dict(content, event=event, nonce=self.nonce)) + "\n").encode())

    def order(self, content):
        """One list to the child, after its length."""
        data = marshal.dumps(content, 2)
        write_all(self.orders, b"%d\n" % len(data) + data)

    def hear(self, line):
        """One report of the child: passed on if it has the token. After the import it is given all that comes next."""
        try:
            fields = [ast.literal_eval(part) for part in line.decode().split("\t")]
            token, event = fields[:2]
            fine = token == self.token and all(type(field) is str for field in fields)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, OverflowError):
            fine = False
        if not fine:
            self.tell("forged")
            self.stop()
        self.tell(event, fields=fields[2:])
        if event == "imported":
            second = json.loads(self.receive().decode())
            if second.get("stop"):
                self.stop()
            self.token = os.urandom(16).hex()
            self.order([self.token, second["texts"], second["sources"], second["own"]])

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os._exit(0)

    def run(self):
        """Hears reports until the child has ended, and what lies in the pipe then; gives the child's wait status."""
        woken, rest, ended = wakened_by_a_child(), b"", None
        while True:
            if ended is None:
                done, status = os.waitpid(self.pid, os.WNOHANG)
                ended = status if done else None
            ready = select.select([self.reports, woken], [], [], 0 if ended is not None else 0.5)[0]
            if woken in ready:
                os.read(woken, 512)
            data = os.read(self.reports, 1 << 16) if self.reports in ready else b""
            rest += data
            while b"\n" in rest:
                line, rest = rest.split(b"\n", 1)
                with contextlib.suppress(BrokenPipeError):  # the child has gone
                    self.hear(line)
            if ended is not None and not data:
                return ended
            if self.reports in ready and not data:
                return os.waitpid(self.pid, 0)[1]


def wakened_by_a_child():
    """A descriptor that can be read when a child has ended."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *a: None)
    return woken


def relay(fd, reports, orders, pid):
    """Passes reports on until the child ends, and ends the same way."""
    hide()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    leave_as(Relay(fd, reports, orders, pid).run())


def leave_as(status):
    """Ends this process the way the child has ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))
