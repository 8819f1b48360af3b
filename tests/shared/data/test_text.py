"""Crops are functions of (seed, step, row), and every place of the text can be cut."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.data.config import TextConfig, TokenizerConfig
from shared.data.counter import row_words
from shared.data.text import TokenDataset, load_text_data, tokenize
from shared.data.tokenizers import load_tokenizer, train_tokenizer

PAD = 999
MIRROR = Path(os.environ.get("ARTIFACTS_MIRROR") or Path(__file__).parents[3].parent / "shared" / "mirror")


@pytest.fixture
def packed():
    return TokenDataset(np.arange(100, dtype=np.uint16), np.array([0, 10, 13, 60, 100]))


@pytest.fixture
def padded():
    return TokenDataset(np.arange(100, dtype=np.uint16), np.array([0, 10, 13, 60, 100]), "documents", PAD)


@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("rows", [range(0, 16), range(5, 9), range(3, 16, 4), range(15, 2, -3), range(7, 7)])
def test_a_row_does_not_depend_on_the_rows_asked_for(layout, rows, request):
    data = request.getfixturevalue(layout)
    whole = data.crops(3, 11, range(16), 16, 12)
    assert torch.equal(data.crops(3, 11, rows, 16, 12), whole[list(rows)])


def test_seed_and_step_give_other_crops(packed):
    one = packed.crops(3, 11, range(16), 16, 12)
    assert torch.equal(one, packed.crops(3, 11, range(16), 16, 12))
    assert not torch.equal(one, packed.crops(3, 12, range(16), 16, 12))
    assert not torch.equal(one, packed.crops(4, 11, range(16), 16, 12))


def test_words_of_one_row_do_not_repeat_in_the_next():
    words = row_words(0, "test", 0, range(50), 6)
    assert len(np.unique(words)) == 300
    assert np.array_equal(row_words(0, "test", 0, range(50), 6)[17], row_words(0, "test", 0, range(17, 18), 6)[0])


def test_packed_crops_are_consecutive_and_uniform_over_all_places(packed):
    crops = torch.cat([packed.crops(0, step, range(64), 64, 12) for step in range(200)])
    assert (crops.diff(dim=1) == 1).all()
    starts = np.bincount(crops[:, 0].numpy(), minlength=89)
    assert len(starts) == 89  # first place 0, last place 100 - 12
    expected = 200 * 64 / 89
    assert ((starts - expected) ** 2 / expected).sum() < 150  # chi-square with 88 degrees: 99.99% quantile is 143


def test_a_text_of_exactly_one_sequence_has_one_crop(packed):
    assert torch.equal(packed.crops(0, 0, range(2), 2, 100), torch.arange(100).expand(2, 100))
    with pytest.raises(ValueError, match="fewer than one sequence of 101"):
        packed.crops(0, 0, range(2), 2, 101)


def test_padded_crops_hold_one_document_each(padded):
    crops = torch.cat([padded.crops(0, step, range(64), 64, 12) for step in range(100)]).numpy()
    seen = {int(row[0]) for row in crops}
    assert {0, 10} <= seen  # documents shorter than a row start at their beginning ...
    assert not seen & {*range(1, 10), 11, 12}
    assert seen - {0, 10} == {*range(13, 49), *range(60, 89)}  # ... longer ones anywhere a whole row fits
    assert crops[crops[:, 0] == 10][0].tolist() == [10, 11, 12] + [PAD] * 9
    counts = [np.isin(crops[:, 0], np.arange(a, b)).mean() for a, b in [(0, 10), (10, 13), (13, 60), (60, 100)]]
    assert counts == pytest.approx([0.25] * 4, abs=0.022)  # four standard errors of 6400 draws


def test_packed_windows_tile_the_text(packed):
    assert torch.equal(packed.windows(12).flatten(), torch.arange(96))
    assert packed.windows(12, 4)[:, 0].tolist() == [0, 24, 48, 72]
    with pytest.raises(ValueError, match="the text has 8"):
        packed.windows(12, 9)


def test_padded_windows_are_the_beginnings_of_documents(padded):
    windows = padded.windows(12)
    assert windows[:, 0].tolist() == [0, 10, 13, 60]
    assert windows[1].tolist() == [10, 11, 12] + [PAD] * 9
    assert windows[0].tolist() == [*range(10), PAD, PAD]


def test_a_short_last_document_is_padded_too():
    data = TokenDataset(np.arange(5), np.array([0, 3, 5]), "documents", PAD)
    assert data.windows(4).tolist() == [[0, 1, 2, PAD], [3, 4, PAD, PAD]]


def test_documents_get_their_borders():
    config = TokenizerConfig(kind="byte", num_ordinary=256, special_tokens=("[PAD]", "[BOS]", "[EOS]"))
    tokens, offsets = tokenize(["ab", "", "c"], load_tokenizer(train_tokenizer(config, [])))
    assert tokens.tolist() == [257, 97, 98, 258, 257, 99, 258]
    assert offsets.tolist() == [0, 4, 7]
    assert tokens.dtype == np.uint16


def test_wrong_rows_offsets_and_layouts_are_refused(packed):
    with pytest.raises(ValueError, match="global batch of 16"):
        packed.crops(0, 0, range(10, 17), 16, 12)
    with pytest.raises(ValueError, match="rise strictly"):
        TokenDataset(np.arange(5), np.array([0, 3, 3, 5]))
    with pytest.raises(ValueError, match="needs a pad_id"):
        TokenDataset(np.arange(5), np.array([0, 5]), "documents")
    with pytest.raises(ValueError, match=r"add '\[PAD\]'"):
        TextConfig(layout="documents")
    with pytest.raises(ValueError, match="set max_documents"):
        load_text_data(TextConfig(source="fineweb"))
    with pytest.raises(ValueError, match="is no text source"):
        load_text_data(TextConfig(source="cifar10"))


def test_docstrings_come_as_a_memory_mapped_array_that_decodes_to_them():
    special = ("[MASK]", "[PAD]", "[BOS]", "[EOS]")
    config = TextConfig(
        max_documents=200,
        layout="documents",
        tokenizer=TokenizerConfig(num_ordinary=300, special_tokens=special, training_characters=100_000),
    )
    data = load_text_data(config)
    assert isinstance(data.train.tokens, np.memmap)
    assert data.train.num_documents == 200
    first = data.train.tokens[: data.train.offsets[1]]
    assert first[0] == data.tokenizer.bos_id
    assert first[-1] == data.tokenizer.eos_id
    from shared.data.docstrings import docstring_corpus

    assert data.tokenizer.decode(first) == docstring_corpus().documents()[0]
    batch = data.train.crops(0, 0, range(4), 4, 64)
    assert batch.shape == (4, 64)
    assert batch.dtype == torch.int64


@pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror of third-party data here")
def test_a_single_long_text_is_split_at_its_end(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTIFACTS_MIRROR", str(MIRROR))
    monkeypatch.setenv("ARTIFACTS_CACHE", str(tmp_path))
    config = TextConfig(
        source="tinyshakespeare", validation_share=0.1, tokenizer=TokenizerConfig(kind="byte", num_ordinary=256)
    )
    data = load_text_data(config)
    assert len(data.train.tokens) + len(data.validation.tokens) == 1115394
    assert len(data.validation.tokens) == 111539
    whole = (MIRROR / "tinyshakespeare" / "input.txt").read_bytes()
    assert data.validation.tokens.tobytes() == whole[-111539:]
