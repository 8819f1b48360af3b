"""Pairs of image and caption: two coloured handwritten digits side by side; or photographs with template captions.

Shapes: n pairs, H x W pixels, A attributes, T tokens.
"""

from dataclasses import dataclass

import numpy as np

from papers.hyma.grammar import Grammar
from papers.hyma.settings import Data
from shared.base.seeding import numpy_generator

COLOURS = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 1, 0),
    "magenta": (1, 0, 1),
    "cyan": (0, 1, 1),
}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SCENES = Grammar(
    {"left_color": tuple(COLOURS), "left_digit": DIGITS, "right_color": tuple(COLOURS), "right_digit": DIGITS},
    (
        "a {left_color} {left_digit} to the left of a {right_color} {right_digit}",
        "a {right_color} {right_digit} to the right of a {left_color} {left_digit}",
        "left is a {left_color} {left_digit} and right is a {right_color} {right_digit}",
    ),
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PHOTOGRAPHS = Grammar(
    {"class": CLASSES, "tone": ("dark", "plain", "bright"), "hue": ("reddish", "greenish", "bluish")},
    (
        "a photo of a {class} {tone} and {hue}",
        "a {tone} {hue} photo of a {class}",
        "there is a {class} in this {hue} {tone} picture",
    ),
)
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images and captions of one split."""

    images: np.ndarray  # (n, 3, H, W) float32, in [0, 1] but for noise
    attributes: np.ndarray  # (n, A) int64
    captions: np.ndarray  # (n, T) int64
    sources: np.ndarray  # (n, S) int64: which original images each was made of


def grammar_of(source: str) -> Grammar:
    """The grammar of a data source that has one."""
    return {"scenes": SCENES, "cifar10": PHOTOGRAPHS}[source]


def load_pairs(data: Data) -> dict[str, Pairs]:
    """Split -> pairs; the same settings give the same pairs."""
    if data.source == "scenes":
        return scenes(data)
    if data.source == "cifar10":
        return photographs(data)
    raise ValueError("the source 'hub' has no captions from a grammar; its embeddings are made in pretrained.py")


def scenes(data: Data) -> dict[str, Pairs]:
    """Digits of scikit-learn, multiplied by a colour, left and right; 1,400 digits are for training, 397 for the rest.

    Gaussian noise is added to each pixel.
    """
    from sklearn.datasets import load_digits

    bundled = load_digits()
    order = np.random.RandomState(0).permutation(len(bundled.target))
    pools = {"train": order[:1400], "validation": order[1400:], "test": order[1400:]}
    found = {}
    for split in SPLITS:
        count = getattr(data, f"num_{split}")
        rng = numpy_generator(data.seed, "scenes", split)
        sources = rng.choice(pools[split], size=(count, 2))
        colours = rng.integers(len(COLOURS), size=(count, 2))
        shades = np.array(list(COLOURS.values()), dtype=np.float32)[colours]  # (n, 2, 3)
        pictures = (bundled.images[sources] / 16.0).astype(np.float32)  # (n, 2, 8, 8)
        halves = shades[..., None, None] * pictures[:, :, None]  # (n, 2, 3, 8, 8)
        images = np.concatenate([halves[:, 0], halves[:, 1]], axis=-1)
        images = images.repeat(data.magnify, axis=-1).repeat(data.magnify, axis=-2)
        images = images + data.noise * rng.standard_normal(images.shape, dtype=np.float32)
        labels = bundled.target[sources]
        values = np.stack([colours[:, 0], labels[:, 0], colours[:, 1], labels[:, 1]], axis=1)
        tokens = SCENES.captions(values, rng.integers(len(SCENES.templates), size=count))
        found[split] = Pairs(images.astype(np.float32), values, tokens, sources)
    return found


def photographs(data: Data) -> dict[str, Pairs]:
    """CIFAR-10 with captions that name the class and two measured properties: brightness and strongest colour channel.

    tone: mean pixel in the lower, middle or upper third of the training images. hue: the channel that lies highest
    above its own mean over the training images. Validation images are the last of the training set.
    """
    from shared.data.loaders import load_cifar10

    (train, train_labels), (test, test_labels) = load_cifar10("train"), load_cifar10("test")
    if data.num_train + data.num_validation > len(train) or data.num_test > len(test):
        raise ValueError(f"CIFAR-10 has {len(train)} and {len(test)} images; ask for no more")
    order = numpy_generator(data.seed, "photographs").permutation(len(train))
    rows = {"train": order[: data.num_train], "validation": order[len(order) - data.num_validation :]}
    rows["test"] = numpy_generator(data.seed, "photographs", "test").permutation(len(test))[: data.num_test]
    means = train[rows["train"]].mean((1, 2)) / 255.0  # (n, 3)
    thirds, usual = np.quantile(means.mean(1), [1 / 3, 2 / 3]), means.mean(0)
    found = {}
    for split in SPLITS:
        pixels, labels = (test, test_labels) if split == "test" else (train, train_labels)
        images = (pixels[rows[split]] / 255.0).transpose(0, 3, 1, 2).astype(np.float32)
        own = images.mean((2, 3))
        values = [labels[rows[split]], np.searchsorted(thirds, own.mean(1)), (own - usual).argmax(1)]
        values = np.stack(values, axis=1).astype(np.int64)
        rng = numpy_generator(data.seed, "photographs", "templates", split)
        tokens = PHOTOGRAPHS.captions(values, rng.integers(len(PHOTOGRAPHS.templates), size=len(values)))
        found[split] = Pairs(images, values, tokens, rows[split][:, None])
    return found


def prompts(grammar: Grammar, attribute: str, count: int, seed: int) -> np.ndarray:
    """Captions of a zero-shot classifier, (K, count, T): the attribute has each of its values, the others are drawn."""
    place = list(grammar.attributes).index(attribute)
    rng = numpy_generator(seed, "prompts", attribute)
    sizes = [len(words) for words in grammar.attributes.values()]
    others = np.stack([rng.integers(size, size=count) for size in sizes], axis=1)
    templates = rng.integers(len(grammar.templates), size=count)
    found = []
    for value in range(sizes[place]):
        values = others.copy()
        values[:, place] = value
        found.append(grammar.captions(values, templates))
    return np.stack(found)
