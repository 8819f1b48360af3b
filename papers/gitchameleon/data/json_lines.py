"""JSON Lines: files that grow a line at a time and survive a crash, and files of others, read with care."""

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Lines at the end of a file, on disk when this returns; a crash loses none that were written before.

    A line that a crash cut short is closed first, so that it spoils no other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write("".join(line + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def read_whole_lines(path: Path) -> list[dict]:
    """Objects of a JSON-lines file of ours; lines that a crash cut short are left out."""
    rows = []
    for line in path.read_bytes().split(b"\n") if path.is_file() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def read_rows(path: Path, bad: list[str] | None = None) -> list[tuple[int, dict]]:
    """(line number, object) of a JSON-lines file. Lines end at a line feed and nowhere else.

    Args:
        bad: takes a sentence per line that is no JSON object, instead of an error.
    Raises:
        ValueError: no such file, lines that are no JSON object, or nothing in it; names file and lines.
    """
    if not Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    rows, wrong = [], []
    for number, line in enumerate(Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            row, reason = _object(line)
            if reason:
                wrong.append(f"{path}, line {number}: {reason}")
            else:
                rows.append((number, row))
    if wrong and bad is None:
        raise ValueError("\n".join(wrong))
    if not rows and not wrong:
        raise ValueError(f"{path} is empty; expected one JSON object a line")
    if bad is not None:
        bad += wrong
    return rows


def _object(line: bytes) -> tuple[dict, str]:
    """A line's object, and why it is none."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return {}, f"not UTF-8 (byte {error.start})"
    except json.JSONDecodeError as error:
        return {}, f"not JSON ({error.msg})"
    except RecursionError:
        return {}, "not JSON that can be read (nested too deeply)"
    except ValueError:
        return {}, "not JSON that can be read (a number of too many digits)"
    return (row, "") if isinstance(row, dict) else ({}, f"expected an object, found {type(row).__name__}")
