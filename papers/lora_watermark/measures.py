"""What is measured of a trained pair: detection by length, quality, shortcuts, coloured texts. Rows of dicts.

Shapes: B texts, P tokens of a prompt, G of a response.
"""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from papers.lora_watermark.detector import Detector
from papers.lora_watermark.language_settings import Member
from papers.lora_watermark.metrics import (
    auc,
    auc_error,
    best_f1_threshold,
    distinct,
    f1,
    matched_pairs,
    repetition,
    roc,
    tpr_at_fpr,
)
from papers.lora_watermark.models import role_name
from papers.lora_watermark.score import ratio
from papers.lora_watermark.texts import Bench, Roles

FPRS = np.unique(np.concatenate([np.linspace(0, 0.1, 11), np.linspace(0.1, 1, 19)]))
CALIPER = 0.05  # nats per token: how near two texts' NLL under the base must be to count as equally predictable


class Judged:
    """A member with its texts and what every scorer finds in them, each made once."""

    def __init__(self, bench: Bench, member: Member) -> None:
        self.bench, self.member = bench, member
        self.columns = {"data": bench.settings.source, "variant": member.variant.name, "eps": member.variant.eps}
        self.columns |= {"seed": member.seed}
        self.performer, self.observer = (role_name(member, role) for role in ("performer", "observer"))
        calibration, self.human = bench.windows
        other = {role: role_name(bench.other_of(member), role) for role in ("performer", "observer")}
        self.texts = {
            "watermarked": bench.write(self.performer, self.human, "watermarked", member.seed),
            **bench.plain_texts,
            "other seed": bench.write(other["performer"], self.human, "watermarked", -1),
        }
        self.own = (self.observer, self.performer)
        self.scorers = {"untrained pair": (None, None), "base as observer": (None, self.performer)}
        self.scorers["observer of another seed"] = (other["observer"], self.performer)
        if bench.reference:
            self.scorers["base and SFT"] = (None, bench.reference)
        self.terms = bench.own_terms(member)
        self.calibration_terms = self.terms(calibration)
        self.detector = Detector.calibrated(self.terms, calibration) if len(calibration) >= 100 else None  # 1 % of them
        self.calibration_marked = self.terms(bench.write(self.performer, calibration, "calibration", member.seed))
        self.found = {kind: self._terms_of(kind, texts) for kind, texts in {"human": self.human, **self.texts}.items()}
        self.of = {kind: found[self.own] for kind, found in self.found.items()}

    def _terms_of(self, kind: str, texts: Tensor) -> dict[Roles, tuple[Tensor, Tensor]]:
        """Terms of one kind of texts under all pairs of roles that anything below asks for."""
        pairs = {self.own, (None, None)}
        if kind in ("human", "watermarked", "base"):
            pairs |= {*self.scorers.values(), (self.performer, self.performer)}
        if kind == "human":
            pairs |= {(self.observer, self.observer), (self.bench.reference, self.bench.reference)}
        if kind == "watermarked":
            pairs |= {(self.performer, None)}
        ordered = sorted(pairs, key=str)
        return dict(zip(ordered, self.bench.terms_of(texts, ordered, self.member.variant.numerator), strict=True))

    def nll(self, kind: str, route: str | None) -> Tensor:
        """-log M(x) of responses of one kind under an adapter or the base, (B, G)."""
        return self.found[kind][route, route][0]

    def detection(self) -> Iterator[dict]:
        """AUC, TPR and F1 of texts of each kind against human text, by scored tokens and by who scores."""
        for kind in self.texts:
            for length in self.bench.settings.evaluation.lengths:
                yield self._row(kind, "own pair", length, self.of[kind], self.of["human"])
        full = self.bench.num_response
        for name, pair in self.scorers.items():
            for kind in ("watermarked", "base"):
                yield self._row(kind, name, full, self.found[kind][pair], self.found["human"][pair], calibrated=False)
        gain = [self.nll(kind, self.performer) - self.nll(kind, None) for kind in ("watermarked", "human")]
        yield self._measured("watermarked", "likelihood ratio", full, *(g.mean(1).numpy() for g in gain))

    def _row(self, kind: str, scorer: str, length: int, terms, human, calibrated: bool = True) -> dict:
        scores, negatives = (ratio(*(t[:, :length] for t in pair)).numpy() for pair in (terms, human))
        row = self._measured(kind, scorer, length, scores, negatives)
        if calibrated:
            held_out, marked = (
                ratio(*(t[:, :length] for t in p)).numpy() for p in (self.calibration_terms, self.calibration_marked)
            )
            row["f1"] = f1(scores, negatives, best_f1_threshold(marked, held_out))
            if length == self.bench.num_response and self.detector is not None:
                row["flagged"] = float((scores < self.detector.threshold).mean())
                row["human_flagged"] = float((negatives < self.detector.threshold).mean())
        return row

    def _measured(self, kind: str, scorer: str, length: int, scores: np.ndarray, negatives: np.ndarray) -> dict:
        draws = self.bench.settings.evaluation.num_bootstrap
        row = {**self.columns, "texts": kind, "scorer": scorer, "length": length, "num_texts": len(scores)}
        row |= {"auc": auc(scores, negatives), "auc_error": auc_error(scores, negatives, num_draws=draws)}
        row |= {"tpr_1": tpr_at_fpr(scores, negatives, 0.01), "tpr_01": tpr_at_fpr(scores, negatives, 0.001)}
        return (
            row
            | {"score": scores.mean(), "score_human": negatives.mean(), "f1": np.nan, "flagged": np.nan}
            | {"human_flagged": np.nan}
        )

    def curves(self) -> Iterator[dict]:
        """ROC of watermarked against human text on a grid of false positive rates, by scored tokens."""
        for length in self.bench.settings.evaluation.lengths:
            scores, negatives = (
                ratio(*(t[:, :length] for t in pair)).numpy() for pair in (self.of["watermarked"], self.of["human"])
            )
            fpr, tpr = roc(scores, negatives)
            at = tpr[np.searchsorted(fpr, FPRS + 1e-12, "right") - 1]
            for x, y in zip(FPRS, at, strict=True):
                yield {**self.columns, "length": length, "fpr": x, "tpr": y}

    def scores(self) -> Iterator[dict]:
        """Score of every text at full length."""
        for kind, terms in self.of.items():
            for prompt, score in enumerate(ratio(*terms).tolist()):
                yield {**self.columns, "texts": kind, "prompt": prompt, "score": score}

    def quality(self) -> Iterator[dict]:
        """Cross-entropy on human text and looks of samples, and what a detector without the pair would find."""
        bench, human_nll = self.bench, self.nll("human", None)
        for kind in self.found:
            texts = self.human if kind == "human" else self.texts[kind]
            responses, base_nll = texts[:, bench.num_prompt :].cpu().numpy(), self.nll(kind, None)
            row = {**self.columns, "texts": kind, "base_nll": base_nll.mean().item()}
            row["base_nll_spread"] = base_nll.mean(1).std().item()
            row |= {"distinct_1": distinct(responses, 1), "distinct_2": distinct(responses, 2)}
            row |= {"repetition": repetition(responses), "kl": np.nan}
            row |= {"rise_performer": np.nan, "rise_observer": np.nan}
            row |= {"predictability_auc": auc(base_nll.mean(1).numpy(), human_nll.mean(1).numpy())}
            row |= {"first_token_auc": self._first_token_auc(texts), "matched_auc": np.nan, "num_matched": 0}
            if kind != "human":
                pairs = matched_pairs(base_nll.mean(1), human_nll.mean(1), CALIPER)
                row["num_matched"] = len(pairs)
                if len(pairs) >= 8:
                    own, human = (ratio(*self.of[k]).numpy() for k in (kind, "human"))
                    row["matched_auc"] = auc([own[i] for i, _ in pairs], [human[j] for _, j in pairs])
            if kind == "watermarked":
                ce_reference = self.nll("human", bench.reference).mean()
                for role, name in (("performer", self.performer), ("observer", self.observer)):
                    row[f"rise_{role}"] = (self.nll("human", name).mean() - ce_reference).item()
                row["kl"] = self._kl()
            yield row

    def _kl(self) -> float:
        """Mean KL(M_P || base) along samples, nats per token: cross-entropy minus entropy."""
        found = self.found["watermarked"]
        return (found[self.performer, None][1] - found[self.performer, self.performer][1]).mean().item()

    def _first_token_auc(self, texts: Tensor) -> float:
        """A classifier that knows the first response token's frequencies in half of the texts, on the other half."""
        own, human = (t[:, self.bench.num_prompt].cpu().numpy() for t in (texts, self.human))
        size, half = int(max(own.max(), human.max())) + 1, len(own) // 2
        counts = [np.bincount(side[:half], minlength=size) + 1.0 for side in (own, human)]
        odds = np.log(counts[1] / counts[0])
        return auc(odds[own[half:]], odds[human[half:]])

    def shown(self) -> Iterator[dict]:
        """Tokens of a few texts side by side with what each adds to the score."""
        strings = self.bench.data.tokenizer.token_strings
        sides = {"human": (self.human, self.of["human"])}
        sides |= {kind: (self.texts[kind], self.of[kind]) for kind in ("base", "watermarked")}
        for prompt in range(self.bench.settings.evaluation.num_shown):
            for kind, (texts, (above, below)) in sides.items():
                row = texts[prompt].tolist()
                for position, token in enumerate(row):
                    place = position - self.bench.num_prompt
                    excess = (above - below)[prompt, place].item() if place >= 0 else np.nan
                    yield {**self.columns, "prompt": prompt, "texts": kind, "position": position} | {
                        "token": strings[token].replace("\n", "⏎"),
                        "excess": excess,
                    }
