"""Tables -> figures."""

import matplotlib.pyplot as plt
import seaborn as sns


def fig_loss(table):
    figure, axes = plt.subplots(figsize=(4, 3))
    sns.lineplot(table, x="step", y="loss", hue="curvature", ax=axes, palette="viridis")
    axes.set(yscale="log", xlabel="step", ylabel=table.label.iloc[0])
    return figure
