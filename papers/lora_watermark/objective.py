"""What the pair minimises: detectability under constraints of naturalness, for M members side by side.

Detectability of samples s and human texts h (both over both adapters):
    gap       J = mean B(s) - mean B(h)
    logistic  J = mean over pairs of softplus((B(s) - B(h)) / T)
Constraints, in nats per token: g_P and g_O, the rise of each role's cross-entropy on human text over the reference,
minus eps; g_K, the mean KL of performer to base along samples, minus eps; g_N (off unless asked for), by how much the
reference finds samples easier to predict than human text, minus eps. g_K alone leaves room: a KL of eps per token is
eps * L nats per text, which buys text that the base itself writes with probability exp(-eps * L), such as long runs of
spaces, and once there every further token is free.
How they are combined:
    weighted (V1)  CE_P + weight * J + weight_observer * CE_O
    barrier  (V2)  J + mu * sum of phi(g), the log barrier with a linear extension beyond g = -eps / 10
    dual     (V3)  J + lam . g, after every update lam = clip(nu + rho g, 0, 50) and nu <- clip(nu + eta g, 0, 50)
    none           J alone

With rho = 0 that is plain dual ascent, an oscillator without friction: a multiplier grows as long as its constraint is
broken, and takes as many updates to forget it. The term rho g, which is the quadratic penalty of the augmented
Lagrangian, damps it (Platt and Barr 1988). g is that of the last update, so a multiplier does not depend on the texts
whose gradient it weighs.

A sample's own distribution counts too: the score-function estimator adds (R_i - mean of the others) * log M_P(s_i) for
each text i, which is unbiased because the baseline leaves text i out.

Shapes: M members, S samples, H human texts.
Source: our reconstruction (the paper's text was not available); its public summaries name a min-max objective that is
recast with constraints and barrier terms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from papers.lora_watermark.settings import Ascent, Variant

TAU = 0.1  # of eps: where the barrier becomes linear
LARGEST = 50.0  # multiplier
CONSTRAINTS = ("performer", "observer", "kl", "predictable")  # in this order everywhere


@dataclass(frozen=True)
class Measured:
    """What one update is made of; everything but `reference` carries gradient.

    Args:
        scores: B(s), (M, S). human_scores: B(h), (M, H).
        log_likelihood: log M_P(s) of whole samples, (M, S).
        ce: cross-entropy of performer and observer on human text, (M, 2), and reference: that of the reference there.
        kl: mean KL(M_P || base) along each sample, (M, S).
        plain_nll: mean -log of each sample's tokens under the reference, (M, S); without gradient.
    """

    scores: Tensor
    human_scores: Tensor
    log_likelihood: Tensor
    ce: Tensor
    reference: Tensor
    kl: Tensor
    plain_nll: Tensor


def barrier(g: Tensor, eps: Tensor) -> Tensor:
    """-log(-g / eps) where -g > tau = eps / 10, beyond it the tangent: -log(tau / eps) + (tau + g) / tau."""
    tau = TAU * eps
    inside = -torch.log((-g).clamp_min(1e-30) / eps)
    outside = -torch.log(tau / eps) + (tau + g) / tau
    return torch.where(-g > tau, inside, outside)


def others_mean(values: Tensor) -> Tensor:
    """Of each text the mean over all the others, (M, S)."""
    return (values.sum(1, keepdim=True) - values) / (values.shape[1] - 1)


def score_function(rewards: Tensor, log_likelihood: Tensor) -> Tensor:
    """A term of value zero whose gradient is that of E[rewards] by the sampling distribution, (M,).

    Args:
        rewards: what each sample brings, (M, S), any sign; taken without gradient.
    """
    advantage = (rewards - others_mean(rewards)).detach()
    return (advantage * (log_likelihood - log_likelihood.detach())).mean(1)


class Objective:
    """The objectives of M members, their multipliers, and what they switch off.

    Args:
        variants: one per member. ascent: of the multipliers.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        ascent: Ascent = Ascent(),
        device: torch.device | str = "cpu",
        dtype=torch.float32,
    ) -> None:
        def column(read) -> Tensor:
            return torch.tensor([read(v) for v in variants], device=device)

        self.eps, self.temperature, self.mu, self.weight, self.weight_observer = (
            column(lambda v, key=key: float(getattr(v, key))).to(dtype)
            for key in ("eps", "temperature", "mu", "weight", "weight_observer")
        )
        self.ascent = ascent
        self.logistic = column(lambda v: v.detect == "logistic")
        self.sampled = column(lambda v: v.sampling_grad == "reinforce")
        self.combine = {kind: column(lambda v, k=kind: v.combine == k) for kind in ("dual", "barrier", "weighted")}
        self.trained = column(lambda v: [v.roles != "observer", v.roles != "performer"])  # performer, observer; (M, 2)
        along = column(lambda v: [kind in v.naturalness.split("+") for kind in ("kl", "nll")])  # (M, 2), of samples
        self.active = torch.cat([self.trained, along & self.trained[:, :1]], 1)  # (M, 4)
        self.integral = torch.zeros(len(variants), len(CONSTRAINTS), device=device, dtype=dtype)
        self.multipliers = self.integral.clone()

    def detectability(self, measured: Measured) -> tuple[Tensor, Tensor]:
        """J of each member, (M,), and what each sample adds to it, (M, S)."""
        s, h = measured.scores, measured.human_scores
        pairs = F.softplus((s[:, :, None] - h[:, None, :]) / self.temperature[:, None, None]).mean(2)
        own = torch.where(self.logistic[:, None], pairs, s - h.mean(1, keepdim=True))
        return own.mean(1), own

    def constraints(self, measured: Measured) -> Tensor:
        """g of each member, (M, 4), with the whole gradient: a sample counts by its distribution, too."""
        reference = measured.reference[:, None]
        columns = [*(measured.ce - reference).unbind(1)]
        for own in (measured.kl, reference - measured.plain_nll):  # (M, S)
            moved = torch.where(self.sampled, score_function(own, measured.log_likelihood), 0.0)
            columns.append(own.mean(1) + moved)
        return torch.stack(columns, 1) - self.eps[:, None]

    def loss(self, measured: Measured) -> Tensor:
        """The loss of each member, (M,); members do not touch each other, so the sum may be differentiated."""
        gap, own = self.detectability(measured)
        gap = gap + torch.where(self.sampled, score_function(own, measured.log_likelihood), 0.0)
        g = self.constraints(measured)
        dual = torch.where(self.active, self.multipliers * g, 0.0).sum(1)
        walls = torch.where(self.active, barrier(g, self.eps[:, None]), 0.0).sum(1)
        ce = torch.where(self.trained, measured.ce, 0.0)
        weighted = ce[:, 0] + (self.weight - 1) * gap + self.weight_observer * ce[:, 1]
        loss = gap
        for kind, term in (("dual", dual), ("barrier", self.mu * walls), ("weighted", weighted)):
            loss = loss + torch.where(self.combine[kind], term, 0.0)
        return loss

    @torch.no_grad()
    def ascend(self, constraints: Tensor) -> None:
        """Damped dual ascent by the constraints' values, (M, 4)."""
        constraints = torch.where(self.active & self.combine["dual"][:, None], constraints, 0.0)
        self.integral = (self.integral + self.ascent.eta * constraints).clamp(0.0, LARGEST)
        self.multipliers = (self.integral + self.ascent.rho * constraints).clamp(0.0, LARGEST)


def clip_by_member(gradients: Sequence[Tensor], largest: float = 1.0) -> None:
    """Scale each member's gradients to a norm of at most `largest`, in place; every tensor has M first."""
    norm = sum(g.flatten(1).square().sum(1) for g in gradients).sqrt()
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    for g in gradients:
        g.mul_(factor.view(-1, *[1] * (g.ndim - 1)))
