# ruff: noqa: UP031, RUF005 - it also runs under Python 3.7
"""Which calls look into the interpreter, and who makes them: audit hooks, from Python 3.8 on.

Libraries look into it all the time (`collections.namedtuple` asks for its caller's frame), and a library can be made to
ask for a program (`ThreadPoolExecutor(1).submit(sys._getframe)`). So a call is a library's own only if the code that
makes it is that of an installed file, as the file's text compiles, and names what it asks for. Some functions hand on
what they find (`inspect.currentframe`, `bdb.Bdb.get_stack`): there it is their caller that asks.
"""

import os
import sys
import types
from _thread import get_ident

CONDUCT = {"sys.settrace", "sys.setprofile", "sys.monitoring.register_callback", "gc.get_objects", "gc.get_referrers"}
CONDUCT |= {"gc.get_referents", "sys._getframe", "sys._current_frames", "sys._getframemodulename"}
CONDUCT |= {"sys._current_exceptions"}
READ = {"tb_frame", "gi_frame", "cr_frame", "ag_frame"}  # attributes that lead to frames
REWRITTEN = {"__code__", "__defaults__", "__kwdefaults__"}
FILENAME_AT = {"compile": 1, "code.__new__": 1}  # events with the name of a file that code is said to come from
HANDING = {  # end of a file's name -> functions that hand on what they find; None: all of them
    "inspect.py": {"currentframe", "stack", "trace", "getouterframes", "getinnerframes", "getgeneratorlocals"}
    | {"getcoroutinelocals", "getasyncgenlocals"},
    "traceback.py": {"walk_tb", "walk_stack"},
    "logging/__init__.py": {"currentframe", "<lambda>"},
    "asyncio/base_tasks.py": {"_task_get_stack"},
    "asyncio/tasks.py": {"get_stack"},
    "_pytest/_code/code.py": {"frame"},
    "threading.py": {"_bootstrap_inner", "_bootstrap"},
}
HANDING.update(dict.fromkeys(["bdb.py", "pdb.py", "profile.py", "cProfile.py", "trace.py"]))
TEST, MEMORY = "code of a test", "memory of a process"
MODULE, ASKED = "names of the tests", "judging.asked"  # the latter is raised by modules of tests, see `judging.py`
FORBIDDEN = {TEST, MEMORY}  # to libraries, too
FUNCTION, CODE = types.FunctionType, types.CodeType


def watch_conduct(judging="<judging>"):
    """Watch from now on: (seen, own), a list of what was asked, and one for the namespaces of the tests' modules.

    The code of a test may be asked for by what runs it alone: it holds what is expected. Audit hooks cannot be removed.

    Args:
        judging: file name of the code that runs the tests.
    """
    seen, own, busy, getframe, startswith, thread = [], [], set(), sys._getframe, str.startswith, get_ident
    endswith = str.endswith
    here = os.path.dirname(os.path.abspath(__file__)) + "/"
    ours = (here, judging)
    installed = (sys.prefix, sys.base_prefix, "/usr/", "<frozen") + ours
    known = files_code(ours)

    def question(event, arguments):
        """What an event is seen as, and the names by which a library would ask it; None if it is nobody's business."""
        if (
            event == "marshal.loads"
        ):  # modules in C do so while they are imported; what comes of it is known by its text
            return event, ()
        if event in CONDUCT:
            return event, (event.rpartition(".")[2],)
        if event == "object.__getattr__":
            name = arguments[1]
            return (name, (name,)) if name in READ else (TEST, ()) if is_tests(*arguments) else None
        if event == "object.__setattr__":
            return ("%s of a function" % arguments[1], ()) if arguments[1] in REWRITTEN else None
        if event == "open":
            name = arguments[0] if isinstance(arguments[0], str) else ""
            is_memory = startswith(name, "/proc/") and endswith(name, "/mem")
            return (MEMORY, ()) if is_memory else None
        if event == ASKED:
            return (MODULE, (arguments[0],)) if is_telling(*arguments) else None
        if event in FILENAME_AT:
            name = arguments[FILENAME_AT[event]]
            is_installed = isinstance(name, str) and startswith(name, installed)
            return ("code named as an installed file", ()) if is_installed else None
        return None

    def is_tests(function, name):
        if name != "__code__" or type(function) is not FUNCTION:
            return False
        space = function.__globals__
        return any(space is other for other in own) and startswith(function.__code__.co_name, ("test", "setUp"))

    def is_telling(name, value):
        """Whether a module's own value may hold what a test expects. Others are what pickling them asks for."""
        if startswith(name, "__"):
            return name == "__dict__"
        return not callable(value) or startswith(name, ("test", "Test", "setUp")) or hasattr(value, "assertEqual")

    def hands_on(code):
        for end, names in HANDING.items():
            if endswith(code.co_filename, "/" + end):
                return names is None or code.co_name in names
        return False

    def by_us(frame):
        """Whether no frame is an answer's, down to what runs the tests."""
        while frame is not None and not startswith(frame.f_code.co_filename, ours):
            if not startswith(frame.f_code.co_filename, installed) and not any(frame.f_globals is o for o in own):
                return False
            frame = frame.f_back
        return frame is not None

    def is_fine(asked, names, frame):
        if frame is None or by_us(frame):
            return True
        if asked in FORBIDDEN:
            return False
        file = ""
        while frame is not None and hands_on(frame.f_code):
            file, names = frame.f_code.co_filename, names + (frame.f_code.co_name,)
            frame = frame.f_back
        if frame is None or not startswith(frame.f_code.co_filename, installed):
            return False
        code = frame.f_code
        return not names or (known(code) and (code.co_filename == file or any(n in named_by(code) for n in names)))

    def hook(event, arguments):
        me = thread()
        if me in busy:
            return
        busy.add(me)
        try:
            asked = question(event, arguments)
            if asked is None:
                return
            frame = getframe().f_back
            if event == ASKED:  # the module's own function is no one that asks
                frame = frame.f_back
            if not is_fine(asked[0], asked[1], frame):
                seen.append(asked[0])
        finally:
            busy.discard(me)

    if hasattr(sys, "addaudithook"):
        sys.addaudithook(hook)
    return seen, own


def named_by(code):
    """All names and texts that occur in a code object."""
    return code.co_names + code.co_varnames + code.co_freevars + code.co_cellvars + code.co_consts


def files_code(trusted):
    """`known(code)`: whether a code object is what the text of the file that it names compiles to.

    Args:
        trusted: file names, or beginnings of them, that need no proof: they are known by the one who asks.
    """
    found, read, translate, fixed, startswith = {}, open, compile, types_of_import(), str.startswith

    def load(path):
        try:
            with read(path, "rb") as file:
                codes = [translate(file.read(), path, "exec", dont_inherit=True)]
        except (OSError, SyntaxError, ValueError):
            return {}
        books = {}
        for outer in codes:  # grows on the way
            codes.extend(inner for inner in outer.co_consts if type(inner) is CODE)
            books.setdefault((outer.co_name, outer.co_firstlineno), []).append(likeness(outer))
        return books

    def known(code):
        path = code.co_filename
        if startswith(path, trusted) or any(code is other for other in fixed):
            return True
        if path not in found:
            found[path] = load(path)
        return likeness(code) in found[path].get((code.co_name, code.co_firstlineno), ())

    return known


def likeness(code):
    constants = [(type(value), value) for value in code.co_consts if type(value) is not CODE]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, constants


def types_of_import():
    """Code of the import system, which is frozen: it has no file."""
    codes = []
    for name in ("_frozen_importlib", "_frozen_importlib_external"):
        for value in list(vars(sys.modules[name]).values()):
            for inner in [value] + (list(vars(value).values()) if isinstance(value, type) else []):
                function = getattr(inner, "__func__", inner)
                if isinstance(function, FUNCTION):
                    codes.append(function.__code__)
    for outer in codes:  # grows on the way
        codes.extend(inner for inner in outer.co_consts if type(inner) is CODE)
    return codes
