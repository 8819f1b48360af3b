"""The symmetries of every architecture of shared/models, written down from its configuration.

Image models and the entry point; `transformers` has what stands on the backbone.
"""

from torch import nn

from shared.models.cnn import CNN
from shared.models.config import MLPConfig
from shared.models.diffusion_transformer import DiffusionTransformer
from shared.models.image_config import CNNConfig, ResNetConfig
from shared.models.language_model import LanguageModel
from shared.models.mlp import MLP
from shared.models.resnet import ResNet
from shared.models.vit import VisionTransformer
from shared.weightspace.symmetry import Axis, Group, Space, Symmetry
from shared.weightspace.transformers import diffusion_symmetry, language_symmetry, vit_symmetry


def symmetry_of(model: nn.Module) -> Symmetry:
    """The symmetry of a model of shared/models, alone or behind layers without parameters in an nn.Sequential.

    Raises:
        ValueError: a model, or a part of one, that has no specification.
    """
    known = {
        MLP: mlp_symmetry, CNN: cnn_symmetry, ResNet: resnet_symmetry, VisionTransformer: vit_symmetry,
        LanguageModel: language_symmetry, DiffusionTransformer: diffusion_symmetry,
    }  # fmt: skip
    if type(model) in known:
        return known[type(model)](model.config)
    if isinstance(model, nn.Sequential):
        held = [(name, child) for name, child in model.named_children() if list(child.parameters())]
        if len(held) == 1:
            return symmetry_of(held[0][1]).prefixed(f"{held[0][0]}.")
    names = ", ".join(kind.__name__ for kind in known)
    raise ValueError(f"{type(model).__name__} has no symmetry written down; there are {names}")


HIDDEN: dict[str, Group] = {"relu": "semi-permutation", "identity": "invertible"}  # by activation; else permutation


def mlp_symmetry(config: MLPConfig) -> Symmetry:
    """One space per hidden layer; a norm before the activation leaves permutations."""
    spaces, axes = {}, []
    group = "permutation" if config.norm != "none" else HIDDEN.get(config.activation, "permutation")
    for index, width in enumerate(config.widths[1:-1]):
        name = f"hidden.{index}"
        spaces[name] = Space(width, group)
        axes.append(Axis(f"layers.{index}.weight", 0, name))
        axes += [Axis(f"layers.{index}.bias", 0, name)] if config.bias else []
        if config.norm != "none" and config.norm_affine:
            axes += [Axis(f"norms.{index}.{part}", 0, name) for part in ("weight", "bias")]
        axes.append(Axis(f"layers.{index + 1}.weight", 1, name, reads=True))
    return Symmetry(spaces, axes)


class _Channels:
    """Collects spaces of channels; group norm ties channels into groups, which move as wholes and inside."""

    def __init__(self, norm: str, num_groups: int) -> None:
        self.norm, self.num_groups = norm, num_groups
        self.spaces: dict[str, Space] = {}
        self.axes: list[Axis] = []
        self.widths: dict[str, int] = {}

    def space(self, name: str, width: int) -> None:
        """A set of channels; semi-permutations only without a norm."""
        self.widths[name] = width
        groups = min(self.num_groups, width)
        if self.norm == "group" and groups < width:
            self.spaces[f"{name}.groups"] = Space(groups, "permutation")
            self.spaces[f"{name}.inside"] = Space(width // groups, "permutation", groups, f"{name}.groups")
        else:
            self.spaces[name] = Space(width, "semi-permutation" if self.norm == "none" else "permutation")

    def axis(self, parameter: str, dim: int, name: str, reads: bool = False) -> None:
        if name in self.spaces:
            self.axes.append(Axis(parameter, dim, name, reads))
            return
        inside = self.spaces[f"{name}.inside"]
        shape = (inside.copies, inside.size)
        self.axes.append(Axis(parameter, dim, f"{name}.groups", reads, shape=shape))
        self.axes.append(Axis(parameter, dim, f"{name}.inside", reads, shape=shape, factor=1, copy=0))

    def normed(self, prefix: str, name: str) -> None:
        """Scale and shift of a norm, and the statistics of a batch norm: permuted as its channels are."""
        parts = {"none": (), "group": ("weight", "bias"), "batch": ("weight", "bias", "running_mean", "running_var")}
        for part in parts[self.norm]:
            self.axis(f"{prefix}.{part}", 0, name)


def cnn_symmetry(config: CNNConfig) -> Symmetry:
    """One space of channels per layer."""
    channels = _Channels(config.norm, config.num_groups)
    for index, width in enumerate(config.widths):
        name = f"channels.{index}"
        channels.space(name, width)
        channels.axis(f"convs.{index}.weight", 0, name)
        if config.norm == "none":
            channels.axis(f"convs.{index}.bias", 0, name)
        channels.normed(f"norms.{index}", name)
        following = f"convs.{index + 1}.weight" if index + 1 < len(config.widths) else "head.weight"
        channels.axis(following, 1, name, reads=True)
    return Symmetry(channels.spaces, channels.axes)


def resnet_symmetry(config: ResNetConfig) -> Symmetry:
    """A residual space per run of blocks that add to each other, a space of its own inside every block.

    Raises:
        ValueError: shortcuts of zeros, which tie a part of one stream to the next.
    """
    if config.shortcut == "zeros":
        raise ValueError("shortcut 'zeros' ties channels of one stream to the next; use shortcut: convolution")
    channels = _Channels(config.norm, config.num_groups)
    stream, width = "stream.0", config.widths[0]
    channels.space(stream, width)
    channels.axis("stem.weight", 0, stream)
    channels.normed("stem_norm", stream)
    index = 0
    for stage, (size, count) in enumerate(zip(config.widths, config.blocks, strict=True)):
        for position in range(count):
            block, inside = f"blocks.{index}", f"inside.{index}"
            channels.space(inside, size)
            channels.axis(f"{block}.conv1.weight", 1, stream, reads=True)
            channels.axis(f"{block}.conv1.weight", 0, inside)
            channels.normed(f"{block}.norm1", inside)
            channels.axis(f"{block}.conv2.weight", 1, inside, reads=True)
            if (stage > 0 and position == 0) or size != width:  # a projection starts a stream of its own
                before, stream, width = stream, f"stream.{index + 1}", size
                channels.space(stream, size)
                channels.axis(f"{block}.shortcut.0.weight", 1, before, reads=True)
                channels.axis(f"{block}.shortcut.0.weight", 0, stream)
                channels.normed(f"{block}.shortcut.1", stream)
            channels.axis(f"{block}.conv2.weight", 0, stream)
            channels.normed(f"{block}.norm2", stream)
            index += 1
    channels.axis("head.weight", 1, stream, reads=True)
    return Symmetry(channels.spaces, channels.axes)
