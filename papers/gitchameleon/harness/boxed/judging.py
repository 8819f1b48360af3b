# ruff: noqa: UP028 - it also runs under Python 3.7, as text that `answering.py` is sent
"""Runs the tests beside an imported candidate and reports each outcome: sent to the box once the candidate is imported.

`run` is called by `answering.py`. This file's builtins are a copy that the candidate does not reach; tests and canaries
get those that it does. Tests have no file.
"""

import builtins
import os
import sys
import types
import unittest

OWN = ("test_part_0", "test_sample", "test_part_2")  # modules of the canaries before, the tests and the canaries after
ASSERTIONS = {  # what a test case asserts with, as it is now that the candidate was found to have left it alone
    name: function
    for name, function in vars(unittest.TestCase).items()
    if isinstance(function, types.FunctionType) and ("assert" in name.lower() or name in ("fail", "_formatMessage"))
}


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


def asked_by_name():
    """A class of modules that lets `watching.py` know who asks for what is in them."""
    audit, get = getattr(sys, "audit", None), types.ModuleType.__getattribute__

    def get_told(module, name):
        value = get(module, name)
        audit("judging.asked", name, value)
        return value

    # without our own globals, to which its class would lead
    alone = types.FunctionType(get_told.__code__, {"__builtins__": builtins}, "get_told", None, get_told.__closure__)
    return type("Asked", (types.ModuleType,), {"__getattribute__": alone} if audit else {})


def reporter(send, conduct, changed, watched, see):
    """`tell(name, outcome, error, kind, trace)`: the first bad outcome of a test stands.

    One that is to have passed has been seen to reach its end, see `seeing.py`.

    What was tampered with during the test, in its own module too, is told before it. This and all below are closures:
    classes of ours would be found among the subclasses of `object` or of `unittest.TestResult`, and patched.
    """
    failed, own = set(), OWN

    def tell(name, outcome, error=None, kind="", trace=""):
        if name in failed:
            return
        early = see.silent(name)
        if outcome == "passed" and early:
            outcome, error = "failed", early
            if error is True:
                error, kind = None, "Unseen"
        elif outcome == "as expected":
            outcome = "passed"
        if outcome != "passed":
            failed.add(name)
        if error is not None:
            kind, trace = see.describe(error)
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

    result.addSuccess, result.addExpectedFailure = teller("passed"), teller("as expected")
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


def maker(conduct, watched, paths, plain, texts, spaces):
    """`make(source, index)`: a test module made of text, which is kept in `texts` and its namespace in `spaces`.

    It is guarded from the moment that it is whole. A thread of the candidate may have had its turn before: so the
    functions that are guarded have to be made of this text.
    """
    own, kind = OWN, asked_by_name()

    def make(source, index):
        path, module = paths[index], kind(own[index])
        module.__file__, module.__builtins__, texts[path] = path, builtins, source
        spaces.append(module.__dict__)
        code = compile(source, path, "exec", dont_inherit=True)
        sys.modules[own[index]] = module
        exec(code, module.__dict__)
        conduct(watched, own[: index + 1], (own[index], plain[index], code))
        return module

    return make


def load_unittest(module, see):
    """(suite, tests) of a module, ready to be run: assertions of their own, and seen from begin to end."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    tests = list(flat(suite))
    for test in tests:
        bind_assertions(test)
        see.of_case(test, name_of(test))
        method = getattr(test, "_testMethodName", None)  # what could not be loaded has one too
        if method is not None:
            setattr(test, method, see.of_function(getattr(test, method), name_of(test)))
    return suite, tests


def run_unittest(send, tell, make, sources, see):
    """Each source is a module of unittest classes; they run in order."""
    loaded = [load_unittest(make(source, index), see) for index, source in enumerate(sources)]
    result = unittest_result(tell)
    send("collected", *[name_of(test) for _, tests in loaded for test in tests])
    for suite, _ in loaded:
        suite.run(result)


def run_visible(send, tell, request, sources, folder, see):
    """The visible test is the rest of the program: statements in the same namespace. Canaries have their own.

    One that would end with `unittest.main()` asks to have the program's test cases run.
    """
    tests, path = sources[1], os.path.join(folder, "visible_test.py")
    try:
        compile(request["code"] + "\n" + tests, "program.py", "exec", dont_inherit=True)
        code = compile(tests, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        send("compile-error", *see.describe(error))
        return
    see.texts[path] = tests  # so that tracebacks show its lines
    before, after = (compile(source, "<canaries>", "exec", dont_inherit=True) for source in (sources[0], sources[2]))
    program = sys.modules["__main__"]
    spaces = [{"__name__": "canaries", "__builtins__": builtins} for _ in sources]
    spaces[1] = program.__dict__
    exec(before, spaces[0])
    exec(after, spaces[2])
    canaries = [[name for name in space if name.startswith("canary_")] for space in (spaces[0], spaces[2])]
    send("collected", "visible", *(canaries[0] + canaries[1]))

    def visible():
        exec(code, spaces[1])
        if request.get("cases"):
            run_cases(load_unittest(program, see), see)

    run_functions(tell, {name: see.of_function(spaces[0][name], name) for name in canaries[0]})
    run_functions(tell, {"visible": see.of_function(visible, "visible")})
    run_functions(tell, {name: see.of_function(spaces[2][name], name) for name in canaries[1]})


def run_functions(tell, functions):
    for name, function in functions.items():
        try:
            function()
        except BaseException as error:
            left = name == "visible" and isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit))
            tell(name, "left" if left else "failed", error)
        else:
            tell(name, "passed")


def run_cases(loaded, see):
    """Runs a program's test cases; the first that does not pass is an assertion of the program that does not hold."""
    wrong = []

    def tell(name, outcome, error=None):
        early = see.silent(name)
        error = early if error is None and early not in (None, True) else error
        if outcome in ("failed", "skipped") or (outcome == "passed" and early):
            wrong.append(see.describe(error)[1] if error is not None else name + " has not ended")

    loaded[0].run(unittest_result(tell))
    if wrong or not loaded[1]:
        raise AssertionError(wrong[0] if wrong else "no test case")


def run(send, request, sources, plain, conduct, path, spaces, seeing, under_pytest):
    """Run the tests with their canaries; what ends them early is a report too. Names of what was tampered with.

    Args:
        sources, plain: canaries before, tests, canaries after; names of functions that each defines.
        conduct: names what has been tampered with so far; it is asked again after each test.
        spaces: gets namespaces of the tests' modules, see `watching.py`.
        seeing, under_pytest: give the namespaces of these files.
    """
    folder, changed, see = os.path.dirname(path), [], seeing()["witness"]()
    watched, paths = watch(request["guard"], changed), [os.path.join(folder, name + ".py") for name in OWN]
    tell = reporter(send, conduct, changed, watched, see)
    make = maker(conduct, watched, paths, plain, see.texts, spaces)
    try:
        if request["mode"] == "visible":
            run_visible(send, tell, request, sources, folder, see)
        elif request["runner"] == "pytest":
            under_pytest()["run_pytest"](send, tell, make, sources, paths, see, bind_assertions)
        else:
            run_unittest(send, tell, make, sources, see)
    except BaseException as error:
        send("collect-error", *see.describe(error))
    return conduct(watched, OWN) + changed
