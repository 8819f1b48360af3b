# ruff: noqa: B905, UP031, RUF005 - it also runs under Python 3.7
"""What decides a test must stay as it was: functions, classes and modules."""

import importlib
import os
import sys
import types

PATCHED = "unittest unittest.case unittest.loader unittest.result unittest.suite unittest.util importlib traceback"
PATCHED += " contextlib"
PATCHING = ("exceptiongroup",)  # what itself replaces functions of these when it is imported, as pytest and AnyIO do
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)
CODE = types.CodeType
WRAPPERS = (types.FunctionType, classmethod, staticmethod, property)
DICTIONARY = types.ModuleType.__dict__["__dict__"].__get__  # a module's own, whatever class it has been given


def guard(packages, tracing, seen=()):
    """(packages that are here, conduct): `conduct(watched, own)` names what has been tampered with so far.

    `watched` is a class that modules may have been given since, `own` are names of modules of tests, guarded from the
    first call that names them on. `made`, (module, names, code), asks whether that module's functions are of the code.

    Args:
        packages: package -> module -> names in it that count.
        tracing: whether lines are counted, so that a trace function is ours.
        seen: grows by what the answer has asked that is none of its business, see `watching.py`.
    """
    names, loaded = guarded_names(packages)
    modules, get_trace, get_profile, own_state, exchanged = sys.modules, sys.gettrace, sys.getprofile, {}, []
    # what is called later is held here, not found by its name
    states, differences, others = guarded_state, replaced, made_of_other_code
    before = states(modules, names)

    def conduct(watched=None, own=(), made=None):
        try:
            found = differences(before, states(modules, names, watched))
            for name in own:
                now = states(modules, {name: None})
                found += differences(own_state.setdefault(name, now), now)
            if made is not None:
                exchanged.extend(others(own_state[made[0]], *made))
            if sys.modules is not modules:
                found.append("sys.modules")
            if get_trace() is not None and not tracing:
                found.append("sys.settrace")
            if get_profile() is not None:
                found.append("sys.setprofile")
            return found + sorted(set(exchanged) | set(seen))
        except Exception as problem:  # what it is made of has been exchanged
            return [type(problem).__name__ + " when asked for what was replaced"]

    return loaded, conduct


def guarded_names(packages):
    """(module -> names to guard, packages that are here). They are imported before the candidate can touch them."""
    importlib.import_module("unittest")
    for name in PATCHING:
        try:
            importlib.import_module(name)
        except Exception:
            continue  # not in this environment
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


def guarded_state(modules, names, watched=None):
    """(module, name) -> what a function, class or method is and what it is made of, of all that decides a test.

    Args:
        modules: name -> module, the interpreter's own.
        names: module -> names in it that count; None: all functions and classes that it defines or has imported.
        watched: a class of modules that counts as the plain one.
    """
    state = {}
    for module_name, chosen in names.items():
        module = modules.get(module_name)
        kind = type(module)
        kind = types.ModuleType if kind is watched else kind
        state["sys.modules", module_name] = (
            module,
            kind,
            type.__dict__["__dict__"].__get__(kind).get("__getattribute__"),
        )
        for key, value in list(DICTIONARY(module).items()) if isinstance(module, types.ModuleType) else []:
            if (chosen is not None and key not in chosen) or not callable(value):
                continue
            if isinstance(value, FUNCTIONS + (type,)) or chosen is not None or type(value).__name__ == "ufunc":
                state[module_name, key] = parts(value)
            if isinstance(value, type) and (chosen is not None or value.__module__ == module_name):
                for method, function in list(vars(value).items()):
                    if isinstance(function, WRAPPERS) or callable(function):
                        state[module_name, key + "." + method] = parts(function)
    return state


def parts(function):
    """A function or class and what can be exchanged within it while it stays the same object."""
    if not isinstance(function, types.FunctionType):
        return (function, type(function))
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:
            cells.append(None)
    return (function, function.__code__, function.__defaults__) + tuple(cells)


def replaced(before, now):
    """Names of `before` that are something else now, and of methods that its classes have got since.

    Of these count what Python itself calls, and what takes the place of a base's.
    """
    found = []
    for key, old in before.items():
        new = now.get(key, ())
        if len(new) != len(old) or not all(a is b for a, b in zip(old, new)):
            found.append("%s.%s" % key)
    for module, key in now:
        name, _, method = key.partition(".")
        if method and (module, key) not in before and (module, name) in before:
            bases = type.__dict__["__mro__"].__get__(now[module, name][0])[1:]
            if method.startswith("__") or any(method in vars(base) for base in bases):
                found.append("%s.%s" % (module, key))
    return sorted(found)


def made_of_other_code(state, module, names, code):
    """Those of `names` that in a module's state are no functions made of the code of its text.

    A thread may have exchanged them before the state was taken.
    """
    codes = [code]
    for outer in codes:  # grows on the way
        codes.extend(inner for inner in outer.co_consts if isinstance(inner, CODE))
    made = {id(inner) for inner in codes}
    return ["%s.%s" % (module, n) for n in names if id(state.get((module, n), (None, None))[1]) not in made]


def planted(folder):
    """What in the working folder would be taken for an installed distribution, with plugins of its own."""
    return ["planted " + name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info", ".pth"))]
