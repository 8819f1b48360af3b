"""The paper's headline statements as named checks over the rebuilt tables; losses are nats per token."""

ALL = ("smoke", "cpu", "gpu", "paper", "paper-lite")
SWEPT = {"scales": ("cpu", "gpu", "paper"), "needs": "a grid of (beta1, beta2) that is trained for more than 40 steps"}
BEST = {"scales": ("cpu", "gpu", "paper", "paper-lite"), "needs": "runs of more than 40 steps"}
PROBED = "at cpu learning rates and Signum's betas lie around the optimum of some thirty probe runs, and the settings "
PROBED += "with three seeds are the best of those"
GRID = "at cpu learning rates lie around the optimum of probe runs; beta1 0.975 and beta2 0.9875 were left out for time"
