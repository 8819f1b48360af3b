"""What is asked at the end, of a model that is right up to a known distance, and of one that was trained."""

import pytest
import torch
from torch import Tensor, nn

from papers.ar_scaling import evaluate, studies
from papers.ar_scaling.probes import ProbedRecallTask
from shared.artifacts.config import load_config, load_shards
from shared.train.sweep.running import train_shard

REACH = 6


def source_of(row: list[int], position: int) -> int:
    """First position of the token at `position`."""
    return row.index(row[position])


class Forgetful(nn.Module):
    """Answers with the value behind the first occurrence of the key, where that is at most REACH away, else with 0."""

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        logits = torch.zeros(*positions.shape, 64)
        for i, (row, places) in enumerate(zip(tokens.tolist(), positions.tolist(), strict=True)):
            for j, position in enumerate(places):
                source = source_of(row, position)
                logits[i, j, row[source + 1] if position - source <= REACH else 0] = 1.0
        return logits


@pytest.fixture(scope="module")
def config():
    return load_config("ar_scaling", "cpu")


def test_accuracy_is_that_of_a_known_reach_overall_by_gap_and_for_other_numbers_of_pairs(config):
    settings = config.recall(config.studies["attention_2"], "main")
    test = evaluate.TestSet(
        settings, studies.TestPlan(num_examples=200, num_pairs=(1, 2, 4, 5), gap_width=2), (1, 2, 4, 5)
    )
    batch = test.batch
    pairs = zip(batch["tokens"].tolist(), batch["positions"].tolist(), strict=True)
    near = [[p - source_of(row, p) <= REACH for p in places] for row, places in pairs]
    rows = list(test.rows(Forgetful()))
    whole = rows[0]
    assert whole["measure"] == "test" and whole["num_answers"] == 400
    assert whole["accuracy"] == pytest.approx(sum(map(sum, near)) / 400) and 0.1 < whole["accuracy"] < 0.9
    assert whole["whole"] == pytest.approx(sum(map(all, near)) / 200)
    gaps = {row["at"]: row for row in rows if row["measure"] == "gap"}
    assert {at: row["accuracy"] for at, row in gaps.items()} == {at: float(at <= REACH) for at in gaps}
    assert sum(row["num_answers"] for row in gaps.values()) == 400 and set(gaps) >= {4, 6, 8, 10}
    others = {row["at"]: row for row in rows if row["measure"] == "pairs"}
    assert set(others) == {1, 2, 4} and others[4]["num_answers"] == 4 * 100  # five pairs do not fit into 16 positions
    assert others[2]["accuracy"] != whole["accuracy"]  # other examples


def test_training_validation_and_test_share_no_example(config):
    task = ProbedRecallTask(config.recall(config.studies["attention_2"], "main"), {}, 1)
    sets = [set(map(tuple, task.held_out(name, 500).tokens.tolist())) for name in ("train", "validation", "test")]
    assert len(set.union(*sets)) == sum(map(len, sets)) == 1500


def test_what_is_tested_is_what_was_trained(tmp_path):
    """The last validation loss of a run comes back from its state in a model of another seed, tied head and all."""
    part = next(iter(load_shards("ar_scaling", "smoke")["train"].values())).parts[0]
    task = ProbedRecallTask.of_shard(part.recall)
    outcome = train_shard(part.recall, task, checkpoint_dir=tmp_path, num_threads=1, title="test")
    for run in part.recall.runs:
        model = task.build(99).eval()
        missing, unexpected = model.load_state_dict(outcome.states[run.name], strict=False)
        assert set(missing) <= {"language_model.head.weight"} and not unexpected
        own = outcome.table[(outcome.table.run == run.name) & (outcome.table.phase == "eval")].sort_values("step")
        with torch.no_grad():
            found = task.evaluate(model, 0)
        assert float(found["val_loss"]) == pytest.approx(own.val_loss.iloc[-1], rel=1e-4)
