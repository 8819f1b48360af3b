"""Verdicts: what one execution came to. Only `pass` counts as success."""

import ast
from dataclasses import dataclass, field

from papers.gitchameleon.data.parsing import parsed
from papers.gitchameleon.harness.canaries import wrong_canaries

PASS = "pass"
FAIL_ASSERT = "fail-assert"  # an assertion of the tests did not hold
FAIL_EXCEPTION = "fail-exception"  # something else was raised, in the candidate or the tests
COMPILE_ERROR = "compile-error"  # no program of the target interpreter's grammar
NO_TESTS = "no-tests"  # nothing was run, or not the tests that there are
EARLY_EXIT = "early-exit"  # ended before the last test had an outcome
TAMPERED = "tampered"  # the tests' machinery was changed: canaries or guarded functions say so
TIMEOUT = "timeout"
OOM = "oom"
OVER_LIMIT = "over-limit"  # too much output, too many processes
ENV_MISSING = "env-missing"  # the environment cannot be had here
NO_ANSWER = "no-answer"  # the system gave none
HARNESS_ERROR = "harness-error"  # ours: the box could not be made
CODES = (
    PASS,
    FAIL_ASSERT,
    FAIL_EXCEPTION,
    COMPILE_ERROR,
    NO_TESTS,
    EARLY_EXIT,
    TAMPERED,
    TIMEOUT,
    OOM,
    OVER_LIMIT,
    ENV_MISSING,
    NO_ANSWER,
    HARNESS_ERROR,
)


@dataclass(frozen=True)
class Verdict:
    """What one run of one candidate's tests came to."""

    code: str
    exception: str | None = None  # class name of the first failure
    detail: str = ""  # one sentence
    trace: str = ""  # traceback of the first failure
    num_tests: int = 0  # tests that there are
    num_passed: int = 0
    compiled: bool | None = None  # None: it did not come to that
    failed_tests: tuple[str, ...] = ()
    output: str = ""  # head and tail of what was printed
    num_lines: int | None = None  # of the candidate that could run; None: not counted
    missed_lines: tuple[int, ...] = ()  # those that never ran
    collected: tuple[str, ...] = ()  # tests that unittest or pytest collected

    @property
    def passed(self) -> bool:
        return self.code == PASS


@dataclass
class Talk:
    """What the judge's side of the box has said, and what was expected of it."""

    nonce: str
    expected: frozenset[str]  # names of the tests that there are to be; those that the box collects have to run, too
    canaries: dict[str, bool] = field(default_factory=dict)
    compile_error: dict | None = None
    import_error: dict | None = None
    collect_error: dict | None = None
    ready: bool = False
    imported: bool = False
    loaded: tuple[str, ...] = ()  # guarded packages that the environment has
    collected: list[str] | None = None
    outcomes: dict[str, dict] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)  # what was tampered with
    done: bool = False
    num_lines: int | None = None  # counted where that was asked for, see Verdict
    missed_lines: tuple[int, ...] = ()
    broken: str | None = None  # the talk broke its rules, which is a forgery

    def hear(self, line: dict) -> None:
        """One line; anything out of order or without the secret is a forgery."""
        event = line.get("event")
        if event == "ready" and not self.ready:
            self.ready = True
        elif line.get("nonce") != self.nonce or event == "forged":
            self.broken = "a report lacks the run's secret"
        elif self.done:
            self.broken = "more was reported after the end"
        else:
            self._report(event, [str(field) for field in line["fields"]])

    def _report(self, event: str, fields: list[str]) -> None:
        if event in ("compile-error", "import-error", "collect-error") and (
            event == "compile-error" or self._at(event)
        ):
            error = {"exception": fields[0], "trace": fields[1], "left": fields[2:] == ["left"]}
            setattr(self, event.replace("-", "_"), error)
        elif event == "imported" and not self.imported:
            self.imported, self.loaded, self.replaced = True, tuple(fields[0].split()), fields[1].splitlines()
        elif not self.imported:
            self.broken = f"a report before the import had ended: {event}"
        elif event == "replaced":
            self.replaced += fields[0].splitlines()
        elif event == "collected" and self.collected is None:
            self.collected = fields
        elif event == "test" and fields[0] not in self.outcomes:
            names = ("outcome", "exception", "trace")
            self.outcomes[fields[0]] = dict(zip(names, fields[1:], strict=True))
        elif event == "done":
            self.done = True
            self.replaced += fields[0].splitlines()
            if len(fields) == 3:
                self.num_lines = int(fields[1])
                self.missed_lines = tuple(int(number) for number in fields[2].split())
        else:
            self.broken = f"an unexpected report: {event}"

    def _at(self, event: str) -> bool:
        """Whether an error of this stage can be: of the import before it has ended, of the tests after it."""
        return self.imported == (event == "collect-error")


def test_names(source: str) -> frozenset[str]:
    """Names of the tests that a test module's source is sure to hold: `Class.method`, `function`.

    What unittest and pytest collect is known for certain once they have collected beside a reference; this is what is
    expected where no reference can be run. Functions and classes within `if` or `try` may or may not be there, and
    classes that are no test cases are not collected: neither is expected.

    Raises:
        ValueError: the source is no Python of this interpreter's grammar.
    """
    tree, reason = parsed(source)
    if tree is None:
        raise ValueError(f"the tests do not parse ({reason})")
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names, cases = {n.name for n in tree.body if isinstance(n, functions) and n.name.startswith("test")}, set()
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        of_unittest = any("TestCase" in ast.unparse(base) or ast.unparse(base) in cases for base in node.bases)
        own = {n.name for n in node.body if isinstance(n, functions)}
        marked = any(isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__test__" for n in node.body)
        if of_unittest or (node.name.startswith("Test") and "__init__" not in own and not marked):
            cases |= {node.name} if of_unittest else set()
            names |= {f"{node.name}.{name}" for name in own if name.startswith("test")}
    return frozenset(names)


def undecorated(source: str) -> list[str]:
    """Names, as `function` and `Class.method`, that a module's text gives to functions of its own and to nothing else.

    So a module that was made of the text has these functions under these names, and no others; [] where it does not
    parse. Names with two underscores in front are left out: Python changes some of them.
    """
    tree, _ = parsed(source)
    if tree is None:
        return []
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.decorator_list]
    bodies = [("", tree.body), *((f"{node.name}.", node.body) for node in classes)]
    return sorted(prefix + name for prefix, body in bodies for name in _once_bound(body))


def _once_bound(body: list[ast.stmt]) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    plain = {n.name for n in body if isinstance(n, functions) and not n.decorator_list and not n.name.startswith("__")}
    others = [n for n in body if not (isinstance(n, functions) and not n.decorator_list)]
    bound = {n.name for n in others if isinstance(n, (*functions, ast.ClassDef))}
    for node in (inner for n in others if not isinstance(n, (*functions, ast.ClassDef)) for inner in ast.walk(n)):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, (*functions, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
    return plain - bound


def judge(talk: Talk, exit: int | None, stopped: str | None, error: str | None, output: str) -> Verdict:
    """The verdict of a finished run. What ends the run early outranks what was reported before it.

    Args:
        exit, stopped, error, output: of the box, see `shared.sandbox.running.Result`.
    """
    compiled = None if not (talk.compile_error or talk.imported or talk.import_error) else talk.compile_error is None
    tests = {name: o for name, o in talk.outcomes.items() if name not in talk.canaries}
    passed = [name for name, o in tests.items() if o["outcome"] == "passed"]

    def verdict(code: str, detail: str = "", source: dict | None = None, failed: tuple[str, ...] = ()) -> Verdict:
        return Verdict(
            code=code,
            exception=(source or {}).get("exception") or None,
            detail=detail,
            trace=(source or {}).get("trace", ""),
            num_tests=max(len(talk.expected), len(tests)),
            num_passed=len(passed),
            compiled=compiled,
            failed_tests=failed,
            output=output,
            num_lines=talk.num_lines,
            missed_lines=talk.missed_lines,
            collected=tuple(name for name in talk.collected or () if name not in talk.canaries),
        )

    if error is not None:
        return verdict(HARNESS_ERROR, error)
    if stopped is not None:
        code = {"timeout": TIMEOUT, "cpu": TIMEOUT, "memory": OOM}.get(stopped, OVER_LIMIT)
        return verdict(code, f"stopped: {stopped}")
    if talk.broken:
        return verdict(TAMPERED, talk.broken)
    if talk.replaced:
        return verdict(TAMPERED, f"replaced or searched: {', '.join(sorted(set(talk.replaced))[:5])}")
    if talk.compile_error:
        return verdict(COMPILE_ERROR, "does not compile", talk.compile_error)
    if talk.import_error:
        if talk.import_error.get("left"):
            return verdict(EARLY_EXIT, "left at import", talk.import_error)
        return verdict(_raised(talk.import_error), "raised at import", talk.import_error)
    if not talk.done:
        how = "no exit status" if exit is None else f"exit status {exit}" if exit >= 0 else f"signal {-exit}"
        return verdict(EARLY_EXIT, f"ended before the last test's outcome ({how})")
    return _judge_tests(talk, tests, verdict)


def _judge_tests(talk: Talk, tests: dict[str, dict], verdict) -> Verdict:
    wrong = wrong_canaries(talk.canaries, talk.outcomes)
    if wrong and not talk.collect_error:
        return verdict(TAMPERED, f"{len(wrong)} of {len(talk.canaries)} canaries have the wrong outcome")
    if talk.collect_error:
        return verdict(_raised(talk.collect_error), "the tests could not be collected", talk.collect_error)
    if not tests:
        return verdict(NO_TESTS, "no test has run")
    without_parameters = {name.split("[")[0] for name in tests}
    unrun = sorted((talk.expected - without_parameters) | (set(talk.collected or []) - set(talk.outcomes)))
    if unrun:
        return verdict(NO_TESTS, f"{len(unrun)} of the tests have not run: {', '.join(unrun[:3])}")
    bad = {name: o for name, o in tests.items() if o["outcome"] != "passed"}
    if not bad:
        return verdict(PASS)
    name, first = next(iter(bad.items()))
    if first["outcome"] == "left":
        return verdict(EARLY_EXIT, f"{name} left the program", first, tuple(bad))
    if first["outcome"] == "skipped":
        return verdict(FAIL_EXCEPTION, f"{name} was skipped", {"exception": "Skipped"}, tuple(bad))
    return verdict(_raised(first), f"{len(bad)} of {len(tests)} tests failed, first {name}", first, tuple(bad))


def _raised(source: dict) -> str:
    name = source.get("exception")
    return FAIL_ASSERT if name == "AssertionError" else OOM if name == "MemoryError" else FAIL_EXCEPTION
