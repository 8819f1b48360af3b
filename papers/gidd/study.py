"""What the steps build from a shard's settings: the corpus, the networks, the noise of a run.

Shapes: B sequences, L tokens.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from papers.gidd.common_words import cut, seen_pairs
from papers.gidd.generative import AutoregressiveScorer, MarkovScorer, Scorer, TextScorer
from papers.gidd.members import HybridProcess, MaskProcess
from papers.gidd.process import MixingProcess
from papers.gidd.settings import Corpus, Run, StudyShard
from shared.base.seeding import torch_generator
from shared.data.markov import MarkovSource, markov_source
from shared.data.text import TextData, load_text_data
from shared.models.config import diffusion_transformer_config, llama_config
from shared.models.diffusion_transformer import DiffusionTransformer
from shared.models.language_model import LanguageModel
from shared.train.checkpoint import load_state, load_tree

MDLM_EPS = 1e-4  # share of data left at t = 1 under MDLM's log-linear schedule


@dataclass(frozen=True)
class CorpusData:
    """A corpus ready for use: training crops, validation windows, and the vocabulary with the mask last."""

    corpus: Corpus

    @cached_property
    def chain(self) -> MarkovSource:
        return markov_source(self.corpus.markov)

    @cached_property
    def text(self) -> TextData:
        data, common = load_text_data(self.corpus.text), self.corpus.common_words
        return data if common is None else cut(data, common)

    @cached_property
    def valid_pairs(self) -> Tensor | None:
        """Which pairs of neighbours the chain can make, or the training text of common words has, (V, V); else None."""
        if self.corpus.markov:
            return torch.as_tensor(self.chain.transition_matrix) > 0
        return None if self.corpus.common_words is None else seen_pairs(self.text)

    @property
    def vocab_size(self) -> int:
        """V, the mask included."""
        return self.chain.vocab_size + 1 if self.corpus.markov else self.text.tokenizer.vocab_size

    @property
    def pad_id(self) -> int | None:
        return None if self.corpus.markov else self.text.tokenizer.pad_id

    def crops(self, seed: int, step: int, rows: range, batch_size: int) -> Tensor:
        """Rows `rows` of the training batch of `step`, (len(rows), L)."""
        source = self.chain if self.corpus.markov else self.text.train
        return source.crops(seed, step, rows, batch_size, self.corpus.seq_len)

    def validation(self, num: int | None = None) -> Tensor:
        """The first `num` held-out sequences, (num, L); all that the config asks for if omitted."""
        source = self.chain if self.corpus.markov else self.text.validation
        return source.windows(self.corpus.seq_len, self.corpus.num_validation)[:num]

    def decode(self, tokens: Tensor) -> str:
        """Text of one sequence (L,), special tokens left out."""
        return self.text.tokenizer.decode(tokens.tolist())

    def is_token(self, tokens: Tensor) -> Tensor:
        """False at padding, same shape as `tokens`."""
        return torch.ones_like(tokens, dtype=torch.bool) if self.pad_id is None else tokens != self.pad_id

    def unigram_log_probs(self) -> Tensor:
        """Log frequency of every token, (V,), float64: the chain's stationary law, or counts in training plus one."""
        if self.corpus.markov:
            last_symbol = np.arange(len(self.chain.stationary)) % self.chain.num_states  # of each context
            counts = np.bincount(last_symbol, self.chain.stationary, minlength=self.vocab_size)
        else:
            counts = np.bincount(self.text.train.tokens, minlength=self.vocab_size) + 1.0
        return torch.from_numpy(counts / counts.sum()).log()

    def facts(self) -> dict:
        """Size, vocabulary, and what a likelihood lies between: the source's own, where known, and single tokens'.

        `identity` is a digest of the held-out sequences: runs on different machines compare only if it agrees.
        `entropy_rate` is of a symbol given its past; the floor counts the stationary first symbol of a sequence, too.
        `unigram` is the cross entropy of held-out tokens under the frequencies of single tokens in training, which a
        model reaches without looking at any context.
        """
        validation = self.validation()
        facts = {
            "vocab_size": self.vocab_size,
            "seq_len": self.corpus.seq_len,
            "num_validation_tokens": int(self.is_token(validation).sum()),
            "unigram_nats_per_token": -float(self.unigram_log_probs()[validation[self.is_token(validation)]].mean()),
            "identity": hashlib.sha256(validation.numpy().tobytes()).hexdigest()[:16],
        }
        unknown = ["train_tokens", "floor_nats_per_token", "entropy_rate_nats", "characters_per_token"]
        facts |= dict.fromkeys(unknown, float("nan"))
        if self.corpus.markov:
            # exact: -log p of whole sequences
            floor = -self.chain.sequence_log_likelihood(validation).mean() / self.corpus.seq_len
            return facts | {"floor_nats_per_token": float(floor), "entropy_rate_nats": self.chain.entropy_rate}
        texts = [self.decode(row) for row in validation]
        return facts | {
            "train_tokens": float(len(self.text.train.tokens)),
            "characters_per_token": sum(map(len, texts)) / validation.numel(),
        }


def build_network(shard: StudyShard, run: Run, vocab_size: int) -> nn.Module:
    """Freshly initialised network of a run: a diffusion transformer, or a Llama-style decoder for objective ar."""
    size, generator = shard.sizes[run.size], torch_generator(run.seed, "init", run.objective)
    if run.objective == "ar":
        config = llama_config(
            vocab_size, size.d_model, size.num_layers, size.num_heads, max_seq_len=shard.corpus.seq_len, mlp_ratio=4.0
        )
        return LanguageModel(config, generator)
    conv = {"conv": ("q", "k", "v"), "conv_width": size.conv_width, "conv_padding": "centred"}
    config = diffusion_transformer_config(
        vocab_size, size.d_model, size.num_layers, size.num_heads, size.cond_dim, max_seq_len=shard.corpus.seq_len,
        **({"mixer": {"name": "attention"} | conv} if size.conv_width else {}),
    )  # fmt: skip
    return DiffusionTransformer(config, generator)


def build_process(shard: StudyShard, run: Run, vocab_size: int) -> MixingProcess:
    """Noise of a run; p_u = 0 is masking alone, exactly."""
    if run.objective == "mdlm":
        return MaskProcess(vocab_size, eps=MDLM_EPS)
    if run.p_u == 0:
        return MaskProcess(vocab_size)
    return HybridProcess(vocab_size, p_u=run.p_u, gamma=shard.noise.gamma)


def load_networks(shard: StudyShard, runs: Sequence[Run], weights: Path, vocab_size: int, device: str) -> dict:
    """Run id -> its trained network in evaluation mode, from the file that the train step wrote.

    Raises:
        ValueError: the file is damaged, or holds other runs or another architecture.
    """
    tree = load_tree(weights)
    networks = {}
    for run in runs:
        if run.id not in tree:
            raise ValueError(f"{weights} has no run '{run.id}'; it has {', '.join(tree)}: train again")
        network = build_network(shard, run, vocab_size)
        load_state(network, tree[run.id], weights)
        networks[run.id] = network.to(device).eval()
    return networks


def build_scorer(shard: StudyShard, data: CorpusData, weights: Path | None, device: str) -> Scorer:
    """What measures samples: the source itself, the study's autoregressive run, or a model from the hub."""
    kind = shard.sampling.scorer
    if kind == "oracle":
        return MarkovScorer(torch.as_tensor(data.chain.transition_matrix))
    if kind != "ar":
        return TextScorer.from_hub(kind, data.decode, device=device)
    if weights is None:
        raise ValueError("scorer ar needs the weights of the autoregressive run; give --scorer")
    network = load_networks(shard, [shard.scorer_run], weights, data.vocab_size, device)[shard.scorer_run.id]
    return AutoregressiveScorer(network, padding_id=data.pad_id)


def run_columns(shard: StudyShard, run: Run) -> dict:
    """The settings of a run as columns of its records."""
    return {"study": shard.study, "run": run.id} | run.model_dump(exclude={"id", "sample"})
