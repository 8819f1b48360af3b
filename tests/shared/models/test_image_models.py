"""ResNet and vision transformer: shapes, sizes, locality of a sample, per-client gradients."""

import pytest
import torch
from torch.func import functional_call, grad, vmap

from shared.base.seeding import torch_generator
from shared.models.image_config import ResNetConfig, ViTConfig
from shared.models.resnet import ResNet
from shared.models.vit import VisionTransformer

SMALL_RESNET = ResNetConfig(num_classes=4, widths=(8, 16), blocks=(1, 1), num_groups=4)
SMALL_VIT = ViTConfig(num_classes=4, image_size=8, patch_size=4, d_model=16, num_layers=1, num_heads=2)


def models():
    return [ResNet(SMALL_RESNET, torch_generator(0)), VisionTransformer(SMALL_VIT, torch_generator(0))]


def images(count):
    return torch.randn(count, 3, 8, 8, generator=torch_generator(1))


@pytest.mark.parametrize("index", [0, 1])
def test_logits_have_the_shape_and_a_sample_does_not_see_the_others(index):
    model, batch = models()[index].eval(), images(5)
    logits = model(batch)
    assert logits.shape == (5, 4)
    assert logits[2:3].allclose(model(batch[2:3]), atol=1e-5)


@pytest.mark.parametrize("index", [0, 1])
def test_the_same_generator_gives_the_same_weights_and_leaves_the_global_state(index):
    before = torch.get_rng_state()
    one, two = models()[index].state_dict(), models()[index].state_dict()
    assert all(one[name].equal(two[name]) for name in one) and torch.get_rng_state().equal(before)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.filterwarnings("ignore:There is a performance drop")  # fused attention has no batching rule on a CPU
def test_gradients_of_clients_under_vmap_equal_those_one_by_one(index):
    model, batch = models()[index], images(6).view(3, 2, 3, 8, 8)
    params = {name: p.detach() for name, p in model.named_parameters()}

    def loss(params, x):
        return functional_call(model, params, (x,)).square().mean()

    together = vmap(grad(loss), in_dims=(None, 0))(params, batch)
    for client in range(3):
        alone = grad(loss)(params, batch[client])
        for name in params:
            assert together[name][client].allclose(alone[name], rtol=1e-4, atol=1e-5), name


def test_default_configurations_have_the_published_sizes():
    # ResNet-18 for CIFAR: 11.17 million parameters (He et al. with a 3x3 stem and ten classes)
    assert ResNet(ResNetConfig(num_classes=10)).num_params == 11_173_962
    assert 2.6e6 < VisionTransformer(ViTConfig(num_classes=10)).num_params < 2.8e6  # 12 d^2 per block, d = 192


def test_stages_halve_the_resolution_and_batch_norm_can_be_chosen():
    config = SMALL_RESNET.model_copy(update={"norm": "batch"})
    model = ResNet(config)
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert model.blocks(torch.zeros(1, 8, 8, 8)).shape == (1, 16, 4, 4)


def test_patches_are_cut_row_by_row():
    x = torch.arange(64.0).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    patches = models()[1].cut(x)
    assert patches.shape == (1, 4, 48)
    assert patches[0, 1, :16].tolist() == x[0, 0, :4, 4:].flatten().tolist()
    assert patches[0, 2, 16:32].tolist() == x[0, 1, 4:, :4].flatten().tolist()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ViTConfig(num_classes=10, image_size=30), "has to divide image_size 30"),
        (lambda: ResNetConfig(num_classes=10, widths=(6, 8), blocks=(1, 1), num_groups=4), "does not divide 6"),
        (lambda: ResNetConfig(num_classes=10, widths=(8,)), "name the same stages"),
        (lambda: models()[0](torch.zeros(2, 1, 8, 8)), r"images are \(N, 3, H, W\)"),
        (lambda: models()[1](torch.zeros(2, 3, 9, 9)), r"images are \(N, 3, 8, 8\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
