"""Counts which lines of a candidate run, as far as it is trusted: a candidate could forge the count."""

import dis
import sys
import threading
import types


class Lines:
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
        return [str(len(lines)), " ".join(map(str, sorted(lines - self.ran)))]


def line_numbers(code):
    """Lines with instructions, of a code object and all that are nested in it."""
    found = set(line for _, line in dis.findlinestarts(code) if line)  # 0 and None stand for no line
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= line_numbers(constant)
    return found
