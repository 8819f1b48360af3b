"""What each study of a network is: rules, levels, clients. Nothing here imports torch."""

import math
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from scipy.special import entr

from papers.distributed_sde.settings import Decay
from shared.base.settings import NonNegative, Share, StrictModel
from shared.models.config import MLPConfig
from shared.models.image_config import ResNetConfig, ViTConfig

NUM_CLASSES = 10  # of digits and of CIFAR-10
NUM_IMAGES = {"digits": 1438, "cifar10": 50_000}  # for training
SHAPES = {"digits": (1, 8), "cifar10": (3, 32)}  # channels, and pixels along each side


def label_entropy(smoothing: float) -> float:
    """Entropy in nats of a label of which a share is spread evenly over all classes: the least cross entropy."""
    wrong = smoothing / NUM_CLASSES
    return float(entr(1 - smoothing + wrong) + (NUM_CLASSES - 1) * entr(wrong))


class Rule(StrictModel):
    """How the server steps; the name is the row of the tables."""

    name: str
    lr: float = Field(gt=0)
    decay: Decay = "constant"
    normalised: Literal["none", "plain", "kappa"] = "none"  # lr / (L0 + L1 |g|), without and with kappa


class Study(StrictModel):
    """One figure's grid: every rule at every level, with every seed."""

    method: Literal["DCSGD", "DSignSGD"]
    rules: list[Rule]
    levels: list[NonNegative]  # omega of DCSGD, Cauchy scale of DSignSGD
    seeds: list[int]
    num_steps: int = Field(ge=2)
    every: int | None = Field(default=None, ge=1)  # steps between rows; one of the two
    per_decade: int | None = Field(default=None, ge=1)  # rows per factor of ten in the step

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.every is None) == (self.per_decade is None):
            raise ValueError("a study says by `every` or by `per_decade` at which steps it has rows; give one of them")
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names) or len(set(self.levels)) < len(self.levels):
            raise ValueError("the rules' names and the levels tell the curves of a study apart; give each once")
        if self.method == "DSignSGD" and any(rule.normalised != "none" for rule in self.rules):
            raise ValueError("steps of DSignSGD are not normalised; leave `normalised` out of its rules")
        return self

    @property
    def recorded(self) -> list[int]:
        """Steps that have rows; the first and the last are among them."""
        if self.every is not None:
            return sorted({*range(0, self.num_steps + 1, self.every), self.num_steps})
        decades = range(int(self.per_decade * math.log10(self.num_steps)) + 1)
        return sorted({0, self.num_steps, *(round(10 ** (i / self.per_decade)) for i in decades)})

    @property
    def level_name(self) -> str:
        """The column that holds a level."""
        return "omega" if self.method == "DCSGD" else "scale"

    def grid(self) -> list[tuple[Rule, float]]:
        return [(rule, level) for rule in self.rules for level in self.levels]


class NetworkSpec(StrictModel):
    """Network and data; one of the three networks."""

    data: Literal["digits", "cifar10"]
    max_images: int | None = Field(default=None, ge=1)  # None: all
    mlp: MLPConfig | None = None
    resnet: ResNetConfig | None = None
    vit: ViTConfig | None = None
    label_smoothing: Share = 0.0  # of every label, spread evenly over the classes; above 0 the loss has a minimiser

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in ("mlp", "resnet", "vit") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a network is one of mlp, resnet, vit; got {', '.join(given) or 'none'}")
        channels, side = SHAPES[self.data]
        if self.mlp is not None:
            takes, wanted = (self.mlp.widths[0], self.mlp.widths[-1]), (channels * side**2, NUM_CLASSES)
        elif self.resnet is not None:
            takes, wanted = (self.resnet.in_channels, self.resnet.num_classes), (channels, NUM_CLASSES)
        else:
            vit = self.vit
            takes, wanted = (vit.in_channels, vit.image_size, vit.num_classes), (channels, side, NUM_CLASSES)
        if takes != wanted:
            raise ValueError(
                f"{self.data} has {channels} x {side} x {side} numbers an image and {NUM_CLASSES} classes, so the"
                f" {given[0]} needs {' and '.join(map(str, wanted))} where it has {' and '.join(map(str, takes))}"
            )
        return self

    @property
    def num_images(self) -> int:
        return min(self.max_images or NUM_IMAGES[self.data], NUM_IMAGES[self.data])

    def check_shards(self, num_clients: int, batch_size: int) -> None:
        """ValueError where a client's part of the images is smaller than its mini-batch."""
        if (size := self.num_images // num_clients) < batch_size:
            raise ValueError(
                f"{self.num_images} images of {self.data} give each of {num_clients} clients {size}, too few for"
                f" mini-batches of {batch_size}; take fewer clients or smaller batches"
            )


class NamedNetwork(StrictModel):
    """A network of the mini-batch studies; the name is that of its shard."""

    name: str
    spec: NetworkSpec


def of_method(method: str, study: Study) -> Study:
    """The study, if it is one of this method: levels of the other one mean something else. ValueError if not."""
    if study.method != method:
        raise ValueError(f"this is a study of {method}; got one of {study.method}")
    return study


DCSGDStudy = Annotated[Study, AfterValidator(partial(of_method, "DCSGD"))]
DSignSGDStudy = Annotated[Study, AfterValidator(partial(of_method, "DSignSGD"))]


class NetworkStudies(StrictModel):
    """fig_dcsgd and fig_dsign: full-batch gradient plus synthetic noise."""

    network: NetworkSpec
    sign_network: NetworkSpec  # of the DSignSGD study, whose runs are long
    smoothings: list[Share]  # of the labels; the DSignSGD study is repeated for each
    num_clients: int = Field(ge=1)
    s1: float = Field(ge=0)  # noise of the DCSGD study: N(0, s1^2 |g|^2) per coordinate
    l0: float = Field(ge=0)
    l1: float = Field(ge=0)
    eps: float = Field(gt=0, lt=1)
    dcsgd: DCSGDStudy
    dsign: DSignSGDStudy

    def alone(self, study: str) -> "NetworkStudies":
        """With the other study replaced by this one, so that a change of it does not rerun this one's job."""
        return self.model_copy(update={name: getattr(self, study) for name in ("dcsgd", "dsign")})


class MinibatchStudies(StrictModel):
    """fig_minibatch: every client draws mini-batches from a shard of its own."""

    networks: list[NamedNetwork]
    num_clients: int = Field(ge=1)
    batch_size: int = Field(ge=1)  # images per client and step
    s1: float = Field(ge=0)  # synthetic noise on top, as in NetworkStudies; also the s1 of kappa
    l0: float = Field(ge=0)
    l1: float = Field(ge=0)
    eps: float = Field(gt=0, lt=1)
    ema: float = Field(ge=0, lt=1)  # of |u|, which stands for |grad f| in the normalised rules
    dcsgd: DCSGDStudy
    dsign: DSignSGDStudy

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dcsgd.every is None or self.dsign.every is None:
            raise ValueError("losses are means over the steps since the last row, so these studies need `every`")
        for network in self.networks:
            network.spec.check_shards(self.num_clients, self.batch_size)
        return self


class Processes(StrictModel):
    """Real processes beside their simulation."""

    network: NetworkSpec
    num_clients: int = Field(ge=2)  # processes
    batch_size: int = Field(ge=1)
    s1: float = Field(ge=0)
    omega: float = Field(ge=0)
    sign_scale: float = Field(gt=0)  # Cauchy scale of DSignSGD
    dcsgd_rule: Rule
    dsign_rule: Rule
    num_steps: int = Field(ge=2)
    every: int = Field(ge=1)
    seeds: list[int] = Field(min_length=2)  # runs of the processes, repeated exactly by the simulation
    law_seeds: list[int] = Field(min_length=2)  # further runs of the simulation alone, with other draws

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.network.check_shards(self.num_clients, self.batch_size)
        if shared := set(self.seeds) & set(self.law_seeds):
            raise ValueError(f"law_seeds are other seeds than those of the processes; {min(shared)} is in both")
        return self


class NetworkShard(StrictModel):
    """One study, all of its runs."""

    studies: NetworkStudies
    study: Literal["dcsgd", "dsign"]
    network: NetworkSpec
    num_gpus: int


def network_shards(studies: NetworkStudies, num_gpus: int) -> dict[str, NetworkShard]:
    """A job for DCSGD, and one for DSignSGD at each smoothing of the labels."""
    jobs = {"dcsgd": ("dcsgd", studies.network)}
    for smoothing in studies.smoothings:
        name = f"dsign-smoothed-{smoothing:g}" if smoothing else "dsign"
        jobs[name] = ("dsign", studies.sign_network.model_copy(update={"label_smoothing": smoothing}))
    return {
        name: NetworkShard(studies=studies.alone(study), study=study, network=network, num_gpus=num_gpus)
        for name, (study, network) in jobs.items()
    }


class MinibatchShard(StrictModel):
    """One network of the mini-batch studies."""

    name: str
    network: NetworkSpec
    studies: MinibatchStudies
    num_gpus: int


def minibatch_shards(studies: MinibatchStudies, num_gpus: int) -> dict[str, MinibatchShard]:
    """A job per network."""
    alone = studies.model_copy(update={"networks": []})
    return {
        each.name: MinibatchShard(name=each.name, network=each.spec, studies=alone, num_gpus=num_gpus)
        for each in studies.networks
    }
