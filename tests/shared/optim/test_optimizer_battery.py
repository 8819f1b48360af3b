"""Every optimiser and setting of the table, the same properties."""

import inspect
import io
import math

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.optim.cases import CASES
from shared.optim.registry import MODULES, OPTIMIZERS, RULES, build_optimizer, get_rule
from shared.optim.rule import Rule
from shared.optim.vectors import Leaves

SHAPES = ((3, 2), (4,), (1, 5))
SIZES = [math.prod(shape) for shape in SHAPES]
CURVATURE = torch.linspace(0.3, 3.0, sum(SIZES), dtype=torch.float64)
all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def start(*purpose):
    return torch.randn(sum(SIZES), generator=torch_generator(0, "start", *purpose), dtype=torch.float64)


def split(flat):
    return [part.reshape(shape).clone() for part, shape in zip(flat.split(SIZES), SHAPES, strict=True)]


def joined(params):
    return torch.cat([p.detach().reshape(-1) for p in params])


def batch_loss(x, step, scale=1.0):
    """A quadratic whose minimiser moves with the step, as with minibatches; positive everywhere."""
    shift = 0.1 * torch.randn(sum(SIZES), generator=torch_generator(1, "batch", step), dtype=torch.float64)
    return scale * (0.5 * (CURVATURE * (x - shift) ** 2).sum(-1, keepdim=True) + 0.1)


def gradient(x, step, scale=1.0):
    x = x.detach().requires_grad_()
    loss = batch_loss(x, step, scale)
    return torch.autograd.grad(loss.sum(), x)[0], loss.detach()


def train(optimizer, params, steps, scale=1.0):
    for step in steps:
        grads, loss = gradient(joined(params), step, scale)
        for p, g in zip(params, split(grads), strict=True):
            p.grad = g
        optimizer.step(loss=loss.squeeze())
    return joined(params)


def run_rule(case, x, num_steps, scale=1.0, **changed):
    rule = get_rule(case.name)
    hyper = rule.resolve(case.settings | changed)
    state = rule.init(x)
    for step in range(num_steps):
        g, loss = gradient(x, step, scale)
        x, state = rule.step(x, g, state, hyper, loss)
    return x


def parameters(flat):
    return [torch.nn.Parameter(p) for p in split(flat)]


@all_cases
def test_loss_falls_on_a_quadratic(case):
    x = start()
    final = run_rule(case, x, 150)
    assert batch_loss(final, 0) < 0.35 * batch_loss(x, 0)


@all_cases
def test_class_on_separate_tensors_equals_formula_on_one_flat_vector(case):
    params = parameters(start())
    result = train(build_optimizer(case.name, params, **case.settings), params, range(20))
    # Only the order of summation in norms differs.
    torch.testing.assert_close(result, run_rule(case, start(), 20), rtol=1e-11, atol=1e-13)


@all_cases
def test_members_with_different_settings_equal_separate_runs(case):
    rule = get_rule(case.name)
    factors = torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64)
    settings = [rule.resolve(case.settings | {"lr": case.settings["lr"] * f.item()}) for f in factors]
    hyper = {k: torch.tensor([[s[k]] for s in settings], dtype=torch.float64) for k in rule.hyper}
    x = torch.stack([start(m) for m in range(3)])
    state = rule.init(x)
    for step in range(20):
        g, loss = gradient(x, step)
        x, state = rule.step(x, g, state, hyper, loss)
    alone = torch.stack([run_rule(case, start(m), 20, lr=settings[m]["lr"]) for m in range(3)])
    torch.testing.assert_close(x, alone, rtol=1e-11, atol=1e-13)


@all_cases
def test_two_groups_with_equal_settings_equal_one(case):
    one, two = parameters(start()), parameters(start())
    whole = train(build_optimizer(case.name, one, **case.settings), one, range(10))
    groups = [{"params": two[:1]}, {"params": two[1:]}]
    parts = train(build_optimizer(case.name, groups, **case.settings), two, range(10))
    assert torch.equal(whole, parts)


@all_cases
def test_groups_may_differ_in_learning_rate(case):
    """A group with a hundred times smaller rate moves less at the first step, the other as before or by a new norm."""
    params = parameters(start())
    low = {"params": params[1:], "lr": case.settings["lr"] / 100}
    optimizer = build_optimizer(case.name, [{"params": params[:1]}, low], **case.settings)
    before = joined(params)
    moved = (train(optimizer, params, range(1)) - before).abs()
    uniform = (
        train(build_optimizer(case.name, same := parameters(start()), **case.settings), same, range(1)) - before
    ).abs()
    assert torch.all(moved[SIZES[0] :] < uniform[SIZES[0] :])
    assert torch.any(moved[: SIZES[0]] > 0)
    train(optimizer, params, range(1, 5))  # states that differ by group are read back


@all_cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_dict_round_trip_continues_bitwise(case, dtype):
    def fresh(flat):
        params = [torch.nn.Parameter(p.to(dtype)) for p in split(flat)]
        return params, build_optimizer(case.name, params, **case.settings)

    params, optimizer = fresh(start())
    train_typed(optimizer, params, range(7), dtype)
    file = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "params": [p.detach() for p in params]}, file)
    undisturbed = train_typed(optimizer, params, range(7, 15), dtype)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed, optimizer = fresh(start("other"))
    for p, value in zip(resumed, saved["params"], strict=True):
        p.data.copy_(value)
    optimizer.load_state_dict(saved["optimizer"])
    assert torch.equal(train_typed(optimizer, resumed, range(7, 15), dtype), undisturbed)


def train_typed(optimizer, params, steps, dtype):
    for step in steps:
        grads, loss = gradient(joined(params).double(), step)
        for p, g in zip(params, split(grads), strict=True):
            p.grad = g.to(dtype)
        optimizer.step(loss=loss.squeeze().to(dtype))
    return joined(params)


@pytest.mark.parametrize("case", [case for case in CASES if case.scaling], ids=lambda case: case.id)
def test_scaling_the_loss(case):
    a = 8.0
    changed = {"eps": 0.0} if "eps" in get_rule(case.name).hyper else {}
    scaled = dict(changed)
    if case.scaling == "inverse_lr":
        scaled |= {"lr": case.settings["lr"] / a}
        scaled |= {k: v * a for k, v in case.settings.items() if k == "weight_decay"}
    reference = run_rule(case, start(), 12, **changed)
    torch.testing.assert_close(run_rule(case, start(), 12, scale=a, **scaled), reference, rtol=1e-10, atol=1e-12)


@all_cases
def test_coordinates_without_gradient_stay_finite(case):
    """Rows of an embedding that no token used; and a batch that is fitted exactly."""
    rule = get_rule(case.name)
    x = start()
    hyper = rule.resolve(case.settings)
    state = rule.init(x)
    for g, loss in ((x * (torch.arange(len(x)) > 7), 1.0), (torch.zeros_like(x), 0.0)):
        x, state = rule.step(x, g, state, hyper, torch.tensor([loss], dtype=torch.float64))
        assert torch.isfinite(x).all()


decaying = [case for case in CASES if case.settings.get("weight_decay") or case.settings.get("l2")]


@pytest.mark.parametrize("case", decaying, ids=lambda case: case.id)
def test_decay_mask_exempts_coordinates(case):
    rule, x = get_rule(case.name), start()
    mask = (torch.arange(len(x)) % 2).double()
    g, loss = gradient(x, 0)

    def step(**changed):
        return rule.step(x, g, rule.init(x), rule.resolve(case.settings | changed) | extra, loss)[0]

    extra = {}
    none, full = step(**{k: 0.0 for k in ("weight_decay", "l2") if k in case.settings}), step()
    extra = {"decay_mask": mask}
    masked = step()
    extra = {"decay_mask": torch.ones_like(mask)}
    everywhere = step()
    torch.testing.assert_close(everywhere, full, rtol=1e-13, atol=1e-15)
    if case.name not in ("momo", "momo_adam", "ngn_mdw"):  # there the decay enters the common step size
        torch.testing.assert_close(masked, torch.where(mask == 1, full, none), rtol=1e-13, atol=1e-15)
    assert not torch.equal(masked, full)


@pytest.mark.parametrize("name", sorted(RULES))
def test_values_out_of_range_are_refused_in_a_sentence(name):
    rule = get_rule(name)
    base = {"lr": 0.1}
    for key, limits in rule.hyper.items():
        bad = [math.nan, limits.low - 1.0] if math.isfinite(limits.low) else [math.nan]
        bad += [limits.high] if math.isfinite(limits.high) and not limits.closed_high else []
        bad += [limits.low] if not limits.closed_low else []
        for value in bad:
            with pytest.raises(ValueError, match=rf"{key} of optimiser '{rule.name}' must lie in .*; got"):
                rule.resolve(base | {key: value})
    with pytest.raises(ValueError, match="needs a value for 'lr'"):
        rule.resolve({})
    with pytest.raises(ValueError, match="unknown hyperparameter 'weigth_decay'"):
        rule.resolve(base | {"weigth_decay": 0.1})
    with pytest.raises(ValueError, match="must be a number"):
        rule.resolve({"lr": "1e-3"})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [n for n in sorted(RULES) if "eps" in RULES[n].hyper])
def test_without_eps_an_untouched_coordinate_stays_and_the_others_move(name, dtype):
    """A row of an embedding whose token was not seen: 0 / 0 without care."""
    rule = get_rule(name)
    mollified = {"eps_inside": 1e-6} if name == "soft_signum" else {}
    p, g = torch.tensor([1.0, -2.0], dtype=dtype), torch.tensor([0.0, 0.3], dtype=dtype)
    state, hyper = rule.init(p), rule.resolve({"lr": 0.1, "eps": 0.0} | mollified)
    hyper |= {k: 0.0 for k in ("weight_decay", "l2") if k in hyper}
    for _ in range(3):
        p, state = rule.step(p, g, state, hyper, torch.tensor([1.0], dtype=torch.float64))
    assert p[0] == 1.0 and torch.isfinite(p).all() and p[1] < -2.0
    leaves, nothing = Leaves([torch.ones(1, dtype=dtype)]), Leaves([torch.zeros(1, dtype=dtype)])
    still, _ = rule.step(leaves, nothing, rule.init(leaves), hyper, torch.tensor(1.0, dtype=torch.float64))
    assert still.items[0].item() == 1.0


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_class_without_settings_has_the_defaults_of_its_rule(name):
    cls = OPTIMIZERS[name]
    optimizer = cls(parameters(start()), lr=0.1)
    found = {k: v for k, v in optimizer.defaults.items() if k not in ("betas", "lr")}
    found |= dict(zip(("beta1", "beta2"), optimizer.defaults.get("betas", ()), strict=False))
    assert found == {k: v for k, v in cls.rule.defaults().items() if k != "lr"}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_argument_is_named_and_documented(name):
    shown = inspect.signature(OPTIMIZERS[name]).parameters
    assert list(shown)[:2] == ["params", "lr"]
    for argument in list(shown)[1:]:
        assert f"    {argument}: " in OPTIMIZERS[name].__doc__
    assert all(limits.meaning for limits in RULES[name].hyper.values())


def test_arguments_follow_torch():
    shown = inspect.signature(OPTIMIZERS["adamw"]).parameters
    theirs = inspect.signature(torch.optim.AdamW).parameters
    assert all(shown[k].default == theirs[k].default for k in ("betas", "eps", "weight_decay"))
    by_position = OPTIMIZERS["adamw"](parameters(start()), 0.1, (0.8, 0.9))
    assert by_position.defaults["lr"] == 0.1 and by_position.defaults["betas"] == (0.8, 0.9)
    with pytest.raises(TypeError, match="missing a required argument: 'lr'"):
        OPTIMIZERS["adamw"](parameters(start()))


def test_groups_take_betas_as_a_pair():
    with pytest.raises(ValueError, match="a parameter group of AdamW takes the pair 'betas'"):
        build_optimizer("adamw", [{"params": parameters(start()), "beta1": 0.5}], lr=0.1)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_classes_refuse_what_rules_refuse(name):
    with pytest.raises(ValueError, match="lr of optimiser"):
        build_optimizer(name, parameters(start()), lr=-1.0)
    with pytest.raises(ValueError, match=r"takes .*; got lr, nonsense"):
        build_optimizer(name, parameters(start()), lr=0.1, nonsense=1.0)
    with pytest.raises(ValueError, match="unknown hyperparameter 'mometum'"):
        build_optimizer(name, [{"params": parameters(start()), "mometum": 0.9}], lr=0.1)


@pytest.mark.parametrize("name", [n for n in sorted(OPTIMIZERS) if RULES[n].needs_loss])
def test_loss_dependent_steps_need_a_valid_loss(name):
    params = parameters(start())
    optimizer = build_optimizer(name, params, lr=0.1)
    for p in params:
        p.grad = torch.ones_like(p)
    with pytest.raises(ValueError, match=r"call step\(loss=loss\)"):
        optimizer.step()
    for value in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="finite loss >= 0"):
            optimizer.step(loss=value)
    optimizer.step(lambda: torch.tensor(1.0))
    assert all(int(state["step"]) == 1 for state in optimizer.state.values())


def test_sparse_gradients_are_refused():
    table = torch.nn.Embedding(4, 2, sparse=True)
    optimizer = build_optimizer("sgd", table.parameters(), lr=0.1)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match="dense gradients only"):
        optimizer.step()


def test_unknown_optimiser_names_the_nearest():
    with pytest.raises(ValueError, match="unknown optimiser 'signnum'; did you mean 'signum'"):
        build_optimizer("signnum", parameters(start()), lr=0.1)


def test_every_declared_rule_has_a_class_and_a_row():
    declared = {value.name for module in MODULES for value in vars(module).values() if isinstance(value, Rule)}
    assert {case.name for case in CASES} == set(RULES) == set(OPTIMIZERS) == declared


def test_schedulers_of_torch_drive_the_rate():
    params = parameters(start())
    optimizer = build_optimizer("signsgd", params, lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    train(optimizer, params, range(1))
    scheduler.step()
    before = joined(params)
    moved = (train(optimizer, params, range(1)) - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.25), rtol=1e-12, atol=0)


def test_leaves_calculate_like_one_vector():
    a, b = start("a"), start("b")
    one, two = Leaves(split(a)), Leaves(split(b))
    per_leaf = Leaves([1.0, 2.0, 3.0])
    spread = torch.cat([torch.full((n,), v, dtype=torch.float64) for n, v in zip(SIZES, per_leaf.items, strict=True)])
    for result, expected in (
        (one + two, a + b),
        (one - 2.0, a - 2.0),
        (3.0 - one, 3.0 - a),
        (2.0 / one, 2.0 / a),
        (per_leaf * one, spread * a),
        ((1 - per_leaf**2) * one / per_leaf, (1 - spread**2) * a / spread),
        ((one * one).sqrt() - one.abs() + one.sign(), a.sign()),
        (-one, -a),
    ):
        torch.testing.assert_close(joined(result.items), expected, rtol=1e-14, atol=1e-15)
