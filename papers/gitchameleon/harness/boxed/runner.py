# ruff: noqa: RUF005 - it also runs under Python 3.7
"""Runs one candidate inside the box: `python -I -B runner.py`. Standard library, Python 3.7 and later.

Two processes. The judge's side (`relaying.py`) keeps the socket to the harness (BOX_FD) and the run's secret; it cannot
be read by the other one. The answer's side (`answering.py`) is a child that has two pipes and nothing else: it gets a
token, imports the candidate, and says so with that token. Only then come the tests, the canaries, the code that runs
them (`judging.py`) and a second token, which every outcome has to carry. So at import there is no descriptor of the
harness, no test and no secret of the run. What decides a test is guarded by `guarding.py`; `lines.py` counts lines of
trusted code.

These files are no modules: nothing in the interpreter's tables leads to them, and they have builtins of their own.
"""

import builtins
import contextlib
import importlib
import json
import os
import select
import signal
import sys
import threading
import types

FOLDER = os.path.dirname(os.path.abspath(__file__))


def part(name):
    """A fresh namespace of a file beside this one, with a copy of the builtins."""
    path = os.path.join(FOLDER, name + ".py")
    with open(path, encoding="utf-8") as file:
        source = file.read()
    space = {"__name__": name, "__file__": path, "__builtins__": dict(vars(builtins))}
    exec(compile(source, path, "exec", dont_inherit=True), space)
    return space


def request_on(fd):
    """The harness's first line; it sends no other before it is answered."""
    data = b""
    while not data.endswith(b"\n"):
        data += os.read(fd, 1 << 16)
    return json.loads(data.decode())


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
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
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
    request = request_on(fd)
    sys.path.insert(0, os.getcwd())
    sys.argv = ["program"]
    orders_read, orders_write = os.pipe()
    reports_read, reports_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        for other in (fd, orders_write, reports_read):
            os.close(other)
        path = path_of(request)
        for outcome in part("answering")["answer_side"](orders_read, reports_write, request, path, part):
            outcome.extend(load_candidate(request, path))
    os.close(orders_read)
    os.close(reports_write)
    part("relaying")["relay"](fd, reports_read, orders_write, pid)


if __name__ == "__main__":
    builtins.exit = builtins.quit = sys.exit  # `-S`-like interpreters lack them
    main()
