"""A causal language model from a local folder, through transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from papers.gitchameleon.models.base import LENGTH, STOP, Completion, Message, Usage
from papers.gitchameleon.protocols.prompts import sections
from shared.base.seeding import derive_seed

if TYPE_CHECKING:
    import torch


class HuggingFace:
    """A local model. With a chat template it answers the talk; without, it continues the stub.

    Text depends on the size of a batch on some devices, where sums are taken in another order: `batch_size` is part of
    the name.

    Args:
        path: folder with weights and tokenizer. Nothing is downloaded unless `allow_download`.
        dtype: name of a torch dtype.
    Raises:
        ValueError: no such folder, or transformers is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        device: str = "cpu",
        dtype: str = "float32",
        batch_size: int = 8,
        allow_download: bool = False,
    ) -> None:
        if not allow_download and not Path(path).is_dir():
            raise ValueError(f"no model folder at {path}; download the model there, or say --allow-download")
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise ValueError("local models need transformers; install the extra 'hub'") from None
        options = {"local_files_only": not allow_download}
        self.tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left", **options)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype), **options)
        self.model.to(device).eval()
        self.device, self.batch_size = device, batch_size
        self.name = f"{Path(path).name} ({dtype}, batch {batch_size})"

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
        """`n` completions of one talk, drawn together."""
        return self.complete_many([messages] * n, temperature, top_p, max_tokens, seed)

    def complete_many(
        self,
        talks: Sequence[Sequence[Message]],
        temperature: float = 0.0,
        top_p: float = 0.95,
        max_tokens: int = 4096,
        seed: int | None = None,
    ) -> list[Completion]:
        """One completion per talk, `batch_size` at a time, the longest prompts together."""
        prompts = [self.prompt(talk) for talk in talks]
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i][0]))
        found: dict[int, Completion] = {}
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            texts = self._generate([prompts[i][0] for i in chosen], temperature, top_p, max_tokens, (seed or 0, start))
            for i, (text, reason, usage) in zip(chosen, texts, strict=True):
                found[i] = Completion(self._finish(text, prompts[i][1]), reason, usage)
        return [found[i] for i in range(len(talks))]

    def prompt(self, talk: Sequence[Message]) -> tuple[str, str]:
        """(text that is continued, code that the continuation follows)."""
        if self.tokenizer.chat_template:
            turns = [{"role": m.role, "content": m.content} for m in talk]
            return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True), ""
        stub = sections(talk[-1].content).get("starter_code", "")
        text = "\n\n".join(m.content for m in talk)
        return f"{text}\n\n```python\n{stub}", stub

    def _finish(self, text: str, stub: str) -> str:
        """A continued stub becomes a whole module in one fence; what follows the closing fence is dropped."""
        if self.tokenizer.chat_template:
            return text
        return f"```python\n{stub}{text.split('```')[0]}\n```"

    def _generate(
        self, prompts: list[str], temperature: float, top_p: float, max_tokens: int, seed: tuple[int, int]
    ) -> list[tuple[str, str, Usage]]:
        import torch

        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(self.device)
        length = inputs["input_ids"].shape[1]
        room = getattr(self.model.config, "max_position_embeddings", None) or length + max_tokens
        if room <= length:
            raise ValueError(f"a prompt has {length} tokens; the model takes {room}")
        how: dict = {"do_sample": False}
        if temperature > 0:
            how = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        with torch.inference_mode(), torch.random.fork_rng(devices=_cuda_devices(self.device)):
            # transformers draws from the global generator: it is seeded here and put back as it was
            torch.manual_seed(derive_seed(seed[0], "sample", seed[1]))
            output = self.model.generate(
                **inputs,
                **how,
                max_new_tokens=min(max_tokens, room - length),
                pad_token_id=self.tokenizer.pad_token_id,
            )
        return [self._read(row[length:], mask) for row, mask in zip(output, inputs["attention_mask"], strict=True)]

    def _read(self, tokens: "torch.Tensor", mask: "torch.Tensor") -> tuple[str, str, Usage]:
        ids = tokens.tolist()
        end = self.tokenizer.eos_token_id
        stopped = end is not None and end in ids
        kept = ids[: ids.index(end)] if stopped else ids
        text = self.tokenizer.decode(kept, skip_special_tokens=True)
        return text, STOP if stopped else LENGTH, Usage(int(mask.sum()), len(kept))


def _cuda_devices(device: str) -> list[int]:
    import torch

    return [torch.device(device).index or 0] if device.startswith("cuda") else []
