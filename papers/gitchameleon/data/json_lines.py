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
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def read_rows(path: Path) -> list[tuple[int, dict]]:
    """(line number, object) of a JSON-lines file.

    Raises:
        ValueError: no such file, a line that is no JSON object, or nothing in it; names file and line.
    """
    if not Path(path).is_file():
        raise ValueError(f"no such file: {path}")
    rows = []
    with Path(path).open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: not JSON ({error.msg})") from None
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number}: expected an object, found {type(row).__name__}")
            rows.append((number, row))
    if not rows:
        raise ValueError(f"{path} is empty; expected one JSON object a line")
    return rows
