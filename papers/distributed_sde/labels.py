"""What models, methods and functions are called in figures. Nothing here imports torch."""

import pandas as pd

MODELS = {"gd": "gradient descent", "ode1": "classical, 1st order", "ode2": "classical, 2nd order"}
MODELS |= {"ode_new": "corrected"}
SDES = {"classical_1": "classical SDE, 1st order", "classical_2": "classical SDE, 2nd order"}
SDES |= {"corrected": "corrected SDE"}
DECAYS = {"constant": "constant", "inverse_sqrt": r"$1/\sqrt{k+1}$", "inverse": r"$1/(k+1)$"}
METHODS = {"normalised": "normalised, with $\\kappa$", "gnorm": "normalised, no $\\kappa$"}
FUNCTIONS = {"mixed": "$x^2/2 + x^4/4$", "cosh": r"$\cosh x - 1$", "parabola": "$x^2/2$"}


def cell_label(curve: pd.DataFrame) -> str:
    """A cell of fig_toy in words, with the share of its runs that diverge."""
    first, share = curve.iloc[0], curve.share_diverged.iloc[-1]
    parts = [METHODS.get(first.method, first.method)]
    if first.method in ("DSGD", "DSignSGD"):
        parts += [DECAYS[first.schedule]] + ([f"scale {first.scale:g}"] if first.method == "DSignSGD" else [])
    else:
        parts += [rf"$\omega = {first.omega:g}$"]
    return ", ".join(parts) + (f" ({share:.0%} diverged)" if share > 0 else "")


def in_symbols(text: str) -> str:
    """A formula of a step rule, such as 2/((1+|g|)kappa), with its symbols; words as they are."""
    formula = text.replace("kappa", r"\kappa").replace("sqrt(k+1)", r"\sqrt{k+1}")
    return f"${formula}$" if text[:1].isdigit() else text
