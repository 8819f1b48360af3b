"""The steps' own pieces: flat networks, clients, recorded rows."""

import math

import pandas as pd
import pytest
import torch

from papers.distributed_sde.cells import build_method as toy_method
from papers.distributed_sde.cells import cell_rows, checkpoints
from papers.distributed_sde.clients import Clients, SimulatedClients, train
from papers.distributed_sde.full_batch import run_rows, status_of
from papers.distributed_sde.network_settings import MinibatchStudies, NetworkSpec, Rule, label_entropy
from papers.distributed_sde.problem import Problem
from papers.distributed_sde.quadratics import one_step_moments
from papers.distributed_sde.rules import build_method
from papers.distributed_sde.settings import ToyCell
from papers.distributed_sde.theory import equal_clients
from shared.artifacts.config import load_config, load_shards
from shared.optim.compression import Bernoulli, Identity
from shared.optim.distributed import DistributedMethod, Normalisation
from shared.optim.draws import joint_draws
from shared.optim.gradient_noise import GradientNoise

SMOKE = load_config("distributed_sde", "smoke")
TINY = NetworkSpec(data="digits", max_images=64, mlp={"widths": [64, 4, 10]})


@pytest.fixture(scope="module")
def problem():
    return Problem(TINY)


def test_gradients_of_several_parameter_vectors_are_those_of_each(problem):
    xs = torch.stack([problem.initial(seed) for seed in (0, 1)])
    grads, losses = problem.full_batch(xs)
    for index in range(2):
        x = xs[index].clone().requires_grad_()
        loss = problem.loss(x, problem.images, problem.labels)
        (grad,) = torch.autograd.grad(loss, x)
        assert grads[index].allclose(grad, atol=1e-6) and losses[index].allclose(loss, atol=1e-6)
    assert not xs[0].equal(xs[1])


def test_clients_hold_disjoint_shards_and_batches_depend_on_seed_client_and_step_alone(problem):
    shards = [problem.shard(client, 4)[0] for client in range(4)]
    assert [len(s) for s in shards] == [16] * 4 and torch.cat(shards).equal(problem.images)
    first = problem.batch(1, 4, 8, 0, 3)[0]
    assert first.equal(problem.batch(1, 4, 8, 0, 3)[0])
    assert not first.equal(problem.batch(1, 4, 8, 0, 4)[0]) and not first.equal(problem.batch(1, 4, 8, 1, 3)[0])


def test_clients_without_noise_that_see_everything_descend_the_gradient(problem):
    method = DistributedMethod(0.1, 1, GradientNoise(), Bernoulli(1.0))
    clients, x = SimulatedClients(problem, method, 4096, 0), problem.initial(0)
    u, loss = clients.message_mean(x, 0)
    grads, losses = problem.full_batch(x.unsqueeze(0))
    assert float((u - grads[0]).norm() / grads.norm()) < 0.15  # 4096 draws of 64 images with replacement
    assert loss == pytest.approx(float(losses), rel=0.05)


def test_training_stops_where_it_diverges_and_says_so(problem):
    method = DistributedMethod(1e9, 2, GradientNoise(), Bernoulli(1.0))
    rule = Rule(name="huge", lr=1e9)
    states = list(train(SimulatedClients(problem, method, 8, 0), rule, None, problem.initial(0), 50))
    assert states[-1].diverged and math.isinf(states[-1].loss) and len(states) < 51
    assert not any(state.diverged for state in states[:-1])


def test_normalised_rules_use_kappa_or_leave_it_out():
    studies: MinibatchStudies = SMOKE.minibatch.model_copy(update={"s1": 0.1})
    study = studies.dcsgd
    methods = {rule.normalised: build_method(study, rule, 255, studies, 2410) for rule in study.rules}
    kappa, _ = equal_clients(2410, 8, 255, 0.0, 0.1)
    assert methods["none"][0].normalisation is None
    assert methods["plain"][0].normalisation.kappa == 1.0 and methods["kappa"][0].normalisation.kappa == kappa
    g = torch.tensor(3.0)
    assert float(2.0 * methods["plain"][0].normalisation.factor(g)) == pytest.approx(2 / (1 + 3))


def test_rows_of_a_diverged_run_are_infinite_and_those_of_others_are_not(problem):
    studies = SMOKE.network
    study = studies.dcsgd.model_copy(update={"num_steps": 30, "every": 5, "seeds": [0, 1]})
    rows = pd.DataFrame(run_rows(problem, study, Rule(name="huge", lr=1e6), 255, studies))
    assert (rows.status == "diverged").all() and rows.max_over_initial.map(math.isinf).all()
    assert rows[rows.step == 30].loss.map(math.isinf).all() and rows[rows.step == 0].loss.map(math.isfinite).all()
    calm = pd.DataFrame(run_rows(problem, study, Rule(name="small", lr=1e-3), 0, studies))
    assert (calm.status == "finite").all() and len(calm) == 14 and calm.loss.map(math.isfinite).all()


def test_a_run_that_ends_far_above_its_first_loss_has_diverged():
    assert status_of(2.3, 2.4) == status_of(2.3, 6.8) == "finite" and status_of(2.3, 7.0) == "diverged"
    assert status_of(2.3, math.inf) == status_of(2.3, math.nan) == "diverged"


def test_a_network_whose_loss_is_huge_but_finite_has_diverged(problem):
    study = SMOKE.network.dcsgd.model_copy(update={"num_steps": 6, "every": 2, "seeds": [0]})
    rows = pd.DataFrame(run_rows(problem, study, Rule(name="large", lr=30.0), 0, SMOKE.network))
    assert rows.loss.map(math.isfinite).all() and rows.loss.iloc[-1] > 3 * rows.loss.iloc[0]
    assert (rows.status == "diverged").all()


def test_a_study_has_rows_at_even_steps_or_evenly_in_the_logarithm():
    study = SMOKE.network.dcsgd
    assert study.model_copy(update={"num_steps": 9, "every": 4}).recorded == [0, 4, 8, 9]
    long = study.model_copy(update={"num_steps": 1000, "every": None, "per_decade": 1})
    assert long.recorded == [0, 1, 10, 100, 1000]
    with pytest.raises(ValueError, match="give one of them"):
        type(study)(**study.model_dump() | {"per_decade": 3})


def test_clients_draw_different_batches_from_their_own_shards(problem):
    size = len(problem.images) // 4
    for client in range(4):
        images, _ = problem.batch(client, 4, 32, 0, 3)
        own = problem.images[client * size : (client + 1) * size]
        assert all((own == image).all(-1).any() for image in images)
    spy = Spy(problem)
    SimulatedClients(spy, DistributedMethod(0.1, 4, GradientNoise(), Bernoulli(1.0)), 8, 0).message_mean(
        problem.initial(0), 5
    )
    assert spy.asked == [(client, 4, 8, 0, 5) for client in range(4)]


class Spy:
    """A problem that notes which batches it is asked for."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.asked, self.loss, self.device = problem, [], problem.loss, problem.device

    def batch(self, *asked: int):
        self.asked.append(asked)
        return self.problem.batch(*asked)


def test_steps_are_normalised_by_the_gradient_and_not_by_the_message():
    # clients that send twenty times the gradient: |u| = 20 |g| would shrink the step twentyfold
    class Loud(Clients):
        def message_mean(self, x, step):
            return 20 * x, 0.0

    normalisation = Normalisation(0.0, 1.0)
    states = list(train(Loud(), Rule(name="r", lr=1.0), normalisation, torch.tensor([3.0, 4.0]), 1, ema=0.0))
    # the server knows |u| = 100 only: h = 2 eps / 100
    assert states[1].x.allclose(torch.tensor([3.0, 4.0]) * (1 - 20 / 100))
    method = DistributedMethod(1.0, 1, GradientNoise(), Twice(), normalisation=normalisation)
    x = torch.tensor([[3.0, 4.0]])
    # in the toys |g| is known: h = 2 eps / 5, and u = 2 g
    assert method.step(x, x, 0, joint_draws(0, "test")).allclose(x - 2 * x / 5)


class Twice(Identity):
    """A compressor that sends twice what it is given."""

    def __call__(self, v, stream):
        return 2 * v


def test_checkpoints_rise_and_end_with_the_run():
    assert checkpoints(1000, 1) == [1, 10, 100, 1000]
    assert checkpoints(500, 2)[-1] == 500 and checkpoints(500, 6) == sorted(set(checkpoints(500, 6)))


def test_toy_cells_take_kappa_from_the_theorem_and_gnorm_leaves_it_out():
    cell = dict(decay="constant", lr=1, noise="affine", scale=0.2, omega=15, x0=30)
    full = toy_method(ToyCell(method="normalised", **cell), SMOKE.toys).normalisation
    plain = toy_method(ToyCell(method="gnorm", **cell), SMOKE.toys).normalisation
    assert full.kappa == pytest.approx(1 + (15 + 16 * 0.04 * 16) / 8) and plain.kappa == 1.0
    assert (full.l0, full.l1) == (4.0, 3.0)


def test_a_cell_counts_its_diverged_runs_in_the_quantiles():
    settings = SMOKE.toys.model_copy(update={"num_steps": 100, "num_runs": 8})
    cell = ToyCell(method="DCSGD", decay="constant", lr=0.05, noise="affine", scale=0.2, omega=15, x0=30)
    last = list(cell_rows(cell, settings, "cpu"))[-1]
    assert last["share_diverged"] == 1.0 and math.isinf(last["median_g2"]) and math.isnan(last["median_g2_alive"])


def test_a_cell_judges_divergence_by_the_loss():
    settings = SMOKE.toys.model_copy(update={"num_steps": 100, "num_runs": 40, "function": "parabola"})
    # an unstable step on the parabola: 1.3^2k passes ten after five steps, and 1e8 only after seventy
    cell = ToyCell(method="DSGD", decay="constant", lr=2.3, noise="affine", scale=0.0, omega=0, x0=1)
    shares = {row["k"]: row["share_diverged"] for row in cell_rows(cell, settings, "cpu")}
    assert shares[1] == 0 and shares[10] == 1.0


def test_the_one_step_ratio_does_not_depend_on_the_direction_for_the_sparsifier():
    point = SMOKE.linear.threshold_points[1]
    along, square = one_step_moments(point, 4000, 0)
    kappa, _ = equal_clients(point.d, point.num_clients, point.omega, 0.0, point.s1)
    assert float(along.mean()) == pytest.approx(1.0, abs=0.03)
    assert float(square.mean()) == pytest.approx(kappa, rel=0.05)


def test_shards_leave_out_what_their_job_does_not_read():
    shards = load_shards("distributed_sde", "cpu")
    assert list(shards["toy"]) == ["toy-00", "toy-01"] and len(shards["toy"]["toy-01"].toys.cells) == 7
    assert shards["network"]["dsign"].studies.dcsgd.method == "DSignSGD"
    assert load_shards("distributed_sde", "paper")["minibatch"]["resnet18"].num_gpus == 8


def test_a_loss_with_smoothed_labels_is_a_divergence_whose_minimum_is_zero():
    problem = Problem(TINY.model_copy(update={"label_smoothing": 0.2}))
    weights, labels = problem.initial(0), problem.labels[:3]
    given = problem.loss(weights, problem.images[:3], labels)
    target = torch.full((3, 10), 0.02).scatter(1, labels[:, None], 0.82)
    pieces = dict(zip(problem.names, weights.split([s.numel() for s in problem.shapes]), strict=True))
    shaped = {name: piece.view(shape) for (name, piece), shape in zip(pieces.items(), problem.shapes, strict=True)}
    logs = torch.func.functional_call(problem.skeleton, shaped, (problem.images[:3],)).log_softmax(-1)
    assert float(given) == pytest.approx(float((target * (target.log() - logs)).sum(-1).mean()), abs=1e-6)
    assert label_entropy(0.0) == 0 and label_entropy(1.0) == pytest.approx(math.log(10))
