"""From a server on loopback to a table: generate, execute for real, self-debug, score."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from papers.gitchameleon.data.solutions import Solution
from papers.gitchameleon.harness.harness import Harness, Settings
from papers.gitchameleon.harness.verdict_cache import VerdictCache
from papers.gitchameleon.metrics import scoring
from papers.gitchameleon.models import solvers
from papers.gitchameleon.models.base import Message
from papers.gitchameleon.models.endpoint import Endpoint, EndpointConfig
from papers.gitchameleon.protocols.generation import AnswerFile, generate
from papers.gitchameleon.protocols.jobs import Executor
from papers.gitchameleon.protocols.selfdebug import selfdebug
from papers.gitchameleon.protocols.single import requests
from papers.gitchameleon.suites.loader import load_suite
from shared.sandbox.levels import available_levels

PROBLEMS = [p for p in load_suite("builtin") if p.task in ("join-with-bar", "first-place")]


@pytest.fixture
def endpoint():
    """A repairer behind HTTP that always repairs what raised, and fails every third request."""
    solver, count = solvers.repairer(solvers.Bank(load_suite("builtin")), 0.0, 1.0, 1.0), iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fine = next(count) % 3 != 2
            text = solver.complete([Message(**m) for m in payload["messages"]])[0].text
            content = json.dumps({"choices": [{"message": {"content": text}}]}).encode() if fine else b""
            self.send_response(200 if fine else 503)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    config = EndpointConfig(base_url=f"http://127.0.0.1:{server.server_port}", model="served", first_wait_seconds=0.001)
    yield Endpoint(config)
    server.shutdown()
    server.server_close()


def test_wrong_answers_are_repaired_from_their_visible_traces(endpoint, store, limits, table_of):
    level = available_levels()[0]
    harness = Harness(store, VerdictCache(None), Settings(level=level, limits=limits))
    first = AnswerFile(None, "served", "greedy")
    assert generate(endpoint, requests(PROBLEMS), first, workers=2) == []
    second = AnswerFile(None, "served", "selfdebug")
    runner = Executor(harness)
    assert selfdebug(endpoint, PROBLEMS, {r["example_id"]: r for r in first.sorted()}, runner.visible, second) == []
    assert all(r["retried"] for r in second.sorted())  # the served model is wrong at first, whatever the pin
    rows = []
    for name, file in (("greedy", first), ("selfdebug", second)):
        solutions = [Solution(r["example_id"], r["answer"], r["answer"]) for r in file.sorted()]
        results = list(harness.evaluate(PROBLEMS, solutions))
        rows += scoring.score_rows(PROBLEMS, results, suite="builtin", system="served", protocol=name)
    frames = {"scores": pd.DataFrame(rows)}
    table = table_of("tab_main", frames.__getitem__)
    measured = table[table.source == "measured"].set_index("protocol")
    assert measured.n.tolist() == [4, 4] and measured.num_missing.tolist() == [0, 0]
    assert (measured.hidden["greedy"], measured.visible["greedy"]) == (0, 0)
    assert (measured.hidden["selfdebug"], measured.visible["selfdebug"]) == (100, 100)
    assert "\nfine" in f"\n{runner.program(PROBLEMS[0], 'print(' + repr('fine') + ')')}"
    assert "ZeroDivisionError" in runner.program(PROBLEMS[0], "1 / 0")
