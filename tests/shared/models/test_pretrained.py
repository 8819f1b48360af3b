"""Published encoders of images under a fresh head, on tiny random ones that are saved here."""

import json

import pytest
import torch

from shared.base.seeding import torch_generator
from shared.models.image_config import PretrainedConfig
from shared.models.pretrained import PretrainedClassifier

transformers = pytest.importorskip("transformers")

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def clip():
    vision = TOWER | {"image_size": 32, "patch_size": 16}
    text = TOWER | {"vocab_size": 9, "max_position_embeddings": 4, "eos_token_id": 1, "bos_token_id": 0}
    return transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=8))


def convnext():
    sizes = transformers.ConvNextConfig(num_stages=2, hidden_sizes=[8, 12], depths=[1, 1], num_labels=7)
    return transformers.ConvNextForImageClassification(sizes)


def pooled(model, pixels):
    """What transformers' own encoder of images gives."""
    return getattr(model, "vision_model", getattr(model, "convnext", None))(pixel_values=pixels).pooler_output


@pytest.fixture(params=[clip, convnext], ids=["clip", "convnext"])
def published(request, tmp_path):
    """(transformers' model, the folder that it was saved to)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = request.param().eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": STD}))
    return model, tmp_path


def classifier(folder, seed=0, num_classes=5):
    return PretrainedClassifier(PretrainedConfig(name=str(folder), num_classes=num_classes), torch_generator(seed))


def images(count=3):
    return torch.rand(count, 3, 32, 32, generator=torch_generator(1))


def test_logits_are_the_head_on_the_publishers_features_of_scaled_pixels(published):
    model, folder = published
    own, pixels = classifier(folder), images()
    scaled = torch.stack([(pixels[:, c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(own(pixels), own.head(pooled(model, scaled)), rtol=0, atol=1e-5)
        assert not own(pixels).allclose(own.head(pooled(model, pixels)), atol=1e-3)  # as they come


def test_the_head_is_drawn_and_the_encoder_is_not(published):
    _, folder = published
    before = torch.get_rng_state()
    one, again, other = classifier(folder), classifier(folder), classifier(folder, seed=1)
    assert torch.get_rng_state().equal(before)
    assert one.head.weight.shape[0] == 5 and one.head.weight.equal(again.head.weight)
    assert not one.head.weight.equal(other.head.weight)
    assert all(p.equal(q) for p, q in zip(one.encoder.parameters(), other.encoder.parameters(), strict=True))


def test_every_parameter_trains_and_texts_are_left_out(published):
    model, folder = published
    own = classifier(folder)
    own(images()).square().sum().backward()
    assert not [name for name, p in own.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    encoder = getattr(model, "vision_model", getattr(model, "convnext", None))
    assert own.num_params == sum(p.numel() for p in encoder.parameters()) + own.head.weight.numel() + 5


def test_members_of_an_ensemble_give_what_each_gives_alone(published):
    from shared.train.ensemble.checks import refuse_dropout
    from shared.train.ensemble.stacked import StackedModel

    own = [classifier(published[1], seed) for seed in (0, 1)]
    refuse_dropout(own[0])
    stacked = StackedModel(own[0], [m.state_dict() for m in own], device=torch.device("cpu"))
    batch, expected = {"x": images()}, [m(images()).square().sum() for m in own]
    found = stacked.metrics(lambda model, batch: {"y": model(batch["x"]).square().sum()}, batch, range(2))["y"]
    torch.testing.assert_close(found, torch.stack(expected).detach(), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere cannot be read .*; connect to the network, point HF_HOME"):
        classifier(tmp_path / "nowhere")


def test_an_encoder_without_moments_of_its_pixels_is_refused(published):
    folder = published[1]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN}))
    with pytest.raises(ValueError, match="has no image_std"):
        classifier(folder)


def test_images_of_another_shape_are_refused(published):
    with pytest.raises(ValueError, match=r"images are \(N, 3, S, S\); got \(2, 1, 32, 32\)"):
        classifier(published[1])(torch.zeros(2, 1, 32, 32))
