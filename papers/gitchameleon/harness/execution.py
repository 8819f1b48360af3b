"""Runs a candidate's hidden or visible tests in its environment, in a box, and judges what came back.

How far a pass can be trusted. The candidate shares an interpreter with its tests, as it must: tests hand it any
object. Exit status and printed text count for nothing. A pass takes: every test that the source defines, counted
beforehand, reported as passed; a last line after them; a secret per run, sent after the candidate's import; canaries
with the outcomes drawn for this run; and the guarded functions of unittest, pytest and builtins untouched. That stops
exits, patched assertions, planted files, hooks and forged output. It does not stop a program written against this
very protocol, which could search the interpreter's memory for the secret and answer the canaries itself. `flags` in a
result row names constructs that such a program would need.
"""

import ast
import json
import os
import random
import secrets
from pathlib import Path

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments.store import Env
from papers.gitchameleon.harness.canaries import make_canaries
from papers.gitchameleon.harness.verdicts import HARNESS_ERROR, Talk, Verdict, judge, test_names
from shared.sandbox.box import BoxSpec, Limits, environment
from shared.sandbox.running import run_boxed

RUNNER = Path(__file__).parent / "boxed" / "runner.py"
DATA_VARIABLES = ("NLTK_DATA",)  # NLTK's corpora: punkt, wordnet, omw-1.4
SUSPICIOUS = {"gc", "ctypes", "_getframe", "currentframe", "settrace", "setprofile", "f_back", "f_locals", "fork"}
SUSPICIOUS |= {"BOX_FD", "__loader__", "/proc/self", "_exit", "get_objects", "os.dup2"}


def run_hidden(problem: Problem, code: str, env: Env, level: str, limits: Limits, count_lines: bool = False) -> Verdict:
    """The benchmark's metric: the hidden test module, importing the candidate as `sample_<id>`.

    Args:
        count_lines: also count which lines of the candidate run; a candidate that we do not trust could forge it.
    Raises:
        ValueError: the problem has no hidden test here.
    """
    if problem.hidden_test is None:
        raise ValueError(f"problem {problem.example_id} has no hidden test; give the folder with --hidden-tests")
    canaries = make_canaries(random.Random(secrets.token_bytes(16)))
    talk = Talk(secrets.token_hex(16), test_names(problem.hidden_test), canaries.passes)
    request = {"mode": "hidden", "runner": problem.runner, "module": problem.module, "code": code}
    request["lines"] = count_lines
    reply = {"tests": problem.hidden_test, "before": canaries.before, "after": canaries.after}
    return _run(talk, request, reply, env, level, limits)


def run_visible(problem: Problem, code: str, env: Env, level: str, limits: Limits) -> Verdict:
    """The visible test: statements that run after the candidate, in its namespace.

    Six of the benchmark's end with `unittest.main()`, which always leaves the program. It is told not to, and its
    result is asserted: so leaving stays what it is elsewhere, an exit that came too early.
    """
    talk = Talk(secrets.token_hex(16), frozenset({"visible"}))
    request = {"mode": "visible", "runner": "script", "module": problem.module, "code": code}
    return _run(talk, request, {"tests": without_exit(problem.test)}, env, level, limits)


def _run(talk: Talk, request: dict, reply: dict, env: Env, level: str, limits: Limits) -> Verdict:
    def answer(line: bytes) -> bytes | None:
        try:
            heard, before = json.loads(line), talk.imported
            talk.hear(heard)
        except (ValueError, KeyError, TypeError, AttributeError):
            talk.broken = "a report that is none"
            return None
        return _line(reply | {"nonce": talk.nonce}) if talk.imported and not before else None

    spec = BoxSpec(
        level=level,
        argv=[str(env.python), "-I", "-B", str(RUNNER)],
        readonly=[*_readable(env), *data_folders().values()],
        limits=limits,
        env=environment() | data_folders(),
    )
    result = run_boxed(spec, answer, _line(request))
    if not result.lines and ("Fatal Python error" in result.output or result.exit in (126, 127)):
        return Verdict(HARNESS_ERROR, detail=f"the runner did not start: {result.output[-500:]}")
    return judge(talk, result.exit, result.stopped, result.error, result.output)


_STAYING = """
result = unittest.main(exit=False).result
for _, trace in result.failures + result.errors:
    raise AssertionError(trace)
assert result.testsRun
"""


class _Staying(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        leaves = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "unittest.main"
        return ast.parse(_STAYING).body if leaves else node


def without_exit(test: str) -> str:
    """A visible test whose statements `unittest.main(...)` raise what failed and go on; others are left as they are."""
    if "unittest.main" not in test:
        return test
    return ast.unparse(ast.fix_missing_locations(_Staying().visit(ast.parse(test))))


def data_folders() -> dict[str, str]:
    """Folders of data that tests need and a box without network cannot fetch: those the user's variables name."""
    named = {name: os.path.realpath(os.environ[name]) for name in DATA_VARIABLES if os.environ.get(name)}
    return {name: path for name, path in named.items() if os.path.isdir(path)}


def _line(content: dict) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _readable(env: Env) -> list[str]:
    """Paths that the runner needs: the environment, its interpreter and the runner itself."""
    python = env.python.resolve()
    paths = [str(env.path), str(python.parent.parent), str(RUNNER)]
    return [p for p in dict.fromkeys(paths) if not p.startswith("/usr/") and p not in ("/usr", "/")]


def flags(code: str) -> list[str]:
    """Names and texts in a candidate that a program searching the interpreter would need; sorted."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = set()
    for node in ast.walk(tree):
        words = []
        if isinstance(node, ast.Name):
            words = [node.id]
        elif isinstance(node, ast.Attribute):
            words = [node.attr]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            words = [a.name.split(".")[0] for a in node.names] + [getattr(node, "module", None) or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = [s for s in SUSPICIOUS if s in node.value and len(s) > 5]
        found |= SUSPICIOUS & set(words)
    return sorted(found)
