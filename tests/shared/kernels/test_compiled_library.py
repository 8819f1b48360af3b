"""How the library of the compiled forms is built, found, refused and done without, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from shared.kernels import compiled
from shared.kernels.diagonal import diagonal_recurrence

RUN = """
import logging, torch
logging.basicConfig(format="%(message)s")
from shared.kernels.diagonal import diagonal_recurrence
from shared.kernels.dispatch import forms_that_ran
for _ in range(2):
    state = diagonal_recurrence(torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1))[1].item()
print(state, forms_that_ran()["diagonal_recurrence"])
"""
needs_compiler = pytest.mark.skipif(compiled.library() is None, reason=compiled.attempt()[2])


def start(cache, code=RUN, **environment):
    cleared = {k: v for k, v in os.environ.items() if k not in ("CXX", "ARTIFACTS_KERNEL_BACKEND")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**cleared, "ARTIFACTS_CACHE": str(cache), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip(), err.strip().splitlines()


def built(cache):
    return sorted(path for path in Path(cache).rglob("*") if path.name == "kernels.so")


@pytest.fixture
def compiler(tmp_path):
    """A compiler that notes each call and copies the library that is there: it takes no seconds."""
    library = next(iter(sorted((compiled.cache_dir() / "kernels" / compiled.folder_name()).glob("kernels.so"))), None)
    program = tmp_path / "compiler"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo toy 1.0; exit; fi\n'
        f'echo called >> "{tmp_path}/calls"; sleep 1\n'
        f'while [ "$1" != -o ]; do shift; done; cp "{library}" "$2"\n'
    )
    program.chmod(0o755)
    return program


@needs_compiler
def test_two_processes_build_it_once(tmp_path, compiler):
    both = [start(tmp_path / "cache", CXX=str(compiler)) for _ in range(2)]
    assert [finish(process) for process in both] == [("1.75 compiled", [])] * 2
    assert (tmp_path / "calls").read_text().split() == ["called"]
    assert len(built(tmp_path / "cache")) == 1
    assert finish(start(tmp_path / "cache", CXX="/no/compiler")) == ("1.75 compiled", [])  # it needs none any more


@needs_compiler
def test_cache_that_cannot_be_written_means_a_library_of_ones_own(tmp_path, compiler):
    (tmp_path / "cache").write_text("a file")
    assert finish(start(tmp_path / "cache" / "below", CXX=str(compiler))) == ("1.75 compiled", [])
    assert (tmp_path / "cache").read_text() == "a file"


@pytest.mark.parametrize(
    ("name", "said"), [("/no/compiler", "there is no C++ compiler"), ("false", "fails"), ("cat", "fails")]
)
def test_without_a_working_compiler_the_torch_form_runs_and_one_line_says_so(tmp_path, name, said):
    out, err = finish(start(tmp_path, CXX=name))
    assert out == "1.75 torch"
    assert len(err) == 1 and said in err[0] and "the torch forms do" in err[0]
    assert not built(tmp_path)


def test_setting_forces_the_torch_form_and_builds_nothing(tmp_path):
    assert finish(start(tmp_path, ARTIFACTS_KERNEL_BACKEND="torch")) == ("1.75 torch", [])
    assert not built(tmp_path)


def test_import_builds_nothing(tmp_path):
    code = "from shared.kernels import convolution, diagonal, selective"
    assert finish(start(tmp_path, code)) == ("", [])
    assert not built(tmp_path)


@needs_compiler
@pytest.mark.parametrize("damage", ["cut", "other", "description", "no library"])
def test_damaged_library_ends_in_the_torch_form_and_a_sentence(tmp_path, damage, compiler):
    finish(start(tmp_path / "cache", CXX=str(compiler)))
    (library,) = built(tmp_path / "cache")
    about = library.with_name("built.json")
    if damage == "cut":
        library.write_bytes(library.read_bytes()[:5000])
    elif damage == "other":  # as if for another machine: whole, and nothing to load
        library.write_bytes(b"\x7fELF" + bytes(5000))
        described = about.read_text()
        before = described.partition('"sha256": "')[2][:64]
        about.write_text(described.replace(before, compiled.sha256_of(library)))
    elif damage == "description":
        about.write_text("{}")
    elif damage == "no library":
        library.unlink()
    out, err = finish(start(tmp_path / "cache"))
    assert out == "1.75 torch"
    assert len(err) == 1 and str(library) in err[0] and f"remove {library.parent} to build it again" in err[0]


def test_asking_for_it_where_it_cannot_be_is_refused(monkeypatch):
    a = x = torch.ones(1, 3, 2)
    monkeypatch.setattr(compiled, "attempt", lambda: (None, {}, "there is no C++ compiler"))
    monkeypatch.setattr(compiled, "library", lambda: None)
    with pytest.raises(ValueError, match=r"'compiled' was asked for, but there is no C\+\+ compiler; use 'torch'"):
        diagonal_recurrence(a, x, backend="compiled")
    with pytest.raises(ValueError, match="run on the CPU; got a tensor on meta"):
        diagonal_recurrence(a.to("meta"), x.to("meta"), backend="compiled")


def test_key_follows_source_and_instruction_set(tmp_path, monkeypatch):
    keys = {compiled.folder_name()}
    for number, source in enumerate((compiled.HEADER, *compiled.SOURCES)):
        changed = tmp_path / source.name
        changed.write_text(source.read_text() + "// changed\n")
        sources = [changed if each == source else each for each in (compiled.HEADER, *compiled.SOURCES)]
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "HEADER", sources[0])
            patch.setattr(compiled, "SOURCES", tuple(sources[1:]))
            keys.add(compiled.folder_name())
        assert len(keys) == number + 2
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    keys.add(compiled.folder_name())
    assert "-mavx2" not in compiled.flags()
    assert len(keys) == len(compiled.SOURCES) + (3 if compiled.platform.machine() == "x86_64" else 2)
