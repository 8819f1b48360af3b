"""What is left of detection after attacks on watermarked texts and on open weights; the pair that scores stays.

Shapes: B texts, P tokens of a prompt, G of a response.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from papers.lora_watermark import attacks
from papers.lora_watermark.measures import Judged
from papers.lora_watermark.metrics import auc, auc_error
from papers.lora_watermark.models import role_name
from papers.lora_watermark.paraphrase import Rewrite, paraphrased
from papers.lora_watermark.score import ratio
from shared.base.seeding import numpy_generator, torch_generator
from shared.models.lora.adapters import set_strength

FEWEST = 8  # texts that an AUC is made of
Changed = Iterator[tuple[str, float, Tensor]]  # attack, strength, texts after it


def attacked(judged: Judged, rewrite: Rewrite | None) -> Iterator[dict]:
    """AUC against human text of the same length, a row per attack and strength.

    Args:
        rewrite: sentences -> their paraphrases by another model; None leaves that attack out.
    """
    own = judged.bench.settings.evaluation.attacks
    texts, human = judged.texts["watermarked"][: own.num_texts], judged.human[: own.num_texts]
    rows = np.arange(len(texts))
    for attack, strength, changed in (*_on_texts(judged, texts, human), *_on_weights(judged, human)):
        yield _row(judged, attack, strength, changed, rows)
    if rewrite is not None:
        yield from after_paraphrase(judged, texts, rewrite)


def after_paraphrase(judged: Judged, texts: Tensor, rewrite: Rewrite) -> Iterator[dict]:
    """The row of texts that another model rewrote; none where too few paraphrases are long enough."""
    kept = judged.bench.settings.evaluation.attacks.paraphrase.kept
    rows, changed = paraphrased(texts, judged.bench.num_prompt, judged.bench.data.tokenizer, rewrite, kept)
    if len(rows) >= FEWEST:
        yield _row(judged, "paraphrase by another model", 1.0, changed, np.asarray(rows))


def _row(judged: Judged, attack: str, strength: float, changed: Tensor, rows: np.ndarray) -> dict:
    """Changed texts against as many first tokens of the human text after the same prompts, which have these `rows`."""
    length = changed.shape[1] - judged.bench.num_prompt
    own, (base_nll, _) = judged.bench.terms_of(changed, [judged.own, (None, None)], judged.member.variant.numerator)
    scores = ratio(*own).numpy()
    negatives = ratio(*(t[rows, :length] for t in judged.of["human"])).numpy()
    row = {**judged.columns, "attack": attack, "strength": strength, "num_texts": len(scores)}
    row |= {"auc": auc(scores, negatives), "auc_error": auc_error(scores, negatives)}
    return row | {"length": length, "base_nll": base_nll.mean().item()}


def _on_texts(judged: Judged, texts: Tensor, human: Tensor) -> Changed:
    bench, prompt, seed = judged.bench, judged.bench.num_prompt, judged.member.seed
    own, performer = bench.settings.evaluation.attacks, role_name(judged.member, "performer")
    responses, theirs = (t[:, prompt:].cpu().numpy() for t in (texts, human))
    corpus = np.asarray(bench.data.train.tokens[:200_000])
    pools = {"substitution": np.arange(bench.data.tokenizer.num_ordinary), "substitution (corpus)": corpus}

    def joined(changed: np.ndarray) -> Tensor:
        return torch.cat([texts[:, :prompt], torch.as_tensor(changed, device=texts.device)], 1)

    yield "none", 0.0, texts
    for share in own.substitute:
        for name, pool in pools.items():
            draw = numpy_generator(seed, "attack", name, str(share))
            yield name, share, joined(attacks.substitute(responses, share, pool, draw).astype(np.int64))
    for share in own.delete:
        draw = numpy_generator(seed, "attack", "deletion", str(share))
        yield "deletion", share, joined(attacks.delete(responses, share, draw))
    for share in own.mix:
        yield "human text mixed in", share, joined(attacks.mix(responses, theirs, share))
    for share in own.resample:
        draw = numpy_generator(seed, "attack", "resampling", str(share))
        changed = attacks.resample_spans(
            texts,
            prompt,
            share,
            lambda t, n: bench.write(None, t, "spans", seed, t.shape[1], num=n),
            draw,
        )
        yield "spans rewritten by the base", share, changed
    for temperature in own.temperatures:
        changed = bench.write(performer, human, "temperature", seed, temperature=temperature)
        yield "temperature", temperature, changed
    for top_p in own.top_p:
        yield "top-p", top_p, bench.write(performer, human, "top-p", seed, top_p=top_p)


def _on_weights(judged: Judged, human: Tensor) -> Changed:
    """Texts of altered performers; they are scored by the pair as it was."""
    bench, seed = judged.bench, judged.member.seed
    own, performer = bench.settings.evaluation.attacks, role_name(judged.member, "performer")
    for strength in own.strengths:
        set_strength(bench.model, performer, strength)
        changed = bench.write(performer, human, "strength", seed)
        set_strength(bench.model, performer, 1.0)
        yield "adapter weakened", strength, changed

    def draw() -> torch.Generator:
        return torch_generator(seed, "noise", device=bench.device)

    changes = [("noise on weights", s, attacks.with_noise(s, draw())) for s in own.noise]
    changes += [("int8 weights", 8.0, attacks.quantized)] if own.int8 else []
    for name, strength, change in changes:
        with attacks.altered(bench.model, performer, change):
            changed = bench.write(None, human, name, seed)
        yield name, strength, changed
    length, rows = bench.num_prompt + bench.num_response, bench.training.batch_size

    def clean(step: int) -> Tensor:
        return bench.data.train.crops(1000 + seed, step, range(rows), rows, length).to(bench.device)

    for steps in own.finetune:
        how = (performer, clean, bench.num_prompt, steps, own.finetune_lr)
        with attacks.finetuned(bench.model, *how):
            changed = bench.write(None, human, "finetuned", seed)
        yield "fine-tuned on clean text", float(steps), changed
