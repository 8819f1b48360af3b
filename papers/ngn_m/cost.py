"""Step: seconds of an optimiser's update beside those of an iteration, interleaved in one process.

python -m papers.ngn_m.cost --scale cpu --shard updates
"""

import time
from collections.abc import Callable, Iterator

import torch

from papers.ngn_m.studies import CostShard
from shared.artifacts.step import step
from shared.optim.registry import build_optimizer, get_rule
from shared.train.language.task import LanguageTask

LR = 1e-5  # small: an update must not change what the next one costs


@step
def cost(settings: CostShard, device: str) -> Iterator[dict]:
    """Medians over rounds; every optimiser updates a model of its own with the gradient of one batch.

    A ratio to AdamW is the median of the ratios within rounds, so that a busy machine slows both sides.
    """
    task = LanguageTask(settings.language, {}, settings.batch_size)
    batch = {name: tensor.to(device) for name, tensor in task.batch(0, range(settings.batch_size), 0).items()}
    updates, floats, iteration = {}, {}, None
    for name in ("torch AdamW", *settings.optimizers):
        model = task.build(0).to(device)
        parameters = list(model.parameters())

        def forward_and_backward(model: torch.nn.Module = model) -> torch.Tensor:
            model.zero_grad()
            loss = task.loss(model, batch, {})
            loss.backward()
            return loss.detach()

        loss, iteration = forward_and_backward(), iteration or forward_and_backward
        if name == "torch AdamW":
            built = torch.optim.AdamW(parameters, lr=LR)
            updates[name], floats[name] = built.step, 2
        else:
            built = build_optimizer(name, parameters, lr=LR)
            updates[name] = lambda built=built, loss=loss: built.step(loss=loss)
            floats[name] = len(get_rule(name).vectors)
    rounds = []
    for number in range(settings.num_rounds + 1):  # the first warms up
        timed = {name: seconds(update, settings.num_updates, device) for name, update in updates.items()}
        timed["iteration"] = seconds(iteration, settings.num_updates, device)
        rounds += [timed] if number else []
    for name, own in floats.items():
        ratios = sorted(timed[name] / timed["torch AdamW"] for timed in rounds)
        yield {
            "optimizer": name,
            "state_floats": own,
            "update_seconds": sorted(timed[name] for timed in rounds)[len(rounds) // 2],
            "update_ratio": ratios[len(ratios) // 2],
            "update_ratio_low": ratios[len(ratios) // 4],
            "update_ratio_high": ratios[-1 - len(ratios) // 4],
            "iteration_ratio": _median(
                (timed["iteration"] + timed[name]) / (timed["iteration"] + timed["torch AdamW"]) for timed in rounds
            ),
            "num_rounds": len(rounds),
        }


def seconds(call: Callable[[], object], number: int, device: str) -> float:
    """Seconds of one call, a mean over `number`; processor seconds of this process on a CPU."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    if device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    for _ in range(number):
        call()
    if device == "cuda":
        torch.cuda.synchronize()
    return (clock() - start) / number


def _median(values) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


if __name__ == "__main__":
    cost.main()
