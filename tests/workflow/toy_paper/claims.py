"""Claims of the toy paper."""

from shared.artifacts.claims import at_most, claim, note


@claim("descends", "Gradient descent lowers the loss.", kind="paper")
def descends(tab_final, settings):
    yield at_most("worst_final_loss", tab_final.loss.max(), settings.thresholds.loss)
    yield note("curvatures", len(tab_final))


@claim(
    "fast",
    "Seven digits after 160 steps.",
    kind="ours",
    scales=["paper"],
    needs="needs the paper's number of steps",
)
def fast(fig_loss):
    yield at_most("worst_final_loss", fig_loss[fig_loss.step == fig_loss.step.max()].loss.max(), 1e-7)
