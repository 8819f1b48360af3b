"""Encoders and language models from the hub, for the paper's own zoo: timm, sentence-transformers, causal LMs.

Needs the network (or caches of the hub's client), timm and transformers; nothing on the smoke and cpu path comes here.
"""

import json
import zipfile
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from papers.hyma.embeddings import Cached, Embeddings, centred, sample_digest
from papers.hyma.probes import probe_accuracy
from papers.hyma.scenes import CLASSES, SPLITS
from papers.hyma.settings import CaptionShard, Data, ImageEncoder, TextEncoder, Zoo
from shared.base.seeding import numpy_generator
from shared.data.loaders import load_cifar10
from shared.data.sources import fetch

PROMPT = "a photo of a {}"
NUM_PROBED = 10_000  # CIFAR-10 training images behind the linear probe, an image encoder's uni-modal score
BATCH = 256
MAX_TOKENS = 48  # of a caption, for language models


def captioned(data: Data) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Split -> image files, split -> captions, of the 558,128 pairs in a fixed random order."""
    with fetch("llava-pretrain", "captions.json").open(encoding="utf-8") as stream:
        entries = json.load(stream)
    sizes = {s: getattr(data, f"num_{s}") for s in SPLITS}
    if sum(sizes.values()) > len(entries):
        raise ValueError(f"the captioned images are {len(entries)}; ask for no more than that in all")
    order = iter(numpy_generator(data.seed, "captioned").permutation(len(entries)))
    rows = {s: [entries[next(order)] for _ in range(size)] for s, size in sizes.items()}
    files = {s: [entry["image"] for entry in part] for s, part in rows.items()}
    captions = {s: [entry["conversations"][-1]["value"] for entry in part] for s, part in rows.items()}
    return files, captions


def classified(name: str) -> tuple[Iterator[Image.Image], np.ndarray, list[str]]:
    """Images, labels and class names of a zero-shot benchmark."""
    if name == "cifar10":
        images, labels = load_cifar10("test")
        return map(Image.fromarray, images), labels, list(CLASSES)
    import datasets

    from shared.data.sources import source

    entry = source(name)
    found = datasets.load_dataset(entry.hub, split="validation", revision=entry.revision)
    return (row["image"].convert("RGB") for row in found), np.array(found["label"]), found.features["label"].names


def build_zoo(zoo: Zoo, device: str) -> Embeddings:
    """The zoo of pretrained encoders on captioned images, with zero-shot benchmarks of their own images."""
    files, captions = captioned(zoo.data)
    ids = {s: sample_digest(np.array(files[s]).astype("S")) for s in SPLITS}
    benchmarks = {name: classified(name)[1:] for name in zoo.data.zero_shot}
    images = {}
    for plan in zoo.images:
        model, transform = _image_model(plan, device)
        with zipfile.ZipFile(fetch("llava-pretrain", "images.zip")) as archive:
            parts = {s: _embed_images(model, transform, _opened(archive, files[s]), device) for s in SPLITS}
        for name in benchmarks:
            parts[name] = _embed_images(model, transform, classified(name)[0], device)
        found, own = centred(parts), ids | {name: name for name in benchmarks}
        images[plan.name] = Cached(found, own, _probed(model, transform, zoo.ridge, device), _named(plan))
    texts = {}
    for plan in zoo.texts:
        if plan.published_score is None:
            raise ValueError(f"text encoder {plan.name} needs its published_score; texts of the hub have no labels")
        parts = {s: _embed_texts(plan, captions[s], device) for s in SPLITS}
        for name, (_, classes) in benchmarks.items():
            parts[f"prompts/{name}"] = _embed_texts(plan, [PROMPT.format(c) for c in classes], device)[:, None]
        found = centred(parts)
        asked = {name: found[f"prompts/{name}"] for name in benchmarks}
        texts[plan.name] = Cached({s: found[s] for s in SPLITS}, ids, plan.published_score, _named(plan), asked)
    with zipfile.ZipFile(fetch("llava-pretrain", "images.zip")) as archive:
        shown = [np.asarray(im.resize((64, 64))) for im in _opened(archive, files["test"][:512])]
    return Embeddings(
        images=images,
        texts=texts,
        attributes={name: {name: torch.from_numpy(labels)} for name, (labels, _) in benchmarks.items()},
        meanings={s: torch.arange(len(files[s])) for s in SPLITS},
        pixels=torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float() / 255,
        captions=captions["test"][:512],
    )


def _named(plan: ImageEncoder | TextEncoder) -> str:
    return f"{plan.hub}@{plan.revision or 'unpinned'}"


def _opened(archive: zipfile.ZipFile, names: list[str]) -> Iterator[Image.Image]:
    for name in names:
        with archive.open(name) as stream:
            yield Image.open(stream).convert("RGB")


def _image_model(plan: ImageEncoder, device: str) -> tuple[nn.Module, object]:
    try:
        import timm
    except ImportError as error:
        raise ValueError("image encoders of the hub need the package timm: pip install timm") from error
    at = f"@{plan.revision}" if plan.revision else ""
    model = timm.create_model(f"hf-hub:{plan.hub}{at}", pretrained=True, num_classes=0).eval().to(device)
    if model.num_features != plan.dim:
        raise ValueError(f"{plan.hub} has width {model.num_features}, and the zoo says {plan.dim}; correct the zoo")
    size = {"input_size": (3, plan.image_size, plan.image_size)}
    return model, timm.data.create_transform(**timm.data.resolve_model_data_config(model) | size)


@torch.no_grad()
def _embed_images(model: nn.Module, transform, images: Iterator[Image.Image], device: str) -> Tensor:
    """(n, d) float32 on the CPU."""
    found, batch = [], []
    for image in images:
        batch.append(transform(image))
        if len(batch) == BATCH:
            found.append(model(torch.stack(batch).to(device)).float().cpu())
            batch = []
    if batch:
        found.append(model(torch.stack(batch).to(device)).float().cpu())
    return torch.cat(found)


def _probed(model: nn.Module, transform, ridge: float, device: str) -> float:
    """Accuracy of a linear probe on CIFAR-10."""
    (train, labels), (test, test_labels) = load_cifar10("train"), load_cifar10("test")
    parts = [_embed_images(model, transform, map(Image.fromarray, x), device) for x in (train[:NUM_PROBED], test)]
    found = [F.normalize(part, dim=-1) for part in parts]
    truth = [torch.from_numpy(y) for y in (labels[:NUM_PROBED], test_labels)]
    return probe_accuracy(found[0], truth[0], found[1], truth[1], ridge)


@torch.no_grad()
def _embed_texts(plan: TextEncoder, texts: list[str], device: str) -> Tensor:
    """Mean of the last states over the tokens, as sentence-transformers pools these models; (n, d) on the CPU."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(plan.hub, revision=plan.revision)
    model = AutoModel.from_pretrained(plan.hub, revision=plan.revision).eval().to(device)
    found = []
    for start in range(0, len(texts), BATCH):
        batch = tokenizer(texts[start : start + BATCH], padding=True, truncation=True, return_tensors="pt").to(device)
        states, inside = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
        found.append(((states * inside).sum(1) / inside.sum(1)).float().cpu())
    return torch.cat(found)


class HubModel(nn.Module):
    """A causal language model of transformers with the interface of `CaptionModel`."""

    def __init__(self, model: nn.Module, width: int, num_layers: int) -> None:
        super().__init__()
        self.model, self.width, self.num_layers = model, width, num_layers
        self.embedding = model.get_input_embeddings()
        self.vocab_size = model.config.vocab_size

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Input embeddings (B, T, w) -> logits (B, T, V); `seen` (B, T) is the attention mask."""
        return self.model(inputs_embeds=x, attention_mask=seen).logits


def language_models(settings: CaptionShard, device: str) -> tuple[dict[str, HubModel], dict[str, dict[str, Tensor]]]:
    """The chosen language models, frozen, and for each the captions in its own tokens, padded by 0."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, captions = captioned(settings.zoo.data)
    models, tokens = {}, {}
    for plan in (m for m in settings.zoo.language_models if m.name in settings.captioning.language_models):
        tokenizer = AutoTokenizer.from_pretrained(plan.hub, revision=plan.revision)
        model = AutoModelForCausalLM.from_pretrained(plan.hub, revision=plan.revision).eval().requires_grad_(False)
        width = model.get_input_embeddings().embedding_dim
        if width != plan.width:
            raise ValueError(f"{plan.hub} has width {width}, and the zoo says {plan.width}; correct the zoo")
        models[plan.name] = HubModel(model, width, plan.num_layers).to(device)
        tokens[plan.name] = {s: _tokens(tokenizer, texts) for s, texts in captions.items()}
    return models, tokens


def _tokens(tokenizer, texts: list[str]) -> Tensor:
    """(n, T) int64; 0 after the end of a caption."""
    found = torch.zeros(len(texts), MAX_TOKENS, dtype=torch.int64)
    for row, text in enumerate(texts):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:MAX_TOKENS]
        found[row, : len(ids)] = torch.tensor(ids)
    return found
