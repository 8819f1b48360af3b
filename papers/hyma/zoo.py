"""Building the zoo: encoders trained on their own modality, frozen, run once over all data."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from papers.hyma.embeddings import Cached, Embeddings, centred, sample_digest, weights_digest
from papers.hyma.encoders import embedded, image_network, text_network
from papers.hyma.grammar import Grammar
from papers.hyma.probes import probe_accuracy
from papers.hyma.scenes import SPLITS, Pairs, grammar_of, load_pairs, prompts
from papers.hyma.settings import Zoo

NUM_PICTURES = 512  # test images that are kept for pictures


def build_zoo(zoo: Zoo) -> Embeddings:
    """All encoders of the plan over the plan's data; see `Embeddings`.

    Raises:
        ValueError: an encoder of a kind that this source does not have.
    """
    grammar, pairs = grammar_of(zoo.data.source), load_pairs(zoo.data)
    ids = {s: sample_digest(pairs[s].attributes, pairs[s].captions) for s in SPLITS}
    images = {plan.name: cached for plan, cached in _images(zoo, grammar, pairs, ids)}
    texts = {plan.name: cached for plan, cached in _texts(zoo, grammar, pairs, ids)}
    values = {s: torch.from_numpy(pairs[s].attributes) for s in SPLITS}
    return Embeddings(
        images=images,
        texts=texts,
        attributes={name: {s: v[:, k] for s, v in values.items()} for k, name in enumerate(grammar.attributes)},
        meanings={s: torch.from_numpy(grammar.meanings(pairs[s].attributes)) for s in SPLITS},
        pixels=torch.from_numpy(pairs["test"].images[:NUM_PICTURES]),
        captions=[grammar.text(tokens) for tokens in pairs["test"].captions[:NUM_PICTURES]],
    )


def _images(zoo: Zoo, grammar: Grammar, pairs: dict[str, Pairs], ids: dict[str, str]) -> Iterator[tuple]:
    place = list(grammar.attributes).index(zoo.probe_image)
    labels = {s: torch.from_numpy(pairs[s].attributes[:, place]) for s in SPLITS}
    for plan in zoo.images:
        if plan.kind != "cnn":
            raise ValueError(f"image encoder {plan.name} is '{plan.kind}'; from {zoo.data.source} only cnn is made")
        model = image_network(plan, pairs["train"], grammar, zoo.pretraining, zoo.data.seed)
        splits = centred({s: embedded(model, pairs[s].images) for s in SPLITS})
        score = _probe(splits, labels, zoo.ridge)
        yield plan, Cached(splits, ids, score, weights_digest(model))


def _texts(zoo: Zoo, grammar: Grammar, pairs: dict[str, Pairs], ids: dict[str, str]) -> Iterator[tuple]:
    for plan in zoo.texts:
        if plan.kind == "hub":
            raise ValueError(f"text encoder {plan.name} is from the hub; captions of a grammar have their own")
        model = text_network(plan, pairs["train"], grammar, zoo.pretraining, zoo.data.seed)
        parts = {s: embedded(model, pairs[s].captions) for s in SPLITS}
        for name in grammar.attributes:
            tokens = prompts(grammar, name, zoo.data.prompts_per_class, zoo.data.seed)
            flat = embedded(model, tokens.reshape(-1, tokens.shape[-1]))
            parts[f"prompts/{name}"] = flat.view(*tokens.shape[:2], -1)
        found = centred(parts)
        splits = {s: found[s] for s in SPLITS}
        scores = []
        for k in range(len(grammar.attributes)):
            labels = {s: torch.from_numpy(pairs[s].attributes[:, k]) for s in SPLITS}
            scores.append(_probe(splits, labels, zoo.ridge))
        asked = {name: found[f"prompts/{name}"] for name in grammar.attributes}
        yield plan, Cached(splits, ids, float(np.mean(scores)), weights_digest(model), asked)


def _probe(splits: dict[str, Tensor], labels: dict[str, Tensor], ridge: float) -> float:
    return probe_accuracy(splits["train"], labels["train"], splits["test"], labels["test"], ridge)
