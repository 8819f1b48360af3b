"""From the settings of a study to methods."""

import math

from papers.distributed_sde.network_settings import MinibatchStudies, NetworkStudies, Processes, Rule, Study
from papers.distributed_sde.theory import equal_clients
from shared.optim.compression import Bernoulli, Identity, Sign
from shared.optim.distributed import DistributedMethod, Normalisation
from shared.optim.gradient_noise import GradientNoise


def rule_normalisation(rule: Rule, studies: NetworkStudies | MinibatchStudies, d: int, omega: float):
    """(Normalisation or None, kappa) of a rule in dimension d; 2 eps / ((L0 + L1 |g|) kappa), kappa = 1 if plain."""
    kappa, _ = equal_clients(d, studies.num_clients, omega, 0.0, studies.s1)
    if rule.normalised == "none":
        return None, kappa
    factor = kappa if rule.normalised == "kappa" else 1.0
    return Normalisation(studies.l0, studies.l1, factor, 0.0, studies.eps), kappa


def build_method(study: Study, rule: Rule, level: float, studies: NetworkStudies | MinibatchStudies, d: int):
    """(method, kappa) of a rule at a level: omega of DCSGD under affine noise, Cauchy scale of DSignSGD."""
    if study.method == "DSignSGD":
        noise = GradientNoise(additive=level, nu=1.0) if level > 0 else GradientNoise()
        return DistributedMethod(rule.lr, studies.num_clients, noise, Sign(), rule.decay), math.nan
    normalisation, kappa = rule_normalisation(rule, studies, d, level)
    compressor = Bernoulli.with_omega(level) if level else Identity()
    noise = GradientNoise(relative=studies.s1)
    return DistributedMethod(rule.lr, studies.num_clients, noise, compressor, rule.decay, normalisation), kappa


def process_methods(settings: Processes) -> dict[str, tuple[Rule, DistributedMethod]]:
    """The two methods that real processes run, by name."""
    affine, cauchy = GradientNoise(relative=settings.s1), GradientNoise(additive=settings.sign_scale, nu=1.0)
    count, dcsgd, dsign = settings.num_clients, settings.dcsgd_rule, settings.dsign_rule
    return {
        "DCSGD": (dcsgd, DistributedMethod(dcsgd.lr, count, affine, Bernoulli.with_omega(settings.omega), dcsgd.decay)),
        "DSignSGD": (dsign, DistributedMethod(dsign.lr, count, cauchy, Sign(), dsign.decay)),
    }
