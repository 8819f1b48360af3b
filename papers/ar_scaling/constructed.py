"""Weights that solve MQAR without training: what one attention layer, two of them, and DeltaNet can express.

Each construction sets the weights of the library's own mixers on one-hot tokens; answer: the value whose coordinate
of the output is largest. Shapes: V symbols, L positions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from shared.base.seeding import torch_generator
from shared.data.synthetic.config import MQARConfig
from shared.data.synthetic.registry import UNSCORED, examples
from shared.models.config import MixerContext
from shared.models.mixers.attention import Attention
from shared.models.mixers.config import AttentionConfig, DeltaNetConfig
from shared.models.mixers.deltanet import DeltaNet

SCALE = 60.0  # of scores: all but exp(-60) of a row's weight lies on its largest scores
Solver = Callable[[Tensor], Tensor]  # tokens (N, L) -> (N, L, V), larger is likelier


def accuracy(solver: Solver, config: MQARConfig, num: int, seed: int = 0) -> float:
    """Share of right answers over the upper half of the vocabulary, where the values are."""
    found = examples(config, seed, range(num))
    tokens, targets = torch.from_numpy(found.tokens), torch.from_numpy(found.targets)
    half = config.vocab_size // 2
    with torch.no_grad():
        answer = half + solver(tokens)[..., half:].argmax(-1)
    scored = targets != UNSCORED
    return ((answer == targets) & scored).sum(1).double().div(scored.sum(1)).mean().item()


def _one_hot(tokens: Tensor, config: MQARConfig) -> Tensor:
    return nn.functional.one_hot(tokens, config.vocab_size).double()


def _values_only(width: int, vocab_size: int) -> Tensor:
    """Map of one-hot tokens that keeps values and drops keys and filler, (width, V)."""
    kept = torch.eye(vocab_size, dtype=torch.float64)
    kept[: vocab_size // 2] = 0
    return kept[:width]


def _attention(context: MixerContext, config: AttentionConfig, q: Tensor, k: Tensor, v: Tensor) -> Attention:
    """One head whose projections are the given matrices (out, in), its output map the identity."""
    mixer = Attention(config, context).double().eval()
    with torch.no_grad():
        mixer.qkv_proj.weight.copy_(torch.cat([q, k, v]))
        mixer.out_proj.weight.copy_(torch.eye(*mixer.out_proj.weight.shape))
    return mixer


def _context(width: int) -> MixerContext:
    return MixerContext(d_model=width, num_heads=1, positional="none")


def one_layer(config: MQARConfig, conv: str, padding: str) -> Solver:
    """One attention layer with a convolution on its keys or its values.

    Keys that a causal convolution shifts by one (K_j is the token before j) send a query to the position behind its
    key's first occurrence, where its value stands. Values that a centred one shifts the other way (V_j is the token
    after j) let a query that finds its key read the value; behind the query itself stands filler, which values drop.
    """
    width = config.vocab_size
    taps = {"causal": [0.0, 0.0, 1.0, 0.0], "centred": [0.0, 0.0, 1.0]}[padding]
    settings = AttentionConfig(conv=(conv,), conv_width=len(taps), conv_padding=padding, scale=SCALE)
    eye = torch.eye(width, dtype=torch.float64)
    mixer = _attention(_context(width), settings, eye, eye, _values_only(width, width))
    with torch.no_grad():
        mixer.convs[conv].weight.copy_(torch.tensor(taps).expand(width, -1))
    return lambda tokens: mixer(_one_hot(tokens, config))


def two_layers(config: MQARConfig) -> Solver:
    """Two attention layers without convolutions on one-hot tokens and positions: previous token, then match.

    The residual stream is [token, position, previous token]; layer 1 writes the last part, layer 2 matches it.
    """
    size, length = config.vocab_size, config.seq_len
    width, head = 2 * size + length, max(size, length)
    token, place, before = slice(0, size), slice(size, size + length), slice(size + length, width)
    settings = AttentionConfig(head_dim=head, value_head_dim=width, scale=SCALE)
    zero = torch.zeros(head, width, dtype=torch.float64)
    q1, k1, v1 = zero.clone(), zero.clone(), torch.zeros(width, width, dtype=torch.float64)
    q1[:length, place] = torch.eye(length, dtype=torch.float64).roll(-1, 0)  # coordinate t - 1
    k1[:length, place] = torch.eye(length, dtype=torch.float64)
    v1[before, token] = torch.eye(size, dtype=torch.float64)
    q2, k2, v2 = zero.clone(), zero.clone(), torch.zeros(width, width, dtype=torch.float64)
    q2[:size, token], k2[:size, before] = torch.eye(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
    v2[:size, token] = _values_only(size, size)
    context = _context(width)
    first, second = _attention(context, settings, q1, k1, v1), _attention(context, settings, q2, k2, v2)

    def solve(tokens: Tensor) -> Tensor:
        x = torch.zeros(*tokens.shape, width, dtype=torch.float64)
        x[..., token], x[..., place] = _one_hot(tokens, config), torch.eye(length, dtype=torch.float64)
        x = x + first(x)
        return second(x)[..., :size]

    return solve


def delta_net(config: MQARConfig, key_width: int | None = None, seed: int = 0) -> Solver:
    """DeltaNet whose key is the token before (a convolution), which it writes where the token is a value.

    Args:
        key_width: of random key directions of the tokens; None: one coordinate a token, so that keys are orthonormal.
    """
    width = config.vocab_size
    settings = DeltaNetConfig(num_heads=1, key_head_dim=key_width or width, conv_width=4)
    mixer = DeltaNet(settings, _context(width)).double().eval()
    eye, keys = torch.eye(width, dtype=torch.float64), mixer.key_dim
    directions = eye
    if key_width is not None:
        directions = torch.randn(keys, width, generator=torch_generator(seed, "keys"), dtype=torch.float64)
    taps = torch.zeros(2 * keys + width, 4, dtype=torch.float64)
    taps[:, 3] = 1.0  # queries and values: the token itself
    taps[keys : 2 * keys, 3], taps[keys : 2 * keys, 2] = 0.0, 1.0  # keys: the one before
    writes = torch.full((1, width), -SCALE, dtype=torch.float64)
    writes[:, width // 2 :] = SCALE
    with torch.no_grad():
        mixer.qkv_proj.weight.copy_(torch.cat([directions, directions, eye]))
        mixer.conv.weight.copy_(taps)
        mixer.beta_proj.weight.copy_(writes)
        mixer.out_proj.weight.copy_(eye)
    return lambda tokens: mixer(_one_hot(tokens, config))


def random_attention(config: MQARConfig, seed: int) -> Solver:
    """One attention layer without a convolution, its maps random, its positions one-hot."""
    size, length = config.vocab_size, config.seq_len
    width, generator = size + length, torch_generator(seed, "random attention")
    scale = torch.exp(4 * torch.rand(3, generator=generator, dtype=torch.float64) - 2)
    q, k, v = (s * torch.randn(width, width, generator=generator, dtype=torch.float64) * width**-0.5 for s in scale)
    mixer = _attention(_context(width), AttentionConfig(), 4 * q, 4 * k, v + torch.eye(width, dtype=torch.float64))

    def solve(tokens: Tensor) -> Tensor:
        places = torch.eye(length, dtype=torch.float64).expand(len(tokens), -1, -1)
        return mixer(torch.cat([_one_hot(tokens, config), places], dim=-1))[..., :size]

    return solve
