"""Linear probes: what an encoder's embeddings know of an attribute, from its own modality alone."""

import torch
from torch import Tensor


def probe_accuracy(train: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor, ridge: float) -> float:
    """Test accuracy of the least squares classifier with an L2 penalty of `ridge` times n, in float64.

    Args:
        train, test: (n, d). labels: (n,) int64.
    """
    classes = int(labels.max()) + 1
    x, centre = train.double(), train.double().mean(0)
    targets = torch.nn.functional.one_hot(labels, classes).double()
    x = x - centre
    gram = x.T @ x + ridge * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, x.T @ (targets - targets.mean(0)))
    scores = (test.double() - centre) @ weights + targets.mean(0)
    return float((scores.argmax(1) == test_labels).double().mean())
