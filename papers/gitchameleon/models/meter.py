"""What asking a model has cost: requests, retries, tokens, money."""

import threading
from dataclasses import dataclass, field

from papers.gitchameleon.models.base import Usage


@dataclass
class Meter:
    """Running totals, safe to share between threads. Prices are in currency units per million tokens."""

    prompt_price: float = 0.0
    completion_price: float = 0.0
    num_requests: int = 0
    num_failures: int = 0  # requests that gave nothing usable
    prompt_tokens: int = 0
    completion_tokens: int = 0
    num_without_usage: int = 0  # answers whose tokens the server did not tell: cost is a lower bound
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def failed(self) -> None:
        with self._lock:
            self.num_requests += 1
            self.num_failures += 1

    def answered(self, usage: Usage) -> None:
        with self._lock:
            self.num_requests += 1
            self.prompt_tokens += usage.prompt_tokens or 0
            self.completion_tokens += usage.completion_tokens or 0
            self.num_without_usage += usage.prompt_tokens is None or usage.completion_tokens is None

    @property
    def cost(self) -> float:
        return (self.prompt_tokens * self.prompt_price + self.completion_tokens * self.completion_price) / 1e6

    def in_words(self) -> str:
        """Totals as a line for a terminal."""
        words = f"{self.num_requests} requests ({self.num_failures} failed), {self.prompt_tokens} prompt tokens,"
        words += f" {self.completion_tokens} completion tokens, cost {self.cost:.4f}"
        return words + (f" at least ({self.num_without_usage} without usage)" if self.num_without_usage else "")
