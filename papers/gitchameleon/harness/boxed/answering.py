"""The answer's side of the box: what runs around a candidate's import, and says how it went."""

import contextlib
import json
import marshal
import os
import sys


def answer_side(orders, reports, request, path, part):
    """A generator that yields a list once, into which the report of a bad import goes, if it was one.

    Only the evaluation stack of the caller holds the generator while the candidate is imported: no frame, module or
    class leads to what it knows.

    Args:
        orders, reports: the pipes from and to the judge's side, see `relaying.py`.
        path: of the candidate's file.
        part: gives the namespace of another file of ours, of which nothing can find it again.
    """
    for fd in (orders, reports):
        os.set_inheritable(fd, False)
    request = json.loads(json.dumps(request))  # the caller's is in its frame
    send, receive, be = talk(orders, reports)
    leave, run, translate, flushes = os._exit, exec, compile, (sys.stdout.flush, sys.stderr.flush)
    be(receive()[0])
    lines = None
    if request.get("lines"):
        lines = part("lines")["Lines"](path)
        lines.start()
    guarding = part("guarding")
    loaded, conduct = guarding["guard"](request["guard"], lines is not None)
    error = []
    yield error
    if error:
        send(*error[0])
    else:
        send("imported", " ".join(loaded), "\n".join(conduct() + guarding["planted"](os.path.dirname(path))))
        token, judging, sources, own = receive()
        be(token)
        stage = {"__name__": "judging", "__builtins__": guarding["__builtins__"]}  # which the candidate does not reach
        run(translate(judging, "<judging>", "exec"), stage)
        found = stage["run"](send, request, sources, own, conduct, path)
        send("done", "\n".join(found), *(lines.report(request["code"]) if lines else ()))
    for flush in flushes:
        with contextlib.suppress(Exception):
            flush()
    leave(0)


def talk(orders, reports):
    """Functions that send a report under the token, receive an order, and set the token."""
    me, pid_of, leave, write, read, loads = os.getpid(), os.getpid, os._exit, os.write, os.read, marshal.loads
    quote, encode, join, token = str.__repr__, str.encode, str.join, [""]

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

    def be(new):
        token[0] = new

    return send, receive, be
