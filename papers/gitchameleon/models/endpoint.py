"""Any endpoint that speaks the chat-completions protocol, with the standard library's HTTP client.

What is asked again: no answer, 408, 409, 425, 429 and 5xx, a body that is cut short or no JSON, an answer without
choices or text. What is not: other 4xx, which say that the request is wrong. Waits double from one attempt to the
next, with jitter, and are never shorter than the server's Retry-After.
"""

import contextlib
import email.utils
import http.client
import json
import os
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence

from pydantic import Field, field_validator

from papers.gitchameleon.models.base import REFUSAL, STOP, Completion, Message, ModelError, Usage, prompt_hash
from papers.gitchameleon.models.meter import Meter
from shared.base.seeding import numpy_generator
from shared.base.settings import StrictModel

RETRIED = {408, 409, 425, 429}  # and all of 5xx
MAX_BYTES = 16 << 20  # of one answer


class EndpointSettings(StrictModel):
    """Where a hosted model is and how it wants to be asked; the key itself is never stored."""

    base_url: str = Field(default="", description="Endpoint of openai:NAME, up to /v1.")  # without /chat/completions
    api_key_variable: str = Field(default="OPENAI_API_KEY", description="Environment variable with its key.")
    request_seconds: float = Field(default=120.0, gt=0, description="Limit of one request.")  # up to the last byte
    total_seconds: float = Field(
        default=900.0, gt=0, description="Limit of all attempts at one completion, with waits."
    )
    max_attempts: int = Field(default=6, ge=1, description="Attempts at one completion.")
    first_wait_seconds: float = Field(
        default=1.0, ge=0, description="Before the second attempt; doubled from there on."
    )
    longest_wait_seconds: float = Field(default=60.0, ge=0, description="Between two attempts.")
    max_concurrent: int = Field(default=8, ge=1, description="Requests under way at a time.")
    # no temperature and no top_p are sent then, and max_completion_tokens for max_tokens
    reasoning: bool = Field(default=False, description="The model takes no temperature.")
    # without, the system text goes in front of the first user message
    system_role: bool = Field(default=True, description="The model takes a system text.")
    # without, the answer is read from the text
    structured: bool = Field(default=False, description="The model can be held to a JSON schema.")
    sends_seed: bool = Field(default=True, description="Seeds are sent along.")
    prompt_price: float = Field(default=0.0, ge=0, description="Per million tokens.")
    completion_price: float = Field(default=0.0, ge=0, description="Per million tokens.")

    @field_validator("base_url")
    @classmethod
    def _has_scheme(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError(f"the endpoint's URL needs a scheme; write http:// or https:// before '{value}'")
        return value.rstrip("/")


class EndpointConfig(EndpointSettings):
    """One hosted model."""

    base_url: str = Field(min_length=1)
    model: str


class _Again(Exception):
    """This attempt failed and another may not; `wait` is what the server asked for, in seconds."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Endpoint:
    """A hosted model.

    Args:
        sleep, clock: replaced in tests.
    """

    def __init__(
        self,
        config: EndpointConfig,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.name = config, config.model
        self.meter = Meter(config.prompt_price, config.completion_price)
        self._sleep, self._clock = sleep, clock
        self._slots = threading.BoundedSemaphore(config.max_concurrent)
        self._key = os.environ.get(config.api_key_variable, "")

    def complete(
        self,
        messages: Sequence[Message],
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 0.95,
        max_tokens: int = 4096,
        seed: int | None = None,
        schema: dict | None = None,
    ) -> list[Completion]:
        """`n` completions, asked for until they come or attempts and time are used up."""
        payload = self.payload(messages, n, temperature, top_p, max_tokens, seed, schema)
        end, reasons = None, []
        for attempt in range(1, self.config.max_attempts + 1):
            queued = self._clock()
            try:
                with self._slots:  # to wait for others' requests is not to wait for the model
                    now = self._clock()
                    end = now + self.config.total_seconds if end is None else end + now - queued
                    choices, usage = self._ask(payload, n, min(self.config.request_seconds, max(end - now, 0.001)))
            except _Again as failure:
                self.meter.failed()
                reasons.append(str(failure))
                wait = self._wait(attempt, failure.wait, prompt_hash(messages))
                if attempt == self.config.max_attempts or self._clock() + wait > end:
                    break
                self._sleep(wait)
                continue
            self.meter.answered(usage)
            return [Completion(text, reason, usage, attempt) for text, reason in choices]
        raise ModelError(
            f"{self.config.base_url} gave no completion of {self.name} in {len(reasons)} attempts; the last:"
            f" {reasons[-1]}. Run again later: what is finished is kept"
        )

    def payload(
        self,
        messages: Sequence[Message],
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int | None,
        schema: dict | None,
    ) -> dict:
        """The request's body."""
        config = self.config
        content: dict = {"model": config.model, "messages": self._turns(messages), "n": n}
        if config.reasoning:
            content["max_completion_tokens"] = max_tokens
        else:
            content |= {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        if seed is not None and config.sends_seed:
            content["seed"] = seed
        if schema is not None and config.structured:
            form = {"name": "answer", "strict": True, "schema": schema}
            content["response_format"] = {"type": "json_schema", "json_schema": form}
        return content

    def _turns(self, messages: Sequence[Message]) -> list[dict]:
        turns = [{"role": m.role, "content": m.content} for m in messages]
        if not self.config.system_role:
            system = "\n\n".join(t["content"] for t in turns if t["role"] == "system")
            turns = [t for t in turns if t["role"] != "system"]
            if system and turns:
                turns[0] = turns[0] | {"content": f"{system}\n\n{turns[0]['content']}"}
        return turns

    def _wait(self, attempt: int, asked: float, prompt: str) -> float:
        """Seconds before the next attempt: doubled each time, half of it at random, at least what was asked for."""
        longest = min(self.config.longest_wait_seconds, self.config.first_wait_seconds * 2 ** (attempt - 1))
        jitter = numpy_generator(os.getpid(), "backoff", prompt, attempt).random()
        return max(asked, longest * (0.5 + 0.5 * jitter))

    def _ask(self, payload: dict, n: int, seconds: float) -> tuple[list[tuple[str, str]], Usage]:
        status, headers, body = self._post(payload, seconds)
        if status in RETRIED or status >= 500:
            raise _Again(f"status {status}: {self._excerpt(body)}", _retry_after(headers.get("Retry-After", "")))
        if status != 200:
            self.meter.failed()
            raise ModelError(f"{self.config.base_url} refuses the request with status {status}: {self._excerpt(body)}")
        try:
            content = json.loads(body)
            choices = [_choice(c) for c in content["choices"]]
            usage = _usage(content.get("usage") or {})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _Again(f"the answer is not what the protocol says: {self._excerpt(body)}") from None
        if len(choices) < n:
            raise _Again(f"{len(choices)} completions instead of {n}")
        if any(not text.strip() and reason == STOP for text, reason in choices):
            raise _Again("an empty completion without a reason")
        return choices[:n], usage

    def _post(self, payload: dict, seconds: float) -> tuple[int, http.client.HTTPMessage | dict, bytes]:
        """Status, headers and body of an answer that is whole after `seconds`."""
        url = urllib.parse.urlsplit(self.config.base_url + "/chat/completions")
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connection = kind(url.hostname, url.port, timeout=seconds)
        path = url.path + (f"?{url.query}" if url.query else "")
        with _deadline(connection, seconds) as is_over:
            try:
                connection.request("POST", path, json.dumps(payload).encode(), headers)
                response = connection.getresponse()
                body = response.read(MAX_BYTES + 1)
            except TimeoutError:
                raise _Again(f"no answer within {seconds:.3g} s") from None
            except (OSError, http.client.HTTPException, ValueError) as error:
                if is_over():
                    raise _Again(f"no whole answer within {seconds:.3g} s") from None
                raise _Again(f"{type(error).__name__}: {error}") from None
            finally:
                connection.close()
            if is_over():  # a connection that is shut down may look like the end of an answer
                raise _Again(f"no whole answer within {seconds:.3g} s")
        if len(body) > MAX_BYTES:
            raise _Again(f"the answer is longer than {MAX_BYTES >> 20} MB")
        expected = response.headers.get("Content-Length", "")
        if expected and not (_is_count(expected) and int(expected) <= len(body)):
            raise _Again(f"the answer was cut short: {len(body)} of {expected[:30]} bytes")
        return response.status, response.headers, body

    def _excerpt(self, body: bytes) -> str:
        text = body[:300].decode(errors="replace")
        return text.replace(self._key, "***") if self._key else text


@contextlib.contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[Callable[[], bool]]:
    """Shuts the connection down after `seconds`, whatever it is waiting for: a server that sends a byte
    now and then, in its handshake, headers or body, never times out by itself. Yields what says if that has happened.

    A copy of the socket is kept here: the connection gives its own away with an answer that only its end delimits.
    """
    end_at, over, held = time.monotonic() + seconds, threading.Event(), []

    def connected(address: tuple, *_) -> socket.socket:
        failure: OSError = OSError(f"no address for {address[0]}")
        for *_, target in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            try:
                made = socket.create_connection(target[:2], max(end_at - time.monotonic(), 0.001))
            except OSError as error:
                failure = error
                continue
            held.append(made.dup())
            return made
        raise failure

    def end() -> None:
        over.set()
        for sock in held:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    connection._create_connection = connected  # what http.client calls to connect, before any handshake
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield over.is_set
    finally:
        timer.cancel()
        for sock in held:
            sock.close()


def _is_count(text: str) -> bool:
    """Whether a header is a number of bytes that an answer can have."""
    return text.strip().isdecimal() and len(text.strip()) <= len(str(MAX_BYTES))


def _usage(content: dict) -> Usage:
    """Tokens of an answer.

    Raises:
        TypeError: they are no counts.
    """
    counts = [content.get("prompt_tokens"), content.get("completion_tokens")]
    if any(c is not None and (isinstance(c, bool) or not isinstance(c, int) or c < 0) for c in counts):
        raise TypeError("the usage holds no counts")
    return Usage(*counts)


def _choice(choice: dict) -> tuple[str, str]:
    """(text, reason to end) of one choice; a refusal has no text."""
    message = choice["message"]
    if message.get("refusal"):
        return "", REFUSAL
    text = message.get("content")
    if text is not None and not isinstance(text, str):
        raise TypeError("the content is no text")
    reason = choice.get("finish_reason") or STOP
    if not isinstance(reason, str):
        raise TypeError("the reason to finish is no text")
    return text or "", reason


def _retry_after(value: str) -> float:
    """Seconds of a Retry-After header: a number or a date."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0
