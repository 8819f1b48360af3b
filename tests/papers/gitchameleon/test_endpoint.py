"""The client of hosted models against a server on loopback that answers as told, faults included."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from papers.gitchameleon.models.base import Message, ModelError
from papers.gitchameleon.models.endpoint import Endpoint, EndpointConfig
from papers.gitchameleon.models.recorded import Cached, Recorded
from papers.gitchameleon.protocols.generation import AnswerFile, generate
from papers.gitchameleon.protocols.single import requests
from papers.gitchameleon.suites.loader import load_suite

TALK = [Message("system", "Be brief."), Message("user", "Question?")]


def body(text: str | None = "fine", **more) -> dict:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}} | more


class Server:
    """Answers the i-th request with the i-th entry of `script`, the last one for ever after.

    An entry is a body (dict), (status, headers, bytes), or a function of the request's payload that gives either.
    """

    def __init__(self, *script) -> None:
        self.script, self.payloads, self.headers, self.under_way, self.most = list(script), [], [], 0, 0
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    entry = outer.script[min(len(outer.payloads), len(outer.script) - 1)]
                    outer.payloads.append(payload)
                    outer.headers.append(dict(self.headers))
                    outer.under_way += 1
                    outer.most = max(outer.most, outer.under_way)
                entry = entry(payload) if callable(entry) else entry
                with lock:
                    outer.under_way -= 1
                status, headers, content = (200, {}, json.dumps(entry).encode()) if isinstance(entry, dict) else entry
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                if content is not None:
                    self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def serve():
    servers = []

    def start(*script) -> Server:
        servers.append(Server(*script))
        return servers[-1]

    yield start
    for server in servers:
        server.server.shutdown()
        server.server.server_close()


def client(server: Server, sleeps: list | None = None, **config) -> Endpoint:
    config = {"base_url": server.url, "model": "m", "first_wait_seconds": 0.001} | config
    return Endpoint(EndpointConfig(**config), sleep=(sleeps if sleeps is not None else []).append)


def test_an_answer_comes_with_its_tokens_and_its_cost(serve):
    model = client(serve(body()), prompt_price=1e6, completion_price=2e6)
    (found,) = model.complete(TALK, temperature=0.8, seed=4)
    assert (found.text, found.finish_reason, found.num_requests) == ("fine", "stop", 1)
    assert (found.usage.prompt_tokens, model.meter.num_requests, model.meter.cost) == (7, 1, 13.0)


def test_the_request_says_how_to_sample_and_carries_the_key(serve, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "s3cret")
    server = serve(body())
    client(server, api_key_variable="SOME_KEY", structured=True).complete(
        TALK, temperature=0.8, top_p=0.9, max_tokens=11, seed=4, schema={"type": "object"}
    )
    (sent,) = server.payloads
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"], sent["seed"]) == (0.8, 0.9, 11, 4)
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert server.headers[0]["Authorization"] == "Bearer s3cret"


def test_reasoning_models_get_no_temperature_and_some_no_system_role(serve):
    server = serve(body())
    client(server, reasoning=True, system_role=False).complete(TALK, max_tokens=11)
    (sent,) = server.payloads
    assert "temperature" not in sent and "top_p" not in sent and "max_tokens" not in sent
    assert sent["max_completion_tokens"] == 11
    assert sent["messages"] == [{"role": "user", "content": "Be brief.\n\nQuestion?"}]


@pytest.mark.parametrize(
    "fault",
    [
        (500, {}, b"oops"),
        (503, {}, b""),
        (429, {}, b"{}"),
        (200, {}, b'{"choices": [{"message"'),
        (200, {"Content-Length": "4000"}, b'{"choices": []'),
        (200, {}, b"[1, 2]"),
        {"choices": []},
        {"choices": [{"message": {"content": 5}}]},
        body(None),
        body("  "),
    ],
    ids=["500", "503", "429", "no-json", "cut", "list", "no-choices", "number", "null", "blank"],
)
def test_what_may_pass_is_asked_again(serve, fault):
    server, sleeps = serve(fault, fault, body()), []
    # a body shorter than its length never ends on an open connection: the time limit ends it
    model = client(server, sleeps, request_seconds=1.0 if isinstance(fault, tuple) else 5.0)
    (found,) = model.complete(TALK)
    assert found.text == "fine" and found.num_requests == 3 and len(server.payloads) == 3
    assert (model.meter.num_failures, len(sleeps)) == (2, 2)


def test_waits_double_with_jitter_and_heed_retry_after(serve):
    fault, sleeps = (500, {}, b""), []
    with pytest.raises(ModelError, match="no completion of m in 5 attempts; the last: status 500"):
        client(serve(fault), sleeps, max_attempts=5, first_wait_seconds=1.0, longest_wait_seconds=4.0).complete(TALK)
    for wait, longest in zip(sleeps, [1, 2, 4, 4], strict=True):
        assert longest / 2 <= wait <= longest
    sleeps.clear()
    client(serve((429, {"Retry-After": "9"}, b""), body()), sleeps).complete(TALK)
    assert sleeps == [9.0]


def test_no_wait_goes_beyond_the_total_time(serve):
    server = serve((429, {"Retry-After": "1000"}, b""))
    with pytest.raises(ModelError, match="in 1 attempts"):
        client(server, total_seconds=60).complete(TALK)
    assert len(server.payloads) == 1


def test_a_slow_server_is_given_up(serve):
    given_up = threading.Event()

    def slow(payload):
        given_up.wait(30)  # the answer comes only once the client has asked again
        return body()

    def second(payload):
        given_up.set()
        return body()

    (found,) = client(serve(slow, second), request_seconds=0.15).complete(TALK)
    assert found.num_requests == 2 and given_up.is_set()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_wrong_request_is_not_repeated_and_the_key_is_not_told(serve, monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    server = serve((status, {}, b"bad key s3cret"))
    with pytest.raises(ModelError, match=f"status {status}") as caught:
        client(server).complete(TALK)
    assert len(server.payloads) == 1 and "s3cret" not in str(caught.value) and "***" in str(caught.value)


def test_refusals_and_cut_answers_are_answers_of_their_kind(serve):
    refusal = {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]}
    cut = {"choices": [{"message": {"content": "def f("}, "finish_reason": "length"}]}
    model = client(serve(refusal, cut))
    assert model.complete(TALK)[0].finish_reason == "refusal"
    (found,) = model.complete(TALK)
    assert (found.text, found.finish_reason, found.usage.prompt_tokens) == ("def f(", "length", None)
    assert model.meter.num_without_usage == 2


def test_no_server_is_an_error_with_its_reason():
    config = EndpointConfig(base_url="http://127.0.0.1:9/v1", model="m", max_attempts=2)
    with pytest.raises(ModelError, match="Connection"):
        Endpoint(config, sleep=lambda s: None).complete(TALK)


def test_a_url_without_scheme_is_refused():
    with pytest.raises(ValueError, match="needs a scheme"):
        EndpointConfig(base_url="host/v1", model="m")


def test_many_problems_at_once_within_the_limit_and_resumed_without_asking_again(serve, tmp_path):
    problems = load_suite("builtin")[:8]
    refused = problems[2].problem.strip()

    def answer(payload):
        time.sleep(0.03)
        if refused in payload["messages"][-1]["content"] and len(server.payloads) < 12:
            return (400, {}, b"no")
        return body("```python\nx = 1\n```")

    server = serve(answer)
    model = client(server, max_concurrent=2)
    path = tmp_path / "answers.jsonl"
    failed = generate(model, requests(problems), AnswerFile(path, "m", "greedy"), workers=6)
    asked = len(server.payloads)
    same = [p for p in problems if p.problem.strip() == refused]
    assert len(failed) == len(same) and asked == 8 and 1 < server.most <= 2
    server.payloads.extend([{}] * 12)  # from now on nothing is refused
    assert generate(model, requests(problems), AnswerFile(path, "m", "greedy")) == []
    assert len(server.payloads) == asked + 12 + len(same)  # only what was not answered
    rows = AnswerFile(path, "m", "greedy").sorted()
    assert [r["example_id"] for r in rows] == [p.example_id for p in problems]
    assert {r["answer"] for r in rows} == {"x = 1\n"}


def test_a_recording_replays_a_server_and_names_the_nearest_prompt(serve, tmp_path):
    server = serve(body("one"), body("two"))
    cached = Cached(client(server), tmp_path / "cache.jsonl")
    first = [cached.complete(TALK, seed=s)[0].text for s in (0, 1)]
    again = Cached(client(server), tmp_path / "cache.jsonl")
    assert [again.complete(TALK, seed=s)[0].text for s in (0, 1)] == first == ["one", "two"]
    assert len(server.payloads) == 2 and again.hits == 2
    again.complete(TALK, temperature=0.8, seed=0)
    assert len(server.payloads) == 3  # other sampling is another question
    recorded = Recorded(tmp_path / "cache.jsonl", "m")
    assert recorded.complete(TALK, seed=1)[0].text == "two"
    with pytest.raises(ModelError, match=r"the nearest is \w{16} \(\d\d % alike\)"):
        recorded.complete([TALK[0], Message("user", "Questions?")], seed=0)
    with pytest.raises(ModelError, match="has the seeds 0, 1"):
        recorded.complete(TALK, seed=5)


def _length_in(headers: bytes) -> int:
    (line,) = [line for line in headers.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(line.split(b":")[1])


def raw(data: bytes, pause: float = 0.0) -> str:
    """URL of a server that answers one request with `data`, byte by byte where there is a pause."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            request = b""
            while not (whole := request.partition(b"\r\n\r\n"))[1] or len(whole[2]) < _length_in(whole[0]):
                if not (piece := connection.recv(1 << 16)):
                    return
                request += piece  # what is left unread resets the connection
            for piece in (data[i : i + 1] for i in range(len(data))) if pause else (data,):
                connection.sendall(piece)
                time.sleep(pause)
        listener.close()

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000, b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1000])
def test_neither_headers_nor_body_can_drip_past_the_limit(data):
    start = time.monotonic()
    model = Endpoint(EndpointConfig(base_url=raw(data, 0.02), model="m", request_seconds=0.4, max_attempts=1))
    with pytest.raises(ModelError, match="no whole answer within"):
        model.complete(TALK)
    assert time.monotonic() - start < 5 and model.meter.num_failures == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 503 no\r\n\r\n"])
def test_the_total_time_bounds_the_last_request_too(head):
    start = time.monotonic()
    config = EndpointConfig(
        base_url=raw(head + b"y" * 1000, 0.02), model="m", request_seconds=30, total_seconds=0.5, first_wait_seconds=0.0
    )
    with pytest.raises(ModelError, match="answer within"):
        Endpoint(config).complete(TALK)
    assert time.monotonic() - start < 10


def test_a_handshake_cannot_drip_past_the_limit():
    start, url = time.monotonic(), silent().replace("http://", "https://")
    model = Endpoint(EndpointConfig(base_url=url, model="m", request_seconds=0.4, max_attempts=1))
    with pytest.raises(ModelError, match="within"):
        model.complete(TALK)
    assert time.monotonic() - start < 10 and model.meter.num_failures == 1


def test_the_wait_for_a_slot_is_not_counted(serve):
    server = serve(lambda payload: time.sleep(0.6) or body())
    model = client(server, max_concurrent=1, total_seconds=2.5, request_seconds=9)
    with ThreadPoolExecutor(5) as pool:
        assert [c[0].text for c in pool.map(lambda _: model.complete(TALK), range(5))] == ["fine"] * 5


def silent() -> str:
    """URL of a server that takes whatever comes, and sends the beginning of a TLS record, a byte now and then."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            for byte in b"\x16\x03\x03\x40\x00" + bytes(1000):
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        listener.close()

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: "
DEEP = b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
MALFORMED = {
    "usage is a list": json.dumps(body(usage=[1, 2])).encode(),
    "usage is text": json.dumps(body(usage={"prompt_tokens": "many", "completion_tokens": 1})).encode(),
    "usage is negative": json.dumps(body(usage={"prompt_tokens": -1, "completion_tokens": 1})).encode(),
    "nested deeply": DEEP,
    "choices are text": b'{"choices": "none"}',
    "reason is a number": json.dumps({"choices": [{"message": {"content": "x"}, "finish_reason": 3}]}).encode(),
    "no object": b"[]",
    "no UTF-8": b'{"choices": "\xff"}',
}


@pytest.mark.parametrize("name", MALFORMED)
def test_every_malformed_reply_is_a_counted_failure(name):
    content = MALFORMED[name]
    url = raw(HEAD + str(len(content)).encode() + b"\r\n\r\n" + content)
    model = Endpoint(EndpointConfig(base_url=url, model="m", request_seconds=5, max_attempts=1))
    with pytest.raises(ModelError, match="not what the protocol says"):
        model.complete(TALK)
    assert model.meter.num_failures == 1


@pytest.mark.parametrize("length", [b"a lot", b"-5", b"1e3", b"9" * 5000, "²".encode("latin-1")])
def test_a_length_that_is_none_is_a_counted_failure(length):
    url = raw(HEAD + length + b"\r\n\r\n" + json.dumps(body()).encode())
    model = Endpoint(EndpointConfig(base_url=url, model="m", request_seconds=5, max_attempts=1))
    with pytest.raises(ModelError, match="cut short"):
        model.complete(TALK)
    assert model.meter.num_failures == 1


def test_a_body_without_end_is_read_up_to_a_cap(monkeypatch):
    monkeypatch.setattr("papers.gitchameleon.models.endpoint.MAX_BYTES", 1 << 20)
    url = raw(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (4 << 20))
    model = Endpoint(EndpointConfig(base_url=url, model="m", request_seconds=20, max_attempts=1))
    with pytest.raises(ModelError, match="longer than 1 MB"):
        model.complete(TALK)
