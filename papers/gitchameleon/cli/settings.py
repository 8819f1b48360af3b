"""Settings of `generate`: from the command line, and from a YAML file."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field, field_validator

from papers.gitchameleon.cli import options
from papers.gitchameleon.models.by_name import KINDS, LocalSettings
from papers.gitchameleon.models.endpoint import EndpointSettings
from papers.gitchameleon.protocols.single import NUM_SEEDS, SINGLE
from shared.base.settings import StrictModel

PROTOCOLS = (*SINGLE, "rag", "selfdebug", "agent", "sek", "prompt-search")


class ProtocolSettings(StrictModel):
    """What single protocols want to know."""

    seeds: int = Field(default=NUM_SEEDS, description="Seeds 0, 1, ... of the protocol temperature.")
    show_version: bool = Field(default=True, description="Tell the pin; the ablation does not.")
    k: Annotated[int, typer.Option("--k", help="Documents per prompt of the protocol rag.")] = 3
    greedy: Path | None = Field(default=None, description="Greedy answers that selfdebug starts from.")
    retry_on: str = Field(default="visible", description="visible, or hidden: rows are then stamped leaky.")
    steps: int = Field(default=5, description="Turns of an agent.")
    use_sandbox: bool = Field(default=True, description="Give the agent a tool that runs programs.")


class BoxSettings(StrictModel):
    """Where answers are run, by protocols that run them."""

    envs: options.EnvRoot = None
    wheelhouse: options.Wheelhouse = None
    sandbox: options.Level = "auto"
    unsafe: options.Unsafe = False


class GenerateSettings(StrictModel):
    """One model asked about some problems under one protocol."""

    protocol: Annotated[str, typer.Argument(help=", ".join(PROTOCOLS))]
    out: Path = Field(description="Solution file to write or go on with.")
    model: str = Field(description=KINDS)
    data: options.Data = "benchmark"
    hidden_tests: options.HiddenTests = None
    problems: options.Ids = ""
    library: options.Library = None
    workers: int = Field(default=4, description="Requests at a time.")
    resume: bool = Field(default=True, description="Go on with what the file has.")
    cache: Path | None = Field(default=None, description="File that keeps every completion for later runs.")
    asking: ProtocolSettings = ProtocolSettings()
    endpoint: EndpointSettings = EndpointSettings()
    local: LocalSettings = LocalSettings()
    boxes: BoxSettings = BoxSettings()

    @field_validator("protocol")
    @classmethod
    def _known_protocol(cls, value: str) -> str:
        if value not in PROTOCOLS:
            raise ValueError(f"unknown protocol '{value}'; there are: {', '.join(PROTOCOLS)}")
        return value
