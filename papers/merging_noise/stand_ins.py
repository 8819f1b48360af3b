"""Which of our numbers stands for which of the paper's. No torch here."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

PRETRAINED = {"pretrained base": "pretrained MLP"}  # how the base of rotated digits is called here


def stand_ins(gains: pd.DataFrame, cross: pd.DataFrame, settings) -> Iterator[tuple[str, str, str, float]]:
    """(item of reported.csv, what is measured, our setting, our number); `settings.cross` made the table `cross`."""
    grid = gains[(gains.study == "grid") & gains.kept]
    own = grid[grid.batch_size == 16]
    for item, column, pick in (("eta 2e-1, CIFAR-100", "acc_gain", "idxmax"), ("eta 1e-2, CIFAR-100", "lr", "idxmin")):
        if len(own):
            row = own.loc[getattr(own[column], pick)()]
            yield item, "acc_gain, pp", f"digits MLP, B = 16, lr {row.lr:g}", row.acc_gain
    if len(own):
        best = own.loc[own.acc_gain.idxmax()]
        yield "parents, CIFAR-100", "accuracy, %", f"digits MLP, B = 16, lr {best.lr:g}", best.accuracy
    for item, size in (("B 16, CIFAR-100", 16), ("B 256, CIFAR-100", 256)):
        own = grid[(grid.batch_size == size) & np.isclose(grid.lr, 1.0)]
        if len(own):
            yield item, "acc_gain, pp", f"digits MLP, lr 1, B = {size}", own.acc_gain.iloc[0]
    momentum = gains[(gains.study == "momentum") & np.isclose(gains.lr, 0.05)]
    for item, value in (("mu 0.9, CIFAR-100", 0.9), ("low mu, CIFAR-100", 0.0)):
        own = momentum[momentum.momentum == value]
        if len(own):
            yield item, "acc_gain, pp", f"digits MLP, lr 0.05, mu {value:g}", own.acc_gain.iloc[0]
    decay = gains[(gains.study == "decay_normalised") & gains.kept]
    if len(decay):
        best, none = decay.loc[decay.acc_gain.idxmax()], decay[decay.weight_decay == 0]
        yield "lam 5e-4, TinyImageNet", "acc_gain, pp", f"digits MLP, lam {best.weight_decay:g}", best.acc_gain
        for row in none.itertuples():
            yield "smaller lam, TinyImageNet", "acc_gain, pp", "digits MLP, lam 0", row.acc_gain
    plain = gains[(gains.study == "decay_plain") & gains.kept].set_index("weight_decay").acc_gain
    if 0 in plain.index and len(plain) > 1:
        best = plain.drop(0).idxmax()
        yield "difference between lam, MLP", "acc_gain, pp", f"plain MLP, lam {best:g} less 0", plain[best] - plain[0]
    language = gains[gains.study == "language"]
    if len(language):
        yield "GPT on TinyStories, eta 1e-3", "loss, nats", "GPT on docstrings, best lr", language.loss.min()
    transfer = gains[gains.study == "transfer"]
    if len(transfer) > 2:
        base = PRETRAINED.get(transfer.title.iloc[0], transfer.title.iloc[0])
        r = float(np.corrcoef(transfer.acc_gain, transfer.lr)[0, 1])
        yield "Pearson r of gain and eta, CLIP on FMoW", "r", f"{base}, all lr", r
        best = float(transfer.lr[transfer.accuracy_merged.idxmax()])
        rule = "SGD" if base == "pretrained MLP" else "AdamW"
        yield "best eta of the merged model, CLIP on FMoW", "lr", f"{base}, {rule}", best
    convnext = gains[gains.study == "convnext"]
    if len(convnext):
        row = convnext.loc[convnext.accuracy_merged.idxmax()]
        yield "ConvNeXt on FMoW", "acc_gain, pp", f"{row.title}, lr {row.lr:g}", row.acc_gain
    for item, method in (("best TIES, FMoW and RESISC45", "TIES"), ("best TA, FMoW and RESISC45", "task arithmetic")):
        own = cross[(cross.method == method) & cross.kept]
        if len(own):
            title = next(filter(None, settings.cross.values())).title
            yield item, "normalised accuracy, %", title, own.normalised.max()
