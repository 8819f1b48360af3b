# ruff: noqa: RUF005 - it also runs under Python 3.7, as text that `answering.py` is sent
"""What is seen of a test: that it reaches its end, and what it raised. One that nothing was heard of has not passed.

unittest takes silence for success, and there are ways to be silent: it passes over `_ShouldStop`, its own word to stop
a test, whoever raises it. So a test, what is around it (`setUp`, cleanups) and its subtests are wrapped: what begins
has to end.
"""

import contextlib
import functools
import inspect
import linecache
import traceback
import types

TRACE_CHARS = 20000
AROUND = ("setUp", "tearDown", "asyncSetUp", "asyncTearDown")


def describe(error, texts):
    """(class name, traceback text) of an exception whose own methods may misbehave.

    The tests' text is in no file and in no table of lines while a candidate may look: a traceback alone has it, of what
    has failed.

    Args:
        texts: path -> text of modules that are in no file; those that the error has come through are shown.
    """
    name, trace, shown = type(error).__name__, error.__traceback__, {}
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path in texts:
            shown[path] = (len(texts[path]), None, texts[path].splitlines(True), path)
        trace = trace.tb_next
    linecache.cache.update(shown)
    try:
        text = "".join(without_us(traceback.TracebackException(type(error), error, error.__traceback__)).format())
    except BaseException:
        text = "".join(traceback.format_tb(error.__traceback__)) + name
    for path in shown:
        linecache.cache.pop(path, None)
    half = TRACE_CHARS // 2
    return name, text if len(text) <= TRACE_CHARS else text[:half] + "\n[...]\n" + text[-half:]


def without_us(trace):
    """A described exception, with those that led to it, without frames of this code."""
    waiting, seen = [trace], set()
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.stack[:] = [frame for frame in one.stack if frame.filename != "<judging>"]
            waiting += [one.__cause__, one.__context__] + list(getattr(one, "exceptions", None) or ())
    return trace


def witness():
    """What looks on, in a namespace.

    `of_function` and `of_case` wrap, `silent(name)` is what ended a test early, True if that is unknown, else None;
    `texts` holds path -> text of tests, `describe(error)` shows it.
    """
    begun, ended, raised = {}, {}, {}
    contextmanager, wraps, is_coroutine = contextlib.contextmanager, functools.wraps, inspect.iscoroutinefunction
    plain = (types.FunctionType, types.MethodType)

    def begin(name):
        begun[name] = begun.get(name, 0) + 1

    def end(name):
        ended[name] = ended.get(name, 0) + 1

    def of_function(function, name):
        if is_coroutine(function):

            async def whole(*arguments, **named):
                begin(name)
                try:
                    result = await function(*arguments, **named)
                except BaseException as error:
                    raised.setdefault(name, error)
                    raise
                end(name)
                return result
        else:

            def whole(*arguments, **named):
                begin(name)
                try:
                    result = function(*arguments, **named)
                except BaseException as error:
                    raised.setdefault(name, error)
                    raise
                end(name)
                return result

        return wraps(function)(whole) if isinstance(function, plain) else whole

    def of_block(block, name):
        @contextmanager
        def whole(*arguments, **named):
            with block(*arguments, **named):
                begin(name)
                try:
                    yield
                except BaseException as error:
                    raised.setdefault(name, error)
                    raise
                end(name)

        return whole

    def of_case(test, name):
        """What unittest calls of a test case, but for the test itself."""
        for part in AROUND:
            if hasattr(test, part):
                setattr(test, part, of_function(getattr(test, part), name))
        for part in ("addCleanup", "addAsyncCleanup"):
            if hasattr(test, part):
                setattr(test, part, adding(getattr(test, part), name))
        test.subTest = of_block(test.subTest, name)

    def adding(add, name):
        return lambda function, *arguments, **named: add(of_function(function, name), *arguments, **named)

    def silent(name):
        error = raised.pop(name, None)
        return None if begun.get(name, 0) == ended.get(name, 0) > 0 else error or True

    texts = {}
    return types.SimpleNamespace(
        of_function=of_function,
        of_case=of_case,
        silent=silent,
        texts=texts,
        describe=functools.partial(describe, texts=texts),
    )
