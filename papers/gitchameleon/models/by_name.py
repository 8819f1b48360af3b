"""The model that a text names: scripted:SOLVER, recorded:FILE, openai:NAME or hf:FOLDER."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.models.base import Model
from papers.gitchameleon.models.endpoint import Endpoint, EndpointConfig, EndpointSettings
from papers.gitchameleon.models.recorded import Recorded
from papers.gitchameleon.models.solvers import make_solver
from shared.base.settings import StrictModel

KINDS = "scripted:SOLVER, recorded:FILE, openai:NAME or hf:FOLDER"


class LocalSettings(StrictModel):
    """How a local model is run."""

    device: str = Field(default="cpu", description="Of hf:FOLDER.")
    dtype: str = Field(default="float32", description="Of hf:FOLDER.")
    batch: int = Field(default=8, description="Prompts at a time of hf:FOLDER.")


def make_model(text: str, problems: Sequence[Problem], endpoint: EndpointSettings, local: LocalSettings) -> Model:
    """The model that `--model` names.

    Args:
        problems: what a scripted solver knows idioms of.
    Raises:
        ValueError: no such kind, or what it needs is missing.
    """
    kind, _, name = text.partition(":")
    if kind == "scripted":
        return make_solver(name, problems)
    if kind == "recorded":
        return Recorded(Path(name))
    if kind == "openai":
        if not endpoint.base_url:
            raise ValueError("openai:NAME needs --base-url, with its scheme")
        return Endpoint(EndpointConfig(model=name, **endpoint.model_dump()))
    if kind == "hf":
        from papers.gitchameleon.models.huggingface import HuggingFace

        return HuggingFace(name, local.device, local.dtype, local.batch)
    raise ValueError(f"--model is {KINDS}; got '{text}'")
