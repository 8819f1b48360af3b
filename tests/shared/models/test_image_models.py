"""ResNet, VGG and vision transformer: shapes, sizes, locality of a sample, per-client gradients."""

import pytest
import torch
from torch.func import functional_call, grad, vmap

from shared.base.seeding import torch_generator
from shared.models.densenet import DenseNet
from shared.models.image_config import DenseNetConfig, ResNetConfig, VGGConfig, ViTConfig
from shared.models.resnet import ResNet, ZeroShortcut
from shared.models.vgg import VGG
from shared.models.vit import VisionTransformer
from shared.train.ensemble.checks import refuse_dropout

SMALL_RESNET = ResNetConfig(num_classes=4, widths=(8, 16), blocks=(1, 1), num_groups=4)
SMALL_VIT = ViTConfig(num_classes=4, image_size=8, patch_size=4, d_model=16, num_layers=1, num_heads=2)


SMALL_VGG = VGGConfig(num_classes=4, stages=((4, 6), (8,)), hidden=(5,))
OPTION_A = SMALL_RESNET.model_copy(update={"shortcut": "zeros", "init": "kaiming_normal", "stem": "large"})


def models():
    makers = [(ResNet, SMALL_RESNET), (VisionTransformer, SMALL_VIT), (VGG, SMALL_VGG), (ResNet, OPTION_A)]
    return [kind(config, torch_generator(0)) for kind, config in makers]


def images(count):
    return torch.randn(count, 3, 8, 8, generator=torch_generator(1))


@pytest.mark.parametrize("index", range(4))
def test_logits_have_the_shape_and_a_sample_does_not_see_the_others(index):
    model, batch = models()[index].eval(), images(5)
    logits = model(batch)
    assert logits.shape == (5, 4)
    assert logits[2:3].allclose(model(batch[2:3]), atol=1e-5)


@pytest.mark.parametrize("index", range(4))
def test_the_same_generator_gives_the_same_weights_and_leaves_the_global_state(index):
    before = torch.get_rng_state()
    one, two = models()[index].state_dict(), models()[index].state_dict()
    assert all(one[name].equal(two[name]) for name in one) and torch.get_rng_state().equal(before)


@pytest.mark.parametrize("index", range(4))
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
    assert VGG(VGGConfig(num_classes=10)).num_params == 15_245_130  # VGG16 for CIFAR-10 with two hidden layers of 512


def on_meta(kind, **settings):
    with torch.device("meta"):
        return kind(settings.pop("config")(**settings))


@pytest.mark.parametrize(("blocks", "num_classes", "millions"), [(3, 10, 0.27), (18, 10, 1.7)])
def test_option_a_has_the_sizes_of_he_et_al(blocks, num_classes, millions):
    """Table 6 of arXiv 1512.03385: 0.27 and 1.7 million parameters; the shortcuts have none."""
    config = {"widths": (16, 32, 64), "blocks": (blocks,) * 3, "norm": "batch", "shortcut": "zeros"}
    model = on_meta(ResNet, config=ResNetConfig, num_classes=num_classes, **config)
    assert round(model.num_params / 1e6, 2 if millions < 1 else 1) == millions
    by_hand = 3 * 16 * 9 + 2 * 16 + 64 * 10 + 10  # stem and head
    for num_in, width, count in ((16, 16, blocks), (16, 32, blocks), (32, 64, blocks)):
        by_hand += 9 * width * (num_in + width * (2 * count - 1)) + 4 * width * count
    assert model.num_params == by_hand


def test_models_for_224_pixels_have_the_published_sizes():
    """ResNet18: 11,689,512; DenseNet121: 7,978,856; ViT-Tiny/16: 5,717,416, of which a class token is 384."""
    resnet = {"num_classes": 1000, "norm": "batch", "stem": "large"}
    assert on_meta(ResNet, config=ResNetConfig, **resnet).num_params == 11_689_512
    assert on_meta(DenseNet, config=DenseNetConfig, num_classes=1000).num_params == 7_978_856
    tiny = {"num_classes": 1000, "image_size": 224, "patch_size": 16, "num_layers": 12}
    assert on_meta(VisionTransformer, config=ViTConfig, **tiny).num_params == 5_717_416 - 2 * 192


def test_a_dense_layer_keeps_its_input_and_transitions_halve_channels_and_sides():
    config = DenseNetConfig(num_classes=5, blocks=(2, 1), growth=4, num_initial=6, stem="small")
    model = DenseNet(config, torch.Generator().manual_seed(0))
    x = torch.randn(2, 6, 8, 8)
    first = model.layers[0](x)
    assert torch.equal(first[:, :6], x) and first.shape == (2, 10, 8, 8)
    halved = model.layers[3](model.layers[2](model.layers[1](first)))
    assert halved.shape == (2, (6 + 2 * 4) // 2, 4, 4)
    assert model.head.in_features == (6 + 2 * 4) // 2 + 4
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    with pytest.raises(ValueError, match="images are"):
        model(x)


def test_a_shortcut_of_zeros_takes_every_other_pixel_and_adds_channels_around():
    x = torch.arange(32.0).view(1, 2, 4, 4)
    found = ZeroShortcut(2, 5, 2)(x)
    assert found.shape == (1, 5, 2, 2)
    assert found[0, 1:3].tolist() == [[[0, 2], [8, 10]], [[16, 18], [24, 26]]]
    assert found[0, [0, 3, 4]].abs().sum() == 0


def test_kaiming_normal_keeps_the_square_of_the_activations():
    """N(0, 2 / fan-in): half of the outputs of a convolution are cut, the mean square of the others doubles it back."""
    config = ResNetConfig(num_classes=10, widths=(64,), blocks=(1,), norm="batch", init="kaiming_normal")
    weight = ResNet(config, torch_generator(0)).blocks[0].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_the_large_stem_divides_the_sides_by_four():
    model, seen = models()[3], []
    model.blocks[0].register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].shape))
    model(torch.zeros(1, 3, 32, 32))
    assert seen == [(1, 8, 8, 8)]


def test_vgg_pools_after_every_stage_and_starts_from_the_fan_out():
    model, seen = VGG(SMALL_VGG, torch_generator(0)), []
    model.hidden[0].register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    x = torch.rand(1, 3, 4, 4, generator=torch_generator(2))
    model(x)
    y = torch.relu(model.stages[0][1](torch.relu(model.stages[0][0](x))))
    y = y.unflatten(-1, (2, 2)).unflatten(-3, (2, 2)).amax((-1, -3))  # largest of each 2 x 2
    y = torch.relu(model.stages[1][0](y)).amax((-1, -2))
    torch.testing.assert_close(seen[0], y)
    wide = VGG(VGGConfig(num_classes=2, stages=((64, 128),), hidden=()), torch_generator(0)).stages[0][1]
    assert wide.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02) and not wide.bias.any()


@pytest.mark.parametrize(
    "model",
    [
        lambda: VisionTransformer(SMALL_VIT.model_copy(update={"dropout": 0.5}), torch_generator(0)),
        lambda: VGG(SMALL_VGG.model_copy(update={"dropout": 0.5}), torch_generator(0)),
    ],
)
def test_dropout_acts_in_training_alone_and_keeps_ensembles_out(model):
    model, x = model(), images(3)
    assert not model(x).equal(model(x))
    with pytest.raises(ValueError, match="dropout"):
        refuse_dropout(model)
    model.eval()
    assert model(x).equal(model(x))


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
        (lambda: models()[2](torch.zeros(2, 3, 3, 8)), "at least 4 pixels along each side"),
        (lambda: VGGConfig(num_classes=10, stages=((4,), ())), "at least one convolution"),
        (lambda: ResNetConfig(num_classes=10, widths=(64, 32), blocks=(1, 1), shortcut="zeros"), "have to rise"),
    ],
)
def test_what_does_not_fit_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
