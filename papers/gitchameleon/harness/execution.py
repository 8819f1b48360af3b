"""Runs a candidate's hidden or visible tests in its environment, in a box, and judges what came back.

How far a pass can be trusted. The judge is this process, which no candidate reaches; in the box the candidate runs in a
child that has neither the judge's socket nor the run's secret (`boxed/runner.py`). But candidate and tests share that
child's interpreter, as they must: tests hand the candidate any object. Exit status and printed text count for nothing.
A pass takes: every test that the reference has collected, reported as passed and seen to reach its end; a last report
after them; a token that is made when the candidate's import has ended; canaries in the style of the tests, with
outcomes drawn for this run; and functions of unittest, pytest, builtins and the assertion helpers of common libraries
as they were, after each test. The paper's README says what remains possible to a program that is written against this
very protocol; `flags` in a result row names such constructs.
"""

import ast
import json
import os
import random
import secrets
from pathlib import Path

from papers.gitchameleon.data.parsing import parsed
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments.store import Env
from papers.gitchameleon.harness.canaries import guarded_packages, make_canaries
from papers.gitchameleon.harness.verdicts import HARNESS_ERROR, Talk, Verdict, judge, test_names, undecorated
from shared.sandbox.box import BoxSpec, Limits, environment
from shared.sandbox.running import run_boxed

BOXED = Path(__file__).parent / "boxed"
# files that the box sees of us, and those whose text is sent in after the import
READABLE = ("runner.py", "relaying.py", "answering.py", "guarding.py", "watching.py", "lines.py")
SENT_IN = ("judging.py", "seeing.py", "under_pytest.py")
IN_BOX = READABLE + SENT_IN
RUNNER = BOXED / "runner.py"
DATA_VARIABLES = ("NLTK_DATA", "LIBROSA_DATA_DIR")  # NLTK's corpora (punkt, wordnet, omw-1.4), librosa's recordings
WORDS = """
/proc/self BOX_FD _ShouldStop __array_function__ __array_ufunc__ __class__ __closure__ __code__ __dict__ __eq__
__getattribute__ __globals__ __instancecheck__ __loader__ __subclasses__ _current_exceptions _current_frames _exit
_getframe bdb cell_contents cffi co_consts co_filename ctypes currentframe f_back f_globals f_locals fork gc get_field
get_objects get_referents get_referrers get_stack getsource gi_frame gr_frame linecache marshal mock os.dup2 pdb profile
pytest setattr setprofile settrace signal source_to_code sys.modules tb_frame test_sample unittest visible_test
walk_stack walk_tb
"""
IMPORTS = (ast.Import, ast.ImportFrom)
SUSPICIOUS = frozenset(WORDS.split())  # what is needed to search the interpreter, and odd objects


def run_hidden(
    problem: Problem,
    code: str,
    env: Env,
    level: str,
    limits: Limits,
    count_lines: bool = False,
    expected: frozenset[str] | None = None,
) -> Verdict:
    """The benchmark's metric: the hidden test module, importing the candidate as `sample_<id>`.

    Args:
        count_lines: also count which lines of the candidate run; a candidate that we do not trust could forge it.
        expected: names of the tests that have to run; None: those that the source is sure to hold.
    Raises:
        ValueError: the problem has no hidden test here.
    """
    if problem.hidden_test is None:
        raise ValueError(f"problem {problem.example_id} has no hidden test; give the folder with --hidden-tests")
    talk = Talk(secrets.token_hex(16), certain_tests(problem) if expected is None else expected)
    request = {"mode": "hidden", "runner": problem.runner, "module": problem.module, "code": code}
    request["lines"] = count_lines
    return _run(talk, request, problem.hidden_test, problem.runner, env, level, limits)


def certain_tests(problem: Problem) -> frozenset[str]:
    """Names of the tests that a hidden test is sure to hold; none where only the pinned Python can parse it."""
    try:
        return test_names(problem.hidden_test or "")
    except ValueError:
        return frozenset()


def run_visible(problem: Problem, code: str, env: Env, level: str, limits: Limits) -> Verdict:
    """The visible test: statements that run after the candidate, in its namespace.

    Six of the benchmark's end with `unittest.main()`, which always leaves the program. It is left out, and the box runs
    the program's test cases instead: so leaving stays what it is elsewhere, an exit that came too early.
    """
    talk = Talk(secrets.token_hex(16), frozenset({"visible"}))
    test, cases = without_exit(problem.test)
    request = {"mode": "visible", "runner": "script", "module": problem.module, "code": code, "cases": cases}
    return _run(talk, request, test, "script", env, level, limits)


def _run(talk: Talk, request: dict, tests: str, style: str, env: Env, level: str, limits: Limits) -> Verdict:
    generator = random.Random(secrets.token_bytes(16))

    def answer(line: bytes) -> bytes | None:
        try:
            heard, ready, imported = json.loads(line), talk.ready, talk.imported
            talk.hear(heard)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            talk.broken = "a report that is none"
            return None
        if talk.ready and not ready:
            return _line({"nonce": talk.nonce})
        if not talk.imported or imported:
            return None
        if talk.replaced:
            return _line({"stop": True})
        canaries = make_canaries(generator, style, talk.loaded)
        talk.canaries = canaries.passes
        sources = [canaries.before, tests, canaries.after]
        order = {"texts": [(BOXED / name).read_text(encoding="utf-8") for name in SENT_IN], "sources": sources}
        return _line(order | {"own": [undecorated(source) for source in sources]})

    spec = BoxSpec(
        level=level,
        argv=[str(env.python), "-I", "-B", str(RUNNER)],
        readonly=[*_readable(env), *data_folders().values()],
        limits=limits,
        env=environment() | data_folders(),
    )
    result = run_boxed(spec, answer, _line(request | {"guard": guarded_packages(tests, style)}))
    if not result.lines and ("Fatal Python error" in result.output or result.exit in (126, 127)):
        return Verdict(HARNESS_ERROR, detail=f"the runner did not start: {result.output[-500:]}")
    return judge(talk, result.exit, result.stopped, result.error, result.output)


class _Staying(ast.NodeTransformer):
    """Takes `unittest.main(...)` out of a program's statements, and keeps in mind that it was there."""

    found = False

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        if not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "unittest.main"):
            return node
        self.found = True
        return ast.Pass()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return node


def without_exit(test: str) -> tuple[str, bool]:
    """(a visible test without its statements `unittest.main(...)`, whether it had any)."""
    if "unittest.main" not in test or (tree := parsed(test)[0]) is None:
        return test, False
    staying = _Staying()
    rest = ast.fix_missing_locations(staying.visit(tree))
    return (ast.unparse(rest), True) if staying.found else (test, False)


def data_folders() -> dict[str, str]:
    """Folders of data that tests need and a box without network cannot fetch: those the user's variables name."""
    named = {name: os.path.realpath(os.environ[name]) for name in DATA_VARIABLES if os.environ.get(name)}
    return {name: path for name, path in named.items() if os.path.isdir(path)}


def _line(content: dict) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _readable(env: Env) -> list[str]:
    """Paths that the runner needs: the environment, its interpreter and our files."""
    python = env.python.resolve()
    paths = [str(env.path), str(python.parent.parent), *(str(BOXED / name) for name in READABLE)]
    return [p for p in dict.fromkeys(paths) if not p.startswith("/usr/") and p not in ("/usr", "/")]


def flags(code: str) -> list[str]:
    """Names and texts in a candidate that a program searching the interpreter would need; sorted."""
    tree, _ = parsed(code)
    nodes = list(ast.walk(tree)) if tree else []
    imported = {(a.asname or a.name).split(".")[0] for n in nodes if isinstance(n, IMPORTS) for a in n.names}
    found = set()
    for node in nodes:
        words = []
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            found |= {f"sets {node.value.id}.{node.attr}"} if node.value.id in imported else set()
        if isinstance(node, ast.Name):
            words = [node.id]
        elif isinstance(node, ast.Attribute):
            words = [node.attr, f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else ""]
        elif isinstance(node, ast.FunctionDef):
            words = [node.name]
        elif isinstance(node, IMPORTS):
            module = getattr(node, "module", None) or ""
            words = [module, *(w for a in node.names for w in (a.name.split(".")[0], f"{module}.{a.name}"))]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = [s for s in SUSPICIOUS if s in node.value and len(s) > 5]
        found |= SUSPICIOUS & set(words)
    return sorted(found)
