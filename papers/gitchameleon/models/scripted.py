"""A model that is a function: of the talk and a seed."""

from collections.abc import Callable, Sequence

from papers.gitchameleon.models.base import Completion, Message, Usage


class Scripted:
    """Answers with `answer(messages, seed)`; the i-th of several completions gets seed + i."""

    def __init__(self, name: str, answer: Callable[[Sequence[Message], int], str]) -> None:
        self.name, self._answer = name, answer

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
        """Tokens are counted as words."""
        texts = [self._answer(messages, (seed or 0) + i) for i in range(n)]
        num_words = sum(len(m.content.split()) for m in messages)
        return [Completion(text, usage=Usage(num_words, len(text.split()))) for text in texts]
