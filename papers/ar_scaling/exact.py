"""Step: what needs no training: baselines of MQAR, constructed weights, parameters counted twice.

python -m papers.ar_scaling.exact --scale cpu --shard exact
"""

from collections.abc import Iterator

from papers.ar_scaling.constructed import accuracy, delta_net, one_layer, random_attention, two_layers
from papers.ar_scaling.counts import model_params
from papers.ar_scaling.studies import Exact, ExactShard
from shared.artifacts.step import step
from shared.data.synthetic.baselines import position_only_accuracy, value_guess_accuracy
from shared.data.synthetic.config import MQARConfig
from shared.train.recall.task import RecallTask


@step
def exact(settings: ExactShard) -> dict[str, list[dict]]:
    """All of it, one part each."""
    plan = settings.exact
    return {
        "baselines": [_baseline(*size) for size in plan.sizes],
        "constructed": list(_constructed(plan)),
        "capacity": list(_capacity(plan)),
        "counts": list(_counts(settings)),
    }


def _baseline(length: int, num_pairs: int) -> dict:
    config = MQARConfig(seq_len=length, num_pairs=num_pairs)
    found = {"seq_len": length, "num_pairs": num_pairs, "value_guess": value_guess_accuracy(config)}
    return found | {"position_only": position_only_accuracy(config)}


def _constructed(plan: Exact) -> Iterator[dict]:
    """Share of right answers of every construction on every task."""
    for length, num_pairs in plan.solved:
        config = MQARConfig(vocab_size=plan.vocab_size, seq_len=length, num_pairs=num_pairs)
        solvers = {
            "1-layer attention, causal conv on K": one_layer(config, "k", "causal"),
            "1-layer attention, centred conv on V": one_layer(config, "v", "centred"),
            "2-layer attention": two_layers(config),
            "DeltaNet, orthonormal keys": delta_net(config),
        }
        size = {"seq_len": length, "num_pairs": num_pairs, "num_examples": plan.num_examples}
        size |= {"baseline": position_only_accuracy(config)}
        for name, solver in solvers.items():
            yield {"construction": name, **size, "accuracy": accuracy(solver, config, plan.num_examples)}
        searched = [accuracy(random_attention(config, k), config, plan.num_examples) for k in range(plan.num_random)]
        yield {"construction": "1-layer attention, best of random weights", **size, "accuracy": max(searched)}


def _capacity(plan: Exact) -> Iterator[dict]:
    """DeltaNet with random key directions over their width, for several numbers of pairs."""
    for num_pairs in plan.capacity_pairs:
        size = {"vocab_size": plan.vocab_size, "seq_len": 4 * max(plan.capacity_pairs), "num_pairs": num_pairs}
        config = MQARConfig(**size)
        for width in plan.key_widths:
            for seed in range(plan.num_seeds):
                found = accuracy(delta_net(config, width, seed), config, plan.num_examples, seed)
                row = {"num_pairs": num_pairs, "key_width": width, "seed": seed, "accuracy": found}
                yield row | {"baseline": position_only_accuracy(config)}


def _counts(settings: ExactShard) -> Iterator[dict]:
    """Parameters of every model that is trained: its tensors, and a formula."""
    for entry in settings.counted:
        task = RecallTask(entry.recall, {}, 1)
        built = sum(p.numel() for p in task.build(0).parameters())
        backbone = entry.recall.backbone
        size = {"model": entry.model, "num_layers": backbone.num_layers, "d_model": backbone.d_model}
        size |= {"task": entry.task}
        yield size | {"params": built, "formula": model_params(backbone, entry.recall.data.num_symbols)}


if __name__ == "__main__":
    exact.main()
