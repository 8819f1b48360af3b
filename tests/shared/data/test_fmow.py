"""FMoW's archive -> Parquet files of a mirror -> images of the loaders."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from shared.data.fmow import main, split_of, write_split
from shared.data.images import load_images
from shared.data.loaders import load_rows

NAMES = [f"class {k:02d}" for k in range(62)]


def metadata():
    """Every category once, in reverse, before 2013; then images that differ in year and first split."""
    rows = [{"category": name, "timestamp": "2012-12-31T23:59:59Z", "split": "train"} for name in NAMES[::-1]]
    for year, split in ((2013, "train"), (2016, "test"), (2017, "seq"), (2018, "test"), (2015, "test"), (2016, "val")):
        rows.append({"category": NAMES[year % 10], "timestamp": f"{year}-01-01T00:00:00Z", "split": split})
    return pd.DataFrame(rows)


def test_it_is_trained_before_2013_and_tested_from_2016_on():
    train, test = (split_of(metadata(), split) for split in ("train", "test"))
    assert train.index.tolist() == list(range(62)) and train.label.tolist() == list(range(62))[::-1]
    assert test.index.tolist() == [63, 65] and test.label.tolist() == [6, 8]


def test_another_number_of_categories_is_refused():
    with pytest.raises(ValueError, match="FMoW has 62 categories; the metadata names 61"):
        split_of(metadata()[1:62], "train")


def test_files_of_the_archive_become_images_of_a_mirror(tmp_path, monkeypatch, capsys):
    archive, mirror = tmp_path / "archive", tmp_path / "mirror"
    (archive / "images").mkdir(parents=True)
    table = metadata()
    table.to_csv(archive / "rgb_metadata.csv", index=False)
    for number in range(len(table)):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(archive / "images" / f"rgb_img_{number}.png")
    main(archive, mirror / "fmow")
    assert capsys.readouterr().out.count(".parquet") == 2
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(mirror))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows, labels = load_rows("fmow", "test")
    reds = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))[0, 0, 0] for row in rows]
    assert reds == [63, 65] and labels.tolist() == [6, 8]
    data = load_images("fmow", "unit")
    assert len(data.train_images) == 62
    (image,) = data.test_images[torch.tensor([1])]
    assert image.shape == (3, 224, 224) and image[0].unique().tolist() == [pytest.approx(65 / 255)]


def test_without_a_mirror_the_way_to_one_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("ARTIFACTS_MIRROR", raising=False)
    with pytest.raises(ValueError, match=r"^fmow is not on the hub; unpack the archive, write train.* MIRROR$"):
        load_images("fmow")
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(tmp_path))
    with pytest.raises(ValueError, match=r"has no fmow/train.*; unpack the archive"):
        load_images("fmow")
    with pytest.raises(ValueError, match=r"has no rgb_metadata.csv; name the folder that fmow_v1.1.tar.gz"):
        write_split(tmp_path, "train", tmp_path)
