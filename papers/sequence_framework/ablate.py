"""Step: tune the ablations of one job, train them again with fresh seeds, and measure what they learnt.

python -m papers.sequence_framework.ablate --scale cpu --shard readout-00
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from papers.sequence_framework.measuring import measured
from papers.sequence_framework.settings import AblateShard, Cell
from shared.artifacts.provenance import Provenance
from shared.artifacts.step import step
from shared.artifacts.sweeps import final_rows, tuned
from shared.train.recall.config import RecallShard
from shared.train.recall.task import RecallTask
from shared.train.sweep.running import SweepOutcome, train_shard

EPSILON = 1e-3  # of a coefficient that counts as zero, as in the paper's figure
SOLVED = 0.95  # validation accuracy at which a task counts as learnt
TUNED = ["lr", "weight_decay"]


@step
def ablate(
    settings: AblateShard, device: str, threads: int, checkpoints: Path, provenance: Provenance
) -> Iterator[dict]:
    """A row per run, of stage "tuning" or "final": its mixer, how it was trained, its scores on fresh examples."""
    for cell in settings.cells:
        task, labels = RecallTask.of_shard(cell.tuning), {"study": settings.study} | described(cell)
        title = f"{settings.study}, {cell.tuning.sweep}"
        outcome = train_shard(cell.tuning, task, checkpoint_dir=checkpoints, num_threads=threads, title=title)
        yield from (labels | {"stage": "tuning"} | row for row in trained(outcome))
        again = at_the_best(cell.tuning, outcome, settings.final_seeds)
        title += ", final"
        outcome = train_shard(again, task, checkpoint_dir=checkpoints, num_threads=threads, title=title)
        provenance.add(**{title: outcome.provenance})
        for row in trained(outcome):
            scores = scored(task, outcome.states[row["run"]], row["seed"], settings.test_examples, device)
            yield labels | {"stage": "final"} | row | scores


def described(cell: Cell) -> dict:
    """The cell's names and its mixer's objects; None where the mixer has no such setting."""
    backbone = RecallTask.of_shard(cell.tuning).config.backbone
    mixer = backbone.mixer_at(0)
    names = ("readout", "features", "evolution", "decay", "scaling", "normaliser")
    found = {"task": cell.task, "variant": cell.variant, "mixer": mixer.name, "n": getattr(mixer, "key_head_dim", None)}
    found |= {name: getattr(mixer, name, None) for name in names} | {"num_layers": backbone.num_layers}
    return found | {"positional": backbone.positional, "seq_len": cell.tuning.data.num_positions}


def at_the_best(shard: RecallShard, outcome: SweepOutcome, seeds: Sequence[int]) -> RecallShard:
    """The same job at the tuned values, a run per seed."""
    best = tuned(final_rows(outcome.table), [], "val_loss", TUNED).iloc[0]
    run = replace(shard.runs[0], settings=shard.runs[0].settings | {name: float(best[name]) for name in TUNED})
    runs = tuple(replace(run, name=f"{run.optimizer} seed={seed}", seed=seed) for seed in seeds)
    return shard.model_copy(update={"runs": runs, "extensions": 0})


def trained(outcome: SweepOutcome) -> Iterator[dict]:
    """How each run was trained: settings, largest mean gradient norm, updates until its task counts as learnt."""
    for name, rows in outcome.table.groupby("run", sort=False):
        evaluations = rows[rows.phase == "eval"]
        solved, last = evaluations[evaluations.val_accuracy >= SOLVED].step, rows.iloc[-1]
        row = {"run": name, "lr": last.lr, "weight_decay": last.weight_decay, "seed": int(last.seed)}
        row |= {"num_steps": int(last.num_steps), "diverged": bool(last.diverged)}
        row |= {"largest_grad_norm": rows.grad_norm.max(), "steps_to_solve": solved.min() if len(solved) else None}
        yield row | {"val_loss": evaluations.val_loss.iloc[-1] if len(evaluations) else float("nan")}


def scored(task: RecallTask, state: dict, seed: int, num_examples: int, device: str) -> dict[str, float]:
    """A final model on fresh examples, at scored positions even where all were trained."""
    data = task.settings.data
    if getattr(data, "targets", None) == "all":
        data = data.model_copy(update={"targets": "scored"})
    judge = RecallTask(task.settings.model_copy(update={"data": data}), {}, task.batch_size)
    test = {name: tensor.to(device) for name, tensor in judge.scored(judge.held_out("test", num_examples)).items()}
    model = task.build(seed)
    model.load_state_dict(state)
    return measured(model.to(device).eval(), test, EPSILON)


if __name__ == "__main__":
    ablate.main()
