"""Draw what a mixer's coefficients are on a text, beside its four objects.

python -m papers.sequence_framework.inspect --mixer mamba2 --text "to be or not to be" --out map.png

The mixer is untrained: every byte has a random embedding of its own, so equal letters have equal inputs.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor

from shared.artifacts.coefficient_maps import coefficient_maps
from shared.base.errors import in_one_sentence
from shared.base.seeding import torch_generator
from shared.models.config import MixerContext
from shared.models.mixers.dynamics import Cast
from shared.models.mixers.registry import build_mixer

MOST = 64  # bytes that a map can show


def cast_of_text(mixer: str, text: str, *, d_model: int = 64, num_heads: int = 2, seed: int = 0) -> Cast:
    """The cast of a freshly initialised mixer on the embedded bytes of a text.

    Raises:
        ValueError: an unknown mixer, no text, or one too long to show.
    """
    data = text.encode()
    if not 1 <= len(data) <= MOST:
        raise ValueError(f"a text of 1 to {MOST} bytes can be shown; this one has {len(data)}")
    embedding = torch.randn(256, d_model, generator=torch_generator(seed, "bytes"), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        context = MixerContext(d_model=d_model, num_heads=num_heads, max_seq_len=MOST)
        return build_mixer(mixer, context).double().cast(embedding[list(data)][None])


def four_objects(cast: Cast) -> dict[str, str]:
    """A_t, b_j, phi and eta in words, with the ranges of their values."""
    evolution, eta = cast.evolution, cast.normaliser
    found = {"A": f"{evolution.name} on {cast.k.shape[-1]} states"}
    if evolution.log_decay is not None:
        found["A"] += f", factors of size {_range(evolution.log_decay.exp().abs())}"
    if evolution.erase is not None:
        found["A"] += f", strengths {_range(evolution.erase)}"
    found["b"] = _range(cast.b)
    found["phi"] = cast.readout.name + (f" of x {cast.readout.offset:+.3g}" if cast.readout.offset else "")
    found["eta"] = eta.kind if eta.values is None else f"{eta.kind}, {_range(eta.values)}"
    if cast.direct is not None:
        found["direct"] = _range(cast.direct)
    if cast.state_dependent:
        found["note"] = "A, b or the values read the state: exact along this text, outside of the framework"
    return found


def _range(values: Tensor) -> str:
    low, high = float(values.detach().min()), float(values.detach().max())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def draw(cast: Cast, text: str, title: str, most_heads: int = 4) -> Figure:
    """The maps of the first heads; of complex coefficients the real part."""
    import pandas as pd

    alpha = cast.parallel()[0, :most_heads]
    alpha = alpha.real if alpha.is_complex() else alpha
    i, j = torch.tril_indices(*alpha.shape[-2:])
    maps = {f"head {h}": pd.DataFrame({"i": i, "j": j, "alpha": own[i, j]}) for h, own in enumerate(alpha)}
    tokens = [chr(byte) if 32 < byte < 127 else "_" for byte in text.encode()]
    figure = coefficient_maps(maps, tokens=tokens, most=2, size=3.2)
    lines = [f"{name}: {words}" for name, words in four_objects(cast).items()]
    figure.suptitle("\n".join([title, *lines]), fontsize=8, x=0.02, ha="left")
    return figure


@in_one_sentence
def inspect(
    mixer: Annotated[str, typer.Option(help="name in the registry, e.g. mamba2")],
    text: Annotated[str, typer.Option(help="what the mixer reads, up to 64 bytes")],
    out: Annotated[Path, typer.Option(help="the image")] = Path("coefficients.png"),
    seed: Annotated[int, typer.Option(help="of the mixer's parameters and the embedding")] = 0,
) -> None:
    """Draw the coefficient map of a mixer on a text, and print its four objects."""
    import matplotlib

    matplotlib.use("agg")
    cast = cast_of_text(mixer, text, seed=seed)
    for name, words in four_objects(cast).items():
        typer.echo(f"{name:7}{words}")
    figure = draw(cast, text, f"{mixer} on {text!r}")
    figure.set_layout_engine("constrained")
    figure.savefig(out, dpi=150)
    typer.echo(f"wrote {out}")


if __name__ == "__main__":
    typer.run(inspect)
