"""An ensemble gives the numbers of separate runs, whatever its members do."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared.base.seeding import torch_generator
from shared.optim.cases import CASES
from shared.optim.registry import build_optimizer
from shared.train.config import TrainingConfig
from shared.train.ensemble.training import train_ensemble
from shared.train.loop.fit import fit
from shared.train.run import Run
from shared.train.task import Task

NUM_STEPS = 50


class Net(nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3)
        for p in self.parameters():
            nn.init.normal_(p, std=0.5, generator=generator)

    def forward(self, x):
        return self.last(torch.tanh(self.norm(self.first(x))))


class Classification(Task):
    """Random classification; `growth` makes the loss overflow after a while."""

    model = Net

    def build(self, seed):
        return self.model(torch_generator(seed, "init")).double()

    def batch(self, step, rows, seed):
        generator = torch_generator(seed, "batch", step)
        x = torch.randn(len(rows), 6, generator=generator, dtype=torch.float64)
        y = torch.randint(0, 3, (len(rows),), generator=generator)
        return {"x": x, "y": y, "step": torch.full((len(rows),), float(step), dtype=torch.float64)}

    def loss(self, model, batch, values):
        log_probs = F.log_softmax(model(batch["x"]), dim=-1)
        hard = F.nll_loss(log_probs, batch["y"])
        smooth = -log_probs.mean()
        loss = (1 - values["label_smoothing"]) * hard + values["label_smoothing"] * smooth
        return loss * 10.0 ** (values["growth"] * batch["step"][0])

    def evaluation(self):
        yield self.batch(10**6, range(16), 5)
        yield self.batch(10**6 + 1, range(4), 5)

    def metrics(self, model, batch):
        logits = model(batch["x"])
        return {
            "val_loss": F.cross_entropy(logits, batch["y"]),
            "accuracy": (logits.argmax(-1) == batch["y"]).double().mean(),
        }


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(task, runs, training, **options):
    """Quietly; the models are of float64."""
    return train_ensemble(task, runs, training, progress=False, **options)


def config(**changed):
    return TrainingConfig(**dict(schedule="cosine", warmup_steps=5, log_every=10) | changed)


def one(name="a", optimizer="adam", lr=0.05, **changed):
    """A run; its loss is neither smoothed nor made to overflow."""
    quiet = {"label_smoothing": 0.0, "growth": 0.0}
    own = dict(settings={"lr": lr}, batch_size=4, num_steps=NUM_STEPS, values=quiet)
    return Run(name=name, optimizer=optimizer, **own | changed)


def runs_of(case):
    """Four runs that differ in lr, seeds, clipping, smoothing and noise; the third overflows on the way."""
    options = (
        dict(seed=0, clip_norm=None, noise_scale=0.0, values={"label_smoothing": 0.0, "growth": 0.0}),
        dict(seed=1, clip_norm=0.5, noise_scale=0.0, values={"label_smoothing": 0.2, "growth": 0.0}),
        dict(seed=2, clip_norm=None, noise_scale=0.0, values={"label_smoothing": 0.0, "growth": 15.0}),
        dict(seed=0, data_seed=7, clip_norm=1.0, noise_scale=0.1, values={"label_smoothing": 0.1, "growth": 0.0}),
    )
    return [
        one(f"{case.id} m{i}", case.name, settings=case.settings | {"lr": case.settings["lr"] / (i + 1)}, **o)
        for i, o in enumerate(options)
    ]


def decay_groups(model):
    """Matrices decay, vectors do not: the training block's default."""
    return [
        {"params": [p for p in model.parameters() if p.ndim >= 2]},
        {"params": [p for p in model.parameters() if p.ndim < 2]},
    ]


def separate_run(task, run, training):
    """Plain torch: one module, autograd, one optimiser; stops at the first loss or gradient that is not finite."""
    model = task.build(run.seed)
    decayed, kept = decay_groups(model)
    settings = dict(run.settings)
    for name in ("weight_decay", "l2"):
        kept |= {name: 0.0} if name in settings else {}
    optimizer = build_optimizer(run.optimizer, [decayed, kept], **settings)
    schedule = training.lr_multiplier(run)
    losses = []
    for step in range(run.num_steps):
        batch = task.batch(step, range(run.batch_size), run.stream_seed)
        loss = task.loss(model, batch, {k: torch.tensor(v, dtype=torch.float64) for k, v in run.values.items()})
        optimizer.zero_grad()
        loss.backward()
        if run.noise_scale:
            generator = torch_generator(run.stream_seed, "gradient noise", step)
            noise = torch.randn(sum(p.numel() for p in model.parameters()), generator=generator, dtype=torch.float64)
            for p, z in zip(model.parameters(), noise.split([p.numel() for p in model.parameters()]), strict=True):
                p.grad += run.noise_scale * z.view_as(p)
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            break
        if run.clip_norm is not None and norm > run.clip_norm:
            for p in model.parameters():
                p.grad *= run.clip_norm / norm
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * schedule(step)
        optimizer.step(loss=loss)
        losses.append(loss.item())
    return model, losses


def assert_same_parameters(state, model):
    for name, p in model.named_parameters():
        torch.testing.assert_close(state[name], p.detach(), rtol=1e-9, atol=1e-11)


@pytest.fixture(scope="module")
def whole_table():
    """All rows of the table of optimisers, four runs each, as one ensemble."""
    return train(Classification(), [run for case in CASES for run in runs_of(case)], config())


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case.id for case in CASES])
def test_members_equal_separate_runs_one_of_them_diverging(whole_table, index):
    for k in range(4 * index, 4 * index + 4):
        run, steps = whole_table.runs[k], whole_table.steps[k]
        model, losses = separate_run(Classification(), run, config())
        assert_same_parameters(whole_table.states[k], model)
        assert steps == len(losses) and whole_table.diverged[k] == (len(losses) < NUM_STEPS)
        logged = [row["loss"] for row in whole_table.rows if row["run"] == run.name and row["phase"] == "train"]
        assert logged[0] == pytest.approx(sum(losses[:10]) / 10, rel=1e-9)
    assert whole_table.diverged[4 * index : 4 * index + 4] == [False, False, True, False]


def mixed(**changed):
    """Runs under several rules, not sorted."""
    names = ("adam", "signum", "adam", "ngn_m", "sgd")
    return [one(f"{name}-{i}", name, seed=i, **changed) for i, name in enumerate(names)]


@pytest.mark.parametrize("stack", [1, 2, 3, None])
def test_rules_may_differ_and_stacks_do_not_matter(stack):
    result = train(Classification(), mixed(), config(), stack=stack)
    for run, state in zip(mixed(), result.states, strict=True):
        assert_same_parameters(state, separate_run(Classification(), run, config())[0])


class Slowed(Classification):
    """The first map learns at a tenth of the rate."""

    def build(self, seed):
        net = super().build(seed)
        for p in net.first.parameters():
            p.lr_scale = 0.1
        return net


def by_hand(run, training):
    """Torch's AdamW with a group per rate; what is no matrix does not decay."""
    model, schedule = Slowed().build(run.seed), training.lr_multiplier(run)
    groups = [
        {"params": [p], "scale": 0.1 if name.startswith("first") else 1.0, "weight_decay": 0.1 if p.ndim > 1 else 0.0}
        for name, p in model.named_parameters()
    ]
    optimizer = torch.optim.AdamW(groups)
    for step in range(run.num_steps):
        batch = Slowed().batch(step, range(run.batch_size), run.stream_seed)
        optimizer.zero_grad()
        Slowed().loss(model, batch, {k: torch.tensor(v, dtype=torch.float64) for k, v in run.values.items()}).backward()
        for group in optimizer.param_groups:
            group["lr"] = group["scale"] * run.lr * schedule(step)
        optimizer.step()
    return model


def test_parameters_with_a_rate_of_their_own_learn_at_it_alone_and_stacked():
    runs = [one(f"{i}", "adamw", seed=i, settings={"lr": 0.05, "weight_decay": 0.1}) for i in range(3)]
    result = train(Slowed(), runs, config())
    for run, state in zip(runs, result.states, strict=True):
        assert_same_parameters(state, by_hand(run, config()))
    alone = fit(Slowed(), runs[0], config(), progress=False)
    assert_same_parameters(alone.model.state_dict(), by_hand(runs[0], config()))
    assert [row["lr"] for row in alone.rows if row["phase"] == "train"] == pytest.approx(
        [row["lr"] for row in result.rows if row["phase"] == "train" and row["run"] == "0"]
    )
    with pytest.raises(ValueError, match="under adam and adamw only"):
        train(Slowed(), [one(optimizer="signum")], config())


def test_members_on_one_data_order_share_the_batch():
    runs = [one(f"{i}", seed=i, data_seed=3, num_steps=5) for i in range(3)]
    drawn = []

    class Counting(Classification):
        def batch(self, step, rows, seed):
            drawn.append((step, seed))
            return super().batch(step, rows, seed)

    result = train(Counting(), runs, config())
    assert [d for d in drawn if d[0] < 5] == [(step, 3) for step in range(5)]
    for run, state in zip(runs, result.states, strict=True):
        assert_same_parameters(state, separate_run(Classification(), run, config())[0])


def test_an_absolute_floor_counts_per_member():
    training = config(schedule="linear", min_lr=1e-4)
    runs = [one(f"{lr}", "signsgd", lr) for lr in (1e-3, 1e-2)]
    result = train(Classification(), runs, training)
    for run, state in zip(runs, result.states, strict=True):
        assert_same_parameters(state, separate_run(Classification(), run, training)[0])


def test_evaluation_is_the_mean_over_held_out_rows():
    result = train(Classification(), runs_of(CASES[0]), config(eval_every=25))
    rows = [row for row in result.rows if row["phase"] == "eval"]
    assert [(row["run"][-2:], row["step"]) for row in rows] == [
        ("m0", 25),
        ("m1", 25),
        ("m3", 25),
        ("m0", 50),
        ("m1", 50),
        ("m3", 50),
    ]
    model, _ = separate_run(Classification(), result.runs[1], config())
    batches = list(Classification().evaluation())
    losses = torch.cat([F.cross_entropy(model(b["x"]), b["y"], reduction="none") for b in batches])
    assert result.last("val_loss")[result.runs[1].name] == pytest.approx(losses.mean().item(), rel=1e-9)
    assert math.isnan(result.last("val_loss")[result.runs[2].name])


def test_table_has_settings_as_columns():
    table = train(Classification(), mixed(), config()).table()
    assert set(table["optimizer"]) == {"adam", "signum", "ngn_m", "sgd"}
    assert {"lr", "beta1", "clip_norm", "noise_scale", "label_smoothing", "diverged", "effective_lr"} <= set(table)
    assert len(table[table["phase"] == "train"]) == 5 * 5


# --- resume ---------------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


class Dying(Classification):
    def __init__(self, at):
        self.at = at

    def batch(self, step, rows, seed):
        if step == self.at:
            raise Killed
        return super().batch(step, rows, seed)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name in ("adam", "momo", "ngn_md", "sgd")][::2], ids=lambda c: c.id
)
def test_resumed_ensemble_ends_with_the_same_bits(case, tmp_path):
    training, runs = config(checkpoint_every=8, eval_every=20), runs_of(case)
    undisturbed = train(Classification(), runs, training)
    for at in (13, 37):
        with pytest.raises(Killed):
            train(Dying(at), runs, training, checkpoint_dir=tmp_path)
    resumed = train(Classification(), runs, training, checkpoint_dir=tmp_path)
    assert resumed.provenance["resumed_at_steps"] == [8, 32]
    assert repr(resumed.rows) == repr(undisturbed.rows)  # repr: a diverged row may hold NaN
    assert resumed.diverged == undisturbed.diverged
    for ours, theirs in zip(resumed.states, undisturbed.states, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    again = train(Dying(0), runs, training, checkpoint_dir=tmp_path)
    assert repr(again.rows) == repr(undisturbed.rows) and again.steps == undisturbed.steps


def test_checkpoint_of_other_runs_is_refused(tmp_path):
    train(Classification(), mixed(), config(), checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=r"run 0.lr \(there 0.05, now 0.1\)"):
        train(Classification(), [one("adam-0", lr=0.1), *mixed()[1:]], config(), checkpoint_dir=tmp_path)


# --- what cannot be an ensemble -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (lambda: [one(settings={"lr": 0.1, "beta": 0.9})], "unknown hyperparameter 'beta'"),
        (lambda: [one(), one()], "'a' occurs more than once"),
        (lambda: [], "at least one run"),
        (lambda: [one(), one("b", values={})], "all runs need the same loss values; 'b' has"),
        (lambda: [one(), one("b", batch_size=8)], "share model, batch size and number of steps; 'b' has 8 rows"),
    ],
)
def test_runs_that_do_not_fit_are_refused(runs, words):
    with pytest.raises(ValueError, match=words):
        train(Classification(), runs(), config())


def test_what_the_loop_alone_can_do_is_refused():
    for changed in ({"precision": "fp16"}, {"grad_accumulation_steps": 2}):
        with pytest.raises(ValueError, match="use the training loop"):
            train(Classification(), mixed(), config(**changed))


class WithDropout(Net):
    def __init__(self, generator):
        super().__init__(generator)
        self.drop = nn.Dropout(0.1)


class Branching(Net):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else self.last(self.first(x))


def test_models_that_cannot_be_mapped_are_refused():
    task = Classification()
    task.model = WithDropout
    with pytest.raises(ValueError, match="set dropout of 'drop' to 0"):
        train(task, [one()], config())
    task.model = Branching
    with pytest.raises(ValueError, match="cannot be mapped over members"):
        train(task, [one(), one("b", seed=3)], config())


def test_negative_loss_is_refused_where_the_step_depends_on_it():
    class Negative(Classification):
        def loss(self, model, batch, values):
            return super().loss(model, batch, values) - 100

    with pytest.raises(ValueError, match="ngn_m needs a loss >= 0; ngn_m-3 has"):
        train(Negative(), mixed(), config())
