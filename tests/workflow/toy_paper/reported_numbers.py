"""The toy paper's own numbers."""

from shared.artifacts.reported import Reported


def final_loss(curvature: float) -> float:
    return Reported("toy")("tab_final", f"{curvature:g}", "loss")
