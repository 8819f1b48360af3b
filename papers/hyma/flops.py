"""Training costs in floating-point operations. No torch here: tables use it, too.

Per step of one connector on a batch of B, layer widths d_0 ... d_L, with q matrices of logits:

    F = sum_l k_l B d_l d_(l+1) + 4 q B^2 d_L,   k_0 = 4, k_l = 6 behind

Two for the forward product, two for the gradient of the weights, two for that of the inputs, which the first layer
does not need; the image side is frozen. A generated connector costs 6 more for each multiply-add of its prediction.
"""

from collections.abc import Sequence

from papers.hyma.shapes import Shape, largest_shapes
from shared.models.config import HypernetworkConfig


def linear_flops(batch: int, shapes: Sequence[Shape]) -> float:
    """Forward and backward of the connector itself."""
    return float(sum((6 if index else 4) * batch * out * into for index, (out, into) in enumerate(shapes)))


def contrastive_flops(batch: int, shapes: Sequence[Shape], num_logits: int = 1) -> float:
    """One step of one connector under the contrastive loss."""
    return linear_flops(batch, shapes) + 4.0 * num_logits * batch**2 * shapes[-1][0]


def generation_flops(network: HypernetworkConfig, largest: Sequence[Shape]) -> float:
    """Forward and backward of predicting the connector of one pair; all of the largest shape is predicted."""
    return 6.0 * sum(network.multiply_adds(out, into) for out, into in largest)


def search_flops(
    shapes: Sequence[Sequence[Shape]], batch: int, steps: int, network: HypernetworkConfig | None, drawn: int | None
) -> float:
    """A whole search with the contrastive loss: every pair for `steps`; or `drawn` pairs of the deck in each step.

    Each pair is drawn equally often, so the mean over pairs stands for those drawn.
    """
    mean = sum(contrastive_flops(batch, pair) for pair in shapes) / len(shapes)
    if network is None:
        return steps * len(shapes) * mean
    return steps * drawn * (mean + generation_flops(network, largest_shapes(shapes)))


# The author's own log (development repository): GS and hypernetwork of linear connectors from d_text to d_image.
NUM_SAMPLES = 558_128  # of the captioned images
LOGGED_STEPS = (  # case, batch, d_text, d_image, logit matrices, steps, logged GFLOPs
    ("GS step 768 to 384", 16384, 768, 384, 2, 1, 843.96),
    ("GS step 768 to 768", 16384, 768, 768, 2, 1, 1687.92),
    ("GS step 768 to 1024", 16384, 768, 1024, 2, 1, 2250.56),
    ("GS epoch 768 to 384", 16384, 768, 384, 1, 34, 14675.9),
    ("GS epoch, batch 256", 256, 768, 384, 1, 2180, 877.7),
    ("GS epoch, batch 512", 512, 768, 384, 1, 1090, 1097.2),
    ("GS epoch, batch 1024", 1024, 768, 384, 1, 545, 1536.1),
    ("GS epoch, batch 4096", 4096, 768, 384, 1, 136, 4161.8),
)
LOGGED_NETWORKS = ((384, 14408.0), (768, 22165.0), (1024, 27342.0))  # text width, GFLOPs per epoch of 12 encoders
CURVE = (48.63, 7.90)  # GS epoch of 3 pairs 384-1024-384, TFLOPs: batch 16384 (poster), batch 512 (by the formula)
