"""Images of any size: from files and from a mirror of the hub, as tensors, as bytes in memory, as files on disk."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from shared.data import loaders
from shared.data.augmentation import centre_crop, crop_draws, fitted, random_crop, shifted
from shared.data.images import EncodedImages, StoredImages, load_images, moments_of
from shared.train.images.config import ImageSettings
from shared.train.images.task import ImageTask


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(stream, "png")  # keeps every value
    return stream.getvalue()


def write(folder, split, images, labels, columns=("image", "label")):
    folder.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": png(image), "path": None} for image in images]
    pa.parquet.write_table(pa.table({columns[0]: cells, columns[1]: labels}), folder / f"{split}.parquet")


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "mirror"


def drawn(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.filterwarnings("ignore:.*unpinned")
def test_mnist_is_grey_and_standard(mirror):
    train, test = drawn(12, 28, 28, 1), drawn(5, 28, 28, 1) // 2
    write(mirror / "mnist", "train", train, [*range(10), 0, 1])
    write(mirror / "mnist", "test", test, [3] * 5)
    data = load_images("mnist")
    assert data.train_images.shape == (12, 1, 28, 28) and data.test_labels.tolist() == [3] * 5
    torch.testing.assert_close(data.train_images.std(correction=0), torch.tensor(1.0))
    expected = (test[2, 4, 9, 0] / 255 - train.mean() / 255) / (train.std() / 255)
    assert data.test_images[2, 0, 4, 9].item() == pytest.approx(expected, rel=1e-5)
    task = ImageTask(ImageSettings(dataset="mnist", model={"widths": [7]}), {}, 4)
    assert task.build(0)(task.batch(0, range(4), 0)["images"]).shape == (4, 10)


@pytest.mark.filterwarnings("ignore:.*unpinned")
def test_files_of_another_size_are_refused(mirror):
    write(mirror / "mnist", "train", drawn(2, 28, 27, 1), [0, 1])
    with pytest.raises(ValueError, match="image 0 has 27 x 28 pixels"):
        loaders.load_mnist()


@pytest.mark.parametrize("normalisation", ["unit", "standard"])
def test_imagenet32_stays_bytes_and_gives_what_the_tensor_of_all_would(mirror, normalisation):
    train, test = drawn(9, 32, 32, 3), drawn(4, 32, 32, 3) // 2
    write(mirror / "imagenet32", "train", train, [0, 999, *range(7)])
    write(mirror / "imagenet32", "validation", test, [1, 2, 3, 4])
    data = load_images("imagenet32", normalisation)
    assert isinstance(data.train_images, StoredImages) and data.train_images.stored.dtype == np.uint8
    floats = torch.from_numpy(test).permute(0, 3, 1, 2) / 255
    if normalisation == "standard":
        seen = torch.from_numpy(train).permute(0, 3, 1, 2) / 255
        floats = (floats - seen.mean((0, 2, 3), keepdim=True)) / seen.std((0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(data.test_images[torch.tensor([3, 0])], floats[[3, 0]])
    parts = list(data.test_images.split(3))
    assert [len(part) for part in parts] == [3, 1]
    torch.testing.assert_close(torch.cat(parts), floats)
    task = ImageTask(
        ImageSettings(dataset="imagenet32", kind="cnn", augmentation="crop_flip", validation_rows=3), {}, 4
    )
    assert task.batch(0, range(4), 0)["labels"].max() <= 999 and task.build(0)(parts[0]).shape == (3, 1000)
    assert set(task.evaluate(task.build(0).eval(), 0)) == {"val_loss", "val_accuracy"}


@pytest.mark.parametrize(
    ("name", "size", "tested", "classes"), [("svhn", 32, "test", 10), ("tiny-imagenet", 64, "validation", 200)]
)
def test_hub_sets_of_one_size_are_tensors_and_tested_on_the_right_split(mirror, name, size, tested, classes):
    train, test = drawn(6, size, size, 3), drawn(3, size, size, 3) // 2
    write(mirror / name, "train", train, [0, classes - 1, 1, 2, 3, 4])
    write(mirror / name, tested, test, [5, 6, 7])
    data = load_images(name)
    assert data.test_labels.tolist() == [5, 6, 7] and data.train_images.shape == (6, 3, size, size)
    mean, std = moments_of(train)
    floats = (torch.from_numpy(test / 255) - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(data.test_images, floats.permute(0, 3, 1, 2).float())
    model = {"blocks": [1, 1], "growth": 4, "num_initial": 4}
    task = ImageTask(ImageSettings(dataset=name, kind="densenet", model=model), {}, 3)
    assert task.build(0)(task.batch(0, range(3), 0)["images"]).shape == (3, classes)


def test_imagenet_files_of_any_size_are_cropped_when_asked_for(mirror):
    images = [drawn(240, 300, 3), drawn(500, 230, 3), drawn(260, 260, 3)]
    write(mirror / "imagenet-1k", "train", images, [0, 7, 999])
    write(mirror / "imagenet-1k", "validation", images[:2], [5, 6])
    settings = ImageSettings(
        dataset="imagenet-1k", kind="resnet", augmentation="resized_crop", validation_rows=1,
        model={"widths": [4], "blocks": [1], "num_groups": 2, "stem": "large"},
    )  # fmt: skip
    task = ImageTask(settings, {}, 3)
    batch = task.batch(0, range(3), 0)
    assert batch["images"].shape == (3, 3, 224, 224) and sorted(batch["labels"].tolist()) == [0, 7, 999]
    again = task.batch(0, range(1, 3), 0)  # another process's part of the same update
    assert again["images"].equal(batch["images"][1:]) and again["labels"].equal(batch["labels"][1:])
    assert not task.batch(1, range(3), 0)["images"].equal(batch["images"])
    (first, second) = task.evaluation()
    assert first["images"].shape == (1, 3, 224, 224) and second["labels"].tolist() == [6]
    assert is_normalised(first["images"], centre_crop(Image.fromarray(images[0]), 224))
    assert task.build(0)(batch["images"]).shape == (3, 1000)


def is_normalised(found: torch.Tensor, image: Image.Image) -> bool:
    """Whether a normalised image (1, 3, S, S) is `image`, by the moments that are usual for ImageNet."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (torch.from_numpy(np.asarray(image) / 255) - mean) / std
    return torch.allclose(found[0].permute(1, 2, 0), expected.float(), atol=1e-5)


def test_moments_are_those_of_numpy_per_channel():
    pixels = drawn(7, 5, 5, 3)
    mean, std = moments_of(pixels)
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)) / 255)
    np.testing.assert_allclose(std, pixels.std((0, 1, 2)) / 255)


def test_the_middle_is_cut_from_the_resized_image():
    """A white square of the middle 70 % on black, 256 x 512 -> the shorter side stays 256, 16 rows go at each end."""
    pixels = np.zeros((256, 512, 3), np.uint8)
    pixels[16:240, 144:368] = 255
    assert np.asarray(centre_crop(Image.fromarray(pixels), 224)).min() == 255


def test_a_square_image_is_fitted_whole_and_a_long_one_by_its_middle():
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[:, 128:] = 255
    found = np.asarray(fitted(Image.fromarray(pixels), 224))
    assert found.shape == (224, 224, 3)
    assert (found[:, :110] == 0).all() and (found[:, 114:] == 255).all()  # all 256 columns are there, 8 as 7
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = np.arange(8)[:, None, None]
    np.testing.assert_array_equal(fitted(Image.fromarray(wide), 8), wide[:, 8:16])


def test_resisc45_is_fitted_to_224_pixels_and_stays_bytes(mirror):
    train, test = drawn(5, 256, 256, 3), drawn(3, 256, 256, 3) // 2
    write(mirror / "resisc45", "train", train, [0, 44, 1, 2, 3])
    write(mirror / "resisc45", "test", test, [4, 5, 6])
    data = load_images("resisc45", "unit")
    assert data.test_images.stored.dtype == np.uint8 and data.test_labels.tolist() == [4, 5, 6]
    expected = np.asarray(fitted(Image.fromarray(test[2]), 224)) / 255
    found = data.test_images[torch.tensor([2])][0].permute(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    some = data.train_images.subset(data.train_labels < 3)
    torch.testing.assert_close(some[torch.arange(3)], data.train_images[torch.tensor([0, 2, 3])])
    assert load_images("resisc45").train_images.to("meta")[torch.tensor([0])].device.type == "meta"


def test_a_random_crop_by_hand():
    """Draws of zero: 8 % of the area, 3 : 4, from the top left corner, mirrored; a column is known by its grey."""
    columns = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2)
    found = np.asarray(random_crop(Image.fromarray(columns), 24, np.zeros(5)))
    width = round((800 * 0.75) ** 0.5)  # 24 of 24 x 33
    assert width == 24 and found[0, :, 0].tolist() == list(range(23, -1, -1))
    whole = np.asarray(random_crop(Image.fromarray(columns), 100, np.array([1.0, 0.5, 0, 0, 0.9])))
    np.testing.assert_array_equal(whole, columns)
    wide = random_crop(Image.fromarray(columns), 8, np.array([0.999, 0.999, 0.5, 0.999, 0.9]))  # cut to the image
    assert wide.size == (8, 8)


def test_crop_draws_belong_to_the_row():
    np.testing.assert_array_equal(crop_draws(3, 5, range(2, 4)), crop_draws(3, 5, range(8))[2:4])
    assert not np.array_equal(crop_draws(3, 5, range(2)), crop_draws(4, 5, range(2)))


def test_shifts_are_crops_of_the_padded_image_and_reach_every_place():
    image = torch.arange(1.0, 17).view(1, 1, 4, 4).expand(64, 1, 4, 4)
    found = shifted(torch.cat([image, torch.zeros(1, 1, 4, 4)]), 1, 0, 0, range(65), 65)[:64]
    padded = torch.nn.functional.pad(image[:1], (1,) * 4)
    sides, places = (padded, padded.flip(-1)), [(i, j) for i in range(3) for j in range(3)]
    possible = [side[..., i : i + 4, j : j + 4] for side in sides for i, j in places]
    seen = {next(k for k, crop in enumerate(possible) if crop[0].equal(one)) for one in found}
    assert len(seen) > 14  # of 18
    part = shifted(image[:3], 1, 0, 0, range(4, 7), 64, flip=False)
    assert part.equal(shifted(image, 1, 0, 0, range(64), 64, flip=False)[4:7])


def test_encoded_images_are_read_in_the_order_asked_for():
    rows = [{"image": {"bytes": png(np.full((16, 16, 3), value, np.uint8))}} for value in (10, 20, 30)]

    class Rows:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"image": [rows[k]["image"] for k in index]}

    found = EncodedImages(Rows(), "image", 8)[torch.tensor([2, 0])]
    assert (found * 255).round()[:, 0, 0, 0].tolist() == [30, 10]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: load_images("mnisst"), "no data set of images is called 'mnisst'; there are digits, mnist, cifar10"),
        (
            lambda: ImageSettings(augmentation="resized_crop"),
            "resized_crop is for imagenet-1k; use crop_flip for digits",
        ),
        (lambda: loaders.load_rows("imagenet32", "test"), "no split 'test'; it has: train, validation"),
        (
            lambda: ImageSettings(dataset="resisc45", kind="pretrained", model={"name": "x"}),
            "a pretrained encoder scales pixels by moments of its own; set normalisation: unit",
        ),
    ],
)
def test_what_is_not_there_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
