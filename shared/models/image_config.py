"""Settings of image classifiers; imports without torch."""

from typing import Literal

from pydantic import Field, model_validator

from shared.base.settings import StrictModel
from shared.models.config import BackboneConfig


class ResNetConfig(StrictModel):
    """Residual network of basic blocks for images (N, C, H, W), group-normalised by default."""

    num_classes: int = Field(ge=2)
    in_channels: int = Field(3, ge=1)
    widths: tuple[int, ...] = Field((64, 128, 256, 512), min_length=1)  # channels of each stage
    blocks: tuple[int, ...] = (2, 2, 2, 2)  # basic blocks of each stage; all but the first stage halve the resolution
    norm: Literal["group", "batch"] = "group"  # group: no running statistics, so a sample's output is its own
    num_groups: int = Field(32, ge=1)  # of group norm; at most the channels, and a divisor of each width
    stem: Literal["small", "large"] = "small"  # a 3x3 convolution; or 7x7 and max pooling, each halving the sides
    # where a block changes the shape: a 1x1 convolution with a norm (option B), or every other pixel with channels of
    # zeros around it (option A)
    shortcut: Literal["convolution", "zeros"] = "convolution"
    init: Literal["torch", "kaiming_normal"] = "torch"  # kaiming_normal: N(0, 2 / fan-in) for convolutions and head

    @model_validator(mode="after")
    def _check(self) -> "ResNetConfig":
        if len(self.widths) != len(self.blocks) or min(self.blocks) < 1:
            raise ValueError(f"widths and blocks name the same stages; got {self.widths} and {self.blocks}")
        wrong = [w for w in self.widths if w % min(self.num_groups, w)]
        if self.norm == "group" and wrong:
            raise ValueError(f"num_groups {self.num_groups} has to divide every width; it does not divide {wrong[0]}")
        if self.shortcut == "zeros" and list(self.widths) != sorted(self.widths):
            raise ValueError(f"shortcut 'zeros' only adds channels; the widths {self.widths} have to rise")
        return self


class DenseNetConfig(StrictModel):
    """Densely connected network with batch norm; DenseNet121 by default."""

    num_classes: int = Field(ge=2)
    in_channels: int = Field(3, ge=1)
    blocks: tuple[int, ...] = Field((6, 12, 24, 16), min_length=1)  # layers of each block; sides halve between blocks
    growth: int = Field(32, ge=1)  # channels that a layer adds, k of the paper
    num_initial: int = Field(64, ge=1)  # channels of the stem
    bottleneck: int = Field(4, ge=1)  # channels of a layer's 1x1 convolution, times growth
    stem: Literal["small", "large"] = "large"  # a 3x3 convolution; or 7x7 and max pooling, each halving the sides


class ViTConfig(StrictModel):
    """Vision transformer: patches, learned positions, pre-norm blocks, mean over positions, linear head."""

    num_classes: int = Field(ge=2)
    image_size: int = Field(32, ge=1)  # pixels along each side
    patch_size: int = Field(4, ge=1)  # divides image_size
    in_channels: int = Field(3, ge=1)
    d_model: int = Field(192, ge=1)
    num_layers: int = Field(6, ge=1)
    num_heads: int = Field(3, ge=1)
    mlp_ratio: float = Field(4.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)  # on the embedded patches and on the output of every residual branch

    @model_validator(mode="after")
    def _check(self) -> "ViTConfig":
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size {self.patch_size} has to divide image_size {self.image_size}")
        return self

    @property
    def num_patches(self) -> int:
        return (self.image_size // self.patch_size) ** 2

    @property
    def backbone(self) -> BackboneConfig:
        """Bidirectional attention blocks with biases, LayerNorm and GELU."""
        return BackboneConfig(
            d_model=self.d_model, num_heads=self.num_heads, num_layers=self.num_layers, causal=False,
            positional="learned", max_seq_len=self.num_patches, norm="layernorm", norm_bias=True, mlp="gelu_exact",
            mlp_ratio=self.mlp_ratio, mlp_bias=True, bias=True, init_std=0.02, dropout=self.dropout,
        )  # fmt: skip


class PretrainedConfig(StrictModel):
    """A published image encoder under a fresh linear head, read through `transformers`."""

    num_classes: int = Field(ge=2)
    in_channels: Literal[3] = 3
    name: str  # on the Hugging Face hub, or a folder that `save_pretrained` wrote
    revision: str | None = None  # git revision on the hub; None: the newest


class CNNConfig(StrictModel):
    """Plain convolutional network for small images: 3x3 convolutions, norm, relu; mean over pixels, linear head."""

    num_classes: int = Field(ge=2)
    in_channels: int = Field(3, ge=1)
    widths: tuple[int, ...] = Field((32, 64), min_length=1)  # channels of each layer; all but the first halve the sides
    norm: Literal["batch", "group", "none"] = "batch"  # batch: running statistics, which an ensemble keeps per member
    num_groups: int = Field(8, ge=1)  # of group norm; at most the channels, and a divisor of each width

    @model_validator(mode="after")
    def _check(self) -> "CNNConfig":
        wrong = [w for w in self.widths if w % min(self.num_groups, w)]
        if self.norm == "group" and wrong:
            raise ValueError(f"num_groups {self.num_groups} has to divide every width; it does not divide {wrong[0]}")
        return self


class VGGConfig(StrictModel):
    """Plain deep convolutional network without norms: stages of 3x3 convolutions, each ending in max pooling."""

    num_classes: int = Field(ge=2)
    in_channels: int = Field(3, ge=1)
    stages: tuple[tuple[int, ...], ...] = Field(  # channels of the convolutions of each stage, which halves the sides
        ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)), min_length=1
    )
    hidden: tuple[int, ...] = (512, 512)  # widths of the layers between convolutions and logits
    dropout: float = Field(0.0, ge=0, lt=1)  # before each of these layers

    @model_validator(mode="after")
    def _check(self) -> "VGGConfig":
        if not all(self.stages):
            raise ValueError(f"every stage has at least one convolution; got {self.stages}")
        return self
