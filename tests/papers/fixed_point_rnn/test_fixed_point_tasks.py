"""Tasks: targets by hand, rows that depend on themselves alone, a model that learns, the ensemble's numbers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from papers.fixed_point_rnn import arithmetic, train
from papers.fixed_point_rnn.config import entries_of
from papers.fixed_point_rnn.evaluate import by_cap, by_length, measure, parallel_and_sequential
from papers.fixed_point_rnn.network import Output, num_parameters
from papers.fixed_point_rnn.settings import ModelSettings, Study, TaskSettings
from papers.fixed_point_rnn.solver import Solution
from papers.fixed_point_rnn.tasks import TEST_SEED, SequenceTask, row_loss, sampled_limit, source_of
from papers.fixed_point_rnn.train import runs_of, train_entry
from shared.artifacts.config import load_config
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paper import artifact_csv
from shared.artifacts.paths import PaperPaths
from shared.base.seeding import numpy_generator
from shared.models.language_model import IGNORED_TARGET
from shared.train.ensemble.training import train_ensemble
from shared.train.loop.fit import fit


def source(kind, **settings):
    return source_of(TaskSettings(kind=kind, **settings))


def tiny(**changes):
    values = {
        "task": {"kind": "word", "group": "Z2", "train_len": 4},
        "training": {"log_every": 2},
        "num_steps": 4,
        "batch_size": 8,
        "lrs": [1e-2],
        "seeds": [0, 1],
        "evaluation": {"lengths": [2, 5], "num_words": 16, "rows": 16, "cap": 20, "caps": [1, 4], "cap_length": 4},
        "model": {"d_model": 4, "solver": {"l_max": 4}},
        "models": {"FP": {}},
    }
    return Study(**values | changes)


def test_words_ask_for_every_prefix_but_not_at_the_begin_token():
    batch = source("word", group="Z2", train_len=5).train(0, 3, range(4), 8)
    assert (batch["tokens"][:, 0] == 2).all() and (batch["targets"][:, 0] == IGNORED_TARGET).all()
    assert torch.equal(batch["targets"][:, 1:], batch["tokens"][:, 1:].cumsum(1) % 2)


def test_short_words_end_after_two_elements():
    batch = source("word", group="S3", train_len=6, short_share=0.5).train(0, 0, range(64), 64)
    asked = (batch["targets"] != IGNORED_TARGET).sum(1)
    assert set(asked.tolist()) == {2, 6} and 16 < int((asked == 2).sum()) < 48


def test_the_control_asks_for_the_token_itself():
    batch = source("repeat", group="S3", train_len=6).train(0, 0, range(4), 4)
    assert torch.equal(batch["targets"][:, 1:], batch["tokens"][:, 1:])


def test_copying_by_hand():
    own = source("copy", alphabet=3, min_len=2, train_len=4)
    batch = own._batch(np.array([[2, 0, 1, 1]]), np.array([3]))
    first, bar, stop, pad = 3, 4, 5, 6
    whole = [first, 2, 0, 1, bar, 2, 0, 1, stop, pad, pad]
    assert batch["tokens"][0].tolist() == whole[:-1]
    expected = [IGNORED_TARGET] * 4 + [2, 0, 1, stop] + [IGNORED_TARGET] * 2
    assert batch["targets"][0].tolist() == expected
    lengths = (own.train(0, 0, range(64), 64)["targets"] != IGNORED_TARGET).sum(1) - 1
    assert set(lengths.tolist()) == {2, 3, 4}


@pytest.mark.parametrize("kind", ["word", "copy", "arithmetic"])
def test_a_row_does_not_depend_on_the_others_and_seeds_differ(kind):
    own = source(kind, group="A4", train_len=7)
    whole, part = own.train(1, 2, range(6), 6), own.train(1, 2, range(2, 4), 6)
    assert all(torch.equal(whole[name][2:4], part[name]) for name in whole)
    assert not torch.equal(own.train(2, 2, range(6), 6)["tokens"], whole["tokens"])
    assert torch.equal(own.test(5, 4)["tokens"], own.test(5, 8)["tokens"][:4])


@pytest.mark.parametrize("kind", ["word", "repeat", "copy", "arithmetic"])
def test_test_sequences_are_none_of_training(kind):
    own = source(kind, group="S5", train_len=11, min_len=11)
    asked = {tuple(row) for row in own.test(11, 64)["tokens"].tolist()}
    for seed in (0, 1, 100, TEST_SEED):
        assert not asked & {tuple(row) for row in own.train(seed, 0, range(64), 64)["tokens"].tolist()}


def test_language_models_are_tested_on_the_validation_text():
    own = source("text", text={"source": "docstrings"})
    parts = [SimpleNamespace(windows=lambda size, num, start=start: torch.arange(start, start + size).expand(num, -1))
             for start in (0, 100)]  # fmt: skip
    own.data = SimpleNamespace(train=parts[0], validation=parts[1])
    batch = own.test(3, 2)
    assert batch["tokens"].tolist() == [[100, 101, 102]] * 2 and batch["targets"].tolist() == [[101, 102, 103]] * 2


@pytest.mark.parametrize("length", [1, 3, 5, 9, 21])
def test_expressions_have_their_length_and_pythons_value(length):
    for draw in range(20):
        rng = numpy_generator(draw, "expression", length)
        tokens = arithmetic.expression(length, 5, rng)
        assert len(tokens) == length
        assert arithmetic.value(tokens, 5) == eval("".join(tokens)) % 5  # digits, + - * and brackets alone


def test_expressions_show_every_symbol_and_bad_ones_are_refused():
    seen = set()
    for draw in range(50):
        seen |= set(arithmetic.expression(15, 5, numpy_generator(draw, "symbols")))
    assert seen == {*"01234", *"+-*()"}
    for tokens in (["1", "+"], ["(", "1"], ["1", "2"], [")"]):
        with pytest.raises(ValueError):
            arithmetic.value(tokens, 5)
    with pytest.raises(ValueError, match="odd lengths"):
        arithmetic.expression(4, 5, numpy_generator(0))


def test_arithmetic_asks_for_the_answer_at_the_equals_sign():
    batch = source("arithmetic", train_len=9, min_len=3).train(0, 0, range(16), 16)
    asked = batch["targets"] != IGNORED_TARGET
    assert (asked.sum(1) == 1).all()
    assert (batch["tokens"][asked] == arithmetic.symbol("=", 5)).all() and batch["targets"][asked].max() < 5


def test_row_loss_weighs_rows_and_not_tokens():
    logits = torch.zeros(2, 3, 4)
    targets = torch.tensor([[1, IGNORED_TARGET, IGNORED_TARGET], [0, 1, 2]])
    logits[0, 0, 1] = 50.0
    torch.testing.assert_close(row_loss(logits, targets), torch.tensor([0.0, float(np.log(4.0))]))


def test_sampled_limits_have_the_mean_of_their_gamma_rounded_up():
    limits = [sampled_limit(4, numpy_generator(0, "limit", i)) for i in range(2000)]
    assert min(limits) >= 1 and np.mean(limits) == pytest.approx(4 * 1.25 + 0.5, rel=0.05)


def test_an_ensemble_with_fixed_points_gives_the_numbers_of_runs_alone():
    study = tiny()
    (entry,) = entries_of(study)
    task, runs = SequenceTask(study, entry), runs_of(study, entry)
    stacked = train_ensemble(task, runs, study.training, progress=False)
    for index, run in enumerate(runs):
        alone = fit(task, run, study.training, device="cpu", progress=False)
        rows = [row for row in stacked.rows if row["run"] == run.name]
        for ours, theirs in zip(rows, [r for r in alone.rows if r["phase"] == "train"], strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
            assert ours["iterations_0"] == theirs["iterations_0"]
        for name, value in alone.model.state_dict().items():
            torch.testing.assert_close(stacked.states[index][name], value, rtol=1e-4, atol=1e-6)


def test_a_model_learns_parity_of_four_and_is_measured(tmp_path):
    study = tiny(num_steps=150, batch_size=32, model={"d_model": 8, "solver": {"l_max": 8}}, training={})
    (entry,), source = entries_of(study), source_of(study.task)
    task = SequenceTask(study, entry, source)
    trained = train_entry(study, entry, task, tmp_path, device="cpu", num_threads=1)
    first = trained.table[trained.table.seed == 0]
    model = task.build(0)
    model.load_state_dict(trained.states[first.run.iloc[0]])
    model.eval()
    rows = {row["test_len"]: row for row in by_length(model, source, study.evaluation)}
    assert rows[2]["seq_acc"] > 0.9 and rows[2]["met"] == 1 and not trained.table.diverged.any()
    assert rows[2]["seq_acc"] <= rows[2]["token_acc"] and first.loss.iloc[-1] < 0.5
    caps = list(by_cap(model, source, study.evaluation))
    assert [row["iterations"] for row in caps] == [2, 5]
    after = measure(model, source, 2, study.evaluation)
    assert after == {k: v for k, v in rows[2].items() if k != "test_len"}  # the cap is put back
    (first, _) = parallel_and_sequential(model, source, study.evaluation)
    assert 0 <= first["low"] <= first["median"] <= first["high"] <= first["largest"]


@pytest.mark.parametrize("layer", [{}, {"layer": "baseline", "baseline": {"name": "lstm"}}])
def test_several_learning_rates_are_tried_on_other_seeds_and_the_best_one_trains_those_that_judge(tmp_path, layer):
    study = tiny(num_steps=6, lrs=[1e-5, 1e-4], tuning_seeds=[7, 8], extensions=1, models={"FP": layer})
    (entry,) = entries_of(study)
    table = train_entry(
        study, entry, SequenceTask(study, entry), tmp_path, device="cpu", num_threads=1, progress=False
    ).table
    runs = table[table.phase == "eval"]
    tried = runs[~runs.fresh].groupby("lr")
    assert list(tried.groups) == [1e-5, 1e-4, 1e-3]  # the best was at the end: on by the grid's ratio
    assert all(list(own.seed) == [7, 8] for _, own in tried)
    final = runs[runs.fresh]
    assert list(final.seed) == [0, 1] and set(final.lr) == {tried.loss.mean().idxmin()} == {1e-3}
    windows = table[table.phase == "train"].groupby("run").loss.last()
    assert runs.set_index("run").loss.to_dict() == windows.to_dict()


def test_a_program_holds_the_runs_of_one_rate(tmp_path, monkeypatch):
    """It iterates until its slowest run stops: the rates of a sweep would share the iterations of the worst."""
    programs = []

    def recorded(task, runs, *args, **options):
        programs.append([(run.lr, run.seed) for run in runs])
        return train_ensemble(task, runs, *args, **options)

    monkeypatch.setattr(train, "train_ensemble", recorded)
    study = tiny(num_steps=2, lrs=[1e-3, 1e-2], tuning_seeds=[7, 8], extensions=0)
    (entry,) = entries_of(study)
    table = train_entry(
        study, entry, SequenceTask(study, entry), tmp_path, device="cpu", num_threads=1, progress=False
    ).table
    (best,) = set(table.lr[table.fresh])
    assert programs == [[(1e-3, 7), (1e-3, 8)], [(1e-2, 7), (1e-2, 8)], [(best, 0), (best, 1)]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lrs": [1e-3, 0.0]}, "greater than 0"),
        ({"lrs": []}, "'lrs' is an empty list; fill it"),
        ({"tuning_seeds": [1, 7]}, "seed 1 judges and cannot choose the learning rate"),
    ],
)
def test_rates_and_seeds_that_cannot_tune_are_refused_before_anything_runs(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"l_max": {"FQ": [2]}}, "l_max or gamma of 'FQ', which is none of the models: FP"),
        ({"gamma": {"FQ": 4}}, "l_max or gamma of 'FQ', which is none of the models: FP"),
        ({"evaluation": {"caps": [1, 4]}}, "caps need a cap_length"),
        (
            {"evaluation": {"sequential": ["FP, l_max 8"]}},
            "sequential has 'FP, l_max 8'; models with fixed points are FP",
        ),
        ({"models": {"FP": {"layer": "baseline", "baseline": {"name": "mambo"}}}}, "did you mean 'mamba'"),
        ({"l_max": {"FP": [2, 0]}}, "greater than or equal to 1"),
    ],
)
def test_names_and_caps_that_would_measure_nothing_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        entries_of(tiny(**changes))


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu", "paper"])
def test_every_scale_compares_parallel_and_sequential_fixed_points_of_models_that_it_trains(scale):
    studies = load_config("fixed_point_rnn", scale).present()
    names = [entry.name for entry in entries_of(studies["dial"])]
    assert studies["dial"].evaluation.sequential and set(studies["dial"].evaluation.sequential) <= set(names)


@pytest.mark.parametrize("scale", ["gpu", "paper"])
def test_models_of_scales_that_are_not_run_here_take_a_step_at_small_width(scale):
    """In the precision of their scale; what they are made of, not how well they learn."""
    seen = []
    for study in load_config("fixed_point_rnn", scale).present().values():
        if study.task.kind == "text":
            continue  # as at cpu but for widths
        task = study.task.model_copy(update={"train_len": 5, "min_len": 3})
        small = study.model_copy(update={"task": task})
        for entry in entries_of(small):
            model = entry.model.model_copy(update={"d_model": 32})
            if (task.kind, model) in seen:
                continue
            seen.append((task.kind, model))
            own = SequenceTask(small, entry.model_copy(update={"model": model}))
            built = own.build(0)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=study.training.precision == "bf16"):
                loss, _ = own.loss(built, own.batch(0, range(2), 0), {})
            loss.backward()
            assert all(p.grad.isfinite().all() for p in built.parameters() if p.grad is not None), entry.name
            assert measure(built.eval(), own.source, 5, tiny().evaluation)["loss"] > 0, entry.name


def test_test_words_go_where_the_model_is():
    """As on an accelerator, of which the meta device stands in: the tokens arrive there, the scores come back."""
    own = source("word", group="Z2")

    def elsewhere(tokens):
        assert tokens.is_meta
        return Output(torch.nn.functional.one_hot(torch.zeros(tokens.shape, dtype=torch.long), 3).float(), [])

    elsewhere.settings, elsewhere.embedding = ModelSettings(), torch.nn.Embedding(3, 1, device="meta")
    found = measure(elsewhere, own, 1, tiny().evaluation)
    assert found["seq_acc"] == (own.test(1, 16)["targets"][:, 1] == 0).double().mean().item()


def test_a_sequence_meets_the_tolerance_where_it_does_in_every_layer():
    own = source("word", group="Z2")

    def two_layers(tokens):
        best = torch.tensor([[0.01, 0.01, 0.3, 0.01], [0.02, 0.2, 0.02, 0.01]])
        solutions = [Solution(torch.zeros(()), torch.tensor(n), r, r) for n, r in zip((3.0, 5.0), best, strict=True)]
        return Output(torch.nn.functional.one_hot(tokens, 3).float(), solutions)

    two_layers.settings, two_layers.embedding = ModelSettings(), torch.nn.Embedding(3, 1)
    found = measure(two_layers, own, 2, tiny(evaluation={"num_words": 4, "rows": 4}).evaluation)
    assert found["met"] == 0.5 and found["residual"] == pytest.approx(0.3) and found["iterations"] == 5


def test_parallel_and_sequential_are_compared_in_parts_of_rows():
    study = tiny(evaluation={"lengths": [3], "num_words": 6, "rows": 6})
    model = SequenceTask(study, *entries_of(study)).build(0).eval()
    tight = {"tol": 1e-6, "l_max": 200, "quantile": 1.0}
    model.evaluate_with(model.settings.solver.model_copy(update=tight))
    whole, parts = (
        list(parallel_and_sequential(model, source_of(study.task), study.evaluation.model_copy(update={"rows": rows})))
        for rows in (6, 4)
    )
    assert parts[0]["largest"] == pytest.approx(whole[0]["largest"], abs=1e-5) and parts[0]["test_len"] == 3


def test_a_word_is_right_only_if_every_position_is():
    """A model that answers x_t is right on parity where x_1 ... x_{t-1} sum to an even number."""
    study = tiny(evaluation={"num_words": 64, "rows": 48})
    own = source_of(study.task)

    def echo(tokens):
        return Output(torch.nn.functional.one_hot(tokens, 3).float(), [])

    echo.settings, echo.embedding = ModelSettings(), torch.nn.Embedding(3, 1)
    found, words = measure(echo, own, 4, study.evaluation), own.test(4, 64)["tokens"][:, 1:]
    even = torch.cat([torch.ones(64, 1, dtype=torch.bool), words.cumsum(1)[:, :-1] % 2 == 0], dim=1)
    assert found["seq_acc"] == pytest.approx(even.all(1).double().mean().item()) and 0 < found["seq_acc"] < 0.3
    assert found["token_acc"] == pytest.approx(even.double().mean().item())
    assert found["last_acc"] == pytest.approx(even[:, -1].double().mean().item())


def test_each_l_max_is_a_model_of_its_own_and_the_others_keep_theirs():
    study = tiny(
        models={"FP": {}, "other": {"mixer": {"r": 2}}, "gone": None}, l_max={"FP": [1, 2]}, gamma={"other": 4}
    )
    found = [(e.name, e.model.solver.l_max, e.model.mixer.r, e.gamma) for e in entries_of(study)]
    assert found == [("FP, l_max 1", 1, 1, None), ("FP, l_max 2", 2, 1, None), ("other", 4, 2, 4)]


def sizes_of(study):
    """Parameters of every model, counted without the text that the vocabulary would be trained on."""
    tokenizer = study.task.text.tokenizer
    words = tokenizer.num_ordinary + len(tokenizer.special_tokens)
    vocab_size = words if study.task.kind == "text" else source_of(study.task).vocab_size
    return {entry.name: num_parameters(entry.model, vocab_size) for entry in entries_of(study)}


def test_models_of_a_study_at_cpu_have_equal_parameters():
    """Counted from the objects: every width of the config was chosen for that."""
    studies = load_config("fixed_point_rnn", "cpu").present()
    assert {name for name, study in studies.items() if study.reference is None} == {"control"}  # it has one model
    for study in (s for s in studies.values() if s.reference is not None):
        sizes = sizes_of(study)
        (wanted,) = {size for name, size in sizes.items() if name.split(", l_max")[0] == study.reference}
        assert all(abs(size / wanted - 1) <= 0.1 for size in sizes.values()), sizes
    assert num_parameters(entries_of(tiny())[0].model, 3) == sum(
        p.numel() for p in SequenceTask(tiny(), entries_of(tiny())[0]).build(0).parameters()
    )


def test_the_committed_reference_has_the_parameters_that_the_config_gives():
    """A width that changes within 10 % is seen here."""
    table = read_csv(artifact_csv(PaperPaths("fixed_point_rnn", "cpu"), "tab_models", reference=True))
    wanted = table.set_index(["study", "model"]).num_params.to_dict()
    found = {}
    for name, study in load_config("fixed_point_rnn", "cpu").present().items():
        found |= {(name, model): size for model, size in sizes_of(study).items()}
    assert found == wanted


def test_a_reference_is_one_of_the_studys_models():
    with pytest.raises(ValueError, match="reference 'FQ' is none of the study's models: FP"):
        tiny(reference="FQ")


def test_refused_tasks():
    for values in ({"train_len": 3, "min_len": 4}, {"train_len": 0}, {"short_share": 1.0}):
        with pytest.raises(ValueError):
            TaskSettings(kind="word", **values)
    with pytest.raises(ValueError, match="test lengths"):
        tiny(evaluation={"lengths": [0, 2]})
