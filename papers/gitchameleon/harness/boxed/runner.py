# ruff: noqa: B905, UP004, UP031, RUF005 - it also runs under Python 3.7
"""Runs one candidate inside the box: `python -I -B runner.py`. Standard library, Python 3.7 and later.

Two processes. The judge's side keeps the socket to the harness (BOX_FD) and the run's secret; it cannot be read by the
other one. The answer's side is a child that has two pipes and nothing else: it gets a token, imports the candidate, and
says so with that token. Only then come the tests, the canaries, the code that runs them (`judging.py`) and a second
token, which every outcome has to carry. So at import there is no descriptor of the harness, no test, no secret of the
run and no class or module of ours to patch: what the answer's side holds of ours are closures.

Towards the answer's side lines are read as Python literals of texts, one report a line; the harness gets JSON.
"""

import ast
import contextlib
import dis
import importlib
import json
import marshal
import os
import select
import signal
import sys
import threading
import types

CONDUCT = ("sys.settrace", "sys.setprofile", "sys.monitoring.register_callback", "gc.get_objects", "gc.get_referrers")
CONDUCT += ("gc.get_referents", "sys._getframe", "sys._current_frames", "sys._getframemodulename")
REWRITTEN = ("__code__", "__defaults__", "__kwdefaults__")
PATCHED = "unittest unittest.case unittest.loader unittest.result unittest.suite unittest.util importlib traceback"


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


# ------------------------------------------------------------------------------------------- the judge's side


def hide():
    """No other process of this user may look into this one's memory or descriptors."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
    except (ImportError, OSError, AttributeError):
        pass


def relay(fd, reports, orders, pid):
    """Passes reports of the answer's side on, if they carry the token of their stage, until it has ended."""
    hide()
    receive = reader(fd)
    write_all(fd, b'{"event": "ready"}\n')
    nonce = json.loads(receive().decode())["nonce"]
    tokens = [os.urandom(16).hex()]

    def tell(event, **content):
        write_all(fd, (json.dumps(dict(content, event=event, nonce=nonce)) + "\n").encode())

    def order(content):
        data = marshal.dumps(content, 2)
        write_all(orders, b"%d\n" % len(data) + data)

    def hear(line):
        try:
            fields = [ast.literal_eval(part) for part in line.decode().split("\t")]
            token, event = fields[:2]
            fine = token == tokens[0] and all(type(field) is str for field in fields)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            fine = False
        if not fine:
            tell("forged")
            stop()
        tell(event, fields=fields[2:])
        if event == "imported":
            second = json.loads(receive().decode())
            if second.get("stop"):
                stop()
            tokens[0] = os.urandom(16).hex()
            order([tokens[0], second["judging"], second["tests"], second["before"], second["after"]])

    def stop():
        os.kill(pid, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    order([tokens[0]])
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *a: None)
    rest, ended = b"", None
    while True:
        if ended is None:
            done, status = os.waitpid(pid, os.WNOHANG)
            ended = status if done else None
        ready = select.select([reports, woken], [], [], 0 if ended is not None else 0.5)[0]
        if woken in ready:
            os.read(woken, 512)
        data = os.read(reports, 1 << 16) if reports in ready else b""
        rest += data
        while b"\n" in rest:
            line, rest = rest.split(b"\n", 1)
            with contextlib.suppress(BrokenPipeError):  # the answer's side has gone
                hear(line)
        if ended is not None and not data:
            break
        if reports in ready and not data:  # it has closed its end
            ended = os.waitpid(pid, 0)[1]
            break
    leave_as(ended)


def leave_as(status):
    """Ends this process the way the child has ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


# ------------------------------------------------------------------------------------------ the answer's side


def guarded_state(names):
    """(module, name) -> what a function, class or method is and what it is made of, of all that decides a test.

    Args:
        names: module -> names in it that count; None: all functions and classes that it defines or has imported.
    """
    functions = (types.FunctionType, types.BuiltinFunctionType)
    wrappers = (types.FunctionType, classmethod, staticmethod, property)
    state = {}
    for module_name, chosen in names.items():
        module = sys.modules.get(module_name)
        state["sys.modules", module_name] = (module,)
        for key, value in list(vars(module).items()) if module else []:
            if (chosen is not None and key not in chosen) or not callable(value):
                continue
            if isinstance(value, functions + (type,)) or chosen is not None:
                state[module_name, key] = parts(value)
            if isinstance(value, type) and value.__module__ == module_name:
                for method, function in list(vars(value).items()):
                    if isinstance(function, wrappers):
                        state[module_name, key + "." + method] = parts(function)
    return state


def parts(function):
    """A function and what can be exchanged within it while it stays the same object."""
    if not isinstance(function, types.FunctionType):
        return (function,)
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:
            cells.append(None)
    return (function, function.__code__, function.__defaults__) + tuple(cells)


def replaced(before, names):
    """Names of `before` that are something else now."""
    now, found = guarded_state(names), []
    for key, old in before.items():
        new = now.get(key, ())
        if len(new) != len(old) or not all(a is b for a, b in zip(old, new)):
            found.append("%s.%s" % key)
    return sorted(found)


def watch_conduct():
    """A list to which calls are added that look into the interpreter, made by code outside of installed packages.

    Audit hooks are there from Python 3.8 on, and cannot be removed.
    """
    seen, busy, getframe, startswith = [], [], sys._getframe, str.startswith
    installed = (sys.prefix, sys.base_prefix, "/usr/", "<frozen", os.path.abspath(__file__), "<judging>")
    passing = tuple(importlib.import_module(name).__file__ for name in ("inspect", "traceback"))

    def hook(event, arguments):
        if busy or (event not in CONDUCT and event != "object.__setattr__"):
            return
        busy.append(1)
        try:
            if event == "object.__setattr__":
                if arguments[1] not in REWRITTEN:
                    return
                event = "%s of a function" % arguments[1]
            frame = getframe(1)
            while frame is not None and frame.f_code.co_filename in passing:
                frame = frame.f_back  # asked for by way of inspect or traceback
            if frame is not None and not startswith(frame.f_code.co_filename, installed):
                seen.append(event)
        finally:
            busy.pop()

    if hasattr(sys, "addaudithook"):
        sys.addaudithook(hook)
    return seen


class Lines(object):
    """Trace function that keeps the lines of one file that have run, from import on, in every thread."""

    def __init__(self, path):
        self.path, self.ran = path, set()

    def start(self):
        threading.settrace(self)
        sys.settrace(self)

    def __call__(self, frame, event, argument):
        return self._line if frame.f_code.co_filename == self.path else None

    def _line(self, frame, event, argument):
        if event == "line":
            self.ran.add(frame.f_lineno)
        return self._line

    def report(self, source):
        """How many lines the line tables of the file's code name, and which of them have not run."""
        sys.settrace(None)
        threading.settrace(None)
        lines = line_numbers(compile(source, self.path, "exec", dont_inherit=True))
        return [str(len(lines)), " ".join(map(str, sorted(lines - self.ran)))]


def line_numbers(code):
    """Lines with instructions, of a code object and all that are nested in it."""
    found = set(line for _, line in dis.findlinestarts(code) if line)  # 0 and None stand for no line
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= line_numbers(constant)
    return found


def answer_side(orders, reports, request):
    """The answer's side around the candidate's import: a generator that yields a list once, into which the import's
    error goes, if there is one.

    Only the evaluation stack of `main` holds the generator while the candidate is imported: no frame, module or class
    leads to what it knows.
    """
    for fd in (orders, reports):
        os.set_inheritable(fd, False)
    me, pid_of, leave, write, read, loads = os.getpid(), os.getpid, os._exit, os.write, os.read, marshal.loads
    quote, encode, join, run, translate = str.__repr__, str.encode, str.join, exec, compile
    token, get_trace, flushes = [""], sys.gettrace, (sys.stdout.flush, sys.stderr.flush)

    def send(event, *texts):
        if pid_of() != me:
            leave(0)  # a copy that the candidate has forked speaks for nobody
        line = [quote(token[0]), quote(event)]
        for text in texts:
            line.append(quote(text))
        data = encode(join("\t", line) + "\n", "utf-8", "backslashreplace")
        while data:
            data = data[write(reports, data) :]

    def receive():
        size = b""
        while size[-1:] != b"\n":
            byte = read(orders, 1)
            if not byte or pid_of() != me:
                leave(71)
            size += byte
        data, size = b"", int(size)
        while len(data) < size:
            data += read(orders, size - len(data))
        return loads(data)

    token[0] = receive()[0]
    names, loaded = guarded_names(request["guard"])
    path, lines = path_of(request), None
    if request.get("lines"):
        lines = Lines(path)
        lines.start()
    before, seen = guarded_state(names), watch_conduct()

    def conduct():
        traced = [] if lines or get_trace() is None else ["sys.settrace"]
        try:
            return replaced(before, names) + sorted(set(seen)) + traced
        except Exception as problem:  # what it is made of has been exchanged
            return [type(problem).__name__ + " when asked for what was replaced"]

    error = []
    yield error
    if error:
        send(*error[0])
    else:
        send("imported", " ".join(loaded), "\n".join(conduct() + planted()))
        token[0], judging, tests, first, last = receive()
        stage = {"__name__": "judging", "__builtins__": __builtins__}
        run(translate(judging, "<judging>", "exec"), stage)
        stage["run"](send, request, (first, tests, last), conduct, path)
        send("done", "\n".join(conduct()), *(lines.report(request["code"]) if lines else ()))
    for flush in flushes:
        with contextlib.suppress(Exception):
            flush()
    leave(0)


def guarded_names(packages):
    """(module -> names to guard, packages that are here). They are imported before the candidate can touch them."""
    import unittest

    names, loaded = {name: None for name in ["builtins"] + PATCHED.split()}, []
    for package, modules in sorted(packages.items()):
        try:
            importlib.import_module(package)
        except Exception:
            continue  # not in this environment, or broken there: then the tests do without it, or say so
        loaded.append(package)
        for module, chosen in modules.items():
            try:
                importlib.import_module(module)
            except Exception:
                continue  # a module that other versions have
            names[module] = chosen
    return names, loaded


def planted():
    """What in the working folder would be taken for an installed distribution, with plugins of its own."""
    return ["planted " + name for name in os.listdir(".") if name.endswith((".dist-info", ".egg-info", ".pth"))]


def path_of(request):
    """The candidate's file."""
    name = request["module"] if request["mode"] == "hidden" else "program"
    return os.path.join(os.getcwd(), name + ".py")


def described(error, chars=20000):
    """(class name, traceback text) of an exception whose own methods may misbehave."""
    import traceback

    name = type(error).__name__
    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except BaseException:
        text = "".join(traceback.format_tb(error.__traceback__)) + name
    return name, text if len(text) <= chars else text[: chars // 2] + "\n[...]\n" + text[-chars // 2 :]


def load_candidate(request, path):
    """Imports the candidate, or runs it as the main program for a visible test; [the report of a bad end], or []."""
    with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        file.write(request["code"])
    try:
        code = compile(request["code"], path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [("compile-error",) + described(error)]
    del sys.modules["__main__"]  # ours is none of the candidate's business
    program = types.ModuleType("__main__")
    sys.modules["__main__"] = program
    try:
        if request["mode"] == "hidden":
            importlib.import_module(request["module"])
        else:
            program.__file__ = path
            exec(code, program.__dict__)
    except BaseException as error:
        left = isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit))
        return [("import-error",) + described(error) + ("left" if left else "",)]
    return []


def main():
    fd = int(os.environ.pop("BOX_FD"))
    os.set_inheritable(fd, False)
    request = json.loads(reader(fd)().decode())
    sys.path.insert(0, os.getcwd())
    sys.argv = ["program"]
    orders_read, orders_write = os.pipe()
    reports_read, reports_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        for other in (fd, orders_write, reports_read):
            os.close(other)
        path = path_of(request)
        for outcome in answer_side(orders_read, reports_write, request):
            outcome.extend(load_candidate(request, path))
    os.close(orders_read)
    os.close(reports_write)
    relay(fd, reports_read, orders_write, pid)


if __name__ == "__main__":
    import builtins

    builtins.exit = builtins.quit = sys.exit  # `-S`-like interpreters lack them
    main()
