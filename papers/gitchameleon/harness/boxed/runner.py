# ruff: noqa: UP004, UP028, UP031, RUF005 - it also runs under Python 3.7
"""Runs one candidate and its tests inside the box: `python -I -B runner.py`. Standard library, Python 3.7 and later.

It talks to the harness through the socket in BOX_FD, one JSON object a line. First comes the candidate; it is
imported, and only then are the tests, the canaries and the run's secret sent. So no file that the candidate can
reach holds the tests while it is imported, and code that ends the process at import has nothing to report with.
Each outcome carries the secret; the end is a line of its own, which an early exit never writes.
Asked for `lines`, it also says which lines of the candidate never ran: for candidates that are trusted, since what they
do could change it.
"""

import builtins
import dis
import importlib
import json
import os
import sys
import threading
import traceback
import types
import unittest
import unittest.case
import unittest.loader
import unittest.result
import unittest.suite

TRACE_CHARS = 20000
GUARDED = ["builtins", "unittest", "unittest.case", "unittest.loader", "unittest.result", "unittest.suite"]
GUARDED_PYTEST = [
    "pytest",
    "_pytest.main",
    "_pytest.runner",
    "_pytest.python",
    "_pytest.python_api",
    "_pytest.outcomes",
]
GUARDED_PYTEST += [
    "_pytest.unittest",
    "_pytest.reports",
    "_pytest.assertion.rewrite",
    "_pytest.nodes",
    "_pytest.raises",
]


class Channel(object):
    """Lines of JSON to and from the harness."""

    def __init__(self, fd):
        self._fd, self._text, self._nonce = fd, b"", None
        os.set_inheritable(fd, False)
        self._write, self._read, self._dumps, self._loads = os.write, os.read, json.dumps, json.loads

    def receive(self):
        while b"\n" not in self._text:
            data = self._read(self._fd, 1 << 16)
            if not data:
                os._exit(71)
            self._text += data
        line, self._text = self._text.split(b"\n", 1)
        return self._loads(line.decode())

    def use(self, nonce):
        self._nonce = nonce

    def send(self, event, **content):
        data = (self._dumps(dict(content, event=event, nonce=self._nonce)) + "\n").encode()
        while data:
            data = data[self._write(self._fd, data) :]


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
        return {"num_lines": len(lines), "missed": sorted(lines - self.ran)}


def line_numbers(code):
    """Lines with instructions, of a code object and all that are nested in it."""
    found = set(line for _, line in dis.findlinestarts(code) if line)  # 0 and None stand for no line
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= line_numbers(constant)
    return found


def describe(error):
    """(class name, traceback text) of an exception whose own methods may misbehave."""
    name = type(error).__name__
    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except BaseException:
        text = "".join(traceback.format_tb(error.__traceback__)) + name
    half = TRACE_CHARS // 2
    return name, text if len(text) <= TRACE_CHARS else text[:half] + "\n[...]\n" + text[-half:]


def guarded_state(names):
    """(module, name) -> object, for functions, classes and their methods that decide whether a test passes."""
    state = {}
    for name in names:
        module = sys.modules.get(name)
        for key, value in list(vars(module).items()) if module else []:
            if not isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
                continue
            state[name, key] = value
            if isinstance(value, type) and value.__module__ == name:
                for method, function in list(vars(value).items()):
                    if isinstance(function, (types.FunctionType, classmethod, staticmethod, property)):
                        state[name, key + "." + method] = function
    return state


def replaced(before, names):
    """Names of `before` that are something else now."""
    now = guarded_state(names)
    return sorted("%s.%s" % key for key, value in before.items() if now.get(key) is not value)


class Outcomes(unittest.TestResult):
    """Sends each test's outcome as it ends."""

    def __init__(self, send):
        unittest.TestResult.__init__(self)
        self._send, self._failed = send, set()

    def _tell(self, test, outcome, error=None):
        test = getattr(test, "test_case", test)  # a subtest counts for its test
        name = ".".join(test.id().split(".")[-2:])
        if name in self._failed:
            return
        if outcome != "passed":
            self._failed.add(name)
        kind, trace = describe(error[1]) if error and error[1] is not None else (None, "")
        self._send("test", test=name, outcome=outcome, exception=kind, trace=trace)

    def addSuccess(self, test):
        self._tell(test, "passed")

    def addFailure(self, test, error):
        self._tell(test, "failed", error)

    def addError(self, test, error):
        self._tell(test, "failed", error)

    def addSkip(self, test, reason):
        self._tell(test, "skipped")

    def addExpectedFailure(self, test, error):
        self._tell(test, "passed")

    def addUnexpectedSuccess(self, test):
        self._tell(test, "failed")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._tell(subtest, "failed", error)


def run_unittest(send, sources):
    """Each source is a module of unittest classes; they run in order."""
    suites = []
    for index, source in enumerate(sources):
        module = types.ModuleType("test_part_%d" % index)
        sys.modules[module.__name__] = module
        exec(compile(source, "<tests>", "exec"), module.__dict__)
        suites.append(unittest.defaultTestLoader.loadTestsFromModule(module))
    outcomes = Outcomes(send)
    names = [".".join(t.id().split(".")[-2:]) for s in suites for t in flat(s)]
    send("collected", tests=names)
    for suite in suites:
        suite.run(outcomes)


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            for inner in flat(test):
                yield inner
        else:
            yield test


class PytestOutcomes(object):
    """A pytest plugin that sends each test's outcome as it ends."""

    def __init__(self, send):
        self._send, self._errors, self._done = send, {}, {}

    @staticmethod
    def _name(nodeid):
        return ".".join(nodeid.split("::")[1:])

    def pytest_collectreport(self, report):
        if report.failed:
            error = getattr(report, "_box_error", None) or ("CollectError", str(report.longrepr)[-TRACE_CHARS:])
            self._send("collect-error", exception=error[0], trace=error[1])

    def pytest_collection_finish(self, session):
        self._send("collected", tests=[self._name(item.nodeid) for item in session.items])

    def pytest_runtest_makereport(self, item, call):
        if call.excinfo is not None and item.nodeid not in self._errors:
            self._errors[item.nodeid] = describe(call.excinfo.value)

    def pytest_runtest_logreport(self, report):
        worst = self._done.get(report.nodeid, "passed")
        if report.outcome != "passed" and worst != "failed":
            worst = "failed" if report.outcome == "failed" else "skipped"
        self._done[report.nodeid] = worst
        if report.when == "teardown":
            kind, trace = self._errors.get(report.nodeid, (None, ""))
            self._send("test", test=self._name(report.nodeid), outcome=worst, exception=kind, trace=trace)


def run_pytest(send, sources):
    """Each source becomes a file beside the candidate; no configuration or conftest of anyone is read."""
    import pytest

    work, files = os.getcwd(), []
    for index, source in enumerate(sources):
        # the tests' own file is in the middle
        files.append(os.path.join(work, "test_sample.py" if index == 1 else "test_part_%d.py" % index))
        with open(files[-1], "w", encoding="utf-8") as file:
            file.write(source)
    options = ["--noconftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", work]
    pytest.main(options + ["--disable-warnings", "-q", "--tb=no", "-rN"] + files, plugins=[PytestOutcomes(send)])


def path_of(request):
    """The candidate's file."""
    name = request["module"] if request["mode"] == "hidden" else "program"
    return os.path.join(os.getcwd(), name + ".py")


def load_candidate(channel, request):
    """Imports the candidate, or runs it as the main program for a visible test; False if that ended badly."""
    path = path_of(request)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(request["code"])
    try:
        code = compile(request["code"], path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        kind, trace = describe(error)
        channel.send("compile-error", exception=kind, trace=trace)
        return False
    try:
        if request["mode"] == "hidden":
            importlib.import_module(request["module"])
        else:
            program = types.ModuleType("__main__")
            program.__file__ = path
            sys.modules["__main__"] = program
            exec(code, program.__dict__)
    except BaseException as error:
        kind, trace = describe(error)
        left = isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit))
        channel.send("import-error", exception=kind, trace=trace, left=left)
        return False
    return True


def run_visible(channel, program, request, tests):
    """The visible test is the rest of the program: statements in the same namespace."""
    try:
        compile(request["code"] + "\n" + tests, "program.py", "exec", dont_inherit=True)
        code = compile(tests, os.path.join(os.getcwd(), "visible_test.py"), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        kind, trace = describe(error)
        channel.send("compile-error", exception=kind, trace=trace)
        return
    channel.send("collected", tests=["visible"])
    with open("visible_test.py", "w", encoding="utf-8") as file:
        file.write(tests)  # so that tracebacks show its lines
    try:
        exec(code, program.__dict__)
    except BaseException as error:
        kind, trace = describe(error)
        left = isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit))
        channel.send("test", test="visible", outcome="left" if left else "failed", exception=kind, trace=trace)
    else:
        channel.send("test", test="visible", outcome="passed", exception=None, trace="")


def main():
    channel, leave = Channel(int(os.environ.pop("BOX_FD"))), os._exit
    request = channel.receive()
    sys.path.insert(0, os.getcwd())
    sys.argv = ["program"]
    names = list(GUARDED)
    if request["runner"] == "pytest" and request["mode"] == "hidden":
        import pytest

        for name in GUARDED_PYTEST:
            try:
                importlib.import_module(name)
            except ImportError:
                continue  # a module that other versions of pytest have
        names += GUARDED_PYTEST
    before = guarded_state(names)
    lines = Lines(path_of(request)) if request.get("lines") else None
    if lines:
        lines.start()
    if load_candidate(channel, request):
        channel.send("imported")
        second = channel.receive()
        channel.use(second["nonce"])
        changed = replaced(before, names)
        try:
            if request["mode"] == "visible":
                run_visible(channel, sys.modules["__main__"], request, second["tests"])
            else:
                sources = [second["before"], second["tests"], second["after"]]
                (run_pytest if request["runner"] == "pytest" else run_unittest)(channel.send, sources)
        except BaseException as error:
            kind, trace = describe(error)
            channel.send("collect-error", exception=kind, trace=trace)
        found = lines.report(request["code"]) if lines else None
        channel.send("done", replaced=sorted(set(changed) | set(replaced(before, names))), lines=found)
    sys.stdout.flush()
    sys.stderr.flush()
    leave(0)


if __name__ == "__main__":
    builtins.exit = builtins.quit = sys.exit  # `-S`-like interpreters lack them
    main()
