"""Tables -> figures."""

import matplotlib.pyplot as plt
import seaborn as sns


def fig_loss(table):
    figure, axes = plt.subplots(figsize=(3, 2))
    sns.lineplot(table, x="step", y="loss", hue="curvature", ax=axes, palette="viridis", errorbar=None)
    axes.set(xlabel="step", ylabel=table.label.iloc[0])
    return figure
