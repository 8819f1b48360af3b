"""Step: simulations of what has a closed form, in float64.

python -m papers.merging_noise.theory --scale cpu --shard all
"""

import numpy as np

from papers.merging_noise.noise import (
    effective_lr,
    equilibrium_squared_norm,
    heavy_ball_chains,
    noise_scale,
    quadratic_gains,
    simulated_squared_norm,
    stationary_variance,
)
from papers.merging_noise.settings import Theory
from shared.artifacts.step import step


@step
def theory(settings: Theory) -> dict[str, list[dict]]:
    """Stationary variance and merging gain on a quadratic; norm at which weight decay balances growth."""
    quadratic = []
    for momentum in settings.momenta:
        how = (settings.lr, settings.variance, settings.batch_size, momentum, settings.curvature)
        x = heavy_ball_chains(*how, num_chains=settings.num_chains, num_steps=settings.num_steps)
        exact, gains = stationary_variance(*how), quadratic_gains(x, settings.curvature)
        proxies = [noise_scale(settings.lr, settings.batch_size, momentum, momentum_power=p) for p in (1, 2)]
        limits = [settings.variance * proxy / (2 * settings.curvature) for proxy in proxies]
        quadratic.append({"momentum": momentum, "variance": float(x.var()), "exact": exact,
                          "variance_error": exact * np.sqrt(2 / len(x)), "power_1": limits[0], "power_2": limits[1],
                          "gain": float(gains.mean()), "gain_error": float(gains.std(ddof=1) / np.sqrt(len(gains))),
                          "exact_gain": settings.curvature * exact / 4, "num_chains": len(x)})  # fmt: skip
    lr, decay = settings.norm_lr, settings.norm_decay
    exact = equilibrium_squared_norm(lr, decay)
    found = simulated_squared_norm(lr, decay, size=settings.norm_size, num_steps=settings.norm_steps)
    norm = {"lr": lr, "weight_decay": decay, "squared_norm": found, "exact": exact}
    return {"quadratic": quadratic, "norm": [norm | {"eta_eff": effective_lr(lr, found)}]}


if __name__ == "__main__":
    theory.main()
