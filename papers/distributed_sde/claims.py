"""The statements to test, as predicates over the tables. Predicates were fixed before any run."""

import numpy as np
import pandas as pd

from shared.artifacts.claims import Judgement, claim

LONG_RUNS = ["cpu", "gpu", "paper"]


@claim(
    "parabola-threshold",
    "Of the ODE models only the corrected one has the limit 2 / lambda of gradient descent.",
    tables=["fig_sanity"],
    reported="stated in section 3 of version 2",
)
def parabola_threshold(fig_sanity: pd.DataFrame) -> Judgement:
    status = _statuses(fig_sanity, "parabola", "eta")
    small, large = status[status.index < 2], status[status.index > 2]
    holds = (small == "converges").all(axis=None) and (large[["gd", "ode_new"]] == "diverges").all(axis=None)
    holds &= (large[["ode1", "ode2"]] == "converges").all(axis=None)
    return Judgement(
        bool(len(small) and len(large) and holds), {f"eta_{eta:g}": _words(status.loc[eta]) for eta in status.index}
    )


def _statuses(table: pd.DataFrame, function: str, index: str) -> pd.DataFrame:
    table = table[table.function == function]
    return table.groupby([index, "model"]).status.first().unstack()


def _words(row: pd.Series) -> str:
    return ", ".join(f"{model} {status}" for model, status in row.items())


@claim(
    "quartic-no-uniform-step",
    "On x^4/4 gradient descent needs eta x0^2 < 2, the classical ODEs never diverge, the corrected one does iff"
    " eta x0^2 > 2/3.",
    tables=["fig_sanity"],
)
def quartic_no_uniform_step(fig_sanity: pd.DataFrame) -> Judgement:
    table = fig_sanity[fig_sanity.function == "quartic"]
    status, eta = _statuses(fig_sanity, "quartic", "x0"), float(table.eta.iloc[0])
    square = eta * status.index.to_numpy() ** 2
    expected = {"gd": square > 2, "ode1": square < 0, "ode2": square < 0, "ode_new": square > 2 / 3}
    wrong = {model: int(((status[model] == "diverges") != rule).sum()) for model, rule in expected.items()}
    return Judgement(
        sum(wrong.values()) == 0, {f"{m}_against_rule": n for m, n in wrong.items()} | {"num_x0": len(status)}
    )


@claim(
    "stationary-variance-exact",
    "On quadratics the corrected SDE has exactly the stationary variance of the discrete method.",
    tables=["tab_stationary"],
)
def stationary_variance_exact(tab_stationary: pd.DataFrame) -> Judgement:
    holds, evidence = True, {"threshold_mc": 0.05}
    for omega, part in tab_stationary.groupby("omega"):
        rows = part.set_index("model")
        ratio = rows.var_formula["corrected"] / rows.var_formula["discrete"]
        sampled = (rows.var_mc / rows.var_formula - 1).abs()[["discrete", "corrected"]].max()
        holds &= abs(ratio - 1) < 1e-10 and sampled < 0.05
        evidence |= {f"omega_{omega:g}_formula_ratio": ratio, f"omega_{omega:g}_largest_mc_error": sampled}
        if omega == 0:
            eta_lam = float((rows.eta * rows.lam).iloc[0])
            factor = rows.var_formula["classical_1"] / rows.var_formula["discrete"]
            holds &= abs(factor / ((2 - eta_lam) / 2) - 1) < 1e-5  # six digits are written
            evidence |= {"classical_factor": factor, "classical_factor_expected": (2 - eta_lam) / 2}
    return Judgement(bool(holds), evidence)


@claim(
    "ms-threshold",
    "The mean-square stability boundary is eta* = 2 / (lambda kappa), and not the classical 2 / (lambda (kappa - 1)).",
    tables=["fig_threshold"],
)
def ms_threshold(fig_threshold: pd.DataFrame) -> Judgement:
    error = (fig_threshold.eta_star_measured / fig_threshold.eta_star_theory - 1).abs()
    near = fig_threshold[fig_threshold.kappa < 2]
    classical = (near.eta_star_classical / near.eta_star_measured - 1).abs()
    evidence = {"largest_error": error.max(), "num_points": len(error), "threshold": 0.05}
    evidence |= {"smallest_classical_error_kappa_below_2": classical.min(), "threshold_classical": 0.2}
    return Judgement(bool((error < 0.05).all() and (classical > 0.2).all() and len(near)), evidence)


def _cells(table: pd.DataFrame, **chosen: object) -> list[pd.DataFrame]:
    """Curves over k of the cells with the chosen settings."""
    for name, value in chosen.items():
        table = table[table[name] == value]
    return [part.sort_values("k") for _, part in table.groupby(["schedule", "lr", "scale", "omega", "x0"])]


@claim(
    "dcsgd-prescheduled-fails",
    "Under affine noise and compression a prescheduled decay fails far from the optimum; normalised steps converge.",
    tables=["fig_toy"],
    scales=LONG_RUNS,
    untestable_because="smoke ends after 1000 steps; the normalised rule needs 2000 at omega = 15",
)
def dcsgd_prescheduled_fails(fig_toy: pd.DataFrame) -> Judgement:
    holds, evidence = True, {"threshold_share": 0.9, "threshold_final_over_start": 1e-8}
    for curve in _cells(fig_toy, method="DCSGD", x0=30, schedule="inverse_sqrt"):
        share = float(curve.share_diverged.iloc[-1])
        holds &= share >= 0.9
        evidence[f"scheduled_omega_{curve.omega.iloc[0]:g}_share_diverged"] = share
    normalised = _cells(fig_toy, method="normalised")
    for curve in normalised:
        start = (
            curve.d.iloc[0] * (curve.x0.iloc[0] + curve.x0.iloc[0] ** 3) ** 2
        )  # |grad f(x0)|^2 of the mixed function
        ratio = float(curve.median_g2.iloc[-1] / start)
        holds &= curve.share_diverged.iloc[-1] == 0 and ratio < 1e-8
        evidence[f"normalised_omega_{curve.omega.iloc[0]:g}_share_diverged"] = float(curve.share_diverged.iloc[-1])
        evidence[f"normalised_omega_{curve.omega.iloc[0]:g}_final_over_start"] = ratio
    return Judgement(bool(normalised and holds), evidence)


@claim(
    "dsgd-heavy-tail-fails",
    "DSGD under Cauchy noise does not converge with either schedule.",
    tables=["fig_toy"],
)
def dsgd_heavy_tail_fails(fig_toy: pd.DataFrame) -> Judgement:
    holds, evidence = True, {"threshold_median": 10, "threshold_share": 0.5}
    curves = _cells(fig_toy, method="DSGD", noise="cauchy")
    for curve in curves:
        last = curve.iloc[-1]
        holds &= last.median_g2 > 10 or last.share_diverged > 0.5
        evidence |= {
            f"{last.schedule}_median_g2": last.median_g2,
            f"{last.schedule}_share_diverged": last.share_diverged,
        }
    return Judgement(bool(len(curves) == 2 and holds), evidence)


def _slope(curve: pd.DataFrame) -> float:
    return float(np.polyfit(np.log(curve.k), np.log(curve.median_g2), 1)[0])


@claim(
    "dsign-heavy-tail-converges",
    "DSignSGD with 1/sqrt(k+1) converges under Cauchy noise at the rate k^-1/2; with a constant step it has a floor.",
    tables=["fig_toy"],
    scales=LONG_RUNS,
    untestable_because="the slope is fitted from step 100 to 10,000, and smoke ends after 1000",
)
def dsign_heavy_tail_converges(fig_toy: pd.DataFrame) -> Judgement:
    holds, last_k = True, int(fig_toy.k.max())
    evidence = {"slope_from": "-0.65 to -0.35", "slope_constant": "below 0.1 in size", "floor_within": 0.15}
    for curve in _cells(fig_toy, method="DSignSGD", schedule="inverse_sqrt"):
        slope = _slope(curve[curve.k >= 100])
        holds &= -0.65 <= slope <= -0.35
        evidence[f"scale_{curve.scale.iloc[0]:g}_slope"] = slope
    for curve in _cells(fig_toy, method="DSignSGD", schedule="constant"):
        tail = curve[curve.k >= last_k / 10]
        # d times the stationary variance near 0: gradient and x agree there; 2 / pi is the slope of the Cauchy law
        slope_law = 2 / np.pi / curve.scale.iloc[0]
        eta, first = curve.lr.iloc[0], curve.iloc[0]
        theory = first.d * eta / (2 * first.N * slope_law) / (1 - eta * slope_law / 2)
        measured = float(tail.median_g2.median())
        holds &= abs(_slope(tail)) < 0.1 and abs(measured / theory - 1) < 0.15
        evidence |= {"constant_slope": _slope(tail), "floor": measured, "floor_theory": theory}
    return Judgement(bool(holds), evidence)


@claim(
    "dsign-floor-scaling",
    "The floor of DSignSGD with a constant step scales as eta s / N.",
    tables=["tab_floor"],
    scales=LONG_RUNS,
    untestable_because="smoke measures two settings only",
)
def dsign_floor_scaling(tab_floor: pd.DataFrame) -> Judgement:
    table = tab_floor[tab_floor.nu == 1]
    variables = np.log(table[["eta", "scale", "N"]].to_numpy(float))
    design = np.column_stack([variables, np.ones(len(table))])
    found = np.linalg.lstsq(design, np.log(table.floor_measured.to_numpy()), rcond=None)[0]
    exponents = dict(zip(["eta", "scale", "N"], found[:3], strict=True))
    holds = all(abs(exponents[name] - want) < 0.1 for name, want in (("eta", 1), ("scale", 1), ("N", -1)))
    return Judgement(bool(holds), {f"exponent_{n}": float(v) for n, v in exponents.items()} | {"threshold": 0.1})


@claim(
    "omega-instability-mlp",
    "At a constant step instability grows with omega; steps normalised with kappa never exceed the initial loss, steps"
    " normalised without it do.",
    tables=["fig_dcsgd"],
    scales=LONG_RUNS,
    untestable_because="forty steps are too few",
    reported="figure 1 of version 2 (curves only)",
)
def omega_instability_mlp(fig_dcsgd: pd.DataFrame) -> Judgement:
    runs = fig_dcsgd.groupby(["rule", "omega", "seed"]).first().reset_index()
    constant = runs[runs.rule.str.startswith("constant")]
    kappa, plain = (runs[runs.rule == name] for name in ("2/((1+|g|)kappa)", "2/(1+|g|)"))
    diverging = sorted(constant[constant.status == "diverged"].omega.unique())
    at_largest = plain[plain.omega == plain.omega.max()].max_over_initial
    holds = bool(diverging) and (kappa.max_over_initial <= 1.05).all() and (at_largest >= 5).all()
    evidence = {"omegas_diverging_at_constant_step": ", ".join(f"{w:g}" for w in diverging) or "none"}
    evidence |= {"kappa_largest_max_over_initial": kappa.max_over_initial.max(), "threshold_kappa": 1.05}
    evidence |= {"plain_smallest_max_over_initial_at_largest_omega": at_largest.min(), "threshold_plain": 5}
    return Judgement(bool(holds), evidence)


@claim(
    "dsign-mlp-robust",
    "DSignSGD trains under Cauchy noise of every scale.",
    tables=["fig_dsign"],
    scales=LONG_RUNS,
    untestable_because="forty steps are too few",
    reported="figure 1 of version 2 (curves only)",
)
def dsign_mlp_robust(fig_dsign: pd.DataFrame) -> Judgement:
    runs = fig_dsign.sort_values("step").groupby(["rule", "scale", "seed"]).agg(
        first=("loss", "first"), last=("loss", "last"), status=("status", "first"))  # fmt: skip
    runs = runs.reset_index()
    scheduled = runs[runs.rule.str.contains("sqrt")]
    holds = (runs.status == "finite").all() and (scheduled["last"] < scheduled["first"]).all()
    rows = zip(scheduled.rule, scheduled.scale, scheduled["first"], scheduled["last"], strict=True)
    evidence = {f"{rule}_scale_{scale:g}": f"{a:.4g} -> {b:.4g}" for rule, scale, a, b in rows}
    return Judgement(bool(holds), evidence | {"num_diverged": int((runs.status != "finite").sum())})


@claim(
    "n-helps-d-hurts",
    "The constraint on the step relaxes with N and tightens with d, omega and s1.",
    tables=["tab_2"],
)
def n_helps_d_hurts(tab_2: pd.DataFrame) -> Judgement:
    # what varies by method; bounds never rise (fall) along an argument, and do fall (rise) somewhere
    compressed = tab_2[tab_2.method != "DSignSGD"].drop(columns=["method", "nu"])
    signs = tab_2[tab_2.method == "DSignSGD"].drop(columns=["method", "omega", "s1", "grad_norm", "eps"])
    holds, evidence = True, {}
    for name, table, arguments in (
        ("DCSGD", compressed, {"N": 1, "d": -1, "omega": -1, "s1": -1}),
        ("DSignSGD", signs, {"N": 1, "d": -1, "s0": -1}),
    ):
        bounds = [c for c in table if c.startswith("bound_")]
        for argument, direction in arguments.items():
            others = [c for c in table if c not in (*bounds, argument)]
            steps = table.sort_values(argument).groupby(others).bound_corrected.diff().dropna() * direction
            holds &= bool((steps >= 0).all() and (steps > 0).any())
            evidence[f"{name}_{argument}_wrong_steps"] = f"{int((steps < 0).sum())} of {len(steps)}"
    finite = bool(np.isfinite(tab_2.bound_corrected).all())
    evidence |= {
        "corrected_finite_in_all_rows": finite,
        "classical_infinite_rows": int(np.isinf(tab_2.bound_classical).sum()),
    }
    return Judgement(bool(holds and finite), evidence)


@claim(
    "corrected-is-not-more-accurate",
    "In transients the classical second-order SDE tracks SGD best and the corrected one worst (a caveat of ours).",
    tables=["fig_track"],
    scales=LONG_RUNS,
    untestable_because="too few paths to tell errors of half a per cent from noise",
)
def corrected_is_not_more_accurate(fig_track: pd.DataFrame) -> Judgement:
    error = fig_track[(fig_track.method == "DSGD") & (fig_track.k > 0)].groupby("sde").rel_err.mean()
    holds = error["classical_2"] < error["classical_1"] < error["corrected"]
    return Judgement(bool(holds), {f"mean_relative_error_{kind}": value for kind, value in error.items()})


@claim(
    "scaling-rule-keeps-floor",
    "The floor stays if eta, batch and N change by kap (1 + beta omega) / (delta a) = 1 + omega (predecessor's rule).",
    tables=["tab_scaling"],
    reported="abstract of arXiv 2502.17009; the formula is derived",
)
def scaling_rule_keeps_floor(tab_scaling: pd.DataFrame) -> Judgement:
    kept = tab_scaling[(tab_scaling.predicted - 1).abs() < 1e-6]
    control = tab_scaling[(tab_scaling.predicted - 1).abs() >= 1e-6]
    worst = float((kept.ratio - 1).abs().max())
    evidence = {"largest_change": worst, "threshold": 0.05, "num_rules": len(kept)}
    return Judgement(worst < 0.05 and len(kept) > 0, evidence | {"without_rule_ratio": float(control.ratio.max())})


@claim(
    "processes-match-simulation",
    "Two real processes take the steps of two simulated clients, draw by draw and in law (a check of ours).",
    tables=["tab_processes"],
)
def processes_match_simulation(tab_processes: pd.DataFrame) -> Judgement:
    worst, z = float(tab_processes.largest_difference.max()), float(tab_processes[tab_processes.step > 0].z.abs().max())
    evidence = {"largest_parameter_difference": worst, "threshold": 1e-3, "largest_z_in_law": z, "threshold_z": 4}
    return Judgement(worst < 1e-3 and z < 4, evidence)
