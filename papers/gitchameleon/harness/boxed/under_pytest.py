# ruff: noqa: B905 - it also runs under Python 3.7, as text that `answering.py` is sent
"""Runs tests and canaries under pytest: `run_pytest`, called by `judging.py`."""

import os
import types
import unittest

import pytest


def pytest_plugin(send, tell, make, parts, see, bind):
    """For pytest 6 and later. Test modules are made of `parts` (path -> index, source): files could be read."""
    errors, done = {}, {}

    def name(nodeid):
        return ".".join(nodeid.split("::")[1:])

    def module(file, parent, **where):
        class OfText(pytest.Module):
            def _getobj(self):
                try:
                    return make(parts[str(file)][1], parts[str(file)][0])
                except BaseException as error:
                    send("collect-error", *see.describe(error))
                    raise

        return OfText.from_parent(parent, **where)

    def pytest_collectreport(report):
        if report.failed:
            send("collect-error", "CollectError", str(report.longrepr)[-20000:])

    def pytest_collection_finish(session):
        send("collected", *[name(item.nodeid) for item in session.items])

    def pytest_runtest_call(item):
        for attribute in ("_testcase", "_instance", "instance"):
            test = getattr(item, attribute, None)
            if isinstance(test, unittest.TestCase):
                bind(test)
                see.of_case(test, name(item.nodeid))
                break
        item.obj = see.of_function(item.obj, name(item.nodeid))

    def pytest_runtest_makereport(item, call):
        if call.excinfo is not None and item.nodeid not in errors:
            errors[item.nodeid] = see.describe(call.excinfo.value)

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


def run_pytest(send, tell, make, sources, paths, see, bind):
    """No configuration, conftest, variable or plugin of the candidate is read. The files pytest asks for are empty."""
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a candidate can plant distributions with plugins
    parts = {}
    for index, (path, source) in enumerate(zip(paths, sources)):
        parts[path] = (index, source)
        open(path, "w", encoding="utf-8").close()
    options = ["--noconftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", os.path.dirname(paths[0])]
    options += ["--disable-warnings", "-q", "--tb=no", "-rN"]
    plugin = pytest_plugin(send, tell, make, parts, see, bind)
    pytest.main(options + sorted(parts, key=lambda path: parts[path][0]), plugins=[plugin])
