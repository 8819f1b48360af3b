# ruff: noqa: UP028 - it also runs under Python 3.7, as text that `answering.py` is sent
"""Runs the tests beside an imported candidate and reports each outcome: sent to the box once the candidate is imported.

`run(send, request, sources, plain, conduct, path)` is called by `answering.py`; sources are the canaries before, the
tests and the canaries after, `plain` names the functions that each defines. `conduct` names what has been tampered with
so far; it is asked again after each test. This file's builtins are a copy that the candidate does not reach; tests and
canaries get those that it does.
"""

import builtins
import os
import sys
import traceback
import types
import unittest

TRACE_CHARS = 20000
OWN = ("test_part_0", "test_sample", "test_part_2")  # modules of the canaries before, the tests and the canaries after
ASSERTIONS = {  # what a test case asserts with, as it is now that the candidate was found to have left it alone
    name: function
    for name, function in vars(unittest.TestCase).items()
    if isinstance(function, types.FunctionType) and ("assert" in name.lower() or name in ("fail", "_formatMessage"))
}


def describe(error):
    """(class name, traceback text) of an exception whose own methods may misbehave."""
    name = type(error).__name__
    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except BaseException:
        text = "".join(traceback.format_tb(error.__traceback__)) + name
    half = TRACE_CHARS // 2
    return name, text if len(text) <= TRACE_CHARS else text[:half] + "\n[...]\n" + text[-half:]


def bind_assertions(test):
    """Assertions of its own for a test case: copies that a patch of the class during the test does not reach."""
    for name, function in ASSERTIONS.items():
        found = next((vars(kind)[name] for kind in type(test).__mro__ if name in vars(kind)), None)
        if found is function:
            copy = types.FunctionType(
                function.__code__, function.__globals__, name, function.__defaults__, function.__closure__
            )
            copy.__kwdefaults__ = function.__kwdefaults__
            setattr(test, name, types.MethodType(copy, test))


def watch(packages, changed):
    """Adds to `changed` what is set in the modules of the guarded packages from here on, even if it is put back.

    Returns the class that does so.
    """
    plain, set_plainly = types.ModuleType, types.ModuleType.__setattr__

    def set_watched(module, name, value):
        if callable(module.__dict__.get(name)):
            changed.append(module.__dict__["__name__"] + "." + name)
        set_plainly(module, name, value)

    # without our own globals, to which its class would lead
    alone = types.FunctionType(
        set_watched.__code__, {"__builtins__": __builtins__}, "set_watched", None, set_watched.__closure__
    )
    watched = type("Watched", (plain,), {"__setattr__": alone})
    for modules in packages.values():
        for name in modules:
            if type(sys.modules.get(name)) is plain:
                sys.modules[name].__class__ = watched
    return watched


def reporter(send, conduct, changed, watched):
    """`tell(name, outcome, error, kind, trace)`: the first bad outcome of a test stands.

    What was tampered with during the test, in its own module too, is told before it. This and all below are closures:
    classes of ours would be found among the subclasses of `object` or of `unittest.TestResult`, and patched.
    """
    failed, trace_of, own = set(), describe, OWN

    def tell(name, outcome, error=None, kind="", trace=""):
        if name in failed:
            return
        if outcome != "passed":
            failed.add(name)
        if error is not None:
            kind, trace = trace_of(error)
        found = conduct(watched, own) + changed
        if found:
            send("replaced", "\n".join(found))
        send("test", name, outcome, kind, trace)

    return tell


def unittest_result(tell):
    """unittest's outcomes as they come, through methods of the one instance."""
    result, name = unittest.TestResult(), name_of

    def teller(outcome):
        return lambda test, error=None: tell(
            name(getattr(test, "test_case", test)), outcome, error[1] if type(error) is tuple else None
        )

    result.addSuccess, result.addExpectedFailure = teller("passed"), teller("passed")
    result.addFailure, result.addError, result.addSkip = teller("failed"), teller("failed"), teller("skipped")
    result.addUnexpectedSuccess, failed = teller("failed"), teller("failed")
    # a subtest counts for its test
    result.addSubTest = lambda test, subtest, error: failed(subtest, error) if error is not None else None
    return result


def name_of(test):
    return ".".join(test.id().split(".")[-2:])


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            for inner in flat(test):
                yield inner
        else:
            yield test


def maker(conduct, watched, folder, plain):
    """`make(source, index)`: a test module made of text, with its lines where tracebacks look for them.

    It is guarded from the moment that it is whole. A thread of the candidate may have had its turn before: so the
    functions that are guarded have to be made of this text.
    """
    own = OWN

    def make(source, index):
        path = os.path.join(folder, own[index] + ".py")
        module = types.ModuleType(own[index])
        module.__file__, module.__builtins__ = path, builtins
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
        code = compile(source, path, "exec", dont_inherit=True)
        sys.modules[own[index]] = module
        exec(code, module.__dict__)
        conduct(watched, own[: index + 1], (own[index], plain[index], code))
        return module

    return make


def run_unittest(send, tell, make, sources):
    """Each source is a module of unittest classes; they run in order."""
    suites = [
        unittest.defaultTestLoader.loadTestsFromModule(make(source, index)) for index, source in enumerate(sources)
    ]
    result = unittest_result(tell)
    tests = [test for suite in suites for test in flat(suite)]
    for test in tests:
        bind_assertions(test)
    send("collected", *[name_of(test) for test in tests])
    for suite in suites:
        suite.run(result)


def pytest_plugin(send, tell, make, texts):
    """For pytest 6 and later. Test modules are made of `texts` (path -> index, source): files could be exchanged."""
    import pytest

    errors, done, trace_of, bind = {}, {}, describe, bind_assertions

    def name(nodeid):
        return ".".join(nodeid.split("::")[1:])

    def module(file, parent, **where):
        class OfText(pytest.Module):
            def _getobj(self):
                try:
                    return make(texts[str(file)][1], texts[str(file)][0])
                except BaseException as error:
                    send("collect-error", *trace_of(error))
                    raise

        return OfText.from_parent(parent, **where)

    def pytest_collectreport(report):
        if report.failed:
            send("collect-error", "CollectError", str(report.longrepr)[-TRACE_CHARS:])

    def pytest_collection_finish(session):
        send("collected", *[name(item.nodeid) for item in session.items])

    def pytest_runtest_call(item):
        for attribute in ("_testcase", "_instance", "instance"):
            test = getattr(item, attribute, None)
            if isinstance(test, unittest.TestCase):
                bind(test)

    def pytest_runtest_makereport(item, call):
        if call.excinfo is not None and item.nodeid not in errors:
            errors[item.nodeid] = trace_of(call.excinfo.value)

    def pytest_runtest_logreport(report):
        worst = done.get(report.nodeid, "passed")
        if report.outcome != "passed" and worst != "failed":
            worst = "failed" if report.outcome == "failed" else "skipped"
        done[report.nodeid] = worst
        if report.when == "teardown":
            kind, trace = errors.get(report.nodeid, ("", ""))
            tell(name(report.nodeid), worst, None, kind, trace)

    if int(pytest.__version__.split(".")[0]) >= 7:

        def pytest_pycollect_makemodule(module_path, parent):
            return module(module_path, parent, path=module_path)
    else:

        def pytest_pycollect_makemodule(path, parent):
            return module(path, parent, fspath=path)

    plugin = types.ModuleType("outcomes")
    for hook in (pytest_collectreport, pytest_collection_finish, pytest_runtest_makereport, pytest_runtest_logreport):
        setattr(plugin, hook.__name__, hook)
    plugin.pytest_pycollect_makemodule = pytest_pycollect_makemodule
    plugin.pytest_runtest_call = pytest.hookimpl(tryfirst=True)(pytest_runtest_call)
    return plugin


def run_pytest(send, tell, make, sources, folder):
    """No configuration, conftest, variable or plugin of the candidate is read."""
    import pytest

    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a candidate can plant distributions with plugins
    texts = {}
    for index, source in enumerate(sources):
        path = os.path.join(folder, OWN[index] + ".py")
        texts[path] = (index, source)
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
    options = ["--noconftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder]
    options += ["--disable-warnings", "-q", "--tb=no", "-rN"]
    pytest.main(
        options + sorted(texts, key=lambda path: texts[path][0]), plugins=[pytest_plugin(send, tell, make, texts)]
    )


def run_visible(send, tell, request, sources, folder):
    """The visible test is the rest of the program: statements in the same namespace. Canaries have their own."""
    tests = sources[1]
    try:
        compile(request["code"] + "\n" + tests, "program.py", "exec", dont_inherit=True)
        code = compile(tests, os.path.join(folder, "visible_test.py"), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        send("compile-error", *describe(error))
        return
    with open(os.path.join(folder, "visible_test.py"), "w", encoding="utf-8") as file:
        file.write(tests)  # so that tracebacks show its lines
    before, after = (compile(source, "<canaries>", "exec", dont_inherit=True) for source in (sources[0], sources[2]))
    spaces = [{"__name__": "canaries", "__builtins__": builtins} for _ in sources]
    spaces[1] = sys.modules["__main__"].__dict__
    exec(before, spaces[0])
    exec(after, spaces[2])
    canaries = [[name for name in space if name.startswith("canary_")] for space in (spaces[0], spaces[2])]
    send("collected", "visible", *(canaries[0] + canaries[1]))
    run_functions(tell, spaces[0], canaries[0])
    try:
        exec(code, spaces[1])
    except BaseException as error:
        left = isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit))
        tell("visible", "left" if left else "failed", error)
    else:
        tell("visible", "passed")
    run_functions(tell, spaces[2], canaries[1])


def run_functions(tell, space, names):
    for name in names:
        try:
            space[name]()
        except BaseException as error:
            tell(name, "failed", error)
        else:
            tell(name, "passed")


def run(send, request, sources, plain, conduct, path):
    """Run the tests with their canaries; what ends them early is a report too. Names of what was tampered with."""
    folder, changed = os.path.dirname(path), []
    watched = watch(request["guard"], changed)
    tell, make = reporter(send, conduct, changed, watched), maker(conduct, watched, folder, plain)
    try:
        if request["mode"] == "visible":
            run_visible(send, tell, request, sources, folder)
        elif request["runner"] == "pytest":
            run_pytest(send, tell, make, sources, folder)
        else:
            run_unittest(send, tell, make, sources)
    except BaseException as error:
        send("collect-error", *describe(error))
    return conduct(watched, OWN) + changed
