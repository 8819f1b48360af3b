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
    leave, flushes = os._exit, (sys.stdout.flush, sys.stderr.flush)
    be(receive()[0])
    lines = None
    if request.get("lines"):
        lines = part("lines")["Lines"](path)
        lines.start()
    guarding, (seen, spaces) = part("guarding"), part("watching")["watch_conduct"]()
    loaded, conduct = guarding["guard"](request["guard"], lines is not None, seen)
    error = []
    yield error
    if error:
        send(*error[0])
    else:
        send("imported", " ".join(loaded), "\n".join(conduct() + guarding["planted"](os.path.dirname(path))))
        token, texts, sources, own = receive()
        be(token)
        rooms = [room(text, guarding["__builtins__"]) for text in texts]
        found = rooms[0]()["run"](send, request, sources, own, conduct, path, spaces, *rooms[1:])
        send("done", "\n".join(found), *(lines.report(request["code"]) if lines else ()))
    for flush in flushes:
        with contextlib.suppress(Exception):
            flush()
    leave(0)


def room(text, own_builtins):
    """A function that gives the namespace of a text of ours, with builtins that the candidate does not reach."""

    def enter():
        space = {"__name__": "judging", "__builtins__": own_builtins}
        exec(compile(text, "<judging>", "exec"), space)
        return space

    return enter


def talk(orders, reports):
    """Functions that send a report under the token, receive an order, and set the token.

    A program that forks at import ends its import more than once: every copy comes to `send`. When copies shared the
    socket to the harness, two that lived long enough both reported an import, and the second, which had no secret,
    counted as a forgery: a fork bomb was *tampered* or not by how many copies the machine's load let live that long.
    A copy has another process id, so it now ends here before it writes anything.
    """
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
