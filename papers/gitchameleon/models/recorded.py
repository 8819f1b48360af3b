"""Completions kept in a file: a cache of what a model was asked, and a model that only answers from it.

One JSON line per request: `key` (request_key), `prompt` (its hash), `seed`, `messages` and `completions`.
"""

import difflib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from papers.gitchameleon.data.json_lines import append_lines, read_whole_lines
from papers.gitchameleon.models.base import (
    Completion,
    Message,
    Model,
    ModelError,
    Sampling,
    Usage,
    prompt_hash,
    request_key,
)


def _completion(content: dict) -> Completion:
    return Completion(**content | {"usage": Usage(**content["usage"])})


class Recorded:
    """Answers from a file, by prompt and seed. A prompt that is not there is an error that names the nearest one.

    A record without a seed answers for every seed.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path, self.name = Path(path), name or Path(path).stem
        if not self.path.is_file():
            raise ValueError(f"no recorded completions at {path}")
        self._rows = {(row["prompt"], row.get("seed")): row for row in read_whole_lines(self.path)}

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
        """The recorded completions of this prompt; sampling parameters are those of the recording."""
        key = prompt_hash(messages)
        row = self._rows.get((key, seed)) or self._rows.get((key, None))
        if row is None or len(row["completions"]) < n:
            raise ModelError(self._miss(messages, key, seed, n))
        return [_completion(c) for c in row["completions"][:n]]

    def _miss(self, messages: Sequence[Message], key: str, seed: int | None, n: int) -> str:
        if any(prompt == key for prompt, _ in self._rows):
            seeds = sorted({str(s) for prompt, s in self._rows if prompt == key})
            return f"{self.path} has the prompt {key}, but not {n} of seed {seed}; it has the seeds {', '.join(seeds)}"
        text = messages[-1].content
        near, score = None, 0.0
        for prompt, kept in self._rows:
            last = self._rows[prompt, kept]["messages"][-1]["content"]
            ratio = difflib.SequenceMatcher(None, text, last, autojunk=False).quick_ratio()
            if ratio > score:
                near, score = prompt, ratio
        hint = f"; the nearest is {near} ({100 * score:.0f} % alike)" if near else "; it is empty"
        return f"{self.path} has no completion for the prompt {key}{hint}. Has a template changed? Record it anew"


class Cached:
    """Another model behind a file: what was asked before under the same conditions is not asked again.

    Refusals and answers that were cut off are kept too: they are what the model says.
    """

    def __init__(self, model: Model, path: Path) -> None:
        self.model, self.path, self.name = model, Path(path), model.name
        self.hits, self._lock = 0, threading.Lock()
        self._rows = {row["key"]: row["completions"] for row in read_whole_lines(self.path)}

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
        """From the file, else from the model and then into the file."""
        key = request_key(self.name, messages, Sampling(temperature, top_p, max_tokens), seed, n)
        if key in self._rows:
            self.hits += 1
            return [_completion(c) for c in self._rows[key]]
        found = self.model.complete(messages, n, temperature, top_p, max_tokens, seed, schema)
        content = [asdict(c) for c in found]
        row = {"key": key, "prompt": prompt_hash(messages), "seed": seed, "messages": [asdict(m) for m in messages]}
        with self._lock:
            self._rows[key] = content
            append_lines(self.path, [json.dumps(row | {"completions": content})])
        return found
