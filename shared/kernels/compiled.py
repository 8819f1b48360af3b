"""`compiled_*.cpp` as one library: built by the C++ compiler at hand, once for all processes, called through ctypes.

    python -m shared.kernels.compiled        # build it now; says what was built, or why it cannot be

Otherwise the first call of a kernel builds it, about five seconds. It lies in the cache (`shared/base/cache.py`) under
a key of its sources, the flags and the platform, and is moved into place when complete; where the cache cannot be
written, each process builds its own. The library knows nothing of torch or Python, so no version of these can break it.

The flags: AVX2 where torch sees it and ATEN_CPU_CAPABILITY allows it, else the platform's least instruction set.
Multiplication and addition are rounded one by one, so that both give the same bits. Without a compiler, or where
anything else fails, `library` is None, one line is logged, and the torch forms run.
"""

import contextlib
import ctypes
import functools
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from shared.base.cache import build_once, cache_dir, sha256_of, short_key
from shared.base.files import read_json, write_json
from shared.base.paths import repo_root

HEADER = Path(__file__).with_suffix(".h")
SOURCES = tuple(sorted(HEADER.parent.glob("compiled_*.cpp")))
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
SUFFIXES = {torch.float32: "f32", torch.float64: "f64", torch.complex64: "c64", torch.complex128: "c128"}
SMALL = 1 << 16  # elements below which a second thread costs more than it brings


def flags() -> tuple[str, ...]:
    """Of the compiler; what decides the instruction set comes last."""
    vectors = platform.machine() in ("x86_64", "AMD64") and torch.backends.cpu.get_cpu_capability().startswith("AVX")
    return (*FLAGS, "-pthread", *(("-mavx2",) if vectors else ()))


def compiler() -> str | None:
    """Path of the C++ compiler: the one that CXX names, else the first of c++, g++ and clang++."""
    named = os.environ.get("CXX")
    return next(filter(None, map(shutil.which, [named] if named else ["c++", "g++", "clang++"])), None)


def build(folder: Path) -> None:
    """Make `folder` with the library and `built.json`, which says what made it and how it has to look.

    Raises:
        ValueError: no compiler, or it fails.
    """
    program = compiler()
    if program is None:
        raise ValueError("there is no C++ compiler (CXX, c++, g++ or clang++)")
    folder.mkdir()
    started, target = time.perf_counter(), folder / "kernels.so"
    command = [program, *flags(), *map(str, SOURCES), "-o", str(target)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=300)
        version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{program} does not run ({error})") from None
    if result.returncode:
        raise ValueError(f"{program} fails: {' '.join(result.stderr.split())[:300]}")
    seconds = round(time.perf_counter() - started, 1)
    about = {"compiler": version.partition("\n")[0], "flags": " ".join(flags()), "wall_seconds": seconds}
    write_json(folder / "built.json", {**about, "sha256": sha256_of(target)})


def folder_name() -> str:
    """Names a library by everything that it depends on, but the compiler: one that is there needs none."""
    machine = (platform.system(), platform.machine(), platform.libc_ver())
    return short_key(*map(sha256_of, (HEADER, *SOURCES)), flags(), machine)


def load(folder: Path) -> tuple[ctypes.CDLL, dict]:
    """The library in `folder`, and what `built.json` says of it.

    Raises:
        ValueError: a library that is not whole, or not for this machine.
    """
    target, again = folder / "kernels.so", f"remove {folder} to build it again"
    try:
        about = read_json(folder / "built.json")
        if not target.is_file() or sha256_of(target) != about["sha256"]:
            raise ValueError(f"{target} is not what was built; {again}")
        found = ctypes.CDLL(str(target))
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(f"{target} cannot be loaded ({error}); {again}") from None
    return found, {name: about[name] for name in ("compiler", "flags")}


def present() -> Path | None:
    """The library's folder where it lies in a cache already, which may be one that cannot be written."""
    cache = Path(os.environ.get("ARTIFACTS_CACHE") or repo_root() / ".cache").expanduser()
    folder = cache / "kernels" / folder_name()
    return folder if folder.is_dir() else None


def load_or_build() -> tuple[ctypes.CDLL, dict]:
    """The library and what made it, from the cache, else built into it, else built for this process alone.

    Raises:
        ValueError: it can be neither built nor loaded.
    """
    if (folder := present()) is not None:
        return load(folder)
    try:
        cache = cache_dir()
    except ValueError:
        cache = None
    if cache is not None:
        with contextlib.suppress(OSError):  # a full disk, a file system without locks
            return load(build_once(cache / "kernels" / folder_name(), build))
    with tempfile.TemporaryDirectory(prefix="kernels-") as private:
        folder = Path(private) / folder_name()
        build(folder)
        return load(folder)  # what is loaded may be removed


@functools.cache
def attempt() -> tuple[ctypes.CDLL | None, dict, str]:
    """The library, what made it, and why there is none; tried once in a process."""
    if os.name != "posix":
        return None, {}, f"they are built on Linux and macOS, and this is {platform.system()}"
    try:
        return *load_or_build(), ""
    except (OSError, ValueError) as error:
        return None, {}, str(error)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The library, or None; the first None of a process logs why."""
    found, _, reason = attempt()
    if found is None:
        logging.getLogger(__name__).warning("the compiled CPU kernels do not run, the torch forms do: %s", reason)
    return found


def call(name: str, dtype: torch.dtype, *arguments: Tensor | int | None) -> int:
    """Call the function `name` for a dtype; tensors go as addresses, integers as int64, None as a null address."""
    function = getattr(library(), f"{name}_{SUFFIXES[dtype]}")
    function.restype = ctypes.c_int64
    return function(*(_plain(argument) for argument in arguments))


def _plain(argument: Tensor | int | None) -> ctypes.c_void_p | ctypes.c_int64:
    if isinstance(argument, int):
        return ctypes.c_int64(argument)
    return ctypes.c_void_p(None if argument is None else argument.data_ptr())


def num_threads(elements: int) -> int:
    """Threads for a call over so many elements: torch's number, or one."""
    return torch.get_num_threads() if elements >= SMALL else 1


def rows(z: Tensor) -> Tensor:
    """(B, T, ...) as (B, T, D) with the last axis contiguous in memory; a view where that is possible."""
    z = z.detach().resolve_conj().resolve_neg().reshape(*z.shape[:2], -1)
    return z.contiguous() if z.shape[2] > 1 and z.stride(2) != 1 else z


def whole(z: Tensor) -> Tensor:
    """Contiguous in memory, and not lazily conjugated."""
    return z.detach().resolve_conj().resolve_neg().contiguous()


def per_row(z: Tensor) -> tuple[Tensor, int]:
    """z (B, ...) with contiguous rows, and its stride along the batch, which is 0 where all rows share one."""
    z = whole(z[:1]).expand(z.shape) if z.stride(0) == 0 else whole(z)
    return z, z.stride(0)


if __name__ == "__main__":
    if attempt()[0] is None:
        print(f"no compiled CPU kernels: {attempt()[2]}; the torch forms run")
    else:
        print("compiled CPU kernels: " + ", ".join(f"{name} {value}" for name, value in attempt()[1].items()))
