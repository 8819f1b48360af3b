"""Scenes, captions, encoders and their cache; benchmarks; what is refused."""

import numpy as np
import pytest
import torch

from papers.hyma.answers import recorded_pick
from papers.hyma.connectors import initial_connectors
from papers.hyma.embeddings import Cached, Embeddings, centred, weights_digest
from papers.hyma.encoders import embedded, image_network, text_network
from papers.hyma.grammar import Grammar
from papers.hyma.probes import probe_accuracy
from papers.hyma.released import manifest, released_connector
from papers.hyma.retrieval import Alignment, ranks, recall_at, zero_shot
from papers.hyma.scenes import PHOTOGRAPHS, SCENES, prompts, scenes
from papers.hyma.settings import Data, ImageEncoder, Pretraining, TextEncoder, Zoo
from papers.hyma.shapes import connector_shapes
from papers.hyma.training import train_grid
from papers.hyma.zoo import build_zoo
from shared.base.seeding import numpy_generator

DATA = Data(source="scenes", num_train=120, num_validation=20, num_test=30, prompts_per_class=2)
TRAINING = Pretraining(num_steps=3, batch_size=32, lr=3e-3, language_batch_size=8, language_lr=3e-3)
ZOO = Zoo(
    data=DATA,
    images=[ImageEncoder(name="digits", dim=8, supervised=["left_digit"]), ImageEncoder(name="drawn", dim=6)],
    texts=[TextEncoder(name="words", dim=7), TextEncoder(name="gru", dim=9, kind="gru", trained=True)],
    pretraining=TRAINING,
    probe_image="left_digit",
    ridge=1e-3,
)


@pytest.fixture(scope="module")
def zoo() -> Embeddings:
    return build_zoo(ZOO)


def test_captions_are_read_back_to_their_attributes_under_every_template():
    for grammar in (SCENES, PHOTOGRAPHS):
        rng, sizes = numpy_generator(0, "captions"), [len(w) for w in grammar.attributes.values()]
        values = np.stack([rng.integers(size, size=60) for size in sizes], axis=1)
        templates = np.arange(60) % len(grammar.templates)
        tokens = grammar.captions(values, templates)
        assert [grammar.parse(grammar.text(row)) for row in tokens] == [
            (list(v), t) for v, t in zip(values.tolist(), templates.tolist(), strict=True)
        ]
        assert len(set(grammar.meanings(values))) == len({tuple(v) for v in values.tolist()})
    assert len(SCENES.vocabulary) == 24 and np.prod([len(w) for w in SCENES.attributes.values()]) == 3600


def test_test_scenes_use_digits_that_training_scenes_never_show():
    found = scenes(DATA)
    assert not set(found["train"].sources.ravel()) & {
        *found["test"].sources.ravel(),
        *found["validation"].sources.ravel(),
    }
    assert found["train"].images.shape == (120, 3, 8, 16)


def test_a_scene_shows_the_digits_and_colours_that_its_caption_names():
    clean = scenes(DATA.model_copy(update={"noise": 0.0}))["test"]
    from sklearn.datasets import load_digits

    bundled = load_digits()
    left_color, left_digit, right_color, right_digit = clean.attributes[0]
    for half, color, digit, source in (
        (clean.images[0][..., :8], left_color, left_digit, clean.sources[0, 0]),
        (clean.images[0][..., 8:], right_color, right_digit, clean.sources[0, 1]),
    ):
        assert bundled.target[source] == digit
        shade = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)][color])
        np.testing.assert_allclose(half, shade[:, None, None] * bundled.images[source] / 16, atol=1e-6)


def test_prompts_of_a_class_name_it():
    tokens = prompts(SCENES, "right_digit", 4, seed=0)
    for value, rows in enumerate(tokens):
        assert {SCENES.parse(SCENES.text(row))[0][3] for row in rows} == {value}


def test_cached_embeddings_are_those_made_on_the_fly(zoo):
    pairs = scenes(DATA)
    for plan, cached in zip(ZOO.images, zoo.images.values(), strict=True):
        model = image_network(plan, pairs["train"], SCENES, TRAINING, DATA.seed)
        fresh = centred({s: embedded(model, pairs[s].images, batch_size=17) for s in ("train", "test")})
        torch.testing.assert_close(fresh["test"], cached.splits["test"], atol=1e-6, rtol=0)
        assert weights_digest(model) == cached.digest


def test_frozen_encoders_are_the_same_after_embedding():
    pairs = scenes(DATA)
    model = text_network(ZOO.texts[1], pairs["train"], SCENES, TRAINING, 0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    embedded(model, pairs["test"].captions)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(p.requires_grad for p in model.parameters())


def test_padding_does_not_enter_a_texts_embedding():
    for plan in ZOO.texts:
        model = text_network(plan, scenes(DATA)["train"], SCENES, TRAINING, 0)
        tokens = SCENES.captions(np.zeros((1, 4), dtype=int), np.zeros(1, dtype=int))
        longer = np.pad(tokens, ((0, 0), (0, 0)))
        short = tokens[:, : (tokens != 0).sum()]
        torch.testing.assert_close(embedded(model, short), embedded(model, longer), atol=1e-6, rtol=1e-5)


def test_a_zoo_comes_back_as_it_was_saved(zoo, tmp_path):
    zoo.save(tmp_path / "zoo.safetensors")
    found = Embeddings.load(tmp_path / "zoo.safetensors")
    assert found.captions == zoo.captions and torch.equal(found.stacked("texts", "test"), zoo.stacked("texts", "test"))
    assert (
        found.stacked("images", "test").shape == (2, 30, 8) and found.images["drawn"].score == zoo.images["drawn"].score
    )


def test_probes_find_what_is_linear():
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    labels = (x[:, 0] > 0).long()
    assert probe_accuracy(x[:150], labels[:150], x[150:], labels[150:], 1e-6) > 0.9


def test_a_tie_counts_against_the_query_and_equal_meanings_count_for_it():
    meanings = torch.tensor([0, 1, 2, 2])
    assert recall_at(1, torch.ones(4, 4), meanings) == 0  # a constant connector
    similarity = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.1, 0.9], [0, 0, 0.9, 0.1]])
    assert recall_at(1, similarity, meanings) == 1
    assert ranks(torch.tensor([[0.3, 0.5, 0.1]]), torch.tensor([[True, False, False]])).tolist() == [1]


def test_recall_is_the_mean_of_both_directions():
    similarity, meanings = torch.tensor([[0.9, 0.95], [0.1, 0.8]]), torch.arange(2)
    assert recall_at(1, similarity, meanings) == 0.5 * (0.5 + 0.5)
    similarity = torch.tensor([[0.9, 0.2], [0.95, 0.97]])
    assert recall_at(1, similarity, meanings) == 0.5 * (1.0 + 0.5)


def test_zero_shot_takes_the_nearest_mean_prompt():
    eye = torch.eye(3)
    assert zero_shot(eye, eye[:, None, :], torch.tensor([0, 1, 0])) == pytest.approx(2 / 3)


def test_a_connected_pair_beats_chance_and_encoders_differ_in_width(zoo):
    pairs = [(i, t) for i in range(2) for t in range(2)]
    shapes = [connector_shapes(0, (7, 9)[t], (8, 6)[i], 4) for i, t in pairs]
    problem = Alignment(zoo, pairs, shapes, 20.0)
    from papers.hyma.settings import Grid

    *_, (_, layers) = train_grid(problem, range(4), Grid(batch_size=64, lr=1e-2, warmup=0), 60, 0)
    start = problem.benchmarks(range(4), initial_connectors(shapes, [0] * 4, "x"), "train")
    trained = problem.benchmarks(range(4), layers, "train")
    assert sum(row["r10"] for row in trained) > 1.5 * sum(row["r10"] for row in start)
    assert {"r1", "r5", "zero_shot_left_digit"} <= trained[0].keys()


def test_a_connector_that_is_not_finite_scores_nan(zoo):
    problem = Alignment(zoo, [(0, 0)], [connector_shapes(0, 7, 8, 4)], 20.0)
    layers = [(torch.full((1, 8, 7), torch.nan), torch.zeros(1, 8))]
    assert np.isnan(problem.benchmarks([0], layers)[0]["r5"])


def test_released_state_dicts_load_by_their_shapes():
    state = {"0.weight": torch.ones(1024, 384), "0.bias": torch.ones(1024)}
    state |= {"2.weight": torch.ones(768, 1024), "2.bias": torch.ones(768)}
    layers = released_connector(state, 1)
    assert [tuple(w.shape) for w, _ in layers] == [(1, 1024, 384), (1, 768, 1024)]
    assert manifest(layers, "vit", "minilm") == {"minilm": 384, "vit": 768}
    three = state | {"4.weight": torch.ones(5, 768), "4.bias": torch.ones(5)}
    assert len(released_connector(three, 2)) == 3
    assert len(released_connector({"weight": torch.ones(4, 3), "bias": torch.ones(4)}, 0)) == 1


@pytest.mark.parametrize(
    ("state", "depth", "sentence"),
    [
        ({"0.weight": torch.ones(4, 3), "0.bias": torch.ones(4)}, 1, "has layers"),
        ({"0.weight": torch.ones(4, 3)}, 0, "a weight and a bias"),
        ({"0.weight": torch.ones(4, 3), "0.bias": torch.ones(5)}, 0, "does not fit"),
        ({"scale": torch.ones(1)}, 0, "no weight or bias"),
        ({}, 3, "0, 1 or 2 hidden"),
    ],
)
def test_a_released_file_of_another_form_is_refused(state, depth, sentence):
    with pytest.raises(ValueError, match=sentence):
        released_connector(state, depth)


def replaced(zoo: Embeddings, **changes) -> Embeddings:
    cached = zoo.texts["words"]
    return Embeddings(
        zoo.images,
        zoo.texts | {"words": Cached(**(vars(cached) | changes))},
        zoo.attributes,
        zoo.meanings,
        zoo.pixels,
        zoo.captions,
    )


def test_wrong_caches_and_unknown_pairs_are_refused(zoo):
    splits = zoo.texts["words"].splits
    with pytest.raises(ValueError, match="not all finite"):
        replaced(zoo, splits=splits | {"test": splits["test"] * torch.nan})
    with pytest.raises(ValueError, match="not normalised"):
        replaced(zoo, splits=splits | {"test": splits["test"] * 2})
    with pytest.raises(ValueError, match="in another order"):
        replaced(zoo, ids=zoo.texts["words"].ids | {"train": "other"})
    with pytest.raises(ValueError, match=r"no image encoder 'digit'.*digits"):
        zoo.pair("digit", "words")
    with pytest.raises(ValueError, match="made for drawn of width 5"):
        zoo.check_manifest({"drawn": 5})
    with pytest.raises(ValueError, match="says nothing of 'b'"):
        Grammar({"a": ("x",), "b": ("y",)}, ("the {a}",))
    with pytest.raises(ValueError, match="no caption of this grammar"):
        SCENES.parse("a red seven")


def test_a_chat_models_answer_is_read_and_never_made_up(tmp_path, monkeypatch):
    import papers.hyma.answers as answers

    assert recorded_pick(None, ["a"], ["b"]) is None
    with pytest.raises(ValueError, match="no recorded answer"):
        recorded_pick("none.json", ["a"], ["b"])
    monkeypatch.setattr(answers, "__file__", str(tmp_path / "answers.py"))
    (tmp_path / "answers").mkdir()
    file = tmp_path / "answers" / "a.json"
    file.write_text('{"model": "m", "prompt": "p", "image": "a", "text": "b"}')
    assert recorded_pick("a.json", ["a"], ["b"])["image"] == "a"
    with pytest.raises(ValueError, match="names 'a'"):
        recorded_pick("a.json", ["c"], ["b"])
    file.write_text('{"model": "m", "image": "a", "text": "b"}')
    with pytest.raises(ValueError, match="lacks 'prompt'"):
        recorded_pick("a.json", ["a"], ["b"])
