"""Environments: built once, locked, checked, removed; interpreters found or named as missing."""

import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from papers.gitchameleon.data.pins import pin
from papers.gitchameleon.environments.installers import Index, cause_of
from papers.gitchameleon.environments.interpreters import NoInterpreter, find_interpreter, parse_map
from papers.gitchameleon.environments.preflight import missing_for
from papers.gitchameleon.environments.spec import EnvSpec, Installed, mismatches, site_packages, spec_of
from papers.gitchameleon.environments.store import Env, EnvStore, Missing
from papers.gitchameleon.suites.loader import load_suite
from papers.gitchameleon.suites.tasks import own_python
from papers.gitchameleon.suites.wheels import write_wheels


def spec(version: str = "1.0.0", **other) -> EnvSpec:
    library = pin("textkit", version)
    return EnvSpec(own_python(), library, (library,), **other)


@pytest.fixture
def fresh(store, tmp_path):
    """A store of its own, with the same wheels."""
    return EnvStore(tmp_path / "envs", store.index)


def test_an_environment_has_its_pins_and_a_lock(store):
    env = store.get(spec())
    assert isinstance(env, Env) and env.python.exists() and mismatches(env.path, env.spec) == []
    assert [(i.name, i.version, i.kind) for i in env.lock] == [("textkit", "1.0.0", "wheel")]
    assert (env.path.parent / f"{store.key(env.spec)}.log").is_file()


def test_building_twice_builds_once(fresh):
    first = fresh.get(spec())
    again = fresh.get(spec())
    assert fresh.num_built == 1 and first.lock_hash == again.lock_hash


def test_two_threads_that_want_one_environment_build_it_once(fresh):
    threads = [threading.Thread(target=fresh.get, args=(spec(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fresh.num_built == 1


def test_a_changed_environment_is_noticed_and_built_again(fresh):
    env = fresh.get(spec())
    planted = site_packages(env.path) / "textkit.py"
    planted.unlink()
    planted.write_text("def join_lines(*a, **k): return 'planted'\n", encoding="utf-8")
    rebuilt = fresh.get(spec())
    assert fresh.num_built == 2 and "planted" not in (site_packages(rebuilt.path) / "textkit.py").read_text(
        encoding="utf-8"
    )


def test_a_failed_build_leaves_a_log_and_a_cause_and_no_environment(fresh):
    missing = fresh.get(spec("9.9.9"))
    assert isinstance(missing, Missing) and missing.cause == "no-wheel", missing
    assert not fresh.folder(missing.spec).exists()
    assert "9.9.9" in (fresh.root / f"{fresh.key(missing.spec)}.log").read_text(encoding="utf-8")
    before = (fresh.root / f"{fresh.key(missing.spec)}.failed.json").stat().st_mtime_ns
    assert fresh.get(spec("9.9.9")).cause == "no-wheel"
    assert (fresh.root / f"{fresh.key(missing.spec)}.failed.json").stat().st_mtime_ns == before  # remembered, not tried


def test_what_failed_is_tried_again_where_conditions_differ(fresh, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    poor = EnvStore(fresh.root, Index(wheelhouse=empty))
    assert isinstance(poor.get(spec()), Missing)
    assert isinstance(fresh.get(spec()), Env)


def test_a_base_package_that_moves_the_library_fails_the_environment(fresh):
    missing = fresh.get(spec(base=(pin("textkit", "2.0.0"),)))
    assert isinstance(missing, Missing) and missing.cause == "version-mismatch"


def test_the_longest_unused_environments_go_first(fresh):
    old, new = fresh.get(spec("1.0.0")), fresh.get(spec("2.0.0"))
    os.utime(old.path / "env.json", (1, 1))
    assert [folder for folder, _, _ in fresh.sizes()] == [old.path, new.path]
    assert fresh.collect(max_gb=0) == [old.path]  # the other was used just now
    assert not old.path.exists() and new.path.exists()
    assert fresh.collect(max_gb=1, idle_seconds=0) == []


def test_a_missing_interpreter_is_named_with_the_places_searched(tmp_path):
    library = pin("textkit", "1.0.0")
    missing = EnvStore(tmp_path).get(EnvSpec("3.6.99", library, (library,)))
    assert isinstance(missing, Missing) and missing.cause == "no-interpreter"
    assert "PATH" in missing.message and "3.6.99" in missing.message


def test_interpreters_come_from_the_map_first(monkeypatch):
    version = own_python()
    found = find_interpreter(version, {version: Path(sys.executable)})
    assert found.source == "map" and found.version.startswith(version)
    assert find_interpreter(version).source == "this process"
    monkeypatch.setenv("GITCHAMELEON_PYTHONS", "3.7=/a:3.9=/b")
    assert {k: str(v) for k, v in parse_map(["3.9=/c"]).items()} == {"3.7": "/a", "3.9": "/c"}
    with pytest.raises(ValueError, match="names no interpreter"):
        parse_map(["3.7"])
    with pytest.raises(ValueError, match="does not start"):
        find_interpreter("3.7", parse_map())
    with pytest.raises(NoInterpreter, match="no Python"):
        find_interpreter("3.99")


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("Because foo==1 has no wheels with a matching Python ABI tag", "no-wheel"),
        ("× Failed to build `numpy==1.21.0`", "build-failed"),
        ("ERROR: ResolutionImpossible: conflicting dependencies", "conflict"),
        ("error: Failed to fetch: https://pypi.org/simple/x", "network"),
        ("something else", "unknown"),
    ],
)
def test_a_failed_installation_has_a_cause(log, cause):
    assert cause_of(log) == cause


def test_pip_does_what_uv_does(store, tmp_path, monkeypatch):
    for module in ("installers", "interpreters"):
        monkeypatch.setattr(f"papers.gitchameleon.environments.{module}.find_uv", lambda: None)
    env = EnvStore(tmp_path, store.index).get(spec())
    assert isinstance(env, Env), env
    assert env.lock_hash == store.get(spec()).lock_hash


def test_wheels_have_the_same_bytes_whenever_they_are_written(tmp_path):
    one, other = write_wheels(tmp_path / "a"), write_wheels(tmp_path / "b")
    assert (
        sorted(p.name for p in one.iterdir()) == sorted(p.name for p in other.iterdir())
        and len(list(one.iterdir())) == 6
    )
    assert all((other / p.name).read_bytes() == p.read_bytes() for p in one.iterdir())


def test_problems_under_pytest_get_the_base_packages_they_do_not_pin():
    problem = load_suite("builtin")[0].model_copy(
        update={"python_version": "3.7", "runner": "pytest", "additional_dependencies": "numpy==1.16"}
    )
    assert [name for name, _ in spec_of(problem).base] == ["pytest", "pytest-cov", "scipy"]


def test_pins_that_cannot_be_resolved_give_way_as_in_the_authors_environments():
    problem = load_suite("builtin")[0].model_copy(
        update={"library": "librosa", "version": "0.8.0", "additional_dependencies": "joblib==0.12"}
    )
    assert ("joblib", "0.14.0") in spec_of(problem).pins and ("joblib", "0.12.0") in problem.pins
    other = problem.model_copy(update={"version": "0.7.0"})
    assert ("joblib", "0.12.0") in spec_of(other).pins


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
def test_no_installer_outlives_a_killed_process(tmp_path):
    pid_file = tmp_path / "pid"
    tool = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = "from papers.gitchameleon.environments.installers import _run\n"
    code += f"_run([{sys.executable!r}, '-c', {tool!r}], 60.0)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_for(lambda: pid_file.is_file() and pid_file.read_text(encoding="utf-8"))
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not Path(f"/proc/{pid_file.read_text(encoding='utf-8')}").exists())


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_failure_that_may_pass_is_not_remembered(fresh, monkeypatch):
    """A build without a network says nothing about the next one."""
    from papers.gitchameleon.environments import store as module
    from papers.gitchameleon.environments.installers import InstallError

    def refused(*arguments):
        raise InstallError("network", "error: Failed to fetch")

    with monkeypatch.context() as patch:
        patch.setattr(module, "install", refused)
        assert fresh.get(spec()).cause == "network"
    assert not list(fresh.root.glob("*.failed.json")) and isinstance(fresh.get(spec()), Env)


def test_an_edited_wheel_gives_another_environment(tmp_path):
    wheels = write_wheels(tmp_path / "wheels")
    first = EnvStore(tmp_path / "envs", Index(wheelhouse=wheels)).get(spec())
    (wheel,) = wheels.glob("textkit-1.0.0-*.whl")
    with zipfile.ZipFile(wheel) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(wheel, "w") as new:
        for name, data in content.items():
            new.writestr(name, data + b"\nedited = True\n" if name == "textkit.py" else data)
    second = EnvStore(tmp_path / "envs", Index(wheelhouse=wheels)).get(spec())
    assert second.path != first.path and b"edited" in next(second.path.rglob("textkit.py")).read_bytes()


def installed_in(env, *versions):
    return replace(env, lock=tuple(Installed(name, version, "", "wheel") for name, version in versions))


def test_what_the_machine_lacks_makes_a_problem_unavailable(store, monkeypatch):
    problem, env = load_suite("builtin")[0], store.get(spec())
    assert missing_for(problem, env) is None
    librosa = installed_in(env, ("soundfile", "0.10.2"))
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    found = missing_for(problem, librosa)
    assert found.cause == "system-library" and "libsndfile1" in found.message
    assert missing_for(problem, installed_in(env, ("soundfile", "0.12.1"))) is None
    monkeypatch.setattr("ctypes.util.find_library", lambda name: f"lib{name}.so")
    assert missing_for(problem, librosa) is None


def test_corpora_and_websites_are_named(store, tmp_path, monkeypatch):
    problem, env = load_suite("builtin")[0], store.get(spec())
    words = problem.model_copy(update={"library": "nltk", "test": "from nltk.corpus import wordnet"})
    monkeypatch.delenv("NLTK_DATA", raising=False)
    assert missing_for(words, env).cause == "corpus"
    (tmp_path / "corpora" / "wordnet").mkdir(parents=True)
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    assert missing_for(words, env) is None
    audio = problem.model_copy(
        update={"library": "librosa", "version": "0.8.0", "test": "librosa.util.example_audio_file()"}
    )
    monkeypatch.delenv("LIBROSA_DATA_DIR", raising=False)
    assert missing_for(audio, env).cause == "website"
    monkeypatch.setenv("LIBROSA_DATA_DIR", str(tmp_path))
    assert missing_for(audio, env).cause == "website"
    (tmp_path / "Kevin_MacLeod_-_Vibe_Ace.hq.ogg").touch()
    assert missing_for(audio, env) is None
    monkeypatch.delenv("LIBROSA_DATA_DIR")
    assert missing_for(audio.model_copy(update={"version": "0.7.0"}), env) is None  # that package brings it along
