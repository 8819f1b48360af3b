"""Claims of the toy paper."""

from shared.artifacts.claims import Judgement, claim


@claim("descends", "Gradient descent lowers the loss.", tables=["tab_final"])
def descends(tab_final) -> Judgement:
    worst = tab_final.loss.max()
    return Judgement(worst < 0.5, {"worst_final_loss": worst, "threshold": 0.5})


@claim(
    "fast",
    "Seven digits after 160 steps.",
    tables=["fig_loss"],
    scales=["paper"],
    untestable_because="needs the paper's number of steps",
)
def fast(fig_loss) -> Judgement:
    worst = fig_loss[fig_loss.step == fig_loss.step.max()].loss.max()
    return Judgement(worst < 1e-7, {"worst_final_loss": worst})
